"""Clock domains of the simulation: who shares one, and who is always clocked."""

from types import SimpleNamespace

import pytest

from vtep_sim.harness.domains import MAX_DOMAINS, assign_domains
from vtep_sim.harness.register_graph import Process

CLOCKS = 100
OFTEN, EARLY, LATE = (1 << CLOCKS) - 1, 0b11, 0b11 << 50


def graph(*sources: str, outside: tuple[int, ...] = ()):
    """Graph of a group for each word of sources, a letter each."""
    groups = [[Process("vtep", 0, 4, "clk", frozenset({f"r{number}"}))] for number in range(len(sources))]
    return SimpleNamespace(
        groups=groups,
        sources=[{("vtep", letter) for letter in word} for word in sources],
        outside=[number in outside for number in range(len(sources))],
    )


CHANGES = {("vtep", "a"): EARLY, ("vtep", "b"): LATE, ("vtep", "c"): OFTEN, ("vtep", "d"): LATE << 1}


def test_those_that_often_have_a_reason_are_always_clocked() -> None:
    domains = assign_domains(graph("a", "b", "c", "ca"), CHANGES, CLOCKS)
    assert domains[2:] == [0, 0]
    assert 0 not in domains[:2]
    assert domains[0] != domains[1]


def test_inputs_of_the_design_are_looked_at_always() -> None:
    assert assign_domains(graph("a", "a", outside=(1,)), CHANGES, CLOCKS) == [1, 0]


def test_equal_habits_share_a_domain() -> None:
    domains = assign_domains(graph("a", "b", "a", "ab"), CHANGES, CLOCKS)
    assert domains[0] == domains[2]
    assert len(set(domains)) == 3


def test_the_nearest_are_joined() -> None:
    domains = assign_domains(graph("a", "b", "d"), CHANGES, CLOCKS, count=3)
    assert domains[1] == domains[2] != domains[0]


def test_what_nobody_saw_change_has_a_domain_too() -> None:
    assert assign_domains(graph("x", "a"), CHANGES, CLOCKS) == [1, 2]


@pytest.mark.parametrize("count", [1, MAX_DOMAINS + 1])
def test_number_of_domains(count: int) -> None:
    with pytest.raises(ValueError, match=r"count must be 2 \.\. 32"):
        assign_domains(graph("a"), CHANGES, CLOCKS, count=count)
