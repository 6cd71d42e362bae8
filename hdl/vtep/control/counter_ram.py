"""Counters of 64 bits in one block RAM, for events that can wait for some clocks."""

from itertools import pairwise
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range
from ..ram_read import ram_read

__all__ = ["CounterRam", "count_layout"]

MAX_ENTRIES = 1 << 14
MAX_AMOUNT_BITS = 32
HALF = 32


def count_layout(entries: int, amount_bits: int) -> data.StructLayout:
    """An event: the counter ``index`` rises by ``amount``."""
    return data.StructLayout({"index": range(entries), "amount": amount_bits})


class CounterRam(wiring.Component):
    """Counters, and a copy of all of them, in a RAM of 32-bit words.

    An event reads, adds to and writes the low half of its counter; only when that overflows, the high half is read and
    written likewise, in front of the next event. No event is taken while a command is carried out: so what is cleared,
    copied or read is what all counters were at one instant, and whoever has events has to keep them that long.
    (`CounterBank` takes an event in each clock whatever else it does, for several times the RAM.)

    Parameters
    ----------
    entries : int
        1 .. 16384. The RAM has four words for each, their number rounded up to a power of two.
    amount_bits : int
        Width of an amount, 1 .. 32.

    Attributes
    ----------
    i : In(stream)
        Of `count_layout`. ``ready`` is high in all clocks but those of commands, one after an overflow, and the two
        behind an event of the same ``index``.
    clear, take_snapshot, read : Signal(), in
        Commands, one at a time: set all counters to 0, copy them, read one into ``value``. Events that were taken until
        then, in the same clock also, come before the command. Not while ``busy``.
    read_index, read_snapshot : Signal, in
        Which counter to read, and whether its copy; they stand still while ``busy``.
    busy : Signal(), out
        High from the clock after a command until it is done: ``2 * entries + 4`` clocks, 6 for a read, and up to 5 more
        if there were events. High after reset, too, while all counters are being cleared.
    value : Signal(64), out
        What was read last; it changes while ``busy`` only.

    Notes
    -----
    Reset clears all counters. Copies are of no account until there was a snapshot.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, entries: int, amount_bits: int) -> None:
        self._entries = check_range("entries", entries, 1, MAX_ENTRIES)
        check_range("amount_bits", amount_bits, 1, MAX_AMOUNT_BITS)
        super().__init__(
            {
                "i": In(stream.Signature(count_layout(entries, amount_bits))),
                "clear": In(1),
                "take_snapshot": In(1),
                "read": In(1),
                "read_index": In(range(entries)),
                "read_snapshot": In(1),
                "busy": Out(1, init=1),
                "value": Out(2 * HALF),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        event = self.i.payload
        index_bits = max(1, len(event.index))
        place = data.StructLayout({"index": index_bits, "high": 1, "copy": 1})
        m.submodules.memory = memory = Memory(
            shape=HALF, depth=1 << index_bits + 2, init=[], attrs={"ram_style": "block"}
        )
        # No word is read while it is written: an event of its counter would have had to wait.
        (read_address, word), write_port = ram_read(m, memory), memory.write_port()

        # Three clocks: the word is addressed, is in the RAM's register, is added to and written.
        work = data.StructLayout({"place": place, "amount": len(event.amount)})
        first, second, third = (Signal(work, name=name, reset_less=True) for name in ("first", "second", "third"))
        counts = [Signal(name=f"counts_{i}") for i in range(3)]  # an event, or an overflow of one
        walks = [Signal(name=f"walks_{i}") for i in range(3)]  # a word of a command
        m.d.sync += [
            second.eq(first),
            third.eq(second),
            *(after.eq(before) for chain in (counts, walks) for before, after in pairwise(chain)),
        ]

        clearing, reading = Signal(init=1), Signal()
        index, high = Signal(range(self._entries)), Signal()
        waiting = Signal(init=1)
        overflow, overflowed = Signal(), Signal(index_bits)
        meets = [counts[stage] & (where.place.index == event.index) for stage, where in ((1, second), (2, third))]
        m.d.comb += [
            self.i.ready.eq(~self.busy & ~overflow & ~Cat(meets).any()),
            counts[0].eq((self.i.valid & self.i.ready) | overflow),
            walks[0].eq(self.busy & ~waiting),
            first.place.index.eq(
                Mux(self.busy & ~waiting, Mux(reading, self.read_index, index), Mux(overflow, overflowed, event.index))
            ),
            first.place.high.eq(Mux(self.busy & ~waiting, high, overflow)),
            first.place.copy.eq(self.busy & ~waiting & reading & self.read_snapshot),
            first.amount.eq(Mux(overflow, 1, event.amount)),
            read_address.eq(first.place),
        ]

        old = Signal(HALF, reset_less=True)
        total = Signal(HALF + 1)
        m.d.sync += [
            old.eq(word),
            overflow.eq(counts[2] & total[HALF]),  # that of a high half takes centuries
            overflowed.eq(third.place.index),
        ]
        m.d.comb += [
            total.eq(Mux(walks[2] & clearing, 0, old) + Mux(walks[2], 0, third.amount)),
            write_port.en.eq(counts[2] | (walks[2] & ~reading)),
            write_port.addr.eq(Cat(third.place.index, third.place.high, walks[2] & ~clearing)),
            write_port.data.eq(total[:HALF]),
        ]
        with m.If(walks[2] & reading):
            m.d.sync += self.value.eq(Cat(self.value[HALF:], old))

        # A command waits until the events before it are through, then walks, and its words have to get through as well.
        last = reading | (index == self._entries - 1)
        walked = Signal()
        empty = ~Cat(counts[1:], walks[1:], overflow).any()
        with m.If(~self.busy):
            m.d.sync += [waiting.eq(1), clearing.eq(self.clear), reading.eq(self.read), walked.eq(0)]
            with m.If(self.clear | self.take_snapshot | self.read):
                m.d.sync += self.busy.eq(1)
        with m.Elif(waiting), m.If(empty):
            m.d.sync += [waiting.eq(walked), self.busy.eq(~walked)]
        with m.Else():
            m.d.sync += index.eq(index + 1)
            with m.If(last):
                m.d.sync += [index.eq(0), high.eq(~high), waiting.eq(high), walked.eq(high)]
        return m
