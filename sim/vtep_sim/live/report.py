"""What a live session did, as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from vtep.config import VtepParameters

from ..harness import PORTS
from ..report import tool_versions
from .engine import Pace
from .ports import LivePort

__all__ = ["LiveReport"]


@dataclass
class LiveReport:
    """Figures of a session; ``counters`` by the names of SPEC.md, ``ports`` as `PortCounts` has them.

    ``seconds``: of real time in all; ``simulated_seconds``: of real time in the simulation; ``left_inside``: whether
    the core still had frames when time was up in the end; ``failure``: what ended the session before its time, where
    something did; ``counters`` is None where the core did not answer any more then.
    """

    parameters: dict[str, Any]
    config: str
    interfaces: dict[str, str | None]
    seconds: float
    simulated_seconds: float
    clocks: int
    left_inside: bool
    ports: dict[str, dict[str, int]]
    counters: dict[str, int] | None
    failure: str | None
    tools: dict[str, str]

    @classmethod
    def of(
        cls,
        parameters: VtepParameters,
        ports: Mapping[str, LivePort],
        pace: Pace,
        counters: dict[str, int] | None,
        *,
        config: str,
        interfaces: Mapping[str, str | None],
        seconds: float,
        left_inside: bool,
        failure: str | None,
    ) -> "LiveReport":
        """Sum a session up."""
        return cls(
            {name: value.value if isinstance(value, Enum) else value for name, value in asdict(parameters).items()},
            config,
            dict(interfaces),
            round(seconds, 3),
            round(pace.seconds, 3),
            pace.clocks,
            left_inside,
            {name: asdict(ports[name].counts) for name in PORTS},
            counters,
            failure,
            tool_versions(),
        )

    def to_json(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"
