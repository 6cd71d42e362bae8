"""Packets between clocks of any ratio, either side reset at any time: all of a packet arrives, or nothing."""

import random

import pytest
from amaranth.hdl import ClockDomain, Module, Signal

from helpers.order import is_part
from helpers.packet_bench import (
    StreamRules,
    assert_refused,
    random_packets,
    receive_packets,
    send_packets,
    simulate_clocks,
)
from vtep.stream.crossing import PacketCrossing

DOMAINS = ("write", "read")
PERIODS = [(8e-9, 8e-9), (8e-9, 8.0008e-9), (8e-9, 50e-9), (80e-9, 8e-9), (8e-9, 6.4e-9)]


def run(dut, periods, *benches, rng, background=(), clock=None):
    """Run benches with two clocks of these periods; ``clock`` counts those of ``read``."""
    m = Module()
    if clock is not None:
        m.d.read += clock.eq(clock + 1)
    m.domains += [ClockDomain(name) for name in DOMAINS]
    m.submodules.dut = dut
    simulate_clocks(m, dict(zip(DOMAINS, periods, strict=True)), *benches, rng=rng, background=background)


def counting(dut, drops):
    """Make a bench that adds up the drops."""

    async def bench(ctx):
        async for _, _, dropped in ctx.tick("write").sample(dut.dropped):
            drops.append(dropped)

    return bench


@pytest.mark.parametrize("periods", PERIODS)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.5, 0.1), (0.1, 0.5)])
@pytest.mark.parametrize("lossy", [False, True])
def test_the_same_packets(rng, periods, idle, stall, lossy):
    dut = PacketCrossing(32, depth=64, lossy=lossy)
    sent = random_packets(rng, 25, lanes=4, longest=4 * 63)
    received, drops = [], []
    done = []

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, idle=idle, domain="write")
        await ctx.tick("write").repeat(3)
        done.append(True)
        await ctx.delay(20 * max(periods) + 64 * 3 * periods[1])
        done.append(True)

    async def sink(ctx):
        received.extend(await receive_packets(ctx, dut.o, lambda: len(done) > 1, rng=rng, stall=stall, domain="read"))

    run(dut, periods, source, sink, rng=rng, background=[counting(dut, drops)])
    assert len(received) + sum(drops) == len(sent)
    if not lossy:
        assert received == sent
    assert is_part(received, sent)  # in order, and whole


@pytest.mark.parametrize("lossy", [False, True])
def test_the_longest_packet_and_one_that_is_too_long(rng, lossy):
    dut = PacketCrossing(8, depth=32, lossy=lossy)
    sent = [rng.randbytes(length) for length in (31, 400, 1, 33, 34, 31, 5)]
    received, drops = [], []

    async def source(ctx):
        for packet in sent:
            await send_packets(ctx, dut.i, [packet], rng=rng, idle=0.3, domain="write")
            if lossy:  # nothing else is to be in the way
                await ctx.tick("write").repeat(150)

    async def sink(ctx):
        received.extend(await receive_packets(ctx, dut.o, 4, rng=rng, domain="read"))

    run(dut, (8e-9, 8e-9), source, sink, rng=rng, background=[counting(dut, drops)])
    assert received == [(packet, False) for packet in sent if len(packet) <= 31]
    assert sum(drops) == 3


def test_a_lossy_one_never_waits_and_drops_whole_packets(rng):
    dut = PacketCrossing(8, depth=64, lossy=True)
    sent = [bytes([number]) * 20 for number in range(60)]
    received, drops = [], []

    clock = Signal(32)

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, domain="write")
        assert ctx.get(clock) == pytest.approx(1200, abs=1)
        await ctx.delay(5e-6)

    async def sink(ctx):
        while True:
            received.extend(await receive_packets(ctx, dut.o, 1, rng=rng, stall=0.7, domain="read"))

    run(dut, (8e-9, 8e-9), source, rng=rng, background=[sink, counting(dut, drops)], clock=clock)
    assert 10 < len(received) < 50
    assert len(received) + sum(drops) == 60
    assert all(packet == bytes([packet[0]]) * 20 for packet, _ in received)
    assert [packet[0] for packet, _ in received] == sorted({packet[0] for packet, _ in received})


def test_throughput_and_latency(rng):
    dut = PacketCrossing(8, depth=256, lossy=True)
    sent = [rng.randbytes(60) for _ in range(10)]
    clocks, ends = [], []
    clock = Signal(32)

    async def source(ctx):
        for packet in sent:
            await send_packets(ctx, dut.i, [packet], rng=rng, domain="write")
            ends.append(ctx.get(clock))

    async def sink(ctx):
        received = await receive_packets(ctx, dut.o, 10, rng=rng, clocks=clocks, domain="read")
        assert received == [(packet, False) for packet in sent]

    run(dut, (8e-9, 8e-9), source, sink, rng=rng, clock=clock)
    assert clocks == list(range(clocks[0], clocks[0] + 600))
    # The clock behind the last beat is the first of `latency`.
    assert clocks[0] - ends[0] == pytest.approx(sum(dut.latency) - 1, abs=1)


class _Resetting:
    """A source and a sink that are reset at random, about as often as each other, and what they saw."""

    def __init__(self, dut, rng, count, periods):
        self.dut, self.rng, self.count = dut, rng, count
        self.source_chance, self.sink_chance = (0.008 * period / periods[0] for period in periods)
        self.sent, self.received, self.cut = [], [], []
        self.resets = {"write": 0, "read": 0}
        self.done = False

    async def source(self, ctx):
        dut, rng = self.dut, self.rng
        for number in range(self.count):
            packet = number.to_bytes(2, "little") * rng.randint(1, 12)
            for place, byte in enumerate(packet):
                ctx.set(dut.i.valid, 1)
                ctx.set(dut.i.payload, {"data": byte, "last": place == len(packet) - 1})
                ready = reset = 0
                while not ready and not reset:
                    if rng.random() < self.source_chance:
                        self.resets["write"] += 1
                        ctx.set(self.write_reset, 1)
                    _, reset, ready = await ctx.tick("write").sample(dut.i.ready)
                    if reset:
                        ctx.set(dut.i.valid, rng.getrandbits(1))
                        for _ in range(rng.randrange(4)):
                            await ctx.tick("write")
                        ctx.set(self.write_reset, 0)
                if reset:
                    break
            else:
                self.sent.append(packet)
        ctx.set(dut.i.valid, 0)
        await ctx.delay(10e-6)
        self.done = True

    async def sink(self, ctx):
        dut, rng = self.dut, self.rng
        rules = StreamRules(dut.o.payload.shape())
        content = bytearray()
        while not self.done:
            ctx.set(dut.o.ready, rng.random() < 0.8)
            if rng.random() < self.sink_chance:
                self.resets["read"] += 1
                ctx.set(self.read_reset, 1)
            _, reset, ready, valid, payload = await ctx.tick("read").sample(
                dut.o.ready, dut.o.valid, dut.o.payload.as_value()
            )
            if reset:
                if content:
                    self.cut.append(bytes(content))
                content.clear()
                rules.waiting = None
                for _ in range(rng.randrange(4)):
                    await ctx.tick("read")
                ctx.set(self.read_reset, 0)
                continue
            rules.check(valid, ready, payload)
            assert valid or not content, "a pause within a packet"
            if valid and ready:
                beat = dut.o.payload.shape().from_bits(payload)
                content.append(beat.data)
                if beat.last:
                    self.received.append(bytes(content))
                    content.clear()


@pytest.mark.parametrize("periods", PERIODS)
@pytest.mark.parametrize("lossy", [False, True])
def test_resets_at_any_time(rng: random.Random, periods, lossy):
    dut = PacketCrossing(8, depth=64, lossy=lossy)
    m = Module()
    domains = {name: ClockDomain(name) for name in DOMAINS}
    m.domains += domains.values()
    m.submodules.dut = dut
    life = _Resetting(dut, rng, 250, periods)
    life.write_reset, life.read_reset = (domain.rst for domain in domains.values())
    drops = []
    simulate_clocks(
        m,
        dict(zip(DOMAINS, periods, strict=True)),
        life.source,
        life.sink,
        rng=rng,
        background=[counting(dut, drops)],
    )
    assert life.resets["write"] > 3
    assert life.resets["read"] > 3
    assert is_part(life.received, life.sent)
    # What is missing was dropped for want of room, or its reader was reset while it came.
    missing = len(life.sent) - len(life.received)
    assert sum(drops) <= missing <= sum(drops) + life.resets["read"]
    assert lossy or not sum(drops)
    if periods[0] <= periods[1]:
        assert life.cut


@pytest.mark.parametrize("depth", [8, 48, 1 << 17])
def test_refuses(depth):
    assert_refused("depth must be", PacketCrossing, 8, depth=depth, lossy=True)
    assert_refused("data_width must be one of", PacketCrossing, 24, depth=64, lossy=True)
