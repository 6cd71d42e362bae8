"""What a live session shows: a table on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..console import console, message, messages_above
from ..harness import PORTS
from .engine import Pace
from .ports import LivePort, PortCounts

__all__ = ["Display", "Refresher", "losses", "showing", "shown"]

REFRESH_SECONDS = 1.0
PLAIN_SECONDS = 5.0
LOSSES = {
    "overrun": "in front of the core, whose ring was full",
    "kernel_lost": "in the kernel, before they were taken",
    "left_out": "joined segments that are no frames",
    "refused": "behind the core, as the interface did not take them",
    "marked": "behind the core, with an error mark",
}


class Display:
    """Makes rates of totals.

    Parameters
    ----------
    ports : mapping of str to LivePort
    pace : Pace
    """

    def __init__(self, ports: Mapping[str, LivePort], pace: Pace) -> None:
        self._ports = ports
        self._pace = pace
        self._before = {name: replace(port.counts) for name, port in ports.items()}
        self._pace_before = replace(pace)
        self._then = time.monotonic()

    def table(self, drops: Mapping[str, int] | None) -> Group:
        """Totals, and rates since the last call."""
        now = time.monotonic()
        passed = max(now - self._then, 1e-9)
        table = Table()
        table.add_column("port")
        for heading in ("frames in", "Mb/s in", "frames out", "Mb/s out", "lost"):
            table.add_column(heading, justify="right")
        for name in PORTS:
            counts, before = self._ports[name].counts, self._before[name]
            rates = [
                f"{(new - old) * 8 / passed / 1e6:.2f}"
                for new, old in ((counts.bytes_in, before.bytes_in), (counts.bytes_out, before.bytes_out))
            ]
            table.add_row(name, f"{counts.frames_in}", rates[0], f"{counts.frames_out}", rates[1], f"{lost(counts)}")
        lines = [Text(f"dropped or punted by the core: {shown(drops)}"), Text(self._pace_line(passed))]
        self._before = {name: replace(port.counts) for name, port in self._ports.items()}
        self._pace_before, self._then = replace(self._pace), now
        return Group(table, *lines)

    def line(self, drops: Mapping[str, int] | None) -> str:
        """The same in one line."""
        parts = [
            f"{name} {counts.frames_in} in {counts.frames_out} out {lost(counts)} lost"
            for name, counts in ((name, self._ports[name].counts) for name in PORTS)
        ]
        return f"{'; '.join(parts)}; dropped or punted: {shown(drops)}; {self._pace.clocks} clocks"

    def _pace_line(self, passed: float) -> str:
        clocks = self._pace.clocks - self._pace_before.clocks
        seconds = self._pace.seconds - self._pace_before.seconds
        speed = f"{clocks / seconds / 1000:.0f} thousand clocks a second" if seconds else "idle"
        return f"simulation: {speed}, busy {min(seconds / passed, 1.0):.0%} of the time"


def lost(counts: PortCounts) -> int:
    """Frames that are not in the core, or did not get out of it to the interface."""
    return sum(asdict(counts)[name] for name in LOSSES)


def losses(ports: Mapping[str, LivePort]) -> list[str]:
    """What was lost, in words."""
    lines = []
    for name, port in ports.items():
        counts = asdict(port.counts)
        lines += [f"{name}: {counts[kind]} frames lost {where}" for kind, where in LOSSES.items() if counts[kind]]
        if port.interface is not None and port.interface.hint():
            lines.append(port.interface.hint())
    return lines


def shown(drops: Mapping[str, int] | None) -> str:
    """Counters that are not 0; None: they were not read."""
    if drops is None:
        return "not read, as somebody is connected to the registers"
    return ", ".join(f"{name} {count}" for name, count in drops.items() if count) or "none"


@contextmanager
def showing() -> Iterator[Live | None]:
    """Give a place on the terminal that is refreshed; None where there is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with Live(console=console(stderr=True), auto_refresh=False, transient=True) as live, messages_above(live.console):
        yield live


class Refresher:
    """Shows a display now and then.

    Parameters
    ----------
    display : Display
    place : rich.live.Live or None
    """

    def __init__(self, display: Display, place: Live | None) -> None:
        self._display = display
        self._place = place
        self._period = PLAIN_SECONDS if place is None else REFRESH_SECONDS
        self._due = time.monotonic() + self._period
        self._told = ""

    @property
    def patience(self) -> float:
        """Seconds until the next time."""
        return max(0.0, self._due - time.monotonic())

    def show(self, drops: Mapping[str, int] | None) -> None:
        """Show it."""
        self._due = time.monotonic() + self._period
        if self._place is None:
            line = self._display.line(drops)
            if line != self._told:
                message(line)
            self._told = line
        else:
            self._place.update(self._display.table(drops), refresh=True)
