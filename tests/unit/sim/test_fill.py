"""The fill bench counts what is in the table at the first refusal."""

import pytest

from vtep_host.placement import Placement, TableFullError
from vtep_sim.bench.fill import CASES, Case, measure_fill


def test_measures(seed) -> None:
    done = []
    fill = measure_fill(Case(256, 5, 0.9), seed=seed, done=lambda: done.append(1))
    assert (fill.entries, fill.functions, fill.slots, fill.runs) == (256, 8, 1, 5)
    assert len(done) == 5
    assert 0.95 < fill.least <= fill.mean <= fill.most <= 1
    assert fill.least < fill.most or fill.mean == fill.most
    assert fill.writes > 1.02
    assert fill.microseconds > 0
    assert fill.reached
    assert not measure_fill(Case(256, 1, 1.01), seed=seed).reached


def test_stops_at_the_first_refusal(monkeypatch) -> None:
    insert = Placement.insert

    def refusing(self: Placement, key: int, value: int) -> list:
        if len(self) == 192:
            raise TableFullError(len(self), self.plan.capacity)
        return insert(self, key, value)

    monkeypatch.setattr(Placement, "insert", refusing)
    fill = measure_fill(Case(256, 3, 0.75), seed=1)
    assert fill.mean == fill.least == fill.most == 0.75
    assert fill.reached


def test_equal_seeds_give_equal_fills() -> None:
    def run(seed: int) -> tuple[float, float]:
        fill = measure_fill(Case(1024, 4, 0.9), seed=seed)
        return fill.mean, fill.writes

    assert run(1) == run(1) != run(2)


def test_keys_that_repeat_end_a_fill_too() -> None:
    """Keys of 12 bits in 4,096 locations: all of those that are drawn fit."""
    assert measure_fill(Case(4096, 1, 0.1), seed=1, key_width=12).mean == pytest.approx(1 - 0.368, abs=0.05)


@pytest.mark.parametrize("case", CASES[:1])
def test_the_bar_is_in_reach(seed, case) -> None:
    assert measure_fill(Case(case.entries, 3, case.bar), seed=seed).reached
