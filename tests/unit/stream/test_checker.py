import pytest
from amaranth.hdl import Module

from helpers.packet_bench import StreamRules, random_packets, receive_packets, send_packets, simulate
from vtep.stream.checker import PacketChecker
from vtep.stream.packet import packet_layout
from vtep.stream.skid import SkidBuffer

BEAT = {"data": 0x0807060504030201, "empty": 0, "last": 0, "error": 0}
LAST = BEAT | {"empty": 3, "last": 1}


def flags(ctx, dut):
    violation = ctx.get(dut.violation)
    return {name for name in dict(violation.shape()) if violation[name]}


@pytest.mark.parametrize(
    ("clocks", "broken"),
    [
        ([(1, 0, BEAT), (1, 1, BEAT), (0, 1, LAST), (1, 1, LAST)], set()),
        ([(1, 0, LAST), (1, 0, LAST), (1, 1, LAST), (1, 0, BEAT)], set()),
        ([(1, 0, BEAT), (0, 0, BEAT), (1, 1, BEAT)], {"valid_dropped"}),
        ([(1, 0, BEAT), (0, 1, BEAT)], {"valid_dropped"}),
        ([(1, 0, BEAT), (1, 1, BEAT | {"data": 1})], {"payload_changed"}),
        ([(1, 0, LAST), (1, 1, LAST | {"empty": 2})], {"payload_changed"}),
        ([(1, 0, LAST), (1, 1, LAST | {"error": 1})], {"payload_changed"}),
        ([(1, 0, LAST), (1, 1, LAST | {"data": LAST["data"] ^ 1 << 63})], {"payload_changed"}),
        ([(1, 0, BEAT), (1, 1, BEAT | {"last": 1})], {"payload_changed"}),
        ([(1, 1, BEAT | {"empty": 1})], {"partial_beat"}),
        ([(1, 0, BEAT | {"empty": 7})], {"partial_beat"}),
        ([(0, 1, BEAT | {"empty": 7})], set()),
        ([(1, 0, BEAT), (1, 1, BEAT | {"empty": 1})], {"payload_changed", "partial_beat"}),
    ],
)
def test_each_rule(clocks, broken):
    dut = PacketChecker(64)
    layout = packet_layout(64)
    rules = StreamRules(layout)
    seen_by_bench = False

    async def bench(ctx):
        nonlocal seen_by_bench
        for valid, ready, payload in clocks:
            ctx.set(dut.valid, valid)
            ctx.set(dut.ready, ready)
            ctx.set(dut.payload, payload)
            try:
                rules.check(valid, ready, layout.const(payload).as_value().value)
            except AssertionError:
                seen_by_bench = True
            await ctx.tick()
        assert flags(ctx, dut) == broken
        # Sticky: clocks without fault take nothing back.
        ctx.set(dut.valid, 0)
        await ctx.tick()
        expected = broken | ({"valid_dropped"} if clocks[-1][:2] == (1, 0) else set())
        assert flags(ctx, dut) == expected

    simulate(dut, bench)
    assert seen_by_bench == bool(broken)


def test_length_stands_still_too():
    dut = PacketChecker(8, length=True)

    async def bench(ctx):
        ctx.set(dut.valid, 1)
        ctx.set(dut.payload.length, 100)
        await ctx.tick()
        ctx.set(dut.payload.length, 101)
        await ctx.tick()
        assert flags(ctx, dut) == {"payload_changed"}

    simulate(dut, bench)


@pytest.mark.parametrize("data_width", [8, 16, 512])
def test_watches_a_stream(rng, data_width):
    m = Module()
    m.submodules.slice = registers = SkidBuffer(packet_layout(data_width))
    m.submodules.checker = checker = PacketChecker(data_width)
    checker.watch(m, registers.o)
    sent = random_packets(rng, 20, lanes=data_width // 8, longest=200)
    insides = set()

    async def source(ctx):
        await send_packets(ctx, registers.i, sent, rng=rng, idle=0.3)

    async def sink(ctx):
        assert await receive_packets(ctx, registers.o, len(sent), rng=rng, stall=0.3) == sent
        assert not flags(ctx, checker)
        assert not ctx.get(checker.inside)

    async def inside(ctx):
        async for *_, value in ctx.tick().sample(checker.inside):
            insides.add(value)

    simulate(m, source, sink, background=[inside])
    assert insides == {0, 1}


def test_refuses_another_layout():
    m = Module()
    m.submodules.slice = registers = SkidBuffer(packet_layout(16))
    m.submodules.checker = checker = PacketChecker(8)
    with pytest.raises(TypeError, match="payload layouts differ"):
        checker.watch(m, registers.o)
    simulate(m)
