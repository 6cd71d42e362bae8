"""Frames onto a GMII, looked at byte by byte."""

import random
import zlib

import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from helpers.packet_bench import assert_refused, send_packets, simulate
from vtep.mac.transmitter import MacTransmitter


def transmit(packets, *, rng, pace: int = 1, idle: float = 0.0, gap: int = 12):
    """Carriers seen on the line, each a list of (byte, tx_er) and the gap in front of it; and underruns."""
    dut = MacTransmitter(gap)
    carriers: list[tuple[list[tuple[int, int]], int]] = []
    underruns, sent = [], []

    async def source(ctx):
        await send_packets(ctx, dut.i, packets, rng=rng, idle=idle)

    async def line(ctx):
        quiet, under_way = 0, False
        while len(carriers) < len(packets) or under_way or quiet < gap:
            for clock in range(pace):
                ctx.set(dut.enable, clock == pace - 1)
                _, _, byte, enable, error, underrun, end = await ctx.tick().sample(
                    dut.gmii.txd, dut.gmii.tx_en, dut.gmii.tx_er, dut.underrun, dut.sent
                )
                underruns.append(underrun)
                sent.append(end)
            if enable:
                if not under_way:
                    carriers.append(([], quiet))
                carriers[-1][0].append((byte, error))
                quiet = 0
            else:
                assert not error
                quiet += 1
            under_way = bool(enable)

    simulate(dut, source, line)
    return carriers, sum(underruns), sum(sent)


def line_form(data: bytes, error: bool = False) -> list[tuple[int, int]]:
    data = data.ljust(60, b"\0")
    fcs = zlib.crc32(data) ^ (0xFFFFFFFF if error else 0)
    return [(byte, 0) for byte in b"\x55" * 7 + b"\xd5" + data + fcs.to_bytes(4, "little")]


@pytest.mark.parametrize(("pace", "gap"), [(1, 12), pytest.param(1, 5, marks=pytest.mark.full), (2, 12), (10, 12)])
def test_every_length_back_to_back(rng: random.Random, pace: int, gap: int) -> None:
    lengths = [*range(1, 70, 1 + pace // 2), 300]
    packets = [(rng.randbytes(length), rng.random() < 0.2) for length in lengths]
    carriers, underruns, sent = transmit(packets, rng=rng, pace=pace, gap=gap)
    assert [content for content, _ in carriers] == [line_form(*packet) for packet in packets]
    assert {quiet for _, quiet in carriers[1:]} == {gap}
    assert underruns == 0
    assert sent == sum(not error for _, error in packets)


def test_a_gap_is_kept_when_frames_come_late(rng: random.Random) -> None:
    packets = [rng.randbytes(60) for _ in range(30)]
    m = Module()
    dut = MacTransmitter()
    m.submodules.dut = dut
    carriers = []

    async def source(ctx):
        for packet in packets:
            await ctx.tick().repeat(rng.randrange(1, 40))
            await send_packets(ctx, dut.i, [packet], rng=rng)

    async def line(ctx):
        quiet, before = 100, 0
        while len(carriers) < len(packets):
            ctx.set(dut.enable, 1)
            *_, enable = await ctx.tick().sample(dut.gmii.tx_en)
            if enable and not before:
                carriers.append(quiet)
            quiet, before = 0 if enable else quiet + 1, enable

    simulate(m, source, line)
    assert min(carriers) >= 12
    assert len(set(carriers)) > 3


def test_latency(rng: random.Random) -> None:
    dut = MacTransmitter()

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        await ctx.tick().repeat(20)
        ctx.set(dut.i.valid, 1)
        clocks = 0
        while not ctx.get(dut.gmii.tx_en):
            await ctx.tick()
            clocks += 1
        assert clocks == dut.latency

    simulate(dut, bench)


def test_a_missing_byte_spoils_the_frame_and_nothing_else(rng: random.Random) -> None:
    packets = [rng.randbytes(length) for length in (200, 100, 150)]
    spoiled = 0
    for _ in range(5):
        carriers, underruns, sent = transmit(packets, rng=rng, idle=0.3)
        spoiled += underruns
        assert sent + underruns == len(packets)
        for (content, quiet), packet in zip(carriers, packets, strict=True):
            whole = line_form(packet)
            if content != whole:
                assert content[:-1] == whole[: len(content) - 1]
                assert content[-1][1] == 1
                underruns -= 1
            assert quiet >= 12 or packet is packets[0]
        assert underruns == 0
    assert spoiled


def test_a_reset_in_the_middle_of_a_frame(rng: random.Random) -> None:
    m = Module()
    reset = Signal()
    dut = MacTransmitter()
    m.submodules.dut = ResetInserter(reset)(dut)
    packet = rng.randbytes(80)
    content: list[tuple[int, int]] = []

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        for place in range(1, 140, 9):
            ctx.set(dut.i.valid, 1)
            await ctx.tick().repeat(place)
            ctx.set(dut.i.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            for _ in range(60):
                *_, enable = await ctx.tick().sample(dut.gmii.tx_en)
                assert not enable
        await send_packets(ctx, dut.i, [packet], rng=rng)
        await ctx.tick().repeat(100)

    async def line(ctx):
        async for _, _, byte, enable, error in ctx.tick().sample(dut.gmii.txd, dut.gmii.tx_en, dut.gmii.tx_er):
            if enable:
                content.append((byte, error))

    simulate(m, bench, background=[line])
    # Behind what is left of those that were cut.
    assert content[-92:] == line_form(packet)


@pytest.mark.parametrize("gap", [4, 256, 12.0])
def test_refuses(gap) -> None:
    assert_refused("gap must be an integer within 5 .. 255", MacTransmitter, gap)
