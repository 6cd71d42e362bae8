"""Colorlight 5A-75B 7.0.

Reset and MDIO are shared by both ports. The one LED and the one key are the serial line: TX is J19's DATA_LED-, RX
its KEY+.

RGMII: the PHY delays RXC by 2.0 ns and TXC by 2.0 ns (`B50612D`). The FPGA delays RXD by 39 steps, 1.0 ns: its clock
is as much later at the flip-flop (`CENTERED_TAPS`). So a bit of 4.0 ns is sampled 2.0 ns behind its begin. It adds
nothing to TXC. LiteX has 2 ns for RXD here, which samples 1.0 ns earlier.
"""

from .board import CENTERED_TAPS, Board, Clock, Management, Rgmii, Serial
from .phys import B50612D

__all__ = ["BOARD"]

_MANAGEMENT = Management(reset_n="P5", mdc="P3", mdio="T2")

BOARD = Board(
    name="colorlight-5a-75b-7.0",
    title="Colorlight 5A-75B 7.0",
    device="25k",
    package="CABGA256",
    speed="6",
    standard="LVCMOS33",
    clock=Clock("P6", 25_000_000),
    ports=(
        Rgmii(
            txc="M2",
            txd=("L1", "L3", "P2", "L4"),
            tx_ctl="M3",
            rxc="M1",
            rxd=("N1", "M5", "N5", "M6"),
            rx_ctl="N6",
            management=_MANAGEMENT,
        ),
        Rgmii(
            txc="M12",
            txd=("T14", "R12", "R13", "R14"),
            tx_ctl="R15",
            rxc="M16",
            rxd=("P13", "N13", "P14", "M15"),
            rx_ctl="L15",
            management=_MANAGEMENT,
        ),
    ),
    port_names=("U3", "U7"),
    phy=B50612D,
    receive_taps=CENTERED_TAPS,
    transmit_taps=0,
    serial=Serial(rx="M13", tx="P11"),
    leds=(),
    loader=("--board", "colorlight"),
    source="q3k/chubby75, 5a-75b/hardware_V7.0.md; amaranth-boards 0.0.21, colorlight_5a75b_r7_0.py; litex-boards, "
    "colorlight_5a_75b.py",
)
