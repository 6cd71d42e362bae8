"""The VTEP behind AXI4-Stream and AXI4-Lite ports that are named as NIC shells name them."""

from collections.abc import Iterable, Mapping

from amaranth.hdl import Cat, ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, Mode, VtepParameters
from ..control.axi_lite import AxiLiteSlave, axi_lite_signature
from ..control.registers import vtep_registers
from ..control.tables import TableEntry, check_entries
from ..stream.axi import AxiStreamSink, AxiStreamSource, axi_signature
from .core import VtepCore

__all__ = ["VtepAxi"]

PORTS = ("tenant", "underlay", "host")


class VtepAxi(wiring.Component):
    """`VtepCore` with flat AXI4-Stream and AXI4-Lite ports.

    ``s_axis_tenant_*``, ``m_axis_tenant_*`` and the same for ``underlay`` and ``host`` are frames: ``tdata``,
    ``tkeep``, ``tvalid``, ``tready``, ``tlast``, ``tuser``. ``tuser[0]``, with ``tlast``, marks a bad frame; with
    ``tenant_length``, ``s_axis_tenant_tuser[14:1]`` is the frame's length in bytes, beside its first beat. A beat
    whose ``tkeep`` has a hole, or no bit, or without ``tlast`` not all bits, makes its frame bad.

    ``s_axil_*``: the registers of `vtep_registers`, by AXI4-Lite of 32 bits (`AxiLiteSlave`). ``idle``: no frame is
    inside.

    Parameters
    ----------
    parameters : VtepParameters
    settings, entries
        What is there after reset: see `VtepCore`.

    Notes
    -----
    Latency: two clocks more than `VtepPipeline`, for a register slice at each port; none in cut-through decapsulation,
    whose ports are registers of the core.

    Raises
    ------
    ValueError
        As `VtepCore`.
    """

    def __init__(
        self,
        parameters: VtepParameters,
        settings: Mapping[str, int] | None = None,
        entries: Iterable[TableEntry] = (),
    ) -> None:
        self.parameters = parameters
        self._initial = settings, check_entries(parameters, entries)
        self._address_bits = vtep_registers(parameters, settings).address_bits
        self._axil = axi_lite_signature(self._address_bits)
        members = {}
        for port in PORTS:
            user = 1 + LENGTH_BITS if port == "tenant" and parameters.tenant_length else 1
            for prefix, flow, bits in ((f"s_axis_{port}", In, user), (f"m_axis_{port}", Out, 1)):
                for name, member in axi_signature(parameters.data_width, bits).members.items():
                    members[f"{prefix}_{name}"] = (
                        flow(member.shape) if member.flow is Out else flow.flip()(member.shape)
                    )
        for name, member in self._axil.members.items():
            members[f"s_axil_{name}"] = member.flow.flip()(Shape.cast(member.shape))
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

        core, slave = VtepCore(parameters, *self._initial), AxiLiteSlave(self._address_bits)
        m.submodules.core, m.submodules.axil = inside(core), inside(slave)
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
            wiring.connect(m, source.o, getattr(core, f"{port}_rx"))
            wiring.connect(m, getattr(core, f"{port}_tx"), sink.i)
            for name, member in axi_signature(parameters.data_width).members.items():
                inner_in, inner_out = getattr(source.axi, name), getattr(sink.axi, name)
                outer_in, outer_out = getattr(self, f"s_axis_{port}_{name}"), getattr(self, f"m_axis_{port}_{name}")
                if name == "tvalid":
                    m.d.comb += [inner_in.eq(outer_in), outer_out.eq(inner_out & ~resetting)]
                elif member.flow is Out:
                    m.d.comb += [inner_in.eq(outer_in), outer_out.eq(inner_out)]
                else:
                    m.d.comb += [outer_in.eq(inner_in & ~resetting), inner_out.eq(outer_out)]
        wiring.connect(m, slave.bus, core.bus)
        for name, member in self._axil.members.items():
            inner, outer = Value.cast(getattr(slave.axi, name)), getattr(self, f"s_axil_{name}")
            if member.flow is Out:
                m.d.comb += inner.eq(outer)
            elif name in ("awready", "wready", "arready", "bvalid", "rvalid"):
                m.d.comb += outer.eq(inner & ~resetting)
            else:
                m.d.comb += outer.eq(inner)
        m.d.comb += self.idle.eq(core.idle & ~Cat(*held).any() & ~resetting)
        return m
