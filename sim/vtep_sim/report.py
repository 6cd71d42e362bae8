"""What a run measured, for a table and as JSON."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from importlib import metadata
from typing import Any, Self

from vtep.config import VtepParameters

from .harness import PORTS, FrameLike, Result, find_verilator

__all__ = ["PortTotals", "RunReport", "tool_versions"]


@dataclass
class PortTotals:
    """What passed a port: frames and bytes without FCS.

    ``marked`` frames left with an error mark (cut-through only) and are in no capture. ``snapped`` and ``empty``
    frames of the input capture had bytes missing, or none at all. ``gbps`` is the rate between the port's first and
    last beat at the stated clock, frame bytes only; 0 where nothing passed.
    """

    frames: int = 0
    bytes: int = 0
    marked: int = 0
    snapped: int = 0
    empty: int = 0
    gbps: float = 0.0
    file: str | None = None


@dataclass
class RunReport:
    """Figures and findings of one run.

    ``padded``: snapped input frames were filled up, not left out. ``clocks`` is from the first beat taken to the
    last beat sent; ``differences`` None where the golden model was not asked, empty where it agrees.
    """

    parameters: dict[str, Any]
    clock_mhz: float
    clocks: int
    ports: dict[str, PortTotals]
    counters: dict[str, int]
    config: str | None = None
    padded: bool = False
    seed: int | None = None
    waves: str | None = None
    differences: list[str] | None = None
    tools: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        parameters: VtepParameters,
        inputs: Mapping[str, Sequence[FrameLike]],
        result: Result,
        counters: Mapping[str, int],
        *,
        clock_mhz: float,
    ) -> Self:
        """Sum up one `Simulator.run` with ``inputs``."""
        ports = {}
        for port in PORTS:
            spans = result.inputs[port]
            size = sum(len(frame.data) for frame in inputs[port])
            first, last = (spans[0].first, spans[-1].last) if spans else (0, 0)
            ports[f"{port}_in"] = _totals(len(spans), size, first, last, clock_mhz)
        for port in PORTS:
            frames = result.frames(port)
            size = sum(len(frame.data) for frame in frames)
            first, last = (frames[0].first, frames[-1].last) if frames else (0, 0)
            totals = _totals(len(frames), size, first, last, clock_mhz)
            totals.marked = sum(frame.error for frame in frames)
            ports[f"{port}_out"] = totals
        fields = {name: value.value if isinstance(value, Enum) else value for name, value in asdict(parameters).items()}
        return cls(fields, clock_mhz, result.busy_clocks, ports, dict(counters), tools=tool_versions())

    @property
    def drops(self) -> dict[str, int]:
        """Drop and punt counters that are not 0."""
        return {
            name: value for name, value in self.counters.items() if value and not name.endswith(("_frames", "_bytes"))
        }

    def to_json(self) -> str:
        """Write the report as JSON; ``counters`` by the names of SPEC.md."""
        content = asdict(self)
        content["check"] = None if self.differences is None else {"passed": not self.differences}
        return json.dumps(content, indent=2) + "\n"


def _totals(frames: int, size: int, first: int, last: int, clock_mhz: float) -> PortTotals:
    rate = size * 8 / (last - first + 1) * clock_mhz / 1000 if frames else 0.0
    return PortTotals(frames, size, gbps=round(rate, 3))


def tool_versions() -> dict[str, str]:
    """Name the versions of what a figure depends on."""
    packages: Sequence[str] = ("openvtep", "amaranth", "pyosys")
    versions = {"python": platform.python_version(), "verilator": find_verilator().version.removeprefix("Verilator ")}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
