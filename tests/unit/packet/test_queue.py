import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from helpers.packet_bench import assert_refused, random_packets, receive_packets, send_packets, simulate
from vtep.packet.queue import PacketQueue
from vtep.stream.checker import PacketChecker


@pytest.mark.parametrize("data_width", [8, 64, 512])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.6, 0.1), (0.1, 0.6)])
def test_passes_everything_in_order(rng, data_width, idle, stall):
    """Some packets are longer than the queue."""
    lanes = data_width // 8
    m = Module()
    m.submodules.dut = dut = PacketQueue(data_width, depth=16)
    m.submodules.checker = checker = PacketChecker(data_width)
    checker.watch(m, dut.o)
    sent = random_packets(rng, 50, lanes=lanes, longest=10 * lanes)
    for length in (15, 16, 17, 50):
        sent.insert(rng.randrange(len(sent)), (rng.randbytes(length * lanes), False))

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, idle=idle)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng, stall=stall) == sent
        await ctx.tick().repeat(6)
        assert ctx.get(dut.idle)
        assert not ctx.get(checker.violation).as_value().value

    simulate(m, source, sink)


@pytest.mark.parametrize("beats", [1, 5])
def test_latency_counts_from_the_last_beat(rng, beats):
    dut = PacketQueue(64, depth=16)
    began = []

    async def source(ctx):
        await ctx.tick()
        assert ctx.get(dut.idle)
        await send_packets(ctx, dut.i, [bytes(8 * beats)], rng=rng, idle=0.5)

    async def watch(ctx):
        clock = last = 0
        async for _, _, valid, ready, end, leaves, idle in ctx.tick().sample(
            dut.i.valid, dut.i.ready, dut.i.payload.last, dut.o.valid, dut.idle
        ):
            if valid and ready and end:
                last = clock
            if leaves:
                began.append(clock - last)
                assert not idle
            clock += 1

    async def sink(ctx):
        await receive_packets(ctx, dut.o, 1, rng=rng)

    simulate(dut, source, sink, background=[watch])
    assert began[0] == 8


@pytest.mark.parametrize("beats", [1, 2, 3, 6])
def test_no_bubble_from_a_slow_source_once_packets_wait(rng, beats):
    dut = PacketQueue(64, depth=64)
    sent = [rng.randbytes(8 * beats) for _ in range(8)]
    clocks = []

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, idle=0.5)

    async def sink(ctx):
        await ctx.tick().repeat(200)
        received = await receive_packets(ctx, dut.o, len(sent), rng=rng, clocks=clocks)
        assert [packet for packet, _ in received] == sent

    simulate(dut, source, sink)
    assert len(clocks) == beats * len(sent)
    assert clocks == list(range(clocks[0], clocks[0] + len(clocks)))


def test_a_slow_source_leaves_no_gap_inside_a_packet(rng):
    dut = PacketQueue(16, depth=32)
    sent = [rng.randbytes(rng.randint(1, 40)) for _ in range(10)]
    clocks = []

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, idle=0.8)

    async def sink(ctx):
        await receive_packets(ctx, dut.o, len(sent), rng=rng, clocks=clocks)

    simulate(dut, source, sink)
    for packet in sent:
        beats = -(-len(packet) // 2)
        assert clocks[beats - 1] - clocks[0] == beats - 1
        del clocks[:beats]


def test_many_packets_wait(rng):
    """At least 16 packets of one beat are taken while nothing leaves, and none is lost."""
    dut = PacketQueue(64, depth=64)
    sent = [bytes([number]) for number in range(40)]
    taken = []

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng)

    async def sink(ctx):
        for _ in range(100):
            *_, valid, ready = await ctx.tick().sample(dut.i.valid, dut.i.ready)
            if valid and ready:
                taken.append(ready)
        received = await receive_packets(ctx, dut.o, len(sent), rng=rng)
        assert [packet for packet, _ in received] == sent

    simulate(dut, source, sink)
    assert 16 <= len(taken) <= 28


def test_reset_forgets_what_is_inside(rng):
    dut = PacketQueue(64, depth=16)
    reset = Signal()

    async def bench(ctx):
        for inside in ([bytes(8)] * 5, [bytes(100)]):
            for packet in inside:
                await send_packets(ctx, dut.i, [packet[:56]], rng=rng)
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload.last, 0)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert ctx.get(dut.idle)
            await ctx.tick()
            await send_packets(ctx, dut.i, [(b"after", True)], rng=rng)
            assert await receive_packets(ctx, dut.o, 1, rng=rng) == [(b"after", True)]

    simulate(ResetInserter(reset)(dut), bench)


def test_refuses():
    assert_refused("data_width must be one of", PacketQueue, 24, depth=16)
    assert_refused(r"depth must be .* 8 \.\. 16777216, not 4", PacketQueue, 64, depth=4)
    assert_refused(r"depth must be a power of two within 8 \.\. 16777216, not 24", PacketQueue, 64, depth=24)
