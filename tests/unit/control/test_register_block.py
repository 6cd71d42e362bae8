import pytest
from amaranth.hdl import ResetInserter, Signal, Value, unsigned
from amaranth.lib import stream

from helpers.packet_bench import assert_refused, simulate
from helpers.register_bench import FULL, access, merge, read, write
from vtep.config import VtepParameters
from vtep.control.counters import COUNTER_ADDRESS_BITS
from vtep.control.ports import SETTLING, WRITE_SPACING, config_bus, counter_bus, entry_read_bus
from vtep.control.register_block import RegisterBlock
from vtep.control.register_map import Access
from vtep.control.registers import SETTINGS_PLACES, pack_settings
from vtep.control.tables import Table, entry_layout, settings_layout, table_capacity, write_layout

PARAMETERS = VtepParameters(vnis=5, tunnels=9, fdb_entries=64, flood_entries=256)
TABLES = [table for table in Table if table is not Table.SETTINGS]


class Bench:
    """A block with a core that is made of dictionaries."""

    def __init__(self, rng, settings=None, *, latency=6):
        self.rng, self.latency = rng, latency
        self.dut = RegisterBlock(PARAMETERS, settings)
        self.map = self.dut.registers
        self.tables = {}
        self.counters = {}
        self.writes = 0
        self.spacings = set()
        self.strobes = {"clear": 0, "take_snapshot": 0}
        self.background = [self.write_tables, self.read_tables, self.read_counters, self.watch_counters]

    async def write_tables(self, ctx):
        """Also holds the block to what serial tables rest on: how close writes come, and that they stand still."""
        config = self.dut.config
        clock = last_change = -WRITE_SPACING
        last, enabled = None, 0
        async for _, _, enable, written in ctx.tick().sample(config.enable, config.write):
            now = written.table, written.index, written.entry
            assert not enabled or now == last
            if enable:
                self.writes += 1
                self.tables[written.table, written.index] = written.entry
                if now != last:
                    self.spacings.add(clock - last_change)
                    last_change = clock
                last = now
            enabled = enable
            clock += 1

    async def read_tables(self, ctx):
        bus = self.dut.entries
        while True:
            ctx.set(bus.valid, 0)
            ctx.set(bus.entry, self.rng.getrandbits(len(bus.entry)))
            while not ctx.get(bus.strobe):
                await ctx.tick()
            asked = ctx.get(bus.table), ctx.get(bus.index)
            for _ in range(self.rng.randint(0, self.latency)):
                await ctx.tick()
                assert not ctx.get(bus.strobe)
                assert (ctx.get(bus.table), ctx.get(bus.index)) == asked
            ctx.set(bus.entry, self.tables.get(asked, 0))
            ctx.set(bus.valid, 1)
            await ctx.tick()

    async def read_counters(self, ctx):
        requests, responses = self.dut.counters.requests, self.dut.counters.responses
        while True:
            while not ctx.get(requests.valid):
                await ctx.tick()
            asked = ctx.get(Value.cast(requests.payload))
            for _ in range(self.rng.randint(0, self.latency)):
                await ctx.tick()
                assert ctx.get(requests.valid)
                assert ctx.get(Value.cast(requests.payload)) == asked
            ctx.set(requests.ready, 1)
            await ctx.tick()
            ctx.set(requests.ready, 0)
            for _ in range(self.rng.randint(0, self.latency)):
                assert not ctx.get(requests.valid)
                await ctx.tick()
            ctx.set(responses.payload, self.counters.get(asked, 0))
            ctx.set(responses.valid, 1)
            assert ctx.get(responses.ready)
            await ctx.tick()
            ctx.set(responses.valid, 0)
            ctx.set(responses.payload, self.rng.getrandbits(64))

    async def watch_counters(self, ctx):
        bus = self.dut.counters
        async for _, _, clear, snapshot in ctx.tick().sample(bus.clear, bus.take_snapshot):
            assert not (clear and snapshot)
            self.strobes["clear"] += clear
            self.strobes["take_snapshot"] += snapshot

    def run(self, bench):
        async def ready(ctx):
            ctx.set(self.dut.ready, 1)
            await bench(ctx)

        simulate(self.dut, ready, background=self.background)

    def address(self, name, index=0):
        return self.map[name].address + 4 * index

    async def read(self, ctx, name, index=0):
        return await read(ctx, self.dut.bus, self.address(name, index))

    async def write(self, ctx, name, value, index=0):
        await write(ctx, self.dut.bus, self.address(name, index), value)

    async def error(self, ctx, name, value=None, index=0, strobes=FULL):
        """Whether the access is refused."""
        return (await access(ctx, self.dut.bus, self.address(name, index), value, strobes)).error

    async def wait(self, ctx, name):
        """Wait for the busy bit of a status register to fall."""
        for _ in range(100):
            if not await self.read(ctx, name) & 1:
                return
        raise AssertionError(f"{name}.busy stays set")

    async def stage(self, ctx, entry):
        for index in range(self.map["TABLE_DATA"].count):
            await self.write(ctx, "TABLE_DATA", entry >> 32 * index & 0xFFFFFFFF, index)

    async def staged(self, ctx):
        words = [await self.read(ctx, "TABLE_DATA", index) for index in range(self.map["TABLE_DATA"].count)]
        return sum(word << 32 * index for index, word in enumerate(words))

    def settings(self, ctx):
        view = ctx.get(self.dut.config.settings)
        return {name: view[name] for name in SETTINGS_PLACES}


def some_settings(rng):
    return {name: rng.getrandbits(field.width) for name, field in settings_layout()}


def test_ports():
    members = RegisterBlock(PARAMETERS).signature.members
    assert members["config"].signature == config_bus(PARAMETERS)
    assert members["entries"].signature == entry_read_bus(PARAMETERS)
    assert members["counters"].signature == counter_bus()
    entries = entry_read_bus(PARAMETERS).members
    assert entries["index"].shape == write_layout(PARAMETERS)["index"].shape
    assert entries["entry"].shape == max(entry_layout(table, PARAMETERS).size for table in TABLES)
    assert counter_bus().members["responses"].signature.flip() == stream.Signature(unsigned(64))


@pytest.mark.parametrize("initial", [False, True])
def test_every_register_is_as_declared(rng, initial):
    """Reset value, access, and every byte by itself, of every word; and nothing between them."""
    settings = some_settings(rng) if initial else dict.fromkeys(SETTINGS_PLACES, 0)
    bench = Bench(rng, settings if initial else None)
    words = {address: one for address, one, _ in bench.map.words()}

    async def walk(ctx):
        bus = bench.dut.bus
        # What is refused shows in STATUS: the registers first.
        for address in (*words, *range(0, bench.map.size, 4)):
            answer = await access(ctx, bus, address)
            one = words.get(address)
            assert answer.error == (one is None or not one.readable), hex(address)
            if not answer.error and one.name != "STATUS":
                assert (answer.data ^ one.reset) & one.reset_mask == 0, one.name
        for address in range(0, bench.map.size, 4):
            one = words.get(address)
            if one is None or not one.writable:
                assert (await access(ctx, bus, address, rng.getrandbits(32))).error, hex(address)
        for address, one in words.items():
            mask = sum(field.mask for field in one.fields if field.access is Access.READ_WRITE)
            value = one.reset & mask
            for strobes in range(16) if mask else ():
                data = rng.getrandbits(32)
                await write(ctx, bus, address, data, strobes)
                value = merge(value, data, strobes) & mask
                assert await read(ctx, bus, address) == value, one.name
        assert not bench.writes
        assert bench.settings(ctx) == settings

    bench.run(walk)


def test_identification_reads_as_declared(rng):
    bench = Bench(rng)

    async def walk(ctx):
        assert (await bench.read(ctx, "MAGIC")).to_bytes(4) == b"VTEP"
        assert await bench.read(ctx, "VNI_ENTRIES") == 5
        assert await bench.read(ctx, "BUILD") & 0x3FF == 64

    bench.run(walk)


def test_settings_are_in_effect_at_once_when_committed_and_never_before(rng):
    bench = Bench(rng)
    seen = []

    async def watch(ctx):
        async for _, _, settings in ctx.tick().sample(Value.cast(bench.dut.config.settings)):
            if not seen or seen[-1] != settings:
                seen.append(settings)

    async def run(ctx):
        uncommitted = bench.map["STATUS"]["uncommitted"].mask
        wanted = [0]
        for _ in range(4):
            settings = some_settings(rng)
            words = list(pack_settings(bench.map, settings).items())
            rng.shuffle(words)
            assert not await bench.read(ctx, "STATUS") & uncommitted
            for name, value in words:
                await bench.write(ctx, name, value)
                assert await bench.read(ctx, "STATUS") & uncommitted
            assert len(seen) == len(wanted)
            await bench.write(ctx, "CONTROL", bench.map["CONTROL"].pack(commit_settings=1))
            assert not await bench.read(ctx, "STATUS") & uncommitted
            assert bench.settings(ctx) == settings
            wanted.append(settings_layout().const(settings).as_bits())
            for name, value in words:
                assert await bench.read(ctx, name) == value
            # What was committed can be had back.
            for name, _ in words:
                await bench.write(ctx, name, rng.getrandbits(32))
            await bench.write(ctx, "CONTROL", bench.map["CONTROL"].pack(revert_settings=1))
            assert not await bench.read(ctx, "STATUS") & uncommitted
            for name, value in words:
                assert await bench.read(ctx, name) == value
        await ctx.tick()
        assert seen == wanted

    bench.background.append(watch)
    bench.run(run)


def test_a_change_of_settings_is_announced_and_ends_the_access(rng):
    """The announcement ends with the change, as the access does; what is written behind it is no part of it."""
    bench = Bench(rng)
    seen = []

    async def watch(ctx):
        async for _, _, changes, settings in ctx.tick().sample(
            bench.dut.config.changes, Value.cast(bench.dut.config.settings)
        ):
            seen.append((changes, settings))

    async def run(ctx):
        settings = some_settings(rng)
        for name, value in pack_settings(bench.map, settings).items():
            await bench.write(ctx, name, value)
        seen.clear()
        await bench.write(ctx, "CONTROL", bench.map["CONTROL"].pack(commit_settings=1))
        assert bench.settings(ctx) == settings
        await bench.write(ctx, "MAC_LOW", settings["mac"] & 0xFFFFFFFF ^ 1)
        assert bench.settings(ctx) == settings
        announced = [changes for changes, _ in seen]
        first = announced.index(1)
        assert announced == [0] * first + [1] * SETTLING + [0] * (len(seen) - first - SETTLING)
        assert {value for _, value in seen[: first + SETTLING]} == {0}
        assert {value for _, value in seen[first + SETTLING :]} == {settings_layout().const(settings).as_bits()}

    bench.background.append(watch)
    bench.run(run)


def test_control_takes_one_whole_command_at_a_time(rng):
    bench = Bench(rng)

    async def run(ctx):
        commands = [1 << i for i in range(4)]
        await bench.write(ctx, "MAC_LOW", 77)
        for value in (*range(16), 0x10, 0x80000000):
            if value not in commands:
                assert await bench.error(ctx, "CONTROL", value)
        for value in commands:
            for strobes in range(15):
                assert await bench.error(ctx, "CONTROL", value, strobes=strobes)
        await ctx.tick().repeat(2)
        assert bench.strobes == {"clear": 0, "take_snapshot": 0}
        assert bench.settings(ctx)["mac"] == 0
        assert await bench.read(ctx, "MAC_LOW") == 77
        # Bits without a field do not matter.
        assert not await bench.error(ctx, "CONTROL", 1 | 0xFFFFFFF0)
        await ctx.tick()
        assert bench.settings(ctx)["mac"] == 77
        clear, snapshot = (bench.map["CONTROL"].pack(**{name: 1}) for name in ("clear_counters", "snapshot_counters"))
        await bench.write(ctx, "CONTROL", clear)
        await ctx.tick().repeat(2)
        assert bench.strobes == {"clear": 1, "take_snapshot": 0}
        await bench.write(ctx, "CONTROL", snapshot)
        await ctx.tick().repeat(2)
        assert bench.strobes == {"clear": 1, "take_snapshot": 1}
        ctx.set(bench.dut.counters.busy, 1)
        for value in (clear, snapshot):
            assert await bench.error(ctx, "CONTROL", value)
        await ctx.tick().repeat(2)
        assert bench.strobes == {"clear": 1, "take_snapshot": 1}
        await bench.write(ctx, "CONTROL", 2)

    bench.run(run)


def test_counters_that_become_busy_in_time_take_no_second_command(rng):
    bench = Bench(rng)

    async def run(ctx):
        await bench.write(ctx, "CONTROL", 4)
        # The strobe stands in the clock after the access, busy at latest in the one behind it.
        assert ctx.get(bench.dut.counters.clear)
        bus = bench.dut.bus
        ctx.set(bus.request, 1)
        ctx.set(bus.write, 1)
        ctx.set(bus.address, bench.address("CONTROL") // 4)
        ctx.set(bus.write_data, 8)
        await ctx.tick()
        ctx.set(bench.dut.counters.busy, 1)
        for _ in range(2):
            await ctx.tick()
        assert ctx.get(bus.ack)
        assert ctx.get(bus.error)

    bench.run(run)


def test_status(rng):
    bench = Bench(rng)
    field = {name: bench.map["STATUS"][name].mask for name in ("idle", "counters_busy", "refused")}

    async def run(ctx):
        for idle, busy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            ctx.set(bench.dut.idle, idle)
            ctx.set(bench.dut.counters.busy, busy)
            assert await bench.read(ctx, "STATUS") == idle * field["idle"] | busy * field["counters_busy"]
        for cause in (("MAGIC", 1), ("CONTROL", None), ("CONTROL", 0)):
            assert await bench.error(ctx, *cause)
            assert await bench.read(ctx, "STATUS") & field["refused"]
            await bench.write(ctx, "STATUS", 0xFFFFFFFF & ~field["refused"])
            assert await bench.read(ctx, "STATUS") & field["refused"]
            await bench.write(ctx, "STATUS", field["refused"])
            assert not await bench.read(ctx, "STATUS") & field["refused"]

    bench.run(run)


def test_entries_are_written_whole_and_read_back(rng):
    """Random writes and reads, with the command right behind what it is for."""
    bench = Bench(rng)
    model = {}

    async def run(ctx):
        for _ in range(60):
            table = rng.choice(TABLES)
            last = table_capacity(table, PARAMETERS) - 1
            index = rng.choice((0, last, rng.randint(0, last)))
            size = entry_layout(table, PARAMETERS).size
            place = [("TABLE_SELECT", table.value), ("TABLE_INDEX", index)]
            rng.shuffle(place)
            if rng.getrandbits(1):
                model[table.value, index] = entry = rng.getrandbits(size)
                await bench.stage(ctx, entry)
                for name, value in place:
                    await bench.write(ctx, name, value)
                before = bench.writes
                await bench.write(ctx, "TABLE_COMMAND", 1)
                await ctx.tick().repeat(2)
                assert bench.writes == before + 1
                assert bench.tables[Table(table.value), index] == entry
                assert await bench.staged(ctx) == entry
            else:
                await bench.stage(ctx, rng.getrandbits(256))
                for name, value in place:
                    await bench.write(ctx, name, value)
                await bench.write(ctx, "TABLE_COMMAND", 2)
                await bench.wait(ctx, "TABLE_STATUS")
                assert await bench.staged(ctx) == model.get((table.value, index), 0)
            assert await bench.read(ctx, "TABLE_SELECT") == table.value
            assert await bench.read(ctx, "TABLE_INDEX") == index

    bench.run(run)
    assert bench.writes > 10


def test_writes_that_differ_keep_their_distance(rng):
    bench = Bench(rng)
    addresses = {register.name: address for address, register, _ in reversed(list(bench.map.words()))}

    async def main(ctx):
        ctx.set(bench.dut.ready, 1)
        bus = bench.dut.bus
        await write(ctx, bus, addresses["TABLE_SELECT"], Table.REMOTE.value)
        for index in range(12):
            await write(ctx, bus, addresses["TABLE_INDEX"], index)
            for _ in range(rng.choice((1, 1, 2))):
                await write(ctx, bus, addresses["TABLE_COMMAND"], 1)
            if rng.random() < 0.3:
                await ctx.tick().repeat(3)

    simulate(bench.dut, main, background=bench.background)
    assert bench.writes >= 12
    assert min(bench.spacings) == WRITE_SPACING


def test_refuses_commands_for_what_is_not_there(rng):
    bench = Bench(rng)

    async def run(ctx):
        for command in (1, 2):
            for table in TABLES:
                capacity = table_capacity(table, PARAMETERS)
                for index in (capacity, capacity + 1, 1 << 8, 1 << 16, 1 << 31, 0xFFFFFFFF):
                    if index < capacity:
                        continue
                    await bench.write(ctx, "TABLE_INDEX", 0)
                    await bench.write(ctx, "TABLE_SELECT", table.value)
                    await bench.write(ctx, "TABLE_INDEX", index)
                    assert await bench.error(ctx, "TABLE_COMMAND", command), (table, index)
            await bench.write(ctx, "TABLE_INDEX", 0)
            for select in (Table.SETTINGS.value, len(Table), 8 + Table.VNI.value, 255):
                await bench.write(ctx, "TABLE_SELECT", Table.VNI.value)
                await bench.write(ctx, "TABLE_SELECT", select)
                assert await bench.error(ctx, "TABLE_COMMAND", command), select
        await bench.write(ctx, "TABLE_SELECT", Table.VNI.value)
        for value in (0, 3, 4):
            assert await bench.error(ctx, "TABLE_COMMAND", value)
        for strobes in range(15):
            assert await bench.error(ctx, "TABLE_COMMAND", 1, strobes=strobes)
        await ctx.tick().repeat(2)
        assert not bench.writes
        assert await bench.read(ctx, "TABLE_STATUS") == 0
        await bench.write(ctx, "TABLE_COMMAND", 1)
        await ctx.tick().repeat(2)
        assert bench.writes == 1

    bench.run(run)


def test_table_registers_are_closed_while_a_read_is_under_way(rng):
    bench = Bench(rng)
    bench.background.remove(bench.read_tables)

    async def run(ctx):
        names = ("TABLE_SELECT", "TABLE_INDEX", "TABLE_COMMAND", "TABLE_DATA")
        await bench.write(ctx, "TABLE_SELECT", Table.TUNNEL.value)
        await bench.write(ctx, "TABLE_INDEX", 3)
        await bench.write(ctx, "TABLE_COMMAND", 2)
        for _ in range(3):
            assert await bench.read(ctx, "TABLE_STATUS") == 1
            for name in names:
                assert await bench.error(ctx, name, 1)
                assert await bench.error(ctx, name)
            await bench.read(ctx, "STATUS")
            await bench.write(ctx, "SCRATCH", 5)
        entry = rng.getrandbits(227)
        ctx.set(bench.dut.entries.entry, entry)
        ctx.set(bench.dut.entries.valid, 1)
        await ctx.tick()
        ctx.set(bench.dut.entries.entry, 0)
        await ctx.tick()  # nobody asked for this one
        ctx.set(bench.dut.entries.valid, 0)
        assert await bench.read(ctx, "TABLE_STATUS") == 0
        assert await bench.staged(ctx) == entry
        assert not bench.writes

    bench.run(run)


def test_counters_are_read_whole(rng):
    bench = Bench(rng)

    async def run(ctx):
        pack = bench.map["COUNTER_COMMAND"].pack
        for _ in range(40):
            address, snapshot = rng.getrandbits(COUNTER_ADDRESS_BITS), rng.getrandbits(1)
            key = address | snapshot << COUNTER_ADDRESS_BITS
            bench.counters[key] = value = rng.getrandbits(64)
            await bench.write(ctx, "COUNTER_COMMAND", pack(address=address, snapshot=snapshot))
            for name in rng.sample(("COUNTER_LOW", "COUNTER_HIGH"), 2):
                # Refused or right, at any moment.
                answer = await access(ctx, bench.dut.bus, bench.address(name))
                right = value & 0xFFFFFFFF if name == "COUNTER_LOW" else value >> 32
                assert answer.error or answer.data == right
            await bench.wait(ctx, "COUNTER_STATUS")
            assert await bench.read(ctx, "COUNTER_HIGH") << 32 | await bench.read(ctx, "COUNTER_LOW") == value

    bench.run(run)


def test_counter_registers_are_closed_while_a_read_is_under_way(rng):
    bench = Bench(rng)
    bench.background.remove(bench.read_counters)

    async def run(ctx):
        requests, responses = bench.dut.counters.requests, bench.dut.counters.responses
        for address in (1 << COUNTER_ADDRESS_BITS, 1 << 23, 0xFFFFFF):
            assert await bench.error(ctx, "COUNTER_COMMAND", address)
        for strobes in range(15):
            assert await bench.error(ctx, "COUNTER_COMMAND", 1, strobes=strobes)
        assert not ctx.get(requests.valid)
        ctx.set(responses.valid, 1)  # nobody asked
        ctx.set(responses.payload, 0x1111)
        assert await bench.read(ctx, "COUNTER_LOW") == 0
        ctx.set(responses.valid, 0)
        await bench.write(ctx, "COUNTER_COMMAND", 5)
        for ready in (0, 0, 1, 0):
            ctx.set(requests.ready, ready)
            assert await bench.read(ctx, "COUNTER_STATUS") == 1
            for name in ("COUNTER_LOW", "COUNTER_HIGH"):
                assert await bench.error(ctx, name)
            assert await bench.error(ctx, "COUNTER_COMMAND", 6)
            await bench.write(ctx, "SCRATCH", 5)
        assert not ctx.get(requests.valid)
        ctx.set(responses.valid, 1)
        ctx.set(responses.payload, 0xABCDEF0123456789)
        await ctx.tick()
        ctx.set(responses.valid, 0)
        assert await bench.read(ctx, "COUNTER_STATUS") == 0
        assert await bench.read(ctx, "COUNTER_LOW") == 0x23456789
        assert await bench.read(ctx, "COUNTER_HIGH") == 0xABCDEF01

    bench.run(run)


def test_the_tables_are_closed_until_they_are_ready(rng):
    bench = Bench(rng)

    async def run(ctx):
        ctx.set(bench.dut.ready, 0)
        assert await bench.read(ctx, "TABLE_STATUS") == 1
        for name in ("TABLE_SELECT", "TABLE_INDEX", "TABLE_DATA", "TABLE_COMMAND"):
            assert await bench.error(ctx, name, 1)
        assert not bench.writes
        await bench.write(ctx, "MAC_LOW", 1)
        ctx.set(bench.dut.ready, 1)
        await ctx.tick()
        assert await bench.read(ctx, "TABLE_STATUS") == 0
        await bench.write(ctx, "TABLE_SELECT", Table.VNI.value)

    bench.run(run)


def test_reset(rng):
    settings = some_settings(rng)
    bench = Bench(rng, settings)
    reset = Signal()

    async def run(ctx):
        ctx.set(bench.dut.ready, 1)
        for name in pack_settings(bench.map, {}):
            await bench.write(ctx, name, rng.getrandbits(32))
        await bench.write(ctx, "CONTROL", 1)
        await ctx.tick()
        assert bench.settings(ctx) != settings
        await bench.write(ctx, "MAC_LOW", 1)
        await bench.write(ctx, "COUNTER_COMMAND", 1)
        await bench.write(ctx, "TABLE_SELECT", Table.VNI.value)
        await bench.write(ctx, "TABLE_COMMAND", 2)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        assert bench.settings(ctx) == settings
        assert not ctx.get(bench.dut.counters.requests.valid)
        for address, one, _ in bench.map.words():
            if one.readable:
                value = await read(ctx, bench.dut.bus, address)
                assert (value ^ one.reset) & one.reset_mask == 0, one.name

    simulate(ResetInserter(reset)(bench.dut), run)


def test_refuses_settings():
    assert_refused("there is no setting 'x'", RegisterBlock, PARAMETERS, {"x": 1})
