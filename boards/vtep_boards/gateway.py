"""The VXLAN gateway: tenant port, core, underlay port, and the registers on a serial line."""

from collections.abc import Iterable, Mapping
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring

from vtep.config import VtepParameters
from vtep.control.tables import TableEntry
from vtep.mac.port import RgmiiPort
from vtep.stream.packet import connect_packets
from vtep.vxlan.core import VtepCore

from .clocks import CORE_HZ
from .control import GatewayControl
from .design import TENANT, UNDERLAY, add_ports, design_signature

__all__ = ["BAUD", "GATEWAY", "Gateway"]

BAUD = 115200

NEIGHBORS = 16

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
        See `gateway_registers`.
    in_band : bool
        See `RgmiiPort`.
    clock_hz : int
        Of ``sync``.
    baud : int
        Of the serial line, on which `GatewayControl` gives the registers.

    Raises
    ------
    ValueError
        As `VtepCore` and `GatewayControl`.
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
        self._control = GatewayControl(configuration, NEIGHBORS, clock_hz, baud)
        super().__init__(design_signature())

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = core = self._core
        tenant, underlay = self._ports[TENANT], self._ports[UNDERLAY]
        add_ports(m, self, {"tenant": tenant, "underlay": underlay})
        connect_packets(m, tenant.o, core.tenant_rx)
        connect_packets(m, core.tenant_tx, tenant.i)
        connect_packets(m, underlay.o, core.underlay_rx)
        connect_packets(m, core.underlay_tx, underlay.i)
        m.d.comb += core.host_tx.ready.eq(1)
        m.submodules.control = control = self._control
        wiring.connect(m, control.core, core.bus)
        m.d.comb += [control.serial_rx.eq(self.serial_rx), self.serial_tx.eq(control.serial_tx)]
        m.d.comb += [shown.eq(port.link) for shown, port in zip(control.links, self._ports, strict=True)]
        return m
