"""Frames put together byte by byte, as the RFCs draw them, and configuration writes for parts of the core."""

from collections.abc import Mapping
from typing import Any

from vtep.config import VtepParameters
from vtep.control.tables import Table, entry_key, entry_layout, table_plan

__all__ = ["ethernet", "ipv4", "ipv6", "ones_sum", "tag", "udp", "vxlan", "write_entry"]


def ones_sum(octets: bytes) -> int:
    """Ones' complement sum of 16-bit words (RFC 1071)."""
    total = sum(int.from_bytes(octets[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ethernet(
    payload: bytes, ethertype: int, *, destination: int = 0x020000000001, source: int = 0x020000000002
) -> bytes:
    """Frame without FCS."""
    return destination.to_bytes(6, "big") + source.to_bytes(6, "big") + ethertype.to_bytes(2, "big") + payload


def tag(frame: bytes, tci: int, tpid: int = 0x8100) -> bytes:
    """Put a tag behind the addresses of ``frame``."""
    return frame[:12] + tpid.to_bytes(2, "big") + tci.to_bytes(2, "big") + frame[12:]


def ipv4(
    payload: bytes,
    *,
    source: int = 0x0A000002,
    destination: int = 0x0A000001,
    protocol: int = 17,
    tos: int = 0,
    ttl: int = 64,
    word: int = 0x4000,
    identification: int = 0,
    options: bytes = b"",
) -> bytes:
    """IPv4 packet with a right checksum; ``word`` holds flags and fragment offset."""
    ihl = 5 + len(options) // 4
    header = bytes([0x40 | ihl, tos]) + (4 * ihl + len(payload)).to_bytes(2, "big")
    header += identification.to_bytes(2, "big") + word.to_bytes(2, "big") + bytes([ttl, protocol, 0, 0])
    header += source.to_bytes(4, "big") + destination.to_bytes(4, "big") + options
    return header[:10] + (0xFFFF - ones_sum(header)).to_bytes(2, "big") + header[12:] + payload


def ipv6(
    payload: bytes,
    *,
    source: int = 0xFD << 120 | 2,
    destination: int = 0xFD << 120 | 1,
    traffic_class: int = 0,
    hop_limit: int = 64,
    flow_label: int = 0,
) -> bytes:
    """IPv6 packet with UDP in it."""
    first = 6 << 28 | traffic_class << 20 | flow_label
    header = first.to_bytes(4, "big") + len(payload).to_bytes(2, "big") + bytes([17, hop_limit])
    return header + source.to_bytes(16, "big") + destination.to_bytes(16, "big") + payload


def udp(payload: bytes, *, source: int = 50000, destination: int = 4789, checksum: int = 0) -> bytes:
    """UDP datagram."""
    words = (source, destination, 8 + len(payload), checksum)
    return b"".join(word.to_bytes(2, "big") for word in words) + payload


def vxlan(frame: bytes, vni: int, flags: int = 8) -> bytes:
    """VXLAN header (RFC 7348 section 5) and frame."""
    return bytes([flags, 0, 0, 0]) + vni.to_bytes(3, "big") + b"\0" + frame


def entry_write(parameters: VtepParameters, table: Table, index: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `write_layout`; ``index``: in a hashed table, which of the key's locations."""
    layout = entry_layout(table, parameters)
    plan = table_plan(table, parameters)
    if plan is not None:
        whole = dict.fromkeys((name for name, _ in layout), 0) | values
        index = list(plan.locations(entry_key(table, parameters, whole)))[index]
    return {"table": table, "index": index, "entry": layout.const(values).as_bits()}


async def write_entry(
    ctx: Any, bus: Any, parameters: VtepParameters, table: Table, index: int, values: Mapping[str, Any]
) -> None:
    """Write a table entry through a `config_bus`; ``index``: in a hashed table, which of the key's locations."""
    ctx.set(bus.enable, 1)
    ctx.set(bus.write, entry_write(parameters, table, index, values))
    await ctx.tick()
    ctx.set(bus.enable, 0)
