"""One counter of 64 bits in flip-flops, with a copy of it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range

__all__ = ["Tally"]

LOW = 16
HIGH = 48


class Tally(wiring.Component):
    """Adds up ``amount`` in every clock.

    Parameters
    ----------
    bits : int
        Width of an amount, 1 .. 16.

    Attributes
    ----------
    amount : In(bits)
    clear, take_snapshot : In(1)
        Set the counter to 0, or copy it; the amount of the same clock counts afterwards.
    read_snapshot : In(1)
        Read the copy.
    low : Out(16)
    high : Out(48)
        What is read: ``low`` of all amounts before this clock, ``high`` of those up to two clocks before. So a value is
        ``low`` of one clock with ``high`` of the next.

    Notes
    -----
    The upper 48 bits follow the lower 16 by a clock, so no carry is ever torn off. A command is in effect for ``low``
    in the next clock. Reset clears the counter and the copy.

    Raises
    ------
    ValueError
        ``bits`` is out of its range.
    """

    def __init__(self, bits: int) -> None:
        check_range("bits", bits, 1, LOW)
        super().__init__(
            {
                "amount": In(bits),
                "clear": In(1),
                "take_snapshot": In(1),
                "read_snapshot": In(1),
                "low": Out(LOW),
                "high": Out(HIGH),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low = Signal(LOW + 1)  # the highest bit is the carry of the last addition
        high = Signal(HIGH)
        low_copy = Signal(LOW)
        high_copy = Signal(HIGH)
        clear, copy, snapshot = Signal(), Signal(), Signal()
        m.d.sync += [
            low.eq(Mux(self.clear, 0, low[:LOW]) + self.amount),
            high.eq(high + low[LOW]),
            Cat(clear, copy, snapshot).eq(Cat(self.clear, self.take_snapshot, self.read_snapshot)),
        ]
        with m.If(self.take_snapshot):
            m.d.sync += low_copy.eq(low[:LOW])
        with m.If(copy):
            m.d.sync += high_copy.eq(high)
        # One amount has come since, and does not carry.
        with m.If(clear):
            m.d.sync += high.eq(0)
        m.d.comb += [
            self.low.eq(Mux(self.read_snapshot, low_copy, low[:LOW])),
            self.high.eq(Mux(snapshot, high_copy, high)),
        ]
        return m
