"""Clock domains of the simulation: who shares one, and who is always clocked."""

from types import SimpleNamespace

import pytest

from vtep_sim.harness import domains as domains_module
from vtep_sim.harness.domains import MAX_DOMAINS, assign_domains
from vtep_sim.harness.register_graph import Process

CLOCKS = 100
OFTEN, EARLY, LATE = (1 << CLOCKS) - 1, 0b11, 0b11 << 50


def domains_of(
    *sources: str, outside: tuple[int, ...] = (), cost: int = 5000, behind: int = 0, count: int = MAX_DOMAINS
) -> list[int]:
    """Domains of a group for each word of sources, a letter each, that are registers which hang on inputs."""
    letters = sorted(set("".join(sources)))
    names = [f"r{number}" for number in range(len(sources))] + letters
    graph = SimpleNamespace(
        groups=[[Process("vtep", 0, 4, "clk", frozenset({name}))] for name in names],
        sources=[{("vtep", letter) for letter in word} for word in (*sources, *letters)],
        outside=[number in outside or number >= len(sources) for number in range(len(names))],
        costs=[cost] * len(names),
        behind=[behind] * len(names),
    )
    return assign_domains(graph, CHANGES, CLOCKS, count)[: len(sources)]


CHANGES = {("vtep", "a"): EARLY, ("vtep", "b"): LATE, ("vtep", "c"): OFTEN, ("vtep", "d"): LATE << 1}


def test_those_that_often_have_a_reason_are_always_clocked() -> None:
    domains = domains_of("a", "b", "c", "ca")
    assert domains[2:] == [0, 0]
    assert 0 not in domains[:2]
    assert domains[0] != domains[1]


def test_inputs_of_the_design_are_looked_at_always() -> None:
    assert domains_of("a", "a", outside=(1,)) == [1, 0]


def test_equal_habits_share_a_domain() -> None:
    domains = domains_of("a", "b", "a", "ab")
    assert domains[0] == domains[2]
    assert len(set(domains)) == 3


def test_the_nearest_are_joined() -> None:
    domains = domains_of("a", "b", "d", count=3)
    assert domains[1] == domains[2] != domains[0]


def test_what_nobody_saw_change_has_a_domain_too() -> None:
    assert domains_of("x", "a") == [1, 2]


@pytest.mark.parametrize("count", [1, MAX_DOMAINS + 1])
def test_number_of_domains(count: int) -> None:
    with pytest.raises(ValueError, match=r"count must be 2 \.\. 32"):
        domains_of("a", count=count)


@pytest.mark.parametrize(("cost", "found"), [(20, [0, 0]), (21, [1, 1])])
def test_a_domain_has_to_pay(cost: int, found: list[int]) -> None:
    """The two rest in 98 of 100 clocks, and a domain costs `DOMAIN`."""
    assert domains_of("a", "a", cost=cost) == found


@pytest.fixture
def free_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domains_module, "DOMAIN", 0)


@pytest.mark.usefixtures("free_domains")
@pytest.mark.parametrize(("cost", "behind", "found"), [(7, 0, [0, 0]), (9, 0, [1, 1]), (7, 2, [1, 1])])
def test_what_costs_less_than_to_watch_for_it_is_always_clocked(cost: int, behind: int, found: list[int]) -> None:
    """Two groups, each the only reader of one source that may change in every clock; a watch costs `WATCH`."""
    domains = domains_of("a", "b", cost=cost, behind=behind)
    assert [min(domain, 1) for domain in domains] == found


@pytest.mark.usefixtures("free_domains")
def test_one_watch_serves_all_that_read_it() -> None:
    assert 0 not in domains_of(*["a"] * 3, cost=3)


@pytest.mark.usefixtures("free_domains")
def test_domains_that_are_left_follow_each_other() -> None:
    """That of "a" and "b" costs too little to be watched for."""
    assert domains_of("a", "b", *["d"] * 9, cost=3) == [0, 0, *[1] * 9]
