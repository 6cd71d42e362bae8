"""What the gateway's system tests build: the boards' gateway, with fewer neighbours, and what is in its tables."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

import vtep_boards
from vtep.config import VtepParameters
from vtep.local.neighbors import Neighbor
from vtep.verilog import to_verilog
from vtep_boards.design import design_signature
from vtep_boards.gateway import GATEWAY as BOARDS_GATEWAY
from vtep_boards.gateway import Gateway, Host
from vtep_host.config import Config
from vtep_host.difference import contents
from vtep_sim.cocotb.build import RGMII_PADS, prepare_design
from vtep_sim.harness.build import cached_verilog

from .configs import HOST_A, HOST_B, HOST_C, OWN_IPV4, OWN_IPV6, OWN_MAC, fdb, make, tunnel, vni

__all__ = [
    "CLOCK_HZ",
    "CONFIG",
    "DIVISOR",
    "GATEWAY",
    "JUMBO",
    "NEIGHBORS",
    "PARAMETERS",
    "PORT_HOST",
    "SECOND",
    "SERIAL_HOST",
    "GatewayBuild",
]

LONGEST = "VTEP_LONGEST"
"""Variable of the environment: the longest frame of the gateway that is simulated, unless it is that of the boards."""

PARAMETERS = replace(BOARDS_GATEWAY, max_frame_length=int(os.environ.get(LONGEST, BOARDS_GATEWAY.max_frame_length)))

BOARDS = Path(vtep_boards.__file__).parent
DESIGN = "gateway"

CLOCK_HZ, DIVISOR = 20_000, 4
"""What the gateway takes its clock for, so that seconds are short, and clocks of a bit on its serial line."""

SECOND = CLOCK_HZ * 16e-9
"""Of the gateway, in seconds of the simulation."""

NEIGHBORS = (Neighbor(0x0A00_0003, 4), Neighbor(0xFD00 << 112 | 6, 6, vlan=20))
"""The first neighbours after power-on; there is room for another."""

_UNRESOLVED = ("leaf3", "leaf6", "leaf4")
"""Tunnels whose next hops are the neighbours 0, 1 and 2."""


def config_of(parameters: VtepParameters) -> Config:
    """What the gateway knows."""
    tunnels = [
        tunnel(parameters, "leaf2", "10.0.0.2", remote_mac="02:00:00:00:00:02"),
        tunnel(parameters, "leaf3", "10.0.0.3"),
        tunnel(parameters, "leaf6", "fd00::6", vlan=20),
        tunnel(parameters, "leaf4", "10.0.0.4", df="unset"),
    ]
    vnis = [vni(100, 10, ["leaf2", "leaf3"]), vni(200, 0, ["leaf2"]), vni(300, 30, ["leaf6"]), vni(400, 40, ["leaf4"])]
    entries = [fdb(200, HOST_A, "leaf2"), fdb(200, HOST_B, "leaf3"), fdb(200, HOST_C, "leaf6")]
    own = {"mac": OWN_MAC, "ipv4": OWN_IPV4, "ipv6": OWN_IPV6, "underlay_mtu": parameters.max_frame_length - 18}
    config = make(parameters, vtep=own, vnis=vnis, tunnels=tunnels, entries=entries)
    numbered = [
        replace(one, remote_mac=bytes([0] * 5 + [_UNRESOLVED.index(one.name)])) if one.name in _UNRESOLVED else one
        for one in config.tunnels
    ]
    return replace(config, tunnels=type(config.tunnels)(numbered))


CONFIG = config_of(PARAMETERS)


def ports_of(host: Host) -> int:
    """RGMII ports of a gateway."""
    return 3 if host is Host.PORT else 2


def pads_of(ports: int, *, in_band: bool) -> str:
    """Verilog of a gateway with its pads: what is left are the wires of PHYs, a serial line, clocks, and the links.

    A gateway hears of its links from the wires between frames (`in_band`), or else is told.
    """
    public = "/* verilator public_flat_rw */"
    pins = [f"input wire {name} {public}" for name in ("sync_clk", "tx_clk", "tx_clk_late", "reset", "serial_rx")]
    pins.append(f"output wire serial_tx {public}")
    wires, pads = [], []
    joined = {"sync_clk": "sync_clk", "sync_rst": "reset", "tx_clk": "tx_clk", "tx_rst": "reset"}
    joined |= {"gateway__serial_rx": "serial_rx", "gateway__serial_tx": "serial_tx"}
    for n in range(ports):
        inputs = {"told": "[3:0] ", "rxc": "", "rxd": "[3:0] ", "rx_ctl": ""}  # of a link: up, speed, full duplex
        outputs = {"txc": "", "txd": "[3:0] ", "tx_ctl": ""}
        pins += [f"input wire {width}{name}{n} {public}" for name, width in inputs.items()]
        pins += [f"output wire {width}{name}{n} {public}" for name, width in outputs.items()]
        pairs = {"rxd": 7, "rx_ctl": 1, "txc": 1, "txd": 7, "tx_ctl": 1}
        wires += [f"wire [{high}:0] {name}{n}_pair;" for name, high in pairs.items()]
        own = {name: f"{name}{n}" for name in ("rxc", "rxd", "rx_ctl", "txc", "txd", "tx_ctl")}
        own |= {f"{name}_pair": f"{name}{n}_pair" for name in pairs}
        if in_band:
            own["rxd"] = f"(rx_ctl{n} ? rxd{n} : told{n})"
        own |= {"tx_clk": "tx_clk", "tx_clk_late": "tx_clk_late"}
        pads.append(f"rgmii_pads pads{n} ({', '.join(f'.{pin}({wire})' for pin, wire in own.items())});")
        told = "4'b0" if in_band else f"told{n}"
        joined |= {f"rx{n}_clk": f"rxc{n}", f"rx{n}_rst": "reset", f"gateway__ports__{n}__told": told}
        for name in pairs:
            way = "receive" if name.startswith("rx") else "transmit"
            joined[f"gateway__ports__{n}__{way}__{name}"] = f"{name}{n}_pair"
    gateway = f"gateway gateway ({', '.join(f'.{pin}({wire})' for pin, wire in joined.items())});"
    head = "`timescale 1ns / 1fs\nmodule gateway_pads (\n" + ",\n".join(pins) + "\n);"
    return "\n".join([head, *wires, *pads, gateway, "endmodule\n"])


class ClockedGateway(wiring.Component):
    """A gateway with all its clocks and resets as ports."""

    def __init__(self, parameters: VtepParameters, host: Host, *, in_band: bool) -> None:
        self._parameters, self._in_band = parameters, in_band
        self._signature = design_signature(ports_of(host))
        self._domains = ("sync", "tx", *(f"rx{number}" for number in range(ports_of(host))))
        self._host: dict[str, Any] = {"host": host}
        if host is Host.LOCAL:
            self._host |= {"neighbors": len(NEIGHBORS) + 1, "initial": NEIGHBORS}
        clocks = {f"{domain}_{kind}": In(1) for domain in self._domains for kind in ("clk", "rst")}
        super().__init__({**clocks, "gateway": Out(self._signature)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.gateway = gateway = Gateway(
            self._parameters,
            *contents(config_of(self._parameters), self._parameters),
            **self._host,
            in_band=self._in_band,
            clock_hz=CLOCK_HZ,
            baud=CLOCK_HZ // DIVISOR,
        )
        for domain in self._domains:
            m.domains += ClockDomain(domain)
            m.d.comb += [
                ClockSignal(domain).eq(getattr(self, f"{domain}_clk")),
                ResetSignal(domain).eq(getattr(self, f"{domain}_rst")),
            ]
        signature = self._signature
        for (_, member, outer), (_, _, inner) in zip(
            signature.flatten(self.gateway), signature.flatten(gateway), strict=True
        ):
            m.d.comb += Value.cast(inner).eq(outer) if member.flow == In else Value.cast(outer).eq(inner)
        return m


@dataclass(frozen=True)
class GatewayBuild:
    """A gateway as the tests of ``vtep_cases`` get to see it."""

    name: str = "gateway"
    deep: bool = False
    host: Host = Host.LOCAL
    in_band: bool = True
    parameters: VtepParameters = BOARDS_GATEWAY
    top: ClassVar[str] = "gateway_pads"

    @property
    def environment(self) -> dict[str, str]:
        return {LONGEST: str(self.parameters.max_frame_length)}

    def prepare(self, root: Path, *, coverage: bool = False, verilog: str | None = None, name: str = "") -> Path:
        """Build it, unless it is there; ``verilog`` and ``name`` of a mutant."""
        root.mkdir(parents=True, exist_ok=True)
        pads = root / f"{name or self.name}-pads.v"
        pads.write_text(pads_of(ports_of(self.host), in_band=self.in_band), encoding="utf-8")
        sources = [RGMII_PADS, pads]
        return prepare_design(root, name or self.name, verilog or self.verilog(), sources, self.top, public=False)

    def verilog(self) -> str:
        """Verilog of the design under test, kept between calls."""
        # The rest of its sources is in the key already.
        sources = [Path(__file__), Path(__file__).with_name("configs.py"), *sorted(BOARDS.glob("*.py"))]
        key = (self, *(source.read_text(encoding="utf-8") for source in sources))
        return cached_verilog(key, self._write_verilog)

    def _write_verilog(self) -> str:
        return to_verilog(ClockedGateway(self.parameters, self.host, in_band=self.in_band), DESIGN)


GATEWAY = GatewayBuild()
JUMBO = GatewayBuild("gateway-jumbo", deep=True, parameters=replace(BOARDS_GATEWAY, max_frame_length=9600))
SERIAL_HOST = GatewayBuild("gateway-serial-host", host=Host.SERIAL, in_band=False)
PORT_HOST = GatewayBuild("gateway-port-host", host=Host.PORT, in_band=False)
