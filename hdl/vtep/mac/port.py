"""A gigabit port: `Mac` with RGMII's coding, at the speed of its link."""

from typing import Any

from amaranth.hdl import DomainRenamer, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer, PulseSynchronizer
from amaranth.lib.wiring import In, Out

from ..stream.packet import connect_packets
from .gmii import Speed
from .mac import Mac
from .rgmii import RgmiiReceiver, RgmiiTransmitter, link_layout, receive_wires, transmit_wires

__all__ = ["RgmiiPort"]

_TOLD = ("received", "reception", "false_carrier", "sent", "lost")
"""What is handed on of what a MAC tells."""


class RgmiiPort(wiring.Component):
    """`Mac`, `RgmiiReceiver` and `RgmiiTransmitter`, joined; the pads are not in it.

    Domains: ``sync`` of the packet streams, ``rx`` of RXC, ``tx`` of 125 MHz; as `Mac`.

    Parameters
    ----------
    mac : Mac
        Becomes part of the port.
    in_band : bool
        The PHY tells of its link between frames. Else ``told`` does.

    Attributes
    ----------
    i, o : packet stream, in and out
        See `Mac`.
    receive : In(`receive_wires`), domain ``rx``
    transmit : Out(`transmit_wires`), domain ``tx``
    told : `link_layout`, in
        All bits change in one clock. Without meaning where ``in_band``.
    link : `link_layout`, out
        What the port goes by; some clocks old.
    activity : Signal(), out
        High for a clock for frames that were received or sent.
    received, reception, false_carrier : out, domain ``rx``; sent : out, domain ``tx``; lost : out
        See `Mac`.

    Notes
    -----
    Either side takes a new speed over a few clocks after it was told, the transmitter between frames. While the link is
    said to be down, it is 1000 Mb/s: so a PHY that says nothing works at least at that.
    """

    def __init__(self, mac: Mac, *, in_band: bool = True) -> None:
        self._mac = mac
        self._in_band = in_band
        members = mac.signature.members
        super().__init__(
            {
                **{name: members[name] for name in ("i", "o")},
                "receive": In(receive_wires()),
                "transmit": Out(transmit_wires()),
                "told": In(link_layout()),
                "link": Out(link_layout()),
                "activity": Out(1),
                **{name: members[name] for name in _TOLD},
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.mac = mac = self._mac
        receiver, transmitter = RgmiiReceiver(), RgmiiTransmitter()
        m.submodules.receiver = DomainRenamer("rx")(receiver)
        m.submodules.transmitter = DomainRenamer("tx")(transmitter)
        connect_packets(m, wiring.flipped(self.i), mac.i)
        connect_packets(m, mac.o, wiring.flipped(self.o))
        wiring.connect(m, wiring.flipped(self.receive), receiver.wires)
        wiring.connect(m, receiver.gmii, mac.gmii_rx)
        wiring.connect(m, mac.gmii_tx, transmitter.gmii)
        wiring.connect(m, transmitter.wires, wiring.flipped(self.transmit))
        m.d.comb += mac.enable.eq(transmitter.enable)

        if self._in_band:
            source, domain = receiver.link, "rx"
        else:
            source, domain = self.told, "sync"
        # From flip-flops, as other domains look at it.
        speed = Signal(Speed, init=Speed.MBPS_1000)
        m.d[domain] += speed.eq(Mux(source.up, source.speed, Speed.MBPS_1000))
        for target, value, bits in (
            ("sync", self.link.as_value(), source.as_value()),
            ("tx", Value.cast(transmitter.speed), speed.as_value()),
            ("rx", Value.cast(receiver.speed), speed.as_value()),
        ):
            m.d.comb += value.eq(bits if target == domain else _settled(m, bits, domain, target))

        for name in _TOLD:
            m.d.comb += getattr(self, name).eq(getattr(mac, name))
        active = Signal(2)
        for number, (pulse, origin) in enumerate(((mac.received, "rx"), (mac.sent, "tx"))):
            m.submodules[f"active_{origin}"] = crossing = PulseSynchronizer(origin, "sync")
            m.d.comb += [crossing.i.eq(pulse), active[number].eq(crossing.o)]
        m.d.comb += self.activity.eq(active.any())
        return m


def _settled(m: Module, bits: Value, source: str, target: str) -> Value:
    """Return ``bits``, which seldom change, in another domain: what was the same twice in a row."""
    name = f"link_{source}_{target}"
    seen, before, settled = (Signal(len(bits), name=f"{name}_{which}") for which in ("seen", "before", "settled"))
    m.submodules[name] = FFSynchronizer(bits, seen, o_domain=target)
    m.d[target] += before.eq(seen)
    with m.If(before == seen):
        m.d[target] += settled.eq(seen)
    return settled
