"""What a design has to do with a board, whichever: ports, a serial line, and a light for each port."""

from collections.abc import Mapping

from amaranth.hdl import DomainRenamer, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vtep.mac.port import RgmiiPort
from vtep.mac.rgmii import link_layout, receive_wires, transmit_wires

__all__ = ["HOST", "TENANT", "UNDERLAY", "add_ports", "design_signature", "port_domains"]

TENANT, UNDERLAY, HOST = 0, 1, 2
"""Which port is which; few designs have the third."""


def port_domains(port: int) -> dict[str, str]:
    """Domains of a port's `RgmiiPort` inside a design."""
    return {"rx": f"rx{port}"}


def design_signature(ports: int = 2) -> wiring.Signature:
    """Ports of a design, in its domains ``sync``, ``tx``, and ``rx0``, ``rx1`` and so on of so many ``ports``.

    ``ports`` are as `RgmiiPort` has them: ``receive`` (``rx0``, ``rx1``), ``transmit`` (``tx``), ``told``, ``link`` and
    ``activity``. ``serial_rx`` is not synchronous to anything.
    """
    port = wiring.Signature(
        {
            "receive": In(receive_wires()),
            "transmit": Out(transmit_wires()),
            "told": In(link_layout()),
            "link": Out(link_layout()),
            "activity": Out(1),
        }
    )
    return wiring.Signature({"ports": Out(port).array(ports), "serial_rx": In(1, init=1), "serial_tx": Out(1, init=1)})


def add_ports(m: Module, design: wiring.Component, ports: Mapping[str, RgmiiPort]) -> None:
    """Add a design's `RgmiiPort`s as submodules of these names, joined to its ``ports`` in their order."""
    for number, (name, port) in enumerate(ports.items()):
        m.submodules[name] = DomainRenamer(port_domains(number))(port)
        outside = wiring.flipped(design.ports[number])
        wiring.connect(m, outside.receive, port.receive)
        wiring.connect(m, port.transmit, outside.transmit)
        m.d.comb += [port.told.eq(outside.told), outside.link.eq(port.link), outside.activity.eq(port.activity)]
