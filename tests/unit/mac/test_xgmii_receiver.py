"""Frames out of an XGMII, against a description of the line in Python."""

import random
import zlib

import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from helpers.xgmii import ERROR, IDLE, LOCAL_FAULT, START, TERMINATE, frame, frames_of, plain, put, to_words
from vtep.mac.xgmii_receiver import XgmiiReceiver

LONGEST = 200
NAMES = ("length", "fcs_error", "too_short", "too_long", "multicast", "broadcast")


def described(seen) -> tuple[bytes, dict[str, int]]:
    """What a receiver says of a frame."""
    content = seen.content
    good = seen.whole and len(content) > 4 and zlib.crc32(content[:-4]) == int.from_bytes(content[-4:], "little")
    ones = content[:6] == b"\xff" * min(6, len(content))
    return content[:-4] if len(content) > 4 else content, {
        "length": len(content),
        "fcs_error": int(not good),
        "too_short": int(len(content) < 64),
        "too_long": int(len(content) > LONGEST + 4),
        "multicast": content[0] & int(not ones),
        "broadcast": int(ones),
    }


def receive(line) -> tuple[list, int]:
    """Frames with their marks and receptions, and the count of false carriers."""
    m = Module()
    m.submodules.dut = dut = XgmiiReceiver(LONGEST)
    frames, false, done = [], [], []

    async def source(ctx):
        for data, control in to_words([*line, *[IDLE] * 200]):
            ctx.set(dut.xgmii.rxd, data)
            ctx.set(dut.xgmii.rxc, control)
            await ctx.tick()
        done.append(True)

    async def sink(ctx):
        ctx.set(dut.o.ready, 1)
        content = bytearray()
        while not done:
            _, _, valid, beat, received, report, wrong, ready = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.received, dut.reception, dut.false_carrier, dut._check.i.ready
            )
            assert ready
            assert received == (valid and beat.last)
            false.append(wrong)
            if valid:
                assert beat.last or not beat.empty
                content += beat.data.to_bytes(8, "little")[: 8 - beat.empty]
                if beat.last:
                    frames.append((bytes(content), beat.error, {name: getattr(report, name) for name in NAMES}))
                    content.clear()
        assert not content

    simulate(m, source, sink)
    return frames, sum(false)


def check(line, *, count_false: bool = True) -> list:
    frames, false = receive(line)
    seen, wanted_false = frames_of(line)
    wanted = [described(one) for one in seen]
    assert [(content, report) for content, _, report in frames] == wanted
    for _, error, report in frames:
        assert error == (report["fcs_error"] | report["too_short"] | report["too_long"])
    if count_false:
        assert false == wanted_false
    return seen


@pytest.mark.parametrize(("gap", "first"), [(1, 0), (1, 4), (5, 0), (12, 4)])
def test_every_length(rng: random.Random, gap: int, first: int) -> None:
    lengths = [*range(1, 74), LONGEST - 1, LONGEST, LONGEST + 1, LONGEST + 200]
    if gap > 1:
        rng.shuffle(lengths)
    line = [IDLE] * (8 + first)
    for length in lengths:
        put(line, frame(rng.randbytes(length)), gap)
    seen = check(line)
    assert len(seen) == len(lengths)
    assert {one.start for one in seen} == {0, 4}


def test_fragments_of_less_than_an_fcs(rng: random.Random) -> None:
    line = [IDLE] * 8
    for length in (1, 2, 3, 4, 4, 3, 2, 1):
        put(line, [*frame(b"")[:8], *plain(rng.randbytes(length)), TERMINATE], 5)
    assert len(check(line)) == 8


def test_what_is_wrong_with_a_frame(rng: random.Random) -> None:
    data = rng.randbytes(100)
    line = [IDLE] * 8
    for lanes in (
        frame(data, spoil=1),
        frame(data, spoil=1 << 31),
        frame(b"\xff" * 6 + data),
        frame(b"\xff" * 5 + b"\xfe" + data),
        frame(b"\x01" + data),
        frame(rng.randbytes(LONGEST + 1), spoil=1),
        frame(data),
    ):
        put(line, lanes, 9)
    assert len(check(line)) == 7


@pytest.mark.parametrize("lane", range(8))
def test_control_characters_within_a_frame(rng: random.Random, lane: int) -> None:
    """An error character spoils a frame, any other one ends it; a good frame follows each."""
    line = [IDLE] * 8
    for character in (ERROR, IDLE, (0x9C, 1), START, TERMINATE, (0x55, 1)):
        for place in (8 + lane, 40 + lane):
            lanes = frame(rng.randbytes(70))
            lanes[place] = character
            put(line, lanes, 12)
            put(line, frame(rng.randbytes(60)), 12)
    seen = check(line, count_false=False)
    assert sum(one.whole for one in seen) >= 12


def test_characters_that_spoil_a_frame_whose_fcs_is_right(rng: random.Random) -> None:
    line = [IDLE] * 8
    for place in (*range(8), 30, 59):
        data = bytearray(rng.randbytes(60))
        data[place] = ERROR[0]
        lanes = frame(bytes(data))
        lanes[8 + place] = ERROR
        put(line, lanes, 12)
        put(line, frame(bytes(data)), 12)
    for length in range(60, 68):
        put(line, [*frame(rng.randbytes(length))[:-1], rng.choice((IDLE, (0x9C, 1)))], 12)
        put(line, frame(rng.randbytes(length)), 12)
    assert [one.whole for one in check(line)] == [False, True] * 18


def test_an_error_character_behind_the_end_says_nothing(rng: random.Random) -> None:
    line = [IDLE] * 8
    for length in range(60, 68):
        put(line, [*frame(rng.randbytes(length)), ERROR], 1)
        line += [IDLE] * 12
    assert all(one.whole for one in check(line))


def test_a_start_that_begins_no_frame(rng: random.Random) -> None:
    good = frame(rng.randbytes(60))
    line = [IDLE] * 8
    for place in range(1, 8):
        for wrong in ((0x54, 0), (0x55, 1), ERROR, (0xD5, 0) if place < 7 else (0x55, 0)):
            lanes = list(good)
            lanes[place] = wrong
            put(line, lanes, 12)
            put(line, good, 12)
    put(line, [*good[:8], TERMINATE], 12)
    put(line, good, 12)
    # In another lane than 0 and 4, it is none.
    line += [IDLE] * (-len(line) % 4 + 1)
    line += good
    put(line, good, 16)
    seen = check(line)
    assert [one.whole for one in seen] == [True] * 30


def test_ordered_sets_are_no_frames(rng: random.Random) -> None:
    line = LOCAL_FAULT * 40
    put(line, frame(rng.randbytes(60)), 12)
    line += [IDLE] * (-len(line) % 4)
    line += LOCAL_FAULT * 40
    assert len(check(line)) == 1


def test_random_lines(rng: random.Random) -> None:
    characters = (ERROR, IDLE, START, TERMINATE, (0x9C, 1), (0x55, 0))
    line = [IDLE] * 8
    for _ in range(80):
        lanes = frame(rng.randbytes(rng.randrange(1, 260)), spoil=rng.choice((0, 0, 0, 1 << rng.randrange(32))))
        if rng.random() < 0.3:
            lanes[rng.randrange(len(lanes))] = rng.choice(characters)
        if rng.random() < 0.1:
            del lanes[rng.randrange(1, len(lanes)) :]
        put(line, lanes, rng.randrange(1, 20))
    check(line, count_false=False)


def test_latency(rng: random.Random) -> None:
    for first in (0, 4):
        dut = XgmiiReceiver(LONGEST)
        line = [IDLE] * (16 + first)
        put(line, frame(rng.randbytes(60)), 1)
        clocks = []

        async def bench(ctx, dut=dut, line=line, clocks=clocks):
            ctx.set(dut.o.ready, 1)
            for clock, (data, control) in enumerate(to_words([*line, *[IDLE] * 160])):
                ctx.set(dut.xgmii.rxd, data)
                ctx.set(dut.xgmii.rxc, control)
                *_, valid = await ctx.tick().sample(dut.o.valid)
                if valid:
                    clocks.append(clock)

        simulate(dut, bench)
        assert clocks[0] == (16 + first + 8) // 8 + dut.latency


@pytest.mark.parametrize("place", range(12))
def test_a_reset_in_the_middle_of_a_frame(rng: random.Random, place: int) -> None:
    """What is left of the frame is no frame, and the next one is."""
    m = Module()
    reset = Signal()
    m.submodules.dut = dut = ResetInserter(reset)(XgmiiReceiver(LONGEST))
    line = [IDLE] * 8
    put(line, frame(rng.randbytes(80)), 1)
    put(line, [IDLE] * 200, 1)
    put(line, frame(rng.randbytes(81)), 12)
    lengths = []

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        for clock, (data, control) in enumerate(to_words([*line, *[IDLE] * 200])):
            ctx.set(dut.xgmii.rxd, data)
            ctx.set(dut.xgmii.rxc, control)
            ctx.set(reset, clock == 3 + place)
            *_, received, report = await ctx.tick().sample(dut.received, dut.reception)
            if received:
                lengths.append((report.length, report.fcs_error))

    simulate(m, bench)
    assert lengths == [(85, 0)]


@pytest.mark.parametrize("length", [127, 16384, True])
def test_refuses(length: int) -> None:
    assert_refused("max_frame_length must be an integer within 128 .. 16383", XgmiiReceiver, length)
