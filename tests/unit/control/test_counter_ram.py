"""Counters in one RAM: against sums in Python, whatever comes behind what, and consistent when read."""

import random
from collections import Counter
from typing import Any

import pytest

from helpers.packet_bench import simulate
from vtep.control.counter_ram import CounterRam

EVENTS = 400


class Bench:
    """Gives events by dice to a `CounterRam`, and keeps the sums of those that were taken."""

    def __init__(self, rng: random.Random, entries: int, amount_bits: int, *, few: bool = False) -> None:
        self.dut = CounterRam(entries, amount_bits)
        self.rng, self.entries, self.few = rng, entries, few
        self.largest = (1 << amount_bits) - 1
        self.sums: Counter[int] = Counter()
        self.left = EVENTS
        self.hurry = 1.0

    async def feed(self, ctx: Any) -> None:
        stream, rng = self.dut.i, self.rng
        while True:
            if not self.left or rng.random() > self.hurry:
                ctx.set(stream.valid, 0)
                await ctx.tick()
                continue
            index = rng.randrange(min(3, self.entries) if self.few else self.entries)
            amount = rng.choice((1, self.largest, rng.randint(0, self.largest)))
            ctx.set(stream.payload, {"index": index, "amount": amount})
            ctx.set(stream.valid, 1)
            ready = False
            while not ready:
                _, _, ready = await ctx.tick().sample(stream.ready)
            self.sums[index] += amount
            self.left -= 1

    async def idle(self, ctx: Any) -> None:
        while ctx.get(self.dut.busy):
            await ctx.tick()

    async def command(self, ctx: Any, name: str) -> Counter[int]:
        """Give a command; what the sums were with the events of its clock."""
        await self.idle(ctx)
        ctx.set(getattr(self.dut, name), 1)
        await ctx.tick()
        ctx.set(getattr(self.dut, name), 0)
        # `feed` has added what was taken in that clock, or does so before the next one.
        await ctx.delay(1e-9)
        return self.sums.copy()

    async def read(self, ctx: Any, index: int, *, snapshot: bool = False) -> tuple[int, int]:
        """The value, and what it should be if it is no copy."""
        await self.idle(ctx)
        ctx.set(self.dut.read_index, index)
        ctx.set(self.dut.read_snapshot, snapshot)
        sums = await self.command(ctx, "read")
        await self.idle(ctx)
        return ctx.get(self.dut.value), sums[index]


@pytest.mark.parametrize(("entries", "amount_bits"), [(1, 1), (2, 32), (5, 32), (50, 15), (128, 32)])
@pytest.mark.parametrize("few", [False, True])
def test_adds_up_and_reads_in_between(rng: random.Random, entries: int, amount_bits: int, few: bool) -> None:
    bench = Bench(rng, entries, amount_bits, few=few)
    bench.hurry = rng.choice((1.0, 0.5))

    async def main(ctx):
        while bench.left:
            value, wanted = await bench.read(ctx, rng.randrange(entries))
            assert value == wanted
        for index in range(entries):
            value, wanted = await bench.read(ctx, index)
            assert value == wanted
        assert max(bench.sums.values()) >> 32 or amount_bits < 32, "no counter overflowed"

    simulate(bench.dut, main, background=[bench.feed])


@pytest.mark.parametrize("entries", [1, 3, 50])
def test_a_copy_is_of_one_instant(rng: random.Random, entries: int) -> None:
    bench = Bench(rng, entries, 32, few=True)

    async def main(ctx):
        for _ in range(3):
            sums = await bench.command(ctx, "take_snapshot")
            for index in rng.sample(range(entries), min(entries, 8)):
                value, _ = await bench.read(ctx, index, snapshot=True)
                assert value == sums[index]
                value, wanted = await bench.read(ctx, index)
                assert value == wanted

    simulate(bench.dut, main, background=[bench.feed])


def test_clearing_begins_anew_and_keeps_the_copy(rng: random.Random) -> None:
    bench = Bench(rng, 5, 32)

    async def main(ctx):
        await ctx.tick().repeat(120)
        copied = await bench.command(ctx, "take_snapshot")
        cleared = await bench.command(ctx, "clear")
        await ctx.tick().repeat(60)
        for index in range(5):
            value, wanted = await bench.read(ctx, index)
            assert value == wanted - cleared[index]
            value, _ = await bench.read(ctx, index, snapshot=True)
            assert value == copied[index]

    simulate(bench.dut, main, background=[bench.feed])


@pytest.mark.parametrize("entries", [1, 50])
def test_time_of_commands_and_events(rng: random.Random, entries: int) -> None:
    dut = CounterRam(entries, 8)

    async def clocks(ctx, name):
        ctx.set(getattr(dut, name), 1)
        await ctx.tick()
        ctx.set(getattr(dut, name), 0)
        count = 0
        while ctx.get(dut.busy):
            count += 1
            assert not ctx.get(dut.i.ready)
            await ctx.tick()
        return count

    async def main(ctx):
        while ctx.get(dut.busy):
            await ctx.tick()
        assert await clocks(ctx, "clear") == 2 * entries + 4
        assert await clocks(ctx, "take_snapshot") == 2 * entries + 4
        assert await clocks(ctx, "read") == 6
        ctx.set(dut.i.valid, 1)
        taken = 0
        for number in range(30):
            ctx.set(dut.i.payload, {"index": number % entries, "amount": 255})
            taken += ctx.get(dut.i.ready)
            await ctx.tick()
        assert taken == {1: 10, 50: 30}[entries]

    simulate(dut, main)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 8), "entries"), ((16385, 8), "entries"), ((2, 0), "amount_bits"), ((2, 33), "amount_bits")],
)
def test_refuses_what_is_out_of_range(arguments: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CounterRam(*arguments)
