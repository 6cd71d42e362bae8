"""Destination addresses of neighbours, against a list in Python."""

import random

import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from helpers.packet_bench import assert_refused, receive_packets, send_packets, simulate
from vtep.config import DATA_WIDTHS
from vtep.local.next_hop import NextHop

NEIGHBORS = 5
MACS = {0: 0x020000000A00, 2: 0xFFFFFFFFFFFF, 4: 0x0123456789AB}
"""What is known; the others are not."""


async def publish(ctx, dut, index: int, mac: int | None) -> None:
    ctx.set(dut.publish, 1)
    ctx.set(dut.publication, {"index": index, "usable": int(mac is not None), "mac": mac or 0x0200DEADBEEF})
    await ctx.tick()
    ctx.set(dut.publish, 0)


def expected(frame: bytes) -> tuple[bytes | None, int | None]:
    """What leaves, and which neighbour is told to be unresolved."""
    if len(frame) < 6 or frame[:5] != bytes(5):
        return frame, None
    if frame[5] not in MACS:
        return None, frame[5]
    return MACS[frame[5]].to_bytes(6, "big") + frame[6:], None


def some_frames(rng: random.Random, lanes: int, count: int) -> list[tuple[bytes, bool]]:
    frames = []
    for _ in range(count):
        length = rng.choice((rng.randint(14, 80), rng.randint(1, 8), 6, 7, lanes, lanes + 1, 2 * lanes))
        frame = bytearray(rng.randbytes(length))
        kind = rng.random()
        if kind < 0.8:
            frame[:6] = bytes(5) + bytes([rng.choice((*range(7), 64, 128, 255, 0x82))])
            if kind < 0.15:
                frame[rng.randrange(5)] ^= 1 << rng.randrange(8)
        frames.append((bytes(frame[:length]), rng.random() < 0.1))
    return frames


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.5), (0.3, 0.3)])
def test_replaces_or_drops(rng: random.Random, data_width: int, idle: float, stall: float) -> None:
    dut = NextHop(data_width, NEIGHBORS)
    frames = some_frames(rng, data_width // 8, 60)
    wanted = [(out, error) for frame, error in frames if (out := expected(frame)[0]) is not None]
    unresolved = [index for frame, _ in frames if (index := expected(frame)[1]) is not None]
    assert unresolved
    told = []
    ready = []

    async def source(ctx):
        for index in range(NEIGHBORS):
            await publish(ctx, dut, index, MACS.get(index))
        ready.append(True)
        await send_packets(ctx, dut.i, frames, rng=rng, idle=idle)
        # What was sent last may be dropped behind all that is received.
        await ctx.tick().repeat(dut.latency + 20)

    async def sink(ctx):
        received = await receive_packets(ctx, dut.o, len(wanted), rng=rng, stall=stall)
        assert received == wanted
        ctx.set(dut.o.ready, 1)
        for _ in range(40):
            *_, valid = await ctx.tick().sample(dut.o.valid)
            assert not valid

    async def watch(ctx):
        async for _, _, event, index in ctx.tick().sample(dut.unresolved, dut.index):
            if event:
                told.append(index)

    simulate(dut, source, sink, background=[watch])
    assert told == unresolved


@pytest.mark.parametrize("data_width", [8, 64, 512])
def test_has_no_bubble_and_the_stated_latency(rng: random.Random, data_width: int) -> None:
    dut = NextHop(data_width, NEIGHBORS)
    frames = [bytes(5) + bytes([rng.choice(list(MACS))]) + rng.randbytes(rng.randint(8, 90)) for _ in range(20)]
    clocks: list[int] = []

    async def source(ctx):
        for index, mac in MACS.items():
            await publish(ctx, dut, index, mac)
        await send_packets(ctx, dut.i, frames, rng=rng)

    async def sink(ctx):
        await ctx.tick().repeat(len(MACS))
        received = await receive_packets(ctx, dut.o, len(frames), rng=rng, clocks=clocks)
        assert [frame for frame, _ in received] == [expected(frame)[0] for frame in frames]

    simulate(dut, source, sink)
    assert dut.latency == -(-48 // data_width) + 2
    assert clocks == list(range(dut.latency, dut.latency + len(clocks)))


def test_follows_what_is_published(rng: random.Random) -> None:
    """A neighbour's address changes and goes; frames have one or the other, none a part of each."""
    dut = NextHop(8, 2)
    frame = bytes(5) + b"\x01" + bytes(range(30))
    macs = [None, 0x020202020202, 0x030303030303, None, 0x040404040404]
    received = []

    async def source(ctx):
        for mac in macs:
            await publish(ctx, dut, 1, mac)
            await send_packets(ctx, dut.i, [frame], rng=rng)
            await ctx.tick().repeat(10)
        for octet in range(40):
            # While a frame passes.
            ctx.set(dut.publish, 1)
            ctx.set(dut.publication, {"index": 1, "usable": 1, "mac": 0x010101010101 * octet})
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload, {"data": frame[octet % 36], "last": octet % 36 == 35})
            await ctx.tick()

    async def sink(ctx):
        received.extend(await receive_packets(ctx, dut.o, 4, rng=rng))

    simulate(dut, source, sink)
    assert [packet[:6].hex() for packet, _ in received[:3]] == ["02" * 6, "03" * 6, "04" * 6]
    assert len(set(received[3][0][:6])) == 1
    assert received[3][0][6:] == frame[6:]


@pytest.mark.parametrize("data_width", [8, 64])
def test_a_reset_in_the_middle_of_a_frame(rng: random.Random, data_width: int) -> None:
    reset = Signal()
    m = Module()
    dut = NextHop(data_width, NEIGHBORS)
    m.submodules.dut = ResetInserter(reset)(dut)
    good = bytes(5) + b"\x00" + rng.randbytes(60)

    async def source(ctx):
        await publish(ctx, dut, 0, MACS[0])
        ctx.set(dut.o.ready, 1)
        for clocks in range(1, 12):
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload, {"data": 0, "last": 0})
            await ctx.tick().repeat(clocks)
            ctx.set(dut.i.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert not ctx.get(dut.o.valid)
            assert not ctx.get(dut.unresolved)
        await send_packets(ctx, dut.i, [good], rng=rng)

    async def sink(ctx):
        content = bytearray()
        lanes = data_width // 8
        async for _, _, resetting, valid, payload in ctx.tick().sample(reset, dut.o.valid, dut.o.payload):
            if resetting:
                content.clear()
            elif valid:
                content += payload.data.to_bytes(lanes, "little")[: lanes - payload.empty]
                if payload.last:
                    assert bytes(content) == expected(good)[0]
                    return

    simulate(m, source, sink)


def test_refuses() -> None:
    assert_refused("data_width must be one of", NextHop, 24)
    assert_refused(r"neighbors must be .* 1 \.\. 64, not 0", NextHop, 64, 0)
    assert_refused(r"neighbors must be .* 1 \.\. 64, not 65", NextHop, 64, 65)
