"""AXI4-Stream at the border: its flat signals from and to packet streams."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, check_data_width, check_range
from .packet import packet_signature
from .skid import SkidBuffer

__all__ = ["AxiStreamSink", "AxiStreamSource", "axi_signature"]


def axi_signature(data_width: int, user_bits: int = 1) -> wiring.Signature:
    """AXI4-Stream as seen by its transmitter.

    Parameters
    ----------
    data_width : int
        Width of ``tdata``: 8, 16, 32, 64, 128, 256 or 512; ``tkeep`` has one bit per byte.
    user_bits : int
        Width of ``tuser``, 1 .. 64.
    """
    check_data_width(data_width)
    check_range("user_bits", user_bits, 1, 64)
    return wiring.Signature(
        {
            "tdata": Out(data_width),
            "tkeep": Out(data_width // 8),
            "tvalid": Out(1),
            "tready": In(1),
            "tlast": Out(1),
            "tuser": Out(user_bits),
        }
    )


class AxiStreamSource(wiring.Component):
    """Packet stream from AXI4-Stream.

    A frame becomes bad, that is its last beat gets ``error``, if ``tuser[0]`` is set on its last beat, or if one of
    its beats has a ``tkeep`` with a hole (a 1 above a 0) or without any 1, or is not the last and not full. A last beat
    without any byte is passed as one with one byte.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    length : bool
        ``tuser`` is 15 bits wide; ``tuser[14:1]`` is the frame's length, valid beside its first beat.
    registered : bool
        Put a register slice behind it; without one it is combinational, for a sink that takes its time seriously.

    Attributes
    ----------
    axi : `axi_signature`, in
        With ``registered``, ``tready`` comes from a flip-flop.
    o : packet stream, out
        With ``registered``, straight from flip-flops.
    latency : int
        1 clock, 0 without ``registered``. One beat per clock.

    Reset empties it; a frame that reset cuts in two is afterwards taken for a new one where it goes on.
    """

    def __init__(self, data_width: int, *, length: bool = False, registered: bool = True) -> None:
        self.length = length
        self.latency = int(registered)
        self.lanes = check_data_width(data_width) // 8
        super().__init__(
            {
                "axi": In(axi_signature(data_width, 1 + LENGTH_BITS if length else 1)),
                "o": Out(packet_signature(data_width, length=length)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        sink = wiring.flipped(self.o)
        if self.latency:
            m.submodules.slice = registers = SkidBuffer(self.o.payload.shape())
            wiring.connect(m, registers.o, wiring.flipped(self.o))
            sink = registers.i

        keep = self.axi.tkeep
        hole = Signal()
        bad_beat = Signal()
        bad_before = Signal()
        m.d.comb += [
            hole.eq((keep[1:] & ~keep[:-1]).any()),
            bad_beat.eq(hole | ~keep[0] | (~keep[-1] & ~self.axi.tlast)),
        ]
        with m.If(self.axi.tvalid & self.axi.tready):
            m.d.sync += bad_before.eq((bad_before | bad_beat) & ~self.axi.tlast)

        # For n ones from bit 0 up, bit b of n - 1 is the parity of the bits at the multiples of 2**b, bit 0 left out,
        # and the complement of n - 1 counts the empty lanes. Any other `tkeep` gives a number in range, of a bad frame.
        empty = Cat(~keep[1 << b :: 1 << b].xor() for b in range((self.lanes - 1).bit_length()))
        payload = sink.payload
        m.d.comb += [
            sink.valid.eq(self.axi.tvalid),
            self.axi.tready.eq(sink.ready),
            payload.data.eq(self.axi.tdata),
            payload.empty.eq(Mux(self.axi.tlast, empty, 0)),
            payload.last.eq(self.axi.tlast),
            payload.error.eq(self.axi.tlast & (self.axi.tuser[0] | bad_beat | bad_before)),
        ]
        if self.length:
            m.d.comb += payload.length.eq(self.axi.tuser[1:])
        return m


class AxiStreamSink(wiring.Component):
    """AXI4-Stream from a packet stream.

    ``tkeep`` is a run of ones from bit 0; ``tuser[0]`` is ``error`` on the last beat, else 0.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    registered : bool
        Put a register slice in it; without one it is combinational.

    Attributes
    ----------
    i : packet stream, in
        With ``registered``, ``ready`` comes from a flip-flop.
    axi : `axi_signature` with 1 bit of ``tuser``, out
        With ``registered``, straight from flip-flops.
    latency : int
        1 clock, 0 without ``registered``. One beat per clock.

    Reset empties it.
    """

    def __init__(self, data_width: int, *, registered: bool = True) -> None:
        self.latency = int(registered)
        self.lanes = check_data_width(data_width) // 8
        super().__init__({"i": In(packet_signature(data_width)), "axi": Out(axi_signature(data_width))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layout = data.StructLayout({"data": 8 * self.lanes, "keep": self.lanes, "last": 1, "user": 1})
        beat = Signal(layout)
        m.d.comb += [
            beat.data.eq(self.i.payload.data),
            beat.keep.eq(Cat(self.i.payload.empty < self.lanes - lane for lane in range(self.lanes))),
            beat.last.eq(self.i.payload.last),
            beat.user.eq(self.i.payload.last & self.i.payload.error),
        ]
        out = Signal(layout)
        if self.latency:
            m.submodules.slice = registers = SkidBuffer(layout)
            m.d.comb += [
                registers.i.valid.eq(self.i.valid),
                self.i.ready.eq(registers.i.ready),
                registers.i.payload.eq(beat),
                self.axi.tvalid.eq(registers.o.valid),
                registers.o.ready.eq(self.axi.tready),
                out.eq(registers.o.payload),
            ]
        else:
            m.d.comb += [self.axi.tvalid.eq(self.i.valid), self.i.ready.eq(self.axi.tready), out.eq(beat)]
        m.d.comb += [
            self.axi.tdata.eq(out.data),
            self.axi.tkeep.eq(out.keep),
            self.axi.tlast.eq(out.last),
            self.axi.tuser.eq(out.user),
        ]
        return m
