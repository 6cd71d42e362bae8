"""Groups the registers of a design into clock domains, by when they had a reason to change in a run that was watched.

A register has to be clocked only behind a clock that changed one of its sources: with all of them as they were, it
stays as it is. What happens once a frame then costs nothing in all other clocks, if registers of like habits share a
domain.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from .register_graph import RegisterGraph, Signal, by_register

__all__ = ["MAX_DOMAINS", "assign_domains"]

MAX_DOMAINS = 32
"""Domain 0 is clocked always; the others have a bit each in a word of 32."""

DENSE = 0.6
"""Share of the clocks from which on it does not pay to find out."""

WATCH = 8
"""What it costs to find out in a clock whether a register changed, in the unit of `RegisterGraph.costs`."""

DOMAIN = 40
"""What a domain costs in each clock, whatever is in it, in the same unit."""


def assign_domains(
    graph: RegisterGraph, changes: Mapping[Signal, int], clocks: int, count: int = MAX_DOMAINS
) -> list[int]:
    """Give each group of ``graph`` a domain.

    Parameters
    ----------
    graph : RegisterGraph
        The design.
    changes : mapping
        Of registers and memories, a bit for each clock that changed them.
    clocks : int
        Clocks that were watched.
    count : int
        Most domains, 2 .. `MAX_DOMAINS`. There are fewer where one would not pay.

    Returns
    -------
    list of int
        A domain for each of ``graph.groups``: 0 for those that are to be clocked always, as all are that depend on
        inputs of the design.
    """
    if not 2 <= count <= MAX_DOMAINS:
        raise ValueError(f"count must be 2 .. {MAX_DOMAINS}, not {count}")
    domains = [0] * len(graph.groups)
    alike: defaultdict[int, list[int]] = defaultdict(list)
    for number, sources in enumerate(graph.sources):
        reasons = 0
        for source in sources:
            reasons |= changes.get(source, 0)
        if not graph.outside[number] and reasons.bit_count() < DENSE * clocks:
            alike[reasons].append(number)
    costs = graph.costs
    clusters = [(reasons, sum(costs[number] for number in numbers), numbers) for reasons, numbers in alike.items()]
    merged = _merge(clusters, clocks, count)
    share = [1.0]
    for domain, (reasons, numbers) in enumerate(merged, 1):
        share.append(reasons.bit_count() / clocks)
        for number in numbers:
            domains[number] = domain
    _give_up(graph, domains, share)
    left = sorted({0, *domains})
    return [left.index(domain) for domain in domains]


def _give_up(graph: RegisterGraph, domains: list[int], share: Sequence[float]) -> None:
    """Clock always what is not worth watching its sources; ``share`` of the clocks for each domain.

    What depends on a register that is clocked always is worked out in every clock, too.
    """
    domain_of = by_register(graph.groups, domains)
    readers: defaultdict[Signal, set[int]] = defaultdict(set)
    for number, sources in enumerate(graph.sources):
        if domains[number]:
            for source in sources:
                readers[source].add(number)
    for number in sorted(range(len(domains)), key=lambda number: graph.costs[number]):
        if not domains[number]:
            continue
        targets = {(process.module, name) for process in graph.groups[number] for name in process.targets}
        # Watched for this group alone, in the clocks of the source's domain.
        alone = [source for source in graph.sources[number] if readers[source] == {number}]
        saved = WATCH * sum(share[domain_of[source]] for source in alone)
        watched = sum(1 for target in targets if readers[target] - {number})
        lost = graph.costs[number] + graph.behind[number] + WATCH * watched
        if saved > lost * (1 - share[domains[number]]):
            domains[number] = 0
            domain_of.update(dict.fromkeys(targets, 0))
            for source in graph.sources[number]:
                readers[source].discard(number)


def _merge(clusters: list[tuple[int, int, list[int]]], clocks: int, count: int) -> list[tuple[int, list[int]]]:
    """Join clusters (reasons, cost, members), always the two where it costs least, while it costs less than a domain.

    Or until no more than ``count`` are left, with the one that is clocked always, which is not returned.
    """
    always = len(clusters)
    alive = dict(enumerate([*clusters, ((1 << clocks) - 1, 0, [])]))
    active = {number: cluster[0].bit_count() for number, cluster in alive.items()}

    def cost(one: int, other: int) -> int:
        joined = (alive[one][0] | alive[other][0]).bit_count()
        return (joined - active[one]) * alive[one][1] + (joined - active[other]) * alive[other][1]

    heap = [(cost(one, other), one, other) for one in alive for other in range(one)]
    heapify(heap)
    fresh = len(alive)
    while heap:
        price, one, other = heappop(heap)
        if one not in alive or other not in alive:
            continue
        if len(alive) <= count and price > DOMAIN * clocks:
            break
        first, second = alive.pop(one), alive.pop(other)
        alive[fresh] = (first[0] | second[0], first[1] + second[1], first[2] + second[2])
        active[fresh] = alive[fresh][0].bit_count()
        if always in (one, other):
            always = fresh
        for number in alive:
            if number != fresh:
                heappush(heap, (cost(fresh, number), fresh, number))
        fresh += 1
    del alive[always]
    return [(reasons, numbers) for reasons, _, numbers in alive.values()]
