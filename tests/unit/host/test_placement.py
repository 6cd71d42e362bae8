"""Placement against a plain dictionary: after every single write the device finds every entry that should be there."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from vtep.hashing import TablePlan
from vtep_host.placement import Placement, TableFullError, Write

VALUE_WIDTH = 8


class Device:
    """What the gateware does: whole entries by location, found by comparing all of a key's locations."""

    def __init__(self, plan: TablePlan) -> None:
        self.plan = plan
        self.entries: dict[int, tuple[int, int]] = {}

    def write(self, write: Write) -> None:
        if write.key is None:
            self.entries.pop(write.location, None)
        else:
            assert write.location in self.plan.locations(write.key)
            self.entries[write.location] = (write.key, write.value)

    def find(self, key: int) -> set[int]:
        """Values that a lookup finds."""
        places = (self.entries.get(location) for location in self.plan.locations(key))
        return {entry[1] for entry in places if entry and entry[0] == key}


def replay(device: Device, writes: list[Write], before: dict[int, int], after: dict[int, int]) -> None:
    """Carry writes out; a key that both dictionaries have with one value is found with it all the time."""
    constant = dict(before.items() & after.items())
    for write in writes:
        device.write(write)
        for key, value in constant.items():
            assert device.find(key) == {value}, f"key {key:#x} after {write}"
        for key in before.keys() ^ after.keys():
            assert device.find(key) <= {before.get(key, after.get(key))}
        for key in before.keys() & after.keys() - constant.keys():
            assert device.find(key) in ({before[key]}, {after[key]})
    assert sorted(key for key, _ in device.entries.values()) == sorted(after)
    assert all(device.find(key) == {value} for key, value in after.items())


def can_hold(plan: TablePlan, keys: list[int]) -> bool:
    """Whether any arrangement holds all the keys: bipartite matching by augmenting paths, depth first."""
    owner: dict[int, int] = {}

    def assign(key: int, tried: set[int]) -> bool:
        for location in plan.locations(key):
            if location not in tried:
                tried.add(location)
                if location not in owner or assign(owner[location], tried):
                    owner[location] = key
                    return True
        return False

    return all(assign(key, set()) for key in keys)


class PlacementMachine(RuleBasedStateMachine):
    """Inserts, replacements and deletions, mostly in a table that is nearly full."""

    keys = Bundle("keys")

    @initialize(geometry=st.sampled_from([(16, 2, 1), (16, 2, 2), (16, 4, 1), (24, 3, 2), (16, 8, 1)]))
    def build(self, geometry: tuple[int, int, int]) -> None:
        self.plan = TablePlan(12, *geometry)
        self.placement = Placement(self.plan, VALUE_WIDTH)
        self.device = Device(self.plan)
        self.model: dict[int, int] = {}

    @rule(target=keys, keys=st.lists(st.integers(0, (1 << 12) - 1), min_size=1, max_size=8), value=st.integers(0, 255))
    def insert(self, keys: list[int], value: int):
        for key in keys:
            self._insert(key, value)
        return multiple(*keys)

    @rule(key=keys, value=st.integers(0, 255))
    def replace(self, key: int, value: int) -> None:
        self._insert(key, value)

    @rule(key=consumes(keys))
    def delete(self, key: int) -> None:
        before = dict(self.model)
        if key in before:
            del self.model[key]
            replay(self.device, self.placement.delete(key), before, self.model)
        else:
            with pytest.raises(KeyError):
                self.placement.delete(key)

    def _insert(self, key: int, value: int) -> None:
        before = dict(self.model)
        try:
            writes = self.placement.insert(key, value)
        except TableFullError as error:
            refusal = error
        else:
            assert len(writes) <= 1 or key not in before
            self.model[key] = value
            replay(self.device, writes, before, self.model)
            return
        assert not can_hold(self.plan, [*self.model, key])
        assert (refusal.entries, refusal.capacity) == (len(self.model), self.plan.capacity)

    @invariant()
    def mirrors_the_device(self) -> None:
        if not hasattr(self, "model"):
            return
        assert {key: self.placement[key] for key in self.placement} == self.model
        assert len(self.placement) == len(self.model)
        entries = {location: (key, value) for location, key, value in self.placement.entries()}
        assert entries == self.device.entries


TestPlacement = PlacementMachine.TestCase


def fill_up(placement: Placement, keys: Iterator[int]) -> tuple[TableFullError, int]:
    """Insert keys until one is refused; return the refusal and the longest list of writes."""
    longest = 0
    for key in keys:
        try:
            longest = max(longest, len(placement.insert(key, 1)))
        except TableFullError as refusal:
            return refusal, longest
    raise AssertionError("nothing was refused")


def random_keys(rng: random.Random, width: int) -> Iterator[int]:
    while True:
        yield rng.getrandbits(width)


@pytest.mark.parametrize(
    ("entries", "functions", "slots", "least"),
    # A little below the thresholds: 0.9997 for 8 functions, 0.9768 for 4, 0.9803 for 2 with 4 slots.
    [(4096, None, None, 0.998), (4096, 4, 1, 0.96), (4096, 2, 4, 0.96), (4096, 8, 2, 0.999), (4096, 4, 4, 0.999)],
)
def test_fill_before_the_first_refusal(rng, entries, functions, slots, least) -> None:
    placement = Placement(TablePlan(72, entries, functions, slots), 1)
    refusal, longest = fill_up(placement, random_keys(rng, 72))
    assert refusal.fill == placement.fill == len(placement) / entries >= least
    assert longest > 2
    assert f"{len(placement)} entries in {entries} locations ({placement.fill:.2%})" in str(refusal)


COUNTING = {
    "macs": lambda i: 100 << 48 | 0x5254_0000_0000 + i,
    "macs, every 512th": lambda i: 100 << 48 | 0x5254_0000_0000 + (i << 9),
    "macs, every 4096th": lambda i: 100 << 48 | 0x5254_0000_0000 + (i << 12),
    "64 vnis": lambda i: i % 64 << 48 | 0x5254_0000_0000 + i // 64,
    "256 vnis": lambda i: i % 256 << 48 | 0x5254_0000_0000 + i // 256,
    "64 vnis, every 16 Mi": lambda i: i % 64 << 48 | 0x5254_0000_0000 + (i // 64 << 24),
    "one mac": lambda i: i << 48 | 0x5254_0000_0000,
}


@pytest.mark.parametrize("keys", COUNTING)
def test_keys_that_count_fill_the_table_too(keys) -> None:
    placement = Placement(TablePlan(72, 4096), 1)
    fill_up(placement, map(COUNTING[keys], range(8192)))
    assert placement.fill > 0.99


def test_a_refusal_changes_nothing(rng) -> None:
    placement = Placement(TablePlan(24, 16, 2, 1), VALUE_WIDTH)
    fill_up(placement, random_keys(rng, 24))
    before = list(placement.entries())
    refused = next(key for key in random_keys(rng, 24) if not can_hold(placement.plan, [*placement, key]))
    with pytest.raises(TableFullError):
        placement.insert(refused, 1)
    assert list(placement.entries()) == before
    # Room made, it goes on; a value changes even in a full table.
    key = next(iter(placement))
    (write,) = placement.insert(key, placement[key] ^ 1)
    assert write.key == key
    assert placement.insert(key, placement[key]) == []
    placement.delete(key)
    placement.insert(key, 1)


def test_equal_calls_give_equal_writes(seed) -> None:
    def run() -> list[list[Write]]:
        rng = random.Random(seed)
        placement = Placement(TablePlan(24, 64, 4, 1), VALUE_WIDTH)
        return [placement.insert(rng.getrandbits(24), rng.getrandbits(8)) for _ in range(50)]

    assert run() == run()


def test_adopts_what_a_device_holds(rng) -> None:
    plan = TablePlan(24, 64, 4, 1)
    first = Placement(plan, VALUE_WIDTH)
    device = Device(plan)
    for _ in range(55):
        for write in first.insert(rng.getrandbits(24), rng.getrandbits(8)):
            device.write(write)
    # An entry that was about to move when its mover stopped.
    key, free = next(
        (key, location) for key in first for location in plan.locations(key) if location not in device.entries
    )
    device.write(Write(free, key, first[key]))
    second = Placement(plan, VALUE_WIDTH)
    clears = []
    for location, (key, value) in sorted(device.entries.items()):
        clears += second.adopt(location, key, value)
    assert len(clears) == 1
    for write in clears:
        device.write(write)
    assert {location: (key, value) for location, key, value in second.entries()} == device.entries
    assert {key: second[key] for key in second} == {key: first[key] for key in first}


def test_adopts_nothing_impossible() -> None:
    plan = TablePlan(24, 64, 4, 1)
    placement = Placement(plan, VALUE_WIDTH)
    here = next(iter(plan.locations(5)))
    elsewhere = next(location for location in range(64) if location not in plan.locations(5))
    with pytest.raises(ValueError, match=f"location {elsewhere} cannot hold the key 0x5"):
        placement.adopt(elsewhere, 5, 1)
    placement.adopt(here, 5, 1)
    other = next(key for key in range(6, 1 << 24) if here in plan.locations(key))
    with pytest.raises(ValueError, match=f"location {here} cannot hold"):
        placement.adopt(here, other, 1)


@pytest.mark.parametrize("method", ["insert", "adopt"])
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (-1, 0, "key must be within 0 .. 2^24 - 1, not -1"),
        (1 << 24, 0, "key must be within 0 .. 2^24 - 1, not 16777216"),
        (0, 256, "value must be within 0 .. 2^8 - 1, not 256"),
    ],
)
def test_refuses_what_does_not_fit(method, key, value, message) -> None:
    placement = Placement(TablePlan(24, 64), VALUE_WIDTH)
    location = (0,) if method == "adopt" else ()
    with pytest.raises(ValueError, match="within") as refused:
        getattr(placement, method)(*location, key, value)
    assert str(refused.value) == message
    assert len(placement) == 0
