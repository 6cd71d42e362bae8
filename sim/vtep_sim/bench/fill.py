"""Fill of a hashed table: how many of its locations are taken when the first random entry is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from statistics import fmean
from time import process_time

from vtep.hashing import TablePlan
from vtep_host.placement import Placement, TableFullError

__all__ = ["CASES", "Case", "Fill", "measure_fill"]

KEY_WIDTH = 72
"""Of the FDB: VNI and MAC."""


@dataclass(frozen=True)
class Case:
    """Fills to measure: locations, how many times, and the least share that the fills must reach on average."""

    entries: int
    runs: int
    bar: float


CASES = (Case(1 << 14, 1000, 0.999), Case(1 << 20, 1, 0.9997))


@dataclass(frozen=True)
class Fill:
    """Fills of one table from empty to the first refusal.

    ``mean``, ``least`` and ``most`` are shares of the locations, 0 .. 1, and ``bar`` what the mean must reach. An
    insertion takes ``writes`` (all but one of them moves) and ``microseconds`` of processor time on average.
    """

    entries: int
    functions: int
    slots: int
    runs: int
    mean: float
    least: float
    most: float
    writes: float
    microseconds: float
    bar: float

    @property
    def reached(self) -> bool:
        """Whether the mean reached its bar."""
        return self.mean >= self.bar


def measure_fill(case: Case, *, seed: int, done: Callable[[], None] = lambda: None, key_width: int = KEY_WIDTH) -> Fill:
    """Fill a table with random keys ``case.runs`` times; ``done`` is called after each.

    Each run has keys of its own. 2^14 entries take about 0.3 s a run, 2^20 about 40 s.
    """
    plan = TablePlan(key_width, case.entries)
    fills: list[float] = []
    writes = insertions = 0
    seconds = 0.0
    for run in range(case.runs):
        rng = Random(f"{seed} {run}")
        # More keys than fit, and beforehand: making them is not what is timed.
        keys = [rng.getrandbits(key_width) for _ in range(plan.capacity + 1)]
        placement = Placement(plan, 0)
        started = process_time()
        try:
            for key in keys:
                writes += len(placement.insert(key, 0))
        except TableFullError as refusal:
            fills.append(refusal.fill)
        else:  # a key was drawn twice, and everything fitted
            fills.append(placement.fill)
        seconds += process_time() - started
        insertions += len(placement)
        done()
    return Fill(
        entries=plan.capacity,
        functions=plan.functions,
        slots=plan.slots,
        runs=case.runs,
        mean=fmean(fills),
        least=min(fills),
        most=max(fills),
        writes=writes / insertions,
        microseconds=1e6 * seconds / insertions,
        bar=case.bar,
    )
