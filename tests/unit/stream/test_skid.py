import pytest

from helpers.packet_bench import random_packets, receive_packets, send_packets, simulate
from vtep.stream.packet import packet_layout
from vtep.stream.skid import SkidBuffer


@pytest.mark.parametrize("data_width", [8, 64])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4)])
def test_passes_everything_in_order(rng, data_width, idle, stall):
    dut = SkidBuffer(packet_layout(data_width))
    sent = random_packets(rng, 40, lanes=data_width // 8, longest=40)

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, idle=idle)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng, stall=stall) == sent

    simulate(dut, source, sink)


def test_full_rate_and_latency():
    dut = SkidBuffer(8)

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        for clock in range(20):
            ctx.set(dut.i.payload, clock)
            assert ctx.get(dut.i.ready)
            assert ctx.get(dut.o.valid) == (clock >= dut.latency)
            if clock >= dut.latency:
                assert ctx.get(dut.o.payload) == clock - dut.latency
            await ctx.tick()

    simulate(dut, bench)


def test_no_combinational_path():
    dut = SkidBuffer(8)

    async def bench(ctx):
        for occupancy in range(3):
            before = ctx.get(dut.i.ready), ctx.get(dut.o.valid), ctx.get(dut.o.payload)
            for valid, ready, payload in ((0, 1, 3), (1, 1, 5), (1, 0, 7), (0, 0, occupancy)):
                ctx.set(dut.i.valid, valid)
                ctx.set(dut.o.ready, ready)
                ctx.set(dut.i.payload, payload)
                assert (ctx.get(dut.i.ready), ctx.get(dut.o.valid), ctx.get(dut.o.payload)) == before
            ctx.set(dut.i.valid, 1)
            await ctx.tick()

    simulate(dut, bench)


def test_holds_two_and_stays_at_full_rate_when_full():
    dut = SkidBuffer(8)

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.i.ready)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        for _ in range(10):
            assert ctx.get(dut.i.ready)
            assert ctx.get(dut.o.valid)
            await ctx.tick()

    simulate(dut, bench)
