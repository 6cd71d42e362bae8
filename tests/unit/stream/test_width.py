import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from helpers.packet_bench import assert_refused, random_packets, receive_packets, send_packets, simulate
from vtep.stream.checker import PacketChecker
from vtep.stream.width import WidthConverter

PAIRS = [(8, 8), (8, 16), (8, 64), (16, 8), (64, 8), (32, 64), (64, 32), (8, 512), (512, 8), (512, 128)]


@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.5, 0.1), (0.2, 0.6)])
@pytest.mark.parametrize(("input_width", "output_width"), PAIRS)
def test_the_same_packets(rng, input_width, output_width, idle, stall):
    m = Module()
    m.submodules.dut = dut = WidthConverter(input_width, output_width)
    m.submodules.checker = checker = PacketChecker(output_width)
    checker.watch(m, dut.o)
    lanes = max(input_width, output_width) // 8
    sent = random_packets(rng, 40, lanes=lanes, longest=max(30, 4 * lanes), errors=0.3)

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, idle=idle)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng, stall=stall) == sent
        assert not ctx.get(checker.violation).as_value().value

    simulate(m, source, sink)


@pytest.mark.parametrize(("input_width", "output_width"), [(8, 64), (64, 8), (16, 32), (512, 64)])
def test_the_narrow_side_has_no_bubble(rng, input_width, output_width):
    m = Module()
    m.submodules.dut = dut = WidthConverter(input_width, output_width)
    clock = Signal(32)
    m.d.sync += clock.eq(clock + 1)
    narrow = min(input_width, output_width) // 8
    sent = random_packets(rng, 30, lanes=max(input_width, output_width) // 8, longest=200)
    beats = sum(-(-len(packet) // narrow) for packet, _ in sent)
    clocks = []
    ends = []

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng)
        ends.append(ctx.get(clock))

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng, clocks=clocks) == sent

    simulate(m, source, sink)
    if input_width > output_width:
        assert clocks == list(range(dut.latency, dut.latency + beats))
    else:
        assert ends == [beats]


@pytest.mark.parametrize(("input_width", "output_width"), [(8, 64), (64, 8)])
def test_a_reset_in_the_middle_of_a_packet(rng, input_width, output_width):
    m = Module()
    reset = Signal()
    m.submodules.dut = dut = ResetInserter(reset)(WidthConverter(input_width, output_width))
    lanes = input_width // 8
    cut = rng.randbytes(5 * lanes)
    sent = [(rng.randbytes(rng.randint(1, 40)), False) for _ in range(5)]

    async def source(ctx):
        # Two beats of a packet that has more, and of the output none, or a part.
        for start in (0, lanes):
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload, {"data": int.from_bytes(cut[start : start + lanes], "little")})
            *_, ready = await ctx.tick().sample(dut.i.ready)
            assert ready or start
        ctx.set(dut.i.valid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        await send_packets(ctx, dut.i, sent, rng=rng)

    async def sink(ctx):
        await ctx.tick().until(reset)
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng) == sent

    simulate(m, source, sink)


@pytest.mark.parametrize("widths", [(8, 24), (0, 8), (1024, 8)])
def test_refuses(widths):
    assert_refused("data_width must be one of", WidthConverter, *widths)
