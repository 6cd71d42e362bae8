"""Short counters of the frames and bytes of one port."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width
from ..stream.packet import packet_layout
from .tally import Tally

__all__ = ["PortMeter"]


class PortMeter(wiring.Component):
    """Counts every frame that passes a packet stream, and its bytes, until it is asked for them.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    frame_bits, byte_bits : int
        Widths of the sums; ``byte_bits`` enough for one beat. See `Tally`.

    Attributes
    ----------
    valid, ready, payload : In
        The packet stream that is watched. A frame counts with its last beat, bytes with theirs; a beat of the clock of
        ``set_aside`` or ``take`` or of the clock before it counts afterwards.
    set_aside, take, aside : In(1)
        See `Tally`, for both sums at once.
    frames, bytes : Out

    Notes
    -----
    Reset sets all sums to 0.
    """

    def __init__(self, data_width: int, frame_bits: int, byte_bits: int) -> None:
        self._lanes = check_data_width(data_width) // 8
        super().__init__(
            {
                "valid": In(1),
                "ready": In(1),
                "payload": In(packet_layout(data_width)),
                "set_aside": In(1),
                "take": In(1),
                "aside": In(1),
                "frames": Out(frame_bits),
                "bytes": Out(byte_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        passed = self.valid & self.ready
        frame = Signal()
        octets = Signal(range(self._lanes + 1))
        m.d.sync += [
            frame.eq(passed & self.payload.last),
            octets.eq(Mux(passed, self._lanes - Mux(self.payload.last, self.payload.empty, 0), 0)),
        ]
        for name, amount, value in (("frames", frame, self.frames), ("bytes", octets, self.bytes)):
            m.submodules[name] = tally = Tally(len(amount), len(value))
            m.d.comb += [
                tally.amount.eq(amount),
                tally.set_aside.eq(self.set_aside),
                tally.take.eq(self.take),
                tally.aside.eq(self.aside),
                value.eq(tally.value),
            ]
        return m
