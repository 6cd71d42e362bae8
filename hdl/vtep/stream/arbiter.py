"""Several packet streams onto one, packet by packet in turn."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range
from .packet import packet_signature
from .skid import SkidBuffer

__all__ = ["PacketArbiter"]

MAX_INPUTS = 16


class PacketArbiter(wiring.Component):
    """Merge packet streams, in turn: after each packet the next input in order that has one begins.

    There is no idle clock between packets, of the same input or of different ones, as long as another waits when one
    ends. A packet that comes after a pause waits one clock more if its input was not the last to send.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    inputs : int
        2 .. 16.

    Attributes
    ----------
    i : list of packet stream, in
        ``ready`` rests on registers.
    o : packet stream, out
        Straight from flip-flops.
    latency : int
        1 clock. One beat per clock.

    Reset forgets everything inside and lets input 0 begin.

    Raises
    ------
    ValueError
        ``data_width`` or ``inputs`` is out of its range.
    """

    latency = 1

    def __init__(self, data_width: int, inputs: int = 2) -> None:
        self.inputs = check_range("inputs", inputs, 2, MAX_INPUTS)
        signature = packet_signature(data_width)
        super().__init__({"i": In(signature).array(inputs), "o": Out(signature)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.output = output = SkidBuffer(self.o.payload.shape())
        wiring.connect(m, output.o, wiring.flipped(self.o))

        # Who is next is found out while the owner's last beat passes, or while it offers none, so that `ready` rests
        # on registers only.
        inside = Signal()
        owner = Signal(range(self.inputs))
        following = Signal(range(self.inputs))
        m.d.comb += following.eq(owner)
        with m.Switch(owner):
            for i in range(self.inputs):
                with m.Case(i):
                    # The assignment that comes last wins: go through the turn backwards.
                    for distance in reversed(range(1, self.inputs)):
                        candidate = (i + distance) % self.inputs
                        with m.If(self.i[candidate].valid):
                            m.d.comb += following.eq(candidate)

        with m.Switch(owner):
            for i, source in enumerate(self.i):
                with m.Case(i):
                    m.d.comb += [
                        output.i.valid.eq(source.valid),
                        output.i.payload.eq(source.payload),
                        source.ready.eq(output.i.ready),
                    ]
        with m.If(output.i.valid & output.i.ready):
            m.d.sync += inside.eq(~output.i.payload.last)
            with m.If(output.i.payload.last):
                m.d.sync += owner.eq(following)
        with m.Elif(~inside & ~output.i.valid):
            m.d.sync += owner.eq(following)
        return m
