"""Where a hashed table keeps a key: the one declaration that gateware and control plane both compute from.

Plain Python, no gateware. A table has several hash functions, each with a part of the table of its own; a part has
buckets, a bucket has slots. A key may stand in any slot of one bucket of each part.

The bucket is reversible: with the key cut into a tag (high bits) and an index (low bits, as wide as a bucket number),
the bucket is ``index ^ f(tag)``. So tag and place give the key back, and only the tag is stored and compared.

``f`` of the first function is ``u(tag)``, that of function i is ``u(tag) + x^(i-1) v(tag)`` in a field of 2^w
elements: two hashes serve all functions ("double hashing": the load thresholds are those of independent functions,
see Leconte, Double hashing thresholds via local weak convergence, 2013). ``u`` and ``v`` are
simple tabulation hashes (Zobrist): XORs of table entries, one chosen by each chunk of four tag bits, which is one
4-input look-up table per chunk and bit. They are not linear, since the buckets of keys that count up (MAC addresses of
one vendor) under linear functions miss half of a part too often. The tables come from SHAKE-128 of a published text.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import shake_128

from .config import check_range

__all__ = ["CHUNK_BITS", "DISTRIBUTED_BUCKETS", "Place", "TablePlan"]

MIN_ENTRIES, MAX_ENTRIES = 16, 1 << 20
MIN_FUNCTIONS, MAX_FUNCTIONS = 2, 16
DEFAULT_FUNCTIONS = 8
SLOTS = (1, 2, 4, 8)
MAX_KEY_WIDTH = 256

CHUNK_BITS = 4
"""Tag bits that choose from a table together."""

SEED = "OpenVTEP hashed table, chunk {}"
"""SHAKE-128 of this text, the chunk's number inserted, gives the chunk's table."""

DISTRIBUTED_BUCKETS = 32
"""Most buckets of a part that stands in distributed RAM, unless the gateware is told otherwise."""

SINGLE_SLOT_ENTRIES = 1 << 16
"""Largest table with one slot by default."""

_PRIMITIVE = {
    4: 0x13,
    5: 0x25,
    6: 0x43,
    7: 0x83,
    8: 0x11D,
    9: 0x211,
    10: 0x409,
    11: 0x805,
    12: 0x1053,
    13: 0x201B,
    14: 0x402B,
    15: 0x8003,
    16: 0x1002D,
    17: 0x20009,
    18: 0x40027,
    19: 0x80027,
    20: 0x100009,
}
"""Primitive polynomials over GF(2) by degree."""


@dataclass(frozen=True)
class Place:
    """A location, taken apart."""

    function: int
    bucket: int
    slot: int


class TablePlan:
    """Geometry and hash functions of a table.

    Parameters
    ----------
    key_width : int
        Bits of a key, more than a bucket number has, up to 256.
    entries : int
        Locations wanted, 16 .. 2^20.
    functions : int or None
        2 .. 16; None: 8.
    slots : int or None
        1, 2, 4 or 8; None: 1 up to 65,536 entries, 2 above.

    Attributes
    ----------
    bucket_bits : int
        Bits of a bucket number: the least that gives the locations wanted, at least 1.
    capacity : int
        Locations there are, ``functions * slots << bucket_bits``: ``entries`` or more. A location is a number below it,
        from the low bits up: slot, bucket, function.
    tag_width : int
        Bits of a key that are stored.

    Raises
    ------
    ValueError
        A parameter is out of its range; the message gives the range.
    """

    MIN_ENTRIES = MIN_ENTRIES

    def __init__(self, key_width: int, entries: int, functions: int | None = None, slots: int | None = None) -> None:
        self.entries = check_range("entries", entries, MIN_ENTRIES, MAX_ENTRIES)
        functions = DEFAULT_FUNCTIONS if functions is None else functions
        self.functions = check_range("functions", functions, MIN_FUNCTIONS, MAX_FUNCTIONS)
        if slots is None:
            slots = 1 if entries <= SINGLE_SLOT_ENTRIES else 2
        if slots not in SLOTS:
            raise ValueError(f"slots must be one of {SLOTS}, not {slots!r}")
        self.slots = slots
        buckets = -(-entries // (functions * slots))
        self.bucket_bits = max(1, (buckets - 1).bit_length())
        self._mask = (1 << self.bucket_bits) - 1
        self.slot_bits = slots.bit_length() - 1
        self.capacity = functions * slots << self.bucket_bits
        self.key_width = check_range("key_width", key_width, self.bucket_bits + 1, MAX_KEY_WIDTH)
        self.tag_width = key_width - self.bucket_bits
        self.field_bits = max(self.bucket_bits, min(_PRIMITIVE))
        """Width of ``v``: the field has an element for each function."""

    def first_locations(self, key: int) -> tuple[int, ...]:
        """Location of slot 0 of the key's bucket in each part; its other slots follow."""
        tables, bases, spread, unpack = self._packed
        packed = bases ^ (key & self._mask) * spread
        for table, byte in zip(tables, (key >> self.bucket_bits).to_bytes(len(tables), "little"), strict=True):
            packed ^= table[byte]
        return unpack(packed.to_bytes(4 * self.functions, "little"))

    def locations(self, key: int) -> Iterator[int]:
        """Every location where the key may stand."""
        for first in self.first_locations(key):
            yield from range(first, first + self.slots)

    def place(self, location: int) -> Place:
        """Take a location apart."""
        bucket = location >> self.slot_bits
        return Place(bucket >> self.bucket_bits, bucket & self._mask, location & (self.slots - 1))

    def tag(self, key: int) -> int:
        """Bits of a key that are stored."""
        return key >> self.bucket_bits

    def key_at(self, location: int, tag: int) -> int:
        """Return the key whose tag stands at a location."""
        place = self.place(location)
        # The buckets of the key with this tag and index 0 are f(tag).
        start = self.place(self.first_locations(tag << self.bucket_bits)[place.function])
        return tag << self.bucket_bits | start.bucket ^ place.bucket

    def chunk_tables(self) -> list[list[tuple[int, int]]]:
        """For each chunk of the tag, the low one first, ``u`` and ``v`` by its value."""
        chunks = []
        for start in range(0, self.tag_width, CHUNK_BITS):
            values = 1 << min(CHUNK_BITS, self.tag_width - start)
            u_mask, v_mask = self._mask, (1 << self.field_bits) - 1
            chunks.append([(u & u_mask, v & v_mask) for u, v in _chunk_table(start // CHUNK_BITS)[:values]])
        return chunks

    def mix(self, function: int, v: int) -> int:
        """Return what a function adds to ``u`` (by XOR); linear in ``v``."""
        if function == 0:
            return 0
        for _ in range(function - 1):
            v <<= 1
            if v >> self.field_bits:
                v ^= _PRIMITIVE[self.field_bits]
        return v & self._mask

    @cached_property
    def _packed(self) -> tuple[list[list[int]], int, int, Callable[[bytes], tuple[int, ...]]]:
        """Tables for `first_locations`: by byte of the tag, a word of 32 bits for each function side by side."""
        chunks = self.chunk_tables()
        nibbles = []
        for chunk in chunks:
            words = []
            for u, v in chunk:
                fields = ((u ^ self.mix(i, v)) << self.slot_bits + 32 * i for i in range(self.functions))
                words.append(sum(fields))
            nibbles.append(words)
        if len(nibbles) % 2:
            nibbles.append([0])
        tables = [[a ^ b for b in high for a in low] for low, high in zip(nibbles[::2], nibbles[1::2], strict=True)]
        part = self.bucket_bits + self.slot_bits
        bases = sum(i << part + 32 * i for i in range(self.functions))
        spread = sum(1 << self.slot_bits + 32 * i for i in range(self.functions))
        return tables, bases, spread, struct.Struct(f"<{self.functions}I").unpack


@cache
def _chunk_table(chunk: int) -> tuple[tuple[int, int], ...]:
    """Return pairs of 32 bits, ``u`` and ``v``, for each value of a chunk."""
    values = 1 << CHUNK_BITS
    words = struct.unpack(f"<{2 * values}I", shake_128(SEED.format(chunk).encode()).digest(8 * values))
    return tuple(zip(words[::2], words[1::2], strict=True))
