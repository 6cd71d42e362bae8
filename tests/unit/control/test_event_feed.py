"""Events of a clock each, at once and again and again, and none is lost while the counters are busy."""

import random
from collections import Counter

import pytest

from helpers.packet_bench import simulate
from vtep.control.event_feed import EventFeed

FIRST, EVENTS, ENTRIES = 5, 13, 20


@pytest.mark.parametrize("busy", [0.0, 0.7])
def test_each_event_is_told_of_once(rng: random.Random, busy: float) -> None:
    dut = EventFeed(FIRST, EVENTS, ENTRIES)
    wanted: Counter[int] = Counter()
    told: Counter[int] = Counter()

    async def main(ctx):
        for _ in range(20):
            for _ in range(7):  # all of a kind that may wait
                events = rng.getrandbits(EVENTS) | 1
                wanted.update(FIRST + place for place in range(EVENTS) if events >> place & 1)
                ctx.set(dut.events, events)
                await ctx.tick()
            ctx.set(dut.events, 0)
            for _ in range(100 * EVENTS):
                if told == wanted:
                    break
                await ctx.tick()
        await ctx.tick().repeat(3 * EVENTS)

    async def sink(ctx):
        waits = None
        while True:
            ready = rng.random() >= busy
            ctx.set(dut.o.ready, ready)
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            assert waits in (None, payload.index if valid else None), "an event was taken back"
            waits = payload.index if valid and not ready else None
            if valid and ready:
                assert payload.amount == 1
                told[payload.index] += 1

    simulate(dut, main, background=[sink])
    assert told == wanted


def test_seven_of_a_kind_may_wait_for_any_time() -> None:
    dut = EventFeed(0, 2, 2)

    async def main(ctx):
        ctx.set(dut.events, 0b10)
        await ctx.tick().repeat(7)
        ctx.set(dut.events, 0)
        await ctx.tick().repeat(500)
        ctx.set(dut.o.ready, 1)
        seen = []
        for _ in range(40):
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                seen.append(payload.index)
        assert seen == [1] * 7

    simulate(dut, main)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 0, 4), "events"), ((0, 65, 80), "events"), ((-1, 2, 4), "first"), ((3, 2, 4), "first")],
)
def test_refuses_what_is_out_of_range(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EventFeed(*arguments)
