"""Coverage points: a name, its bins, and those bins that cannot be hit, each with the reason."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

__all__ = ["CoverageError", "Hits", "Point", "bin_name", "cross", "plan_of"]


class CoverageError(AssertionError):
    """What was seen does not fit what is declared: a bin that is not there, or one declared impossible."""


def bin_name(*values: object) -> str:
    """Name of the bin at these values, one for each axis of its point."""
    return ", ".join(str(value) for value in values)


@dataclass(frozen=True)
class Point:
    """One thing to cover. ``impossible``: bins that no frame can hit, left out of the count, and why."""

    name: str
    bins: tuple[str, ...]
    impossible: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.bins)) < len(self.bins):
            raise ValueError(f"{self.name}: a bin is declared twice")
        if unknown := sorted(set(self.impossible) - set(self.bins)):
            raise ValueError(f"{self.name}: {unknown[0]} is declared impossible and no bin")
        if empty := [name for name, why in self.impossible.items() if not why.strip()]:
            raise ValueError(f"{self.name}: {empty[0]} is declared impossible without a reason")

    @property
    def wanted(self) -> tuple[str, ...]:
        """The bins that can be hit."""
        return tuple(name for name in self.bins if name not in self.impossible)


def cross(name: str, *axes: Sequence[object], impossible: Mapping[tuple[object, ...], str] | None = None) -> Point:
    """Make the point with a bin for each combination of the axes' values.

    Parameters
    ----------
    name : str
        Name of the point.
    axes : sequences
        The values of each axis.
    impossible : mapping or None
        Combinations that cannot be, with the reason; None in place of a value stands for any.

    Raises
    ------
    ValueError
        An entry of ``impossible`` fits no combination.
    """
    excluded: dict[str, str] = {}
    for pattern, why in (impossible or {}).items():
        fitting = [
            values
            for values in product(*axes)
            if len(pattern) == len(axes) and all(p is None or p == v for p, v in zip(pattern, values, strict=True))
        ]
        if not fitting:
            raise ValueError(f"{name}: {pattern} is declared impossible and fits no bin")
        excluded |= {bin_name(*values): why for values in fitting}
    return Point(name, tuple(bin_name(*values) for values in product(*axes)), excluded)


def plan_of(points: Iterable[Point]) -> dict[str, Point]:
    """Points by their names, of which no two may be alike."""
    plan: dict[str, Point] = {}
    for point in points:
        if point.name in plan:
            raise ValueError(f"two points are called {point.name}")
        plan[point.name] = point
    return plan


class Hits:
    """How often each bin of a plan was hit."""

    def __init__(self, plan: Mapping[str, Point]) -> None:
        self.plan = plan
        self.counts: Counter[tuple[str, str]] = Counter()
        self._known = {(point.name, name) for point in plan.values() for name in point.wanted}

    def hit(self, point: str, *values: object, times: int = 1) -> None:
        """Count a hit.

        Raises
        ------
        CoverageError
            There is no such bin, or it was declared impossible: then its reason is wrong.
        """
        key = point, bin_name(*values)
        if key not in self._known:
            why = self.plan[point].impossible.get(key[1]) if point in self.plan else None
            raise CoverageError(f"{point}: {key[1]} " + (f"was declared impossible: {why}" if why else "is no bin"))
        self.counts[key] += times

    def by_point(self) -> dict[str, dict[str, int]]:
        """Hits of every bin that can be hit, those of 0 among them."""
        return {
            point.name: {name: self.counts[point.name, name] for name in point.wanted} for point in self.plan.values()
        }
