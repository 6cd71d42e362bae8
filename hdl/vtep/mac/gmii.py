"""The gigabit media-independent interface as the MAC sees it, whatever pins carry it (IEEE 802.3 clause 35)."""

from amaranth.lib import enum, wiring
from amaranth.lib.wiring import Out

__all__ = ["PREAMBLE", "PREAMBLE_LENGTH", "SFD", "GmiiRx", "GmiiTx", "Speed"]

PREAMBLE = 0x55
SFD = 0xD5
"""Start frame delimiter (clause 35.2.3.2 and 4.2.6: the bits in the order of the wire, low bit first)."""

PREAMBLE_LENGTH = 7
"""Bytes of preamble that are sent; fewer may arrive."""


class Speed(enum.Enum, shape=2):
    """Link speed, as RGMII's in-band status codes it (RGMII 2.0, table 4)."""

    MBPS_10 = 0
    MBPS_100 = 1
    MBPS_1000 = 2


GmiiRx = wiring.Signature({"enable": Out(1), "rxd": Out(8), "rx_dv": Out(1), "rx_er": Out(1)})
"""A byte from the line in each clock with ``enable``; all clocks at 1000 Mb/s with a clock of 125 MHz."""

GmiiTx = wiring.Signature({"txd": Out(8), "tx_en": Out(1), "tx_er": Out(1)})
"""A byte for the line. What paces it goes the other way, as ``enable`` of the component that takes it."""
