"""What the MAC's system tests build: a MAC that transmits what it receives, with all its clocks as ports."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, Mux, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vtep.mac.gmii import GmiiTx, Speed
from vtep.mac.gmii_coding import GmiiReceiver, GmiiTransmitter, gmii_receive_wires
from vtep.mac.mac import Mac, received_layout
from vtep.mac.rgmii import RgmiiReceiver, RgmiiTransmitter, link_layout, receive_wires, transmit_wires
from vtep.mac.xgmii import XgmiiRx, XgmiiTx
from vtep.mac.xgmii_mac import XgmiiMac
from vtep.stream.packet import connect_packets
from vtep.verilog import to_verilog
from vtep_sim.cocotb.build import RGMII_PADS, prepare_design
from vtep_sim.harness.build import cached_verilog

__all__ = ["ALL", "BUILDS", "MacBuild"]

DOMAINS = ("sync", "rx", "tx")
DESIGN = "mac_loopback"


class LoopBack(wiring.Component):
    """A MAC whose frames go back where they came from, marked ones too; ports as of the interface ``line``.

    ``turning`` is high while a frame goes from its output to its input.
    """

    events: tuple[str, ...] = ("sent", "lost", "false_carrier", "underrun")
    states: tuple[str, ...] = ()

    def __init__(self, mac: Any, line: Mapping[str, Any]) -> None:
        self.mac = mac
        self._told = (*self.events, *self.states, "received")
        ports: dict[str, Any] = {f"{domain}_{kind}": In(1) for domain in DOMAINS for kind in ("clk", "rst")}
        reception = {f"reception_{name}": Out(field.shape) for name, field in received_layout()}
        super().__init__({**ports, **line, **dict.fromkeys(self._told, Out(1)), **reception, "turning": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.mac = mac = self.mac
        for domain in DOMAINS:
            m.domains += ClockDomain(domain)
            clock = self.transmit_clock() if domain == "tx" else getattr(self, f"{domain}_clk")
            m.d.comb += [ClockSignal(domain).eq(clock), ResetSignal(domain).eq(getattr(self, f"{domain}_rst"))]
        connect_packets(m, mac.o, mac.i)
        m.d.comb += self.turning.eq(mac.o.valid)
        m.d.comb += [getattr(self, name).eq(getattr(mac, name)) for name in self._told]
        m.d.comb += [getattr(self, f"reception_{name}").eq(mac.reception[name]) for name, _ in received_layout()]
        self.connect_line(m)
        return m

    def connect_line(self, m: Module) -> None:
        raise NotImplementedError

    def transmit_clock(self) -> Value:
        """What the domain ``tx`` goes by."""
        return self.tx_clk


class GmiiLoopBack(LoopBack):
    """Behind GMII's coding. At 100 and 10 Mb/s it transmits with ``mii_tx_clk``, which the PHY makes."""

    def __init__(self, **options: Any) -> None:
        line = {"receive": In(gmii_receive_wires()), "transmit": Out(GmiiTx), "mii_tx_clk": In(1), "speed": In(Speed)}
        super().__init__(Mac(**options), line)

    def connect_line(self, m: Module) -> None:
        _connect_coding(m, self, GmiiReceiver(), GmiiTransmitter())

    def transmit_clock(self) -> Value:
        return Mux(self.speed == Speed.MBPS_1000, self.tx_clk, self.mii_tx_clk)


class RgmiiLoopBack(LoopBack):
    """Behind RGMII's coding; the pads are beside it in ``rgmii_loopback.v``."""

    def __init__(self, **options: Any) -> None:
        line = {
            "receive": In(receive_wires()),
            "transmit": Out(transmit_wires()),
            "speed": In(Speed),
            "link": Out(link_layout()),
        }
        super().__init__(Mac(**options), line)

    def connect_line(self, m: Module) -> None:
        receiver = RgmiiReceiver()
        _connect_coding(m, self, receiver, RgmiiTransmitter())
        m.d.comb += self.link.eq(receiver.link)


def _connect_coding(m: Module, loop: Any, receiver: Any, transmitter: Any) -> None:
    """Put a line's coding between the wires and the MAC of ``loop``."""
    m.submodules.receiver = DomainRenamer("rx")(receiver)
    m.submodules.transmitter = DomainRenamer("tx")(transmitter)
    wiring.connect(m, wiring.flipped(loop.receive), receiver.wires)
    wiring.connect(m, receiver.gmii, loop.mac.gmii_rx)
    wiring.connect(m, loop.mac.gmii_tx, transmitter.gmii)
    wiring.connect(m, transmitter.wires, wiring.flipped(loop.transmit))
    m.d.comb += [
        receiver.speed.eq(loop.speed),
        transmitter.speed.eq(loop.speed),
        loop.mac.enable.eq(transmitter.enable),
    ]


class XgmiiLoopBack(LoopBack):
    """At eight bytes a clock."""

    events = (*LoopBack.events, "discarded")
    states = ("local_fault", "remote_fault")

    def __init__(self, **options: Any) -> None:
        super().__init__(XgmiiMac(**options), {"xgmii_rx": In(XgmiiRx), "xgmii_tx": Out(XgmiiTx)})

    def connect_line(self, m: Module) -> None:
        wiring.connect(m, wiring.flipped(self.xgmii_rx), self.mac.xgmii_rx)
        wiring.connect(m, self.mac.xgmii_tx, wiring.flipped(self.xgmii_tx))


@dataclass(frozen=True)
class MacBuild:
    """A MAC on a line of some kind, as the tests of ``vtep_cases`` get to see it."""

    name: str
    line: str
    data_width: int
    max_frame_length: int
    deep: bool = False

    @property
    def parameters(self) -> None:
        """There is no core inside."""
        return None

    @property
    def top(self) -> str:
        return "rgmii_loopback" if self.line == "rgmii" else DESIGN

    @property
    def events(self) -> tuple[str, ...]:
        """Signals that are high for a clock each time."""
        return LINES[self.line].events

    @property
    def environment(self) -> dict[str, str]:
        return {"VTEP_MAC": json.dumps(asdict(self))}

    def prepare(self, root: Path, *, coverage: bool = False, verilog: str | None = None, name: str = "") -> Path:
        """Build it, unless it is there; ``verilog`` and ``name`` of a mutant."""
        sources = [RGMII_PADS, Path(__file__).with_name("rgmii_loopback.v")] if self.line == "rgmii" else []
        return prepare_design(root, name or self.name, verilog or self.verilog(), sources, self.top)

    def verilog(self) -> str:
        """Verilog of the design under test, kept between calls."""
        return cached_verilog((self, Path(__file__).read_text(encoding="utf-8")), self._write_verilog)

    def _write_verilog(self) -> str:
        options = {"data_width": self.data_width, "max_frame_length": self.max_frame_length}
        return to_verilog(LINES[self.line](**options), DESIGN)


LINES: dict[str, type[LoopBack]] = {"gmii": GmiiLoopBack, "rgmii": RgmiiLoopBack, "xgmii": XgmiiLoopBack}

ALL = (
    MacBuild("mac-gmii", "gmii", 32, 1518, deep=True),
    MacBuild("mac-rgmii", "rgmii", 64, 9600),
    MacBuild("mac-xgmii", "xgmii", 64, 9600),
)
BUILDS = {build.name: build for build in ALL}
