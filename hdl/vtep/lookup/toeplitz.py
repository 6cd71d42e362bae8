"""The Toeplitz hash of receive-side scaling, by which flows choose their UDP source port."""

from functools import reduce
from operator import xor
from typing import Any

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RSS_KEY", "ToeplitzHash"]

RSS_KEY = bytes.fromhex(
    "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa",
)
"""Secret key of Microsoft's published verification suite for RSS hashing (Windows driver documentation)."""

DATA_BITS = 288
HASH_BITS = 32
GROUP_BITS = 24


class ToeplitzHash(wiring.Component):
    """Toeplitz hash of 36 bytes under `RSS_KEY`, one per clock.

    For every 1 among the data bits, counted from the first, the 32 key bits from that position on are
    added modulo 2 to the result. Zero bytes at the end contribute nothing, so shorter inputs are padded with them.

    Attributes
    ----------
    data : Signal(288), in
        Numbered as the RSS suite does: the first byte on the wire is the MOST significant one, and in it
        the most significant bit is the first.
    hash : Signal(32), out
        Valid ``latency`` clocks after ``data``.
    latency : int
        2 clocks. One hash per clock.

    The pipeline holds no state beyond ``latency`` clocks; reset is not needed.
    """

    latency = 2

    def __init__(self) -> None:
        super().__init__({"data": In(DATA_BITS), "hash": Out(HASH_BITS)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        key = int.from_bytes(RSS_KEY, "big")
        key_bits = 8 * len(RSS_KEY)
        partial: list[Signal] = []
        for start in range(0, DATA_BITS, GROUP_BITS):
            group = Signal(HASH_BITS, name=f"partial_{start}", reset_less=True)
            for bit in range(HASH_BITS):
                # Data bit n (from the first) meets the key bits n .. n + 31, the first of which is hash bit 31.
                terms: list[Value] = [
                    self.data[DATA_BITS - 1 - n]
                    for n in range(start, start + GROUP_BITS)
                    if key >> (key_bits - 1 - n - (HASH_BITS - 1 - bit)) & 1
                ]
                m.d.sync += group[bit].eq(reduce(xor, terms, Const(0, 1)))
            partial.append(group)
        m.d.sync += self.hash.eq(reduce(xor, partial))
        return m
