"""All simulations of the system tests together: what each left in its build's folder."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from ..core_sources import core_digest
from .plan import PLAN
from .points import CoverageError, Hits
from .structure import places_of
from .verilated import Counts, read_counts

__all__ = ["Merged", "Simulation", "merge"]


@dataclass(frozen=True)
class Simulation:
    """One simulation: its build, when it began, its seed, its tests, and those that failed."""

    build: str
    tag: str
    date: str
    seed: str
    tests: int
    failed: int


@dataclass
class Merged:
    """What all simulations counted: hits of bins together, lines and toggles of each build by itself."""

    simulations: list[Simulation] = field(default_factory=list)
    hits: Hits = field(default_factory=lambda: Hits(PLAN))
    counts: dict[str, Counts] = field(default_factory=dict)

    @property
    def lines(self) -> Counter[str]:
        """Executions of each statement under a condition, in whatever build."""
        total: Counter[str] = Counter()
        for counts in self.counts.values():
            for source, count in counts.lines.items():
                total[source] += count
        return total


def merge(root: Path) -> Merged:
    """Read what the simulations left below ``root``.

    Raises
    ------
    CoverageError
        There is none, one left only a part, one ran other sources than those that are here now, or what it hit is no
        bin.
    """
    merged = Merged()
    digest = core_digest()
    for order in sorted(root.glob("*/*.json")):
        simulation = order.parent.name, order.stem
        if not order.with_suffix(".hits").exists() and not order.with_suffix(".dat").exists():
            continue
        told = json.loads(order.read_text(encoding="utf-8"))
        if told.get("sources") != digest:
            raise CoverageError(f"{'/'.join(simulation)} ran other sources of the core than these: make coverage")
        merged.simulations.append(_simulation(order, told))
        for point, name, count in _hits(order.with_suffix(".hits")):
            merged.hits.hit(point, name, times=count)
        places = places_of((order.parent / "vtep.v").read_text(encoding="utf-8"))
        dat = order.with_suffix(".dat")
        if not dat.exists():
            raise CoverageError(f"{'/'.join(simulation)} ended before Verilator wrote its counts")
        merged.counts.setdefault(order.parent.name, Counts()).add(read_counts(dat, places))
    if not merged.simulations:
        raise CoverageError(f"no simulation has counted anything in {root}: make coverage")
    return merged


def _simulation(order: Path, told: dict[str, dict[str, str]]) -> Simulation:
    results = order.with_suffix(".xml")
    cases = list(ElementTree.parse(results).getroot().iter("testcase")) if results.exists() else []
    failed = sum(any(case.find(kind) is not None for kind in ("failure", "error")) for case in cases)
    date = datetime.fromtimestamp(order.stat().st_mtime, UTC).isoformat(timespec="seconds")
    seed = told["environment"].get("VTEP_SEED", "")
    return Simulation(order.parent.name, order.stem, date, seed, len(cases), failed)


def _hits(path: Path) -> Iterator[tuple[str, str, int]]:
    if not path.exists():
        return  # The registers' tests send no frames.
    for point, bins in json.loads(path.read_text(encoding="utf-8"))["points"].items():
        for name, count in bins.items():
            yield point, name, count
