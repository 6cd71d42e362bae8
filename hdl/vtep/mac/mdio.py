"""Registers of PHYs over MDC and MDIO (IEEE 802.3 clause 22.2.4 and 22.3.4)."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ..config import check_range

__all__ = ["MAX_MDC_HZ", "MdioMaster", "mdio_pins", "mdio_request_layout"]

MAX_MDC_HZ = 2_500_000
"""A period of MDC lasts at least 400 ns."""

LATEST_NS = 300
"""From MDC's rising edge until what a PHY drives stands (clause 22.3.4)."""

_PREAMBLE_BITS, _HEAD_BITS, _TURNAROUND_BITS, _DATA_BITS = 32, 14, 2, 16
_BITS = _PREAMBLE_BITS + _HEAD_BITS + _TURNAROUND_BITS + _DATA_BITS
_STAGES = 2
"""Flip-flops behind MDIO; what is sampled is as many clocks old."""


def mdio_request_layout() -> data.StructLayout:
    """An access: ``write`` (else it is a read), ``phy`` and ``register`` (addresses), ``data`` to be written."""
    return data.StructLayout({"write": 1, "phy": 5, "register": 5, "data": _DATA_BITS})


def mdio_pins() -> wiring.Signature:
    """MDC, and MDIO as driven (while ``mdio_oe``) and as seen; to be pulled up where nobody drives it."""
    return wiring.Signature({"mdc": Out(1), "mdio_o": Out(1, init=1), "mdio_oe": Out(1), "mdio_i": In(1, init=1)})


class MdioMaster(wiring.Component):
    """Management of PHYs: reads and writes their 16-bit registers, a frame with preamble each.

    Parameters
    ----------
    clock_hz : int
        Frequency of the clock, 5 MHz .. 1 GHz. MDC has at most 2.5 MHz.

    Attributes
    ----------
    request : In(stream.Signature(`mdio_request_layout`))
        Taken when none is under way.
    done : Signal(), out
        High for a clock at the end of each access.
    data : Signal(16), out
        What was read; stands from ``done`` until the next one.
    absent : Signal(), out
        Nobody answered the read; as ``data``.
    pins : Out(`mdio_pins`)
        From flip-flops; ``mdio_i`` is not synchronous to anything.

    Notes
    -----
    An access takes 64 periods of MDC. MDIO changes when MDC falls, and is sampled when it rises: a PHY has until 300 ns
    behind the rising edge before. Reset in the middle of an access leaves the PHY waiting for what the preamble of the
    next one then ends.

    Raises
    ------
    ValueError
        ``clock_hz`` is out of its range.
    """

    def __init__(self, clock_hz: int) -> None:
        check_range("clock_hz", clock_hz, 5_000_000, 1_000_000_000)
        answer = -(-clock_hz * LATEST_NS // 1_000_000_000) + _STAGES + 1
        self._half_period = max(-(-clock_hz // (2 * MAX_MDC_HZ)), -(-answer // 2))
        super().__init__(
            {
                "request": In(stream.Signature(mdio_request_layout())),
                "done": Out(1),
                "data": Out(_DATA_BITS),
                "absent": Out(1),
                "pins": Out(mdio_pins()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pins, asked = self.pins, self.request.payload
        seen = Signal()
        m.submodules.mdio = FFSynchronizer(pins.mdio_i, seen, init=1, stages=_STAGES)

        busy = Signal()
        timer = Signal(range(self._half_period))
        bit = Signal(range(_BITS))
        # The next bit is the highest one.
        to_send, driven = Signal(_BITS), Signal(_BITS)
        taken = Signal(_DATA_BITS + 1)
        tick = Signal()
        head = Cat(asked.register, asked.phy, Mux(asked.write, Const(0b0101, 4), Const(0b0110, 4)))
        drive_tail = asked.write.replicate(_TURNAROUND_BITS + _DATA_BITS)
        m.d.comb += [
            tick.eq(timer == self._half_period - 1),
            self.request.ready.eq(~busy),
            pins.mdio_o.eq(to_send[-1]),
            pins.mdio_oe.eq(busy & driven[-1]),
            self.data.eq(taken),
            self.absent.eq(taken[-1]),
        ]
        m.d.sync += [self.done.eq(0), timer.eq(Mux(tick, 0, timer + 1))]
        with m.If(~busy):
            m.d.sync += [timer.eq(0), bit.eq(0)]
            with m.If(self.request.valid):
                m.d.sync += [
                    busy.eq(1),
                    to_send.eq(Cat(asked.data, Const(0b10, 2), head, Const(-1, _PREAMBLE_BITS))),
                    driven.eq(Cat(drive_tail, Const(-1, _PREAMBLE_BITS + _HEAD_BITS))),
                ]
        with m.Elif(tick):
            m.d.sync += pins.mdc.eq(~pins.mdc)
            with m.If(~pins.mdc):
                m.d.sync += taken.eq(Cat(seen, taken))
            with m.Else():
                m.d.sync += [to_send.eq(Cat(1, to_send)), driven.eq(Cat(0, driven)), bit.eq(bit + 1)]
                with m.If(bit == _BITS - 1):
                    m.d.sync += [busy.eq(0), self.done.eq(1)]
        return m
