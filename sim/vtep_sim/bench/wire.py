"""Ethernet on a wire: what a frame takes up there, how many fit into a second, and mixtures of sizes.

Sizes are those of the RFCs, with FCS; lengths are those at the core's ports, without it.
"""

from collections.abc import Mapping

__all__ = [
    "CUSTOM_LETTERS",
    "FCS",
    "IMIX",
    "JUMBO",
    "LETTERS",
    "OVERHEAD",
    "SHORTEST",
    "SIZES",
    "frame_rate",
    "line_rate",
    "sizes_of",
    "wire_bytes",
]

PREAMBLE, FCS, GAP = 8, 4, 12
"""Bytes: preamble with start delimiter, frame check sequence, least gap between frames."""

OVERHEAD = PREAMBLE + FCS + GAP
"""Bytes that a wire spends on a frame beside those at the core's port."""

SHORTEST = 60
"""Bytes without FCS to which a MAC fills up."""

SIZES = (64, 128, 256, 512, 1024, 1280, 1518)
"""RFC 2544, section 9.1."""

JUMBO = 9018
"""An inner packet of 9000 bytes."""

LETTERS = dict(zip("abcdefg", SIZES, strict=True))
"""RFC 6985, section 4."""

IMIX = "aaaaaaaAAAAg"
"""Genome of the simple IMIX, seven to four to one, in the notation of RFC 6985 with a size of our own."""

CUSTOM_LETTERS = {"A": 570}


def wire_bytes(length: int) -> int:
    """Bytes that a frame's time on the wire is worth, from its preamble to the end of the gap behind it."""
    return max(length, SHORTEST) + OVERHEAD


def line_rate(data_width: int, clock_mhz: float) -> float:
    """Bits a second of the wire that brings as much as a port of the core takes: a full beat in every clock."""
    return data_width * clock_mhz * 1e6


def frame_rate(bits_per_second: float, length: int) -> float:
    """Most frames of one length that such a wire carries in a second."""
    return bits_per_second / (8 * wire_bytes(length))


def sizes_of(genome: str, custom: Mapping[str, int] = CUSTOM_LETTERS) -> tuple[int, ...]:
    """Sizes of the frames that a genome stands for, in order."""
    return tuple({**LETTERS, **custom}[letter] for letter in genome)
