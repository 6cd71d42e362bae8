"""Counters of a MAC, against the definitions of RFC 2819 written out."""

import random
from collections import Counter

import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring

from helpers.mac_counters import SIZE_CLASSES, counted
from helpers.packet_bench import simulate_clocks
from vtep.control.counter_ram import CounterRam
from vtep.control.gateway_registers import MAC_COUNTERS
from vtep.mac.statistics import AMOUNT_BITS, MacStatistics

LONGEST = 1518
FIRST, ENTRIES = 3, 3 + len(MAC_COUNTERS)


def some_frame(rng: random.Random) -> dict[str, int]:
    edges = [edge + delta for pair in SIZE_CLASSES.values() for edge in pair for delta in (-1, 0, 1)]
    size = rng.choice((*edges, rng.randrange(1, 32768), 32767))
    address = rng.choice(("", "broadcast", "multicast"))
    return {
        "length": size,
        "fcs_error": int(rng.random() < 0.3),
        "too_short": int(size < 64),
        "too_long": int(size > LONGEST),
        "broadcast": int(address == "broadcast"),
        "multicast": int(address == "multicast"),
        "dropped": int(rng.random() < 0.2),
    }


@pytest.mark.parametrize("core", [10.0, 8.0, 1.3])
def test_no_event_is_lost(rng: random.Random, core: float) -> None:
    """A frame each ten or eleven clocks of 156.25 MHz, as on a full line; all other events as often, at once."""
    m = Module()
    periods = {"sync": core * 1e-9, "rx": 6.4e-9, "tx": 6.4e-9 * 1.0002}
    m.domains += [ClockDomain(name) for name in periods]
    m.submodules.dut = dut = MacStatistics(FIRST, ENTRIES)
    m.submodules.counters = counters = CounterRam(ENTRIES, AMOUNT_BITS)
    wiring.connect(m, dut.o, counters.i)
    frames = [some_frame(rng) for _ in range(60)]
    wanted: Counter = sum((counted(frame, LONGEST) for frame in frames), Counter())
    sent = 70
    done = []

    async def receive(ctx):
        await ctx.tick("rx").repeat(60)
        for number, frame in enumerate(frames):
            false = rng.random() < 0.5
            wanted["aFalseCarriers"] += false
            ctx.set(dut.reception, frame)
            ctx.set(dut.received, 1)
            ctx.set(dut.false_carrier, false)
            await ctx.tick("rx")
            ctx.set(dut.received, 0)
            ctx.set(dut.false_carrier, 0)
            await ctx.tick("rx").repeat(10 if number % 2 else 9)
        done.append("rx")

    async def transmit(ctx):
        await ctx.tick("tx").repeat(60)
        for number in range(sent):
            ctx.set(dut.sent, 1)
            await ctx.tick("tx")
            ctx.set(dut.sent, 0)
            await ctx.tick("tx").repeat(10 if number % 2 else 9)
        done.append("tx")

    async def read(ctx):
        while len(done) < 2:
            late = rng.random() < 0.05
            wanted["aFramesLostDueToIntMACXmitError"] += late
            ctx.set(dut.lost, late)
            await ctx.tick()
        ctx.set(dut.lost, 0)
        await ctx.tick().repeat(120)
        values = {}
        for index, name in enumerate((None,) * FIRST + MAC_COUNTERS):
            ctx.set(counters.read_index, index)
            ctx.set(counters.read, 1)
            await ctx.tick()
            ctx.set(counters.read, 0)
            await ctx.tick().until(~counters.busy)
            values[name] = ctx.get(counters.value)
        assert {name: value for name, value in values.items() if value} == +wanted

    wanted["aFramesTransmittedOK"] = sent
    simulate_clocks(m, periods, receive, transmit, read, rng=rng)


@pytest.mark.parametrize("first", [-1, 4])
def test_refuses_counters_that_are_not_there(first: int) -> None:
    with pytest.raises(ValueError, match="first"):
        MacStatistics(first, ENTRIES)
