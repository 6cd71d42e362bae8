"""All counters of the core (SPEC.md section 5), behind one port."""

from functools import reduce
from operator import or_
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, VtepParameters
from ..control.bank import CounterBank
from ..control.counters import BANK_SHIFT, DECAP_REASONS, ENCAP_REASONS, PORTS, Bank
from ..control.meter import PortMeter
from ..control.ports import carried_event, counter_bus, reason_event
from ..control.tally import LAG, Tally, delayed
from ..stream.packet import packet_layout

__all__ = ["Statistics"]

ASKED = 2
"""Clock of a read in which a counter is asked."""

LATENCY = ASKED + max(CounterBank.latency, PortMeter.latency) + 3
"""Clocks of a read that need not wait: three behind the answer."""

GROUP = 4
"""Answers that share a register."""


class _Question(NamedTuple):
    selected: Value
    index: Value
    field: Value
    snapshot: Value


class Statistics(wiring.Component):
    """Counts what the data plane reports, and answers reads one after the other.

    Parameters
    ----------
    parameters : VtepParameters

    Attributes
    ----------
    ports : In, array
        What passes the ports, in the order of ``PORTS``: ``valid``, ``ready``, ``payload``.
    encap_reason, decap_reason, too_big, encap_carried, decap_carried : In
        The events of encapsulator and decapsulator.
    control : In(`counter_bus`)
        Reads and commands. An address without a counter reads as 0, and so do copies before there is one. A command
        finds every counter as it is with all events up to the clock of the command, and without any later one.
    ready : Out(1)
        Low after reset until all counters are 0; events are lost until then, and ``control.busy`` is high.

    Notes
    -----
    One event of each kind a clock; none is lost. A read takes 12 clocks, and waits for a clock without an event of its
    kind. A command takes as many clocks without an event of a kind as there are counters of that kind, and 7 more;
    reads wait for its end. Such clocks there always are between frames on a wire, and wherever a frame that is not
    dropped has more than one beat on its way in or out.
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
        parameters = self._parameters
        requests, responses = self.control.requests, self.control.responses
        ready: list[Value] = []
        busy: list[Value] = []
        waiting: list[Value] = []

        # All banks and meters see a command in the same clock.
        clear, take_snapshot, pending = Signal(), Signal(), Signal()
        m.d.sync += [
            clear.eq(self.control.clear),
            take_snapshot.eq(self.control.take_snapshot),
            pending.eq(clear | take_snapshot),
        ]
        taken = Signal()
        with m.If(take_snapshot):
            m.d.sync += taken.eq(1)

        # A request stands still until its answer is there, so it may take its time to those who are asked, which lie
        # far apart, and only who is asked sees it.
        request = Signal.like(requests.payload, reset_less=True)
        known = Signal()
        m.d.sync += [request.eq(requests.payload), known.eq(taken | ~requests.payload.snapshot)]
        index, kind = request.address[1:BANK_SHIFT], request.address[BANK_SHIFT:]
        values: list[Value] = []
        asking = Signal()

        def ask(name: str, condition: Value) -> _Question:
            """What one bank, meter or counter is asked."""
            question = _Question(
                selected=Signal(name=f"{name}_selected"),
                index=Signal.like(index, name=f"{name}_index", reset_less=True),
                field=Signal(name=f"{name}_field", reset_less=True),
                snapshot=Signal(name=f"{name}_snapshot", reset_less=True),
            )
            m.d.sync += question.selected.eq(condition & known)
            with m.If(condition):
                m.d.sync += [
                    question.index.eq(index),
                    question.field.eq(request.address[0]),
                    question.snapshot.eq(request.snapshot),
                ]
            return question

        def take(name: str, question: _Question, value: Value, valid: Value | None = None) -> None:
            """Add an answer, which is there in time or, with ``valid``, in that clock."""
            answer = Signal(64, name=f"{name}_answer", reset_less=True)
            with m.If(Const(1) if valid is None else valid | ~question.selected):
                m.d.sync += answer.eq(Mux(question.selected, value, 0))
            values.append(answer)

        def bank(
            name: str, number: Bank, entries: int, byte_bits: int, strobe: Value, event: Value, length: Value
        ) -> None:
            m.submodules[name] = counters = CounterBank(entries, byte_bits)
            inside = (kind == number) & (index < entries)
            if not byte_bits:
                inside &= ~request.address[0]
            question = ask(name, inside)
            asks = question.selected & asking
            waits = Signal(name=f"{name}_waits")
            with m.If(asks | counters.read_valid):
                m.d.sync += waits.eq(asks)
            m.d.comb += [
                counters.strobe.eq(strobe),
                counters.index.eq(event),
                counters.bytes.eq(length),
                counters.clear.eq(clear),
                counters.take_snapshot.eq(take_snapshot),
                counters.read_enable.eq(asks),
                counters.read_index.eq(question.index),
                counters.read_field.eq(question.field),
                counters.read_snapshot.eq(question.snapshot),
            ]
            take(name, question, counters.read_value, counters.read_valid)
            waiting.append(waits)
            ready.append(counters.ready)
            busy.append(counters.busy)

        # Rule 4 of encapsulation strikes at copies, later than the other rules: its counter stands beside theirs.
        event = self.encap_reason
        bank("encap_reasons", Bank.ENCAP_REASONS, len(ENCAP_REASONS) - 1, 0, event.strobe, event.index, Const(0, 0))
        m.submodules.too_big = too_big = Tally(1)
        is_mtu = (kind == Bank.ENCAP_REASONS) & (index == ENCAP_REASONS.index("mtu")) & ~request.address[0]
        question = ask("mtu", is_mtu)
        m.d.comb += [
            too_big.amount.eq(self.too_big),
            too_big.clear.eq(clear),
            too_big.take_snapshot.eq(take_snapshot),
            too_big.read_snapshot.eq(question.snapshot),
        ]
        take("mtu", question, Cat(delayed(m, too_big.low, LAG, "too_big_low", reset_less=True), too_big.high))
        event = self.decap_reason
        bank("decap_reasons", Bank.DECAP_REASONS, len(DECAP_REASONS), 0, event.strobe, event.index, Const(0, 0))

        for i, name in enumerate(PORTS):
            m.submodules[name] = meter = PortMeter(parameters.data_width)
            port = self.ports[i]
            question = ask(name, (kind == Bank.PORTS) & (index == i))
            m.d.comb += [
                meter.valid.eq(port.valid),
                meter.ready.eq(port.ready),
                meter.payload.eq(port.payload),
                meter.clear.eq(clear),
                meter.take_snapshot.eq(take_snapshot),
                meter.read_field.eq(question.field),
                meter.read_snapshot.eq(question.snapshot),
            ]
            take(name, question, meter.read_value)

        for table, entries, banks in (
            ("vni", parameters.vnis, (Bank.VNI_ENCAP, Bank.VNI_DECAP)),
            ("tunnel", parameters.tunnels, (Bank.TUNNEL_ENCAP, Bank.TUNNEL_DECAP)),
        ):
            for number, carried in zip(banks, (self.encap_carried, self.decap_carried), strict=True):
                frame = carried.frame
                strobe = carried.strobe & (frame.tunnel_used if table == "tunnel" else 1)
                bank(number.name.lower(), number, entries, LENGTH_BITS, strobe, frame[table], frame.length)

        # All but one of them are 0.
        groups: list[Value] = []
        for start in range(0, len(values), GROUP):
            group = Signal(64, name=f"group_{start}", reset_less=True)
            m.d.sync += group.eq(reduce(or_, values[start : start + GROUP]))
            groups.append(group)

        count = Signal(range(LATENCY))
        start = Signal()
        answer = Signal(64, reset_less=True)
        full = Signal()
        working = Signal(init=1)
        waits = Signal()
        finished = Signal()
        m.d.sync += [working.eq(~self.ready | Cat(*busy).any()), waits.eq(Cat(*waiting).any())]
        m.d.comb += [
            self.ready.eq(Cat(*ready).all()),
            self.control.busy.eq(working | clear | take_snapshot | pending),
            start.eq(requests.valid & ~self.control.busy & (count == 0) & ~full),
            asking.eq(count == ASKED),
            finished.eq((count == LATENCY - 1) & ~waits),
            requests.ready.eq(finished),
            responses.valid.eq(full),
            responses.payload.eq(answer),
        ]
        with m.If(start):
            m.d.sync += count.eq(1)
        with m.Elif(finished):
            m.d.sync += [count.eq(0), full.eq(1), answer.eq(reduce(or_, groups))]
        with m.Elif((count != 0) & (count != LATENCY - 1)):
            m.d.sync += count.eq(count + 1)
        with m.If(responses.valid & responses.ready):
            m.d.sync += full.eq(0)
        return m
