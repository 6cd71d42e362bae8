"""Tables of what `rfc2544` measured, and its summary."""

from collections.abc import Callable
from typing import Any

from vtep.config import Mode

from .rfc2544 import IMIX_NAME
from .tables import Rows, select, table, values
from .wire import CUSTOM_LETTERS, IMIX

__all__ = ["COLUMNS", "GENOME", "full_rate", "modes_of", "rfc2544_summary", "rfc2544_tables", "share_of"]

GENOME = f"{IMIX_NAME} is {IMIX} with {' and '.join(f'{name} = {size}' for name, size in CUSTOM_LETTERS.items())} bytes"

COLUMNS = {
    ("encap", "encap"): "encap",
    ("decap", "decap"): "decap",
    ("both", "encap"): "encap, both ways",
    ("both", "decap"): "decap, both ways",
}
"""Traffic and direction of a row, and what such rows are called."""

SHOWN = ("64", "512", "1518", IMIX_NAME)
"""Frames whose latency stands in the table of all widths."""

BESIDE = (
    ("theoretical_mpps", "encap", "maximum"),
    ("core_mpps", "encap", "encap, no wire"),
    ("core_mpps", "decap", "decap, no wire"),
)


def modes_of(rows: Rows) -> list[str]:
    """Modes that were measured, in an order of their own: which was measured first does not count."""
    there = values(rows, "mode")
    return [mode.value for mode in Mode if mode.value in there]


def full_rate(row: dict[str, Any]) -> bool:
    """Whether the throughput is the theoretical maximum."""
    return bool(row["share"] >= 1)


def share_of(row: dict[str, Any]) -> str:
    """Throughput in percent, with a digit behind the point where it is no full rate."""
    return "100 %" if full_rate(row) else f"{100 * row['share']:.1f} %"


def _clocks(value: float) -> str:
    return f"{value:g}"


def _table(rows: Rows, cell: Callable[[dict[str, Any]], str], *more: tuple[str, str, str]) -> list[str]:
    """Write a table with a row for each kind of frames, a column for each way of traffic.

    ``more`` columns are field, direction and heading.
    """
    ways = [(way, heading) for way, heading in COLUMNS.items() if select(rows, traffic=way[0], direction=way[1])]
    extra = [column for column in more if select(rows, direction=column[1])]
    body = []
    for frames in values(rows, "frames"):
        same = select(rows, frames=frames)
        cells = [cell(row) for way, _ in ways for row in select(same, traffic=way[0], direction=way[1])]
        cells += [f"{select(same, direction=direction)[0][field]:.3f}" for field, direction, _ in extra]
        body.append([frames, *cells])
    return table(["frames", *(heading for _, heading in ways), *(heading for *_, heading in extra)], body)


def _throughput(row: dict[str, Any]) -> str:
    return f"{row['mpps']:.3f} ({share_of(row)}), {row['gbps']:.3f}"


def _span(row: dict[str, Any], prefix: str) -> str:
    return " / ".join(f"{row[prefix + name]:g}" for name in ("least", "median", "most"))


def _latency(row: dict[str, Any]) -> str:
    return f"{_span(row, '')} ({_span(row, 'stored_')})"


def _loss(row: dict[str, Any]) -> str:
    return ", ".join(f"{100 * load:.0f}: {100 * lost:.2f}" for load, lost in row["losses"])


def _rates(rows: Rows) -> list[str]:
    """Write the throughput of both directions at once, the least of them and of the modes, at all widths."""
    widths = sorted(values(rows, "data_width"))
    body = []
    for frames in values(rows, "frames"):
        least = [min(select(rows, frames=frames, data_width=width), key=lambda row: row["share"]) for width in widths]
        cells = [f"{row['mpps']:.3f}" + ("" if full_rate(row) else f" ({share_of(row)})") for row in least]
        body.append([frames, *cells])
    return table(["frames", *(f"{width} bits" for width in widths)], body)


def _medians(rows: Rows) -> list[str]:
    """Write the median latencies of some sizes at all widths."""
    widths = sorted(values(rows, "data_width"))
    body = []
    for mode in modes_of(rows):
        for direction in values(rows, "direction"):
            for frames in SHOWN:
                chosen = select(rows, mode=mode, direction=direction, frames=frames)
                cells = [f"{row['median']:g}" for width in widths for row in select(chosen, data_width=width)]
                if len(cells) == len(widths):
                    body.append([f"{mode}, {direction}, {frames}", *cells])
    return table(["clocks", *(f"{width} bits" for width in widths)], body)


def rfc2544_tables(rows: Rows) -> list[str]:
    """Write the tables, three for each mode and width."""
    lines = [
        "Throughput, latency and frame loss rate in the terms of RFC 2544, with an Ethernet wire at each port that",
        "carries data width times clock. Sizes are those of the tenant's frame with FCS;",
        f"{GENOME} (RFC 6985). IPv4 underlay without UDP checksum, one flow. docs/benchmark.md has the method.",
        "",
        "- Throughput: millions of frames a second (share of the theoretical maximum), Gb/s of tenant frames with FCS.",
        "  Beside it the theoretical maximum, and what the ports do without a wire, when a beat can go in every clock.",
        "- Latency at that rate: clocks, least / median / most, from the first beat in to the first beat out, and in",
        "  brackets from the last beat in.",
        "- Frame loss: share of the input's wire that is taken up, and of the frames that were lost, in percent.",
        "",
    ]
    if both := select(rows, traffic="both"):
        lines += ["Throughput of both ways at once, millions of frames a second each way; 100 % of the theoretical"]
        lines += [
            "maximum where nothing else is said. The least of what was measured in both directions and all modes.",
            "",
        ]
        lines += _rates(both)
        lines += [
            "Median latency of both ways at once, from the first beat in to the first beat out.",
            "",
            *_medians(both),
        ]
    for mode in modes_of(rows):
        for width in sorted(values(select(rows, mode=mode), "data_width")):
            chosen = select(rows, mode=mode, data_width=width)
            first = chosen[0]
            lines += [f"### {mode}, {width} bits at {first['clock_mhz']:g} MHz: {first['line_gbps']:g} Gb/s", ""]
            lines += ["Throughput", "", *_table(chosen, _throughput, *BESIDE)]
            lines += ["Latency", "", *_table(chosen, _latency)]
            lines += ["Frame loss", "", *_table(chosen, _loss)]
    return lines


def rfc2544_summary(rows: Rows) -> list[str]:
    """Say how many throughputs are the theoretical maximum, and which are not."""
    short = [row for row in rows if not full_rate(row)]
    lines = [f"rfc2544: {len(rows) - len(short)} of {len(rows)} throughputs are the theoretical maximum"]
    for width in sorted(values(short, "data_width")):
        for frames in values(select(short, data_width=width), "frames"):
            same = select(short, data_width=width, frames=frames)
            total = len(select(rows, data_width=width, frames=frames))
            least = min(same, key=lambda row: row["share"])
            ratio = min(row["core_ratio"] for row in same)
            lines.append(
                f"  {width} bits, {frames}: {share_of(least)} or more in {len(same)} of {total}, "
                f"{ratio:.3f} beats a clock without a wire"
            )
    return lines
