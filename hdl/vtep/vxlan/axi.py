"""The VTEP behind AXI4-Stream ports that are named as NIC shells name them."""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, Mode, VtepParameters
from ..control.counters import COUNTER_ADDRESS_BITS
from ..control.tables import write_layout
from ..stream.axi import AxiStreamSink, AxiStreamSource, axi_signature
from .pipeline import VtepPipeline

__all__ = ["VtepAxi"]

PORTS = ("tenant", "underlay", "host")


class VtepAxi(wiring.Component):
    """`VtepPipeline` with flat AXI4-Stream ports.

    ``s_axis_tenant_*``, ``m_axis_tenant_*`` and the same for ``underlay`` and ``host`` are frames: ``tdata``,
    ``tkeep``, ``tvalid``, ``tready``, ``tlast``, ``tuser``. ``tuser[0]``, with ``tlast``, marks a bad frame; with
    ``tenant_length``, ``s_axis_tenant_tuser[14:1]`` is the frame's length in bytes, beside its first beat. A beat
    whose ``tkeep`` has a hole, or no bit, or without ``tlast`` not all bits, makes its frame bad.

    ``s_axis_config_*``: one beat writes one table entry (`write_layout`). ``s_axis_counter_*``: the address of a
    counter; ``m_axis_counter_*``: its value. ``idle``: no frame is inside.

    Parameters
    ----------
    parameters : VtepParameters

    Notes
    -----
    Latency: two clocks more than `VtepPipeline`, for a register slice at each port; none in cut-through decapsulation,
    whose ports are registers of the core.
    """

    def __init__(self, parameters: VtepParameters) -> None:
        self.parameters = parameters
        members = {}
        for port in PORTS:
            user = 1 + LENGTH_BITS if port == "tenant" and parameters.tenant_length else 1
            for prefix, flow, bits in ((f"s_axis_{port}", In, user), (f"m_axis_{port}", Out, 1)):
                for name, member in axi_signature(parameters.data_width, bits).members.items():
                    members[f"{prefix}_{name}"] = (
                        flow(member.shape) if member.flow is Out else flow.flip()(member.shape)
                    )
        plain = (
            ("s_axis_config", In, write_layout(parameters).size),
            ("s_axis_counter", In, COUNTER_ADDRESS_BITS),
            ("m_axis_counter", Out, 64),
        )
        for prefix, flow, bits in plain:
            members[f"{prefix}_tdata"] = flow(bits)
            members[f"{prefix}_tvalid"] = flow(1)
            members[f"{prefix}_tready"] = flow.flip()(1)
        members["idle"] = Out(1)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parameters = self.parameters
        # All inside is reset a clock later, out of a register: the reset's thousands of loads are no path from a pin.
        resetting = Signal(init=1, reset_less=True)
        m.d.sync += resetting.eq(ResetSignal("sync", allow_reset_less=True))
        m.domains.core = ClockDomain(local=True)
        m.d.comb += [ClockSignal("core").eq(ClockSignal("sync")), ResetSignal("core").eq(resetting)]
        inside = DomainRenamer("core")

        pipeline = VtepPipeline(parameters)
        m.submodules.pipeline = inside(pipeline)
        fast = parameters.decap_mode is Mode.CUT_THROUGH
        held: list[Value] = []
        for port in PORTS:
            source = AxiStreamSource(
                parameters.data_width,
                length=port == "tenant" and parameters.tenant_length,
                registered=not (fast and port == "underlay"),
            )
            sink = AxiStreamSink(parameters.data_width, registered=not (fast and port == "tenant"))
            m.submodules[f"{port}_rx"], m.submodules[f"{port}_tx"] = inside(source), inside(sink)
            held += [source.o.valid, sink.axi.tvalid]
            wiring.connect(m, source.o, getattr(pipeline, f"{port}_rx"))
            wiring.connect(m, getattr(pipeline, f"{port}_tx"), sink.i)
            for name, member in axi_signature(parameters.data_width).members.items():
                inner_in, inner_out = getattr(source.axi, name), getattr(sink.axi, name)
                outer_in, outer_out = getattr(self, f"s_axis_{port}_{name}"), getattr(self, f"m_axis_{port}_{name}")
                if name == "tvalid":
                    m.d.comb += [inner_in.eq(outer_in), outer_out.eq(inner_out & ~resetting)]
                elif member.flow is Out:
                    m.d.comb += [inner_in.eq(outer_in), outer_out.eq(inner_out)]
                else:
                    m.d.comb += [outer_in.eq(inner_in & ~resetting), inner_out.eq(outer_out)]
        m.d.comb += [
            pipeline.config.valid.eq(self.s_axis_config_tvalid),
            pipeline.config.payload.eq(self.s_axis_config_tdata),
            self.s_axis_config_tready.eq(pipeline.config.ready & ~resetting),
            pipeline.counter_requests.valid.eq(self.s_axis_counter_tvalid),
            pipeline.counter_requests.payload.eq(self.s_axis_counter_tdata),
            self.s_axis_counter_tready.eq(pipeline.counter_requests.ready & ~resetting),
            self.m_axis_counter_tvalid.eq(pipeline.counter_responses.valid & ~resetting),
            self.m_axis_counter_tdata.eq(pipeline.counter_responses.payload),
            pipeline.counter_responses.ready.eq(self.m_axis_counter_tready),
            self.idle.eq(pipeline.idle & ~Cat(*held).any() & ~resetting),
        ]
        return m
