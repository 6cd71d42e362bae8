"""A word out of a memory that gives bytes."""

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Signal, Value

from ..control.register_map import WORD_BITS, WORD_BYTES

__all__ = ["BYTE_BITS", "WordRead", "read_word"]

BYTE_BITS = (WORD_BYTES - 1).bit_length()
"""Of a place, those that tell bytes of a word apart."""

READ_LATENCY = 2
"""Clocks until a byte that is asked for is there."""


class WordRead(NamedTuple):
    """``place`` is asked for while ``asks``; ``data``, the first byte lowest, is there when ``reading`` falls."""

    asks: Value
    place: Value
    reading: Value
    data: Signal


def read_word(m: Module, start: Value, word: Value, octet: Value) -> WordRead:
    """Ask for the four bytes of ``word``, one a clock from the one behind ``start`` on; each comes 2 clocks later."""
    # One-hot, as the bytes are asked for and come.
    steps = Signal(WORD_BYTES + READ_LATENCY)
    held = Signal(len(word), name="word", reset_less=True)
    octets = Signal(WORD_BITS)
    m.d.sync += steps.eq(Cat(start, steps[:-1]))
    with m.If(start):
        m.d.sync += held.eq(word)
    with m.If(steps[READ_LATENCY:].any()):
        m.d.sync += octets.eq(Cat(octets[8:], octet))
    asked = steps[:WORD_BYTES]
    return WordRead(asked.any(), Cat(asked[1] | asked[3], asked[2] | asked[3], held), steps.any(), octets)
