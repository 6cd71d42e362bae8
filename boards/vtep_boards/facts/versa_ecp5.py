"""Lattice ECP5 Versa.

RGMII: the PHY delays RXC by 2.0 ns and TXC by 2.0 ns (`M88E1512`). The FPGA delays RXD by 39 steps, 1.0 ns: its clock
is as much later at the flip-flop (`CENTERED_TAPS`). So a bit of 4.0 ns is sampled 2.0 ns behind its begin. It adds
nothing to TXC. LiteX has 0 ns for RXD here, which samples 1.0 ns later.
"""

from .board import CENTERED_TAPS, Board, Clock, Led, Management, Rgmii, Serial
from .phys import M88E1512

__all__ = ["BOARD"]

BOARD = Board(
    name="versa-ecp5",
    title="Lattice ECP5 Versa",
    device="um-45k",
    package="CABGA381",
    speed="8",
    standard="LVCMOS25",
    clock=Clock("P3", 100_000_000, standard="LVDS"),
    ports=(
        Rgmii(
            txc="P19",
            txd=("N19", "N20", "P18", "P20"),
            tx_ctl="R20",
            rxc="L20",
            rxd=("T20", "U20", "T19", "R18"),
            rx_ctl="U19",
            management=Management(reset_n="U17", mdc="T18", mdio="U18"),
        ),
        Rgmii(
            txc="C20",
            txd=("J17", "J16", "D19", "D20"),
            tx_ctl="E19",
            rxc="J19",
            rxd=("G18", "G16", "H18", "H17"),
            rx_ctl="F19",
            management=Management(reset_n="F20", mdc="G19", mdio="H20"),
        ),
    ),
    port_names=("Ethernet 0", "Ethernet 1"),
    phy=M88E1512,
    receive_taps=CENTERED_TAPS,
    transmit_taps=0,
    serial=Serial(rx="C11", tx="A11", standard="LVCMOS33"),
    leds=tuple(Led(pin) for pin in ("E16", "D17", "D18", "E18", "F17", "F18", "E17", "F16")),
    loader=None,
    source="amaranth-boards 0.0.21, versa_ecp5.py; litex-boards, lattice_versa_ecp5.py",
)
