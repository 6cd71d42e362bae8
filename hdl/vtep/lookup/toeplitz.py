"""The Toeplitz hash of receive-side scaling, by which flows choose their UDP source port."""

from functools import reduce
from operator import xor
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RSS_KEY", "SerialToeplitzHash", "ToeplitzHash"]

RSS_KEY = bytes.fromhex(
    "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa",
)
"""Secret key of Microsoft's published verification suite for RSS hashing (Windows driver documentation)."""

DATA_BITS = 288
HASH_BITS = 32
GROUP_BITS = 24
STEP_BITS = 8
"""Bits of the hash that the serial one finds in a clock."""


def _key_bit(place: int) -> int:
    """A bit of the key, counted from the first."""
    return RSS_KEY[place // 8] >> (7 - place % 8) & 1


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
        partial: list[Signal] = []
        for start in range(0, DATA_BITS, GROUP_BITS):
            group = Signal(HASH_BITS, name=f"partial_{start}", reset_less=True)
            for bit in range(HASH_BITS):
                # Data bit n (from the first) meets the key bits n .. n + 31, the first of which is hash bit 31.
                terms: list[Value] = [
                    self.data[DATA_BITS - 1 - n]
                    for n in range(start, start + GROUP_BITS)
                    if _key_bit(n + HASH_BITS - 1 - bit)
                ]
                m.d.sync += group[bit].eq(reduce(xor, terms, Const(0, 1)))
            partial.append(group)
        m.d.sync += self.hash.eq(reduce(xor, partial))
        return m


class SerialToeplitzHash(wiring.Component):
    """Toeplitz hash of 36 bytes under `RSS_KEY`, eight of its bits a clock: half as large as `ToeplitzHash`.

    A bit of the hash is the sum of the data bits that meet a 1 of the key. For the next bits of the hash the data moves
    along the key, which stays: so the same sums serve for all.

    Attributes
    ----------
    load : Signal(), in
        Take ``data`` in this clock; 4 clocks apart at least.
    data : Signal(288), in
        As `ToeplitzHash` has it.
    hash : Signal(32), out
        Valid ``latency`` clocks after ``load``, and until the clock behind the next one.
    latency : int
        5 clocks.

    A reset is not needed: what is loaded is all that counts.
    """

    steps = HASH_BITS // STEP_BITS
    latency = steps + 1

    def __init__(self) -> None:
        super().__init__({"load": In(1), "data": In(DATA_BITS), "hash": Out(HASH_BITS)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        places = DATA_BITS + HASH_BITS - STEP_BITS
        # Which bit stands at which place of the key; the first one is bit 0 here.
        standing = Signal(places, reset_less=True)
        moving = Signal(self.steps)  # one-hot: how far the data has moved
        m.d.sync += [moving.eq(Cat(self.load, moving[:-1])), standing.eq(Cat(Const(0, STEP_BITS), standing))]
        with m.If(self.load):
            m.d.sync += standing.eq(self.data[::-1])
        found = [
            Cat(standing[place] for place in range(places) if _key_bit(place + step)).xor() for step in range(STEP_BITS)
        ]
        with m.If(moving.any()):
            m.d.sync += self.hash.eq(Cat(*reversed(found), self.hash))
        return m
