"""Colorlight 5A-75E 6.0.

Reset and MDIO are shared by both ports, and a PHY makes the board's clock, which stops while it is in reset: so the
PHYs are not reset. The one LED and the one key are the serial line: TX is J19's DATA_LED-, RX its KEY+.

RGMII: the PHY delays RXC by 2.0 ns and TXC by 2.0 ns (`RTL8211F`). The FPGA delays RXD by 39 steps, 1.0 ns: its clock
is as much later at the flip-flop (`CENTERED_TAPS`). So a bit of 4.0 ns is sampled 2.0 ns behind its begin. It adds
nothing to TXC. LiteX has 2 ns for RXD here, which samples 1.0 ns earlier.
"""

from .board import CENTERED_TAPS, Board, Clock, Management, Rgmii, Serial
from .phys import RTL8211F

__all__ = ["BOARD"]

_MANAGEMENT = Management(reset_n="R6", mdc="R5", mdio="T4")

BOARD = Board(
    name="colorlight-5a-75e-6.0",
    title="Colorlight 5A-75E 6.0",
    device="25k",
    package="CABGA256",
    speed="6",
    standard="LVCMOS33",
    clock=Clock("P6", 25_000_000, from_phy=True),
    ports=(
        Rgmii(
            txc="L1",
            txd=("M2", "M1", "P1", "R1"),
            tx_ctl="L2",
            rxc="J1",
            rxd=("K2", "J3", "K1", "K3"),
            rx_ctl="J2",
            management=_MANAGEMENT,
        ),
        Rgmii(
            txc="J16",
            txd=("K16", "J15", "J14", "K15"),
            tx_ctl="K14",
            rxc="M16",
            rxd=("M15", "R16", "L15", "L16"),
            rx_ctl="P16",
            management=_MANAGEMENT,
        ),
    ),
    port_names=("U32", "U40"),
    phy=RTL8211F,
    receive_taps=CENTERED_TAPS,
    transmit_taps=0,
    serial=Serial(rx="R7", tx="T6"),
    leds=(),
    loader=("--board", "colorlight"),
    source="q3k/chubby75, 5a-75e/hardware_V6.0.md; litex-boards, colorlight_5a_75e.py",
)
