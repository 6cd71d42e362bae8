"""Colorlight i5 7.0 on its extension board.

Reset and MDIO are shared by both ports. The serial line is that of the extension board's USB; the LED is on the module.

RGMII: the PHY delays RXC by 2.0 ns and TXC by 2.0 ns (`B50612D`). The FPGA delays RXD by 39 steps, 1.0 ns: its clock
is as much later at the flip-flop (`CENTERED_TAPS`). So a bit of 4.0 ns is sampled 2.0 ns behind its begin. It adds
nothing to TXC. LiteX has 2 ns for RXD here, which samples 1.0 ns earlier.
"""

from .board import CENTERED_TAPS, Board, Clock, Led, Management, Rgmii, Serial
from .phys import B50612D

__all__ = ["BOARD"]

_MANAGEMENT = Management(reset_n="P4", mdc="N5", mdio="P5")

BOARD = Board(
    name="colorlight-i5",
    title="Colorlight i5 7.0 with extension board",
    device="25k",
    package="CABGA381",
    speed="6",
    standard="LVCMOS33",
    clock=Clock("P3", 25_000_000),
    ports=(
        Rgmii(
            txc="G1",
            txd=("G2", "H1", "J1", "J3"),
            tx_ctl="K1",
            rxc="H2",
            rxd=("K2", "L1", "N1", "P1"),
            rx_ctl="P2",
            management=_MANAGEMENT,
        ),
        Rgmii(
            txc="U19",
            txd=("U20", "T19", "T20", "R20"),
            tx_ctl="P19",
            rxc="L19",
            rxd=("P20", "N19", "N20", "M19"),
            rx_ctl="M20",
            management=_MANAGEMENT,
        ),
    ),
    port_names=("PHY address 0", "PHY address 1"),
    phy=B50612D,
    receive_taps=CENTERED_TAPS,
    transmit_taps=0,
    serial=Serial(rx="H18", tx="J17"),
    leds=(Led("U16"),),
    loader=("--board", "colorlight-i5"),
    seeds=(2, 1, 3, 4),
    cable="cmsisdap",
    source="litex-boards, colorlight_i5.py, after wuxx/Colorlight-FPGA-Projects",
)
