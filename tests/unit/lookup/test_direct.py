"""The direct table against a list, in RAM whose collisions give rubbish."""

import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.lookup.direct import DirectTable


@pytest.mark.parametrize("entries", [1, 2, 5, 64, 65, 300])
@pytest.mark.parametrize("clears", [False, True])
def test_lookups_among_writes_and_resets(rng, entries, clears):
    """Anything in any clock; a write is seen by the lookup that comes with it."""
    reset = Signal()
    dut = DirectTable(24, entries, clears=clears)
    latency = dut.latency
    lookups, reads = [], []
    collisions = resets = 0

    async def bench(ctx):
        nonlocal collisions, resets
        table = [0] * entries
        busy = entries if clears else 0
        certain = rng.randrange(1000, 3000)
        for clock in range(3000 + 3 * entries):
            assert ctx.get(dut.ready) == (not busy)
            writing, reading = rng.random() < 0.5, rng.random() < 0.5
            resetting = clock == certain or rng.random() < 0.3 / entries
            index, lookup, value = rng.randrange(entries), rng.randrange(entries), rng.getrandbits(24)
            index = lookup if rng.random() < 0.3 else index
            ctx.set(dut.write_enable, writing)
            ctx.set(dut.read_enable, reading)
            ctx.set(dut.index, index)
            ctx.set(dut.write_data, value)
            ctx.set(dut.lookup_index, lookup)
            ctx.set(reset, resetting)
            collisions += writing and index == lookup
            resets += resetting

            reads.append(table[index] if reading and not writing and not busy else None)
            if writing and not busy:
                table[index] = value
            lookups.append(None if busy else table[lookup])
            if clock >= latency:
                if lookups[clock - latency] is not None:
                    assert ctx.get(dut.value) == lookups[clock - latency]
                read = reads[clock - latency]
                assert ctx.get(dut.read_valid) == (read is not None)
                if read is not None:
                    assert ctx.get(dut.read_data) == read
            if resetting:
                lookups[-latency:] = [None] * len(lookups[-latency:])
                reads[-latency:] = [None] * len(reads[-latency:])
            if clears and resetting:
                table = [0] * entries
                busy = entries
            else:
                busy = max(busy - 1, 0)
            await ctx.tick()

    simulate(ResetInserter(reset)(dut), bench)
    assert collisions > 300
    assert resets
    assert any(reads)


def test_bad_parameters():
    assert_refused(r"entries must be .* 1 \.\. 1048576, not 0", DirectTable, 8, 0)


@pytest.mark.parametrize("entries", [2, 5, 64, 300])
@pytest.mark.parametrize("clears", [False, True])
def test_strobed_lookups_among_writes_and_reads(rng, entries, clears):
    """What was looked up stands still until the next lookup; a read waits for a clock without one."""
    dut = DirectTable(24, entries, clears=clears, strobed=True)
    table = [0] * entries
    shown, delays = [], set()

    async def bench(ctx):
        while not ctx.get(dut.ready):
            await ctx.tick()
        for index in range(entries):  # without ``clears`` they hold anything
            ctx.set(dut.index, index)
            ctx.set(dut.write_enable, 1)
            ctx.set(dut.write_data, 0)
            await ctx.tick()
        ctx.set(dut.write_enable, 0)
        wanted, expected, reading, since = None, [None] * dut.latency, None, 0
        for clock in range(4000):
            looks = rng.random() < (0.95 if clock % 400 < 200 else 0.3)
            writes = reading is None and rng.random() < 0.3
            reads = reading is None and not writes and rng.random() < 0.5
            lookup = rng.randrange(entries)
            if writes or reads:
                index = lookup if rng.random() < 0.3 else rng.randrange(entries)
                ctx.set(dut.index, index)
            value = rng.getrandbits(24)
            ctx.set(dut.lookup, looks)
            ctx.set(dut.lookup_index, lookup)
            ctx.set(dut.write_enable, writes)
            ctx.set(dut.write_data, value)
            ctx.set(dut.read_enable, reads)
            if writes:
                table[index] = value
            if reads:
                reading, since = table[index], 0
            if looks:
                wanted = table[lookup]
                shown.append(wanted)
            expected.append(wanted)
            await ctx.tick()
            since += 1
            if expected[-dut.latency] is not None:
                assert ctx.get(dut.value) == expected[-dut.latency]
            if ctx.get(dut.read_valid):
                assert reading is not None
                assert ctx.get(dut.read_data) == reading
                delays.add(since)
                reading = None

    simulate(dut, bench)
    assert len(shown) > 1000
    assert min(delays) == dut.latency + (entries > 32)
    assert max(delays) > dut.latency + 5
