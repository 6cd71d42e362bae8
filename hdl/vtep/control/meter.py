"""Frame and byte counters of one port."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
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
    clear, take_snapshot : In
        Set the counters to 0, or copy them; a beat of the same clock counts afterwards. In effect for reads from the
        third clock on.
    read_enable, read_field, read_snapshot : In
        Read the frames (0) or the bytes (1), or the copy of them.
    read_value : Out(64)
        ``latency`` clocks later: one consistent value. A frame counts with its last beat, bytes with theirs.
    latency : int
        3 clocks.

    Notes
    -----
    The upper 48 bits follow the lower 16 by a clock, and are read a clock behind them, so no carry is ever torn off.
    Reset clears the counters and the copies.
    """

    latency = 3

    def __init__(self, data_width: int) -> None:
        self._lanes = check_data_width(data_width) // 8
        super().__init__(
            {
                "valid": In(1),
                "ready": In(1),
                "payload": In(packet_layout(data_width)),
                "clear": In(1),
                "take_snapshot": In(1),
                "read_enable": In(1),
                "read_field": In(1),
                "read_snapshot": In(1),
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
        clear, copy = Signal(2), Signal(2)
        m.d.sync += [clear.eq(Cat(self.clear, clear)), copy.eq(Cat(self.take_snapshot, copy))]
        lows: list[Value] = []
        highs: list[Value] = []
        for name, amount in (("frames", frame), ("bytes", octets)):
            low = Signal(LOW + 1, name=f"{name}_low")
            high = Signal(HIGH, name=f"{name}_high")
            low_copy = Signal(LOW, name=f"{name}_low_copy")
            high_copy = Signal(HIGH, name=f"{name}_high_copy")
            # Bit 16 of `low` is the carry of the last addition.
            m.d.sync += [
                low.eq(Mux(clear[0], 0, low[:LOW]) + amount),
                high.eq(Mux(clear[1], 0, high) + low[LOW]),
            ]
            with m.If(copy[0]):
                m.d.sync += low_copy.eq(low[:LOW])
            with m.If(copy[1]):
                m.d.sync += high_copy.eq(high)
            lows += [low[:LOW], low_copy]
            highs += [high, high_copy]
        chosen = Cat(self.read_snapshot, self.read_field)
        chosen_high = Signal(2)
        low_read = Signal(LOW)
        m.d.sync += [chosen_high.eq(chosen), low_read.eq(Cat(*lows).word_select(chosen, LOW))]
        both = Signal(LOW + HIGH)
        m.d.sync += [
            both.eq(Cat(low_read, Cat(*highs).word_select(chosen_high, HIGH))),
            self.read_value.eq(both),
        ]
        return m
