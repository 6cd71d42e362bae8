"""Random frames for a configuration: mostly sensible, some at the edges, some broken on purpose."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from vtep.config import VtepParameters
from vtep_host.config import Config, Tunnel
from vtep_sim.cocotb.frames import (
    ARP,
    CTAG,
    ICMP,
    IPV4,
    IPV6,
    SCTP,
    STAG,
    TCP,
    UDP,
    Underlay,
    ethernet,
    ipv4,
    ipv6,
    l4,
    ones_sum,
)
from vtep_sim.golden import Frame

from .configs import BROADCAST, random_mac

__all__ = ["Traffic", "fix_ipv4_checksum", "mutate"]


def fix_ipv4_checksum(frame: bytes) -> bytes:
    """Make the outer IPv4 header's checksum right, where there is a whole header behind at most one tag."""
    offset = 14
    if frame[12:14] in (b"\x81\x00", b"\x88\xa8"):
        offset = 18
    if frame[offset - 2 : offset] != b"\x08\x00" or len(frame) < offset + 20:
        return frame
    end = offset + 4 * max(frame[offset] & 15, 5)
    if len(frame) < end:
        return frame
    header = frame[offset : offset + 10] + b"\0\0" + frame[offset + 12 : end]
    return frame[: offset + 10] + struct.pack(">H", ones_sum(header) ^ 0xFFFF) + frame[offset + 12 :]


def mutate(frame: bytes, rng: Random) -> bytes:
    """A frame with something broken in or near its headers."""
    data = bytearray(frame)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        reach = min(len(data), rng.choice([16, 48, 64, 100, 200]))
        if not reach:
            break
        at = rng.randrange(reach)
        match rng.randrange(9):
            case 0 | 1 | 2:
                data[at] ^= 1 << rng.randrange(8)
            case 3:
                data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, 4, 6, 0x45, 0x60, 17])
            case 4:
                data[at : at + 2] = rng.choice(
                    [b"\0\0", b"\xff\xff", b"\x81\x00", b"\x08\x00", b"\x86\xdd", b"\x88\xa8"]
                )
            case 5:
                del data[at:]
            case 6:
                del data[at : at + rng.randint(1, 8)]
            case 7:
                data[at:at] = rng.randbytes(rng.choice([1, 2, 4, 4, 8]))
            case 8:
                data += rng.randbytes(rng.randint(1, 80))
    data = bytes(data) or b"\0"
    return fix_ipv4_checksum(data) if rng.random() < 0.7 else data


@dataclass
class Traffic:
    """Random frames of each port for one configuration.

    ``budget`` bounds the beats of a list of frames, and ``largest`` the length of its frames (but for oversize ones).
    """

    parameters: VtepParameters
    config: Config
    rng: Random
    largest: int = 2000
    broken: float = 0.25

    def length(self) -> int:
        """Payload bytes of a frame."""
        rng = self.rng
        lanes = self.parameters.lanes
        match rng.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                n = rng.randint(0, 100)
            case 5 | 6:
                n = rng.randint(0, 3 * lanes)
            case 7 | 8 | 9:
                n = rng.randint(0, 600)
            case 10:
                n = lanes * rng.randint(1, 20) + rng.randint(-2, 2)
            case _:
                n = rng.randint(0, self.largest)
        return max(0, min(n, self.largest))

    def many(self, make: Callable[[], Frame], frames: int, beats: int) -> list[Frame]:
        """Up to ``frames`` frames of about ``beats`` beats together."""
        out: list[Frame] = []
        while len(out) < frames and beats > 0:
            frame = make()
            beats -= -(-len(frame.data) // self.parameters.lanes) + 1
            out.append(frame)
        return out

    def tags(self) -> tuple:
        """VLAN tags of a tenant frame."""
        rng = self.rng
        vlans = [v.vlan for v in self.config.vnis]
        vid = rng.choice(vlans) if vlans and rng.random() < 0.85 else rng.choice([0, 4095, rng.randrange(4096)])
        stack = [] if not vid and rng.random() < 0.8 else [(CTAG, rng.getrandbits(4) << 12 | vid)]
        while rng.random() < 0.12 and len(stack) < 4:
            stack.append((rng.choice([CTAG, STAG]), rng.getrandbits(16)))
        if rng.random() < 0.05:
            stack.insert(0, (STAG, rng.getrandbits(16)))
        return tuple(stack)

    def packet(self) -> tuple[int, bytes]:
        """EtherType and what is behind it, for an inner frame."""
        rng = self.rng
        n = self.length()
        payload = rng.randbytes(n)
        protocol = rng.choice([TCP, TCP, UDP, UDP, SCTP, ICMP, rng.randrange(256)])
        body = l4(protocol, rng.getrandbits(16), rng.getrandbits(16), payload) if protocol in (6, 17, 132) else payload
        match rng.randrange(10):
            case 0 | 1 | 2 | 3 | 4:
                fields = {
                    "tos": rng.getrandbits(8),
                    "ttl": rng.choice([0, 1, 64, 255, rng.randrange(256)]),
                    "ident": rng.getrandbits(16),
                    "flags": rng.choice([0, 2, 2, 2, 1, 3, 4]),
                    "offset": rng.choice([0, 0, 0, 0, 0, 1, 185]),
                }
                if rng.random() < 0.15:
                    fields["options"] = rng.randbytes(4 * rng.randint(1, 10))
                if rng.random() < 0.05:
                    fields["checksum"] = rng.choice([0, 0xFFFF, rng.getrandbits(16)])
                if rng.random() < 0.05:
                    fields["version"] = rng.randrange(16)
                if rng.random() < 0.05:
                    fields["ihl"] = rng.randrange(16)
                return IPV4, ipv4(rng.randbytes(4), rng.randbytes(4), protocol, body, **fields)
            case 5 | 6 | 7:
                fields = {
                    "traffic_class": rng.getrandbits(8),
                    "flow_label": rng.getrandbits(20),
                    "hop_limit": rng.getrandbits(8),
                }
                if rng.random() < 0.05:
                    fields["version"] = rng.randrange(16)
                return IPV6, ipv6(rng.randbytes(16), rng.randbytes(16), protocol, body, **fields)
            case 8:
                return ARP, rng.randbytes(max(28, n))
            case _:
                return rng.choice([0x88CC, IPV4, IPV6, 46, rng.getrandbits(16)]), payload

    def inner(self, tags: tuple) -> bytes:
        """An inner frame, sometimes cut off anywhere."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.4 and self.config.fdb:
            dst = rng.choice(self.config.fdb).mac
        elif kind < 0.7:
            dst = BROADCAST if rng.random() < 0.5 else random_mac(rng)
        else:
            dst = rng.randbytes(6)
        ethertype, packet = self.packet()
        frame = ethernet(dst, random_mac(rng), ethertype, packet, tags=tags)
        if rng.random() < 0.08:
            frame = frame[: rng.randint(1, min(len(frame), 90))]
        return frame

    def tenant(self) -> Frame:
        """A frame from a tenant."""
        rng = self.rng
        frame = self.inner(self.tags())
        if rng.random() < self.broken / 3:
            frame = mutate(frame, rng)
        return self._finished(frame)

    def _finished(self, frame: bytes) -> Frame:
        rng = self.rng
        if rng.random() < 0.004:
            over = self.parameters.max_frame_length - len(frame) + rng.choice([0, 1, 2, 70])
            frame += bytes(max(over, 0))
        return Frame(frame, rng.random() < 0.04)

    def _remote(self, version: int) -> Tunnel | None:
        return next(
            (
                t
                for t in self.rng.sample(self.config.tunnels, len(self.config.tunnels))
                if t.remote.version == version and not t.remote.is_multicast
            ),
            None,
        )

    def outer(self) -> Underlay:
        """VXLAN for us, well-formed."""
        rng = self.rng
        vtep = self.config.vtep
        version = 6 if vtep.ipv6 and rng.random() < 0.4 else 4
        own = vtep.ipv6 if version == 6 else vtep.ipv4
        remote = self._remote(version)
        groups = [t.remote for t in self.config.tunnels if t.remote.is_multicast and t.remote.version == version]
        strange = "fd00:9::9" if version == 6 else "10.99.0.9"
        number = rng.choice(self.config.vnis).id if self.config.vnis and rng.random() < 0.95 else rng.getrandbits(24)
        tags = tuple((rng.choice([CTAG, STAG]), rng.getrandbits(16)) for _ in range(rng.choice([0, 0, 0, 0, 1, 1, 2])))
        frame = Underlay(
            inner=self.inner(tags),
            vni=number,
            dport=vtep.udp_port,
            sport=rng.getrandbits(16),
            dst=vtep.mac if rng.random() < 0.85 else rng.choice([BROADCAST, b"\x01\0\x5e\0\0\1"]),
            src=random_mac(rng),
            src_ip=str(remote.remote) if remote and rng.random() < 0.9 else strange,
            dst_ip=str(rng.choice(groups)) if groups and rng.random() < 0.2 else str(own),
            udp_checksum="right" if version == 6 or rng.random() < 0.4 else 0,
            tags=((rng.choice([CTAG, STAG]), rng.getrandbits(16)),) if rng.random() < 0.3 else (),
            trailer=rng.randbytes(rng.choice([0, 0, 0, 1, 2, 5, rng.randint(0, 80)])),
            ip_trailer=rng.randbytes(rng.choice([0] * 8 + [1, 2, rng.randint(0, 80)])),
        )
        fields: dict = {"tos" if version == 4 else "traffic_class": rng.getrandbits(8)}
        if version == 4:
            fields |= {"ident": rng.getrandbits(16), "flags": rng.choice([0, 2, 4])}
            if rng.random() < 0.15:
                fields["options"] = rng.randbytes(4 * rng.randint(1, 10))
        return frame.but(ip=fields)

    def spoiled(self, frame: Underlay) -> Underlay:
        """The frame with one field set to something else."""
        rng = self.rng
        v4 = ":" not in frame.dst_ip
        n = rng.choice([-1, 1, 2, 8, -8, rng.randint(-60, 60)])
        size = len(frame.datagram()) + len(frame.ip_trailer)
        head = 20 + len(frame.ip.get("options", b""))
        changes: list[dict] = [
            {"dst": rng.randbytes(6)},
            {"dst": rng.choice([random_mac(rng), BROADCAST])},
            {"tags": tuple((rng.choice([CTAG, STAG]), rng.getrandbits(16)) for _ in range(rng.randint(1, 3)))},
            {"ethertype": rng.choice([ARP, IPV4, IPV6, 0x8100, rng.getrandbits(16)])},
            {"ip": frame.ip | {"version": rng.randrange(16)}},
            {"dst_ip": rng.choice(["10.0.0.1", "239.1.1.1", "1.2.3.4"] if v4 else ["fd00::1", "ff05::1", "fe80::1"])},
            {"protocol": rng.choice([ICMP, TCP, 0, 44, 58, rng.randrange(256)])},
            {"dport": rng.choice([4789, 8472, 53, rng.getrandbits(16)])},
            {"udp_length": max(0, len(frame.datagram()) + n)},
            {"udp_length": rng.randrange(24)},
            {"udp_checksum": rng.choice([0, 1, 0xFFFF, "right", rng.getrandbits(16)])},
            {"checksum_delta": 1 << rng.randrange(16)},
            {"flags": rng.choice([0, 0xFF, 8, rng.getrandbits(8)])},
            {"reserved1": rng.choice([1, 0x800000, rng.getrandbits(24)])},
            {"reserved2": rng.choice([1, 0x80, rng.getrandbits(8)])},
            {"vni": rng.getrandbits(24)},
            {"inner": frame.inner[: rng.randint(0, 20)]},
            {"body": frame.datagram()[: rng.randint(0, 18)]},
            {"truncate": rng.randint(1, 120)},
            {"truncate": max(1, len(bytes(frame)) - rng.randint(1, 12))},
        ]
        if v4:
            changes += [
                {"ip": frame.ip | {"ihl": rng.randrange(16)}},
                {"ip": frame.ip | {"checksum_delta": 1 << rng.randrange(16)}},
                {"ip": frame.ip | {"total_length": max(0, head + size + n)}},
                {"ip": frame.ip | {"total_length": rng.randrange(48)}},
                {"ip": frame.ip | {"flags": rng.choice([1, 3, 0])}},
                {"ip": frame.ip | {"offset": rng.choice([1, 0x1FFF, rng.getrandbits(13)])}},
            ]
        else:
            changes += [
                {"ip": frame.ip | {"payload_length": max(0, size + n)}},
                {"ip": frame.ip | {"payload_length": rng.randrange(32)}},
            ]
        return frame.but(**rng.choice(changes))

    def underlay(self) -> Frame:
        """A frame from the underlay."""
        rng = self.rng
        outer = self.outer()
        if rng.random() < 0.06:
            own, src = self.config.vtep.mac, random_mac(rng)
            ethertype, packet = self.packet()
            return self._finished(ethernet(own, src, ethertype, packet))
        if rng.random() < self.broken:
            outer = self.spoiled(outer)
        frame = bytes(outer)
        if rng.random() < self.broken / 2:
            frame = mutate(frame, rng)
        return self._finished(frame)

    def host(self) -> Frame:
        """A frame from the host stack."""
        rng = self.rng
        return Frame(rng.randbytes(max(1, self.length())), rng.random() < 0.04)
