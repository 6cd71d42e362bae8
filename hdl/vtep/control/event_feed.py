"""Events that last a clock each, one after the other, for a `CounterRam`."""

from typing import Any

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range
from .counter_ram import count_layout

__all__ = ["EventFeed"]

MAX_EVENTS = 64
BITS = 3


class EventFeed(wiring.Component):
    """Keeps how often each of some events happened until that is counted.

    Parameters
    ----------
    first, events : int
        The events have the indices ``first`` .. ``first + events - 1``; 1 .. 64 of them.
    entries : int
        Of the `CounterRam`.

    Attributes
    ----------
    events : Signal(events), in
        A bit each. Seven of each kind may wait. Each kind has its turn once in ``events`` clocks, and later where ``o``
        is not taken.
    o : Out(stream)
        Of `count_layout`, ``amount`` being 1. ``valid`` does not fall before it is taken.

    Reset forgets what waits.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, first: int, events: int, entries: int) -> None:
        check_range("events", events, 1, MAX_EVENTS)
        self._first = check_range("first", first, 0, entries - events)
        super().__init__({"events": In(events), "o": Out(stream.Signature(count_layout(entries, 1)))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        o, count = self.o, len(self.events)
        place = Signal(range(count))
        index = Signal(o.payload.index.shape(), init=self._first)
        waiting = [Signal(BITS, name=f"waiting_{number}") for number in range(count)]
        taken = Signal()
        m.d.comb += [
            o.valid.eq(Array(one.any() for one in waiting)[place]),
            o.payload.index.eq(index),
            o.payload.amount.eq(1),
            taken.eq(o.valid & o.ready),
        ]
        for number, one in enumerate(waiting):
            m.d.sync += one.eq(one + self.events[number] - (taken & (place == number)))
        # To the next one whether there is an event or not, so that none keeps others waiting.
        with m.If(~o.valid | o.ready):
            m.d.sync += [place.eq(place + 1), index.eq(index + 1)]
            with m.If(place == count - 1):
                m.d.sync += [place.eq(0), index.eq(self._first)]
        return m
