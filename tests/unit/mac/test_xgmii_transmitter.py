"""Frames onto an XGMII, looked at lane by lane."""

import itertools
import random

import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from helpers.packet_bench import send_packets, simulate
from helpers.xgmii import ERROR, IDLE, REMOTE_FAULT, START, TERMINATE, frame, frames_of, gaps_of, to_lanes
from vtep.mac.xgmii_transmitter import XgmiiTransmitter


def transmit(packets, *, rng, idle: float = 0.0, pauses=(), faults=()) -> tuple[list, dict[str, int]]:
    """The line, and how often each event was. ``pauses``: clocks in front of packets; ``faults``: (local, clocks)."""
    dut = XgmiiTransmitter()
    words = []
    counts = dict.fromkeys(("sent", "discarded", "underrun"), 0)
    done = []

    async def source(ctx):
        if pauses:
            for packet, pause in zip(packets, itertools.cycle(pauses), strict=False):
                await ctx.tick().repeat(pause)
                await send_packets(ctx, dut.i, [packet], rng=rng, idle=idle)
        else:
            await send_packets(ctx, dut.i, packets, rng=rng, idle=idle)
        await ctx.tick().repeat(80)
        done.append(True)

    async def link(ctx):
        for kind, clocks in faults:
            ctx.set(dut.local_fault, kind == "local")
            ctx.set(dut.remote_fault, kind == "remote")
            await ctx.tick().repeat(clocks)
        ctx.set(dut.local_fault, 0)
        ctx.set(dut.remote_fault, 0)

    async def sink(ctx):
        while not done:
            _, _, data, control, *events = await ctx.tick().sample(
                dut.xgmii.txd, dut.xgmii.txc, *(getattr(dut, name) for name in counts)
            )
            words.append((data, control))
            for name, event in zip(counts, events, strict=True):
                counts[name] += event

    simulate(dut, source, sink, link)
    return to_lanes(words), counts


def line_form(data: bytes, error: bool = False) -> bytes:
    lanes = frame(data.ljust(60, b"\0"), error=error)
    return bytes(byte for byte, _ in lanes[8:-1])


def check(line, packets) -> None:
    """``packets``, and nothing else than idles, is on the line."""
    seen, false = frames_of(line)
    assert [one.content for one in seen] == [
        line_form(*packet) if isinstance(packet, tuple) else line_form(packet) for packet in packets
    ]
    assert all(one.whole for one in seen)
    assert false == 0
    inside = False
    for lane in line:
        inside = (inside or lane == START) and lane != TERMINATE
        assert inside or lane in (IDLE, TERMINATE)


def test_every_length_back_to_back(rng: random.Random) -> None:
    lengths = [*range(1, 8), *range(54, 76), 300]
    rng.shuffle(lengths)
    packets = [(rng.randbytes(length), rng.random() < 0.2) for length in lengths]
    line, counts = transmit(packets, rng=rng)
    check(line, packets)
    assert counts == {"sent": sum(not error for _, error in packets), "discarded": 0, "underrun": 0}


@pytest.mark.parametrize("length", range(60, 68))
def test_the_gap_is_12_bytes_in_the_mean(rng: random.Random, length: int) -> None:
    packets = [rng.randbytes(length) for _ in range(34)]
    line, _ = transmit(packets, rng=rng)
    check(line, packets)
    gaps = gaps_of(line)
    assert len(gaps) == len(packets) - 1
    assert min(gaps) >= 9
    # The first frames may have to wait for each other while the pipeline fills.
    held = gaps[1:]
    assert sum(held[:32]) == 12 * 32
    if length % 4 == 0:
        assert set(held) == {12}


def test_no_gap_is_made_up_for_too_much(rng: random.Random) -> None:
    """Over any run of frames of any lengths, no more than 3 bytes are missing, nor added."""
    packets = [rng.randbytes(rng.randrange(60, 80)) for _ in range(100)]
    line, _ = transmit(packets, rng=rng)
    check(line, packets)
    sums = [0, *itertools.accumulate(gap - 12 for gap in gaps_of(line)[1:])]
    assert min(gaps_of(line)) >= 9
    assert max(gaps_of(line)[1:]) <= 15
    assert max(sums) - min(sums) <= 3


def test_a_gap_is_kept_when_frames_come_late(rng: random.Random) -> None:
    packets = [rng.randbytes(rng.randrange(60, 70)) for _ in range(60)]
    line, _ = transmit(packets, rng=rng, pauses=[rng.randrange(1, 6) for _ in range(17)])
    check(line, packets)
    gaps = gaps_of(line)
    assert len(set(gaps)) > 4
    assert min(gaps) >= 9
    # Of any frames in a row, too.
    sums = [0, *itertools.accumulate(gap - 12 for gap in gaps)]
    assert all(sums[b] - sums[a] >= -3 for a in range(len(sums)) for b in range(a, len(sums)))


def test_latency(rng: random.Random) -> None:
    dut = XgmiiTransmitter()

    async def bench(ctx):
        await ctx.tick().repeat(20)
        ctx.set(dut.i.valid, 1)
        clocks = 0
        while ctx.get(dut.xgmii.txc) == 0xFF:
            await ctx.tick()
            clocks += 1
        assert clocks == dut.latency

    simulate(dut, bench)


def test_a_missing_beat_spoils_the_frame_and_nothing_else(rng: random.Random) -> None:
    packets = [rng.randbytes(length) for length in (200, 300, 150)] * 4
    line, counts = transmit(packets, rng=rng, idle=0.3)
    seen, false = frames_of(line)
    assert counts["underrun"] > 0
    assert counts["sent"] + counts["underrun"] == len(packets) == len(seen)
    assert false == 0
    for one, packet in zip(seen, packets, strict=True):
        if one.content != line_form(packet):
            assert not one.whole
            # Without the error characters, and what stood in front of them in their word.
            assert line_form(packet).startswith(one.content[:-4])
            counts["underrun"] -= 1
    assert counts["underrun"] == 0
    assert min(gaps_of(line)) >= 9


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_fault_of_the_link(rng: random.Random, kind: str) -> None:
    """Frames are thrown away whole, but for the one under way; the other end is told of a local fault."""
    packets = [rng.randbytes(rng.randrange(60, 200)) for _ in range(45)]
    line, counts = transmit(packets, rng=rng, faults=[("", 200), (kind, 200)])
    assert counts["underrun"] == 0
    assert counts["sent"] + counts["discarded"] == len(packets)
    assert counts["discarded"] > 5
    seen, false = frames_of(line)
    before = [line_form(packet) for packet in packets]
    count = next(n for n, one in enumerate(seen) if one.content != before[n])
    behind = before[count + counts["discarded"] :]
    assert [one.content for one in seen] == before[:count] + behind
    assert count > 5
    assert len(behind) > 5
    assert false == 0
    assert ERROR not in line
    told = sum(line[place : place + 4] == REMOTE_FAULT for place in range(0, len(line), 4))
    assert told >= 300 if kind == "local" else told == 0


def test_a_reset_in_the_middle_of_a_frame(rng: random.Random) -> None:
    m = Module()
    reset = Signal()
    dut = XgmiiTransmitter()
    m.submodules.dut = ResetInserter(reset)(dut)
    packet = rng.randbytes(80)
    words = []

    async def bench(ctx):
        for place in range(1, 45, 3):
            ctx.set(dut.i.valid, 1)
            await ctx.tick().repeat(place)
            ctx.set(dut.i.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            for _ in range(40):
                *_, control = await ctx.tick().sample(dut.xgmii.txc)
                assert control == 0xFF
        await send_packets(ctx, dut.i, [packet], rng=rng)
        await ctx.tick().repeat(50)

    async def sink(ctx):
        async for _, _, data, control in ctx.tick().sample(dut.xgmii.txd, dut.xgmii.txc):
            words.append((data, control))

    simulate(m, bench, background=[sink])
    seen, _ = frames_of(to_lanes(words))
    assert seen[-1].content == line_form(packet)
    assert seen[-1].whole
