import pytest
from amaranth.hdl import ResetInserter, Signal

import vtep.control.meter
import vtep.control.tally
from helpers.packet_bench import assert_refused, simulate
from vtep.control.meter import PortMeter

AGE = 2
"""Clocks from a beat until a read sees it."""


async def count(ctx, dut, rng, *, clocks, lanes, load, commands=0.0):
    """Beats, reads and commands in random clocks; every value is that of all beats up to `AGE` clocks before the read.

    ``commands``: chance of a command in a clock.
    """
    counters = (0, 0)
    copies = None
    history = []
    expected = {}
    quiet = AGE
    for clock in range(clocks):
        history.append(counters)
        if clock in expected:
            assert ctx.get(dut.read_value) == expected[clock], f"clock {clock}"
        valid, ready, last = rng.random() < load, rng.random() < load, rng.random() < 0.3
        empty = rng.randrange(lanes) if last else 0
        field, snapshot = rng.getrandbits(1), copies is not None and rng.getrandbits(1)
        command = rng.choice(("clear", "take_snapshot")) if rng.random() < commands else None
        ctx.set(dut.valid, valid)
        ctx.set(dut.ready, ready)
        ctx.set(dut.payload.last, last)
        ctx.set(dut.payload.empty, empty)
        ctx.set(dut.payload.data, rng.getrandbits(8 * lanes))
        ctx.set(dut.payload.error, rng.getrandbits(1))
        ctx.set(dut.read_enable, 1)
        ctx.set(dut.read_field, field)
        ctx.set(dut.read_snapshot, snapshot)
        ctx.set(dut.clear, command == "clear")
        ctx.set(dut.take_snapshot, command == "take_snapshot")
        quiet = 0 if command else quiet + 1
        if clock >= AGE and quiet > AGE:
            expected[clock + dut.latency] = (copies if snapshot else history[clock - AGE + 1])[field]
        if command == "take_snapshot":
            copies = counters
        elif command == "clear":
            counters = (0, 0)
        if valid and ready:
            counters = (counters[0] + last, counters[1] + lanes - empty)
        await ctx.tick()
    ctx.set(dut.clear, 0)
    ctx.set(dut.take_snapshot, 0)
    return counters


def short(monkeypatch, bits):
    """Make lower parts so short that carries come often."""
    for module in (vtep.control.tally, vtep.control.meter):
        monkeypatch.setattr(module, "LOW", bits)


@pytest.mark.parametrize("data_width", [8, 64, 512])
@pytest.mark.parametrize("load", [1.0, 0.7])
def test_consistent_across_the_carry(rng, monkeypatch, data_width, load):
    low = 8 if data_width == 512 else 4
    short(monkeypatch, low)
    dut = PortMeter(data_width)

    async def bench(ctx):
        frames, octets = await count(ctx, dut, rng, clocks=1200, lanes=data_width // 8, load=load)
        assert octets >> low > 4, "too few carries"
        assert data_width == 512 or frames >> low > 4

    simulate(dut, bench)


@pytest.mark.parametrize("data_width", [8, 64, 512])
@pytest.mark.parametrize("load", [1.0, 0.7])
def test_snapshots_and_clearing_are_of_one_instant(rng, monkeypatch, data_width, load):
    short(monkeypatch, 8 if data_width == 512 else 4)
    dut = PortMeter(data_width)

    async def bench(ctx):
        await count(ctx, dut, rng, clocks=2500, lanes=data_width // 8, load=load, commands=0.03)

    simulate(dut, bench)


def test_bytes_pass_the_first_carry_of_the_real_widths(rng):
    dut = PortMeter(512)

    async def bench(ctx):
        _, octets = await count(ctx, dut, rng, clocks=1300, lanes=64, load=1.0)
        assert octets > 1 << 16

    simulate(dut, bench)
    assert dut.read_value.shape().width == 64


def test_reset_clears(rng):
    dut = PortMeter(64)
    reset = Signal()

    async def bench(ctx):
        await count(ctx, dut, rng, clocks=30, lanes=8, load=1.0, commands=0.3)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        await count(ctx, dut, rng, clocks=100, lanes=8, load=0.9)

    simulate(ResetInserter(reset)(dut), bench)


def test_refuses_widths():
    assert_refused("data_width must be one of", PortMeter, 24)
