"""RGMII's coding, without pads and delays: two nibbles a clock from and to a GMII (RGMII 2.0; 10, 100, 1000 Mb/s).

At 1000 Mb/s a byte goes over the wires in each clock of 125 MHz, its low nibble at the rising edge and its high nibble
at the falling one. At 100 and 10 Mb/s a nibble takes a clock of 25 or 2.5 MHz, low nibble first. The control wire has
valid at the rising edge, and valid xor error at the falling one. Between frames the receive wires tell of the link.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .gmii import GmiiRx, GmiiTx, Speed
from .nibbles import join_nibbles

__all__ = ["RgmiiReceiver", "RgmiiTransmitter", "link_layout", "receive_wires", "transmit_wires"]

_HALF_PERIODS = {Speed.MBPS_100: 5, Speed.MBPS_10: 50}
"""Half clocks of 125 MHz in half a clock of the line."""


def receive_wires() -> wiring.Signature:
    """RXD and RX_CTL as sampled with RXC: at its rising edge, and at the falling edge behind that."""
    return wiring.Signature({"rxd": Out(data.ArrayLayout(4, 2)), "rx_ctl": Out(data.ArrayLayout(1, 2))})


def transmit_wires() -> wiring.Signature:
    """TXC, TXD and TX_CTL in the first and in the second half of a clock of 125 MHz."""
    return wiring.Signature(
        {"txc": Out(data.ArrayLayout(1, 2)), "txd": Out(data.ArrayLayout(4, 2)), "tx_ctl": Out(data.ArrayLayout(1, 2))}
    )


def link_layout() -> data.StructLayout:
    """In-band status (RGMII 2.0, 3.4.1): ``up``, ``speed``, ``full_duplex``, in their order on RXD."""
    return data.StructLayout({"up": unsigned(1), "speed": Speed, "full_duplex": unsigned(1)})


class RgmiiReceiver(wiring.Component):
    """From RGMII to a GMII, in the domain of RXC.

    Attributes
    ----------
    wires : In(`receive_wires`)
    speed : Signal(`Speed`), in
        Which coding to expect; change it between frames only. Usually ``link.speed``, or what was read over MDIO.
    gmii : Out(`GmiiRx`)
        From flip-flops. At 100 and 10 Mb/s see `join_nibbles`.
    link : `link_layout`, out
        Status that the PHY last gave between frames; down until then.
    latency : int
        2 clocks from a byte's (last) nibble.

    Reset forgets the byte under way; the link is down until the PHY says otherwise.
    """

    latency = 2

    def __init__(self) -> None:
        super().__init__(
            {
                "wires": In(receive_wires()),
                "speed": In(Speed),
                "gmii": Out(GmiiRx),
                "link": Out(link_layout()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        gmii = self.gmii
        rising, falling = Signal(4, reset_less=True), Signal(4, reset_less=True)
        valid, error = Signal(), Signal()
        m.d.sync += [
            rising.eq(self.wires.rxd[0]),
            falling.eq(self.wires.rxd[1]),
            valid.eq(self.wires.rx_ctl[0]),
            error.eq(self.wires.rx_ctl[0] ^ self.wires.rx_ctl[1]),
        ]
        with m.If(~valid & ~error):
            m.d.sync += self.link.as_value().eq(rising)

        m.d.sync += [gmii.rx_dv.eq(valid), gmii.rx_er.eq(error)]
        with m.If(self.speed == Speed.MBPS_1000):
            m.d.sync += [gmii.enable.eq(1), gmii.rxd.eq(Cat(rising, falling))]
        with m.Else():
            join_nibbles(m, gmii, rising, valid, error)
        return m


class RgmiiTransmitter(wiring.Component):
    """From a GMII to RGMII, in a domain of 125 MHz at any speed.

    The clock of the line is made here too, as data for the same kind of pad, so that at all speeds clock and data leave
    alike, and whatever delays the clock by 2 ns, pad or PHY, does so for all.

    Attributes
    ----------
    gmii : In(`GmiiTx`)
    enable : Signal(), out
        The byte behind the one at hand is to be given in the next clock: `MacTransmitter.enable`.
    speed : Signal(`Speed`), in
        Taken over between frames.
    wires : Out(`transmit_wires`)
        From flip-flops.
    latency : int
        1 clock from a byte to its first nibble.

    Reset begins a clock of the line at 1000 Mb/s.
    """

    latency = 1

    def __init__(self) -> None:
        super().__init__(
            {
                "gmii": In(GmiiTx),
                "enable": Out(1, init=1),
                "speed": In(Speed),
                "wires": Out(transmit_wires()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        gmii, wires = self.gmii, self.wires
        speed = Signal(Speed, init=Speed.MBPS_1000)
        clock = Signal(range(max(_HALF_PERIODS.values())))  # of the nibble at hand
        high = Signal()  # that is the high one

        slow, slowest = _HALF_PERIODS[Speed.MBPS_100], _HALF_PERIODS[Speed.MBPS_10]
        is_slow = speed == Speed.MBPS_100

        # Registers, found out a clock ahead: the MAC's own decisions stand behind them. No nibble is one clock long.
        nibble_ends, byte_ends = Signal(), Signal(init=1)
        ends_next, fast_next = Signal(), Signal()
        m.d.comb += [
            ends_next.eq(~nibble_ends & ~byte_ends & Mux(is_slow, clock == slow - 2, clock == slowest - 2)),
            fast_next.eq(Mux(byte_ends & ~gmii.tx_en, self.speed, speed) == Speed.MBPS_1000),
            self.enable.eq(byte_ends),
        ]
        m.d.sync += [
            nibble_ends.eq(ends_next),
            byte_ends.eq(fast_next | (ends_next & high)),
            clock.eq(Mux(nibble_ends | byte_ends, 0, clock + 1)),
        ]
        # Whether the line's clock is high in either half of the clock at hand.
        line_high = Signal(2, init=0b11)
        for half in range(2):
            ahead = Cat(Const(half, 1), clock) + 2
            m.d.sync += line_high[half].eq(nibble_ends | byte_ends | Mux(is_slow, ahead < slow, ahead < slowest))
        with m.If(byte_ends):
            m.d.sync += high.eq(0)
            with m.If(~gmii.tx_en):
                m.d.sync += speed.eq(self.speed)
        with m.Elif(nibble_ends):
            m.d.sync += high.eq(1)

        control = Cat(gmii.tx_en, gmii.tx_en ^ gmii.tx_er)  # with the clock high, and low
        for half in range(2):
            with m.If(speed == Speed.MBPS_1000):
                m.d.sync += [
                    wires.txc[half].eq(1 - half),
                    wires.txd[half].eq(gmii.txd[4 * half : 4 * half + 4]),
                    wires.tx_ctl[half].eq(control[half]),
                ]
            with m.Else():
                m.d.sync += [
                    wires.txc[half].eq(line_high[half]),
                    wires.txd[half].eq(Mux(high, gmii.txd[4:], gmii.txd[:4])),
                    wires.tx_ctl[half].eq(Mux(line_high[half], control[0], control[1])),
                ]
        return m
