"""The clocks of a board's design: one PLL for the core's and the transmitters', and RXC of each port."""

from collections.abc import Iterable

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, Signal, Value
from amaranth.lib.cdc import FFSynchronizer

from .facts.board import RGMII_CLOCK_HZ

__all__ = ["CORE_HZ", "TRANSMIT_HZ", "add_clocks", "frequencies"]

TRANSMIT_HZ = 125_000_000
CORE_HZ = 62_500_000
"""Of a core of 32 bits: 2 Gb/s."""

REFERENCE_HZ = 25_000_000
"""What the PLL compares; every board's oscillator is a multiple of it."""

_UNGATED = "_ungated"
"""Behind the name of a domain, the one that its clock comes from."""

_OSCILLATOR_HZ = 625_000_000
"""Of the PLL's own oscillator, which runs at 400 .. 800 MHz (FPGA-DS-02012, sysCLOCK PLL timing)."""


def add_clocks(m: Module, clock: Value, hz: int, receive: dict[str, Value]) -> None:
    """Make the domains ``sync`` (62.5 MHz), ``tx`` (125 MHz) and an ``rx`` of each port.

    None has a reset: flip-flops begin with the values that the bitstream gives them, and the clocks of ``sync`` and
    ``tx`` stand still until the PLL has locked (DCCA, FPGA-TN-02200). The configuration logic sets all flip-flops so,
    whatever their GSR (YosysHQ/yosys#778, amaranth-lang/amaranth#167). A reset would go to a third of them, and nextpnr
    keeps those with one apart from those without.

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
    locked = Signal()
    made = {"sync": Signal(name="clock_core"), "tx": Signal(name="clock_transmit")}
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
        i_CLKFB=made["tx"],
        i_RST=Const(0),
        i_STDBY=Const(0),
        i_PLLWAKESYNC=Const(0),
        i_ENCLKOP=Const(0),
        i_ENCLKOS=Const(0),
        o_CLKOP=made["tx"],
        o_CLKOS=made["sync"],
        o_LOCK=locked,
    )
    for name, source in made.items():
        ungated, steady = f"{name}{_UNGATED}", Signal(name=f"{name}_steady")
        _add_domain(m, ungated, source)
        m.submodules[f"{name}_waits"] = FFSynchronizer(locked, steady, o_domain=ungated)
        gated = Signal(name=f"{name}_gated")
        m.submodules[f"{name}_gate"] = Instance("DCCA", i_CLKI=source, i_CE=steady, o_CLKO=gated)
        _add_domain(m, name, gated)
    for name, source in receive.items():
        _add_domain(m, name, source)


def frequencies(receive: Iterable[str]) -> dict[str, int]:
    """Frequency in Hz that each domain of `add_clocks` has to reach; ``receive``: the names of those of RXC."""
    made = {"sync": CORE_HZ, "tx": TRANSMIT_HZ}
    ungated = {f"{name}{_UNGATED}": hz for name, hz in made.items()}
    return made | ungated | dict.fromkeys(receive, RGMII_CLOCK_HZ)


def _add_domain(m: Module, name: str, clock: Value) -> None:
    m.domains += ClockDomain(name, reset_less=True)
    m.d.comb += ClockSignal(name).eq(clock)
