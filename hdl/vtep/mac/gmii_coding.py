"""GMII's coding on its wires, and MII's, which its wires carry at 100 and 10 Mb/s (IEEE 802.3 clauses 35 and 22).

At 1000 Mb/s a byte goes over the wires in each clock of 125 MHz. At 100 and 10 Mb/s a nibble takes a clock of 25 or
2.5 MHz, on the lower four wires, low nibble first.
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .gmii import GmiiRx, GmiiTx, Speed
from .nibbles import join_nibbles

__all__ = ["GmiiReceiver", "GmiiTransmitter", "gmii_receive_wires"]


def gmii_receive_wires() -> wiring.Signature:
    """RXD, RX_DV and RX_ER as sampled with RX_CLK."""
    return wiring.Signature({"rxd": Out(8), "rx_dv": Out(1), "rx_er": Out(1)})


class GmiiReceiver(wiring.Component):
    """From the wires of a GMII to the GMII that a MAC sees, in the domain of RX_CLK.

    Attributes
    ----------
    wires : In(`gmii_receive_wires`)
    speed : Signal(`Speed`), in
        Of the link; change it between frames only.
    gmii : Out(`GmiiRx`)
        From flip-flops. At 100 and 10 Mb/s see `join_nibbles`.
    latency : int
        1 clock from a byte's (last) nibble.

    Reset forgets the byte under way.
    """

    latency = 1

    def __init__(self) -> None:
        super().__init__({"wires": In(gmii_receive_wires()), "speed": In(Speed), "gmii": Out(GmiiRx)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        gmii, wires = self.gmii, self.wires
        m.d.sync += [gmii.rx_dv.eq(wires.rx_dv), gmii.rx_er.eq(wires.rx_er)]
        with m.If(self.speed == Speed.MBPS_1000):
            m.d.sync += [gmii.enable.eq(1), gmii.rxd.eq(wires.rxd)]
        with m.Else():
            join_nibbles(m, gmii, wires.rxd[:4], wires.rx_dv, wires.rx_er)
        return m


class GmiiTransmitter(wiring.Component):
    """From the GMII that a MAC sees to the wires of one, in the domain of the clock that goes with these.

    That clock is of 125 MHz at 1000 Mb/s and leaves as GTX_CLK; at 100 and 10 Mb/s the PHY makes it, as TX_CLK. To
    change from one to the other is up to whoever makes the domain.

    Attributes
    ----------
    gmii : In(`GmiiTx`)
    enable : Signal(), out
        The byte behind the one at hand is to be given in the next clock: `MacTransmitter.enable`.
    speed : Signal(`Speed`), in
        Taken over between frames.
    wires : Out(`GmiiTx`)
        TXD, TX_EN and TX_ER, from flip-flops.
    latency : int
        1 clock from a byte to its first nibble.

    Reset begins at 1000 Mb/s.
    """

    latency = 1

    def __init__(self) -> None:
        super().__init__({"gmii": In(GmiiTx), "enable": Out(1), "speed": In(Speed), "wires": Out(GmiiTx)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        gmii, wires = self.gmii, self.wires
        fast = Signal(init=1)
        high = Signal()  # so is the nibble at hand
        m.d.comb += self.enable.eq(fast | high)
        m.d.sync += [
            high.eq(~fast & ~high),
            wires.txd.eq(Mux(fast, gmii.txd, gmii.txd.word_select(high, 4))),
            wires.tx_en.eq(gmii.tx_en),
            wires.tx_er.eq(gmii.tx_er),
        ]
        with m.If(self.enable & ~gmii.tx_en):
            m.d.sync += fast.eq(self.speed == Speed.MBPS_1000)
        return m
