"""Groups the registers of a design into clock domains, by when they had a reason to change in a run that was watched.

A register has to be clocked only behind a clock that changed one of its sources: with all of them as they were, it
stays as it is. What happens once a frame then costs nothing in all other clocks, if registers of like habits share a
domain.
"""

from collections import defaultdict
from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from .register_graph import RegisterGraph, Signal

__all__ = ["MAX_DOMAINS", "assign_domains"]

MAX_DOMAINS = 32
"""Domain 0 is clocked always; the others have a bit each in a word of 32."""

DENSE = 0.6
"""Share of the clocks from which on it does not pay to find out."""


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
        Most domains, 2 .. `MAX_DOMAINS`.

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
    sizes = [sum(process.end - process.first for process in group) for group in graph.groups]
    clusters = [(reasons, sum(sizes[number] for number in numbers), numbers) for reasons, numbers in alike.items()]
    for domain, numbers in enumerate(_merge(clusters, count - 1), 1):
        for number in numbers:
            domains[number] = domain
    return domains


def _merge(clusters: list[tuple[int, int, list[int]]], count: int) -> list[list[int]]:
    """Join clusters (reasons, size, members) until ``count`` are left, always the two where it costs least."""
    alive = dict(enumerate(clusters))
    active = {number: cluster[0].bit_count() for number, cluster in alive.items()}

    def cost(one: int, other: int) -> int:
        joined = (alive[one][0] | alive[other][0]).bit_count()
        return (joined - active[one]) * alive[one][1] + (joined - active[other]) * alive[other][1]

    heap = [(cost(one, other), one, other) for one in alive for other in range(one)]
    heapify(heap)
    fresh = len(clusters)
    while len(alive) > count:
        _, one, other = heappop(heap)
        if one not in alive or other not in alive:
            continue
        first, second = alive.pop(one), alive.pop(other)
        alive[fresh] = (first[0] | second[0], first[1] + second[1], first[2] + second[2])
        active[fresh] = alive[fresh][0].bit_count()
        for number in alive:
            if number != fresh:
                heappush(heap, (cost(fresh, number), fresh, number))
        fresh += 1
    return [numbers for _, _, numbers in alive.values()]
