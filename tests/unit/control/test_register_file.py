import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.lib import data

from helpers.packet_bench import simulate
from helpers.register_bench import FULL, access, merge, read, write
from vtep.control.register_file import RegisterFile, fields_layout
from vtep.control.register_map import Access, Field, Register, RegisterMap


def field(name, low, width, access=Access.READ_WRITE, **more):
    return Field(name=name, low=low, width=width, description="", access=access, **more)


def register(name, address, *fields, **more):
    return Register(name=name, address=address, fields=fields, description="", **more)


RO, W1C, WO = Access.READ_ONLY, Access.WRITE_ONE_TO_CLEAR, Access.WRITE_ONLY
STATE = register("STATE", 0xA0, field("busy", 3, 1, RO, volatile=True), field("lazy", 4, 1, RO, volatile=True))
MAP = RegisterMap(
    name="m",
    title="",
    description="",
    size=512,
    registers=(
        register("ID", 0x00, field("id", 0, 32, RO, reset=0x12345678)),
        register("PLAIN", 0x3C, field("a", 0, 3, reset=5), field("b", 5, 17, reset=0x1ABCD), field("c", 31, 1)),
        register(
            "MIXED",
            0x40,
            field("now", 0, 12, RO, volatile=True, reset=None),
            field("event", 14, 4, W1C, volatile=True, reset=0b1000),
            field("mode", 20, 2),
        ),
        register("ARRAY", 0x78, field("x", 4, 24, reset=7), count=4),
        register("LOADED", 0x90, field("x", 0, 32, volatile=True), count=2, guard="STATE.busy"),
        register("GO", 0x9C, field("code", 0, 8, WO), field("flag", 31, 1, WO), guard="STATE.busy"),
        STATE,
        register("RESULT", 0xFC, field("x", 0, 32, RO, volatile=True), guard="STATE.lazy"),
        register("OTHER", 0x100, field("x", 0, 32, WO)),
        register("LAST", 0x1FC, field("x", 8, 8)),
    ),
)
WORDS = {address: (one, index) for address, one, index in MAP.words()}


class Model:
    """What each word holds, and how an access of it must end."""

    def __init__(self):
        self.words = {address: one.reset for address, (one, _) in WORDS.items()}
        self.refuse = {one.name: 0 for one in MAP if one.is_command}
        self.commands = []

    def put(self, address, name, value):
        """Give the field ``name`` a value."""
        place = WORDS[address][0][name]
        self.words[address] = self.words[address] & ~place.mask | place.place(value)

    def access(self, address, data, strobes):
        """Return whether it is refused, and what a read gives."""
        if address not in WORDS:
            return 1, None
        one, _ = WORDS[address]
        guard, bit = one.guard.partition(".")[::2] if one.guard else ("", "")
        busy = guard and STATE[bit].of(self.words[STATE.address])
        if data is None:
            return (1, None) if busy or not one.readable else (0, self.words[address])
        if busy or not one.writable:
            return 1, None
        if one.is_command:
            if strobes != FULL or self.refuse[one.name]:
                return 1, None
            self.commands.append((one.name, data & sum(place.mask for place in one.fields)))
            return 0, None
        old = self.words[address]
        for place in one.fields:
            if place.access is Access.READ_WRITE:
                self.put(address, place.name, place.of(merge(old, data, strobes)))
            elif place.access is W1C:
                self.put(address, place.name, place.of(old & ~merge(0, data, strobes)))
        return 0, None


def check_outputs(ctx, dut, model):
    for address, (one, index) in WORDS.items():
        for place in one.fields:
            if place.access is Access.READ_WRITE:
                view = getattr(dut, one.name.lower()).value
                value = ctx.get((view if one.count is None else view[index])[place.name])
                assert value == place.of(model.words[address]), (one.name, index, place.name)


def disturb(ctx, dut, model, rng):
    """Change what the hardware says; return the signals to be taken back after one clock."""
    ctx.set(dut.mixed.status["now"], now := rng.getrandbits(12))
    model.put(0x40, "now", now)
    for bit in ("busy", "lazy"):
        ctx.set(dut.state.status[bit], state := rng.random() < 0.2)
        model.put(0xA0, bit, state)
    ctx.set(dut.result.status["x"], result := rng.getrandbits(32))
    model.words[0xFC] = result
    for name in model.refuse:
        model.refuse[name] = int(rng.random() < 0.3)
        ctx.set(getattr(dut, name.lower()).refuse, model.refuse[name])
    ctx.set(dut.mixed.set["event"], events := rng.getrandbits(4) & rng.getrandbits(4))
    model.put(0x40, "event", MAP["MIXED"]["event"].of(model.words[0x40]) | events)
    for index in range(2):
        ctx.set(dut.loaded.next[index]["x"], loaded := rng.getrandbits(32))
        if index == 0:
            ctx.set(dut.loaded.load, load := rng.random() < 0.2)
        if load:
            model.words[0x90 + 4 * index] = loaded


def test_random_accesses_and_events_against_a_model(rng):
    dut = RegisterFile(MAP)
    model = Model()
    strobed, written = [], []

    async def bench(ctx):
        for _ in range(1500):
            check_outputs(ctx, dut, model)
            disturb(ctx, dut, model, rng)
            await ctx.tick()
            ctx.set(dut.mixed.set["event"], 0)
            ctx.set(dut.loaded.load, 0)
            for _ in range(rng.choice((1, 1, 2, 5))):
                address = rng.choice((*WORDS, 4 * rng.randrange(128)))
                data = rng.choice((None, rng.getrandbits(32)))
                strobes = rng.choice((FULL, FULL, rng.getrandbits(4)))
                error, value = model.access(address, data, strobes)
                answer = await access(ctx, dut.bus, address, data, strobes)
                assert answer.clocks == 4
                assert answer.error == error, (hex(address), data, strobes)
                if value is not None:
                    assert answer.data == value, hex(address)
                if data is not None and not error and address in WORDS and WORDS[address][0].name == "ARRAY":
                    written.append(address)

    async def watch(ctx):
        count = 0
        async for _, _, go, value, other, more, refused, ack, error, array in ctx.tick().sample(
            dut.go.strobe,
            dut.go.value,
            dut.other.strobe,
            dut.other.value,
            dut.refused,
            dut.bus.ack,
            dut.bus.error,
            dut.array.written,
        ):
            if go:
                strobed.append(("GO", MAP["GO"].pack(code=value.code, flag=value.flag)))
            if other:
                strobed.append(("OTHER", more.x))
            assert refused == (ack and error)
            count += array
            assert count in (len(written), len(written) + 1)

    simulate(dut, bench, background=[watch])
    assert strobed == model.commands
    assert len(strobed) > 20


def test_every_word_has_its_reset_value_and_every_other_address_is_refused():
    dut = RegisterFile(MAP)

    async def bench(ctx):
        for address in range(0, MAP.size, 4):
            answer = await access(ctx, dut.bus, address)
            one = WORDS[address][0] if address in WORDS else None
            assert answer.error == (one is None or not one.readable)
            if not answer.error:
                assert answer.data == one.reset
            if one is None:
                assert answer.data == 0

    simulate(dut, bench)


def test_reset():
    dut = RegisterFile(MAP)
    reset = Signal()

    async def bench(ctx):
        for address in (0x3C, 0x40, 0x78, 0x84, 0x90, 0x1FC):
            await write(ctx, dut.bus, address, 0xFFFFFFFF)
            assert await read(ctx, dut.bus, address) != WORDS[address][0].reset
        # In the midst of an access as well: it is forgotten.
        ctx.set(dut.bus.request, 1)
        for _ in range(3):
            await ctx.tick()
        assert ctx.get(dut.bus.ack)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        ctx.set(dut.bus.request, 0)
        for _ in range(5):
            assert not ctx.get(dut.bus.ack)
            await ctx.tick()
        for address, (one, _) in WORDS.items():
            if one.readable:
                assert await read(ctx, dut.bus, address) == one.reset

    simulate(ResetInserter(reset)(dut), bench)


def test_an_event_prevails_over_clearing_it_and_a_load_over_a_write():
    dut = RegisterFile(MAP)

    async def bench(ctx):
        await write(ctx, dut.bus, 0x40, 0xFFFFFFFF)
        for event in (0, 1):
            ctx.set(dut.mixed.set["event"], event)
            ctx.set(dut.loaded.next[1]["x"], 99)
            ctx.set(dut.loaded.load, event)
            await write(ctx, dut.bus, 0x40, 0b11 << 14)
            await write(ctx, dut.bus, 0x94, 5)
            ctx.set(dut.mixed.set["event"], 0)
            ctx.set(dut.loaded.load, 0)
            assert MAP["MIXED"]["event"].of(await read(ctx, dut.bus, 0x40)) == event
            assert await read(ctx, dut.bus, 0x94) == (99 if event else 5)

    simulate(dut, bench)


@pytest.mark.parametrize("start", range(8))
def test_no_word_is_read_with_the_guard_of_another_clock(start):
    """The value changes as the guard falls; a read sees the new value or is refused, wherever it starts."""
    dut = RegisterFile(MAP)
    refused = []

    async def hardware(ctx):
        ctx.set(dut.state.status["lazy"], 1)
        ctx.set(dut.result.status["x"], 1)
        for _ in range(8):
            await ctx.tick()
        ctx.set(dut.state.status["lazy"], 0)
        ctx.set(dut.result.status["x"], 2)

    async def bench(ctx):
        for _ in range(start):
            await ctx.tick()
        for _ in range(4):
            answer = await access(ctx, dut.bus, 0xFC)
            refused.append(answer.error)
            assert answer.error or answer.data == 2

    simulate(dut, hardware, bench)
    assert refused[0] == (start < 7)
    assert not refused[-1]


@pytest.mark.parametrize("held", [0, 1, 2, 3])
def test_a_command_stands_still_before_its_strobe_and_is_refused_in_time(held):
    """``refuse`` counts in the clock before the strobe, and in no other."""
    dut = RegisterFile(MAP)

    async def bench(ctx):
        ctx.set(dut.bus.request, 1)
        ctx.set(dut.bus.write, 1)
        ctx.set(dut.bus.address, 0x100 // 4)
        ctx.set(dut.bus.write_data, 0xCAFE)
        ctx.set(dut.bus.write_bytes, FULL)
        for clock in range(4):
            ctx.set(dut.other.refuse, clock == held)
            assert ctx.get(dut.other.value["x"]) == 0xCAFE
            assert ctx.get(dut.bus.ack) == (clock == 3)
            assert ctx.get(dut.other.strobe) == (clock == 3 and held != 2)
            assert clock < 3 or ctx.get(dut.bus.error) == (held == 2)
            await ctx.tick()

    simulate(dut, bench)


def test_shapes():
    fields = MAP["PLAIN"].fields
    assert fields_layout(MAP["PLAIN"], fields) == data.StructLayout({"a": 3, "b": 17, "c": 1})
    assert fields_layout(MAP["ARRAY"], MAP["ARRAY"].fields) == data.ArrayLayout(data.StructLayout({"x": 24}), 4)
    members = RegisterFile(MAP).signature.members
    assert "id" not in members
    ports = {
        name: {port: member.shape for port, member in members[name].signature.members.items()}
        for name in ("plain", "mixed", "loaded", "go", "state")
    }
    loaded = data.ArrayLayout(data.StructLayout({"x": 32}), 2)
    assert ports == {
        "plain": {"value": fields_layout(MAP["PLAIN"], fields), "written": 1},
        "mixed": {
            "value": data.StructLayout({"mode": 2}),
            "written": 1,
            "status": data.StructLayout({"now": 12}),
            "set": data.StructLayout({"event": 4}),
        },
        "loaded": {"value": loaded, "written": 1, "load": 1, "next": loaded},
        "go": {"value": data.StructLayout({"code": 8, "flag": 1}), "strobe": 1, "refuse": 1},
        "state": {"status": data.StructLayout({"busy": 1, "lazy": 1})},
    }
