"""One counter of 64 bits in flip-flops, with a copy of it."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range

__all__ = ["LAG", "Tally", "delayed", "delays"]

LOW = 16
HIGH = 48
LAG = 3
"""Clocks by which the upper bits follow the lower ones: a carry chain lies where it finds room, however far that is."""


def delayed(m: Module, value: Value, clocks: int, name: str, *, reset_less: bool = False) -> Value:
    """``value``, so many clocks later."""
    return delays(m, value, clocks, name, reset_less=reset_less)[-1]


def delays(m: Module, value: Value, clocks: int, name: str, *, reset_less: bool = False) -> list[Value]:
    """``value`` as it is, one clock later, and so on."""
    values = [value]
    for clock in range(1, clocks + 1):
        register = Signal(value.shape(), name=f"{name}_{clock}", reset_less=reset_less)
        m.d.sync += register.eq(values[-1])
        values.append(register)
    return values


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
        What is read: ``low`` of all amounts before this clock, ``high`` of those before the clock ``LAG`` clocks ago.
        So a value is ``low`` of one clock with ``high`` of ``LAG`` clocks later.

    Notes
    -----
    No carry is ever torn off. A command is in effect for ``low`` in the next clock. Reset clears the counter. The copy
    is of no account until there was a snapshot.

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
        low_copy = Signal(LOW, reset_less=True)
        high_copy = Signal(HIGH, reset_less=True)
        carry = delayed(m, low[LOW], LAG - 1, "carry")
        clear = delayed(m, self.clear, LAG, "clear")
        copy = delayed(m, self.take_snapshot, LAG, "copy")
        snapshot = delayed(m, self.read_snapshot, LAG, "snapshot")
        m.d.sync += [
            low.eq(Mux(self.clear, 0, low[:LOW]) + self.amount),
            high.eq(high + carry),
        ]
        with m.If(self.take_snapshot):
            m.d.sync += low_copy.eq(low[:LOW])
        with m.If(copy):
            m.d.sync += high_copy.eq(high)
        # Of all amounts since, one is in `low` where `carry` was taken, and does not carry.
        with m.If(clear):
            m.d.sync += high.eq(0)
        m.d.comb += [
            self.low.eq(Mux(self.read_snapshot, low_copy, low[:LOW])),
            self.high.eq(Mux(snapshot, high_copy, high)),
        ]
        return m
