"""Frames out of a GMII, against a description of the line in Python."""

import random
import zlib
from typing import NamedTuple

import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.mac.receiver import MacReceiver

LONGEST = 200


class Carrier(NamedTuple):
    """What is on the line while ``rx_dv`` is high: bytes, each with ``rx_er``, and the gap behind it."""

    content: list[tuple[int, int]]
    gap: int = 12


def frame(data: bytes, *, preamble: int = 7, gap: int = 12, spoil: int = 0, errors: tuple[int, ...] = ()) -> Carrier:
    """A carrier with ``data`` and its FCS; ``spoil`` is xored onto that, ``errors`` are bytes of the frame."""
    fcs = (zlib.crc32(data) ^ spoil).to_bytes(4, "little")
    body = [(byte, int(place in errors)) for place, byte in enumerate(data + fcs)]
    return Carrier([(0x55, 0)] * preamble + [(0xD5, 0)] + body, gap)


def expected_of(carrier: Carrier) -> tuple[bytes, dict[str, int]] | None:
    """What a receiver says of a carrier: frame and reception, or None where there is none."""
    content = list(carrier.content)
    while content and content[0] == (0x55, 0):
        content.pop(0)
    if not content or content[0] != (0xD5, 0) or len(content) == 1:
        return None
    frame = bytes(byte for byte, _ in content[1:])
    marked = any(error for _, error in content[1:])
    fcs_error = len(frame) < 5 or zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "little")
    return frame[:-4] if len(frame) > 4 else frame[-1:], {
        "length": len(frame),
        "fcs_error": int(marked or fcs_error),
        "too_short": int(len(frame) < 64),
        "too_long": int(len(frame) > LONGEST + 4),
        "multicast": frame[0] & int(frame[:6] != b"\xff" * min(6, len(frame))),
        "broadcast": int(frame[:6] == b"\xff" * min(6, len(frame))),
    }


def receive(carriers: list[Carrier], *, pace: int = 1, cut: int | None = None) -> tuple[list, int]:
    """Frames with their marks and receptions, and the count of false carriers. ``pace``: clocks a byte."""
    m = Module()
    m.submodules.dut = dut = MacReceiver(LONGEST)
    frames, false = [], []
    done = []

    async def line(ctx):
        async def byte(rxd, rx_dv, rx_er):
            ctx.set(dut.gmii.rxd, rxd)
            ctx.set(dut.gmii.rx_dv, rx_dv)
            ctx.set(dut.gmii.rx_er, rx_er)
            for clock in range(pace):
                ctx.set(dut.gmii.enable, clock == pace - 1)
                await ctx.tick()

        await byte(0, 0, 0)
        for carrier in carriers:
            for rxd, rx_er in carrier.content:
                await byte(rxd, 1, rx_er)
            for _ in range(carrier.gap):
                await byte(0, 0, 0)
        await ctx.tick().repeat(60)
        done.append(True)

    async def sink(ctx):
        ctx.set(dut.o.ready, 1)
        content = bytearray()
        fields = [dut.o.valid, dut.o.payload.data, dut.o.payload.last, dut.o.payload.error, dut.received]
        reception = dut.reception
        while not done:
            _, _, valid, byte, last, error, received, report, wrong, ready = await ctx.tick().sample(
                *fields, reception, dut.false_carrier, dut._check.i.ready
            )
            assert ready
            assert received == (valid and last)
            false.append(wrong)
            if valid:
                content.append(byte)
                if last:
                    frames.append((bytes(content), error, {name: getattr(report, name) for name in NAMES}))
                    content.clear()
        assert not content

    simulate(m, line, sink)
    return frames, sum(false)


NAMES = ("length", "fcs_error", "too_short", "too_long", "multicast", "broadcast")


def check(carriers: list[Carrier], **options) -> None:
    frames, false = receive(carriers, **options)
    wanted = [expected_of(carrier) for carrier in carriers]
    assert false == wanted.count(None)
    wanted = [entry for entry in wanted if entry]
    assert [(content, report) for content, _, report in frames] == wanted
    for _, error, report in frames:
        assert error == (report["fcs_error"] | report["too_short"] | report["too_long"])


def test_a_good_frame() -> None:
    frames, false = receive([frame(bytes(range(60)))])
    (entry,) = frames
    assert entry == (
        bytes(range(60)),
        0,
        {"length": 64, "fcs_error": 0, "too_short": 0, "too_long": 0, "multicast": 0, "broadcast": 0},
    )
    assert not false


@pytest.mark.parametrize("pace", [1, pytest.param(2, marks=pytest.mark.full), 10])
def test_every_length_with_the_least_gap(rng: random.Random, pace: int) -> None:
    lengths = [*range(1, 68), LONGEST - 1, LONGEST, LONGEST + 1, LONGEST + 200]
    check(
        [frame(rng.randbytes(length), gap=1, preamble=rng.randrange(9)) for length in lengths[:: 1 + pace // 5]],
        pace=pace,
    )


def test_what_is_wrong_with_a_frame(rng: random.Random) -> None:
    data = rng.randbytes(100)
    check(
        [
            frame(data, spoil=1),
            frame(data, spoil=1 << 31),
            frame(data, errors=(0,)),
            frame(data, errors=(50,)),
            frame(data, errors=(103,)),
            frame(data),
            frame(b"\xff" * 6 + data),
            frame(b"\xff" * 5 + b"\xfe" + data),
            frame(b"\x01" + data),
            frame(rng.randbytes(20), spoil=1),
            frame(rng.randbytes(LONGEST + 1), spoil=1),
        ]
    )


def test_carriers_that_are_no_frames(rng: random.Random) -> None:
    good = frame(rng.randbytes(60))
    body = good.content[8:]
    check(
        [
            Carrier([(0x55, 0)] * 30),
            good,
            Carrier([(0x55, 0)] * 7 + [(0xD5, 0)]),
            good,
            Carrier([(0x55, 0)] * 7 + [(0xD4, 0)] + body),
            good,
            Carrier([(0x55, 0)] * 3 + [(0x55, 1)] + [(0x55, 0)] * 3 + [(0xD5, 0)] + body),
            good,
            Carrier([(0x55, 0)] * 7 + [(0xD5, 1)] + body, gap=1),
            good,
            Carrier(body[:1], gap=1),
            good,
            # What looks like a delimiter within what is no frame.
            Carrier([(0x5D, 0), *good.content]),
            good,
        ]
    )


def test_rx_er_without_rx_dv_says_nothing(rng: random.Random) -> None:
    """Carrier extension and low power idle, of which a full-duplex MAC takes no notice."""
    m = Module()
    m.submodules.dut = dut = MacReceiver()

    async def bench(ctx):
        ctx.set(dut.gmii.enable, 1)
        ctx.set(dut.gmii.rx_er, 1)
        ctx.set(dut.gmii.rxd, 0x0F)
        for _ in range(50):
            *_, valid, false = await ctx.tick().sample(dut.o.valid, dut.false_carrier)
            assert not valid
            assert not false

    simulate(m, bench)


@pytest.mark.parametrize("rxd", [0x0E, 0xEE])
def test_counts_false_carriers_that_the_phy_reports(rxd: int) -> None:
    """Once each (IEEE 802.3 table 35-2), however long; a PHY of 10 or 100 Mb/s has a nibble for it."""
    dut = MacReceiver()
    seen = []

    async def bench(ctx):
        ctx.set(dut.gmii.enable, 1)
        ctx.set(dut.gmii.rxd, rxd)
        for clock in range(60):
            ctx.set(dut.gmii.rx_er, clock % 20 in (3, 4, 5, 9))
            *_, valid, false = await ctx.tick().sample(dut.o.valid, dut.false_carrier)
            assert not valid
            seen.append(false)

    simulate(dut, bench)
    assert sum(seen) == 2 * 3


def test_random_lines(rng: random.Random) -> None:
    carriers = []
    for _ in range(60):
        carrier = frame(rng.randbytes(rng.randrange(1, 260)), gap=rng.randrange(1, 14), preamble=rng.randrange(9))
        content = [
            (byte ^ (1 << rng.randrange(8) if rng.random() < 0.002 else 0), int(rng.random() < 0.002))
            for byte, _ in carrier.content
        ]
        if rng.random() < 0.2:
            content = content[: rng.randrange(1, len(content) + 1)]
        carriers.append(Carrier(content, carrier.gap))
    check(carriers)


def test_a_reset_in_the_middle_of_a_frame(rng: random.Random) -> None:
    """What is left of the frame is no frame, whatever it looks like."""
    m = Module()
    reset = Signal()
    m.submodules.dut = dut = ResetInserter(reset)(MacReceiver(LONGEST))
    good = frame(rng.randbytes(60))
    frames = []

    async def line(ctx):
        ctx.set(dut.gmii.enable, 1)
        ctx.set(dut.o.ready, 1)
        for place, carrier in ((10, good), (0, good), (3, good), (70, good), (-1, good)):
            for number, (byte, _) in enumerate(
                [*carrier.content[:40], *carrier.content] if place == 10 else carrier.content
            ):
                ctx.set(dut.gmii.rxd, byte)
                ctx.set(dut.gmii.rx_dv, 1)
                ctx.set(reset, number == place)
                await ctx.tick()
            ctx.set(dut.gmii.rx_dv, 0)
            ctx.set(reset, 0)
            await ctx.tick().repeat(40)

    async def sink(ctx):
        async for _, _, valid, last, error in ctx.tick().sample(dut.o.valid, dut.o.payload.last, dut.o.payload.error):
            if valid and last:
                frames.append(error)

    simulate(m, line, background=[sink])
    assert frames == [0]


@pytest.mark.parametrize("length", [127, 16384, True])
def test_refuses(length: int) -> None:
    assert_refused("max_frame_length must be an integer within 128 .. 16383", MacReceiver, length)
