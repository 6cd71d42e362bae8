import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.control.kinds import KindTally


async def wait_until_ready(ctx, dut, clocks):
    for _ in range(clocks):
        assert not ctx.get(dut.ready)
        await ctx.tick()
    assert ctx.get(dut.ready)


async def value_of(ctx, dut, registered):
    """Let a clock pass; return the value of what is taken in it."""
    now = ctx.get(dut.value)
    await ctx.tick()
    return ctx.get(dut.value) if registered else now


async def empty(ctx, dut, kinds, registered):
    """Take every count; return them by set and kind."""
    counts = {}
    ctx.set(dut.strobe, 0)
    ctx.set(dut.take, 0)
    await ctx.tick()
    ctx.set(dut.take, 1)
    for place in [(epoch, kind) for epoch in range(2) for kind in range(kinds)]:
        ctx.set(dut.take_epoch, place[0])
        ctx.set(dut.take_index, place[1])
        counts[place] = await value_of(ctx, dut, registered) + await value_of(ctx, dut, registered)
    ctx.set(dut.take, 0)
    return counts


@pytest.mark.parametrize(("kinds", "clocks"), [(2, 8), (6, 32), (16, 64)])
@pytest.mark.parametrize("load", [1.0, 0.5])
@pytest.mark.parametrize("registered", [False, True])
def test_every_event_is_in_one_count(rng, kinds, clocks, load, registered):
    """Counts are taken while events come, in two clocks or in one, and from both sets."""
    reset = Signal()
    dut = KindTally(kinds, 9, registered=registered)

    async def bench(ctx):
        await wait_until_ready(ctx, dut, clocks)
        places = [(epoch, kind) for epoch in range(2) for kind in range(kinds)]
        expected, taken = dict.fromkeys(places, 0), dict.fromkeys(places, 0)
        epoch = 0
        for _ in range(900):
            strobe, kind = rng.random() < load, rng.choice((0, 0, rng.randrange(kinds)))
            epoch ^= rng.random() < 0.05
            takes, place = rng.random() < 0.6, rng.choice(((epoch, kind), rng.choice(places)))
            ctx.set(dut.strobe, strobe)
            ctx.set(dut.index, kind)
            ctx.set(dut.epoch, epoch)
            ctx.set(dut.take, takes)
            ctx.set(dut.take_epoch, place[0])
            ctx.set(dut.take_index, place[1])
            expected[epoch, kind] += strobe
            taken[place] += takes * await value_of(ctx, dut, registered)
        for place, value in (await empty(ctx, dut, kinds, registered)).items():
            taken[place] += value
        assert taken == expected
        assert not any((await empty(ctx, dut, kinds, registered)).values())

        ctx.set(dut.strobe, 1)
        await ctx.tick().repeat(20)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        await wait_until_ready(ctx, dut, clocks)
        assert not any((await empty(ctx, dut, kinds, registered)).values())

    simulate(ResetInserter(reset)(dut), bench)


def test_refuses_parameters():
    assert_refused(r"kinds must be .* 2 \.\. 256, not 1", KindTally, 1, 8)
    assert_refused(r"kinds must be .* 2 \.\. 256, not 257", KindTally, 257, 8)
    assert_refused(r"bits must be .* 1 \.\. 32, not 0", KindTally, 4, 0)
    assert_refused(r"bits must be .* 1 \.\. 32, not 33", KindTally, 4, 33)
