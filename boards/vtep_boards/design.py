"""What a design has to do with a board, whichever: two ports, a serial line, and a light for each port."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vtep.mac.rgmii import link_layout, receive_wires, transmit_wires

__all__ = ["TENANT", "UNDERLAY", "design_signature", "port_domains"]

TENANT, UNDERLAY = 0, 1
"""Which port is which."""


def port_domains(port: int) -> dict[str, str]:
    """Domains of a port's `RgmiiPort` inside a design."""
    return {"rx": f"rx{port}"}


def design_signature() -> wiring.Signature:
    """Ports of a design, in its domains ``sync``, ``tx``, ``rx0`` and ``rx1``.

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
    return wiring.Signature({"ports": Out(port).array(2), "serial_rx": In(1, init=1), "serial_tx": Out(1, init=1)})
