"""Plots of what `rfc2544` measured."""

from collections.abc import Callable
from typing import Any

from .rfc2544 import IMIX_NAME, PATTERNS
from .rfc2544_tables import modes_of
from .tables import Rows, select, values

__all__ = ["draw_latency", "draw_loss", "draw_throughput"]

COLOURS = 7

LOSS_WIDTH = 64
"""Data width whose frame loss is drawn, where it was measured; it is much the same at all."""


def _frames(rows: Rows) -> list[str]:
    return [frames for frames in PATTERNS if select(rows, frames=frames)]


def _lines(axes: Any, rows: Rows, cell: Callable[[dict[str, Any]], float], style: str) -> None:
    """Draw a line for each width, all widths in the same colours."""
    frames = _frames(rows)
    for number, width in enumerate(sorted(values(rows, "data_width"))):
        chosen = {row["frames"]: cell(row) for row in select(rows, data_width=width)}
        # A mixture is no further size: no line leads to it.
        for names in ([name for name in frames if name != IMIX_NAME], [name for name in frames if name == IMIX_NAME]):
            heights = [chosen.get(name, float("nan")) for name in names]
            axes.plot(names, heights, style if len(names) > 1 else style.strip("-") or "_", **_look(number))
    axes.set_xlabel("tenant's frame with FCS, bytes")


def _look(number: int) -> dict[str, Any]:
    return {"color": f"C{number % COLOURS}", "linewidth": 1.2, "markersize": 5}


def _logarithmic(axes: Any) -> None:
    """Make the vertical axis logarithmic, with plain numbers."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _legend(axes: Any, rows: Rows, *styles: tuple[str, str]) -> None:
    """Name the widths' colours and what the styles of lines mean."""
    for number, width in enumerate(sorted(values(rows, "data_width"))):
        axes.plot([], [], "-", color=f"C{number}", label=f"{width} bits")
    for style, label in styles:
        axes.plot([], [], style, color="gray", label=label)
    axes.legend(ncols=5, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False)


def draw_throughput(axes: Any, rows: Rows) -> None:
    """Gb/s of tenant frames beside what the wire allows, both directions at once, in all modes measured."""
    both = select(rows, traffic="both") or rows
    _lines(axes, both, lambda row: row["gbps"] / row["share"], "-")
    for direction, marker in (("encap", "o"), ("decap", "x")):
        _lines(axes, select(both, direction=direction), lambda row: row["gbps"], marker)
    clock = both[0]["clock_mhz"]
    axes.set(title=f"Throughput at {clock:g} MHz, both ways at once", ylabel="Gb/s of tenant frames")
    _logarithmic(axes)
    _legend(axes, both, ("-", "theoretical maximum"), ("o", "encap"), ("x", "decap"))


def draw_latency(axes: Any, rows: Rows) -> None:
    """Median latency of each direction alone, in one mode."""
    chosen = [row for row in rows if row["traffic"] == row["direction"]]
    for direction, style in (("encap", "o-"), ("decap", "x--")):
        _lines(axes, select(chosen, direction=direction), lambda row: row["median"], style)
    axes.set(title=f"Latency at the throughput, {rows[0]['mode']}", ylabel="clocks, median")
    _logarithmic(axes)
    _legend(axes, chosen, ("o-", "encap"), ("x--", "decap"))


def draw_loss(axes: Any, rows: Rows) -> None:
    """Frame loss of encapsulation against load, beside what the output's wire makes of it."""
    widths = values(rows, "data_width")
    width = LOSS_WIDTH if LOSS_WIDTH in widths else widths[0]
    mode = modes_of(rows)[0]
    chosen = select(rows, data_width=width, mode=mode)
    for number, row in enumerate(chosen):
        loads = [100 * load for load, _ in row["losses"]]
        lost = [100 * share for _, share in row["losses"]]
        axes.plot(loads, lost, "o-" if number < COLOURS else "s:", label=row["frames"], **_look(number))
    axes.set(
        title=f"Frame loss of encapsulation, {width} bits, {mode}",
        xlabel="load of the input's wire, %",
        ylabel="frames lost, %",
    )
    axes.invert_xaxis()
    axes.legend(ncols=5, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False)
