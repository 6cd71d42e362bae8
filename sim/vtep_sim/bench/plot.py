"""The plot of the bench's results, as SVG."""

from pathlib import Path
from typing import Any

from .traffic import INNER_LENGTHS

__all__ = ["plot"]

ROW_HEIGHT = 3.6


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


DRAW = {"bubbles": _rate, "latency": _latency, "speed": _speed, "area": _area}


def plot(parts: dict[str, dict[str, Any]], target: Path) -> None:
    """Draw the parts that are there and in `DRAW`, one above the other, into the SVG file ``target``."""
    # matplotlib is of the bench's set-up only, and slow to load.
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = "vtep"
    from matplotlib.figure import Figure

    drawn = [(DRAW[part], content["entries"]) for part, content in parts.items() if part in DRAW and content["entries"]]
    figure = Figure(figsize=(9, ROW_HEIGHT * max(len(drawn), 1)), layout="constrained")
    for number, (draw, rows) in enumerate(drawn, 1):
        axes = figure.add_subplot(len(drawn), 1, number)
        draw(axes, rows)
        axes.grid(axis="y", alpha=0.3)
    figure.savefig(target, format="svg", metadata={"Date": None})
