from collections import deque

import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import assert_refused, random_packets, receive_packets, send_packets, simulate
from vtep.stream.fifo import TokenQueue
from vtep.stream.packet import packet_layout

SHAPES = [(2, False), (4, False), (4, True), (16, False), (16, True)]
SPACED = [
    {"spaced": True},
    {"spaced": True, "register_output": True},
    {"spaced": True, "register_output": True, "block": True},
]
ALL_SHAPES = [(depth, {"register_output": registered}) for depth, registered in SHAPES] + [
    (depth, options) for depth in (4, 16) for options in SPACED
]


@pytest.mark.parametrize(("depth", "options"), ALL_SHAPES)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.6, 0.1), (0.1, 0.6)])
def test_passes_everything_in_order(rng, depth, options, idle, stall):
    dut = TokenQueue(packet_layout(16), depth, **options)
    sent = random_packets(rng, 40, lanes=2, longest=20)

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, idle=idle)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng, stall=stall) == sent
        await ctx.tick()
        assert ctx.get(dut.level) == 0

    simulate(dut, source, sink)


@pytest.mark.parametrize(("depth", "register_output"), SHAPES)
def test_full_rate_and_latency(depth, register_output):
    dut = TokenQueue(8, depth, register_output=register_output)

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        for clock in range(3 * depth):
            ctx.set(dut.i.payload, clock)
            assert ctx.get(dut.i.ready)
            assert ctx.get(dut.o.valid) == (clock >= dut.latency)
            if clock >= dut.latency:
                assert ctx.get(dut.o.payload) == clock - dut.latency
            await ctx.tick()

    assert dut.latency == 1
    simulate(dut, bench)


@pytest.mark.parametrize(("depth", "options"), ALL_SHAPES)
def test_holds_its_depth_and_reset_empties_it(depth, options):
    dut = TokenQueue(8, depth, **options)

    async def bench(ctx):
        for _ in range(2):
            ctx.set(dut.i.valid, 1)
            for level in range(depth):
                assert ctx.get(dut.level) == level
                assert ctx.get(dut.i.ready)
                ctx.set(dut.i.payload, level)
                await ctx.tick()
            assert ctx.get(dut.level) == depth
            assert not ctx.get(dut.i.ready)
            assert not ctx.get(dut.room)
            ctx.set(dut.i.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert ctx.get(dut.level) == 0
            assert not ctx.get(dut.o.valid)
            assert ctx.get(dut.room)

    reset = Signal()
    simulate(ResetInserter(reset)(dut), bench)


@pytest.mark.parametrize(("depth", "options"), ALL_SHAPES)
@pytest.mark.parametrize("margin", [0, 1, 3, 7])
def test_room_keeps_a_pipeline_from_overflowing(rng, depth, options, margin):
    if margin >= depth:
        assert_refused(f"margin must be .* 0 .. {depth - 1}", TokenQueue, 8, depth, margin)
        return
    dut = TokenQueue(8, depth, margin, **options)
    filled = 0

    async def bench(ctx):
        nonlocal filled
        pipeline = deque([None] * margin)
        expected = deque()
        launched = 0
        for clock in range(1500):
            assert ctx.get(dut.room) == (ctx.get(dut.level) + margin < depth)
            eager = 1.0 if clock % 450 < 300 else 0.5
            token = None
            if ctx.get(dut.room) and rng.random() < eager:
                token = launched % 256
                launched += 1
            pipeline.append(token)
            arriving = pipeline.popleft()
            ctx.set(dut.i.valid, arriving is not None)
            ctx.set(dut.i.payload, arriving or 0)
            # Stalled long enough to fill the queue, then slow, then fast.
            ctx.set(dut.o.ready, rng.random() < (0.0, 0.2, 0.9)[clock // 50 % 3])
            _, _, written, ready, valid, taken, payload = await ctx.tick().sample(
                dut.i.valid, dut.i.ready, dut.o.valid, dut.o.ready, dut.o.payload
            )
            assert ready or not written, "overflow"
            if written:
                expected.append(arriving)
            if valid and taken:
                assert payload == expected.popleft()
            filled = max(filled, ctx.get(dut.level))

    simulate(dut, bench)
    assert filled == depth, "the queue was never filled to the brim: room is too careful"


@pytest.mark.parametrize("margin", [0, 1, 5])
def test_a_queue_that_empties_keeps_a_pipeline_busy(margin):
    dut = TokenQueue(8, 8, margin)

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        for _ in range(30):
            assert ctx.get(dut.room)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize(("options", "latency"), list(zip(SPACED, (1, 2, 3), strict=True)))
def test_spaced_tokens_come_every_second_clock(options, latency):
    dut = TokenQueue(8, 8, **options)

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        taken, shown = [], []
        for clock in range(40):
            ctx.set(dut.i.payload, clock)
            *_, valid, payload, ready = await ctx.tick().sample(dut.o.valid, dut.o.payload, dut.i.ready)
            taken.append(payload if valid else None)
            shown.append(payload)
            if not ready:
                break
        first = dut.latency
        assert first == latency
        assert set(taken[:first]) == {None}
        given, pauses = taken[first::2], taken[first + 1 :: 2]
        assert given == list(range(len(given)))
        assert set(pauses) == {None}
        assert shown[first + 1 :: 2] == given[: len(pauses)]  # it stays for the clock behind
        assert len(taken) > 12

    simulate(dut, bench)


def test_refuses_spaced():
    assert_refused("spaced must be False", TokenQueue, 8, 2, spaced=True)


@pytest.mark.parametrize("options", [{}, {"spaced": True}, {"register_output": True}])
def test_refuses_block_without_what_it_needs(options):
    assert_refused("block needs", TokenQueue, 8, 16, block=True, **options)


@pytest.mark.parametrize("depth", [0, 1, 3, 2048, -2, 2.0, True])
def test_refuses_depth(depth):
    assert_refused(r"depth must be .*2 \.\. 1024", TokenQueue, 8, depth)
