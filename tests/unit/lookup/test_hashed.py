"""The hashed table against a dictionary of its locations, in RAM whose collisions give rubbish."""

from contextlib import suppress

import pytest
from amaranth.hdl import ResetInserter, Signal, unsigned
from amaranth.lib import data

from helpers.packet_bench import assert_refused, simulate
from vtep.lookup.hashed import HashedMatch
from vtep_host.placement import Placement, TableFullError

VALUE_WIDTH = 40


class Table:
    """What the gateware should hold: key and value by location."""

    def __init__(self, plan):
        self.plan = plan
        self.entries = {}

    def write(self, location, entry):
        if entry is None:
            self.entries.pop(location, None)
        else:
            self.entries[location] = entry

    def lookup(self, key):
        """Found and value; an entry that is there twice has equal values."""
        values = {
            entry[1]
            for location in self.plan.locations(key)
            if (entry := self.entries.get(location)) and entry[0] == key
        }
        assert len(values) <= 1
        return (1, *values) if values else (0, 0)

    def writable(self, rng, key):
        """A location and a value with which ``key`` can be written: the value it has elsewhere, if it is there."""
        location = rng.choice(list(self.plan.locations(key)))
        elsewhere = [entry[1] for at, entry in self.entries.items() if entry[0] == key and at != location]
        return location, elsewhere[0] if elsewhere else rng.getrandbits(VALUE_WIDTH)


def set_write(ctx, dut, location, entry):
    ctx.set(dut.write_enable, 1)
    ctx.set(dut.location, location)
    ctx.set(dut.write_used, entry is not None)
    ctx.set(dut.write_tag, dut.plan.tag(entry[0]) if entry else -1)
    ctx.set(dut.write_value, entry[1] if entry else -1)


async def wait_ready(ctx, dut):
    for _ in range(2 << dut.plan.bucket_bits):
        if ctx.get(dut.ready):
            return
        await ctx.tick()
    raise AssertionError("never ready")


class Checker:
    """Holds what comes out ``latency`` clocks after each lookup against what was expected when it was presented."""

    def __init__(self, dut):
        self.dut = dut
        self.expected = []
        self.clock = 0
        self.hits = 0

    async def tick(self, ctx, key, expected):
        """Present a lookup for one clock."""
        ctx.set(self.dut.lookup_key, key)
        self.expected.append(expected)
        if self.clock >= self.dut.latency:
            seen = ctx.get(self.dut.found), ctx.get(self.dut.value)
            assert seen == self.expected[self.clock - self.dut.latency], f"clock {self.clock}"
            self.hits += seen[0]
        await ctx.tick()
        self.clock += 1


GEOMETRIES = [
    (24, 16, None, None),
    (24, 64, None, None),
    (24, 1024, None, None),
    (72, 16, None, None),
    (72, 64, None, None),
    (72, 1024, None, None),
    (129, 16, None, None),
    (129, 64, None, None),
    (129, 1024, None, None),
    (72, 64, 4, 4),
    (72, 64, 2, 8),
    (24, 64, 3, 2),
    (2, 16, 16, 1),
    (72, 8192, 2, 1),  # more buckets: another latency
]


@pytest.mark.parametrize(
    ("key_width", "entries", "functions", "slots", "quick"),
    [(*geometry, False) for geometry in GEOMETRIES]
    + [(*geometry, True) for geometry in GEOMETRIES if geometry[1] <= 64],
)
def test_lookups_among_writes(rng, key_width, entries, functions, slots, quick):
    """A lookup in every clock, with any write, read or clearing of a location beside it."""
    # Without `init` the largest of them would take long to be ready.
    init = [] if entries > 4096 else None
    dut = HashedMatch(key_width, VALUE_WIDTH, entries, functions, slots, init=init, quick=quick)
    plan = dut.plan
    assert dut.latency == (2 if quick else 6)
    table = Table(plan)
    checker = Checker(dut)
    reads = []
    # Few keys, so that they meet; some differ in the tag's last bits only, some in the bucket only.
    keys = list({rng.getrandbits(key_width) for _ in range(max(4, min(entries, 64)))})
    keys += [key ^ 1 << rng.randrange(key_width) for key in keys[: len(keys) // 2]]
    collisions = 0

    async def bench(ctx):
        nonlocal collisions
        await wait_ready(ctx, dut)
        recent = keys[0]
        for clock in range(1500):
            writing, reading = rng.random() < 0.5, rng.random() < 0.4
            ctx.set(dut.write_enable, 0)
            ctx.set(dut.read_enable, reading)
            if writing:
                recent = rng.choice((recent, rng.choice(keys)))
                location, value = table.writable(rng, recent)
                before = table.entries.get(location)
                entry = (recent, value) if rng.random() < 0.7 else None
                set_write(ctx, dut, location, entry)
                table.write(location, entry)
                # What was there, what is there now, or anything.
                key = rng.choice([recent, rng.choice(keys), before[0] if before else recent])
                collisions += location in plan.locations(key)
            else:
                location = (
                    rng.choice(list(table.entries) or [0]) if rng.random() < 0.8 else rng.randrange(plan.capacity)
                )
                ctx.set(dut.location, location)
                key = rng.choice(keys)
            # A read beside a write is none.
            reads.append((location, table.entries.get(location)) if reading and not writing else None)
            if clock >= dut.read_latency:
                check_read(ctx, reads[clock - dut.read_latency])
            await checker.tick(ctx, key, table.lookup(key))

    def check_read(ctx, expected):
        assert ctx.get(dut.read_valid) == (expected is not None)
        if expected:
            location, entry = expected
            assert ctx.get(dut.read_used) == (entry is not None)
            if entry:
                assert plan.key_at(location, ctx.get(dut.read_tag)) == entry[0]
                assert ctx.get(dut.read_value) == entry[1]

    simulate(dut, bench)
    assert checker.hits > 100
    assert collisions > 100
    assert sum(entry is not None for entry in reads) > 100


@pytest.mark.parametrize(
    ("key_width", "entries", "functions", "slots", "quick"),
    [
        (72, 16, 2, 1, False),
        (24, 64, 4, 1, False),
        (24, 64, 4, 1, True),
        (129, 64, 2, 4, False),
        (129, 64, 2, 4, True),
        (72, 1024, 4, 1, False),
    ],
)
def test_nothing_is_missed_while_entries_move(rng, key_width, entries, functions, slots, quick):
    """A full table is changed in every clock by what the control plane orders; each lookup finds what it should."""
    dut = HashedMatch(key_width, VALUE_WIDTH, entries, functions, slots, quick=quick)
    placement = Placement(dut.plan, VALUE_WIDTH)
    initial = []
    for _ in range(entries // 2):
        with suppress(TableFullError):
            initial += placement.insert(rng.getrandbits(key_width), rng.getrandbits(VALUE_WIDTH))
    checker = Checker(dut)
    moves = 0

    def change():
        """Writes of one change to a nearly full table."""
        nonlocal moves
        try:
            writes = placement.insert(rng.getrandbits(key_width), rng.getrandbits(VALUE_WIDTH))
            moves += len(writes) - 1
        except TableFullError:
            victims = rng.sample(list(placement), 3)
            writes = placement.insert(victims[0], rng.getrandbits(VALUE_WIDTH))
            writes += placement.delete(victims[1]) + placement.delete(victims[2])
        return writes

    async def bench(ctx):
        await wait_ready(ctx, dut)
        table = Table(dut.plan)
        present = set()
        queue = list(initial)
        for _ in range(3000):
            if not queue:
                queue += change()
            write = queue.pop(0)
            entry = None if write.key is None else (write.key, write.value)
            set_write(ctx, dut, write.location, entry)
            overwritten = table.entries.get(write.location)
            table.write(write.location, entry)
            if entry:
                present.add(write.key)
            elif overwritten:
                present.discard(overwritten[0])
            # Mostly those that this write touches.
            key = rng.choice(list(present))
            if entry and rng.random() < 0.7:
                key = rng.choice((entry[0], overwritten[0] if overwritten else entry[0]))
            expected = table.lookup(key)
            assert expected[0], "the control plane lost an entry"
            await checker.tick(ctx, key, expected)

    simulate(dut, bench)
    assert checker.hits == checker.clock - dut.latency
    assert moves > 100


@pytest.mark.parametrize("bit", [0, 1, 2, 8, 9, 32, 33, 56, 57, 71])
def test_every_key_bit_counts(bit):
    dut = HashedMatch(72, 1, 64)
    key = 0xA5_5A5A_5A5A_5A5A_5A5A

    async def bench(ctx):
        await wait_ready(ctx, dut)
        set_write(ctx, dut, next(iter(dut.plan.locations(key))), (key, 1))
        await ctx.tick()
        ctx.set(dut.write_enable, 0)
        for looked_up, found in ((key, 1), (key ^ 1 << bit, 0)):
            ctx.set(dut.lookup_key, looked_up)
            await ctx.tick().repeat(dut.latency)
            assert ctx.get(dut.found) == found

    simulate(dut, bench)


def fill_writes(plan, rng, width):
    placement = Placement(plan, width)
    for _ in range(plan.capacity):
        with suppress(TableFullError):
            placement.insert(rng.getrandbits(plan.key_width), rng.getrandbits(width))
    assert placement.fill > 0.5
    return list(placement.entries())


async def fill(ctx, dut, entries):
    for location, key, value in entries:
        set_write(ctx, dut, location, (key, value))
        await ctx.tick()
    ctx.set(dut.write_enable, 0)


async def count_found(ctx, dut, entries):
    """Look every key up, one a clock."""
    found = 0
    for clock in range(len(entries) + dut.latency):
        if clock >= dut.latency:
            _, _, value = entries[clock - dut.latency]
            if ctx.get(dut.found):
                assert ctx.get(dut.value) == value
                found += 1
        ctx.set(dut.lookup_key, entries[min(clock, len(entries) - 1)][1])
        await ctx.tick()
    return found


@pytest.mark.parametrize("slots", [1, 2])
def test_reset_empties(rng, slots):
    """From the clock after the reset on nothing is found, not even what was looked up before."""
    reset = Signal()
    dut = HashedMatch(24, 8, 64, 4, slots)
    entries = fill_writes(dut.plan, rng, 8)

    async def bench(ctx):
        for length in (1, 1, 3):
            await wait_ready(ctx, dut)
            await fill(ctx, dut, entries)
            assert await count_found(ctx, dut, entries) == len(entries)
            ctx.set(reset, 1)
            await ctx.tick().repeat(length)
            ctx.set(reset, 0)
            clocks = 0
            # Writes are ignored, and lookups of what they would have written find nothing.
            set_write(ctx, dut, entries[0][0], (entries[0][1], entries[0][2]))
            while not ctx.get(dut.ready):
                assert not ctx.get(dut.found)
                ctx.set(dut.read_enable, rng.getrandbits(1))
                ctx.set(dut.lookup_key, entries[rng.choice((0, rng.randrange(len(entries))))][1])
                await ctx.tick()
                clocks += 1
            assert clocks == 1 << dut.plan.bucket_bits
            ctx.set(dut.write_enable, 0)
            ctx.set(dut.read_enable, 0)
            assert not ctx.get(dut.read_valid)
            for _ in range(2 * dut.latency):
                assert not ctx.get(dut.found)
                await ctx.tick()
            assert await count_found(ctx, dut, entries) == 0

    simulate(ResetInserter(reset)(dut), bench)


def test_clear_is_one_instant(rng):
    """Lookups presented with ``clear`` still find their entries, those after it none; a reset does not stop it."""
    reset = Signal()
    dut = HashedMatch(24, 8, 64, 4, 1, init=[])
    entries = fill_writes(dut.plan, rng, 8)

    async def bench(ctx):
        for reset_in in (None, 1, 3, 20):
            assert ctx.get(dut.ready)
            await fill(ctx, dut, entries)
            assert await count_found(ctx, dut, entries) == len(entries)
            checker = Checker(dut)
            for clock in range(40):
                ctx.set(dut.clear, clock == 10)
                ctx.set(reset, clock == reset_in)
                # A clearing in the middle of another one changes nothing.
                ctx.set(dut.clear, clock in (10, 12))
                _, key, value = rng.choice(entries)
                expected = (1, value) if clock <= 10 else (0, 0)
                if reset_in is not None and reset_in < 10 and clock <= reset_in:
                    expected = (0, 0)
                if clock == reset_in:
                    # What is in flight then is not found.
                    checker.expected[-dut.latency :] = [(0, 0)] * len(checker.expected[-dut.latency :])
                    assert not ctx.get(dut.read_valid)
                await checker.tick(ctx, key, expected)
            assert ctx.get(dut.ready)
            assert await count_found(ctx, dut, entries) == 0

    simulate(ResetInserter(reset)(dut), bench)


@pytest.mark.parametrize("init", [None, []])
@pytest.mark.parametrize(("functions", "quick"), [(4, False), (2, False), (4, True)])
def test_resets_and_clears_among_writes(rng, init, functions, quick):
    """Anything in any clock: a lookup, a write or a read, a reset, a clearing."""
    reset = Signal()
    dut = HashedMatch(24, VALUE_WIDTH, 64, functions, 1, init=init, quick=quick)
    plan = dut.plan
    buckets = 1 << plan.bucket_bits
    keys = [rng.getrandbits(24) for _ in range(6)]
    lookups, reads = [], []
    hits = valid_reads = 0

    async def bench(ctx):
        nonlocal hits, valid_reads
        table = Table(plan)
        busy = 0 if init == [] else buckets
        for clock in range(4000):
            assert ctx.get(dut.ready) == (not busy)
            resetting, clearing = rng.random() < 0.03, rng.random() < 0.01
            reading, writing = rng.random() < 0.5, rng.random() < 0.5
            key = rng.choice(keys)
            location, value = table.writable(rng, key)
            if writing:
                set_write(ctx, dut, location, (key, value))
            ctx.set(dut.write_enable, writing)
            ctx.set(dut.location, location)
            ctx.set(dut.read_enable, reading)
            ctx.set(dut.clear, clearing)
            ctx.set(dut.lookup_key, key)
            ctx.set(reset, resetting)

            reads.append(location in table.entries if reading and not writing and not busy else None)
            if writing and not busy:
                table.write(location, (key, value))
            lookups.append((0, 0) if busy else table.lookup(key))
            if clock >= dut.latency:
                seen = ctx.get(dut.found), ctx.get(dut.value)
                assert seen == lookups[clock - dut.latency], f"clock {clock}"
                hits += seen[0]
            if clock >= dut.read_latency:
                expected = reads[clock - dut.read_latency]
                assert ctx.get(dut.read_valid) == (expected is not None), f"clock {clock}"
                if expected is not None:
                    assert ctx.get(dut.read_used) == expected
                    valid_reads += 1
            if resetting:
                lookups[-dut.latency :] = [(0, 0)] * len(lookups[-dut.latency :])
                reads[-dut.read_latency :] = [None] * len(reads[-dut.read_latency :])
            empties = (clearing and not busy) or (resetting and init is None)
            if empties:
                table.entries.clear()
            busy = buckets if empties else max(busy - 1, 0)
            await ctx.tick()

    simulate(ResetInserter(reset)(dut), bench)
    assert hits > 20
    assert valid_reads > 20


@pytest.mark.parametrize("slots", [1, 4])
def test_initial_contents(rng, slots):
    reset = Signal()
    plan = HashedMatch(72, 8, 64, 4, slots).plan
    entries = fill_writes(plan, rng, 8)
    dut = HashedMatch(72, 8, 64, 4, slots, init=entries)

    async def bench(ctx):
        assert ctx.get(dut.ready)
        assert await count_found(ctx, dut, entries) == len(entries)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        assert ctx.get(dut.ready)
        assert await count_found(ctx, dut, entries) == len(entries)
        set_write(ctx, dut, entries[0][0], None)
        await ctx.tick()
        ctx.set(dut.write_enable, 0)
        assert await count_found(ctx, dut, entries) == len(entries) - 1

    HashedMatch._MustUse__silence = True  # the first one was built for its plan only
    simulate(ResetInserter(reset)(dut), bench)


def test_value_shapes():
    layout = data.StructLayout({"a": 3, "b": unsigned(5)})
    dut = HashedMatch(24, layout, 64)

    async def bench(ctx):
        await wait_ready(ctx, dut)
        location = max(dut.plan.locations(9))
        ctx.set(dut.write_enable, 1)
        ctx.set(dut.location, location)
        ctx.set(dut.write_used, 1)
        ctx.set(dut.write_tag, dut.plan.tag(9))
        ctx.set(dut.write_value, {"a": 5, "b": 17})
        await ctx.tick()
        ctx.set(dut.write_enable, 0)
        ctx.set(dut.lookup_key, 9)
        ctx.set(dut.read_enable, 1)
        await ctx.tick().repeat(dut.latency)
        for value in (ctx.get(dut.value), ctx.get(dut.read_value)):
            assert (value.a, value.b) == (5, 17)

    simulate(dut, bench)


def test_no_value(rng):
    dut = HashedMatch(24, 0, 64)
    entries = fill_writes(dut.plan, rng, 0)

    async def bench(ctx):
        await wait_ready(ctx, dut)
        await fill(ctx, dut, entries)
        assert await count_found(ctx, dut, entries) == len(entries)

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entries": 15}, r"entries must be .* 16 \.\. 1048576, not 15"),
        ({"functions": 1}, r"functions must be .* 2 \.\. 16, not 1"),
        ({"slots": 3}, r"slots must be one of"),
        ({"key_width": 3}, r"key_width must be .* 4 \.\. 256, not 3"),
        ({"ram_style": "huge"}, r"ram_style must be one of .*'ultra'.*, not 'huge'"),
        ({"ram_style": "ultra", "init": []}, "init must be None"),
        ({"init": [(64, 0, 0)]}, "init: location 64, key 0x0: its locations are"),
        ({"init": [(0, 1 << 24, 0)]}, r"key 0x1000000: a key must be within 0 \.\. 2\^24 - 1"),
    ],
)
def test_refuses_parameters(options, message):
    assert_refused(message, HashedMatch, **{"key_width": 24, "value_shape": 8, "entries": 64} | options)


def test_refuses_initial_contents():
    plan = HashedMatch(24, 8, 64).plan
    here, there = list(plan.locations(5))[:2]
    wrong = next(location for location in range(plan.capacity) if location not in plan.locations(5))
    arguments = (HashedMatch, 24, 8, 64)
    assert_refused(f"location {wrong}, key 0x5: its locations are", *arguments, init=[(wrong, 5, 0)])
    assert_refused("must each be there once", *arguments, init=[(here, 5, 0), (there, 5, 0)])
    other = next(key for key in range(6, 1 << 24) if here in plan.locations(key))
    assert_refused("must each be there once", *arguments, init=[(here, 5, 0), (here, other, 0)])
    assert_refused(r"a value must be within 0 \.\. 2\^8 - 1, not 256", *arguments, init=[(here, 5, 256)])
