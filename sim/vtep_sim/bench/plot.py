"""The plot of the bench's results, as SVG."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .rfc2544_plot import draw_latency, draw_loss, draw_throughput
from .speed import BOTH
from .tables import select
from .traffic import INNER_LENGTHS

__all__ = ["DRAW", "alone", "draw_svg", "plot", "rows_of"]

ROW_HEIGHT = 4


def _rate(axes: Any, rows: list[dict[str, Any]]) -> None:
    chosen = [row for row in rows if row["underlay"] == "ipv4" and row["inner_length"] in INNER_LENGTHS]
    ticks = [str(length) for length in INNER_LENGTHS]
    for direction, style in (("encap", "o-"), ("decap", "x--")):
        for width in sorted({row["data_width"] for row in chosen}):
            least = []
            for length in INNER_LENGTHS:
                same = [
                    row["ratio"]
                    for row in chosen
                    if (row["data_width"], row["inner_length"], row["direction"]) == (width, length, direction)
                ]
                least.append(min(same, default=float("nan")))
            axes.plot(ticks, least, style, label=f"{width} bits {direction}", linewidth=1, markersize=4)
    axes.set(title="Beats per clock, both directions saturated", xlabel="inner frame, bytes", ylim=(0, 1.05))
    axes.legend(ncols=4, fontsize="x-small", loc="lower center")


def _latency(axes: Any, rows: list[dict[str, Any]]) -> None:
    chosen = [row for row in rows if row["inner_length"] == min(row["inner_length"] for row in rows)]
    widths = sorted({row["data_width"] for row in chosen})
    kinds = sorted({(row["direction"], row["mode"]) for row in chosen})
    size = 0.8 / max(len(kinds), 1)
    for number, kind in enumerate(kinds):
        same = [row for row in chosen if (row["direction"], row["mode"]) == kind]
        places = [widths.index(row["data_width"]) + number * size for row in same]
        clocks = [row["most"] for row in same]
        bars = axes.bar(places, clocks, size, label=", ".join(kind))
        axes.bar_label(bars, fontsize="xx-small")
    axes.set_xticks([index + 0.4 - size / 2 for index in range(len(widths))], [str(width) for width in widths])
    axes.set(title=f"Latency in clocks, inner frame of {chosen[0]['inner_length']} bytes", xlabel="bits")
    axes.legend(fontsize="x-small")


def _speed(axes: Any, rows: list[dict[str, Any]]) -> None:
    names = [f"{row['simulator']}, {row['data_width']} bits" for row in rows]
    bars = axes.barh(names, [row["frames_per_second"] for row in rows])
    axes.bar_label(bars, fmt="%.0f", fontsize="x-small")
    axes.set(title="Simulated frames per second", xscale="log")
    axes.margins(x=0.2)
    axes.invert_yaxis()


def _area(axes: Any, rows: list[dict[str, Any]]) -> None:
    chosen = [row for row in rows if row["mhz"]]
    bars = axes.barh([row["block"] for row in chosen], [row["mhz"] for row in chosen])
    axes.bar_label(bars, [f"{row['mhz']:.0f} MHz, {row['luts']} LUT4" for row in chosen], fontsize="x-small")
    axes.set(title="Clock on LFE5UM5G-85F speed 8, median of 3 seeds", xlabel="MHz")
    axes.margins(x=0.35)
    axes.invert_yaxis()


DRAW = {
    "bubbles": ("bubbles", {}, _rate),
    "latency": ("latency", {}, _latency),
    "throughput": ("rfc2544", {}, draw_throughput),
    "latency-store-and-forward": ("rfc2544", {"mode": "store-and-forward"}, draw_latency),
    "latency-cut-through": ("rfc2544", {"mode": "cut-through"}, draw_latency),
    "frame-loss": ("rfc2544", {"direction": "encap", "traffic": "encap"}, draw_loss),
    "speed": ("speed", {"traffic": BOTH}, _speed),
    "area": ("area", {}, _area),
}
"""Plots by name: part and fields of the rows that are drawn, and how."""

INK = "#010203"
"""Stands for the colour of the text around a plot until it is written."""

STYLE = {
    "svg.hashsalt": "vtep",  # the same figures give the same file
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.prop_cycle": "cycler('color', ['#3b82f6', '#e8730c', '#1f9d55', '#e5484d', '#9b5de5', '#0f9ba0', '#b08000'])",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), INK
    ),
}

THEME = """<style>
svg { color: #1f2328; background: #ffffff; font-family: system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3; background: #0d1117; } }
</style>"""
"""Colours of a plot that stands alone."""


def rows_of(name: str, parts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that a plot shows."""
    part, fields, _ = DRAW[name]
    return select(parts[part]["entries"], **fields) if part in parts else []


def draw_svg(parts: dict[str, dict[str, Any]], names: Sequence[str] = tuple(DRAW)) -> str:
    """Draw the plots of the parts that are there, one above the other, as SVG in the colours of what is around it."""
    # matplotlib is of the bench's set-up only, and slow to load.
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib.figure import Figure

    drawn = [(DRAW[name][-1], rows_of(name, parts)) for name in names if rows_of(name, parts)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, ROW_HEIGHT * max(len(drawn), 1)), layout="constrained")
        for number, (draw, rows) in enumerate(drawn, 1):
            axes = figure.add_subplot(len(drawn), 1, number)
            draw(axes, rows)
            axes.set_axisbelow(True)
            axes.grid(axis="y", alpha=0.3)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return text.getvalue().replace(INK, "currentColor")


def alone(svg: str) -> str:
    """Give a plot its own colours, for a file."""
    return re.sub(r"(<svg [^>]*>)", lambda match: match[1] + THEME, svg, count=1)


def plot(parts: dict[str, dict[str, Any]], target: Path) -> None:
    """Draw everything that is there into the SVG file ``target``."""
    target.write_text(alone(draw_svg(parts)), encoding="utf-8")
