"""Frames built and read byte by byte, from the RFCs alone.

Neither Scapy nor the golden model nor the gateware is used here, so that a directed test states what SPEC.md asks
for in its own words. Everything that a protocol allows to be wrong can be made wrong: lengths, checksums, versions.
"""

import struct
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

__all__ = [
    "ARP",
    "CTAG",
    "IPV4",
    "IPV6",
    "RSS_KEY",
    "STAG",
    "Encapsulated",
    "Underlay",
    "ethernet",
    "inner_tcp4",
    "ipv4",
    "ipv6",
    "l4",
    "mac",
    "ones_sum",
    "read_encapsulated",
    "toeplitz",
    "udp_sum",
]

IPV4 = 0x0800
IPV6 = 0x86DD
ARP = 0x0806
CTAG = 0x8100
STAG = 0x88A8

TCP, UDP, ICMP, SCTP = 6, 17, 1, 132

RSS_KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")
"""Key of Microsoft's RSS verification suite ("Verifying the RSS Hash Calculation")."""


def mac(text: str) -> bytes:
    """Six bytes of a MAC address written ``02:00:00:00:00:01``."""
    return bytes.fromhex(text.replace(":", ""))


def ones_sum(data: bytes) -> int:
    """One's complement sum of RFC 1071, folded to 16 bits, not inverted; an odd last byte is a high byte."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def toeplitz(data: bytes) -> int:
    """Toeplitz hash of receive-side scaling, 32 bits, with `RSS_KEY`."""
    key = int.from_bytes(RSS_KEY)
    window = 8 * len(RSS_KEY) - 32
    result = 0
    for i in range(8 * len(data)):
        if data[i // 8] >> (7 - i % 8) & 1:
            result ^= key >> (window - i) & 0xFFFFFFFF
    return result


def ethernet(dst: bytes, src: bytes, ethertype: int, payload: bytes = b"", *, tags=()) -> bytes:
    """An Ethernet frame without FCS and padding; ``tags`` are (TPID, TCI) pairs, outermost first."""
    inserted = b"".join(struct.pack(">HH", *tag) for tag in tags)
    return dst + src + inserted + struct.pack(">H", ethertype) + payload


def _packed(address: str | IPv4Address | IPv6Address | bytes) -> bytes:
    return address if isinstance(address, bytes) else ip_address(address).packed


def ipv4(
    src,
    dst,
    protocol: int,
    payload: bytes,
    *,
    ttl: int = 64,
    tos: int = 0,
    ident: int = 0,
    flags: int = 2,
    offset: int = 0,
    options: bytes = b"",
    version: int = 4,
    ihl: int | None = None,
    total_length: int | None = None,
    checksum: int | None = None,
    checksum_delta: int = 0,
) -> bytes:
    """An IPv4 packet. ``flags``: 4 reserved, 2 DF, 1 MF. ``checksum_delta`` is XORed onto the right checksum."""
    ihl = 5 + len(options) // 4 if ihl is None else ihl
    total_length = 20 + len(options) + len(payload) if total_length is None else total_length
    head = struct.pack(
        ">BBHHHBBH4s4s",
        version << 4 | ihl,
        tos,
        total_length & 0xFFFF,
        ident,
        flags << 13 | offset,
        ttl,
        protocol,
        0,
        _packed(src),
        _packed(dst),
    )
    if checksum is None:
        checksum = ones_sum((head + options)[: max(ihl, 5) * 4]) ^ 0xFFFF ^ checksum_delta
    return head[:10] + struct.pack(">H", checksum) + head[12:] + options + payload


def ipv6(
    src,
    dst,
    next_header: int,
    payload: bytes,
    *,
    hop_limit: int = 64,
    traffic_class: int = 0,
    flow_label: int = 0,
    version: int = 6,
    payload_length: int | None = None,
) -> bytes:
    """An IPv6 packet; extension headers, if any, are part of ``payload``."""
    payload_length = len(payload) if payload_length is None else payload_length
    first = version << 28 | traffic_class << 20 | flow_label
    return (
        struct.pack(">IHBB", first, payload_length & 0xFFFF, next_header, hop_limit)
        + _packed(src)
        + _packed(dst)
        + payload
    )


def l4(protocol: int, sport: int, dport: int, payload: bytes = b"") -> bytes:
    """A TCP, UDP or SCTP header with the given ports, plain otherwise (checksums 0), and ``payload``."""
    ports = struct.pack(">HH", sport, dport)
    match protocol:
        case 6:
            return ports + struct.pack(">IIBBHHH", 1, 2, 0x50, 0x10, 1024, 0, 0) + payload
        case 17:
            return ports + struct.pack(">HH", 8 + len(payload), 0) + payload
        case 132:
            return ports + struct.pack(">II", 7, 0) + payload
    raise ValueError(f"protocol must be 6, 17 or 132, not {protocol}")


def udp_sum(src, dst, datagram: bytes, length: int | None = None) -> int:
    """UDP checksum over the pseudo-header of either family and ``datagram``, as it is sent (never 0)."""
    src, dst = _packed(src), _packed(dst)
    length = len(datagram) if length is None else length
    pseudo = struct.pack(">BBH", 0, UDP, length) if len(src) == 4 else struct.pack(">II", length, UDP)
    return (ones_sum(src + dst + pseudo + datagram) ^ 0xFFFF) or 0xFFFF


def inner_tcp4(dst: bytes, src: bytes, *, payload: bytes = b"payload", tags=(), sport: int = 1025, **ip) -> bytes:
    """A plain tenant frame: TCP over IPv4 between two fixed hosts; keywords go to `ipv4`."""
    packet = ipv4("192.168.7.1", "192.168.7.2", TCP, l4(TCP, sport, 80, payload), **ip)
    return ethernet(dst, src, IPV4, packet, tags=tags)


@dataclass(frozen=True, kw_only=True)
class Underlay:
    """One VXLAN frame on the underlay, with every field open to be made wrong.

    ``bytes(Underlay(...))`` gives the frame. ``dst_ip`` chooses the family. ``udp_checksum``: a number, or "right"
    for the right one. ``ip_trailer`` lies behind the datagram inside the IP packet, ``trailer`` behind the IP
    packet (padding). ``body`` replaces UDP header and everything behind it. ``truncate`` cuts the finished frame.
    """

    inner: bytes = b""
    vni: int = 100
    flags: int = 0x08
    reserved1: int = 0
    reserved2: int = 0
    sport: int = 50000
    dport: int = 4789
    udp_length: int | None = None
    udp_checksum: int | str = 0
    checksum_delta: int = 0
    ip_trailer: bytes = b""
    protocol: int = UDP
    body: bytes | None = None
    src_ip: str = "10.0.0.2"
    dst_ip: str = "10.0.0.1"
    ip: dict = field(default_factory=dict)
    ethertype: int | None = None
    src: bytes = mac("02:00:00:00:00:02")
    dst: bytes = mac("02:00:00:00:00:01")
    tags: tuple = ()
    trailer: bytes = b""
    truncate: int | None = None

    def but(self, **changes) -> "Underlay":
        """The same frame with some fields changed."""
        return replace(self, **changes)

    def ecn(self, ecn: int) -> "Underlay":
        """The same frame with ``ecn`` as its outer ECN field."""
        return replace(self, ip=self.ip | {"tos" if ip_address(self.dst_ip).version == 4 else "traffic_class": ecn})

    def datagram(self) -> bytes:
        """UDP header, VXLAN header, inner frame."""
        payload = struct.pack(">II", self.flags << 24 | self.reserved1, self.vni << 8 | self.reserved2) + self.inner
        length = 8 + len(payload) if self.udp_length is None else self.udp_length
        header = struct.pack(">HHH", self.sport, self.dport, length & 0xFFFF)
        checksum = self.udp_checksum
        if checksum == "right":
            covered = (header + b"\0\0" + payload)[:length]
            checksum = udp_sum(self.src_ip, self.dst_ip, covered, length)
        return header + struct.pack(">H", int(checksum) ^ self.checksum_delta) + payload

    def __bytes__(self) -> bytes:
        body = self.datagram() if self.body is None else self.body
        body += self.ip_trailer
        if ip_address(self.dst_ip).version == 4:
            packet, ethertype = ipv4(self.src_ip, self.dst_ip, self.protocol, body, **self.ip), IPV4
        else:
            packet, ethertype = ipv6(self.src_ip, self.dst_ip, self.protocol, body, **self.ip), IPV6
        ethertype = ethertype if self.ethertype is None else self.ethertype
        frame = ethernet(self.dst, self.src, ethertype, packet + self.trailer, tags=self.tags)
        return frame[: self.truncate]


@dataclass(frozen=True)
class Encapsulated:
    """The fields of a well-formed encapsulated frame."""

    dst: bytes
    src: bytes
    tci: int | None
    version: int
    tos: int
    ident: int
    df: int
    ttl: int
    flow_label: int
    src_ip: str
    dst_ip: str
    ip_length: int
    sport: int
    dport: int
    udp_checksum: int
    vni: int
    inner: bytes

    @property
    def dscp(self) -> int:
        return self.tos >> 2

    @property
    def ecn(self) -> int:
        return self.tos & 3


def read_encapsulated(frame: bytes) -> Encapsulated:
    """Take an encapsulated frame apart.

    Raises
    ------
    AssertionError
        Something that SPEC.md section 3 rule 5 fixes is not so: EtherType, lengths, header checksum, a non-zero UDP
        checksum, protocol, fragment fields, VXLAN flags or reserved bits.
    """
    tci = None
    offset = 12
    (ethertype,) = struct.unpack_from(">H", frame, offset)
    if ethertype == CTAG:
        (tci, ethertype) = struct.unpack_from(">HH", frame, offset + 2)
        offset += 4
    packet = frame[offset + 2 :]
    ident = df = flow_label = 0
    if ethertype == IPV4:
        first, tos, length, ident, fragment, ttl, protocol, _sum = struct.unpack_from(">BBHHHBBH", packet)
        assert first == 0x45, f"version and IHL are {first:02x}"
        assert length == len(packet), f"total length {length}, packet {len(packet)}"
        assert ones_sum(packet[:20]) == 0xFFFF, "IPv4 header checksum"
        assert fragment & 0xBFFF == 0, f"fragment word {fragment:04x}"
        df = fragment >> 14
        src_ip, dst_ip, body = packet[12:16], packet[16:20], packet[20:]
    else:
        assert ethertype == IPV6, f"EtherType {ethertype:04x}"
        first, length, protocol, ttl = struct.unpack_from(">IHBB", packet)
        assert first >> 28 == 6, f"version {first >> 28}"
        assert length == len(packet) - 40, f"payload length {length}, payload {len(packet) - 40}"
        tos, flow_label = first >> 20 & 0xFF, first & 0xFFFFF
        src_ip, dst_ip, body = packet[8:24], packet[24:40], packet[40:]
    assert protocol == UDP, f"protocol {protocol}"
    sport, dport, udp_length, checksum = struct.unpack_from(">HHHH", body)
    assert udp_length == len(body), f"UDP length {udp_length}, datagram {len(body)}"
    if checksum:
        zeroed = body[:6] + b"\0\0" + body[8:]
        right = udp_sum(src_ip, dst_ip, zeroed)
        assert checksum == right, f"UDP checksum {checksum:04x}, should be {right:04x}"
    word0, word1 = struct.unpack_from(">II", body, 8)
    assert word0 == 0x08000000, f"VXLAN flags and reserved {word0:08x}"
    assert word1 & 0xFF == 0, f"VXLAN last byte {word1 & 0xFF:02x}"
    return Encapsulated(
        dst=frame[:6],
        src=frame[6:12],
        tci=tci,
        version=4 if ethertype == IPV4 else 6,
        tos=tos,
        ident=ident,
        df=df,
        ttl=ttl,
        flow_label=flow_label,
        src_ip=str(ip_address(src_ip)),
        dst_ip=str(ip_address(dst_ip)),
        ip_length=len(packet),
        sport=sport,
        dport=dport,
        udp_checksum=checksum,
        vni=word1 >> 8,
        inner=body[16:],
    )
