"""The frame check sequence of IEEE 802.3 clause 3.2.9, by zlib, for frames as they stand on a wire."""

import zlib

__all__ = ["MIN_FRAME_LENGTH", "append_fcs", "fcs", "strip_fcs"]

MIN_FRAME_LENGTH = 60
"""Shortest frame on a wire in bytes, without FCS (IEEE 802.3 clause 3.2.8)."""


def fcs(frame: bytes) -> bytes:
    """Return the four FCS bytes of ``frame``, the first on the wire first."""
    return zlib.crc32(frame).to_bytes(4, "little")


def append_fcs(frame: bytes, *, pad: bool = False, spoil: bool = False) -> bytes:
    """Return ``frame`` as a MAC sends it.

    Parameters
    ----------
    frame : bytes
        A frame without FCS.
    pad : bool
        Fill it up with zeros to 60 bytes first.
    spoil : bool
        Append the complement of the right FCS, as for a frame that is marked bad.
    """
    if pad:
        frame = frame.ljust(MIN_FRAME_LENGTH, b"\0")
    check = fcs(frame)
    return frame + (bytes(byte ^ 0xFF for byte in check) if spoil else check)


def strip_fcs(frame: bytes) -> tuple[bytes, bool]:
    """Return a received frame without its last four bytes, and whether they were its FCS."""
    return frame[:-4], len(frame) >= 4 and fcs(frame[:-4]) == frame[-4:]
