"""Capture files: read what tcpdump wrote, write pcap (micro- or nanoseconds) and pcapng."""

import struct
from dataclasses import dataclass
from pathlib import Path

PCAP_MICRO = 0xA1B2C3D4
PCAP_NANO = 0xA1B23C4D
LINKTYPE_ETHERNET = 1
SNAP_LENGTH = 262144
SECTION_HEADER, INTERFACE, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6


@dataclass(frozen=True)
class Packet:
    """One captured frame: nanoseconds since 1970, and its bytes without FCS."""

    time: int
    data: bytes


def read_pcap(path: Path) -> list[Packet]:
    """Frames of a little-endian pcap file; a snapped frame is an error."""
    raw = path.read_bytes()
    magic, _, _, _, _, _, linktype = struct.unpack_from("<IHHiIII", raw)
    if magic not in (PCAP_MICRO, PCAP_NANO) or linktype != LINKTYPE_ETHERNET:
        raise ValueError(f"{path}: not an Ethernet pcap file")
    unit = 1 if magic == PCAP_NANO else 1000
    packets = []
    at = 24
    while at < len(raw):
        seconds, fraction, captured, length = struct.unpack_from("<IIII", raw, at)
        if captured != length:
            raise ValueError(f"{path}: frame of {length} bytes is cut to {captured}")
        packets.append(Packet(seconds * 10**9 + fraction * unit, raw[at + 16 : at + 16 + captured]))
        at += 16 + captured
    return packets


def _read_pcapng(path: Path) -> list[Packet]:
    raw = path.read_bytes()
    packets = []
    at = 0
    while at < len(raw):
        kind, size = struct.unpack_from("<II", raw, at)
        if kind == ENHANCED_PACKET:
            _, high, low, captured, _ = struct.unpack_from("<IIIII", raw, at + 8)
            packets.append(Packet(high << 32 | low, raw[at + 28 : at + 28 + captured]))
        at += size
    return packets


def read_capture(path: Path) -> list[Packet]:
    """Frames of a file that `write_capture` or tcpdump on a little-endian machine made."""
    return _read_pcapng(path) if path.suffix == ".pcapng" else read_pcap(path)


def _pcap(packets: list[Packet], magic: int) -> bytes:
    unit = 1 if magic == PCAP_NANO else 1000
    parts = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, SNAP_LENGTH, LINKTYPE_ETHERNET)]
    for packet in packets:
        seconds, fraction = divmod(packet.time, 10**9)
        size = len(packet.data)
        parts += [struct.pack("<IIII", seconds, fraction // unit, size, size), packet.data]
    return b"".join(parts)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _pcapng(packets: list[Packet]) -> bytes:
    """One section, one interface, stamps in nanoseconds (option if_tsresol = 9)."""
    resolution = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
    parts = [
        _block(SECTION_HEADER, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        _block(INTERFACE, struct.pack("<HHI", LINKTYPE_ETHERNET, 0, SNAP_LENGTH) + resolution),
    ]
    for packet in packets:
        size = len(packet.data)
        head = struct.pack("<IIIII", 0, packet.time >> 32, packet.time & 0xFFFFFFFF, size, size)
        parts.append(_block(ENHANCED_PACKET, head + packet.data))
    return b"".join(parts)


def write_capture(path: Path, packets: list[Packet], form: str) -> None:
    """Write frames as ``pcap``, ``pcap-ns`` or ``pcapng``."""
    makers = {
        "pcap": lambda: _pcap(packets, PCAP_MICRO),
        "pcap-ns": lambda: _pcap(packets, PCAP_NANO),
        "pcapng": lambda: _pcapng(packets),
    }
    path.write_bytes(makers[form]())
