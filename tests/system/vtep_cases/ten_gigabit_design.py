"""A core of 64 bits between two MACs of 10GBASE-R, as a host of 10 Gb/s has it; in simulation only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vtep.config import VtepParameters
from vtep.mac.xgmii import XgmiiRx, XgmiiTx
from vtep.mac.xgmii_mac import XgmiiMac
from vtep.stream.packet import connect_packets
from vtep.verilog import to_verilog
from vtep.vxlan.core import VtepCore
from vtep_host.difference import contents
from vtep_sim.cocotb.build import prepare_design
from vtep_sim.harness.build import cached_verilog

from .gateway_designs import config_of

__all__ = ["CONFIG", "DOMAINS", "PARAMETERS", "PORTS", "TEN_GIGABIT", "TenGigabitBuild"]

PORTS = ("tenant", "underlay")
DESIGN = "ten_gigabit"

PARAMETERS = VtepParameters(data_width=64, vnis=8, tunnels=4, fdb_entries=64, flood_entries=8, max_frame_length=9600)
CONFIG = config_of(PARAMETERS)

DOMAINS = ("sync", *(f"{side}_{port}" for port in PORTS for side in ("rx", "tx")))


class TenGigabit(wiring.Component):
    """Clocks, resets, and an XGMII for each port. What is for the host is thrown away."""

    def __init__(self) -> None:
        clocks = {f"{domain}_{kind}": In(1) for domain in DOMAINS for kind in ("clk", "rst")}
        lines = {
            f"{port}_{side}": flow for port in PORTS for side, flow in (("in", In(XgmiiRx)), ("out", Out(XgmiiTx)))
        }
        super().__init__({**clocks, **lines})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for domain in DOMAINS:
            m.domains += ClockDomain(domain)
            m.d.comb += [
                ClockSignal(domain).eq(getattr(self, f"{domain}_clk")),
                ResetSignal(domain).eq(getattr(self, f"{domain}_rst")),
            ]
        m.submodules.core = core = VtepCore(PARAMETERS, *contents(CONFIG, PARAMETERS))
        m.d.comb += core.host_tx.ready.eq(1)
        for port in PORTS:
            mac = XgmiiMac(PARAMETERS.data_width, max_frame_length=PARAMETERS.max_frame_length)
            m.submodules[port] = DomainRenamer({side: f"{side}_{port}" for side in ("rx", "tx")})(mac)
            wiring.connect(m, wiring.flipped(getattr(self, f"{port}_in")), mac.xgmii_rx)
            wiring.connect(m, mac.xgmii_tx, wiring.flipped(getattr(self, f"{port}_out")))
            connect_packets(m, mac.o, getattr(core, f"{port}_rx"))
            connect_packets(m, getattr(core, f"{port}_tx"), mac.i)
        return m


@dataclass(frozen=True)
class TenGigabitBuild:
    """It, as the tests of ``vtep_cases`` get to see it."""

    name: str = "ten-gigabit"
    deep: bool = True
    parameters: ClassVar[VtepParameters] = PARAMETERS
    top: ClassVar[str] = DESIGN
    environment: ClassVar[dict[str, str]] = {}

    def prepare(self, root: Path, *, coverage: bool = False, verilog: str | None = None, name: str = "") -> Path:
        """Build it, unless it is there; ``verilog`` and ``name`` of a mutant."""
        return prepare_design(root, name or self.name, verilog or self.verilog(), [], self.top)

    def verilog(self) -> str:
        """Verilog of the design under test, kept between calls."""
        sources = (
            Path(__file__).with_name(f"{name}.py") for name in ("ten_gigabit_design", "gateway_designs", "configs")
        )
        key = (self, *(source.read_text(encoding="utf-8") for source in sources))
        return cached_verilog(key, lambda: to_verilog(TenGigabit(), DESIGN))


TEN_GIGABIT = TenGigabitBuild()
