"""Frames made by hand, for what no socket sends: wrong lengths, odd flags, any ECN field.

Every function returns bytes; the keyword arguments override the right value of a field.
"""

import ipaddress
import struct

from .lab import LOCAL_HOST_MAC, REMOTE_TENANT_MAC


def mac(text: str) -> bytes:
    """Six bytes of ``aa:bb:..``."""
    return bytes.fromhex(text.replace(":", ""))


def checksum(data: bytes) -> int:
    """Internet checksum of RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ether(
    destination: str, source: str, ethertype: int, payload: bytes, tags: tuple[tuple[int, int], ...] = ()
) -> bytes:
    """Ethernet frame; ``tags`` are (TPID, TCI) from the outside in."""
    between = b"".join(struct.pack("!HH", tpid, tci) for tpid, tci in tags)
    return mac(destination) + mac(source) + between + struct.pack("!H", ethertype) + payload


def arp_request(sender_mac: str, sender: str, target: str) -> bytes:
    """Body of an ARP request for IPv4 over Ethernet."""
    ends = mac(sender_mac) + ipaddress.IPv4Address(sender).packed + bytes(6) + ipaddress.IPv4Address(target).packed
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + ends


def ipv4(
    source: str,
    destination: str,
    payload: bytes,
    *,
    protocol: int = 17,
    tos: int = 0,
    ttl: int = 64,
    flags_offset: int = 0x4000,
    ident: int = 0,
    options: bytes = b"",
    version: int = 4,
    ihl: int | None = None,
    length: int | None = None,
    checksum_error: int = 0,
) -> bytes:
    """IPv4 packet; ``checksum_error`` is added to the right header checksum."""
    head = struct.pack(
        "!BBHHHBBH4s4s",
        version << 4 | (5 + len(options) // 4 if ihl is None else ihl),
        tos,
        20 + len(options) + len(payload) if length is None else length,
        ident,
        flags_offset,
        ttl,
        protocol,
        0,
        ipaddress.IPv4Address(source).packed,
        ipaddress.IPv4Address(destination).packed,
    )
    head += options
    value = (checksum(head) + checksum_error) & 0xFFFF
    return head[:10] + struct.pack("!H", value) + head[12:] + payload


def ipv6(
    source: str,
    destination: str,
    payload: bytes,
    *,
    next_header: int = 17,
    traffic_class: int = 0,
    hop_limit: int = 64,
    version: int = 6,
    length: int | None = None,
) -> bytes:
    """IPv6 packet without extension headers (give them in front of the payload)."""
    word = version << 28 | traffic_class << 20
    head = struct.pack("!IHBB", word, len(payload) if length is None else length, next_header, hop_limit)
    return head + ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed + payload


def udp_sum(source: str, destination: str, datagram: bytes) -> int:
    """UDP checksum over the pseudo-header and the datagram, whose own checksum field is 0."""
    one, two = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    form = "!BBH" if one.version == 4 else "!IHBB"
    tail = (0, 17, len(datagram)) if one.version == 4 else (len(datagram), 0, 0, 17)
    return checksum(one.packed + two.packed + struct.pack(form, *tail) + datagram) or 0xFFFF


def udp(
    source_port: int,
    destination_port: int,
    payload: bytes,
    *,
    addresses: tuple[str, str] | None = None,
    length: int | None = None,
    checksum_error: int = 0,
) -> bytes:
    """UDP datagram, with a checksum where ``addresses`` are given, else with none."""
    size = 8 + len(payload) if length is None else length
    datagram = struct.pack("!HHHH", source_port, destination_port, size, 0) + payload
    if addresses is None:
        return datagram
    value = udp_sum(*addresses, datagram)
    value = (value + checksum_error) & 0xFFFF
    return datagram[:6] + struct.pack("!H", value) + payload


def vxlan(vni: int, inner: bytes, *, flags: int = 0x08, reserved1: int = 0, reserved2: int = 0) -> bytes:
    """VXLAN header and inner frame."""
    return struct.pack("!II", flags << 24 | reserved1, vni << 8 | reserved2) + inner


def tenant_frame(
    text: str,
    *,
    to_remote: bool = False,
    version: int = 4,
    tos: int = 0,
    ttl: int = 64,
    flags_offset: int = 0x4000,
    tags: tuple[tuple[int, int], ...] = (),
) -> bytes:
    """Make an inner frame which carries a UDP datagram with a text that says what it is there for.

    The addresses belong to no host of the laboratory, so no stack answers.
    """
    if version == 4:
        pair = ("198.18.0.66", "198.18.0.77")
        datagram = udp(1024, 2048, text.encode(), addresses=pair)
        ethertype, packet = 0x0800, ipv4(*pair, datagram, tos=tos, ttl=ttl, flags_offset=flags_offset)
    else:
        pair = ("2001:db8::66", "2001:db8::77")
        datagram = udp(1024, 2048, text.encode(), addresses=pair)
        ethertype, packet = 0x86DD, ipv6(*pair, datagram, traffic_class=tos, hop_limit=ttl)
    ends = (REMOTE_TENANT_MAC, LOCAL_HOST_MAC) if to_remote else (LOCAL_HOST_MAC, REMOTE_TENANT_MAC)
    return ether(*ends, ethertype, packet, tags)
