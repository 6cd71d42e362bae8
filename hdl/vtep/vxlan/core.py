"""The VTEP with its registers: what a board or a NIC shell builds in."""

from collections.abc import Iterable, Mapping

from amaranth.hdl import Const, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import VtepParameters
from ..control.counters import PORTS
from ..control.loader import TableLoader
from ..control.register_block import RegisterBlock
from ..control.register_bus import register_bus
from ..control.registers import vtep_registers
from ..control.tables import TableEntry, check_entries, settings_layout
from .pipeline import VtepPipeline, packet_ports

__all__ = ["VtepCore"]


class VtepCore(wiring.Component):
    """`VtepPipeline` and `RegisterBlock`, joined.

    Parameters
    ----------
    parameters : VtepParameters
    settings : mapping or None
        Settings in effect after reset, by the names of `settings_layout`; absent ones are 0.
    entries : iterable of TableEntry
        What the tables hold after reset.

    Attributes
    ----------
    registers : RegisterMap
    tenant_rx, tenant_tx, underlay_rx, underlay_tx, host_rx, host_tx
        Packet streams: see `VtepPipeline`.
    bus : In(`register_bus`)
        The registers of `vtep_registers`. An access takes 4 clocks.
    settings : Out(`settings_layout`)
        Those in effect; they change all in one clock.
    idle : Out(1)
        No frame is inside.

    Notes
    -----
    Reset: tables, settings and counters are as after power-on. Frames enter when the tables are empty and ``entries``
    are in them; until then TABLE_STATUS.busy is set.

    Raises
    ------
    ValueError
        There is no such setting or index, or a value does not fit.
    """

    def __init__(
        self,
        parameters: VtepParameters,
        settings: Mapping[str, int] | None = None,
        entries: Iterable[TableEntry] = (),
    ) -> None:
        self.parameters = parameters
        self.registers = vtep_registers(parameters, settings)
        self._settings = settings
        self._entries = check_entries(parameters, entries)
        super().__init__(
            {
                **packet_ports(parameters),
                "bus": In(register_bus(self.registers.address_bits)),
                "settings": Out(settings_layout()),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = block = RegisterBlock(self.parameters, self._settings)
        m.submodules.pipeline = pipeline = VtepPipeline(self.parameters)
        for name in PORTS:
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(pipeline, name))
        wiring.connect(m, wiring.flipped(self.bus), block.bus)
        wiring.connect(m, block.entries, pipeline.entries)
        wiring.connect(m, block.counters, pipeline.counters)

        loaded: Value = Const(1)
        enable, write = block.config.enable, block.config.write.as_value()
        if self._entries:
            m.submodules.loader = loader = TableLoader(self.parameters, self._entries)
            m.d.comb += loader.start.eq(pipeline.ready)
            loaded = loader.done
            enable, write = enable | loader.enable, Mux(loaded, write, loader.write.as_value())
        m.d.comb += [
            pipeline.config.settings.eq(block.config.settings),
            pipeline.config.changes.eq(block.config.changes),
            pipeline.config.enable.eq(enable),
            pipeline.config.write.eq(write),
            pipeline.run.eq(loaded),
            block.ready.eq(pipeline.ready & loaded),
            block.idle.eq(pipeline.idle),
            self.settings.eq(block.config.settings),
            self.idle.eq(pipeline.idle),
        ]
        return m
