"""Two ports back to back: what comes in at one goes out at the other. The smallest design that has both MACs."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring

from vtep.mac.mac import Mac
from vtep.mac.port import RgmiiPort
from vtep.stream.packet import connect_packets

from .design import add_ports, design_signature

__all__ = ["MediaConverter"]

DATA_WIDTH = 16


class MediaConverter(wiring.Component):
    """A two-port repeater of whole frames; those with errors leave with a spoiled FCS. See `design_signature`.

    Parameters
    ----------
    in_band : bool
        See `RgmiiPort`.
    """

    def __init__(self, *, in_band: bool = True) -> None:
        self._ports = [RgmiiPort(Mac(DATA_WIDTH), in_band=in_band) for _ in range(2)]
        super().__init__(design_signature())

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        add_ports(m, self, {f"port{number}": port for number, port in enumerate(self._ports)})
        for number, port in enumerate(self._ports):
            connect_packets(m, port.o, self._ports[1 - number].i)
        m.d.comb += self.serial_tx.eq(self.serial_rx)
        return m
