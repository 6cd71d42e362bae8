"""Collects what is counted in every clock, and hands it on as events of many at once."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import VtepParameters, check_range
from ..control.counters import DECAP_REASONS, ENCAP_REASONS, PORTS
from ..control.kinds import KindTally
from ..control.meter import PortMeter
from ..control.ports import reason_event
from ..control.tally import Tally
from ..stream.packet import packet_layout

__all__ = ["DECAP_PLACE", "ENCAP_PLACE", "PLACES", "PORT_PLACE", "Collector"]

DECAP_PLACE = 0
ENCAP_PLACE = DECAP_PLACE + len(DECAP_REASONS)
PORT_PLACE = ENCAP_PLACE + len(ENCAP_REASONS)
PLACES = PORT_PLACE + len(PORTS)
"""Where the counters stand: the reasons of the decapsulator, those of the encapsulator, and the ports."""

MTU_PLACE = ENCAP_PLACE + ENCAP_REASONS.index("mtu")

MAX_WAIT = 64

FAST_LANES = 8
"""From so many byte lanes on, the clock is to be a high one, and what is in a RAM passes a register."""


class Collector(wiring.Component):
    """Counts ports and reasons in short tallies, and empties these one after the other.

    A round through all places never ends. A place takes 2 clocks to be emptied, from `FAST_LANES` on 4, and ``wait`` at
    most until the event is taken. A visit goes in between, one after each place at most. After a command there is a
    round through what was put aside. So a tally is emptied after two rounds, with as many visits, at the latest (a
    command puts it aside, which empties it, too), and has the width for events in all these clocks: none overflows.

    Parameters
    ----------
    parameters : VtepParameters
        ``data_width`` is used.
    wait : int
        Clocks at most from ``valid`` to ``ready``, 1 .. 64; 1 if it is ready at once.

    Attributes
    ----------
    ports, encap_reason, decap_reason, too_big : In
        See `Statistics`. Any of them may come in every clock.
    enable : In(1)
        Count. Once high, it stays.
    command : In(1)
        All that came until the clock before is from before the command. The next one comes when ``settling`` is low.
    settling : Out(1)
        High from the clock after ``command`` until everything from before it was handed on.
    visit : In(1)
        Hand on the place ``visit_place`` next. It stays high until ``visited``, which comes with the event.
    visit_place : In
    visited : Out(1)
    valid : Out(1)
        An event of ``place``: so many ``frames`` and ``bytes`` (0 but for ports), or none at all. Stands still until
        ``ready``.
    ready : In(1)
    place, frames, bytes : Out
    earlier : Out(1)
        The event is from before the last command.
    cleared : Out(1)
        Low after reset until the tallies are 0.
    interval : int
        Clocks at most between two takings of a tally.
    """

    def __init__(self, parameters: VtepParameters, wait: int) -> None:
        self._data_width = parameters.data_width
        check_range("wait", wait, 1, MAX_WAIT)
        # Two rounds with as many visits, the clock in which a command puts aside, and one for the second RAM's turn.
        self._registered = parameters.lanes >= FAST_LANES
        self.interval = 2 * (2 * PLACES * ((4 if self._registered else 2) + wait)) + 2
        self._frame_bits = self.interval.bit_length()
        self._byte_bits = (self.interval * parameters.lanes).bit_length()
        watched = wiring.Signature(
            {"valid": Out(1), "ready": Out(1), "payload": Out(packet_layout(parameters.data_width))}
        )
        super().__init__(
            {
                "ports": In(watched).array(len(PORTS)),
                "encap_reason": In(reason_event(ENCAP_REASONS)),
                "decap_reason": In(reason_event(DECAP_REASONS)),
                "too_big": In(1),
                "enable": In(1),
                "command": In(1),
                "settling": Out(1),
                "visit": In(1),
                "visit_place": In(range(PLACES)),
                "visited": Out(1),
                "valid": Out(1),
                "ready": In(1),
                "place": Out(range(PLACES)),
                "frames": Out(self._frame_bits),
                "bytes": Out(self._byte_bits),
                "earlier": Out(1),
                "cleared": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What comes in passes a register; so all that came before the command is in the tallies a clock after it.
        set_aside, epoch = Signal(), Signal()
        m.d.sync += [set_aside.eq(self.command), epoch.eq(epoch ^ self.command)]

        # A place is taken in two clocks, for the two RAMs of `KindTally`, and then offered. What was there when the
        # first of them came decides for both.
        first, second = Signal(init=1), Signal()
        takes = Signal()
        left = Signal(range(PLACES + 1))  # places with something aside
        aside = Signal()  # there are such
        epoch_then, epoch_now = Signal(), Signal()
        m.d.comb += takes.eq(first & ~set_aside & self.cleared)
        if not self._registered:  # else it is found out a clock ahead
            m.d.comb += aside.eq(left != 0)
        m.d.comb += epoch_now.eq(Mux(first, epoch ^ aside, epoch_then))
        m.d.sync += epoch_then.eq(epoch_now)

        shape = data.StructLayout({"frames": self._frame_bits, "bytes": self._byte_bits})
        sums = self._elaborate_ports(m, shape, takes, aside, set_aside)
        count = self._elaborate_reasons(m, takes | second, epoch, epoch_now)
        start, last = takes, second  # when the two halves are there
        if self._registered:
            # Two clocks later, both of them: the tallies have a register in front of their RAMs, and here is another.
            early, count = count, Signal.like(count, name="count")
            start, last = Signal(name="third"), Signal(name="fourth")
            m.d.sync += [count.eq(early), start.eq(second), last.eq(start)]

        turn, place = Signal(range(PLACES), init=1), Signal(range(PLACES))
        visiting, current, old = Signal(), Signal(), Signal()
        total = Signal(shape)
        of_reason = Signal()
        m.d.comb += of_reason.eq(place < MTU_PLACE)
        with m.If(takes):
            m.d.sync += [
                first.eq(0),
                second.eq(1),
                total.frames.eq(Mux(of_reason, count, sums.frames)),
                total.bytes.eq(Mux(of_reason, 0, sums.bytes)),
                old.eq(aside | self.command),
                current.eq(~aside),
            ]
            with m.If(aside & ~visiting):
                m.d.sync += left.eq(left - 1)
                if self._registered:
                    m.d.sync += aside.eq(left != 1)
        with m.Else():
            m.d.sync += old.eq(self.earlier)
        if self._registered:
            m.d.sync += second.eq(takes)
            with m.If(start & of_reason):
                m.d.sync += total.frames.eq(count)
        with m.If(last):
            m.d.sync += [second.eq(0), self.valid.eq(1)]
            with m.If(of_reason):
                m.d.sync += total.frames.eq(total.frames + count)
        with m.If(self.valid & self.ready):
            m.d.sync += [self.valid.eq(0), first.eq(1)]
            with m.If(self.visit & ~visiting):
                m.d.sync += [visiting.eq(1), place.eq(self.visit_place)]
            with m.Else():
                m.d.sync += [visiting.eq(0), place.eq(turn), turn.eq(Mux(turn == PLACES - 1, 0, turn + 1))]
        with m.If(self.command):
            m.d.sync += left.eq(PLACES)
            if self._registered:
                m.d.sync += aside.eq(1)
        m.d.comb += [
            self.place.eq(place),
            self.frames.eq(total.frames),
            self.bytes.eq(total.bytes),
            self.earlier.eq((old & ~first) | self.command),
            self.settling.eq(aside | (old & ~first)),
            self.visited.eq(self.valid & self.ready & visiting & current),
        ]
        return m

    def _elaborate_ports(
        self, m: Module, shape: data.StructLayout, takes: Value, aside: Value, set_aside: Value
    ) -> data.View:
        """Count what passes the ports, and copies that are too big; return what is in ``place``."""
        sums = Signal(shape)
        tallies: list[tuple[int, Value, Value | int, Signal]] = []
        for i, name in enumerate(PORTS):
            m.submodules[name] = meter = PortMeter(self._data_width, self._frame_bits, self._byte_bits)
            m.d.comb += [
                meter.valid.eq(self.ports[i].valid & self.enable),
                meter.ready.eq(self.ports[i].ready),
                meter.payload.eq(self.ports[i].payload),
            ]
            tallies.append((PORT_PLACE + i, meter.frames, meter.bytes, meter))
        m.submodules.too_big = too_big = Tally(1, self._frame_bits)
        m.d.sync += too_big.amount.eq(self.too_big & self.enable)
        tallies.append((MTU_PLACE, too_big.value, 0, too_big))
        with m.Switch(self.place):
            for place, frames, octets, tally in tallies:
                m.d.comb += [tally.set_aside.eq(set_aside), tally.aside.eq(aside)]
                with m.Case(place):
                    m.d.comb += [sums.frames.eq(frames), sums.bytes.eq(octets), tally.take.eq(takes)]
        return sums

    def _elaborate_reasons(self, m: Module, takes: Value, epoch: Value, take_epoch: Value) -> Value:
        """Count reasons; return what is in ``place``, one half in each of two clocks; if registered, a clock later."""
        cleared, counts = [], []
        encap = self.place >= ENCAP_PLACE
        for name, event, kinds, base, mine in (
            ("decap_reasons", self.decap_reason, len(DECAP_REASONS), DECAP_PLACE, ~encap),
            ("encap_reasons", self.encap_reason, len(ENCAP_REASONS), ENCAP_PLACE, encap & (self.place < PORT_PLACE)),
        ):
            # Each counts in every second clock.
            m.submodules[name] = tally = KindTally(
                kinds, (self.interval // 2).bit_length(), registered=self._registered
            )
            m.d.sync += [tally.strobe.eq(event.strobe & self.enable), tally.index.eq(event.index)]
            m.d.comb += [
                tally.epoch.eq(epoch),
                tally.take.eq(takes & mine),
                tally.take_index.eq(self.place - base),
                tally.take_epoch.eq(take_epoch),
            ]
            cleared.append(tally.ready)
            counts.append(tally.value)
        m.d.comb += self.cleared.eq(cleared[0] & cleared[1])
        return Mux(encap, counts[1], counts[0])
