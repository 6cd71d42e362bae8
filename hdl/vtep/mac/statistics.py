"""Statistics of a MAC by their standard names, counted in the clock domain of the data plane."""

from typing import Any, NamedTuple

from amaranth.hdl import Const, DomainRenamer, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..control.bank import CounterBank
from ..stream.crossing import hand_over
from ..stream.token_crossing import TokenCrossing
from .crossed import received_layout

__all__ = ["COUNTERS", "MacStatistics", "Place"]

_NAMES = (
    "etherStatsPkts",
    "etherStatsBroadcastPkts",
    "etherStatsMulticastPkts",
    "etherStatsCRCAlignErrors",
    "etherStatsUndersizePkts",
    "etherStatsOversizePkts",
    "etherStatsFragments",
    "etherStatsJabbers",
    "etherStatsPkts64Octets",
    "etherStatsPkts65to127Octets",
    "etherStatsPkts128to255Octets",
    "etherStatsPkts256to511Octets",
    "etherStatsPkts512to1023Octets",
    "etherStatsPkts1024to1518Octets",
    "etherStatsDropEvents",
    "aFalseCarriers",
    "aFramesTransmittedOK",
    "aFramesLostDueToIntMACXmitError",
)
_INDEX = {name: index for index, name in enumerate(_NAMES)}

_SIZES = ((64, "64"), (127, "65to127"), (255, "128to255"), (511, "256to511"), (1023, "512to1023"), (1518, "1024to1518"))
"""Longest frame of each class, FCS included (RFC 2819, etherStatsPkts64Octets and those behind it)."""


class Place(NamedTuple):
    """Where a counter is read: ``read_index`` is ``entry``, ``read_field`` is ``field``."""

    entry: int
    field: int


COUNTERS = {name: Place(index, 0) for name, index in _INDEX.items()} | {
    "etherStatsOctets": Place(_INDEX["etherStatsPkts"], 1)
}
"""Counters by their names in RFC 2819, and in IEEE 802.3 clause 30 for what that has not."""

_BITS = 8  # of a count of events that crosses: so many may be on their way


class MacStatistics(wiring.Component):
    """Counts what a MAC tells, 64 bits each, in RAM.

    Received frames are counted as RFC 2819 has it, with FCS: frames that are too short or too long, by the MAC's own
    limit, with a right FCS (``Undersize``, ``Oversize``) and with a wrong one (``Fragments``, ``Jabbers``); broadcast
    and multicast of frames without any fault only; all others of all frames, also of those that were dropped.
    ``aFramesTransmittedOK`` counts frames that were marked, too; ``aFramesLostDueToIntMACXmitError`` those longer than
    the buffer.

    Attributes
    ----------
    received : Signal(), reception : `received_layout`, false_carrier : Signal(), in, domain ``rx``
    sent : Signal(), in, domain ``tx``
    too_long : Signal(), in
        Of the MAC. A frame takes 5 clocks of ``sync``, any other event 1: none is lost as long as these find the time,
        and as no more than 16 frames or 255 other events of a kind wait. With frames of the least length at 10 Gb/s
        both ways that is so from 100 MHz on.
    clear, take_snapshot, busy, ready, read_enable, read_index, read_field, read_snapshot, read_valid, read_value
        See `CounterBank`. ``COUNTERS`` has the place of each counter.

    Reset clears all counters; what is under way from the other domains is counted behind it.
    """

    def __init__(self) -> None:
        self._bank = bank = CounterBank(len(_NAMES), received_layout()["length"].width)
        inputs = ("clear", "take_snapshot", "read_enable", "read_index", "read_field", "read_snapshot")
        outputs = ("busy", "ready", "read_valid", "read_value")
        members = bank.signature.members
        self._passed = (*inputs, *outputs)
        super().__init__(
            {
                "received": In(1),
                "reception": In(received_layout()),
                "false_carrier": In(1),
                "sent": In(1),
                "too_long": In(1),
                **{name: members[name] for name in self._passed},
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.bank = bank = self._bank
        m.submodules.frames = frames = DomainRenamer({"write": "rx", "read": "sync"})(TokenCrossing(received_layout()))
        for name in self._passed:
            ours, its = getattr(self, name), getattr(bank, name)
            m.d.comb += ours.eq(its) if self.signature.members[name].flow == Out else its.eq(ours)
        m.d.comb += [frames.i.valid.eq(self.received), frames.i.payload.eq(self.reception)]

        # A frame's counters, one a clock.
        frame = frames.o.payload
        step = Signal(range(5))
        good = ~(frame.fcs_error | frame.too_short | frame.too_long)
        steps = (
            (Const(1, 1), self._index("etherStatsPkts")),
            (
                good & (frame.broadcast | frame.multicast),
                Mux(frame.broadcast, self._index("etherStatsBroadcastPkts"), self._index("etherStatsMulticastPkts")),
            ),
            (~good, self._fault(frame)),
            self._size(frame.length),
            (frame.dropped, self._index("etherStatsDropEvents")),
        )
        counted = frames.o.valid & bank.ready
        last = step == len(steps) - 1
        m.d.comb += frames.o.ready.eq(bank.ready & last)
        with m.If(counted):
            m.d.sync += step.eq(Mux(last, 0, step + 1))
            m.d.comb += bank.bytes.eq(frame.length)  # it is read beside one of the counters only
            with m.Switch(step):
                for number, (condition, index) in enumerate(steps):
                    with m.Case(number):
                        m.d.comb += [bank.strobe.eq(condition), bank.index.eq(index)]

        others = (
            ("aFalseCarriers", "false_carriers", self.false_carrier, "rx"),
            ("aFramesTransmittedOK", "frames_sent", self.sent, "tx"),
            ("aFramesLostDueToIntMACXmitError", "frames_lost", self.too_long, "sync"),
        )
        taken = counted | ~bank.ready
        for counter, name, event, domain in others:
            count, seen = Signal(_BITS, name=name, reset_less=True), Signal(_BITS, name=f"{name}_seen", reset_less=True)
            with m.If(event):
                m.d[domain] += count.eq(count + 1)
            here = count if domain == "sync" else hand_over(m, count, domain, "sync")
            waits = here != seen
            with m.If(waits & ~taken):
                m.d.comb += [bank.strobe.eq(1), bank.index.eq(_INDEX[counter])]
                m.d.sync += seen.eq(seen + 1)
            taken = taken | waits
        return m

    def _index(self, name: str) -> Value:
        return Const(_INDEX[name], len(self._bank.index))

    def _fault(self, frame: Any) -> Value:
        """Counter of what is wrong with a frame."""
        short = Mux(frame.fcs_error, self._index("etherStatsFragments"), self._index("etherStatsUndersizePkts"))
        long = Mux(frame.fcs_error, self._index("etherStatsJabbers"), self._index("etherStatsOversizePkts"))
        return Mux(frame.too_short, short, Mux(frame.too_long, long, self._index("etherStatsCRCAlignErrors")))

    def _size(self, length: Value) -> tuple[Value, Value]:
        """Whether a frame has a class of size, and its counter."""
        index = self._index(f"etherStatsPkts{_SIZES[-1][1]}Octets")
        for longest, name in reversed(_SIZES[:-1]):
            index = Mux(length <= longest, self._index(f"etherStatsPkts{name}Octets"), index)
        return (length >= _SIZES[0][0]) & (length <= _SIZES[-1][0]), index
