"""RGMII's coding at its three speeds, each side against a description of the wires in Python, and back to back."""

import random
from itertools import pairwise

import pytest
from amaranth.hdl import Module

from helpers.packet_bench import simulate
from vtep.mac.gmii import Speed
from vtep.mac.rgmii import RgmiiReceiver, RgmiiTransmitter

SLOW = [Speed.MBPS_100, Speed.MBPS_10]


def nibbles(content: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(part, error) for byte, error in content for part in (byte & 15, byte >> 4)]


def drive(dut, ctx, low: int, high: int, valid: int, error: int) -> None:
    ctx.set(dut.wires.rxd[0], low)
    ctx.set(dut.wires.rxd[1], high)
    ctx.set(dut.wires.rx_ctl[0], valid)
    ctx.set(dut.wires.rx_ctl[1], valid ^ error)


def receive(speed: Speed, line: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int]]:
    """What comes out in clocks with enable: rxd, rx_dv, rx_er. ``line``: clocks of low, high, valid, error."""
    dut = RgmiiReceiver()
    seen = []

    async def bench(ctx):
        ctx.set(dut.speed, speed)
        for clock in [*line, (0, 0, 0, 0), (0, 0, 0, 0)]:
            drive(dut, ctx, *clock)
            *_, enable, rxd, rx_dv, rx_er = await ctx.tick().sample(
                dut.gmii.enable, dut.gmii.rxd, dut.gmii.rx_dv, dut.gmii.rx_er
            )
            if enable:
                seen.append((rxd, rx_dv, rx_er))

    simulate(dut, bench)
    return seen


def test_a_byte_a_clock_at_1000(rng: random.Random) -> None:
    content = [(rng.randrange(256), rng.randrange(2), rng.randrange(2)) for _ in range(200)]
    line = [(byte & 15, byte >> 4, valid, error) for byte, valid, error in content]
    assert receive(Speed.MBPS_1000, line)[1:201] == content


@pytest.mark.parametrize("speed", SLOW)
@pytest.mark.parametrize("preamble", [1, 2, 13, 14, 15, 16])
@pytest.mark.parametrize("dribble", [False, True])
def test_pairs_of_nibbles(rng: random.Random, speed: Speed, preamble: int, dribble: bool) -> None:
    """``preamble`` nibbles, the low one of the delimiter among them; ``dribble``: half a byte behind the last one."""
    content = [(rng.randrange(256), int(rng.random() < 0.1)) for _ in range(70)]
    frame = [*[(5, 0)] * preamble, (13, 0), *nibbles(content), *[(7, 0)] * dribble]
    line = []
    for _ in range(3):
        line += [(nibble, rng.randrange(16), 1, error) for nibble, error in frame]
        line += [(0, 0, 0, 0)] * rng.randrange(1, 10)
    seen = receive(speed, line)
    frames, before = [], 0
    for rxd, rx_dv, rx_er in seen:
        if rx_dv and not before:
            frames.append([])
        if rx_dv:
            frames[-1].append((rxd, rx_er))
        before = rx_dv
    assert len(frames) == 3
    errors = [error for _, error in content]
    for found in frames:
        while found[0] == (0x55, 0):
            found.pop(0)
        assert found[0] == (0xD5, 0)
        assert found[1:] == list(zip([byte for byte, _ in content], errors, strict=True))


def test_an_error_in_either_nibble() -> None:
    frame = [(5, 0)] * 15 + [(13, 0), (1, 0), (2, 1), (3, 1), (4, 0), (5, 0), (6, 0)]
    seen = receive(Speed.MBPS_100, [(nibble, nibble, 1, error) for nibble, error in frame])
    assert [(rxd, rx_er) for rxd, rx_dv, rx_er in seen if rx_dv][-3:] == [(0x21, 1), (0x43, 1), (0x65, 0)]


def test_in_band_status(rng: random.Random) -> None:
    dut = RgmiiReceiver()

    async def bench(ctx):
        assert not ctx.get(dut.link.up)
        for status in rng.sample(range(16), 16):
            drive(dut, ctx, status, status, 0, 0)
            await ctx.tick().repeat(3)
            # Frames, and what goes with an error between them, say nothing of the link.
            for valid, error in ((1, 0), (1, 1), (0, 1)):
                drive(dut, ctx, rng.randrange(16), rng.randrange(16), valid, error)
                await ctx.tick().repeat(3)
            link = ctx.get(dut.link)
            assert link.up == status & 1
            assert link.full_duplex == status >> 3
            assert ctx.get(dut.link.as_value()) == status

    simulate(dut, bench)


def transmit(speed: Speed, content: list[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """Halves of clocks, each TXC, TXD, TX_CTL, for each byte of ``content`` (txd, tx_en, tx_er)."""
    dut = RgmiiTransmitter()
    halves: list[tuple[int, int, int]] = []

    async def bench(ctx):
        ctx.set(dut.speed, speed)
        await ctx.tick().repeat(2)
        while ctx.get(dut.enable) and speed != Speed.MBPS_1000:
            await ctx.tick()
        pending = list(content)
        while pending or not ctx.get(dut.enable):
            if ctx.get(dut.enable):
                await step(ctx)
                txd, tx_en, tx_er = pending.pop(0)
                ctx.set(dut.gmii.txd, txd)
                ctx.set(dut.gmii.tx_en, tx_en)
                ctx.set(dut.gmii.tx_er, tx_er)
            else:
                await step(ctx)
        for _ in range(2):
            await step(ctx)

    async def step(ctx):
        await ctx.tick()
        halves.extend(
            (ctx.get(dut.wires.txc[half]), ctx.get(dut.wires.txd[half]), ctx.get(dut.wires.tx_ctl[half]))
            for half in range(2)
        )

    simulate(dut, bench)
    return halves


@pytest.mark.parametrize("speed", list(Speed))
def test_what_a_phy_samples(rng: random.Random, speed: Speed) -> None:
    """At both edges of TXC, with the clock's duty exact, and no edge within a frame too early or too late."""
    content = [(0, 0, 0)] * 2 + [(rng.randrange(256), 1, int(rng.random() < 0.2)) for _ in range(12)] + [(0, 0, 0)] * 3
    halves = transmit(speed, content)
    edges = [place for place in range(1, len(halves)) if halves[place][0] != halves[place - 1][0]]
    period = {Speed.MBPS_1000: 1, Speed.MBPS_100: 5, Speed.MBPS_10: 50}[speed]
    assert {after - before for before, after in pairwise(edges)} == {period}
    rising = [halves[place] for place in edges if halves[place][0]]
    falling = [halves[place] for place in edges if not halves[place][0]]
    wanted_rising = [(1, nibble, 1) for byte, enable, _ in content if enable for nibble in (byte & 15, byte >> 4)]
    wanted_falling = [
        (0, nibble, 1 - error) for byte, enable, error in content if enable for nibble in (byte & 15, byte >> 4)
    ]
    if speed == Speed.MBPS_1000:
        wanted_rising, wanted_falling = wanted_rising[::2], wanted_falling[1::2]
    found = [entry for entry in rising if entry[2]]
    assert found == wanted_rising
    start = rising.index(found[0])
    offset = 0 if edges and halves[edges[0]][0] else 1
    assert falling[start + offset : start + offset + len(wanted_falling)] == wanted_falling


@pytest.mark.parametrize("speed", list(Speed))
def test_there_and_back(rng: random.Random, speed: Speed) -> None:
    content = [(0, 0, 0)] * 2
    content += [(byte, 1, 0) for byte in [0x55] * 7 + [0xD5]]
    content += [(rng.randrange(256), 1, int(rng.random() < 0.1)) for _ in range(30)] + [(0, 0, 0)] * 4
    halves = transmit(speed, content)
    line = []
    for place in range(1, len(halves)):
        if halves[place][0] and not halves[place - 1][0]:
            later = next((p for p in range(place, len(halves)) if not halves[p][0]), None)
            if later is None:
                break
            _, low, valid = halves[place]
            _, high, control = halves[later]
            line.append((low, high, valid, valid ^ control))
    seen = [(rxd, rx_er) for rxd, rx_dv, rx_er in receive(speed, line) if rx_dv]
    assert seen == [(byte, error) for byte, enable, error in content if enable]


def test_the_speed_changes_between_frames_only(rng: random.Random) -> None:
    m = Module()
    m.submodules.dut = dut = RgmiiTransmitter()

    async def bench(ctx):
        ctx.set(dut.speed, Speed.MBPS_1000)
        await ctx.tick().repeat(5)
        ctx.set(dut.gmii.tx_en, 1)
        ctx.set(dut.speed, Speed.MBPS_100)
        for _ in range(40):
            await ctx.tick()
            assert ctx.get(dut.enable)
        ctx.set(dut.gmii.tx_en, 0)
        await ctx.tick().repeat(2)
        enables = []
        for _ in range(40):
            await ctx.tick()
            enables.append(ctx.get(dut.enable))
        assert sum(enables) == 4

    simulate(m, bench)
