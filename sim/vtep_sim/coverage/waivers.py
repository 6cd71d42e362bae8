"""Holes that are explained: what no test reaches, and why. A waiver of what is reached is stale, and an error."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .points import CoverageError

__all__ = ["WAIVERS", "Item", "Waiver", "load_waivers", "stale", "why_not"]

WAIVERS = Path(__file__).with_name("waivers.toml")
KINDS = {"bin": ("point", "bin"), "line": ("file", "text"), "toggle": ("file", "signal")}
"""What a waiver of each kind names: the place, and a regular expression for what is there."""


@dataclass(frozen=True)
class Item:
    """One thing to be covered, in the words that a waiver has for it; ``index`` is a bit's."""

    kind: str
    place: str
    name: str
    index: int | None = None


@dataclass(frozen=True)
class Waiver:
    """An entry of the file. ``bits``: the first and the last, or None for all; ``build``: one that has such things."""

    kind: str
    place: str
    pattern: re.Pattern[str]
    bits: tuple[int, int] | None
    build: str
    why: str

    def __str__(self) -> str:
        bits = f"[{self.bits[0]}-{self.bits[1]}]" if self.bits else ""
        return f"{self.kind}: {self.place}: {self.pattern.pattern}{bits}"

    def fits(self, item: Item) -> bool:
        """Whether it speaks of ``item``."""
        if (item.kind, item.place) != (self.kind, self.place) or not self.pattern.fullmatch(item.name):
            return False
        return self.bits is None or (item.index is not None and self.bits[0] <= item.index <= self.bits[1])


def load_waivers(path: Path = WAIVERS) -> list[Waiver]:
    """Read the file.

    Raises
    ------
    CoverageError
        An entry has no reason, or something else than its kind has.
    """
    found = []
    for kind, entries in tomllib.loads(path.read_text(encoding="utf-8")).items():
        if kind not in KINDS:
            raise CoverageError(f"{path.name}: there are no waivers of {kind!r}, only of {', '.join(KINDS)}")
        for number, entry in enumerate(entries, 1):
            found.append(_waiver(f"{path.name}: {kind} {number}", kind, entry))
    return found


def _waiver(where: str, kind: str, entry: Mapping[str, Any]) -> Waiver:
    place, name = KINDS[kind]
    allowed = {place, name, "why", "build"} | ({"bits"} if kind == "toggle" else set())
    if unknown := sorted(set(entry) - allowed):
        raise CoverageError(f"{where}: there is no {unknown[0]!r}, only {', '.join(sorted(allowed))}")
    for key in (place, name, "why"):
        if not str(entry.get(key, "")).strip():
            raise CoverageError(f"{where}: {key!r} is missing")
    first, _, last = str(entry.get("bits", "")).partition("-")
    try:
        bits = (int(first), int(last or first)) if first else None
        pattern = re.compile(re.escape(entry[name]) if kind == "line" else entry[name])
    except (ValueError, re.error) as error:
        raise CoverageError(f"{where}: {error}") from None
    return Waiver(kind, entry[place], pattern, bits, entry.get("build", "w64"), " ".join(entry["why"].split()))


def why_not(waivers: Iterable[Waiver], item: Item) -> str | None:
    """Why ``item`` is not reached, or None where nobody says."""
    return next((waiver.why for waiver in waivers if waiver.fits(item)), None)


def stale(
    waivers: Iterable[Waiver], missed: Iterable[Item], reached: Iterable[Item], builds: Iterable[str]
) -> list[str]:
    """Complaints about waivers of things that are reached, or that do not exist in a build that was run."""
    missed, reached, builds = list(missed), list(reached), set(builds)
    complaints = []
    for waiver in waivers:
        if any(waiver.fits(item) for item in missed):
            continue
        if any(waiver.fits(item) for item in reached):
            complaints.append(f"{waiver}: the tests do reach it")
        elif waiver.build in builds:
            complaints.append(f"{waiver}: there is nothing of this name")
    return complaints
