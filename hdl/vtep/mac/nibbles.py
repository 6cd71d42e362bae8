"""Bytes out of nibbles, as MII and RGMII bring them at 100 and 10 Mb/s: low nibble first (IEEE 802.3 clause 22.2.3)."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value

from .gmii import SFD

__all__ = ["join_nibbles"]


def join_nibbles(m: Module, gmii: Any, nibble: Value, valid: Value, error: Value) -> None:
    """Set ``rxd``, ``rx_er`` and ``enable`` of a `GmiiRx`, from a nibble each clock.

    Nibbles are put together in pairs from the start frame delimiter on, wherever that falls, as a PHY may have
    shortened the preamble by a nibble. ``enable`` is high in every clock but for the first nibble of each byte.
    """
    first, first_error = Signal(4, reset_less=True), Signal(reset_less=True)
    second = Signal()  # the nibble at hand is the second one of a byte
    aligned = Signal()  # the delimiter was there
    delimiter = ~aligned & (nibble == SFD >> 4) & (first == SFD & 0xF)
    m.d.sync += [
        first.eq(nibble),
        first_error.eq(error),
        second.eq(valid & ~(second | delimiter)),
        aligned.eq(valid & (aligned | delimiter)),
        # A frame that ends with half a byte ends at once.
        gmii.enable.eq(~valid | second | delimiter),
        gmii.rxd.eq(Cat(first, nibble)),
        gmii.rx_er.eq(error | (second & first_error)),
    ]
