import pytest
from amaranth.hdl import ResetInserter, Signal, unsigned
from amaranth.lib import data

from helpers.packet_bench import assert_refused, simulate
from vtep.lookup.exact import ExactMatch


def expected(table, key):
    for index, entry in enumerate(table):
        if entry and entry[0] == key:
            return 1, index, entry[1]
    return 0, 0, 0


@pytest.mark.parametrize("entries", [1, 2, 3, 5, 16, 17, 33, 64])
def test_lookups_among_writes(rng, entries):
    """One lookup and perhaps a write in every clock: a lookup sees what was written before it, and no mixture."""
    dut = ExactMatch(5, 9, entries)
    table = [None] * entries
    results = []
    hits = 0

    async def bench(ctx):
        nonlocal hits
        for clock in range(600):
            if clock >= dut.latency:
                seen = ctx.get(dut.found), ctx.get(dut.index), ctx.get(dut.value)
                assert seen == results[clock - dut.latency], f"clock {clock}"
                hits += seen[0]
            # Few keys, so that they are often in several entries, and in the one that is being written.
            key = rng.randrange(8 if entries > 2 else 3)
            results.append(expected(table, key))
            write, index, used = rng.random() < 0.4, rng.randrange(entries), rng.random() < 0.6
            entry = (rng.choice((key, rng.getrandbits(5))), rng.getrandbits(9))
            if write:
                table[index] = entry if used else None
            ctx.set(dut.lookup_key, key)
            ctx.set(dut.write_enable, write)
            ctx.set(dut.write_index, index)
            ctx.set(dut.write_used, used)
            ctx.set(dut.write_key, entry[0])
            ctx.set(dut.write_value, entry[1])
            await ctx.tick()

    simulate(dut, bench)
    assert 20 < hits < 580


@pytest.mark.parametrize("bit", [0, 1, 35, 70, 71])
def test_every_key_bit_counts(bit):
    dut = ExactMatch(72, 1, 4)
    key = 0xA5_5A5A_5A5A_5A5A_5A5A

    async def bench(ctx):
        ctx.set(dut.write_enable, 1)
        ctx.set(dut.write_index, 2)
        ctx.set(dut.write_used, 1)
        ctx.set(dut.write_key, key)
        await ctx.tick()
        ctx.set(dut.write_enable, 0)
        for looked_up, found in ((key, 1), (key ^ 1 << bit, 0)):
            ctx.set(dut.lookup_key, looked_up)
            await ctx.tick().repeat(dut.latency)
            assert ctx.get(dut.found) == found

    simulate(dut, bench)


def test_value_shapes():
    layout = data.StructLayout({"a": 3, "b": unsigned(5)})
    dut = ExactMatch(4, layout, 20)

    async def bench(ctx):
        ctx.set(dut.write_enable, 1)
        ctx.set(dut.write_index, 19)
        ctx.set(dut.write_used, 1)
        ctx.set(dut.write_key, 9)
        ctx.set(dut.write_value, {"a": 5, "b": 17})
        await ctx.tick()
        ctx.set(dut.write_enable, 0)
        ctx.set(dut.lookup_key, 9)
        await ctx.tick().repeat(dut.latency)
        assert ctx.get(dut.index) == 19
        value = ctx.get(dut.value)
        assert (value.a, value.b) == (5, 17)

    simulate(dut, bench)


def test_no_value():
    dut = ExactMatch(4, 0, 16)

    async def bench(ctx):
        ctx.set(dut.write_enable, 1)
        ctx.set(dut.write_index, 7)
        ctx.set(dut.write_used, 1)
        await ctx.tick()
        await ctx.tick().repeat(dut.latency)
        assert (ctx.get(dut.found), ctx.get(dut.index)) == (1, 7)

    simulate(dut, bench)


def test_reset_clears_all_entries():
    reset = Signal()
    dut = ExactMatch(4, 4, 5)

    async def bench(ctx):
        ctx.set(dut.write_enable, 1)
        ctx.set(dut.write_used, 1)
        for index in range(5):
            ctx.set(dut.write_index, index)
            await ctx.tick()
        ctx.set(dut.write_enable, 0)
        await ctx.tick().repeat(dut.latency)
        assert ctx.get(dut.found)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for _ in range(2 * dut.latency):
            assert not ctx.get(dut.found)
            await ctx.tick()

    simulate(ResetInserter(reset)(dut), bench)


def test_refuses_parameters():
    assert_refused(r"entries must be .* 1 \.\. 64, not 0", ExactMatch, 8, 8, 0)
    assert_refused(r"entries must be .* 1 \.\. 64, not 65", ExactMatch, 8, 8, 65)
    assert_refused(r"key_width must be .* 1 \.\. 256, not 0", ExactMatch, 0, 8, 16)
