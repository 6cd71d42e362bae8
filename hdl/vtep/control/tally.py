"""A short counter in flip-flops, which is emptied before it can overflow."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range

__all__ = ["Tally", "delays"]

MAX_BITS = 32


def delays(m: Module, value: Value, clocks: int, name: str, *, reset_less: bool = False) -> list[Value]:
    """``value`` as it is, one clock later, and so on."""
    values = [value]
    for clock in range(1, clocks + 1):
        register = Signal(value.shape(), name=f"{name}_{clock}", reset_less=reset_less)
        m.d.sync += register.eq(values[-1])
        values.append(register)
    return values


class Tally(wiring.Component):
    """Adds up ``amount`` in every clock until it is asked for.

    Parameters
    ----------
    amount_bits : int
        Width of an amount, 1 .. ``bits``.
    bits : int
        Width of a sum, 1 .. 32. Whoever takes the sums sees to it that none overflows.

    Attributes
    ----------
    amount : In(amount_bits)
    set_aside : In(1)
        Put the sum aside and begin again with the amount of this clock. What was aside is gone.
    take : In(1)
        ``value`` is taken in this clock. Not together with ``set_aside``.
    aside : In(1)
        Show and take the sum that was put aside, not the current one.
    value : Out(bits)
        The sum of all amounts since the last taking, without that of this clock.

    Notes
    -----
    No amount is lost or counted twice. Reset sets both sums to 0.

    Raises
    ------
    ValueError
        ``bits`` or ``amount_bits`` is out of its range.
    """

    def __init__(self, amount_bits: int, bits: int) -> None:
        check_range("bits", bits, 1, MAX_BITS)
        check_range("amount_bits", amount_bits, 1, bits)
        super().__init__(
            {
                "amount": In(amount_bits),
                "set_aside": In(1),
                "take": In(1),
                "aside": In(1),
                "value": Out(bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        current, aside = Signal.like(self.value), Signal.like(self.value)
        with m.If(self.set_aside | (self.take & ~self.aside)):
            m.d.sync += current.eq(self.amount)
        with m.Else():
            m.d.sync += current.eq(current + self.amount)
        with m.If(self.set_aside):
            m.d.sync += aside.eq(current)
        with m.Elif(self.take & self.aside):
            m.d.sync += aside.eq(0)
        with m.If(self.aside):
            m.d.comb += self.value.eq(aside)
        with m.Else():
            m.d.comb += self.value.eq(current)
        return m
