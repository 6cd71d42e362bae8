"""The VXLAN gateway: tenant port, core, underlay port, and the registers on a serial line."""

from collections.abc import Iterable, Mapping
from typing import Any

from amaranth.hdl import DomainRenamer, Module, Mux
from amaranth.lib import wiring

from vtep.config import VtepParameters
from vtep.control.register_file import RegisterFile
from vtep.control.serial_bridge import SerialBridge
from vtep.control.tables import TableEntry
from vtep.mac.port import RgmiiPort
from vtep.stream.packet import connect_packets
from vtep.vxlan.core import VtepCore

from .clocks import CORE_HZ
from .design import TENANT, UNDERLAY, design_signature, port_domains
from .registers import GATEWAY_BASE, gateway_registers

__all__ = ["BAUD", "GATEWAY", "Gateway"]

BAUD = 115200

GATEWAY = VtepParameters(data_width=32, vnis=64, tunnels=16, fdb_entries=1024, flood_entries=64, max_frame_length=2000)
"""Build parameters of the gateway: 32 bits at 62.5 MHz are 2 Gb/s either way."""


class Gateway(wiring.Component):
    """A VTEP that stands alone. See `design_signature`.

    Frames for the host are dropped: what answers for this endpoint belongs between ``host_tx`` and ``host_rx``.

    Parameters
    ----------
    parameters : VtepParameters
    settings, entries
        What is there after power-on: see `VtepCore`.
    configuration : int
        For CONFIGURATION_HASH: see `gateway_registers`.
    in_band : bool
        See `RgmiiPort`.
    clock_hz : int
        Of ``sync``.
    baud : int
        Of the serial line.

    Notes
    -----
    On the serial line the core's registers begin at 0, the gateway's own at `GATEWAY_BASE`.
    """

    def __init__(
        self,
        parameters: VtepParameters = GATEWAY,
        settings: Mapping[str, int] | None = None,
        entries: Iterable[TableEntry] = (),
        *,
        configuration: int = 0,
        in_band: bool = True,
        clock_hz: int = CORE_HZ,
        baud: int = BAUD,
    ) -> None:
        self._core = VtepCore(parameters, settings, entries)
        self._ports = [
            RgmiiPort(parameters.data_width, max_frame_length=parameters.max_frame_length, in_band=in_band)
            for _ in range(2)
        ]
        self._file = RegisterFile(gateway_registers(configuration))
        self._bridge = SerialBridge(GATEWAY_BASE.bit_length(), clock_hz, baud)
        super().__init__(design_signature())

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = core = self._core
        for number, (port, name) in enumerate(zip(self._ports, ("tenant", "underlay"), strict=True)):
            m.submodules[name] = DomainRenamer(port_domains(number))(port)
            outside = wiring.flipped(self.ports[number])
            wiring.connect(m, outside.receive, port.receive)
            wiring.connect(m, port.transmit, outside.transmit)
            m.d.comb += [port.told.eq(outside.told), outside.link.eq(port.link), outside.activity.eq(port.activity)]
        tenant, underlay = self._ports[TENANT], self._ports[UNDERLAY]
        connect_packets(m, tenant.o, core.tenant_rx)
        connect_packets(m, core.tenant_tx, tenant.i)
        connect_packets(m, underlay.o, core.underlay_rx)
        connect_packets(m, core.underlay_tx, underlay.i)
        m.d.comb += core.host_tx.ready.eq(1)
        self._registers(m)
        return m

    def _registers(self, m: Module) -> None:
        m.submodules.bridge, m.submodules.registers = bridge, file = self._bridge, self._file
        m.d.comb += [bridge.rx.eq(self.serial_rx), self.serial_tx.eq(bridge.tx)]
        for port, status in ((TENANT, file.tenant_link.status), (UNDERLAY, file.underlay_link.status)):
            link = self._ports[port].link
            m.d.comb += [
                status.up.eq(link.up),
                status.speed.eq(link.speed.as_value()),
                status.full_duplex.eq(link.full_duplex),
            ]
        master, own, core = bridge.bus, file.bus, self._core.bus
        ours = master.address[len(core.address)]
        for slave, chosen in ((core, ~ours), (own, ours)):
            m.d.comb += [
                slave.request.eq(master.request & chosen),
                slave.write.eq(master.write),
                slave.address.eq(master.address),
                slave.write_data.eq(master.write_data),
                slave.write_bytes.eq(master.write_bytes),
            ]
        for name in ("ack", "read_data", "error"):
            m.d.comb += getattr(master, name).eq(Mux(ours, getattr(own, name), getattr(core, name)))
