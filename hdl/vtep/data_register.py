"""Output ports that are registers of data: a reset leaves them as they are."""

from amaranth.hdl import Module, Signal, Value, ValueLike

__all__ = ["data_register"]


def data_register(m: Module, port: Value, value: ValueLike, *, enable: ValueLike | None = None) -> None:
    """Let ``port`` have ``value`` a clock later, if ``enable`` is high or absent, without a reset.

    For what means nothing unless a flag beside it is set: a reset that has to reach thousands of flip-flops costs
    routing, and area where it shares logic with an enable.
    """
    value = Value.cast(value)
    register = Signal(value.shape(), name="held", reset_less=True)
    if enable is None:
        m.d.sync += register.eq(value)
    else:
        with m.If(enable):
            m.d.sync += register.eq(value)
    m.d.comb += Value.cast(port).eq(register)
