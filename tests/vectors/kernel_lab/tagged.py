"""Frames with VLAN tags inside the tunnel, both ways."""

from .frames import arp_request, ether, ipv4, tenant_frame, udp
from .lab import LOCAL_HOST_MAC, REMOTE_TENANT_MAC, Lab
from .traffic import ping, send_frames

C_TAG, S_TAG = 0x8100, 0x88A8

STACKS: list[tuple[str, tuple[tuple[int, int], ...]]] = [
    ("no tag", ()),
    ("802.1Q VID 30", ((C_TAG, 30),)),
    ("802.1Q VID 30, PCP 5", ((C_TAG, 0xA000 | 30),)),
    ("802.1Q VID 30, DEI", ((C_TAG, 0x1000 | 30),)),
    ("priority tag, PCP 7", ((C_TAG, 0xE000),)),
    ("802.1Q VID 4094", ((C_TAG, 4094),)),
    ("802.1ad VID 40", ((S_TAG, 40),)),
    ("802.1ad VID 40, 802.1Q VID 50", ((S_TAG, 40), (C_TAG, 50))),
    ("802.1Q VID 50, 802.1Q VID 60", ((C_TAG, 50), (C_TAG, 60))),
    ("three tags", ((S_TAG, 40), (C_TAG, 50), (C_TAG, 60))),
]


def _frames(*, to_remote: bool) -> list[bytes]:
    ends = (REMOTE_TENANT_MAC, LOCAL_HOST_MAC) if to_remote else (LOCAL_HOST_MAC, REMOTE_TENANT_MAC)
    pair = ("198.18.0.66", "198.18.0.77")
    frames = []
    for text, stack in STACKS:
        frames += [tenant_frame(text, to_remote=to_remote, version=version, tags=stack) for version in (4, 6)]
        frames.append(ether(*ends, 0x0806, arp_request(ends[1], *pair), stack))
        datagram = udp(1024, 2048, bytes(1400), addresses=pair)
        frames.append(ether(*ends, 0x0800, ipv4(*pair, datagram), stack))
    # The TPID ends the frame: there is no tag, for no EtherType stands behind it.
    for trailer in (b"", b"\0", b"\0\x1e", b"\0\x1e\x08"):
        frames.append(ether(*ends, C_TAG, trailer))
    return frames


def play(lab: Lab) -> None:
    """Tagged frames to the remote end, then from it; an untagged ping last."""
    segment = lab.segments[0]
    send_frames(lab.local, segment.device, _frames(to_remote=True))
    send_frames(lab.remote, segment.device, _frames(to_remote=False))
    ping(lab.local, segment.remote4, count=2)
