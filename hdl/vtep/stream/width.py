"""Packet streams of one width onto another: beats put together or cut, bytes in their order."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width
from .packet import connect_packets, packet_signature

__all__ = ["WidthConverter"]


class WidthConverter(wiring.Component):
    """Hands a packet on in beats of another width.

    The wider side has at most one beat in ``ratio`` clocks but for packets that end early: to a wider stream a beat is
    taken in every clock, to a narrower one a beat leaves in every clock, in both cases also across the end of a packet.

    Parameters
    ----------
    input_width, output_width : int
        8, 16, 32, 64, 128, 256 or 512. With equal widths it is wires.

    Attributes
    ----------
    i : packet stream of ``input_width``, in
    o : packet stream of ``output_width``, out
        Straight from flip-flops; empty lanes are unspecified.
    latency : int
        Clocks from the beat that completes a beat of the output, or from the wide beat that is cut, to the (first)
        beat at the output: 1, or 0 with equal widths.

    Notes
    -----
    ``i.ready`` rests on registers and ``o.ready``. Reset forgets what is inside; the next beat begins a packet.

    Raises
    ------
    ValueError
        A width is none of the packet stream's.
    """

    def __init__(self, input_width: int, output_width: int) -> None:
        check_data_width(input_width)
        check_data_width(output_width)
        self._input_width = input_width
        self._output_width = output_width
        self.latency = int(input_width != output_width)
        super().__init__({"i": In(packet_signature(input_width)), "o": Out(packet_signature(output_width))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self._input_width == self._output_width:
            connect_packets(m, wiring.flipped(self.i), wiring.flipped(self.o))
        elif self._input_width < self._output_width:
            self._widen(m)
        else:
            self._narrow(m)
        return m

    def _widen(self, m: Module) -> None:
        i, o = self.i, self.o
        ratio = self._output_width // self._input_width
        place = Signal(range(ratio))  # of the next beat within the wide one
        valid = Signal()
        payload = Signal(o.payload.shape(), reset_less=True)
        m.d.comb += [i.ready.eq(~valid | o.ready), o.valid.eq(valid), o.payload.eq(payload)]
        with m.If(i.ready):
            ends = i.payload.last | (place == ratio - 1)
            m.d.sync += valid.eq(i.valid & ends)
            with m.If(i.valid):
                m.d.sync += [
                    place.eq(Mux(ends, 0, place + 1)),
                    payload.last.eq(i.payload.last),
                    payload.error.eq(i.payload.error),
                    # The lanes of the places behind this one are empty: ratio - 1 - place of them.
                    payload.empty.eq(Cat(i.payload.empty, ~place)),
                ]
            with m.Switch(place):
                for number in range(ratio):
                    with m.Case(number):
                        part = slice(number * self._input_width, (number + 1) * self._input_width)
                        m.d.sync += payload.data[part].eq(i.payload.data)

    def _narrow(self, m: Module) -> None:
        i, o = self.i, self.o
        ratio = self._input_width // self._output_width
        lanes = self._output_width // 8
        low = (lanes - 1).bit_length()
        valid = Signal()
        data = Signal(self._input_width, reset_less=True)
        last, error = Signal(reset_less=True), Signal(reset_less=True)
        empty = Signal(low, reset_less=True)  # of the last narrow beat
        left = Signal(range(ratio))  # narrow beats behind the one at the output
        ends = Signal()  # there are none
        m.d.comb += [
            i.ready.eq(~valid | (o.ready & ends)),
            o.valid.eq(valid),
            o.payload.data.eq(data[: self._output_width]),
            o.payload.last.eq(last & ends),
            o.payload.error.eq(error),
            o.payload.empty.eq(Mux(ends, empty, 0)),
        ]
        with m.If(i.ready):
            m.d.sync += [
                valid.eq(i.valid),
                data.eq(i.payload.data),
                last.eq(i.payload.last),
                error.eq(i.payload.error),
                empty.eq(i.payload.empty[:low]),
                # As many as the wide beat has, less those that are empty whole, less this one.
                left.eq(~i.payload.empty[low:]),
                ends.eq(i.payload.empty[low:].all()),
            ]
        with m.Elif(o.ready):
            m.d.sync += [data.eq(data >> self._output_width), left.eq(left - 1), ends.eq(left == 1)]
