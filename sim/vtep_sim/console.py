"""Tables, messages and progress for people: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from .harness import PORTS
from .report import PortTotals, RunReport

__all__ = ["console", "message", "messages_above", "print_report", "progress_of"]

PLAIN_SECONDS = 5.0


def console(*, stderr: bool = False) -> Console:
    """Make a console for stdout or stderr; where that is no terminal, wide enough not to break tables."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=True)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=120, soft_wrap=True)


_places: list[Console] = []
"""Consoles on which something is refreshed in place; what is said meanwhile has to appear above it."""


def message(text: str) -> None:
    """Say on stderr what is being done."""
    out = _places[-1] if _places else console(stderr=True)
    out.print(text, markup=False)


@contextmanager
def messages_above(place: Console) -> Iterator[None]:
    """Meanwhile messages go to ``place``, where something is refreshed in place."""
    _places.append(place)
    try:
        yield
    finally:
        _places.remove(place)


@contextmanager
def progress_of(title: str, things: str = "frames") -> Iterator[Callable[[int, int, int], None]]:
    """Give a function to be called with things done, things in all and clocks while long work goes on."""
    if sys.stderr.isatty():
        columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(things), TimeRemainingColumn())
        with Progress(*columns, console=console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=None)

            def show(done: int, total: int, _clocks: int) -> None:
                bar.update(task, completed=done, total=total)

            with messages_above(bar.console):
                yield show
        return
    last = time.monotonic()

    def say(done: int, total: int, clocks: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_SECONDS:
            last = time.monotonic()
            message(f"{title}: {done} of {total} {things}, {clocks} clocks")

    yield say


def print_report(report: RunReport) -> None:
    """Print the tables of a run on stdout."""
    out = console()
    table = Table(title=f"{report.parameters['data_width']} bits at {report.clock_mhz:g} MHz", title_justify="left")
    table.add_column("port")
    for heading in ("frames in", "bytes in", "Gb/s in", "frames out", "bytes out", "Gb/s out"):
        table.add_column(heading, justify="right")
    for port in PORTS:
        cells = [cell for way in ("in", "out") for cell in _cells(report.ports[f"{port}_{way}"])]
        table.add_row(port, *cells)
    out.print(table)
    drops = ", ".join(f"{name} {count}" for name, count in report.drops.items())
    out.print(f"dropped or punted: {drops or 'none'}", markup=False)
    for port in PORTS:
        totals = report.ports[f"{port}_in"]
        if totals.snapped:
            kept = "padded" if report.padded else "left out"
            out.print(f"{port} in: {totals.snapped} snapped frames {kept}", markup=False)
        if totals.empty:
            out.print(f"{port} in: {totals.empty} frames without a byte left out", markup=False)
        marked = report.ports[f"{port}_out"].marked
        if marked:
            out.print(f"{port} out: {marked} frames with an error mark, in no capture", markup=False)
    microseconds = report.clocks / report.clock_mhz
    out.print(f"{report.clocks} clocks, {microseconds:.1f} us", markup=False)


def _cells(totals: PortTotals) -> tuple[str, str, str]:
    return (f"{totals.frames}", f"{totals.bytes}", f"{totals.gbps:.3f}" if totals.frames else "-")
