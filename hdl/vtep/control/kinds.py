"""Short counters of several kinds of events in distributed RAM, which are emptied before they can overflow."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range

__all__ = ["KindTally"]

MAX_KINDS = 256
MAX_BITS = 32


class KindTally(wiring.Component):
    """Counts events of several kinds, one a clock, until it is asked for their numbers.

    There are two RAMs, and events turn from one to the other with every clock; in between, counts are taken out of the
    one that rests. So neither waits for the other, at any rate of events.

    Parameters
    ----------
    kinds : int
        2 .. 256.
    bits : int
        Width of a count, 1 .. 32, for every second clock. Whoever takes the counts sees to it that none overflows.
    registered : bool
        All that comes in passes a register in front of the RAMs, for a high clock.

    Attributes
    ----------
    ready : Out(1)
        Low after reset while the RAMs are being cleared, for 4 clocks a kind (rounded up to a power of two); events
        until then are lost, and nothing may be taken.
    strobe : In(1)
        An event of kind ``index``.
    index : In
    epoch : In(1)
        Which of two sets of counts the event counts in.
    take : In(1)
        Set the count of ``take_index`` in the set ``take_epoch`` to 0, in the RAM that rests: two clocks in a row empty
        it.
    take_index, take_epoch : In
    value : Out(bits)
        That count, in the same clock; if ``registered``, in the next one.

    Raises
    ------
    ValueError
        ``kinds`` or ``bits`` is out of its range.
    """

    def __init__(self, kinds: int, bits: int, *, registered: bool = False) -> None:
        self._registered = registered
        self._kinds = check_range("kinds", kinds, 2, MAX_KINDS)
        self._bits = check_range("bits", bits, 1, MAX_BITS)
        index = range(kinds)
        super().__init__(
            {
                "ready": Out(1),
                "strobe": In(1),
                "index": In(index),
                "epoch": In(1),
                "take": In(1),
                "take_index": In(index),
                "take_epoch": In(1),
                "value": Out(bits),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        turn = Signal()
        # Each place for two clocks, that is in both RAMs.
        clearing = Signal(2 + len(self.index))
        m.d.sync += turn.eq(~turn)
        with m.If(~self.ready):
            m.d.sync += [clearing.eq(clearing + 1), self.ready.eq(clearing.all())]
        place = Mux(self.ready, Cat(self.take_index, self.take_epoch), clearing[1:])
        values = []
        turn_inside = self._register(m, "turn_inside", turn) if self._registered else turn
        for i in range(2):
            m.submodules[f"counts_{i}"] = memory = Memory(
                shape=self._bits, depth=1 << len(place), init=[], attrs={"ram_style": "distributed"}
            )
            write, read = memory.write_port(), memory.read_port(domain="comb")
            mine = turn == i
            address: Value = Mux(mine, Cat(self.index, self.epoch), place)
            enable: Value = Mux(mine, self.strobe & self.ready, self.take | ~self.ready)
            if self._registered:
                address = self._register(m, f"address_{i}", address)
                enable = self._register(m, f"enable_{i}", enable)
                mine = turn_inside == i
            m.d.comb += [
                read.addr.eq(address),
                write.addr.eq(address),
                write.en.eq(enable),
                write.data.eq(Mux(mine, read.data + 1, 0)),
            ]
            values.append(read.data)
        m.d.comb += self.value.eq(Mux(turn_inside, values[0], values[1]))
        return m

    @staticmethod
    def _register(m: Module, name: str, value: Value) -> Signal:
        register = Signal(len(value), name=name)
        m.d.sync += register.eq(value)
        return register
