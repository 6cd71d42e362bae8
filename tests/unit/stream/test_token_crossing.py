"""Tokens across clock domains: each once and in order, whatever the clocks and whichever side is reset."""

import random

import pytest
from amaranth.hdl import ClockDomain, DomainRenamer, Module

from helpers.packet_bench import assert_refused, simulate_clocks
from vtep.stream.token_crossing import TokenCrossing


@pytest.mark.parametrize(("depth", "fast"), [(2, 1.0), (16, 0.3), (16, 3.7)])
@pytest.mark.parametrize("reset", [None, "a", "b"])
def test_every_token_once(rng: random.Random, depth: int, fast: float, reset: str | None) -> None:
    m = Module()
    periods = {"a": 1e-8, "b": 1e-8 * fast}
    domains = {name: ClockDomain(name) for name in periods}
    m.domains += domains.values()
    dut = TokenCrossing(8, depth)
    m.submodules.dut = DomainRenamer({"write": "a", "read": "b"})(dut)
    sent = [rng.randrange(256) for _ in range(120)]
    received = []

    async def source(ctx):
        for token in sent:
            while rng.random() < 0.3:
                await ctx.tick("a")
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload, token)
            ready = 0
            while not ready:
                _, _, ready = await ctx.tick("a").sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def sink(ctx):
        for _ in range(60 * len(sent)):
            if len(received) == len(sent):
                break
            ready = rng.random() < 0.6
            ctx.set(dut.o.ready, ready)
            _, _, valid, token = await ctx.tick("b").sample(dut.o.valid, dut.o.payload)
            if valid and ready:
                received.append(token)

    async def resets(ctx):
        while reset:
            await ctx.delay(rng.random() * 3e-7)
            ctx.set(domains[reset].rst, 1)
            await ctx.delay(3e-8)
            ctx.set(domains[reset].rst, 0)

    simulate_clocks(m, periods, source, sink, rng=rng, background=[resets] if reset else [])
    assert received == sent


@pytest.mark.parametrize("depth", [0, 1, 3, 2048])
def test_refuses(depth: int) -> None:
    assert_refused("depth must be", TokenCrossing, 8, depth)
