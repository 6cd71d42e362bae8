"""Congestion marks in tunnels: RFC 6040, and RFC 1624 for the checksum of a header that they change."""

from .inner import parse_inner

__all__ = ["CE", "ECT_0", "ECT_1", "NOT_ECT", "outer_ecn", "propagate_ecn", "update_checksum"]

NOT_ECT, ECT_1, ECT_0, CE = 0b00, 0b01, 0b10, 0b11


def outer_ecn(mode: str, inner_ecn: int) -> int:
    """Return the ECN field that a tunnel's mode gives the outer header (RFC 6040 section 4.1)."""
    if mode == "zero":
        return NOT_ECT
    if mode == "linux" and inner_ecn == CE:
        return ECT_0
    return inner_ecn


def propagate_ecn(inner: bytes, outer_ecn: int) -> bytes | None:
    """Return the inner frame with the outer ECN worked in by RFC 6040 figure 4, or None where that drops it."""
    parsed = parse_inner(inner)
    if not parsed.version:
        return inner
    inner_ecn = parsed.traffic_class & 3
    if outer_ecn == CE:
        if inner_ecn == NOT_ECT:
            return None
        ecn = CE
    elif outer_ecn == ECT_1 and inner_ecn == ECT_0:
        ecn = ECT_1
    else:
        ecn = inner_ecn
    if ecn == inner_ecn:
        return inner
    header = bytearray(inner[parsed.offset :])
    if parsed.version == 6:
        header[1] = header[1] & ~0x30 | ecn << 4
        return inner[: parsed.offset] + header
    before = int.from_bytes(header[0:2])
    after = before & ~3 | ecn
    header[0:2] = after.to_bytes(2)
    header[10:12] = update_checksum(int.from_bytes(header[10:12]), before, after).to_bytes(2)
    return inner[: parsed.offset] + header


def update_checksum(old: int, before: int, after: int) -> int:
    """RFC 1624 equation 3: the checksum of a header one word of which changes."""
    total = (~old & 0xFFFF) + (~before & 0xFFFF) + after
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
