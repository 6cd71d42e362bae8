"""The clocks of a board's design: one PLL for the core's and the transmitters', and RXC of each port."""

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, Signal, Value
from amaranth.lib.cdc import ResetSynchronizer

__all__ = ["CORE_HZ", "TRANSMIT_HZ", "add_clocks"]

TRANSMIT_HZ = 125_000_000
CORE_HZ = 62_500_000
"""Of a core of 32 bits: 2 Gb/s."""

REFERENCE_HZ = 25_000_000
"""What the PLL compares; every board's oscillator is a multiple of it."""

_OSCILLATOR_HZ = 625_000_000
"""Of the PLL's own oscillator, which runs at 400 .. 800 MHz (FPGA-DS-02012, sysCLOCK PLL timing)."""


def add_clocks(m: Module, clock: Value, hz: int, receive: dict[str, Value]) -> None:
    """Make the domains ``sync`` (62.5 MHz), ``tx`` (125 MHz) and an ``rx`` of each port, with their resets.

    ``sync`` and ``tx`` are reset until the PLL has locked, and the ``rx`` domains with them: asserted at once, also
    without a clock, and released in step with each domain's own.

    Parameters
    ----------
    m : Module
        Whose domains they are to be.
    clock : Value
        The board's oscillator, from its pad.
    hz : int
        Its frequency, a multiple of 25 MHz.
    receive : dict of Value
        RXC from its pad, by the name of its domain.

    Raises
    ------
    ValueError
        ``hz`` is no such multiple.
    """
    if hz <= 0 or hz % REFERENCE_HZ:
        raise ValueError(f"hz must be a multiple of {REFERENCE_HZ}, not {hz}")
    locked, unlocked = Signal(), Signal()
    m.d.comb += unlocked.eq(~locked)
    clocks: dict[str, Value] = {"sync": Signal(name="clock_core"), "tx": Signal(name="clock_transmit"), **receive}
    m.submodules.pll = Instance(
        "EHXPLLL",
        p_CLKI_DIV=hz // REFERENCE_HZ,
        p_CLKFB_DIV=TRANSMIT_HZ // REFERENCE_HZ,
        p_FEEDBK_PATH="CLKOP",
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_DIV=_OSCILLATOR_HZ // TRANSMIT_HZ,
        p_CLKOP_CPHASE=_OSCILLATOR_HZ // TRANSMIT_HZ - 1,
        p_CLKOP_FPHASE=0,
        p_CLKOS_ENABLE="ENABLED",
        p_CLKOS_DIV=_OSCILLATOR_HZ // CORE_HZ,
        p_CLKOS_CPHASE=_OSCILLATOR_HZ // CORE_HZ - 1,
        p_CLKOS_FPHASE=0,
        a_FREQUENCY_PIN_CLKI=f"{hz / 1e6:g}",
        a_FREQUENCY_PIN_CLKOP=f"{TRANSMIT_HZ / 1e6:g}",
        a_FREQUENCY_PIN_CLKOS=f"{CORE_HZ / 1e6:g}",
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        i_CLKI=clock,
        i_CLKFB=clocks["tx"],
        i_RST=Const(0),
        i_STDBY=Const(0),
        i_PLLWAKESYNC=Const(0),
        i_ENCLKOP=Const(0),
        i_ENCLKOS=Const(0),
        o_CLKOP=clocks["tx"],
        o_CLKOS=clocks["sync"],
        o_LOCK=locked,
    )
    for name, source in clocks.items():
        m.domains += ClockDomain(name)
        m.d.comb += ClockSignal(name).eq(source)
        m.submodules[f"reset_{name}"] = ResetSynchronizer(unlocked, domain=name)
