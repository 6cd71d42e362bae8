"""The data plane of the VTEP: both directions of SPEC.md, with its ports, its tables and its counters."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import VtepParameters
from ..control.counters import PORTS
from ..control.ports import config_bus, counter_bus, entry_read_bus
from ..packet.queue import PacketQueue
from ..stream.arbiter import PacketArbiter
from ..stream.packet import connect_packets, packet_signature
from .decapsulator import Decapsulator
from .encapsulator import Encapsulator
from .statistics import Statistics

__all__ = ["VtepPipeline", "packet_ports"]


def packet_ports(parameters: VtepParameters) -> dict[str, wiring.Member]:
    """Members of the packet streams, in the order of ``PORTS``."""
    packets = packet_signature(parameters.data_width)
    return {
        "tenant_rx": In(packet_signature(parameters.data_width, length=parameters.tenant_length)),
        "tenant_tx": Out(packets),
        "underlay_rx": In(packets),
        "underlay_tx": Out(packets),
        "host_rx": In(packets),
        "host_tx": Out(packets),
    }


class VtepPipeline(wiring.Component):
    """A VXLAN tunnel endpoint between a tenant port, an underlay port and a host port.

    Parameters
    ----------
    parameters : VtepParameters

    Attributes
    ----------
    tenant_rx, underlay_rx, host_rx : In(stream)
        Packet streams; ``tenant_rx`` with ``length`` if the parameters say so. Their ``ready`` stays low after reset
        until tables and counters are cleared, for as many clocks as the largest table or bank of
        counters has entries (64 at least), and until ``run``.
    tenant_tx, underlay_tx, host_tx : Out(stream)
        Packet streams.
    config : In(`config_bus`)
        Settings, and writes of table entries; one a clock, in effect 2 clocks later. A frame that enters before may
        meet the old entry or the new one, never a part of each.
    entries : In(`entry_read_bus`)
        Reads of entries. The index is the one of ``config.write``, at which it stands still meanwhile.
    counters : In(`counter_bus`)
        Addresses are those of `counter_map`.
    run : In(1)
        Frames may enter. Once high, it stays.
    ready : Out(1)
        High once tables and counters are clear: ``config`` and ``entries`` are taken.
    idle : Out(1)
        A register: no frame is inside. High at earliest one clock after the last one left.

    Notes
    -----
    Throughput and latency are those of `Encapsulator` and `Decapsulator`; both run at full rate at once. Frames from
    the host take turns with encapsulated ones on ``underlay_tx``, which adds one clock of latency.

    Reset: frames inside are forgotten, all tables are emptied, counters are 0.
    """

    def __init__(self, parameters: VtepParameters) -> None:
        self.parameters = parameters
        super().__init__(
            {
                **packet_ports(parameters),
                "config": In(config_bus(parameters)),
                "entries": In(entry_read_bus(parameters)),
                "counters": In(counter_bus()),
                "run": In(1),
                "ready": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parameters = self.parameters
        m.submodules.encapsulator = encapsulator = Encapsulator(parameters)
        m.submodules.decapsulator = decapsulator = Decapsulator(parameters)
        m.submodules.host_queue = host_queue = PacketQueue(
            parameters.data_width, depth=parameters.queue_beats("host_queue_bytes")
        )
        m.submodules.underlay = underlay = PacketArbiter(parameters.data_width)
        m.submodules.statistics = statistics = Statistics(parameters)

        # Frames enter when the counters are clear and the tables empty.
        running = Signal()
        m.d.sync += [
            self.ready.eq(statistics.ready & encapsulator.ready & decapsulator.ready),
            running.eq(self.ready & self.run),
        ]
        m.d.comb += [encapsulator.run.eq(running), decapsulator.run.eq(running)]
        connect_packets(m, wiring.flipped(self.tenant_rx), encapsulator.i)
        connect_packets(m, wiring.flipped(self.underlay_rx), decapsulator.i)
        m.d.comb += [
            host_queue.i.valid.eq(self.host_rx.valid & running),
            host_queue.i.payload.eq(self.host_rx.payload),
            self.host_rx.ready.eq(host_queue.i.ready & running),
        ]
        connect_packets(m, encapsulator.o, underlay.i[0])
        connect_packets(m, host_queue.o, underlay.i[1])
        connect_packets(m, underlay.o, wiring.flipped(self.underlay_tx))
        connect_packets(m, decapsulator.tenant, wiring.flipped(self.tenant_tx))
        connect_packets(m, decapsulator.host, wiring.flipped(self.host_tx))

        # Registered once, together, since the way to the tables is long.
        enable, strobe = Signal(), Signal()
        write = Signal.like(self.config.write, reset_less=True)
        table = Signal.like(self.entries.table, reset_less=True)
        m.d.sync += [
            enable.eq(self.config.enable & self.ready),
            write.eq(self.config.write),
            strobe.eq(self.entries.strobe & self.ready),
            table.eq(self.entries.table),
        ]
        for block in (encapsulator, decapsulator):
            m.d.comb += [
                block.config.settings.eq(self.config.settings),
                block.config.changes.eq(self.config.changes),
                block.config.enable.eq(enable),
                block.config.write.eq(write),
                block.entries.strobe.eq(strobe),
                block.entries.table.eq(table),
                block.entries.index.eq(write.index),
            ]
        # A table is in one of the two, and what does not answer is 0.
        both = (encapsulator.entries, decapsulator.entries)
        m.d.comb += [
            self.entries.valid.eq(Cat(part.valid for part in both).any()),
            self.entries.entry.eq(both[0].entry | both[1].entry),
        ]

        for watched, name in zip(statistics.ports, PORTS, strict=True):
            port = getattr(self, name)
            m.d.comb += [watched.valid.eq(port.valid), watched.ready.eq(port.ready)]
            for field in ("data", "empty", "last", "error"):
                m.d.comb += watched.payload[field].eq(port.payload[field])
        wiring.connect(m, encapsulator.reason, statistics.encap_reason)
        wiring.connect(m, decapsulator.reason, statistics.decap_reason)
        wiring.connect(m, encapsulator.carried, statistics.encap_carried)
        wiring.connect(m, decapsulator.carried, statistics.decap_carried)
        m.d.comb += statistics.too_big.eq(encapsulator.too_big)
        wiring.connect(m, wiring.flipped(self.counters), statistics.control)

        entering = self.tenant_rx.valid | self.underlay_rx.valid | self.host_rx.valid
        inside = ~(encapsulator.idle & decapsulator.idle & host_queue.idle) | underlay.o.valid
        m.d.sync += self.idle.eq(~inside & ~entering)
        return m
