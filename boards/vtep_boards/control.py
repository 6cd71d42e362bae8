"""A gateway's registers on its serial line: those of the core, and its own."""

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vtep.control.gateway_registers import GATEWAY_BASE, gateway_registers
from vtep.control.register_bus import register_bus
from vtep.control.register_file import RegisterFile
from vtep.control.serial_bridge import SerialBridge
from vtep.mac.rgmii import link_layout

__all__ = ["GatewayControl"]


class GatewayControl(wiring.Component):
    """`SerialBridge` in front of the core's registers, from 0 on, and of `gateway_registers`, from `GATEWAY_BASE` on.

    Parameters
    ----------
    configuration : int
        See `gateway_registers`.
    neighbors : int
        See `gateway_registers`.
    clock_hz, baud : int
        See `SerialBridge`.

    Attributes
    ----------
    serial_rx, serial_tx
        ``rx`` and ``tx`` of `SerialBridge`.
    core : Out(`register_bus`)
        Byte addresses below `GATEWAY_BASE`.
    links : array of `link_layout`, in
        Of the tenant's and the underlay's port.

    Notes
    -----
    Reset: as `SerialBridge`; the core is to be reset with it.

    Raises
    ------
    ValueError
        As `SerialBridge`.
    """

    def __init__(self, configuration: int, neighbors: int, clock_hz: int, baud: int) -> None:
        self._file = RegisterFile(gateway_registers(configuration, neighbors))
        self._bridge = SerialBridge(GATEWAY_BASE.bit_length(), clock_hz, baud)
        super().__init__(
            {
                "serial_rx": In(1, init=1),
                "serial_tx": Out(1, init=1),
                "core": Out(register_bus(GATEWAY_BASE.bit_length() - 1)),
                "links": In(link_layout()).array(2),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.bridge, m.submodules.registers = bridge, file = self._bridge, self._file
        m.d.comb += [bridge.rx.eq(self.serial_rx), self.serial_tx.eq(bridge.tx)]
        for link, register in zip(self.links, (file.tenant_link, file.underlay_link), strict=True):
            m.d.comb += [
                register.status["up"].eq(link.up),
                register.status["speed"].eq(link.speed.as_value()),
                register.status["full_duplex"].eq(link.full_duplex),
            ]
        master, own, core = bridge.bus, file.bus, self.core
        ours = master.address[-1]
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
        return m
