"""One frame per check of decapsulation; the inner payload says what is odd about its frame."""

import struct

from .frames import ether, ipv4, ipv6, mac, tenant_frame, udp, vxlan
from .lab import LOCAL_HOST_MAC, REMOTE_TENANT_MAC, Lab
from .traffic import send_frames

PORT = 4789


class _Maker:
    """Frames to the local end, each field right unless overridden."""

    def __init__(self, lab: Lab) -> None:
        self.vtep, self.tunnel, self.segment = lab.config["vtep"], lab.config["tunnel"][0], lab.segments[0]
        self.v4 = self.segment.family == 4
        self.here = self.vtep["ipv4" if self.v4 else "ipv6"]
        self.there = self.tunnel["remote"]
        self.pair = (self.there, self.here)
        self.frames: list[bytes] = []

    def inner(self, text: str, **fields: object) -> bytes:
        return vxlan(self.segment.vni, tenant_frame(text), **fields)  # type: ignore[arg-type]

    def datagram(self, payload: bytes, *, port: int = PORT, checksum: bool | None = None, **fields: int) -> bytes:
        """UDP as the family wants it: without a checksum over IPv4, with one over IPv6."""
        wanted = not self.v4 if checksum is None else checksum
        return udp(50000, port, payload, addresses=self.pair if wanted else None, **fields)

    def packet(self, payload: bytes, **fields: object) -> bytes:
        if self.v4:
            return ipv4(*self.pair, payload, **fields)  # type: ignore[arg-type]
        return ipv6(*self.pair, payload, **fields)  # type: ignore[arg-type]

    def add(self, packet: bytes, *, destination: str | None = None, tags: tuple[tuple[int, int], ...] = ()) -> None:
        ethertype = 0x0800 if self.v4 else 0x86DD
        frame = ether(destination or self.vtep["mac"], self.tunnel["remote_mac"], ethertype, packet, tags)
        self.frames.append(frame)


def _ethernet(make: _Maker) -> None:
    def good(text: str) -> bytes:
        return make.packet(make.datagram(make.inner(text)))

    make.add(good("all right"))
    make.add(good("another station's MAC"), destination="02:00:00:00:00:99")
    make.add(good("broadcast MAC"), destination="ff:ff:ff:ff:ff:ff")
    make.add(good("priority tag"), tags=((0x8100, 0),))
    make.add(good("bytes behind the IP packet") + b"behind")
    make.frames.append(make.frames[0][:14])
    make.frames.append(ether(make.vtep["mac"], make.tunnel["remote_mac"], 0x88B5, b"another EtherType"))
    make.frames.append(mac(make.vtep["mac"]) + mac(make.tunnel["remote_mac"]) + b"\0\x03LLC")


def _udp_and_vxlan(make: _Maker) -> None:
    def add(text: str, **fields: object) -> None:
        make.add(make.packet(make.datagram(make.inner(text), **fields)))  # type: ignore[arg-type]

    add("another UDP port", port=PORT + 1)
    add("UDP checksum right", checksum=True)
    add("UDP checksum wrong", checksum=True, checksum_error=1)
    add("no UDP checksum", checksum=False)
    for length in (0, 7, 8, 15):
        add(f"UDP length {length}", length=length)
    whole = 8 + len(make.inner("UDP length + 1"))
    add("UDP length + 1", length=whole + 1)
    make.add(make.packet(make.datagram(make.inner("bytes behind the UDP datagram")) + b"behind"))
    make.add(make.packet(b"1234567"))

    for text, fields in (
        ("I flag not set", {"flags": 0}),
        ("another flag alone", {"flags": 0x04}),
        ("another flag too", {"flags": 0x0C}),
        ("all flags", {"flags": 0xFF}),
        ("reserved bits behind the flags", {"reserved1": 1}),
        ("reserved bits behind the VNI", {"reserved2": 0x80}),
    ):
        make.add(make.packet(make.datagram(make.inner(text, **fields))))
    unknown = vxlan(make.segment.vni ^ 0x800000, tenant_frame("unknown VNI"))
    make.add(make.packet(make.datagram(unknown)))
    for length in (0, 1, 13, 14, 15, 33, 34):
        make.add(make.packet(make.datagram(vxlan(make.segment.vni, tenant_frame(f"inner cut to {length}")[:length]))))
    own_source = ether(REMOTE_TENANT_MAC, LOCAL_HOST_MAC, 0x88B5, b"inner source is the local host")
    make.add(make.packet(make.datagram(vxlan(make.segment.vni, own_source))))
    length_field = ether(LOCAL_HOST_MAC, REMOTE_TENANT_MAC, 0x0018, b"inner frame with LLC type")
    make.add(make.packet(make.datagram(vxlan(make.segment.vni, length_field))))
    add("all right again")


def _ipv4(make: _Maker) -> None:
    def add(text: str, **fields: object) -> None:
        make.add(make.packet(make.datagram(make.inner(text)), **fields))

    add("IP version 5", version=5)
    add("IHL 4", ihl=4)
    add("IHL beyond the options", ihl=15)
    add("IP header checksum wrong", checksum_error=1)
    add("IP options: NOP", options=b"\x01" * 4)
    add("IP options: 40 bytes", options=b"\x01" * 39 + b"\0")
    size = 20 + len(make.datagram(make.inner("IP length + 1")))
    add("IP length + 1", length=size + 1)
    add("IP length 19", length=19)
    add("IP length 20", length=20)
    add("IP length 27", length=27)
    add("IP length - 8", length=size - 8)
    add("another protocol", protocol=253)
    add("TTL 1", ttl=1)
    add("TTL 0", ttl=0)
    add("TOS 0xB8", tos=0xB8)
    add("DF not set, ID 0x1234", flags_offset=0, ident=0x1234)
    add("reserved flag of IPv4", flags_offset=0xC000)
    for text, pair in (
        ("another destination", (make.there, "10.0.0.77")),
        ("source not a neighbour", ("198.51.100.9", make.here)),
        ("source 0.0.0.0", ("0.0.0.0", make.here)),
        ("source 127.0.0.1", ("127.0.0.1", make.here)),
        ("source is ourselves", (make.here, make.here)),
    ):
        make.add(ipv4(pair[0], pair[1], udp(50000, PORT, make.inner(text))))
    whole = make.datagram(make.inner("two fragments, padded to a length that parts at 48".ljust(60, ".")))
    make.add(ipv4(*make.pair, whole[:48], flags_offset=0x2000, ident=7))
    make.add(ipv4(*make.pair, whole[48:], flags_offset=48 // 8, ident=7))


def _ipv6(make: _Maker) -> None:
    def add(text: str, **fields: object) -> None:
        make.add(make.packet(make.datagram(make.inner(text)), **fields))

    add("IP version 4", version=4)
    size = len(make.datagram(make.inner("payload length + 1")))
    add("payload length + 1", length=size + 1)
    add("payload length 0", length=0)
    add("payload length 7", length=7)
    add("payload length - 8", length=size - 8)
    add("another next header", next_header=253)
    add("hop limit 1", hop_limit=1)
    add("traffic class 0xB8", traffic_class=0xB8)
    for text, pair in (
        ("another destination", (make.there, "fd00::77")),
        ("source not a neighbour", ("2001:db8:9::9", make.here)),
        ("source is ourselves", (make.here, make.here)),
    ):
        make.add(ipv6(pair[0], pair[1], udp(50000, PORT, make.inner(text), addresses=pair)))
    hop_by_hop = struct.pack("!BB", 17, 0) + b"\x01\x04\0\0\0\0"
    datagram = make.datagram(make.inner("hop-by-hop options"))
    make.add(ipv6(*make.pair, hop_by_hop + datagram, next_header=0))
    datagram = make.datagram(make.inner("destination options"))
    make.add(ipv6(*make.pair, hop_by_hop + datagram, next_header=60))
    fragment = struct.pack("!BBHI", 17, 0, 0, 7)
    datagram = make.datagram(make.inner("atomic fragment"))
    make.add(ipv6(*make.pair, fragment + datagram, next_header=44))


def play(lab: Lab) -> None:
    """Send the frames from the remote end's place on the wire."""
    make = _Maker(lab)
    _ethernet(make)
    (_ipv4 if make.v4 else _ipv6)(make)
    _udp_and_vxlan(make)
    send_frames(lab.remote, "underlay", make.frames)
