"""What came out of place and route: clocks, slack, critical paths and area by component, as JSON and as a page."""

import html
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["REPORTS", "ClockReport", "Report", "count_components", "read_report"]

REPORTS = JSON_NAME, HTML_NAME = "report.json", "report.html"

OTHER = "(shared)"
"""Component of cells that no name tells of, and of what stands in the top."""

_DEPTH = 4
"""Levels of the hierarchy that components are told apart by."""

_KINDS = {
    "LUT4": ("lut4", 1),
    "CCU2C": ("lut4", 2),
    "TRELLIS_DPR16X4": ("lut4", 6),
    "TRELLIS_FF": ("flip_flops", 1),
    "DP16KD": ("block_rams", 1),
    "MULT18X18D": ("multipliers", 1),
}
"""What a cell counts as: a carry cell is two LUTs, 16 x 4 bits of distributed RAM are four and two for writing."""

_DEVICE_KINDS = {
    "TRELLIS_COMB": "lut4",
    "TRELLIS_FF": "flip_flops",
    "DP16KD": "block_rams",
    "MULT18X18D": "multipliers",
}


@dataclass(frozen=True)
class ClockReport:
    """A clock: its frequency, asked for and reached, in MHz; slack in ns; and its slowest path, start to end."""

    name: str
    wanted: float
    reached: float
    path: tuple[str, ...]

    @property
    def slack(self) -> float:
        """Nanoseconds that the period is longer than its slowest path; negative if it is not."""
        return 1000 / self.wanted - 1000 / self.reached


@dataclass(frozen=True)
class Report:
    """Figures of a build.

    Attributes
    ----------
    about : dict
        Board, device, seed, tools and what else identifies it.
    clocks : tuple of ClockReport
    used, available : dict
        LUT4, flip-flops, block RAMs and multipliers of the device.
    components : dict
        The same, of each component; cells that several share are under ``(shared)``.
    """

    about: dict[str, Any]
    clocks: tuple[ClockReport, ...]
    used: dict[str, int]
    available: dict[str, int]
    components: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def slack(self) -> float:
        """The least of all clocks, in ns."""
        return min(clock.slack for clock in self.clocks)

    @property
    def met(self) -> bool:
        """Whether every clock is as fast as it has to be."""
        return all(clock.reached >= clock.wanted for clock in self.clocks)

    def failures(self) -> list[str]:
        """A line for each clock that is too slow, and its slowest path."""
        lines = []
        for clock in self.clocks:
            if clock.reached < clock.wanted:
                lines.append(
                    f"clock {clock.name} reaches {clock.reached:.1f} MHz of {clock.wanted:g} ({clock.slack:+.2f} ns)"
                )
                lines += [f"  {step}" for step in clock.path]
        return lines

    def write(self, folder: Path) -> None:
        """Write ``report.json`` and ``report.html`` to ``folder``."""
        (folder / JSON_NAME).write_text(json.dumps(self.as_dict(), indent=2) + "\n")
        (folder / HTML_NAME).write_text(self.html())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        clocks = [{**asdict(clock), "slack": round(clock.slack, 3)} for clock in self.clocks]
        return {
            "about": self.about,
            "met": self.met,
            "clocks": clocks,
            "used": self.used,
            "available": self.available,
            "components": self.components,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Report":
        """Read `as_dict` back."""
        clocks = tuple(
            ClockReport(clock["name"], clock["wanted"], clock["reached"], tuple(clock["path"]))
            for clock in document["clocks"]
        )
        return cls(document["about"], clocks, document["used"], document["available"], document["components"])

    def html(self) -> str:
        """Return a page of its own."""
        about = "".join(_row(name, json.dumps(value)) for name, value in self.about.items())
        clocks = "".join(
            _row(clock.name, f"{clock.wanted:g}", f"{clock.reached:.1f}", f"{clock.slack:+.2f}", " → ".join(clock.path))
            for clock in self.clocks
        )
        used = "".join(
            _row(name, str(count), str(self.available[name]), f"{100 * count / max(1, self.available[name]):.0f} %")
            for name, count in self.used.items()
        )
        names = list(self.used)
        components = "".join(
            _row(name, *(str(counts.get(kind, 0)) for kind in names)) for name, counts in self.components.items()
        )
        title = html.escape(f"OpenVTEP on {self.about.get('board', '?')}: timing {'met' if self.met else 'NOT met'}")
        return (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{_STYLE}</style></head><body><h1>{title}</h1>\n"
            f"<table>{about}</table>\n<h2>Clocks</h2><table>"
            f"{_row('clock', 'MHz wanted', 'MHz reached', 'slack in ns', 'slowest path', tag='th')}{clocks}</table>\n"
            f"<h2>Device</h2><table>{_row('what', 'used', 'available', 'share', tag='th')}{used}</table>\n"
            f"<h2>Components</h2><table>{_row('component', *names, tag='th')}{components}</table>\n</body></html>\n"
        )


_STYLE = (
    "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:3px 8px}"
)


def _row(*cells: str, tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def read_report(
    found: Mapping[str, Any], netlist: Mapping[str, Any], log: str, components: Collection[str], about: dict[str, Any]
) -> Report:
    """Make a report of what the tools tell.

    Parameters
    ----------
    found : dict
        nextpnr's report.
    netlist : dict
        The module that it placed, as Yosys writes it.
    log : str
        nextpnr's.
    components : collection of str
        Names of all components, by their places in the hierarchy.
    about : dict
        See `Report`.
    """
    clocks = tuple(
        ClockReport(_domain(name), figures["constraint"], figures["achieved"], _path(found, name))
        for name, figures in sorted(found["fmax"].items())
    )
    used, available = {}, {}
    for kind, name in _DEVICE_KINDS.items():
        if kind in found["utilization"]:
            used[name] = found["utilization"][kind]["used"]
            available[name] = found["utilization"][kind]["available"]
    if total := re.search(r"Total LUT4s:\s+(\d+)/\s*(\d+)", log):
        used["lut4"], available["lut4"] = int(total[1]), int(total[2])
    return Report(about, clocks, used, available, count_components(netlist, components))


def _domain(name: str) -> str:
    """The domain whose clock has this net, which Amaranth calls ``clk`` or ``DOMAIN_clk``."""
    last = name.removeprefix("$glbnet$").split(".")[-1]
    return "sync" if last == "clk" else last.removesuffix("_clk")


def _path(found: Mapping[str, Any], clock: str) -> tuple[str, ...]:
    """Names of what the slowest path within a clock's domain goes through, without repetitions."""
    for path in found["critical_paths"]:
        if path["from"].split()[-1:] == [clock] and path["to"].split()[-1:] == [clock]:
            names = [step["net"] for step in path["path"] if step["type"] == "routing"]
            names.append(path["path"][-1]["to"]["cell"])
            return tuple(dict.fromkeys(readable(name) for name in names))
    return ()


_MADE = re.compile(r"_(LUT4|CCU2C|PFUMX|L6MUX21|TRELLIS_FF|TRELLIS_DPR16X4|DP16KD|MULT18X18D)_.*$")
"""What Yosys adds to the name of a signal for a cell behind or in front of it."""


def readable(name: str) -> str:
    """What is left of a net's or cell's name without the tools' own: the component and the signal in it."""
    if name.startswith("$"):
        parts = [part for part in name.split("$") if "." in part]
        name = max(parts, key=len, default=name).strip("\\")
    return _MADE.sub("", name)


def count_components(netlist: Mapping[str, Any], known: Collection[str]) -> dict[str, dict[str, int]]:
    """Cells of each component of a flattened netlist, told apart by the nets that they drive."""
    names: dict[int, str] = {}
    for name, net in netlist["netnames"].items():
        if not name.startswith("$"):
            for bit in net["bits"]:
                if isinstance(bit, int) and (bit not in names or name.count(".") > names[bit].count(".")):
                    names[bit] = name
    counts: dict[str, Counter[str]] = {}
    for name, cell in netlist["cells"].items():
        if cell["type"] not in _KINDS:
            continue
        kind, weight = _KINDS[cell["type"]]
        outputs = [
            bit
            for port, direction in cell["port_directions"].items()
            if direction == "output"
            for bit in cell["connections"].get(port, ())
        ]
        driven = next((names[bit] for bit in outputs if bit in names), readable(name))
        parts = [re.sub(r"\$\d+$", "", part) for part in driven.split(".")[:_DEPTH]]
        prefixes = (".".join(parts[:depth]) for depth in range(len(parts), 0, -1))
        counts.setdefault(next((one for one in prefixes if one in known), OTHER), Counter())[kind] += weight
    return {name: dict(sorted(counts[name].items())) for name in sorted(counts)}
