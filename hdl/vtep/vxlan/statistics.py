"""All counters of the core (SPEC.md section 5), behind one port."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, VtepParameters
from ..control.bank import CounterBank
from ..control.counters import BANK_SHIFT, DECAP_REASONS, ENCAP_REASONS, PORTS
from ..control.meter import PortMeter
from ..control.ports import carried_event, counter_bus, reason_event
from ..control.tally import Tally
from ..stream.packet import packet_layout

__all__ = ["Statistics"]

LATENCY = 3
"""Clocks from a read of a bank or meter to its value."""


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
    One event of each kind a clock; none is lost. A read takes 6 clocks. A command takes as many clocks without an event
    of a kind as there are counters of that kind, and 7 more; reads wait for its end.
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
        address, snapshot = requests.payload.address, requests.payload.snapshot
        field, index, bank_number = address[0], address[1:BANK_SHIFT], address[BANK_SHIFT:]
        start = Signal()
        values: list[Value] = []
        ready: list[Value] = []
        busy: list[Value] = []

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

        def join(counters: CounterBank | PortMeter) -> None:
            m.d.comb += [
                counters.clear.eq(clear),
                counters.take_snapshot.eq(take_snapshot),
                counters.read_enable.eq(start),
                counters.read_snapshot.eq(snapshot),
            ]

        def bank(name: str, entries: int, byte_bits: int, strobe: Value, number: Value, length: Value) -> Value:
            m.submodules[name] = counters = CounterBank(entries, byte_bits)
            m.d.comb += [
                counters.strobe.eq(strobe),
                counters.index.eq(number),
                counters.bytes.eq(length),
                counters.read_index.eq(index),
                counters.read_field.eq(field),
            ]
            join(counters)
            ready.append(counters.ready)
            busy.append(counters.busy)
            inside = Signal(name=f"{name}_inside")
            m.d.comb += inside.eq((index < entries) & ((field == 0) | (byte_bits != 0)))
            return Mux(inside, counters.read_value, 0)

        # Rule 4 of encapsulation strikes at copies, later than the other rules: its counter stands beside theirs.
        event = self.encap_reason
        reasons = bank("encap_reasons", len(ENCAP_REASONS) - 1, 0, event.strobe, event.index, 0)
        m.submodules.too_big = too_big = Tally(1)
        too_big_low, too_big_high = Signal(2 * len(too_big.low)), Signal.like(too_big.high)
        m.d.comb += [
            too_big.amount.eq(self.too_big),
            too_big.clear.eq(clear),
            too_big.take_snapshot.eq(take_snapshot),
            too_big.read_snapshot.eq(snapshot),
        ]
        # A request stands still, so all that matters is that the parts are a clock apart.
        m.d.sync += [too_big_low.eq(Cat(too_big.low, too_big_low)), too_big_high.eq(too_big.high)]
        is_mtu = (index == ENCAP_REASONS.index("mtu")) & (field == 0)
        values.append(Mux(is_mtu, Cat(too_big_low[len(too_big.low) :], too_big_high), reasons))
        event = self.decap_reason
        values.append(bank("decap_reasons", len(DECAP_REASONS), 0, event.strobe, event.index, 0))

        port_value: Value = Value.cast(0)
        for i, name in enumerate(PORTS):
            m.submodules[name] = meter = PortMeter(parameters.data_width)
            port = self.ports[i]
            m.d.comb += [
                meter.valid.eq(port.valid),
                meter.ready.eq(port.ready),
                meter.payload.eq(port.payload),
                meter.read_field.eq(field),
            ]
            join(meter)
            port_value = Mux(index == i, meter.read_value, port_value)
        values.append(port_value)

        ways = (("encap", self.encap_carried), ("decap", self.decap_carried))
        for name, entries in (("vni", parameters.vnis), ("tunnel", parameters.tunnels)):
            for way, carried in ways:
                used = carried.frame.tunnel_used if name == "tunnel" else 1
                values.append(
                    bank(
                        f"{name}_{way}",
                        entries,
                        LENGTH_BITS,
                        carried.strobe & used,
                        carried.frame[name],
                        carried.frame.length,
                    )
                )

        # The banks lie far apart: one's value goes on to a register of its own, the others' are 0.
        chosen: list[Value] = []
        for i, value in enumerate(values):
            asked, register = Signal(), Signal(64, reset_less=True)
            m.d.sync += [asked.eq((bank_number == i) & (taken | ~snapshot)), register.eq(Mux(asked, value, 0))]
            chosen.append(register)

        # One read at a time: the request stands until its answer is there.
        count = Signal(range(LATENCY + 3))
        answer = Signal(64)
        full = Signal()
        working = Signal(init=1)
        m.d.sync += working.eq(~self.ready | Cat(*busy).any())
        m.d.comb += [
            self.ready.eq(Cat(*ready).all()),
            self.control.busy.eq(working | clear | take_snapshot | pending),
            start.eq(requests.valid & ~self.control.busy & (count == 0) & ~full),
            requests.ready.eq(count == LATENCY + 1),
            responses.valid.eq(full),
            responses.payload.eq(answer),
        ]
        with m.If(start):
            m.d.sync += count.eq(1)
        with m.Elif(count == LATENCY + 1):
            m.d.sync += [count.eq(0), full.eq(1), answer.eq(reduce(or_, chosen))]
        with m.Elif(count != 0):
            m.d.sync += count.eq(count + 1)
        with m.If(responses.valid & responses.ready):
            m.d.sync += full.eq(0)
        return m
