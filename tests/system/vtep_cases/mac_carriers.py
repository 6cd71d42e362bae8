"""What a line brings to a MAC, frames made by Scapy and zlib, and what has to become of it."""

import zlib
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

__all__ = ["DELIMITER", "HEAD", "PREAMBLE", "Carrier", "Outcome", "carrier", "cut", "fcs", "outcome", "scapy_frame"]

PREAMBLE, DELIMITER = 0x55, 0xD5
HEAD = bytes([PREAMBLE] * 7 + [DELIMITER])
MIN_LENGTH, FCS_LENGTH = 60, 4
MOST = (1 << 15) - 1
"""What a count of bytes ends at."""
BROADCAST = b"\xff" * 6


class Carrier(NamedTuple):
    """Bytes while the line is not idle, preamble included, and the places of those that come with an error."""

    content: bytes
    errors: tuple[int, ...] = ()


class Outcome(NamedTuple):
    """What a MAC says of a frame, and, unless there is no room for it, the frame itself.

    That is: as the MAC gives it, without FCS; whether it is marked; as it is sent on, with padding and FCS.
    """

    report: dict[str, int]
    body: bytes = b""
    marked: bool = False
    wire: bytes | None = None


def fcs(frame: bytes) -> bytes:
    """The FCS in the order of the wire."""
    return zlib.crc32(frame).to_bytes(FCS_LENGTH, "little")


def carrier(frame: bytes, *, preamble: int = 7, spoil: int = 0, errors: Iterable[int] = ()) -> Carrier:
    """``frame`` with its FCS, xored with ``spoil``; ``errors`` count from the frame's first byte."""
    head = bytes([PREAMBLE] * preamble + [DELIMITER])
    spoiled = (zlib.crc32(frame) ^ spoil).to_bytes(FCS_LENGTH, "little")
    return Carrier(head + frame + spoiled, tuple(len(head) + place for place in errors))


def cut(whole: Carrier, place: int) -> Carrier:
    """Only so many bytes of a carrier."""
    return Carrier(whole.content[:place], tuple(error for error in whole.errors if error < place))


def outcome(carrier: Carrier, longest: int, room: int, *, columns: bool = False) -> Outcome | None:
    """What a MAC makes of a carrier, by IEEE 802.3 and RFC 2819; None if that is no frame.

    ``longest``: bytes of the longest frame without FCS; ``room``: those that its buffer holds; ``columns``: on an
    XGMII, where the preamble has its length.
    """
    content, errors = carrier
    start = next((place for place, byte in enumerate(content) if byte != PREAMBLE), len(content))
    frame = content[start + 1 :]
    if content[start : start + 1] != bytes([DELIMITER]) or not frame or any(error <= start for error in errors):
        return None
    if columns and start != len(HEAD) - 1:
        return None
    # With fewer than 5 bytes, there is no frame in front of the FCS: the MAC keeps some of it, which is all the same.
    body = frame[:-FCS_LENGTH] if len(frame) > FCS_LENGTH else frame if columns else frame[-1:]
    fcs_error = bool(errors) or len(frame) <= FCS_LENGTH or fcs(body) != frame[-FCS_LENGTH:]
    report = {
        "length": min(len(frame), MOST),
        "fcs_error": int(fcs_error),
        "too_short": int(len(frame) < MIN_LENGTH + FCS_LENGTH),
        "too_long": int(len(frame) > longest + FCS_LENGTH),
        "multicast": frame[0] & 1 & (frame[:6] != BROADCAST[: len(frame)]),
        "broadcast": int(frame[:6] == BROADCAST[: len(frame)]),
        "dropped": int(len(body) > room),
    }
    if report["dropped"]:
        return Outcome(report)
    padded = body.ljust(MIN_LENGTH, b"\0")
    marked = bool(report["fcs_error"] or report["too_short"] or report["too_long"])
    wire = padded + (bytes(byte ^ 0xFF for byte in fcs(padded)) if marked else fcs(padded))
    return Outcome(report, body, marked, wire)


def scapy_frame(rng: Random, length: int) -> bytes:
    """Make a frame of so many bytes without FCS, at least 60, of any of the usual protocols."""
    source = bytes([rng.randrange(256) & 0xFE | 2]) + rng.randbytes(5)
    target = rng.choice(
        (bytes([rng.randrange(256) & 0xFE]) + rng.randbytes(5), b"\x01\0\x5e" + rng.randbytes(3), BROADCAST)
    )
    head = Ether(src=source.hex(":"), dst=target.hex(":"))
    if rng.random() < 0.3:
        head /= Dot1Q(vlan=rng.randrange(1, 4095), prio=rng.randrange(8))
    body = rng.choice(
        (
            ARP(pdst="192.0.2.1"),
            IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=rng.randrange(65536), dport=4789),
            IP(src="192.0.2.1", dst="192.0.2.2") / TCP(seq=rng.getrandbits(32)),
            IP(src="192.0.2.1", dst="192.0.2.2") / ICMP(id=rng.randrange(65536)),
        )
        if length < 80
        else (IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(dport=rng.randrange(65536)),)
    )
    frame = head / body
    return bytes(frame / Raw(rng.randbytes(length - len(frame))))
