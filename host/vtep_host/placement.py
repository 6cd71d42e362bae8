"""Where the entries of a hashed table stand: the control plane's mirror of a table, and the writes that change it.

The gateware finds an entry at any of its key's locations (`vtep.hashing`). When all of them are taken, one of
the entries there moves to another of its own locations, and so on until one is free: cuckoo hashing. The shortest
such path is searched for, breadth first, over everything that can be reached, so that an entry is refused only if no
arrangement of the table could hold it beside the others.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from vtep.hashing import TablePlan

__all__ = ["Placement", "TableFullError", "Write"]


class Write(NamedTuple):
    """One write of a whole entry; ``key`` None clears the location."""

    location: int
    key: int | None
    value: int


class TableFullError(Exception):
    """No arrangement of the table holds the entry; nothing was changed.

    Attributes
    ----------
    entries, capacity : int
        Entries in the table, and its locations.
    fill : float
        The former in the latter, 0 .. 1.
    """

    def __init__(self, entries: int, capacity: int) -> None:
        self.entries = entries
        self.capacity = capacity
        self.fill = entries / capacity
        super().__init__(f"the table is full: {entries} entries in {capacity} locations ({self.fill:.2%})")


class Placement:
    """A table as a dictionary from keys to values that says what to write to the device.

    Every change returns its writes in an order that is safe under traffic: an entry is written to its new location
    before its old one is overwritten, so that after each single write every entry, but the one that is
    deleted, is found, and no key with two values. Equal calls give equal writes.

    Parameters
    ----------
    plan : TablePlan
        Geometry and hash functions.
    value_width : int
        Bits of a value.
    """

    def __init__(self, plan: TablePlan, value_width: int) -> None:
        self.plan = plan
        self.value_width = value_width
        self._keys: list[int | None] = [None] * plan.capacity
        self._values = [0] * plan.capacity
        self._locations: dict[int, int] = {}

    def copy(self) -> "Placement":
        """Return one that can be changed without this one."""
        other = Placement.__new__(Placement)
        other.plan, other.value_width = self.plan, self.value_width
        other._keys, other._values = list(self._keys), list(self._values)
        other._locations = dict(self._locations)
        return other

    def __len__(self) -> int:
        return len(self._locations)

    def __contains__(self, key: object) -> bool:
        return key in self._locations

    def __getitem__(self, key: int) -> int:
        return self._values[self._locations[key]]

    def __iter__(self) -> Iterator[int]:
        """Keys, in the order of their insertion."""
        return iter(self._locations)

    @property
    def fill(self) -> float:
        """Share of the locations that are taken, 0 .. 1."""
        return len(self) / self.plan.capacity

    def entries(self) -> Iterator[tuple[int, int, int]]:
        """Location, key and value of every entry: what the table's gateware takes as ``init``."""
        return ((location, key, self._values[location]) for key, location in self._locations.items())

    def insert(self, key: int, value: int) -> list[Write]:
        """Put an entry in, or give a key that is there another value.

        Raises
        ------
        TableFullError
            There is no room for it.
        ValueError
            The key or the value has too many bits.
        """
        self._check("key", key, self.plan.key_width)
        self._check("value", value, self.value_width)
        location = self._locations.get(key)
        if location is None:
            return self._place(key, value)
        if self._values[location] == value:
            return []
        return [self._write(location, key, value)]

    def delete(self, key: int) -> list[Write]:
        """Take an entry out.

        Raises
        ------
        KeyError
            It is not there.
        """
        location = self._locations.pop(key)
        self._keys[location] = None
        return [Write(location, None, 0)]

    def adopt(self, location: int, key: int, value: int) -> list[Write]:
        """Take over an entry that the device holds, into a mirror that has not changed anything itself yet.

        Returns
        -------
        list of Write
            Nothing, or what clears the location: its key was adopted from another one, since whoever moved it last was
            interrupted between the two writes.

        Raises
        ------
        ValueError
            The location is none of the key's or is taken, or the key or the value has too many bits.
        """
        self._check("key", key, self.plan.key_width)
        self._check("value", value, self.value_width)
        if location not in self.plan.locations(key) or self._keys[location] is not None:
            raise ValueError(f"location {location} cannot hold the key {key:#x}")
        if key in self._locations:
            return [Write(location, None, 0)]
        self._write(location, key, value)
        return []

    def _check(self, name: str, number: int, width: int) -> None:
        if not 0 <= number < 1 << width:
            raise ValueError(f"{name} must be within 0 .. 2^{width} - 1, not {number}")

    def _write(self, location: int, key: int, value: int) -> Write:
        self._keys[location] = key
        self._values[location] = value
        self._locations[key] = location
        return Write(location, key, value)

    def _place(self, key: int, value: int) -> list[Write]:
        path = self._path(key)
        writes = []
        # From the free location at its end backwards: each entry is copied before it is overwritten.
        for target, source in pairwise(path):
            moved = self._keys[source]
            assert moved is not None
            writes.append(self._write(target, moved, self._values[source]))
        writes.append(self._write(path[-1], key, value))
        return writes

    def _path(self, key: int) -> list[int]:
        """Locations from a free one to one of the key's: the entry of each moves to the one in front of it."""
        keys = self._keys
        slots = range(self.plan.slots)
        first_locations = self.plan.first_locations
        # By location reached, the one whose entry may move there.
        source: dict[int, int] = {}
        waiting: list[int] = []

        def reach(from_location: int, reached_key: int) -> int | None:
            """Note the locations of a key that are new; return one that is free."""
            for first in first_locations(reached_key):
                # Buckets are reached whole.
                if first in source:
                    continue
                for slot in slots:
                    location = first + slot
                    source[location] = from_location
                    if keys[location] is None:
                        return location
                    waiting.append(location)
            return None

        free = reach(-1, key)
        if free is None:
            for location in waiting:  # grows meanwhile
                occupant = keys[location]
                assert occupant is not None
                free = reach(location, occupant)
                if free is not None:
                    break
            else:
                raise TableFullError(len(self), self.plan.capacity)
        path = [free]
        while source[path[-1]] >= 0:
            path.append(source[path[-1]])
        return path
