"""Plan a product of a constant bit matrix and a vector as levels of shared XOR gates of at most four inputs.

A gate fits one 4-input LUT, and each level can be followed by registers. Sharing is found greedily: of all sets
of two to four inputs, the one whose gate saves the most terms over all rows is built first. For the matrices of
CRC-32 this takes about 60 % of the gates of unshared trees.
"""

import heapq
from collections.abc import Sequence
from functools import cache

__all__ = ["FAN_IN", "plan"]

FAN_IN = 4

Level = tuple[tuple[int, ...], ...]
"""One level: for each of its signals the indices of the XORed signals of the level before."""

# Sets of inputs are searched within blocks of this many neighbours, which bounds the search's time.
_BLOCK = 32
# A gate with no sharing takes three terms from one row; a shared one is worth building from here on.
_WORTH = 3


def plan(matrix: Sequence[int]) -> tuple[Level, ...]:
    """Levels of gates that compute every row's XOR.

    Parameters
    ----------
    matrix : sequence of int
        The rows; bit j is set where input j takes part.

    Returns
    -------
    tuple of levels
        As few levels as the heaviest row allows, at least one; every row is ready behind the last level, whose
        signals are the rows in order. The first level's indices name inputs. A row of 0 has no indices.
    """
    return _plan(tuple(matrix))


@cache
def _plan(matrix: tuple[int, ...]) -> tuple[Level, ...]:
    depth = 1
    while FAN_IN**depth < max(row.bit_count() for row in matrix):
        depth += 1
    levels = []
    while depth > 1:
        depth -= 1
        gates, matrix = _Level(matrix, FAN_IN**depth).build()
        levels.append(gates)
    levels.append(tuple(_members(row) for row in matrix))
    return tuple(levels)


def _members(mask: int) -> tuple[int, ...]:
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)


class _Level:
    """One level but the last: rows of many inputs become rows of at most ``budget`` gates."""

    def __init__(self, matrix: tuple[int, ...], budget: int) -> None:
        self._budget = budget
        self._rows = range(len(matrix))
        inputs = max(row.bit_length() for row in matrix)
        # By input, the set of rows that still want it.
        self._wanted = [sum((row >> i & 1) << r for r, row in enumerate(matrix)) for i in range(inputs)]
        self._left = [row.bit_count() for row in matrix]
        self._terms: list[list[int]] = [[] for _ in matrix]
        self._gates: dict[tuple[int, ...], int] = {}
        # By gate size, the set of rows that stay within the budget when they take such a gate.
        self._allowed = [0] * (FAN_IN + 1)
        for r in self._rows:
            self._allow(r)

    def build(self) -> tuple[Level, tuple[int, ...]]:
        for low in range(0, len(self._wanted), _BLOCK):
            self._share(range(low, min(low + _BLOCK, len(self._wanted))))
        for r in self._rows:
            left = [i for i, rows in enumerate(self._wanted) if rows >> r & 1]
            while len(self._terms[r]) + len(left) > self._budget:
                self._take(r, tuple(left[:FAN_IN]))
                left = left[FAN_IN:]
            for i in left:
                self._take(r, (i,))
            assert len(self._terms[r]) <= self._budget
        return tuple(self._gates), tuple(sum(1 << term for term in terms) for terms in self._terms)

    def _allow(self, r: int) -> None:
        for size in range(2, FAN_IN + 1):
            rest = -(-(self._left[r] - size) // FAN_IN)
            allowed = len(self._terms[r]) + 1 + rest <= self._budget
            self._allowed[size] = self._allowed[size] & ~(1 << r) | allowed << r

    def _take(self, r: int, gate: tuple[int, ...]) -> None:
        self._terms[r].append(self._gates.setdefault(gate, len(self._gates)))

    def _share(self, block: range) -> None:
        """Build gates that several rows share, the most useful first."""
        heap: list[tuple[int, tuple[int, ...]]] = []

        def collect(gate: tuple[int, ...], rows: int) -> None:
            sharing = rows.bit_count()
            if sharing < 2:
                return
            if len(gate) > 1:
                heap.append((-(len(gate) - 1) * sharing, gate))
            if len(gate) < FAN_IN:
                for i in range(gate[-1] + 1, block.stop):
                    collect((*gate, i), rows & self._wanted[i])

        for i in block:
            collect((i,), self._wanted[i])
        heapq.heapify(heap)
        while heap:
            worth, gate = heap[0]
            rows = self._allowed[len(gate)]
            for i in gate:
                rows &= self._wanted[i]
            now = -(len(gate) - 1) * rows.bit_count()
            if rows.bit_count() < 2 or -now < _WORTH:
                heapq.heappop(heap)
            elif now != worth:
                heapq.heapreplace(heap, (now, gate))  # the worth of a gate only falls
            else:
                heapq.heappop(heap)
                for i in gate:
                    self._wanted[i] &= ~rows
                for r in _members(rows):
                    self._left[r] -= len(gate)
                    self._take(r, gate)
                    self._allow(r)
