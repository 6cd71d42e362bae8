"""The PHYs on the boards.

All are told to delay both clocks by about 2 ns, whatever their straps say: then the FPGA sends clock and data alike,
and gets RXC in the middle of the data. RGMII 2.0 (section 3.3) wants a receiver's clock 1.0 to 2.6 ns behind the data.
And all offer full duplex only, without PAUSE, as the MACs have neither. Nothing here was tried on a board.
"""

from vtep.mac.phy_registers import PhyStatus, RegisterChange

from .board import Phy

__all__ = ["B50612D", "M88E1512", "RTL8211F"]

OFFERS = (
    # Auto-negotiation advertisement (IEEE 802.3 clause 28.2.4.1.3): of half and full duplex at 10 and 100 Mb/s,
    # 100BASE-T4 and both bits of PAUSE, full duplex only.
    RegisterChange(0x04, 0x0140, mask=0x0FE0),
    # MASTER-SLAVE control (clause 40.5.1.1): of half and full duplex at 1000 Mb/s, the latter.
    RegisterChange(0x09, 0x0200, mask=0x0300),
)
NEGOTIATE = RegisterChange(0x00, 0x1200, mask=0x1200)
"""Auto-negotiation enabled, and begun anew (clause 22.2.4.1): what is offered acts from then on."""

B50612D = Phy(
    name="Broadcom B50612D",
    receive_delay_ns=2.0,
    transmit_delay_ns=2.0,
    reset_ms=20,
    settle_ms=100,
    setup=(
        # Shadow 7 of register 0x18, miscellaneous control: bit 8 delays RXC; bit 15 allows writing.
        RegisterChange(0x18, 0x7007),
        RegisterChange(0x18, 0x8107, mask=0x8107),
        # Shadow 3 of register 0x1C, clock alignment: bit 9 delays GTXCLK; bit 15 says that it is a write.
        RegisterChange(0x1C, 0x0C00),
        RegisterChange(0x1C, 0x8E00, mask=0xFE00),
        *OFFERS,
        NEGOTIATE,
    ),
    status=None,
    source="Registers: those that Linux' drivers/net/phy/broadcom.c uses for the BCM50610 and BCM54xx families. "
    "Not verified: that the B50612D has the same ones, the length of its reset, and "
    "its in-band status (LiteEth relies on it).",
)

RTL8211F = Phy(
    name="Realtek RTL8211F",
    receive_delay_ns=2.0,
    transmit_delay_ns=2.0,
    reset_ms=20,
    settle_ms=100,
    setup=(
        RegisterChange(0x1F, 0x0D08),
        RegisterChange(0x11, 0x0100, mask=0x0100),  # TXC delayed
        RegisterChange(0x15, 0x0008, mask=0x0008),  # RXC delayed
        RegisterChange(0x1F, 0x0000),
        *OFFERS,
        NEGOTIATE,
    ),
    status=None,
    source="Registers: those of Linux' drivers/net/phy/realtek.c. Not verified: that FD and FP are as F in this, "
    "the length of the reset (boards whose clock it makes never reset it), and its in-band status.",
)

M88E1512 = Phy(
    name="Marvell 88E1512",
    receive_delay_ns=2.0,
    transmit_delay_ns=2.0,
    reset_ms=20,
    settle_ms=100,
    setup=(
        # Page 2, MAC specific control 2: bit 5 delays RXC, bit 4 TXC; they act behind a software reset (page 0).
        RegisterChange(0x16, 0x0002),
        RegisterChange(0x15, 0x0030, mask=0x0030),
        RegisterChange(0x16, 0x0000),
        *OFFERS,
        RegisterChange(0x00, 0x9200, mask=0x9200),
    ),
    status=PhyStatus(register=0x11, link=10, duplex=13, speed=14),
    source="Registers: those that Linux' drivers/net/phy/marvell.c uses for the 88E1121 and 88E1510 families. Not "
    "verified: the length of its reset, and whether it can tell of the link in band; so MDIO is asked.",
)
