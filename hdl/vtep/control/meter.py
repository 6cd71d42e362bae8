"""Frame and byte counters of one port."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width
from ..data_register import data_register
from ..stream.packet import packet_layout
from .tally import HIGH, LAG, LOW, Tally, delayed

__all__ = ["PortMeter"]


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
        5 clocks.

    Notes
    -----
    Reset clears the counters. Copies are of no account until there was a snapshot.
    """

    latency = LAG + 2

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
        lows, highs = [], []
        clear, copy = Signal(), Signal()
        m.d.sync += [clear.eq(self.clear), copy.eq(self.take_snapshot)]
        for name, amount in (("frames", frame), ("bytes", octets)):
            m.submodules[name] = tally = Tally(len(amount))
            m.d.comb += [
                tally.amount.eq(amount),
                tally.clear.eq(clear),
                tally.take_snapshot.eq(copy),
                tally.read_snapshot.eq(self.read_snapshot),
            ]
            lows.append(tally.low)
            highs.append(tally.high)
        field = delayed(m, self.read_field, LAG, "field")
        low = delayed(m, Mux(self.read_field, lows[1], lows[0]), LAG, "low", reset_less=True)
        both = Signal(LOW + HIGH, reset_less=True)
        m.d.sync += both.eq(Cat(low, Mux(field, highs[1], highs[0])))
        data_register(m, self.read_value, both)
        return m
