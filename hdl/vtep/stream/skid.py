"""A register slice for any stream: no combinational path from one side to the other."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SkidBuffer"]


class SkidBuffer(wiring.Component):
    """Register slice, both directions registered.

    ``i.ready``, ``o.valid`` and ``o.payload`` come straight from flip-flops; ``i.payload`` sees one
    two-to-one multiplexer in front of its flip-flops.

    Parameters
    ----------
    shape : shape-like
        Shape of the payload.

    Attributes
    ----------
    i : stream of ``shape``, in
    o : stream of ``shape``, out
    latency : int
        1 clock from ``i`` to ``o``. One token per clock; holds up to two tokens.

    Reset empties it and raises ``i.ready``.
    """

    latency = 1

    def __init__(self, shape: Any) -> None:
        self.shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # Two registers for one bit: the one that the other side waits for need not reach all the payload.
        vacant, full = Signal(init=1), Signal()
        valid = Signal()
        head = Signal(self.shape, reset_less=True)
        skid = Signal(self.shape, reset_less=True)

        with m.If(~full):
            m.d.sync += skid.eq(self.i.payload)
        with m.If(~valid | self.o.ready):
            m.d.sync += [valid.eq(self.i.valid | full), vacant.eq(1), full.eq(0)]
            with m.If(full):
                m.d.sync += head.eq(skid)
            with m.Else():
                m.d.sync += head.eq(self.i.payload)
        with m.Elif(self.i.valid):
            m.d.sync += [vacant.eq(0), full.eq(1)]

        m.d.comb += [self.i.ready.eq(vacant), self.o.valid.eq(valid), self.o.payload.eq(head)]
        return m
