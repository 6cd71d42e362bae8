"""The neighbours that are to be resolved: what an entry holds, byte by byte, and its states."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from ..config import check_range

__all__ = ["ENTRY_BYTES", "MAX_NEIGHBORS", "Neighbor", "Place", "State", "check_neighbors", "entry_bytes"]

MAX_NEIGHBORS = 64

ENTRY_BYTES = 32
"""Bytes that an entry takes in the memory, a power of two; not all are used."""


class Place(IntEnum):
    """Byte of an entry at which a field begins; all fields are in network order.

    The configured ones are ``ADDRESS`` (an IPv4 address is in its first 4 bytes), ``VLAN`` (0: no tag) and ``FAMILY``
    (4, 6, or anything else for an entry that is not used); the rest is what was found out.
    """

    ADDRESS = 0
    VLAN = 16
    FAMILY = 18
    STATE = 19
    TIMER = 20
    TRIES = 21
    MAC = 26


class State(IntEnum):
    """What is known of a neighbour, in the terms of RFC 4861 section 7.3.2 where it has one.

    ``UNUSED``: the entry is not in use. ``INCOMPLETE``: asked for, no answer yet. ``REACHABLE``: the MAC address is
    known. ``PROBE``: it is known, used, and asked for again by unicast. ``FAILED``: nobody answered; asked for slowly.
    """

    UNUSED = 0
    INCOMPLETE = 1
    REACHABLE = 2
    PROBE = 3
    FAILED = 4


USABLE = 0x02
"""The bit of `State` that tells that the MAC address is known."""


@dataclass(frozen=True)
class Neighbor:
    """A neighbour to be resolved.

    Parameters
    ----------
    address : int
        IPv4 or IPv6 address, by ``family``.
    family : int
        4 or 6.
    vlan : int
        Outer VLAN id in which it is asked for, 1 .. 4094; 0: untagged.

    Raises
    ------
    ValueError
        A field is out of its range.
    """

    address: int
    family: int
    vlan: int = 0

    def __post_init__(self) -> None:
        if self.family not in (4, 6):
            raise ValueError(f"family must be 4 or 6, not {self.family!r}")
        check_range("address", self.address, 1, (1 << (32 if self.family == 4 else 128)) - 1)
        check_range("vlan", self.vlan, 0, 4094)


def entry_bytes(neighbor: Neighbor) -> bytes:
    """The configured bytes of an entry: those below `Place.STATE`."""
    address = neighbor.address.to_bytes(4 if neighbor.family == 4 else 16, "big")
    return address.ljust(Place.VLAN, b"\0") + neighbor.vlan.to_bytes(2, "big") + bytes([neighbor.family])


def check_neighbors(neighbors: Iterable[Neighbor], capacity: int) -> tuple[Neighbor, ...]:
    """Return ``neighbors`` as a tuple, or raise ValueError if they are more than ``capacity``."""
    found = tuple(neighbors)
    if len(found) > capacity:
        raise ValueError(f"neighbors must be at most {capacity}, not {len(found)}")
    return found
