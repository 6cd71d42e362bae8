import pytest
from amaranth.hdl import ResetInserter, Signal

import vtep.control.bank
from helpers.packet_bench import assert_refused, simulate
from vtep.control.bank import CounterBank


async def wait_until_ready(ctx, dut):
    clocks = 0
    while not ctx.get(dut.ready):
        await ctx.tick()
        clocks += 1
    return clocks


async def events_and_reads(ctx, dut, rng, *, clocks, load, half=32, peak_bits=0, commands=0.0):
    """Events, reads and commands in random clocks; every value is the exact one of the first clock without an event.

    ``commands``: chance of a command in a clock in which one is allowed. Returns the counters and the copies.
    """
    entries = dut.entries
    counters = [[0, 0] for _ in range(entries)]
    copies, older = None, None
    asked, due, allowed = None, None, set()
    given = {"clear": 0, "take_snapshot": 0}
    waited = peak = 0
    for clock in range(clocks):
        assert ctx.get(dut.read_valid) == (clock == due), f"clock {clock}"
        if clock == due:
            assert ctx.get(dut.read_value) in allowed, f"clock {clock}"
            peak = max(peak, *allowed)
            asked, due = None, None
        # Runs of the same index, and of two in turn, are frequent.
        index = rng.choice((0, 0, entries - 1, rng.randrange(entries)))
        strobe, amount = rng.random() < load, rng.getrandbits(dut.byte_bits) if dut.byte_bits else 0
        busy = ctx.get(dut.busy)
        command = None if busy or rng.random() >= commands else rng.choice(sorted(given))
        reads = asked is None and not busy and command is None and rng.random() < 0.8
        for name in given:
            ctx.set(getattr(dut, name), name == command)
        ctx.set(dut.strobe, strobe)
        ctx.set(dut.index, index)
        ctx.set(dut.bytes, amount)
        ctx.set(dut.read_enable, reads)
        if command is not None:
            given[command] += 1
        if command == "take_snapshot":
            older, copies = copies, [tuple(counter) for counter in counters]
        elif command == "clear":
            counters = [[0, 0] for _ in range(entries)]
        if asked is not None and due is None:
            if strobe:
                waited += 1
            else:
                read_index, field, snapshot = asked
                due = clock + dut.latency - 1
                # While a snapshot is being taken a copy may still be the one before.
                taking = older is not None and (busy or command == "take_snapshot")
                shown = [*([older] if taking else []), copies] if snapshot else [counters]
                allowed = {values[read_index][field] for values in shown}
        if reads:
            asked = (
                rng.choice((0, rng.randrange(entries))),
                rng.getrandbits(1),
                copies is not None and rng.getrandbits(1),
            )
            ctx.set(dut.read_index, asked[0])
            ctx.set(dut.read_field, asked[1])
            ctx.set(dut.read_snapshot, asked[2])
        if strobe:
            counters[index][0] = (counters[index][0] + 1) % (1 << 2 * half)
            counters[index][1] = (counters[index][1] + amount) % (1 << 2 * half)
        await ctx.tick()
    for name in ("strobe", "read_enable", *given):
        ctx.set(getattr(dut, name), 0)
    await ctx.tick().repeat(dut.latency)
    while ctx.get(dut.busy):
        await ctx.tick()
    assert load < 0.5 or load == 1 or waited, "no read waited"
    assert load == 1 or peak >> peak_bits, "no value was large enough"
    assert not commands or all(given.values()), given
    return counters, copies


async def read(ctx, dut, index, field, *, snapshot=False):
    ctx.set(dut.read_enable, 1)
    ctx.set(dut.read_snapshot, snapshot)
    ctx.set(dut.read_index, index)
    ctx.set(dut.read_field, field)
    await ctx.tick()
    ctx.set(dut.read_enable, 0)
    for _ in range(dut.latency - 1):
        assert not ctx.get(dut.read_valid)
        await ctx.tick()
    assert ctx.get(dut.read_valid)
    value = ctx.get(dut.read_value)
    await ctx.tick()
    return value


@pytest.mark.parametrize("entries", [1, 2, 3, 16, 64])
@pytest.mark.parametrize("byte_bits", [0, 14])
@pytest.mark.parametrize("load", [1.0, 0.5])
def test_counts_every_event(rng, entries, byte_bits, load):
    dut = CounterBank(entries, byte_bits)

    async def bench(ctx):
        assert await wait_until_ready(ctx, dut) == max(2, entries)
        counters, _ = await events_and_reads(ctx, dut, rng, clocks=600, load=load)
        for index, (frames, amount) in enumerate(counters):
            assert await read(ctx, dut, index, 0) == frames
            assert await read(ctx, dut, index, 1) == (amount if byte_bits else 0)

    simulate(dut, bench)


# Short halves, so that the carry between them comes often.
@pytest.mark.parametrize(("entries", "byte_bits", "half"), [(1, 0, 3), (4, 0, 3), (3, 2, 5), (1, 2, 5), (8, 14, 17)])
def test_carry_into_the_high_half(rng, monkeypatch, entries, byte_bits, half):
    monkeypatch.setattr(vtep.control.bank, "HALF", half)
    dut = CounterBank(entries, byte_bits)

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        counters, _ = await events_and_reads(ctx, dut, rng, clocks=2500, load=0.9, half=half, peak_bits=half)
        for index, counter in enumerate(counters):
            for field in range(1 + bool(byte_bits)):
                assert await read(ctx, dut, index, field) == counter[field]

    simulate(dut, bench)


@pytest.mark.parametrize(("entries", "byte_bits", "half"), [(1, 0, 3), (4, 0, 3), (3, 2, 6), (16, 14, 32), (5, 14, 17)])
@pytest.mark.parametrize("load", [0.9, 0.5, 0.1])
def test_snapshots_and_clearing_are_of_one_instant(rng, monkeypatch, entries, byte_bits, half, load):
    monkeypatch.setattr(vtep.control.bank, "HALF", half)
    dut = CounterBank(entries, byte_bits)

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        clocks = int(200 * (entries + 20) / (1.2 - load) / 8)
        counters, copies = await events_and_reads(ctx, dut, rng, clocks=clocks, load=load, half=half, commands=0.3)
        for index in range(entries):
            for field in range(1 + bool(byte_bits)):
                assert await read(ctx, dut, index, field) == counters[index][field]
                assert await read(ctx, dut, index, field, snapshot=True) == copies[index][field]

    simulate(dut, bench)


@pytest.mark.parametrize("command", ["take_snapshot", "clear"])
def test_a_command_waits_for_clocks_without_an_event(command):
    """It takes as many of them as there are entries; meanwhile nothing is lost, and other values are not touched."""
    dut = CounterBank(8)

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        ctx.set(dut.strobe, 1)
        ctx.set(dut.index, 3)
        await ctx.tick().repeat(10)
        ctx.set(getattr(dut, command), 1)
        await ctx.tick()
        ctx.set(getattr(dut, command), 0)
        for _ in range(50):
            assert ctx.get(dut.busy)
            await ctx.tick()
        ctx.set(dut.strobe, 0)
        clocks = 0
        while ctx.get(dut.busy):
            await ctx.tick()
            clocks += 1
        assert clocks == 8
        assert await read(ctx, dut, 3, 0) == (61 if command == "take_snapshot" else 51)
        if command == "take_snapshot":
            assert await read(ctx, dut, 3, 0, snapshot=True) == 10

    simulate(dut, bench)


@pytest.mark.parametrize("entries", [1, 5])
def test_reset_clears(rng, entries):
    reset = Signal()
    dut = CounterBank(entries, 14)

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        await events_and_reads(ctx, dut, rng, clocks=60, load=1.0)
        ctx.set(dut.take_snapshot, 1)
        await ctx.tick()
        ctx.set(dut.take_snapshot, 0)
        while ctx.get(dut.busy):
            await ctx.tick()
        assert await read(ctx, dut, 0, 0)
        assert await read(ctx, dut, 0, 0, snapshot=True)
        ctx.set(dut.strobe, 1)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(dut.strobe, 0)
        ctx.set(reset, 0)
        await wait_until_ready(ctx, dut)
        for index in range(entries):
            for field in range(2):
                assert await read(ctx, dut, index, field) == 0
        await events_and_reads(ctx, dut, rng, clocks=60, load=1.0)

    simulate(ResetInserter(reset)(dut), bench)


def test_events_before_ready_do_not_count():
    dut = CounterBank(4)

    async def bench(ctx):
        ctx.set(dut.strobe, 1)
        assert await wait_until_ready(ctx, dut) == 4
        ctx.set(dut.strobe, 0)
        await ctx.tick().repeat(4)
        for index in range(4):
            assert await read(ctx, dut, index, 0) == 0

    simulate(dut, bench)


def test_refuses_parameters():
    assert_refused(r"entries must be .* 1 \.\. 65536, not 0", CounterBank, 0)
    assert_refused(r"entries must be .* 1 \.\. 65536, not 65537", CounterBank, 65537)
    assert_refused(r"byte_bits must be .* 0 \.\. 16, not 17", CounterBank, 4, 17)
