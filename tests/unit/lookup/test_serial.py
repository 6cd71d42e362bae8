"""The table that is read location by location, against a dictionary, in RAM whose collisions give rubbish."""

from contextlib import suppress

import pytest
from amaranth.hdl import ResetInserter, Signal, unsigned
from amaranth.lib import data

from helpers.packet_bench import assert_refused, simulate
from vtep.lookup.serial import SerialMatch
from vtep_host.placement import Placement, TableFullError

VALUE_WIDTH = 40
NOTHING = (0, 0)


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
        values = {
            entry[1]
            for location in self.plan.locations(key)
            if (entry := self.entries.get(location)) and entry[0] == key
        }
        assert len(values) <= 1
        return (1, *values) if values else NOTHING

    def writable(self, rng, key, step=None):
        """A location and a value with which ``key`` can be written: the value it has elsewhere, if it is there."""
        locations = list(self.plan.locations(key))
        location = rng.choice(locations) if step is None else locations[step]
        elsewhere = [entry[1] for at, entry in self.entries.items() if entry[0] == key and at != location]
        return location, elsewhere[0] if elsewhere else rng.getrandbits(VALUE_WIDTH)


class Driver:
    """Drives all inputs of a clock, rubbish where nothing is asked for, and judges every output of every clock."""

    def __init__(self, dut, rng, *, reset=None, table=None):
        self.dut, self.rng, self.reset = dut, rng, reset
        self.table = table or Table(dut.plan)
        self.clock = 0
        self.last_strobe = -dut.spacing
        self.last_change = -dut.turn
        self.cleared = 0
        self.held = None  # location and entry, which stand still behind a write or until a read is answered
        self.reading = None  # location, entry, clock
        self.lookup = None  # the keys under way, each with what it may find
        self.shown = [{NOTHING}] * dut.keys
        self.due = []  # results by the clock they are there
        self.busy = dut.plan.capacity
        self.found = self.missed = self.answers = self.collisions = 0
        self.waits = set()

    def can_write(self):
        return self.reading is None and self.held is None and self.clock - self.last_change >= self.dut.turn

    def can_strobe(self):
        return self.clock - self.last_strobe >= self.dut.spacing

    def key_now(self):
        """The key whose location is read in this clock, and which of them that is."""
        number, step = divmod(self.clock - self.last_strobe - 2, self.dut.turn)
        return (self.lookup[number][0], step) if self.lookup is not None and number >= 0 else None

    def reads_now(self):
        key, step = self.key_now() or (0, None)
        return None if step is None else list(self.dut.plan.locations(key))[step]

    async def tick(self, ctx, *, strobe=None, write=None, read=None, resetting=False):
        """``strobe``: keys; ``write``: location and entry; ``read``: location."""
        dut, rng, table = self.dut, self.rng, self.table
        self.check(ctx)

        def rubbish(signal_width):
            return rng.getrandbits(signal_width)

        plan = dut.plan
        place, entry = self.held or (rng.randrange(plan.capacity), (rubbish(plan.key_width), rubbish(VALUE_WIDTH)))
        ctx.set(dut.write_enable, write is not None)
        ctx.set(dut.read_enable, read is not None)
        self.held = None if self.reading is None else self.held
        if write is not None:
            place, entry = write
            # What is cleared may keep its tag.
            self.cleared = table.entries.get(place, (0, 0))[0]
            self.held = write
            self.last_change = self.clock
            if not self.busy:
                table.write(place, entry)
        elif read is not None:
            place = read
            self.held = (place, entry)
            if not self.busy:
                self.reading = (place, table.entries.get(place), self.clock)
        ctx.set(dut.location, place)
        ctx.set(dut.write_used, entry is not None)
        ctx.set(dut.write_tag, plan.tag(entry[0] if entry else self.cleared))
        ctx.set(dut.write_value, entry[1] & (1 << dut.value_width) - 1 if entry else -1)

        ctx.set(dut.strobe, strobe is not None)
        if strobe is not None and not self.busy:
            self.last_strobe = self.clock
            self.lookup = [(key, []) for key in strobe]
        age = self.clock - self.last_strobe
        for number in range(dut.keys):
            taken = self.lookup is not None and age == number * dut.turn
            ctx.set(dut.lookup_keys[number], self.lookup[number][0] if taken else rubbish(plan.key_width))
        self.collisions += write is not None and write[0] == self.reads_now()
        if self.lookup is not None:
            for number, (key, states) in enumerate(self.lookup):
                # It reads its first location two clocks after it was taken, and a write of the clock before is seen;
                # its last one turn - 1 clocks later.
                if age == number * dut.turn + 1:
                    states.append(table.lookup(key))
                if number * dut.turn + 1 < age <= (number + 1) * dut.turn:
                    states.append(table.lookup(key))
            if age == dut.keys * dut.turn:
                self.due.append((self.last_strobe + dut.latency, [set(states) for _, states in self.lookup]))
                self.lookup = None

        if self.reset is not None:
            ctx.set(self.reset, resetting)
        self.busy = max(self.busy - 1, 0)
        if resetting:
            table.entries.clear()
            self.busy = plan.capacity
            self.lookup = self.reading = self.held = None
            self.due.clear()
            self.shown = [{NOTHING}] * dut.keys
            self.last_strobe = -dut.spacing
        await ctx.tick()
        self.clock += 1

    def check(self, ctx):
        dut = self.dut
        assert ctx.get(dut.ready) == (not self.busy), f"clock {self.clock}"
        if self.due and self.due[0][0] == self.clock:
            self.shown = self.due.pop(0)[1]
            self.found += sum(NOTHING not in each for each in self.shown)
            self.missed += sum(each == {NOTHING} for each in self.shown)
        for number in range(dut.keys):
            seen = ctx.get(dut.found[number]), ctx.get(dut.values[number])
            assert seen in self.shown[number], f"clock {self.clock}, key {number}"
        if ctx.get(dut.read_valid):
            location, entry, asked = self.reading
            assert ctx.get(dut.read_used) == (entry is not None)
            if entry:
                assert dut.plan.key_at(location, ctx.get(dut.read_tag)) == entry[0]
                assert ctx.get(dut.read_value) == entry[1]
            self.reading = self.held = None
            self.answers += 1
            self.waits.add(self.clock - asked)
            assert 2 <= self.clock - asked <= 2 + dut.keys * dut.turn
        elif self.reading is not None:
            assert self.clock - self.reading[2] < 2 + dut.keys * dut.turn, "a read is not answered"


def build(key_width, entries, functions=None, slots=None, *, keys=1, more=1, value=VALUE_WIDTH, **options):
    plan = SerialMatch(key_width, value, entries, functions, slots, keys=1, spacing=1024).plan
    spacing = keys * plan.functions * plan.slots + more
    dut = SerialMatch(key_width, value, entries, functions, slots, keys=keys, spacing=spacing, **options)
    dut.spacing, dut.value_width = spacing, value
    assert dut.latency == keys * dut.turn + 4
    return dut


@pytest.fixture(autouse=True)
def _not_all_are_elaborated(monkeypatch):
    monkeypatch.setattr(SerialMatch, "_MustUse__silence", True, raising=False)


@pytest.mark.parametrize("keys", [1, 2])
@pytest.mark.parametrize(
    ("key_width", "entries", "functions", "slots"),
    [
        (24, 16, 4, None),
        (24, 128, 4, None),
        (129, 32, 4, None),
        (33, 32, 2, None),
        (24, 64, 3, 2),
        (72, 64, 2, 8),
        (24, 512, 6, None),
        (24, 256, 2, 1),  # block RAM
    ],
)
def test_lookups_among_writes_and_reads(rng, key_width, entries, functions, slots, keys):
    """Lookups as close as allowed, and any write or read in any clock beside them."""
    dut = build(key_width, entries, functions, slots, keys=keys)
    driver = Driver(dut, rng)
    known = list({rng.getrandbits(key_width) for _ in range(max(4, min(entries, 24)))})
    known += [key ^ 1 << rng.randrange(key_width) for key in known[: len(known) // 2]]

    async def bench(ctx):
        while driver.busy:
            await driver.tick(ctx, strobe=[0] * keys, write=(0, (0, 0)), read=None)
        driver.held = None
        recent = known[0]
        for clock in range(4000):
            strobe = write = read = None
            if driver.can_write() and rng.random() < 0.6:
                recent = rng.choice((recent, rng.choice(known)))
                location, value = driver.table.writable(rng, recent)
                if rng.random() < 0.5 and (now := driver.key_now()):
                    # Right where it is read.
                    recent, (location, value) = now[0], driver.table.writable(rng, now[0], now[1])
                write = location, (recent, value) if rng.random() < 0.7 else None
            elif driver.reading is None and driver.held is None and rng.random() < 0.3:
                read = rng.choice(list(driver.table.entries) or [0])
            # Most of the time without a pause, so that reads have to wait; then seldom.
            if driver.can_strobe() and rng.random() < (0.8 if clock < 3000 else 0.01):
                strobe = [rng.choice((recent, rng.choice(known))) for _ in range(keys)]
            await driver.tick(ctx, strobe=strobe, write=write, read=read)

    simulate(dut, bench)
    assert driver.found > 10
    assert driver.missed > 10
    assert driver.answers > 20
    assert driver.collisions > 10
    assert 2 in driver.waits
    assert max(driver.waits) > 2


@pytest.mark.parametrize(("functions", "slots", "keys"), [(4, 1, 1), (4, 1, 2), (3, 1, 3), (2, 2, 2)])
def test_nothing_is_missed_while_entries_move(rng, functions, slots, keys):
    """A full table is changed as fast as allowed by what the control plane orders; every lookup finds its keys."""
    dut = build(33, 32, functions, slots, keys=keys)
    driver = Driver(dut, rng)
    placement = Placement(dut.plan, VALUE_WIDTH)
    queue = []
    for _ in range(24):
        with suppress(TableFullError):
            queue += placement.insert(rng.getrandbits(33), rng.getrandbits(VALUE_WIDTH))
    moves = 0

    def change():
        nonlocal moves
        try:
            writes = placement.insert(rng.getrandbits(33), rng.getrandbits(VALUE_WIDTH))
            moves += len(writes) - 1
        except TableFullError:
            victims = rng.sample(list(placement), 2)
            writes = placement.insert(victims[0], rng.getrandbits(VALUE_WIDTH)) + placement.delete(victims[1])
        return writes

    async def bench(ctx):
        while driver.busy:
            await driver.tick(ctx)
        for _ in range(2500):
            write = strobe = None
            if driver.can_write():
                if not queue:
                    queue.extend(change())
                order = queue.pop(0)
                write = order.location, None if order.key is None else (order.key, order.value)
            if driver.can_strobe():
                present = [entry[0] for entry in driver.table.entries.values()]
                strobe = [rng.choice(present or [0]) for _ in range(keys)]
            await driver.tick(ctx, strobe=strobe, write=write)

    simulate(dut, bench)
    assert driver.found > 200
    assert moves > 20


@pytest.mark.parametrize("keys", [1, 2])
def test_resets_in_the_middle(rng, keys):
    reset = Signal()
    dut = build(24, 16, 2, keys=keys, more=2)
    driver = Driver(dut, rng, reset=reset)
    known = [rng.getrandbits(24) for _ in range(6)]

    async def bench(ctx):
        for _ in range(2500):
            strobe = write = read = None
            if driver.can_write() and rng.random() < 0.7:
                key = rng.choice(known)
                location, value = driver.table.writable(rng, key)
                write = location, (key, value)
            elif driver.reading is None and driver.held is None and rng.random() < 0.5:
                read = rng.choice(list(driver.table.entries) or [0])
            if driver.can_strobe() and rng.random() < 0.8:
                strobe = [rng.choice(known) for _ in range(keys)]
            await driver.tick(ctx, strobe=strobe, write=write, read=read, resetting=rng.random() < 0.015)

    simulate(ResetInserter(reset)(dut), bench)
    assert driver.found > 10
    assert driver.answers > 10


def test_every_key_bit_counts():
    dut = build(72, 64, 4, value=1)
    key = 0xA5_5A5A_5A5A_5A5A_5A5A

    async def bench(ctx):
        await ctx.tick().until(dut.ready)
        ctx.set(dut.location, next(iter(dut.plan.locations(key))))
        ctx.set(dut.write_used, 1)
        ctx.set(dut.write_tag, dut.plan.tag(key))
        ctx.set(dut.write_value, 1)
        ctx.set(dut.write_enable, 1)
        await ctx.tick()
        ctx.set(dut.write_enable, 0)
        for looked_up, found in ((key, 1), *((key ^ 1 << bit, 0) for bit in range(72)), (key, 1)):
            ctx.set(dut.lookup_keys[0], looked_up)
            ctx.set(dut.strobe, 1)
            await ctx.tick()
            ctx.set(dut.strobe, 0)
            await ctx.tick().repeat(dut.latency - 1)
            assert (ctx.get(dut.found[0]), ctx.get(dut.values[0])) == (found, found)

    simulate(dut, bench)


def test_value_shapes():
    layout = data.StructLayout({"a": 3, "b": unsigned(5)})
    dut = SerialMatch(24, layout, 64, spacing=9)
    empty = SerialMatch(24, 0, 64, spacing=9)

    async def look(ctx, table):
        await ctx.tick().until(table.ready)
        ctx.set(table.location, max(table.plan.locations(9)))
        ctx.set(table.write_used, 1)
        ctx.set(table.write_tag, table.plan.tag(9))
        if table is dut:
            ctx.set(table.write_value, {"a": 5, "b": 17})
        ctx.set(table.write_enable, 1)
        await ctx.tick()
        ctx.set(table.write_enable, 0)
        ctx.set(table.lookup_keys[0], 9)
        ctx.set(table.strobe, 1)
        await ctx.tick()
        ctx.set(table.strobe, 0)
        await ctx.tick().repeat(table.latency - 1)
        assert ctx.get(table.found[0])
        if table is dut:
            assert (ctx.get(table.values[0]).a, ctx.get(table.values[0]).b) == (5, 17)

    async def bench(ctx):
        await look(ctx, dut)

    async def bench_empty(ctx):
        await look(ctx, empty)

    simulate(dut, bench)
    simulate(empty, bench_empty)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entries": 15}, r"entries must be .* 16 \.\. 1048576, not 15"),
        ({"functions": 1}, r"functions must be .* 2 \.\. 16, not 1"),
        ({"slots": 3}, r"slots must be one of"),
        ({"key_width": 3}, r"key_width must be .* 4 \.\. 256, not 3"),
        ({"keys": 0}, r"keys must be .* 1 \.\. 4, not 0"),
        ({"keys": 5}, r"keys must be .* 1 \.\. 4, not 5"),
        ({"spacing": 8}, r"spacing must be .* 9 \.\. 1024, not 8"),
        ({"spacing": 1025}, r"spacing must be .* 9 \.\. 1024, not 1025"),
        ({"keys": 2, "spacing": 16}, r"spacing must be .* 17 \.\. 1024, not 16"),
        ({"functions": 4, "slots": 4, "spacing": 16}, r"spacing must be .* 17 \.\. 1024, not 16"),
        ({"ram_style": "ultra"}, r"ram_style must be one of \('distributed', 'block'\), not 'ultra'"),
    ],
)
def test_refuses_parameters(options, message):
    assert_refused(message, SerialMatch, **{"key_width": 24, "value_shape": 8, "entries": 64, "spacing": 9} | options)
