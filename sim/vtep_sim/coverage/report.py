"""Figures and holes of all simulations: as JSON, as annotated sources, and as a table."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from ..report import tool_versions
from .merge import Merged
from .verilated import BOTH, Bit
from .waivers import Item, Waiver, stale, why_not

__all__ = ["UNEXPLAINED", "Report", "Share", "make_report", "table", "write_listing", "write_report"]

UNEXPLAINED = "not explained"


@dataclass
class Share:
    """How much of something was reached: ``hit`` of ``total``, and ``waived`` of what was not."""

    hit: int = 0
    total: int = 0
    waived: int = 0

    def add(self, reached: bool, why: str | None) -> None:
        """Count one thing."""
        self.total += 1
        self.hit += reached
        self.waived += not reached and why is not None

    @property
    def left(self) -> int:
        """Not reached and not explained."""
        return self.total - self.hit - self.waived

    def __str__(self) -> str:
        share = f"{100 * self.hit / self.total:.1f} %" if self.total else "-"
        return f"{self.hit} of {self.total} ({share})"


@dataclass
class Report:
    """What the report says; ``stale`` are complaints about waivers."""

    merged: Merged
    line: Share = field(default_factory=Share)
    toggle: Share = field(default_factory=Share)
    functional: Share = field(default_factory=Share)
    files: dict[str, dict[str, Share]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Share)))
    builds: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    holes: list[dict[str, str]] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def make_report(merged: Merged, waivers: Sequence[Waiver], root: Path | None = None) -> Report:
    """Hold what was counted against what there is; ``root`` is the folder above the package ``vtep``."""
    report = Report(merged)
    missed: list[Item] = []
    reached: list[Item] = []
    for item, hit, what in (*_bins(merged), *_lines(merged, root or sources_root())):
        why = None if hit else why_not(waivers, item)
        (reached if hit else missed).append(item)
        shares = [report.functional] if item.kind == "bin" else [report.line, report.files[item.place]["line"]]
        for share in shares:
            share.add(hit, why)
        if not hit:
            report.holes.append({"kind": item.kind, "what": what, "why": why or UNEXPLAINED})
    _toggles(report, waivers, missed, reached)
    report.stale = stale(waivers, missed, reached, merged.counts)
    return report


def sources_root() -> Path:
    """The folder above the package ``vtep``."""
    package = find_spec("vtep")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parents[1]


def _bins(merged: Merged) -> Iterable[tuple[Item, bool, str]]:
    for point, bins in merged.hits.by_point().items():
        for name, count in bins.items():
            yield Item("bin", point, name), bool(count), f"{point}: {name}"


def _lines(merged: Merged, root: Path) -> Iterable[tuple[Item, bool, str]]:
    texts: dict[str, list[str]] = {}
    for source, count in sorted(merged.lines.items(), key=lambda pair: _place(pair[0])):
        file, number = _place(source)
        if file not in texts:
            texts[file] = (root / file).read_text(encoding="utf-8").splitlines()
        text = texts[file][number - 1].strip()
        yield Item("line", _shown(file), text), bool(count), f"{_shown(file)}:{number}: {text}"


def _place(source: str) -> tuple[str, int]:
    file, _, number = source.rpartition(":")
    return file, int(number)


def _shown(file: str) -> str:
    """A file of the package as the repository has it."""
    return f"hdl/{file}" if file else "no component"


def _toggles(report: Report, waivers: Sequence[Waiver], missed: list[Item], reached: list[Item]) -> None:
    holes: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    where: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    known: dict[Item, str | None] = {}
    for build, counts in report.merged.counts.items():
        for bit, edges in counts.edges.items():
            item = _item(bit)
            hit = edges == BOTH
            if not hit and item not in known:
                known[item] = why_not(waivers, item)
            why = None if hit else known[item]
            for share in (report.toggle, report.builds[build], report.files[item.place]["toggle"]):
                share.add(hit, why)
            if hit:
                reached.append(item)
            else:
                key = item.place, item.name, why or UNEXPLAINED
                holes[key][bit.index] += 1
                where[key].add(build)
    missed += known
    for (file, name, why), bits in sorted(holes.items()):
        count = sum(bits.values())
        size = f"{count} bit{'s' * (count > 1)} in {', '.join(sorted(where[file, name, why]))}"
        report.holes.append({"kind": "toggle", "what": f"{file}: {name}[{_ranges(bits)}], {size}", "why": why})


def _item(bit: Bit) -> Item:
    return Item("toggle", _shown(bit.file), bit.name, bit.index)


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers as ranges: 0, 4-7."""
    parts = []
    for _, group in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ", ".join(parts)


def _json(share: Share) -> dict[str, int]:
    return {"hit": share.hit, "total": share.total, "waived": share.waived}


def write_report(report: Report, path: Path, command: str) -> None:
    """Write the report as JSON."""
    points = report.merged.hits.by_point()
    plan = report.merged.hits.plan
    content: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": command,
        "tools": tool_versions(),
        "simulations": [vars(simulation) for simulation in report.merged.simulations],
        **{kind: _json(getattr(report, kind)) for kind in ("line", "toggle", "functional")},
        "files": [
            {"name": name, "line": _json(kinds["line"]), "toggle": _json(kinds["toggle"])}
            for name, kinds in sorted(report.files.items())
        ],
        "builds": [{"name": name, "toggle": _json(share)} for name, share in report.builds.items()],
        "holes": report.holes,
        "impossible": [
            {"what": f"{point.name}: {name}", "why": why}
            for point in plan.values()
            for name, why in point.impossible.items()
        ],
        "rules": [{"rule": rule, "hits": count} for rule, count in points["rules"].items()],
        "points": [
            {"name": name, "bins": [{"bin": one, "hits": count} for one, count in bins.items()]}
            for name, bins in points.items()
            if name != "rules"
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_listing(report: Report, folder: Path, root: Path | None = None) -> None:
    """Write the sources of the core with the executions of each statement under a condition beside it."""
    root = root or sources_root()
    lines = report.merged.lines
    for file in sorted({_place(source)[0] for source in lines}):
        out = []
        for number, text in enumerate((root / file).read_text(encoding="utf-8").splitlines(), 1):
            count = lines.get(f"{file}:{number}")
            margin = "" if count is None else str(count) if count else "#####"
            out.append(f"{margin:>12} | {text}".rstrip())
        place = folder / f"{file}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join(out) + "\n", encoding="utf-8")


def table(report: Report, *, bits: bool) -> list[Table | str]:
    """The report for people; ``bits``: those that are not explained are listed as well, and may be many."""
    simulations = report.merged.simulations
    tests, failed = (sum(getattr(one, name) for one in simulations) for name in ("tests", "failed"))
    builds = sorted({one.build for one in simulations})
    figures = Table(title=f"{tests} tests on {len(builds)} builds, {failed} failed", title_justify="left")
    for heading in ("", "reached", "explained", "left"):
        figures.add_column(heading, justify="left" if not heading else "right")
    names = {"line": "statements under a condition", "toggle": "bits that toggled both ways", "functional": "bins"}
    for kind, name in names.items():
        share = getattr(report, kind)
        figures.add_row(name, str(share), str(share.waived), str(share.left))
    files = Table(title="by source", title_justify="left")
    for heading in ("", "statements", "bits", "explained", "left"):
        files.add_column(heading, justify="left" if not heading else "right")
    for name, kinds in sorted(report.files.items()):
        both = [kinds["line"], kinds["toggle"]]
        sums = (sum(getattr(share, part) for share in both) for part in ("waived", "left"))
        files.add_row(name, *(str(share) if share.total else "" for share in both), *map(str, sums))
    left = [hole["what"] for hole in report.holes if hole["why"] == UNEXPLAINED and (bits or hole["kind"] != "toggle")]
    heading = "not reached and not explained" + ("" if bits else ", bits left out")
    return [figures, files, *([f"{heading}:", *left] if left else [])]
