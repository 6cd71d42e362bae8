"""The 10 gigabit media-independent interface, two columns of four lanes a clock (IEEE 802.3 clause 46)."""

from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from .gmii import PREAMBLE, SFD

__all__ = [
    "ALL_CONTROL",
    "COLUMN",
    "ERROR",
    "FIRST_HALF",
    "IDLE",
    "IDLES",
    "LANES",
    "LOCAL_FAULT",
    "REMOTE_FAULT",
    "SECOND_HALF",
    "SEQUENCE",
    "START",
    "TERMINATE",
    "XgmiiRx",
    "XgmiiTx",
    "column",
]

LANES = 8
COLUMN = 4
"""Lanes of a column, which is 32 bits of the clause's XGMII; two of them make a clock of 156.25 MHz."""

# Control characters (clause 46.3.2.2, table 46-3)
IDLE, SEQUENCE, START, TERMINATE, ERROR = 0x07, 0x9C, 0xFB, 0xFD, 0xFE


def column(*lanes: int) -> int:
    """Bytes as a number, lane 0 in the low bits."""
    return int.from_bytes(bytes(lanes), "little")


FIRST_HALF, SECOND_HALF = column(START, *[PREAMBLE] * 3), column(*[PREAMBLE] * 3, SFD)
"""The columns in front of a frame: the start character stands for the first byte of the preamble (clause 46.2.2)."""

LOCAL_FAULT, REMOTE_FAULT = column(SEQUENCE, 0, 0, 1), column(SEQUENCE, 0, 0, 2)
"""Sequence ordered sets, lane 0 being a control character (clause 46.3.4, table 46-5)."""

IDLES, ALL_CONTROL = column(*[IDLE] * LANES), (1 << LANES) - 1
"""A word of nothing."""

XgmiiRx = wiring.Signature({"rxd": Out(8 * LANES), "rxc": Out(LANES)})
"""Lane 0, the low 8 bits, is the first on the line; ``rxc`` says for each lane whether it is a control character."""

XgmiiTx = wiring.Signature({"txd": Out(8 * LANES, init=IDLES), "txc": Out(LANES, init=ALL_CONTROL)})
"""As `XgmiiRx`; idle out of reset."""
