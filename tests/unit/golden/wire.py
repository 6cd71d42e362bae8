"""Frames put together byte by byte, and checked so: the second opinion on the golden model, without Scapy."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from vtep_host.config import Config, FdbEntry, Tunnel, Vni, Vtep

VTEP_MAC = bytes.fromhex("020000000001")
REMOTE_MAC = bytes.fromhex("020000000002")
HOST_A = bytes.fromhex("52540000000a")
HOST_B = bytes.fromhex("52540000000b")
BROADCAST = b"\xff" * 6
OWN4, OWN6 = ip_address("10.0.0.1"), ip_address("fd00::1")
LEAF4, LEAF6 = ip_address("10.0.0.2"), ip_address("fd00::2")
GROUP4, GROUP6 = ip_address("239.1.1.1"), ip_address("ff05::100")


def ones_sum(data: bytes) -> int:
    """RFC 1071: the one's complement sum of the 16-bit words of ``data``."""
    total = 0
    for i in range(0, len(data), 2):
        total += int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big")
        if total > 0xFFFF:
            total -= 0xFFFF
    return total


def ipv4(
    payload: bytes = b"",
    *,
    source: Any = "10.1.1.1",
    destination: Any = "10.1.1.2",
    protocol: int = 17,
    tos: int = 0,
    ttl: int = 64,
    flags: int = 0,
    identification: int = 0,
    options: bytes = b"",
    version: int = 4,
    ihl: int | None = None,
    length: int | None = None,
    checksum: int | None = None,
) -> bytes:
    """Return an IPv4 packet; ``flags`` is the whole word of flags and fragment offset."""
    words = 5 + len(options) // 4 if ihl is None else ihl
    total = 20 + len(options) + len(payload) if length is None else length
    header = bytes([version << 4 | words, tos]) + total.to_bytes(2, "big") + identification.to_bytes(2, "big")
    header += flags.to_bytes(2, "big") + bytes([ttl, protocol]) + b"\0\0"
    header += ip_address(source).packed + ip_address(destination).packed + options
    right = 0xFFFF - ones_sum(header)
    return header[:10] + (right if checksum is None else checksum).to_bytes(2, "big") + header[12:] + payload


def ipv6(
    payload: bytes = b"",
    *,
    source: Any = "fd01::1",
    destination: Any = "fd01::2",
    next_header: int = 17,
    traffic_class: int = 0,
    flow_label: int = 0,
    hop_limit: int = 64,
    version: int = 6,
    length: int | None = None,
) -> bytes:
    """Return an IPv6 packet."""
    first = version << 28 | traffic_class << 20 | flow_label
    size = len(payload) if length is None else length
    header = first.to_bytes(4, "big") + size.to_bytes(2, "big") + bytes([next_header, hop_limit])
    return header + ip_address(source).packed + ip_address(destination).packed + payload


def udp(
    payload: bytes = b"", *, source: int = 50000, destination: int = 4789, length: int | None = None, checksum: int = 0
) -> bytes:
    """Return a UDP datagram, by default without checksum."""
    size = 8 + len(payload) if length is None else length
    return b"".join(value.to_bytes(2, "big") for value in (source, destination, size, checksum)) + payload


def udp_sum(datagram: bytes, source: Any, destination: Any) -> int:
    """One's complement sum over pseudo-header and datagram: 0xFFFF where the checksum in it is right."""
    length = len(datagram)
    pseudo = ip_address(source).packed + ip_address(destination).packed
    if len(pseudo) == 8:
        pseudo += b"\0\x11" + length.to_bytes(2, "big")
    else:
        pseudo += length.to_bytes(4, "big") + b"\0\0\0\x11"
    return ones_sum(pseudo + datagram)


def summed(datagram: bytes, source: Any, destination: Any) -> bytes:
    """Return the datagram with the right checksum instead of 0."""
    checksum = 0xFFFF - udp_sum(datagram, source, destination) or 0xFFFF
    return datagram[:6] + checksum.to_bytes(2, "big") + datagram[8:]


def tag(vid: int, tpid: int = 0x8100, pcp: int = 0) -> bytes:
    """Return a VLAN tag, to stand in front of an EtherType."""
    return tpid.to_bytes(2, "big") + (pcp << 13 | vid).to_bytes(2, "big")


def ethernet(
    ethertype: int, payload: bytes = b"", *, destination: bytes = HOST_A, source: bytes = HOST_B, tags: bytes = b""
) -> bytes:
    """Return an Ethernet frame."""
    return destination + source + tags + ethertype.to_bytes(2, "big") + payload


def vxlan(inner: bytes, *, vni: int = 100, flags: int = 8, reserved1: int = 0, reserved2: int = 0) -> bytes:
    """Return the payload of a VXLAN datagram."""
    return bytes([flags]) + reserved1.to_bytes(3, "big") + vni.to_bytes(3, "big") + bytes([reserved2]) + inner


def underlay4(datagram: bytes, *, destination_mac: bytes = VTEP_MAC, tags: bytes = b"", **fields: Any) -> bytes:
    """Return a frame from LEAF4 to OWN4."""
    packet = ipv4(datagram, **({"source": LEAF4, "destination": OWN4} | fields))
    return ethernet(0x0800, packet, destination=destination_mac, source=REMOTE_MAC, tags=tags)


def underlay6(datagram: bytes, *, destination_mac: bytes = VTEP_MAC, tags: bytes = b"", **fields: Any) -> bytes:
    """Return a frame from LEAF6 to OWN6."""
    packet = ipv6(datagram, **({"source": LEAF6, "destination": OWN6} | fields))
    return ethernet(0x86DD, packet, destination=destination_mac, source=REMOTE_MAC, tags=tags)


INNER = ethernet(0x88B5, b"a frame that is not IP")

CONFIG = Config(
    vtep=Vtep(mac=VTEP_MAC, ipv4=OWN4, ipv6=OWN6),
    vnis=(
        Vni(id=100, flood=("leaf4", "leaf6")),
        Vni(id=200, vlan=20, flood=("group4",)),
        Vni(id=300, vlan=30, inner_vlan="discard"),
    ),
    tunnels=(
        Tunnel(name="leaf4", remote=LEAF4, remote_mac=REMOTE_MAC),
        Tunnel(name="leaf6", remote=LEAF6, remote_mac=REMOTE_MAC, udp_checksum=True),
        Tunnel(name="group4", remote=GROUP4, remote_mac=bytes.fromhex("01005e010101"), vlan=7),
        Tunnel(name="group6", remote=GROUP6, remote_mac=bytes.fromhex("333300000100"), udp_checksum=True),
    ),
    fdb=(
        FdbEntry(vni=100, mac=HOST_A, tunnel="leaf4"),
        FdbEntry(vni=100, mac=HOST_B, tunnel="leaf6"),
        FdbEntry(vni=200, mac=HOST_A, tunnel="leaf4"),
        FdbEntry(vni=300, mac=HOST_A, tunnel="leaf4"),
    ),
)


def with_vtep(**fields: Any) -> Config:
    """CONFIG with other fields in ``[vtep]``."""
    return replace(CONFIG, vtep=replace(CONFIG.vtep, **fields))


def with_tunnels(**fields: Any) -> Config:
    """CONFIG with other fields in every tunnel."""
    return replace(CONFIG, tunnels=tuple(replace(tunnel, **fields) for tunnel in CONFIG.tunnels))
