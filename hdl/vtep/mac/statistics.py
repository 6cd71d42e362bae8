"""Statistics of a MAC by their standard names, for counters in the clock domain of the data plane."""

from typing import Any

from amaranth.hdl import Const, DomainRenamer, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range
from ..control.counter_ram import count_layout
from ..control.gateway_registers import MAC_COUNTERS
from ..stream.crossing import hand_over
from ..stream.token_crossing import TokenCrossing
from .crossed import received_layout

__all__ = ["AMOUNT_BITS", "MacStatistics"]

AMOUNT_BITS = received_layout()["length"].width

_BITS = 6  # of a count of events that crosses: so many may be on their way


class MacStatistics(wiring.Component):
    """Makes of what a MAC tells events for a `CounterRam`.

    Received frames are counted as RFC 2819 has it, with FCS: frames that are too short or too long, by the MAC's own
    limit, with a right FCS (``Undersize``, ``Oversize``) and with a wrong one (``Fragments``, ``Jabbers``); broadcast
    and multicast of frames without any fault only; all others of all frames, also of those that were dropped.
    ``aFalseCarriers`` counts, beside what the PHY reports, carriers without a frame, and
    ``aFramesLostDueToIntMACXmitError`` what a MAC has as ``lost``. A frame that was marked, and left with a spoiled
    FCS, is in no counter.

    Parameters
    ----------
    first, entries : int
        The counters have the indices from ``first`` on, in the order of `MAC_COUNTERS`, of a `CounterRam`'s
        ``entries``.

    Attributes
    ----------
    received : Signal(), reception : `received_layout`, false_carrier : Signal(), in, domain ``rx``
    sent : Signal(), in, domain ``tx``
    lost : Signal(), in
        Of the MAC. A frame takes 5 clocks of ``sync``, and those in which ``o`` is not taken; any other event takes one
        that a frame leaves. None is lost as long as these find the time, and as no more than 16 frames or 63 other
        events of a kind wait. With frames of the least length at 10 Gb/s both ways that is so from 100 MHz on.
    o : Out(stream)
        Of `count_layout`, ``amount`` of `AMOUNT_BITS`. What is offered while ``ready`` is low may change.

    Reset forgets the frame that is being counted in part; what is under way from the other domains is counted behind
    it.

    Raises
    ------
    ValueError
        ``first`` is out of its range.
    """

    def __init__(self, first: int, entries: int) -> None:
        self._first = check_range("first", first, 0, entries - len(MAC_COUNTERS))
        super().__init__(
            {
                "received": In(1),
                "reception": In(received_layout()),
                "false_carrier": In(1),
                "sent": In(1),
                "lost": In(1),
                "o": Out(stream.Signature(count_layout(entries, AMOUNT_BITS))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        o = self.o
        m.submodules.frames = frames = DomainRenamer({"write": "rx", "read": "sync"})(TokenCrossing(received_layout()))
        m.d.comb += [frames.i.valid.eq(self.received), frames.i.payload.eq(self.reception)]

        # A frame's counters, one a clock.
        frame = frames.o.payload
        good = ~(frame.fcs_error | frame.too_short | frame.too_long)
        cast = Mux(frame.broadcast, self._index("etherStatsBroadcastPkts"), self._index("etherStatsMulticastPkts"))
        sized, size = self._size(frame.length)
        steps = (
            (Const(1), self._index("etherStatsPkts")),
            (Const(1), self._index("etherStatsOctets")),
            (~good | frame.broadcast | frame.multicast, Mux(good, cast, self._fault(frame))),
            (sized, size),
            (frame.dropped, self._index("etherStatsDropEvents")),
        )
        step = Signal(range(len(steps)))
        of_frame, done = Signal(), Signal()
        last = step == len(steps) - 1
        m.d.comb += [
            o.payload.amount.eq(Mux(of_frame & (step == 1), frame.length, 1)),
            done.eq(frames.o.valid & (o.ready | ~of_frame)),
            frames.o.ready.eq(done & last),
        ]
        with m.If(done):
            m.d.sync += step.eq(Mux(last, 0, step + 1))
        with m.Switch(step):
            for number, (condition, index) in enumerate(steps):
                with m.Case(number):
                    m.d.comb += [of_frame.eq(frames.o.valid & condition), o.payload.index.eq(index)]

        others = (
            ("aFalseCarriers", "false_carriers", self.false_carrier, "rx"),
            ("aFramesTransmittedOK", "frames_sent", self.sent, "tx"),
            ("aFramesLostDueToIntMACXmitError", "frames_lost", self.lost, "sync"),
        )
        taken: Value = of_frame
        for counter, name, event, domain in others:
            count, seen = Signal(_BITS, name=name, reset_less=True), Signal(_BITS, name=f"{name}_seen", reset_less=True)
            with m.If(event):
                m.d[domain] += count.eq(count + 1)
            here = count if domain == "sync" else hand_over(m, count, domain, "sync")
            waits = here != seen
            with m.If(waits & ~taken):
                m.d.comb += o.payload.index.eq(self._index(counter))
                with m.If(o.ready):
                    m.d.sync += seen.eq(seen + 1)
            taken = taken | waits
        m.d.comb += o.valid.eq(taken)
        return m

    def _index(self, name: str) -> Value:
        return Const(self._first + MAC_COUNTERS.index(name), len(self.o.payload.index))

    def _fault(self, frame: Any) -> Value:
        """Counter of what is wrong with a frame."""
        short = Mux(frame.fcs_error, self._index("etherStatsFragments"), self._index("etherStatsUndersizePkts"))
        long = Mux(frame.fcs_error, self._index("etherStatsJabbers"), self._index("etherStatsOversizePkts"))
        return Mux(frame.too_short, short, Mux(frame.too_long, long, self._index("etherStatsCRCAlignErrors")))

    def _size(self, length: Value) -> tuple[Value, Value]:
        """Whether a frame has a class of size (RFC 2819, etherStatsPkts64Octets and those behind it), and its counter.

        Classes begin at powers of two, but for that of 64 bytes alone.
        """
        index = Mux(length[:6].any(), self._index("etherStatsPkts65to127Octets"), self._index("etherStatsPkts64Octets"))
        for bit, name in ((7, "128to255"), (8, "256to511"), (9, "512to1023"), (10, "1024to1518")):
            index = Mux(length[bit], self._index(f"etherStatsPkts{name}Octets"), index)
        too_long = length[11:].any() | (length[10] & (length[:10] > 1518 - 1024))
        return length[6:].any() & ~too_long, index
