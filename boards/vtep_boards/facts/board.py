"""What there is to say of a board, and of the PHYs on it. A board's file states it; nothing else knows any board."""

from collections.abc import Iterator
from dataclasses import dataclass

from vtep.mac.phy_registers import PhyStatus, RegisterChange

__all__ = [
    "CAPACITY",
    "CENTERED_TAPS",
    "RGMII_CLOCK_HZ",
    "Board",
    "Clock",
    "Led",
    "Management",
    "Phy",
    "Rgmii",
    "Serial",
]

RGMII_CLOCK_HZ = 125_000_000
"""RXC at 1000 Mb/s, its highest frequency."""

TAP_NS = 0.025
"""A step of the ECP5's DELAYG; there are 127 of them (25 ps is what LiteEth counts with, too)."""

CENTERED_TAPS = 39
"""Steps by which DELAYG makes up for the longer way of a clock to the input flip-flops: what nextpnr has for its mode
SCLK_CENTERED, which Lattice offers for a clock that comes in the middle of the data (FPGA-TN-02035,
GDDRX1_RX.SCLK.Centered).

Not verified: the real delay of each board's RXC, which depends on whether its pin leads to the clock network at once.
nextpnr does not check setup and hold of pins.
"""


CAPACITY = {
    device: {"lut4": luts, "flip_flops": luts, "block_rams": rams, "multipliers": multipliers}
    for names, luts, rams, multipliers in (
        (("25k",), 24_288, 56, 28),
        (("45k", "um-45k", "um5g-45k"), 43_848, 108, 72),
    )
    for device in names
}
"""What the devices have (as nextpnr counts it)."""


@dataclass(frozen=True)
class Phy:
    """What a kind of PHY needs, and does.

    Attributes
    ----------
    name : str
    receive_delay_ns : float
        By which RXC leaves it behind RXD and RX_CTL, once it is set up.
    transmit_delay_ns : float
        By which it delays TXC inside, once it is set up.
    reset_ms, settle_ms : int
        How long its reset has to last, and how long behind it MDIO is not to be used.
    setup : tuple of RegisterChange
        To be done behind a reset, for each PHY.
    status : PhyStatus or None
        Where MDIO tells of speed and link. None: it does so between frames (RGMII's in-band status).
    source : str
        Of these facts, and what of them nobody has verified.
    """

    name: str
    receive_delay_ns: float
    transmit_delay_ns: float
    reset_ms: int
    settle_ms: int
    setup: tuple[RegisterChange, ...]
    status: PhyStatus | None
    source: str


@dataclass(frozen=True)
class Clock:
    """The board's oscillator.

    Attributes
    ----------
    pin : str
        Of a pair, the positive one.
    hz : int
    from_phy : bool
        A PHY makes it, so it stops while that is in reset.
    standard : str or None
        IO_TYPE, if not the board's.
    """

    pin: str
    hz: int
    from_phy: bool = False
    standard: str | None = None


@dataclass(frozen=True)
class Management:
    """Pins that manage PHYs: reset (active low) and MDIO. Ports that have the same ones share them."""

    reset_n: str
    mdc: str
    mdio: str


@dataclass(frozen=True)
class Rgmii:
    """Pins of a port; data pins from bit 0 up."""

    txc: str
    txd: tuple[str, ...]
    tx_ctl: str
    rxc: str
    rxd: tuple[str, ...]
    rx_ctl: str
    management: Management


@dataclass(frozen=True)
class Serial:
    """Pins of a serial line, as the FPGA sees it."""

    rx: str
    tx: str
    standard: str | None = None


@dataclass(frozen=True)
class Led:
    """A light of the board's own."""

    pin: str
    active_low: bool = True
    standard: str | None = None


@dataclass(frozen=True)
class Board:
    """The facts of a board.

    Attributes
    ----------
    name : str
        For the command line.
    title : str
    device, package, speed : str
        Of the FPGA, as nextpnr names the first two.
    standard : str
        IO_TYPE of all pins that have none of their own.
    clock : Clock
    ports : tuple of `Rgmii`
        The tenant's port, the underlay's, and perhaps a third one.
    port_names : tuple of str
        What is printed at the sockets, or where they are.
    phy : Phy
    receive_taps, transmit_taps : int
        Steps of 25 ps (`TAP_NS`) by which the FPGA delays RXD and RX_CTL on their way in, and TXC on its way out.
    serial : Serial
    leds : tuple of `Led`
    loader : tuple of str or None
        Options by which openFPGALoader knows the board. None: it does not; an SVF file is for other players.
    seeds : tuple of int
        nextpnr's, tried in this order until the timing is met: that with which the gateway is routed soon is first.
    cable : str or None
        The JTAG cable on the board, as openFPGALoader names it. None: there is none that it would take by itself.
    source : str
        Where the pinout is from.
    """

    name: str
    title: str
    device: str
    package: str
    speed: str
    standard: str
    clock: Clock
    ports: tuple[Rgmii, ...]
    port_names: tuple[str, ...]
    phy: Phy
    receive_taps: int
    transmit_taps: int
    serial: Serial
    leds: tuple[Led, ...]
    loader: tuple[str, ...] | None
    source: str
    seeds: tuple[int, ...] = (1, 2, 3, 4)
    cable: str | None = None

    @property
    def managements(self) -> tuple[Management, ...]:
        """Each set of management pins once."""
        return tuple(dict.fromkeys(port.management for port in self.ports))

    @property
    def receive_clock_ns(self) -> float:
        """How far RXC is behind the data where it is sampled, from the delays of the PHY and of the FPGA."""
        return self.phy.receive_delay_ns + (CENTERED_TAPS - self.receive_taps) * TAP_NS

    @property
    def transmit_clock_ns(self) -> float:
        """How far TXC is behind the data where the PHY samples them."""
        return self.phy.transmit_delay_ns + self.transmit_taps * TAP_NS

    def pins(self) -> Iterator[tuple[str, str, str]]:
        """Every pin that a design may use: what it is for, its ball, and its IO_TYPE."""
        yield "clock", self.clock.pin, self.clock.standard or self.standard
        for number, port in enumerate(self.ports):
            for name in ("txc", "tx_ctl", "rxc", "rx_ctl"):
                yield f"port{number}_{name}", getattr(port, name), self.standard
            for name in ("txd", "rxd"):
                for bit, pin in enumerate(getattr(port, name)):
                    yield f"port{number}_{name}{bit}", pin, self.standard
        for number, management in enumerate(self.managements):
            for name in ("reset_n", "mdc", "mdio"):
                yield f"phy{number}_{name}", getattr(management, name), self.standard
        yield "serial_rx", self.serial.rx, self.serial.standard or self.standard
        yield "serial_tx", self.serial.tx, self.serial.standard or self.standard
        for number, led in enumerate(self.leds):
            yield f"led{number}", led.pin, led.standard or self.standard

    def clocks(self) -> dict[str, int]:
        """Frequency in Hz of every clock that comes in on a pin, by what the pin is for."""
        rxc = {f"port{number}_rxc": RGMII_CLOCK_HZ for number in range(len(self.ports))}
        return {"clock": self.clock.hz, **rxc}
