import random

import pytest
from amaranth.lib.wiring import In, Out

from helpers.packet_bench import assert_refused, simulate
from helpers.register_bench import access
from vtep.control.register_bus import RegisterArbiter, register_bus

BITS = 12


def test_widths():
    members = register_bus(BITS).members
    assert {name: (member.flow, member.shape) for name, member in members.items()} == {
        "request": (Out, 1),
        "write": (Out, 1),
        "address": (Out, 10),
        "write_data": (Out, 32),
        "write_bytes": (Out, 4),
        "ack": (In, 1),
        "read_data": (In, 32),
        "error": (In, 1),
    }


async def slave(ctx, bus, rng, log):
    """Answer after random clocks, with values that tell the access."""
    while True:
        while not ctx.get(bus.request):
            await ctx.tick()
        asked = tuple(ctx.get(signal) for signal in (bus.write, bus.address, bus.write_data, bus.write_bytes))
        for _ in range(rng.randint(0, 4)):
            await ctx.tick()
        ctx.set(bus.ack, 1)
        ctx.set(bus.error, asked[1] & 1)
        ctx.set(bus.read_data, asked[1] * 3)
        *_, request, write, address, data, strobes = await ctx.tick().sample(
            bus.request, bus.write, bus.address, bus.write_data, bus.write_bytes
        )
        assert request
        assert (write, address, data, strobes) == asked, "an access changed under way"
        log.append(asked)
        ctx.set(bus.ack, 0)
        ctx.set(bus.read_data, rng.getrandbits(32))


@pytest.mark.parametrize("masters", [2, 3])
def test_everyone_gets_his_own_answers(rng, masters):
    dut = RegisterArbiter(BITS, masters)
    log, sent, left = [], [], [60] * masters
    seed = rng.random()

    def master(number):
        own = random.Random(f"{seed} {number}")

        async def bench(ctx):
            while left[number]:
                for _ in range(own.choice((0, 0, 0, 1, 7))):
                    await ctx.tick()
                address = own.getrandbits(10)
                data = own.getrandbits(32) if own.getrandbits(1) else None
                strobes = own.getrandbits(4)
                answer = await access(ctx, dut.i[number], 4 * address, data, strobes)
                assert (answer.error, answer.data) == (address & 1, address * 3)
                sent.append((int(data is not None), address, data or 0, strobes))
                left[number] -= 1

        return bench

    async def serve(ctx):
        await slave(ctx, dut.o, rng, log)

    simulate(dut, *(master(number) for number in range(masters)), background=[serve])
    assert sorted(sent) == sorted(log)
    assert len(log) == 60 * masters


def test_masters_that_never_pause_take_turns():
    dut = RegisterArbiter(BITS, 3)
    order = []

    async def bench(ctx):
        for number in range(3):
            ctx.set(dut.i[number].request, 1)
            ctx.set(dut.i[number].address, number)
        ctx.set(dut.o.ack, 1)
        for _ in range(24):
            await ctx.tick()
            acks = [ctx.get(dut.i[number].ack) for number in range(3)]
            assert sum(acks) == ctx.get(dut.o.request)
            if sum(acks):
                order.append(acks.index(1))
                assert ctx.get(dut.o.address) == order[-1]

    simulate(dut, bench)
    assert len(order) == 12  # every second clock
    assert order == [order[0], order[1], order[2]] * 4
    assert sorted(order[:3]) == [0, 1, 2]


def test_latency():
    dut = RegisterArbiter(BITS)

    async def bench(ctx):
        ctx.set(dut.o.ack, 1)
        for number in (0, 0, 1, 1, 0):
            assert (await access(ctx, dut.i[number], 8)).clocks == 2

    simulate(dut, bench)


def test_refuses():
    assert_refused(r"masters must be an integer within 2 \.\. 8, not 1", RegisterArbiter, BITS, 1)
    assert_refused(r"masters must be an integer within 2 \.\. 8, not 9", RegisterArbiter, BITS, 9)
    for bits in (2, 33):
        assert_refused(rf"address_bits must be an integer within 3 \.\. 32, not {bits}", RegisterArbiter, bits)
