"""Every outer ECN field with every inner one into the local end, and every inner one out of it."""

from .frames import arp_request, ether, ipv4, ipv6, tenant_frame, udp, vxlan
from .lab import LOCAL_HOST_MAC, REMOTE_TENANT_MAC, Lab
from .traffic import ping, send_frames

Tags = tuple[tuple[int, int], ...]

ECN_NAMES = ("Not-ECT", "ECT(1)", "ECT(0)", "CE")
DSCPS = (0, 10, 46, 63)
STACKS: list[Tags] = [
    ((0x8100, 30),),
    ((0x8100, 51),),
    ((0x88A8, 40),),
    ((0x88A8, 40), (0x8100, 50)),
    ((0x88A8, 40), (0x8100, 50), (0x8100, 60)),
]


def _outer(lab: Lab, tos: int, payload: bytes) -> bytes:
    vtep, tunnel = lab.config["vtep"], lab.config["tunnel"][0]
    segment = lab.segments[0]
    pair = (tunnel["remote"], vtep["ipv4" if segment.family == 4 else "ipv6"])
    datagram = udp(50000, 4789, payload, addresses=pair)
    if segment.family == 4:
        return ether(vtep["mac"], tunnel["remote_mac"], 0x0800, ipv4(*pair, datagram, tos=tos))
    return ether(vtep["mac"], tunnel["remote_mac"], 0x86DD, ipv6(*pair, datagram, traffic_class=tos))


def _arriving(lab: Lab, version: int, tags: Tags) -> list[bytes]:
    frames = []
    for outer in range(4):
        for inner in range(4):
            text = f"outer {ECN_NAMES[outer]}, inner {ECN_NAMES[inner]}"
            # A DSCP on either side: it must not cross, nor be touched.
            frame = tenant_frame(text, version=version, tos=0x28 | inner, tags=tags)
            frames.append(_outer(lab, 0x48 | outer, vxlan(lab.segments[0].vni, frame)))
    return frames


def _leaving(version: int, tags: Tags, dscps: tuple[int, ...]) -> list[bytes]:
    frames = [
        tenant_frame(f"inner {ECN_NAMES[ecn]}", to_remote=True, version=version, tos=dscp << 2 | ecn, tags=tags)
        for dscp in dscps
        for ecn in range(4)
    ]
    return frames + [
        tenant_frame(f"TTL {ttl}", to_remote=True, version=version, ttl=ttl, tags=tags) for ttl in (1, 2, 255)
    ]


def play(lab: Lab) -> None:
    """Decapsulation first, then encapsulation."""
    segment = lab.segments[0]
    arriving = _arriving(lab, 4, ()) + _arriving(lab, 6, ())
    question = arp_request(REMOTE_TENANT_MAC, "198.18.0.66", "198.18.0.77")
    arp = ether(LOCAL_HOST_MAC, REMOTE_TENANT_MAC, 0x0806, question)
    arriving += [_outer(lab, outer, vxlan(segment.vni, arp)) for outer in range(4)]
    send_frames(lab.remote, "underlay", arriving)

    leaving = _leaving(4, (), DSCPS) + _leaving(6, (), DSCPS)
    leaving.append(tenant_frame("DF not set", to_remote=True, flags_offset=0))
    leaving.append(ether(REMOTE_TENANT_MAC, LOCAL_HOST_MAC, 0x88B5, b"neither IPv4 nor IPv6"))
    send_frames(lab.local, segment.device, leaving)
    for address in (segment.remote4, segment.remote6):
        ping(lab.local, address, count=1, tos=0xB9, ttl=33)


def play_tagged(lab: Lab) -> None:
    """Decapsulation first, then encapsulation, behind several stacks of tags."""
    for tags in STACKS:
        send_frames(lab.remote, "underlay", _arriving(lab, 4, tags) + _arriving(lab, 6, tags))
    for tags in STACKS:
        send_frames(lab.local, lab.segments[0].device, _leaving(4, tags, (46,)) + _leaving(6, tags, (46,)))
