"""The VTEP: both directions of SPEC.md, with its ports, its configuration and its counters."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import VtepParameters
from ..control.counters import COUNTER_ADDRESS_BITS
from ..control.tables import Table, settings_layout, write_layout, write_signature
from ..packet.queue import PacketQueue
from ..stream.arbiter import PacketArbiter
from ..stream.packet import connect_packets, packet_signature
from .decapsulator import Decapsulator
from .encapsulator import Encapsulator
from .statistics import Statistics

__all__ = ["VtepPipeline"]


class VtepPipeline(wiring.Component):
    """A VXLAN tunnel endpoint between a tenant port, an underlay port and a host port.

    Parameters
    ----------
    parameters : VtepParameters

    Attributes
    ----------
    tenant_rx, underlay_rx, host_rx : In(stream)
        Packet streams; ``tenant_rx`` with ``length`` if the parameters say so. Their ``ready`` stays low after reset
        until the counters are cleared, for as many clocks as the largest table has entries.
    tenant_tx, underlay_tx, host_tx : Out(stream)
        Packet streams.
    config : In(stream)
        Of `write_layout`: one beat writes one table entry; one a clock, in effect 2 clocks later. A frame that enters
        before may meet the old entry or the new one.
    counter_requests : In(stream)
        Addresses of `counter_map`.
    counter_responses : Out(stream)
        Values, 64 bits.
    idle : Out(1)
        No frame is inside.

    Notes
    -----
    Throughput and latency are those of `Encapsulator` and `Decapsulator`; both run at full rate at once. Frames from
    the host take turns with encapsulated ones on ``underlay_tx``, which adds one clock of latency.

    Reset: frames inside are forgotten, all tables are emptied, settings and counters are 0.
    """

    def __init__(self, parameters: VtepParameters) -> None:
        self.parameters = parameters
        packets = packet_signature(parameters.data_width)
        super().__init__(
            {
                "tenant_rx": In(packet_signature(parameters.data_width, length=parameters.tenant_length)),
                "tenant_tx": Out(packets),
                "underlay_rx": In(packets),
                "underlay_tx": Out(packets),
                "host_rx": In(packets),
                "host_tx": Out(packets),
                "config": In(write_signature(parameters)),
                "counter_requests": In(stream.Signature(unsigned(COUNTER_ADDRESS_BITS))),
                "counter_responses": Out(stream.Signature(unsigned(64))),
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
        m.d.sync += running.eq(statistics.ready & encapsulator.ready & decapsulator.ready)
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

        settings = Signal(settings_layout())
        enable = Signal()
        write = Signal(write_layout(parameters))
        m.d.comb += self.config.ready.eq(running)
        m.d.sync += [enable.eq(self.config.valid & running), write.eq(self.config.payload)]
        with m.If(enable & (write.table == Table.SETTINGS)):
            m.d.sync += settings.eq(write.entry[: settings_layout().size])
        for block in (encapsulator, decapsulator):
            m.d.comb += [
                block.config.settings.eq(settings),
                block.config.enable.eq(enable),
                block.config.write.eq(write),
            ]

        streams = (
            self.tenant_rx,
            self.tenant_tx,
            self.underlay_rx,
            self.underlay_tx,
            self.host_rx,
            self.host_tx,
        )
        for watched, port in zip(statistics.ports, streams, strict=True):
            m.d.comb += [watched.valid.eq(port.valid), watched.ready.eq(port.ready)]
            for name in ("data", "empty", "last", "error"):
                m.d.comb += watched.payload[name].eq(port.payload[name])
        wiring.connect(m, encapsulator.reason, statistics.encap_reason)
        wiring.connect(m, decapsulator.reason, statistics.decap_reason)
        wiring.connect(m, encapsulator.carried, statistics.encap_carried)
        wiring.connect(m, decapsulator.carried, statistics.decap_carried)
        m.d.comb += statistics.too_big.eq(encapsulator.too_big)
        wiring.connect(m, wiring.flipped(self.counter_requests), statistics.requests)
        wiring.connect(m, statistics.responses, wiring.flipped(self.counter_responses))

        m.d.comb += self.idle.eq(encapsulator.idle & decapsulator.idle & host_queue.idle & ~underlay.o.valid)
        return m
