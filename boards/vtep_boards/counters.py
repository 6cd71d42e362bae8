"""The counters of a gateway beside those of its core: of both MACs and of the local stack, in one RAM."""

from typing import Any

from amaranth.hdl import DomainRenamer, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vtep.control.counter_ram import CounterRam, count_layout
from vtep.control.event_feed import EventFeed
from vtep.control.gateway_registers import GATEWAY_COUNTERS, LOCAL_EVENTS, MAC_COUNTERS, PORTS
from vtep.mac.crossed import received_layout
from vtep.mac.statistics import AMOUNT_BITS, MacStatistics

from .design import port_domains

__all__ = ["GatewayCounters", "mac_events"]

ENTRIES = len(GATEWAY_COUNTERS)
COMMANDS = ("clear", "take_snapshot", "read", "read_index", "read_snapshot")
ANSWERS = ("busy", "value")


def mac_events() -> wiring.Signature:
    """What a MAC tells: see `MacStatistics`."""
    return wiring.Signature(
        {
            "received": Out(1),
            "reception": Out(received_layout()),
            "false_carrier": Out(1),
            "sent": Out(1),
            "lost": Out(1),
        }
    )


class GatewayCounters(wiring.Component):
    """Counts by `GATEWAY_COUNTERS`, 64 bits each.

    Domains: ``sync``, ``tx``, and ``rx0`` and ``rx1`` of the ports.

    Attributes
    ----------
    macs : array of In(`mac_events`)
        Of the tenant's and the underlay's port, in the domains of each.
    events : Signal(), in
        A bit for each of `LOCAL_EVENTS`. See `EventFeed`.
    clear, take_snapshot, read, read_index, read_snapshot, busy, value
        See `CounterRam`.

    Notes
    -----
    The stack's events go first, then the tenant's. A snapshot or a clearing keeps them waiting for 2 clocks a counter,
    in which some ten of the shortest frames can come to a gigabit port: none is lost. Reset: see `MacStatistics` and
    `CounterRam`.
    """

    def __init__(self) -> None:
        self._ram = CounterRam(ENTRIES, AMOUNT_BITS)
        members = self._ram.signature.members
        super().__init__(
            {
                "macs": In(mac_events()).array(len(PORTS)),
                "events": In(len(LOCAL_EVENTS)),
                **{name: members[name] for name in (*COMMANDS, *ANSWERS)},
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.ram = ram = self._ram
        m.d.comb += [getattr(ram, name).eq(getattr(self, name)) for name in COMMANDS]
        m.d.comb += [getattr(self, name).eq(getattr(ram, name)) for name in ANSWERS]

        # Of the stack the fewest events can wait, but they are few; frames wait in the MACs' crossings.
        m.submodules.local = local = EventFeed(len(PORTS) * len(MAC_COUNTERS), len(LOCAL_EVENTS), ENTRIES)
        m.d.comb += local.events.eq(self.events)
        sources: list[Any] = [local.o]
        for number, name in enumerate(PORTS):
            statistics = MacStatistics(number * len(MAC_COUNTERS), ENTRIES)
            m.submodules[name] = DomainRenamer(port_domains(number))(statistics)
            for member in mac_events().members:
                m.d.comb += getattr(statistics, member).eq(getattr(self.macs[number], member))
            sources.append(statistics.o)

        # One after the other, through a register.
        shape = count_layout(ENTRIES, AMOUNT_BITS)
        valid, event = Signal(), Signal(shape, reset_less=True)
        free = Signal()
        m.d.comb += [ram.i.valid.eq(valid), ram.i.payload.eq(event), free.eq(~valid | ram.i.ready)]
        index, amount = sources[-1].payload.index, sources[-1].payload.amount
        for source in reversed(sources[:-1]):
            index = Mux(source.valid, source.payload.index, index)
            amount = Mux(source.valid, source.payload.amount, amount)
        taken = free
        for source in sources:
            m.d.comb += source.ready.eq(taken)
            taken = taken & ~source.valid
        with m.If(free):
            m.d.sync += [valid.eq(~taken), event.index.eq(index), event.amount.eq(amount)]
        return m
