"""Results of the bench: one JSON file a part, and from all that are there the tables and the plot.

So a part can be measured anew, or at another time than the rest; each says when and with what it was measured.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core_sources import core_digest
from ..report import tool_versions
from .bubbles import MIX
from .rfc2544_tables import rfc2544_summary, rfc2544_tables
from .speed import BOTH, HARNESSES
from .tables import Rows, select, table, values

__all__ = [
    "PARTS",
    "SHORT",
    "TITLES",
    "load_parts",
    "markdown",
    "measured_clocks",
    "present_keys",
    "save_part",
    "summary",
    "warning",
]

PARTS = ("bubbles", "latency", "rfc2544", "speed", "area", "fill", "updates")

WITHOUT_A_CORE = ("fill",)
"""Parts that come of the control plane alone."""

DERIVED = (
    *("ratio", "idle_clocks_per_frame", "frames_per_second", "clocks_per_second", "reached"),
    *("line_gbps", "theoretical_mpps", "mpps", "gbps", "core_mpps", "median_ns"),
)
"""Properties of entries that are saved with their fields."""

LATENCY_BARS = {64: 16, 512: 12}
"""Most clocks of cut-through decapsulation, IPv4, untagged."""

SPEED_BAR = 50
"""Least frames per second of the harness, in those of the cocotb bench."""

CLOCKS_BAR = 1_000_000
"""Least clocks a second of the optimized harness."""


def save_part(folder: Path, part: str, entries: Iterable[Any], command: str, key: Sequence[str] = ()) -> None:
    """Write ``part`` (one of `PARTS`) with the date, the tools and the command that measured it.

    With ``key``, the names of some fields, entries stay that were there and have other values in these. Then each entry
    has its own date and command; the part has all commands, and the first and the last date. Each entry has the digest
    of the core's sources, and the tools.
    """
    folder.mkdir(parents=True, exist_ok=True)
    origin = {"date": datetime.now(UTC).date().isoformat(), "command": command}
    tools = tool_versions()
    made_of = {"sources": core_digest(), "tools": tools}
    rows = [asdict(entry) | _derived(entry) | made_of for entry in entries]
    if key:
        new = {tuple(row[name] for name in key) for row in rows}
        there = load_parts(folder).get(part, {"entries": []})
        kept = [row for row in there["entries"] if tuple(row[name] for name in key) not in new]
        rows = [{name: there[name] for name in origin} | row for row in kept] + [row | origin for row in rows]
        dates = [row["date"] for row in rows]
        origin["date"] = " to ".join(sorted({min(dates), max(dates)}))
        origin["command"] = "; ".join(values(rows, "command"))
    content = {
        "part": part,
        **origin,
        "tools": tools,
        "entries": rows,
    }
    # In one step: whoever ends a run keeps what was there.
    path = folder / f"{part}.json"
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


def _derived(entry: Any) -> dict[str, float]:
    return {name: getattr(entry, name) for name in DERIVED if hasattr(entry, name)}


def load_parts(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the parts that are there."""
    found = {}
    for part in PARTS:
        path = folder / f"{part}.json"
        if path.exists():
            found[part] = json.loads(path.read_text(encoding="utf-8"))
    for row in found.get("speed", {"entries": []})["entries"]:
        row.setdefault("traffic", BOTH)  # what was measured before there was a choice
    return found


def present_keys(folder: Path, part: str, key: Sequence[str]) -> set[tuple[Any, ...]]:
    """Values of the fields ``key`` of the entries that are there of the present core, made with the present tools."""
    rows, tools = load_parts(folder).get(part, {"entries": []})["entries"], tool_versions()
    return {tuple(row[name] for name in key) for row in rows if not _is_older(row) and row.get("tools") == tools}


def measured_clocks(folder: Path) -> set[float]:
    """Clocks in MHz that the rates of rfc2544 refer to which are there: one at most, if `run_bench` wrote them."""
    return {row["clock_mhz"] for row in load_parts(folder).get("rfc2544", {"entries": []})["entries"]}


def _is_older(row: dict[str, Any]) -> bool:
    """Whether an entry was measured on other sources of the core than the present ones."""
    return row.get("sources") != core_digest()


def warning(part: str, rows: Rows) -> str:
    """Say which entries are not of the present core; empty where all are, or where the part measures no core."""
    older = [row for row in rows if _is_older(row)]
    if part in WITHOUT_A_CORE or not older:
        return ""
    which = "All" if len(older) == len(rows) else f"{len(older)} of {len(rows)}"
    return f"{which} of these figures are of other sources of the core than the present ones."


def _length(inner_length: int) -> str:
    return "all but 9014, mixed" if inner_length == MIX else str(inner_length)


def _bubbles(rows: Rows) -> list[str]:
    lines = [
        "Beats / clocks while both directions are saturated at once: of encapsulation the beats that leave, of",
        "decapsulation those taken. 1.000 is a beat in every clock of the window.",
        "",
    ]
    for mode in values(rows, "mode"):
        for underlay in values(select(rows, mode=mode), "underlay"):
            chosen = select(rows, mode=mode, underlay=underlay)
            widths = values(chosen, "data_width")
            lines += [f"### {mode}, {underlay} underlay", ""]
            heads = [f"{width} bits {way}" for width in widths for way in ("encap", "decap")]
            body = []
            for length in values(chosen, "inner_length"):
                cells = [
                    f"{row['ratio']:.3f}"
                    for width in widths
                    for way in ("encap", "decap")
                    for row in select(chosen, inner_length=length, data_width=width, direction=way)
                ]
                body.append([_length(length), *cells])
            lines += table(["inner frame", *heads], body)
    least = min(row["ratio"] for row in rows)
    most = max(row["idle_clocks_per_frame"] for row in rows)
    lines.append(f"Least ratio: {least:.4f}. Most clocks without a beat per frame: {most:.3f}.")
    others = "For comparison: verilog-ethernet's UDP/IP transmit chain 1, its receive chain 2, LiteEth's 12 or more."
    return [*lines, others, ""]


def _latency(rows: Rows) -> list[str]:
    lengths = values(rows, "inner_length")
    body = []
    for direction in ("encap", "decap"):
        for mode in values(rows, "mode"):
            chosen = select(rows, direction=direction, mode=mode)
            for width in values(chosen, "data_width"):
                cells = [_span(row) for row in select(chosen, data_width=width)]
                bar = LATENCY_BARS.get(width) if (direction, mode) == ("decap", "cut-through") else None
                body.append([direction, mode, width, *cells, f"{bar} or fewer" if bar else ""])
    heads = ["direction", "mode", "bits", *(f"inner {length}" for length in lengths), "bar"]
    intro = "Clocks from a frame's first beat in to its first beat out, the core idle before; IPv4 underlay, untagged."
    return [intro, "", *table(heads, body)]


def _span(row: dict[str, Any]) -> str:
    return str(row["least"]) if row["least"] == row["most"] else f"{row['least']} to {row['most']}"


def _times_faster(rows: Rows, simulator: str, row: dict[str, Any]) -> float:
    harness = select(rows, data_width=row["data_width"], simulator=simulator, traffic=row["traffic"])[0]
    return float(harness["frames_per_second"] / row["frames_per_second"])


def _speed(rows: Rows) -> list[str]:
    body = []
    for row in rows:
        times = [""] * len(HARNESSES)
        if row["simulator"] not in HARNESSES:
            times = [f"{_times_faster(rows, simulator, row):.0f}" for simulator in HARNESSES]
        rates = (f"{row['frames_per_second']:.0f}", f"{row['clocks_per_second']:.0f}")
        body.append([row["data_width"], row["simulator"], row["traffic"], *rates, *times])
    heads = ["bits", "simulator", "traffic", "frames/s", "clocks/s", *(f"{name} is faster by" for name in HARNESSES)]
    intro = (
        "The same frames (60, 128, 512 and 1514 bytes inner), a beat in every clock, both ways at once or one way; "
        "processor time of one thread."
    )
    return [intro, "", *table(heads, body)]


def _verdict(reached: bool) -> str:
    return "reached" if reached else "missed"


def _area(rows: Rows) -> list[str]:
    body = []
    for row in rows:
        device = "LFE5UM5G-85F speed 8" if row["device"] == "ecp5" else "UltraScale+ (synthesis)"
        runs = ", ".join(f"{run:.0f}" if run else "not routed" for run in row["runs"])
        rate = f"{row['mhz']:.0f} MHz ({runs})" if row["runs"] else ""
        verdict = f"{row['bars']}: {_verdict(row['reached'])}"
        body.append([row["block"], device, row["luts"], row["flip_flops"], row["rams"], rate, row["levels"], verdict])
    heads = ["block", "device", "LUT", "FF", "RAM", "median of 3 seeds", "LUTs on the longest path", "bar"]
    intro = "Every port behind a flip-flop, so that paths are register to register; those flip-flops are not counted."
    paths = [f"- {row['block']}, {row['device']}: {row['path']}" for row in rows]
    return [intro, "", *table(heads, body), *paths, ""]


def _percent(share: float) -> str:
    return f"{100 * share:.3f} %"


def _fill(rows: Rows) -> list[str]:
    body = [
        [
            row["entries"],
            f"{row['functions']} x {row['slots']}",
            row["runs"],
            *(_percent(row[name]) for name in ("mean", "least", "most")),
            f"{row['writes']:.2f}",
            f"{row['microseconds']:.1f}",
            f"{_percent(row['bar'])}: {_verdict(row['reached'])}",
        ]
        for row in rows
    ]
    heads = ["locations", "functions x slots", "fills", "mean", "least", "most", "writes", "microseconds", "bar"]
    intro = (
        "Share of an FDB's locations that are taken when the first random entry is refused; writes into the table and "
        "processor time are those of one insertion, on average."
    )
    return [intro, "", *table(heads, body)]


def _updates(rows: Rows) -> list[str]:
    body = [
        [
            row["data_width"],
            row["direction"],
            f"{row['fdb_entries']}, {_percent(row['fill'])}",
            row["writes"],
            row["moves"],
            f"{row['run_clocks'] / row['writes']:.0f}",
            f"{row['ratio']:.3f}",
        ]
        for row in rows
    ]
    heads = ["bits", "direction", "FDB, taken", "entries written", "moves of the flow's own", "clocks a write", "rate"]
    intro = (
        "Beats / clocks as under Bubbles, inner frames of 60 bytes, while entries of a full FDB are replaced and moved "
        "as fast as AXI4-Lite takes them; no frame was lost."
    )
    return [intro, "", *table(heads, body)]


TITLES = {
    "bubbles": ("Bubbles", _bubbles),
    "latency": ("Latency", _latency),
    "rfc2544": ("RFC 2544", rfc2544_tables),
    "speed": ("Simulation speed", _speed),
    "area": ("Area and clock", _area),
    "fill": ("Fill", _fill),
    "updates": ("Updates under traffic", _updates),
}


def markdown(parts: dict[str, dict[str, Any]]) -> str:
    """Write the tables of all parts."""
    lines = ["# Measurements", ""]
    for part, content in parts.items():
        title, write = TITLES[part]
        tools = ", ".join(f"{name} {version}" for name, version in content["tools"].items())
        lines += [f"## {title}", "", f"Measured {content['date']} with `{content['command']}` ({tools}).", ""]
        if told := warning(part, content["entries"]):
            lines += [f"**{told}**", ""]
        lines += write(content["entries"])
    return "\n".join(lines)


def _short_bubbles(rows: Rows) -> list[str]:
    short = [row for row in rows if round(row["ratio"], 3) < 1]
    return [f"bubbles: {len(rows) - len(short)} of {len(rows)} measurements at 1.000 beats a clock"] + [
        f"  {row['data_width']} bits, {row['mode']}, {row['underlay']}, inner {_length(row['inner_length'])}, "
        f"{row['direction']}: {row['ratio']:.4f}"
        for row in short
    ]


def _short_latency(rows: Rows) -> list[str]:
    lines = []
    for row in select(rows, direction="decap", mode="cut-through", inner_length=min(values(rows, "inner_length"))):
        bar = LATENCY_BARS.get(row["data_width"])
        if bar:
            lines.append(
                f"latency: cut-through decapsulation, {row['data_width']} bits: {_span(row)} clocks, "
                f"bar {bar}: {_verdict(row['most'] <= bar)}"
            )
    return lines


def _short_speed(rows: Rows) -> list[str]:
    lines = []
    for simulator in HARNESSES:
        for row in rows:
            if row["simulator"] not in HARNESSES:
                times = _times_faster(rows, simulator, row)
                verdict = _verdict(times >= SPEED_BAR)
                lines.append(f"speed: {simulator} {times:.0f} times {row['simulator']}, bar {SPEED_BAR}: {verdict}")
    for row in select(rows, simulator=HARNESSES[-1]):
        rate = row["clocks_per_second"]
        lines.append(
            f"speed: {row['simulator']}, {row['traffic']}: {rate:,.0f} clocks a second, bar {CLOCKS_BAR:,}: "
            f"{_verdict(rate >= CLOCKS_BAR)}"
        )
    return lines


def _short_area(rows: Rows) -> list[str]:
    lines = []
    for row in rows:
        rate = f"{row['mhz']:.0f} MHz" if row["mhz"] else f"{row['levels']} LUT levels"
        verdict = f"{row['bars']}: {_verdict(row['reached'])}"
        lines.append(f"area: {row['block']}, {row['device']}: {row['luts']} LUT, {rate}; {verdict}")
    return lines


def _short_fill(rows: Rows) -> list[str]:
    lines = []
    for row in rows:
        mean, bar = _percent(row["mean"]), _percent(row["bar"])
        what = f"{row['entries']} locations, {row['runs']} fills: {mean} on average"
        lines.append(
            f"fill: {what}, {row['microseconds']:.1f} microseconds an insertion; "
            f"at least {bar}: {_verdict(row['reached'])}"
        )
    return lines


def _short_updates(rows: Rows) -> list[str]:
    return [
        f"updates: {row['data_width']} bits, {row['direction']}: {row['ratio']:.3f} beats a clock with {row['writes']} "
        f"entries written; 1.000: {_verdict(round(row['ratio'], 3) >= 1)}"
        for row in rows
    ]


SHORT = {
    "bubbles": _short_bubbles,
    "latency": _short_latency,
    "rfc2544": rfc2544_summary,
    "speed": _short_speed,
    "area": _short_area,
    "fill": _short_fill,
    "updates": _short_updates,
}


def summary(parts: dict[str, dict[str, Any]]) -> list[str]:
    """Say what reached its bar and what did not, a line each."""
    return [line for part, content in parts.items() for line in SHORT[part](content["entries"])]
