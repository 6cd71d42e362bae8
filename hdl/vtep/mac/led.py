"""A port's light."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range

__all__ = ["LinkLed"]

BLINKS_HZ = 10
"""Most blinks a second: each is dark for half of the time."""


class LinkLed(wiring.Component):
    """Lights while the link is up, and blinks while there is traffic.

    Parameters
    ----------
    clock_hz : int
        Frequency of the clock, 1 kHz .. 1 GHz.

    Attributes
    ----------
    up : Signal(), in
    activity : Signal(), in
        High for a clock or more for each frame.
    on : Signal(), out
        From a flip-flop. Dark for a twentieth of a second from the first activity on, then lit for as long; and
        dark while the link is down.
    """

    def __init__(self, clock_hz: int) -> None:
        self._half_period = check_range("clock_hz", clock_hz, 1_000, 1_000_000_000) // (2 * BLINKS_HZ)
        super().__init__({"up": In(1), "activity": In(1), "on": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        timer = Signal(range(2 * self._half_period))
        m.d.sync += self.on.eq(self.up & (timer < self._half_period))
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(self.activity):
            m.d.sync += timer.eq(2 * self._half_period - 1)
        return m
