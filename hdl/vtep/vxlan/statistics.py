"""All counters of the core (SPEC.md section 5), behind one port."""

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from operator import or_
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, VtepParameters
from ..control.bank import CounterBank
from ..control.counters import BANK_SHIFT, DECAP_REASONS, ENCAP_REASONS, PORTS, Bank
from ..control.ports import carried_event, counter_bus, reason_event
from ..headers import ETHERNET, TAG_BYTES
from ..stream.packet import packet_layout
from .collector import DECAP_PLACE, ENCAP_PLACE, PLACES, PORT_PLACE, Collector
from .outer_header import overhead

__all__ = ["COLLECTED", "Source", "Statistics", "carried_spacing", "engines", "waits"]

DECAP_BYTES = ETHERNET.length
"""Least length of a frame that is delivered and counts."""

ENCAP_BYTES = overhead(ipv6=False, tagged=False) + ETHERNET.length - TAG_BYTES
"""Least length of a frame that is sent, if its own tag is removed (which is really there, so it is longer yet)."""

COLLECTED = Fraction(1, 4)
"""Share of the clocks, at least, in which ports and reasons are counted."""


class Source(NamedTuple):
    """Where events come from: from a frame that was carried, or from the collector.

    ``places``: counters of frames, and as many of bytes. ``spacing``: clocks at least from one event to the next;
    None for the collector, whose events can wait.
    """

    name: str
    places: int
    spacing: int | None

    @property
    def load(self) -> Fraction:
        return COLLECTED if self.spacing is None else Fraction(1, self.spacing)


def carried_spacing(parameters: VtepParameters) -> dict[str, int]:
    """Clocks at least from one ``carried`` event to the next of the same direction.

    Such an event comes when the last beat of a frame is formed in the reframer, or later, when the verdict on it is
    there; until then no beat of the next frame is formed. A clock forms one beat. So there are as many clocks between
    two events as the later frame has beats at least, also when an output that was blocked is released.
    """
    lanes = parameters.lanes
    return {"encap": -(-ENCAP_BYTES // lanes), "decap": -(-DECAP_BYTES // lanes)}


def engines(parameters: VtepParameters) -> list[list[Source]]:
    """Who shares a bank of counters: as few banks as can take all events, in each the most urgent source first."""
    spacing = carried_spacing(parameters)
    sources = [
        Source(f"{table}_{way}", getattr(parameters, f"{table}s"), spacing[way])
        for way in ("decap", "encap")
        for table in ("vni", "tunnel")
    ]
    groups: list[list[Source]] = []
    for source in (*sources, Source("collector", PLACES, None)):
        for group in groups:
            if sum(other.load for other in group) + source.load <= 1:
                group.append(source)
                break
        else:
            groups.append([source])
    return groups


def waits(group: Sequence[Source]) -> list[int]:
    """Clocks at most until an event of each source of an engine is taken, 1 if it is taken at once.

    The engine takes one event a clock, of the first source that has one. In ``n`` clocks a source before it has an
    event in every ``spacing`` of them, rounded up.
    """
    result = []
    for i in range(len(group)):
        clocks, before = 1, 0
        while clocks != before:
            before = clocks
            clocks = 1 + sum(-(-before // other.spacing) for other in group[:i] if other.spacing is not None)
        result.append(clocks)
    return result


class _Place(NamedTuple):
    """Where the counters of a source stand: in which engine, and the upper bits of their index in it."""

    engine: int
    base: int
    bits: int

    def at(self, value: Value) -> Value:
        return Cat(value[: self.bits], Const(self.base >> self.bits, 16))


def _layout(groups: Sequence[Sequence[Source]]) -> tuple[dict[str, _Place], list[int]]:
    """Place of each source, and number of counters of each engine. The largest is first: no index needs an adder."""
    places, entries = {}, []
    for engine, group in enumerate(groups):
        base = 0
        for source in sorted(group, key=lambda source: -source.places):
            bits = (source.places - 1).bit_length()
            places[source.name] = _Place(engine, base, bits)
            end = base + source.places
            base += 1 << bits
        entries.append(end)
    return places, entries


class _Offer(NamedTuple):
    """An event that waits for its engine."""

    valid: Value
    taken: Signal
    index: Value
    frames: Value | int
    bytes: Value
    earlier: Value


class Statistics(wiring.Component):
    """Counts what the data plane reports, and answers reads one after the other.

    Frames that were carried count in a `CounterBank`, each for a VNI and for a tunnel. The `Collector` adds what ports
    and reasons had since it was last there. As many sources share a bank as it can serve (`engines`): the
    beats of the shortest frame tell how often events come (`carried_spacing`). An event stands in a register until it
    is its turn, and is taken before the next one of its source comes (`waits`): none is lost, and no queue is needed.

    Parameters
    ----------
    parameters : VtepParameters

    Attributes
    ----------
    ports : In, array
        What passes the ports, in the order of ``PORTS``: ``valid``, ``ready``, ``payload``.
    encap_reason, decap_reason, too_big : In
        Events of encapsulator and decapsulator, one of each a clock.
    encap_carried, decap_carried : In
        Events of encapsulator and decapsulator, `carried_spacing` clocks apart or more.
    control : In(`counter_bus`)
        Reads and commands. An address without a counter reads as 0, and so do copies before there is one. A command
        finds every counter as it is with all events up to the clock of the command, and without any later one.
    ready : Out(1)
        Low after reset until all counters are 0; events are lost until then, and ``control.busy`` is high.

    Notes
    -----
    No event is lost. A read shows all events up to its beginning, and may show some that come while it waits. It takes
    11 clocks for a frame that was carried, and waits for a clock in which its bank has no event (one of the collector,
    too); one of a port or a reason takes two turns of the collector more.

    A command takes a round of the collector, and then as many clocks without an event as the largest bank has counters,
    and some more; reads wait for its end. Such clocks there always are, since an underlay frame that is carried has
    more beats than events for one bank.
    """

    def __init__(self, parameters: VtepParameters) -> None:
        self._parameters = parameters
        watched = wiring.Signature(
            {"valid": Out(1), "ready": Out(1), "payload": Out(packet_layout(parameters.data_width))}
        )
        super().__init__(
            {
                "ports": In(watched).array(len(PORTS)),
                "encap_reason": In(reason_event(ENCAP_REASONS)),
                "decap_reason": In(reason_event(DECAP_REASONS)),
                "too_big": In(1),
                "encap_carried": In(carried_event(parameters)),
                "decap_carried": In(carried_event(parameters)),
                "control": In(counter_bus()),
                "ready": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        groups = engines(self._parameters)
        places, entries = _layout(groups)
        clear, take_snapshot = Signal(), Signal()
        m.d.sync += [clear.eq(self.control.clear), take_snapshot.eq(self.control.take_snapshot)]
        command = clear | take_snapshot

        collector = self._elaborate_collector(m, groups, command)
        offers: dict[str, _Offer] = {}
        offers["collector"] = _Offer(
            collector.valid,
            collector.ready,
            places["collector"].at(collector.place),
            collector.frames,
            collector.bytes,
            collector.earlier,
        )
        settling = [self._elaborate_carried(m, way, places, offers, command) for way in ("decap", "encap")]
        held = Cat(collector.settling, *settling).any()

        banks = []
        for i, (group, count) in enumerate(zip(groups, entries, strict=True)):
            collects = group[-1].spacing is None
            bank = CounterBank(
                count,
                max(LENGTH_BITS, len(collector.bytes) if collects else 0),
                len(collector.frames) if collects else 1,
            )
            m.submodules[f"bank_{i}"] = bank
            m.d.comb += [bank.clear.eq(clear), bank.take_snapshot.eq(take_snapshot), bank.hold.eq(held)]
            free: Value = Const(1)
            for offer in (offers[source.name] for source in group):
                with m.If(free & offer.valid):
                    m.d.comb += [
                        offer.taken.eq(1),
                        bank.strobe.eq(1),
                        bank.earlier.eq(offer.earlier),
                        bank.frames.eq(offer.frames),
                    ]
                with m.If(free):
                    m.d.comb += [bank.index.eq(offer.index), bank.bytes.eq(offer.bytes)]
                free = free & ~offer.valid
            banks.append(bank)

        working = Signal(init=1)
        pending = Signal()
        m.d.comb += [
            self.ready.eq(Cat(*(bank.ready for bank in banks), collector.cleared).all()),
            self.control.busy.eq(working | command | pending),
        ]
        m.d.sync += [pending.eq(command), working.eq(~self.ready | Cat(*(bank.busy for bank in banks)).any())]
        m.d.comb += collector.enable.eq(self.ready)
        self._elaborate_reads(m, places, banks, collector, take_snapshot)
        return m

    def _elaborate_collector(self, m: Module, groups: Sequence[Sequence[Source]], command: Value) -> Collector:
        wait = next(
            clocks
            for group in groups
            for source, clocks in zip(group, waits(group), strict=True)
            if source.spacing is None
        )
        m.submodules.collector = collector = Collector(self._parameters, wait)
        for watched, port in zip(collector.ports, self.ports, strict=True):
            m.d.comb += [watched.valid.eq(port.valid), watched.ready.eq(port.ready), watched.payload.eq(port.payload)]
        for name in ("encap_reason", "decap_reason"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(collector, name))
        m.d.comb += [collector.too_big.eq(self.too_big), collector.command.eq(command & self.ready)]
        return collector

    def _elaborate_carried(
        self, m: Module, way: str, places: dict[str, _Place], offers: dict[str, _Offer], command: Value
    ) -> Value:
        """Keep a frame that was carried until both of its events are taken.

        Returns whether one of them is from before a command.
        """
        carried = getattr(self, f"{way}_carried")
        frame = Signal(carried.frame.shape(), name=f"{way}_frame", reset_less=True)
        waiting: dict[str, Signal] = {}
        old = Signal(name=f"{way}_old")
        with m.If(carried.strobe):
            m.d.sync += frame.eq(carried.frame)
        for table in ("vni", "tunnel"):
            name = f"{table}_{way}"
            waiting[table] = valid = Signal(name=f"{name}_waits")
            taken = Signal(name=f"{name}_taken")
            with m.If(carried.strobe):
                m.d.sync += valid.eq(frame_counts(carried.frame, table))
            with m.Elif(taken):
                m.d.sync += valid.eq(0)
            offers[name] = _Offer(valid, taken, places[name].at(frame[table]), 1, frame.length, old | command)
        # What waits in the clock of a command is from before it.
        m.d.sync += old.eq((old | command) & ~carried.strobe)
        return old & Cat(*waiting.values()).any()

    def _elaborate_reads(
        self,
        m: Module,
        places: dict[str, _Place],
        banks: Sequence[CounterBank],
        collector: Collector,
        take_snapshot: Value,
    ) -> None:
        """A request stands still until its answer is there, so it may take its time."""
        requests, responses = self.control.requests, self.control.responses
        index, kind = requests.payload.address[1:BANK_SHIFT], requests.payload.address[BANK_SHIFT:]
        snapshot, is_bytes = requests.payload.snapshot, requests.payload.address[0]
        taken = Signal()
        with m.If(take_snapshot):
            m.d.sync += taken.eq(1)

        kinds: list[tuple[Bank, str, int, int]] = [
            (Bank.DECAP_REASONS, "collector", DECAP_PLACE, len(DECAP_REASONS)),
            (Bank.ENCAP_REASONS, "collector", ENCAP_PLACE, len(ENCAP_REASONS)),
            (Bank.PORTS, "collector", PORT_PLACE, len(PORTS)),
        ]
        kinds += [
            (bank, bank.name.lower(), 0, getattr(self._parameters, f"{bank.name.split('_')[0].lower()}s"))
            for bank in (Bank.VNI_ENCAP, Bank.VNI_DECAP, Bank.TUNNEL_ENCAP, Bank.TUNNEL_DECAP)
        ]
        selected = Signal(len(banks))
        of_collector = Signal()
        read_index = Signal(range(max(bank.entries for bank in banks)), reset_less=True)
        place = Signal(range(PLACES), reset_less=True)
        m.d.sync += [selected.eq(0), of_collector.eq(0)]
        with m.Switch(kind):
            for number, name, base, count in kinds:
                with m.Case(number.value):
                    # A reason has no bytes.
                    known = (index < count) & (taken | ~snapshot)
                    if number in (Bank.DECAP_REASONS, Bank.ENCAP_REASONS):
                        known &= ~is_bytes
                    source = places[name]
                    position = (index[: source.bits] + base)[: source.bits]
                    m.d.sync += [
                        selected.eq(known << source.engine),
                        of_collector.eq((name == "collector") & ~snapshot),
                        read_index.eq(source.at(position)),
                    ]
                    if name == "collector":
                        m.d.sync += place.eq(position)

        full, fetch, answer = Signal(), Signal(), Signal(64, reset_less=True)
        start, finished, asks = Signal(), Signal(), Signal()
        valid = Cat(*(bank.read_valid for bank in banks)) & selected
        with m.FSM():
            with m.State("idle"):
                m.d.comb += start.eq(requests.valid & ~self.control.busy & ~full)
                with m.If(start):
                    m.next = "choose"
            with m.State("choose"):
                with m.If(selected == 0):
                    m.next = "finish"
                with m.Elif(of_collector):
                    m.next = "visit"
                with m.Else():
                    m.next = "ask"
            with m.State("visit"):
                m.d.comb += collector.visit.eq(1)
                with m.If(collector.visited):
                    m.next = "ask"
            with m.State("ask"):
                m.d.comb += asks.eq(1)
                m.next = "wait"
            with m.State("wait"), m.If(valid.any()):
                m.next = "finish"
            with m.State("finish"):
                m.d.comb += finished.eq(1)
                m.next = "idle"
        value = reduce(or_, (Mux(selected[i], bank.read_value, 0) for i, bank in enumerate(banks)))
        m.d.comb += fetch.eq(valid.any() | start)
        with m.If(fetch):
            m.d.sync += answer.eq(Mux(start, 0, value))
        m.d.comb += collector.visit_place.eq(place)
        for i, bank in enumerate(banks):
            m.d.comb += [
                bank.read_enable.eq(asks & selected[i]),
                bank.read_index.eq(read_index),
                bank.read_field.eq(is_bytes),
                bank.read_snapshot.eq(snapshot),
            ]
        with m.If(finished):
            m.d.sync += full.eq(1)
        with m.Elif(responses.valid & responses.ready):
            m.d.sync += full.eq(0)
        m.d.comb += [requests.ready.eq(finished), responses.valid.eq(full), responses.payload.eq(answer)]


def frame_counts(frame: Value, table: str) -> Value:
    """Every frame counts for its VNI, but not each for a tunnel."""
    return frame.tunnel_used if table == "tunnel" else Const(1)
