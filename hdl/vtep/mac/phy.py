"""What PHYs need before frames pass: reset, settings over MDIO, and, where they do not tell in band, being asked."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from ..config import check_range
from .gmii import Speed
from .mdio import MdioMaster, mdio_pins
from .phy_registers import PhyStatus, RegisterChange
from .rgmii import link_layout

__all__ = ["PhyManager"]

_ADDRESSES = 32
_IDENTIFIER = 2
"""Register that is not all ones in any PHY (IEEE 802.3 clause 22.2.4.3.1)."""


class PhyManager(wiring.Component):
    """Resets the PHYs of an MDIO bus, sets up each that answers, and asks one of them for its link again and again.

    Few boards say at which addresses theirs are: unless told, it looks everywhere. It goes on looking, an address with
    each question, so that a PHY that answers late is set up, too.

    Parameters
    ----------
    clock_hz : int
        Frequency of the clock, 5 MHz .. 1 GHz.
    reset_ms : int
        How long the reset lasts, 0 .. 1000; 0: they are not reset.
    settle_ms : int
        Wait behind that, 1 .. 1000.
    setup : sequence of `RegisterChange`
        To be made in each PHY in this order, at most 64.
    status : PhyStatus or None
        None: nobody is asked, and ``link`` stays down.
    poll_ms : int
        Wait between questions, and between addresses behind the first look at all of them, 1 .. 1000.
    addresses : sequence of int
        Where PHYs are looked for, in this order, each within 0 .. 31; at least one.

    Attributes
    ----------
    reset : Signal(), out
        For the PHYs, active high.
    ready : Signal(), out
        All addresses were looked at, and the PHYs there are set up.
    present : Signal(32), out
        Addresses at which a PHY answered; of all of them with ``ready``.
    link : `link_layout`, out
        Of the first PHY with an address but 0, at which some answer together, or else of that at 0. All bits change in
        one clock.
    pins : Out(`mdio_pins`)

    Notes
    -----
    Reset: all over again.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(
        self,
        clock_hz: int,
        *,
        reset_ms: int,
        settle_ms: int,
        setup: Sequence[RegisterChange] = (),
        status: PhyStatus | None = None,
        poll_ms: int = 10,
        addresses: Sequence[int] = range(_ADDRESSES),
    ) -> None:
        self._master = MdioMaster(clock_hz)
        self._reset_clocks = check_range("reset_ms", reset_ms, 0, 1000) * clock_hz // 1000
        self._settle_clocks = check_range("settle_ms", settle_ms, 1, 1000) * clock_hz // 1000
        self._poll_clocks = check_range("poll_ms", poll_ms, 1, 1000) * clock_hz // 1000
        check_range("len(addresses)", len(addresses), 1, _ADDRESSES)
        self._addresses = [check_range("an address", address, 0, _ADDRESSES - 1) for address in addresses]
        check_range("len(setup)", len(setup), 0, 64)
        self._setup = tuple(setup)
        self._status = status
        super().__init__(
            {
                "reset": Out(1, init=int(reset_ms > 0)),
                "ready": Out(1),
                "present": Out(_ADDRESSES),
                "link": Out(link_layout()),
                "pins": Out(mdio_pins()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.master = master = self._master
        wiring.connect(m, master.pins, wiring.flipped(self.pins))
        request = master.request
        timer = Signal(range(max(self._reset_clocks, self._settle_clocks, self._poll_clocks)))
        place, last_place = Signal(range(len(self._addresses))), len(self._addresses) - 1
        address, asked = Signal(5), Signal(5)
        m.d.comb += address.eq(Array(self._addresses)[place])
        step = Signal(range(len(self._setup) + 1))
        change = self._change(step)
        answered = Signal()  # by whom it is that will be asked
        issued = Signal()
        here = ~(master.absent | master.data.all())
        m.d.comb += [request.payload.phy.eq(address), request.valid.eq(0)]
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.If(request.valid & request.ready):
            m.d.sync += issued.eq(1)
        with m.If(master.done):
            m.d.sync += issued.eq(0)

        def access(**fields: Any) -> None:
            m.d.comb += request.valid.eq(~issued & ~master.done)
            m.d.comb += [request.payload[name].eq(value) for name, value in fields.items()]

        def next_address() -> None:
            m.d.sync += [place.eq(Mux(place == last_place, 0, place + 1)), step.eq(0)]
            with m.If(self.ready | (place == last_place)):
                m.d.sync += [self.ready.eq(1), timer.eq(self._poll_clocks - 1)]
                m.next = "WAIT"
            with m.Else():
                m.next = "FIND"

        with m.FSM():
            with m.State("START"):
                m.d.sync += timer.eq(max(self._reset_clocks - 1, 0))
                m.next = "RESET"
            with m.State("RESET"), m.If(timer == 0):
                m.d.sync += [self.reset.eq(0), timer.eq(self._settle_clocks - 1)]
                m.next = "SETTLE"
            with m.State("SETTLE"), m.If(timer == 0):
                m.next = "FIND"
            with m.State("FIND"):
                known = self.present.bit_select(address, 1)
                with m.If(~known):
                    access(register=_IDENTIFIER)
                with m.Else():
                    next_address()
                with m.If(master.done):
                    m.d.sync += self.present.bit_select(address, 1).eq(here)
                    with m.If(here):
                        with m.If(~answered | (asked == 0)):
                            m.d.sync += [answered.eq(1), asked.eq(address)]
                        m.next = "STEP"
                    with m.Else():
                        next_address()
            with m.State("STEP"):
                with m.If(step == len(self._setup)):
                    next_address()
                with m.Elif(change.mask.all()):
                    m.next = "WRITE"
                with m.Else():
                    m.next = "READ"
            with m.State("READ"):
                access(register=change.register)
                with m.If(master.done):
                    m.next = "WRITE"
            with m.State("WRITE"):
                access(write=1, register=change.register, data=(master.data & ~change.mask) | change.value)
                with m.If(master.done):
                    m.d.sync += step.eq(step + 1)
                    m.next = "STEP"
            with m.State("WAIT"), m.If(timer == 0):
                m.next = "FIND"
                if self._status is not None:
                    with m.If(answered):
                        m.next = "ASK"
            if self._status is not None:
                with m.State("ASK"):
                    m.d.comb += request.payload.phy.eq(asked)
                    access(register=self._status.register)
                    with m.If(master.done):
                        m.d.sync += [
                            self.link.up.eq(here & master.data[self._status.link]),
                            self.link.speed.eq(Speed(master.data[self._status.speed : self._status.speed + 2])),
                            self.link.full_duplex.eq(master.data[self._status.duplex]),
                        ]
                        m.next = "FIND"
        return m

    def _change(self, step: Signal) -> Any:
        """The change of the setup that ``step`` counts; the last one behind all."""
        layout = data.StructLayout({"register": 5, "value": 16, "mask": 16})
        changes = [
            layout.const({"register": change.register, "value": change.value, "mask": change.mask})
            for change in self._setup or (RegisterChange(0, 0),)
        ]
        return data.View(layout, Cat(Array(change.as_value() for change in changes)[step]))
