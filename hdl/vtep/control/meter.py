"""Frame and byte counters of one port."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width
from ..stream.packet import packet_layout

__all__ = ["PortMeter"]

LOW = 16
HIGH = 48


class PortMeter(wiring.Component):
    """Counts every frame that passes a packet stream, and its bytes, in 64 bits each.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.

    Attributes
    ----------
    valid, ready, payload : In
        The packet stream that is watched.
    read_enable, read_field : In
        Read the frames (0) or the bytes (1).
    read_value : Out(64)
        ``latency`` clocks later: one consistent value. A frame counts with its last beat, bytes with theirs.
    latency : int
        3 clocks.

    Notes
    -----
    The upper 48 bits follow the lower 16 by a clock, and are read a clock behind them, so no carry is ever torn off.
    Reset clears the counters.
    """

    latency = 3

    def __init__(self, data_width: int) -> None:
        self._lanes = check_data_width(data_width) // 8
        super().__init__(
            {
                "valid": In(1),
                "ready": In(1),
                "payload": In(packet_layout(data_width)),
                "read_enable": In(1),
                "read_field": In(1),
                "read_value": Out(LOW + HIGH),
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
        lows, highs = [], []
        for name, amount in (("frames", frame), ("bytes", octets)):
            low = Signal(LOW + 1, name=f"{name}_low")
            high = Signal(HIGH, name=f"{name}_high")
            # Bit 16 of `low` is the carry of the last addition.
            m.d.sync += [low.eq(low[:LOW] + amount), high.eq(high + low[LOW])]
            lows.append(low[:LOW])
            highs.append(high)
        field = Signal(2)
        low_read = Signal(LOW)
        m.d.sync += [
            field.eq(Cat(self.read_field, field[0])),
            low_read.eq(Mux(self.read_field, lows[1], lows[0])),
        ]
        both = Signal(LOW + HIGH)
        m.d.sync += [both.eq(Cat(low_read, Mux(field[0], highs[1], highs[0]))), self.read_value.eq(both)]
        return m
