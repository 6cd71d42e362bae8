"""The plan of a hashed table: geometry, and hash functions that never change, as host and device are built apart."""

import struct
import subprocess
import sys
from collections import Counter
from hashlib import shake_128
from math import sqrt

import pytest

from vtep.hashing import _PRIMITIVE, TablePlan

PLANS = [
    (2, 16, None, None),
    (24, 16, None, None),
    (24, 1000, 4, 2),
    (72, 4096, None, None),
    (72, 1 << 20, None, None),
    (24, 1 << 20, 2, 1),
    (129, 1024, 16, 1),
    (256, 100, 3, 8),
]


@pytest.mark.parametrize(
    ("entries", "functions", "slots", "bucket_bits", "capacity"),
    [
        (16, None, None, 1, 16),
        (17, None, None, 2, 32),
        (4096, None, None, 9, 4096),
        (1 << 16, None, None, 13, 1 << 16),
        ((1 << 16) + 1, None, None, 13, 1 << 17),
        (1 << 20, None, None, 16, 1 << 20),
        (4096, 4, 4, 8, 4096),
        (100, 3, 8, 3, 192),
        (16, 16, 8, 1, 256),
    ],
)
def test_geometry(entries, functions, slots, bucket_bits, capacity):
    plan = TablePlan(72, entries, functions, slots)
    assert (plan.bucket_bits, plan.capacity, plan.tag_width) == (bucket_bits, capacity, 72 - bucket_bits)


@pytest.mark.parametrize("parameters", PLANS)
def test_locations(rng, parameters):
    plan = TablePlan(*parameters)
    for key in [0, (1 << plan.key_width) - 1, *(rng.getrandbits(plan.key_width) for _ in range(50))]:
        locations = list(plan.locations(key))
        assert len(set(locations)) == plan.functions * plan.slots
        assert 0 <= min(locations) <= max(locations) < plan.capacity
        places = [plan.place(location) for location in locations]
        assert [(place.function, place.slot) for place in places] == [
            (function, slot) for function in range(plan.functions) for slot in range(plan.slots)
        ]
        assert len({(place.function, place.bucket) for place in places}) == plan.functions
        for location, place in zip(locations, places, strict=True):
            assert plan.tag(key) == key >> plan.bucket_bits
            packed = ((place.function << plan.bucket_bits) + place.bucket) * plan.slots + place.slot
            assert packed == location
            assert plan.key_at(location, plan.tag(key)) == key


def reference_buckets(plan, key):
    """The definition, step by step and bit by bit."""
    bits, width = plan.bucket_bits, max(plan.bucket_bits, 4)
    tag, index = key >> bits, key & (1 << bits) - 1
    u = v = 0
    for chunk in range(-(-plan.tag_width // 4)):
        table = shake_128(f"OpenVTEP hashed table, chunk {chunk}".encode()).digest(128)
        row = struct.unpack_from("<II", table, 8 * (tag >> 4 * chunk & 15))
        u ^= row[0] & (1 << bits) - 1
        v ^= row[1] & (1 << width) - 1
    buckets = [index ^ u]
    for _ in range(plan.functions - 1):
        buckets.append(index ^ u ^ v & (1 << bits) - 1)
        v <<= 1
        v = v ^ _PRIMITIVE[width] if v >> width else v
    return buckets


@pytest.mark.parametrize("parameters", PLANS)
def test_buckets_are_as_defined(rng, parameters):
    plan = TablePlan(*parameters)
    for _ in range(50):
        key = rng.getrandbits(plan.key_width)
        assert [plan.place(first).bucket for first in plan.first_locations(key)] == reference_buckets(plan, key)


def test_locations_do_not_change():
    """Devices in the field hash like this."""
    assert TablePlan(72, 4096).first_locations(0x64_5254_0000_0A0B) == (242, 744, 1222, 1690, 2082, 2898, 3491, 3649)
    assert TablePlan(24, 1024, 4, 2).first_locations(100) == (192, 452, 712, 976)


def test_polynomials_are_primitive():
    """So x has as many powers as the field has elements, and no two functions add the same for any v but 0."""
    for degree, polynomial in _PRIMITIVE.items():
        element, order = 2, 1
        while element != 1:
            element <<= 1
            element ^= polynomial * (element >> degree)
            order += 1
        assert order == (1 << degree) - 1


def test_keys_spread_evenly(rng):
    plan = TablePlan(72, 4096)
    buckets = 1 << plan.bucket_bits
    keys = [rng.getrandbits(72) for _ in range(64 * buckets)]
    per_location = Counter(first for key in keys for first in plan.first_locations(key))
    for function in range(plan.functions):
        part = [per_location[function << plan.bucket_bits | bucket] for bucket in range(buckets)]
        # Chi squared with 511 degrees of freedom: mean 511, standard deviation 32.
        chi_squared = sum((seen - 64) ** 2 / 64 for seen in part)
        assert chi_squared < buckets - 1 + 8 * sqrt(2 * (buckets - 1)), f"function {function}"


def test_functions_differ(rng):
    """Keys that share a bucket of one function seldom share one of another."""
    plan = TablePlan(72, 4096)
    keys = [rng.getrandbits(72) for _ in range(4096)]
    shared = Counter()
    for a in range(plan.functions):
        for b in range(a):
            pairs = Counter((plan.first_locations(key)[a], plan.first_locations(key)[b]) for key in keys)
            shared[a, b] = sum(n * (n - 1) // 2 for n in pairs.values())
    # 4,096 * 4,095 / 2 pairs, of which one in 2^18 shares both: 32.
    assert max(shared.values()) < 80


def test_imports_no_gateware():
    code = "import sys, vtep.hashing; sys.exit('amaranth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((72, 15), r"entries must be .* 16 \.\. 1048576, not 15"),
        ((72, (1 << 20) + 1), r"entries must be .* 16 \.\. 1048576"),
        ((72, 64, 1), r"functions must be .* 2 \.\. 16, not 1"),
        ((72, 64, 17), r"functions must be .* 2 \.\. 16, not 17"),
        ((72, 64, 4, 3), r"slots must be one of \(1, 2, 4, 8\), not 3"),
        ((9, 4096), r"key_width must be .* 10 \.\. 256, not 9"),
        ((257, 4096), r"key_width must be .* 10 \.\. 256, not 257"),
    ],
)
def test_refuses_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        TablePlan(*arguments)
