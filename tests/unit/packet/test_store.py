from collections import deque

import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.packet.store import FrameStore, command_layout, raw_layout

QUIET = 2000
"""Clocks without progress after which a bench gives up."""


class Frame:
    """A frame's beats as (data, empty), and what is to become of it: the skips of its readings; none drops it."""

    def __init__(self, rng, width, beats, skips):
        lanes = width // 8
        self.beats = [(rng.getrandbits(width), 0) for _ in range(beats)]
        self.beats[-1] = (self.beats[-1][0], rng.randrange(lanes))
        self.skips = skips

    def read(self, skip, max_beats):
        """(data, empty, last) of the beats that a reading gives."""
        kept = self.beats[:max_beats] if max_beats else self.beats
        return [(*beat, int(i == len(kept) - 1)) for i, beat in enumerate(kept)][skip:]


class Bench:
    """Writes, commands and reads at random, with a model of what must come out."""

    def __init__(self, dut, rng, *, max_beats=0, write=1.0, command=1.0, ready=1.0, wait=0, early=True, delay=0):
        self.dut = dut
        self.rng = rng
        self.max_beats = max_beats
        self.load = {"write": write, "command": command, "ready": ready}
        self.wait = wait
        self.early = early
        self.delay = delay
        self.received = []
        self.clocks = []
        self.room_fell = 0

    def of(self, frames):
        """Test bench for `simulate`."""

        async def bench(ctx):
            await self.run(ctx, frames)

        return bench

    async def run(self, ctx, frames):
        """Until all frames are read or dropped."""
        dut, rng = self.dut, self.rng
        to_write = deque((number, i) for number, frame in enumerate(frames) for i in range(len(frame.beats)))
        commands = deque()
        for number, frame in enumerate(frames):
            if frame.skips is None:
                commands.append((number, {"drop": 1, "final": rng.getrandbits(1), "skip": 0}))
                continue
            for i, skip in enumerate(frame.skips):
                commands.append((number, {"drop": 0, "final": int(i == len(frame.skips) - 1), "skip": skip}))
        expected = [
            beat
            for frame in frames
            for skip in (frame.skips if frame.skips is not None else ())
            for beat in frame.read(skip, self.max_beats)
        ]
        written = [0] * len(frames)
        rooms = deque([0] * self.delay)
        standing = None
        quiet = clock = 0
        first = len(self.received)
        while commands or standing or len(self.received) - first < len(expected) or to_write:
            rooms.append(ctx.get(dut.room))
            room = rooms.popleft()
            self.room_fell += not room
            writing = None
            ctx.set(dut.write.data, rng.getrandbits(len(dut.write.data)))
            if to_write and room and rng.random() < self.load["write"]:
                writing = to_write.popleft()
                number, i = writing
                data, empty = frames[number].beats[i]
                last = i == len(frames[number].beats) - 1
                ctx.set(dut.write.data, data)
                ctx.set(dut.write.empty, empty if last else rng.randrange(1 << len(dut.write.empty)))
                ctx.set(dut.write.last, last)
            ctx.set(dut.write.valid, writing is not None)
            if standing is None and commands and clock >= self.wait and rng.random() < self.load["command"]:
                number, command = commands[0]
                # The first beat to be read is there; not early: all of the frame.
                least = command["skip"] + 1 if self.early else len(frames[number].beats)
                if written[number] >= least:
                    standing = commands.popleft()
                    ctx.set(dut.commands.payload, standing[1])
            ctx.set(dut.commands.valid, standing is not None)
            ready = rng.random() < self.load["ready"]
            ctx.set(dut.beats.ready, ready)
            _, _, done, valid, beat = await ctx.tick().sample(dut.commands.ready, dut.beats.valid, dut.beats.payload)
            quiet += 1
            if writing is not None:
                written[writing[0]] += 1
                quiet = 0
            if standing is not None and done:
                standing = None
                quiet = 0
            if valid and ready:
                got = (beat.data, beat.empty, beat.last)
                assert got == expected[len(self.received) - first], f"beat {len(self.received) - first}"
                self.received.append(got)
                self.clocks.append(clock)
                quiet = 0
            clock += 1
            assert quiet < QUIET, f"no progress after {len(self.received) - first} of {len(expected)} beats"
        ctx.set(dut.write.valid, 0)
        ctx.set(dut.commands.valid, 0)
        await ctx.tick().repeat(6)
        assert ctx.get(dut.vacant)
        assert ctx.get(dut.room)
        assert not ctx.get(dut.beats.valid)


def make_frames(rng, width, count, *, longest, skip_range=1, readings=3, drops=0.2):
    frames = []
    for _ in range(count):
        beats = rng.choice((1, 1, 2, longest, rng.randint(1, longest)))
        skips = [rng.randrange(min(skip_range, beats)) for _ in range(rng.randint(1, readings))]
        frames.append(Frame(rng, width, beats, None if rng.random() < drops else skips))
    return frames


LOADS = [(1.0, 1.0, 1.0), (0.5, 1.0, 1.0), (1.0, 0.4, 1.0), (1.0, 1.0, 0.4), (0.6, 0.6, 0.6)]


@pytest.mark.parametrize("data_width", [8, 64, 512])
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(("write", "command", "ready"), LOADS)
def test_reads_drops_and_skips_in_order(rng, data_width, fast, write, command, ready):
    """The ring wraps many times: some 200 beats through 16."""
    dut = FrameStore(data_width, depth=16, frames=16, frame_margin=2, max_beats=0, skip_range=4, fast=fast)
    frames = make_frames(rng, data_width, 35, longest=10, skip_range=4)
    bench = Bench(dut, rng, write=write, command=command, ready=ready)
    simulate(dut, bench.of(frames))


@pytest.mark.parametrize("fast", [False, True])
def test_commands_after_whole_frames(rng, fast):
    dut = FrameStore(64, depth=32, frames=16, frame_margin=2, max_beats=0, fast=fast)
    frames = make_frames(rng, 64, 30, longest=20)
    bench = Bench(dut, rng, early=False, command=0.5, ready=0.9)
    simulate(dut, bench.of(frames))
    assert bench.room_fell


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("max_beats", [1, 2, 5])
def test_cuts_long_frames(rng, fast, max_beats):
    dut = FrameStore(64, depth=16, frames=16, frame_margin=2, max_beats=max_beats, fast=fast)
    frames = make_frames(rng, 64, 40, longest=3 * max_beats + 9)
    frames += [Frame(rng, 64, beats, [0]) for beats in (max_beats, max_beats + 1, 1, 1)]
    bench = Bench(dut, rng, max_beats=max_beats, write=0.9, ready=0.8)
    simulate(dut, bench.of(frames))


@pytest.mark.parametrize("fast", [False, True])
def test_a_frame_longer_than_the_store_is_read_while_it_is_written(rng, fast):
    dut = FrameStore(64, depth=8, frames=16, frame_margin=2, max_beats=0, skip_range=2, fast=fast)
    frames = [Frame(rng, 64, beats, [skip]) for beats, skip in ((50, 0), (3, 1), (70, 1), (1, 0))]
    bench = Bench(dut, rng, ready=0.7)
    simulate(dut, bench.of(frames))
    assert bench.room_fell


@pytest.mark.parametrize("fast", [False, True])
def test_a_frame_longer_than_the_store_is_dropped_while_it_is_written(rng, fast):
    dut = FrameStore(64, depth=8, frames=16, frame_margin=2, max_beats=0, fast=fast)
    frames = [Frame(rng, 64, beats, skips) for beats, skips in ((50, None), (3, [0]), (9, None), (70, None), (1, [0]))]
    simulate(dut, Bench(dut, rng, ready=0.7).of(frames))


@pytest.mark.parametrize("delay", [0, 1, 2])
@pytest.mark.parametrize("fast", [False, True])
def test_room_keeps_a_writer_with_some_delay_from_overflowing(rng, delay, fast):
    """The reader begins when the store has been full for long."""
    dut = FrameStore(64, depth=16, frames=16, frame_margin=4, max_beats=0, fast=fast)
    frames = [Frame(rng, 64, 3, [0]) for _ in range(30)]
    bench = Bench(dut, rng, wait=60, delay=delay)
    simulate(dut, bench.of(frames))
    assert bench.room_fell > 40


def test_room_minds_the_number_of_frames(rng):
    """One-beat frames exhaust the list of frames long before the ring."""
    dut = FrameStore(64, depth=256, frames=16, frame_margin=4, max_beats=0)
    frames = [Frame(rng, 64, 1, [0]) for _ in range(60)]
    bench = Bench(dut, rng, wait=60)
    simulate(dut, bench.of(frames))
    assert bench.room_fell > 40


@pytest.mark.parametrize(("fast", "latency"), [(True, 1), (False, 6)])
def test_latency(rng, fast, latency):
    dut = FrameStore(64, depth=16, frames=16, frame_margin=2, max_beats=0, fast=fast)

    async def bench(ctx):
        ctx.set(dut.beats.ready, 1)
        ctx.set(dut.write.valid, 1)
        ctx.set(dut.write.last, 1)
        ctx.set(dut.write.data, 77)
        await ctx.tick()
        ctx.set(dut.write.valid, 0)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.vacant)
        ctx.set(dut.commands.valid, 1)
        ctx.set(dut.commands.payload.final, 1)
        for clock in range(latency):
            assert not ctx.get(dut.beats.valid)
            assert clock or ctx.get(dut.commands.ready)
            await ctx.tick()
            ctx.set(dut.commands.valid, 0)
        assert ctx.get(dut.beats.valid)
        assert ctx.get(dut.beats.payload.data) == 77
        assert ctx.get(dut.beats.payload.last)

    simulate(dut, bench)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("beats", [1, 2, 7])
def test_a_beat_a_clock_from_frame_to_frame(rng, fast, beats):
    dut = FrameStore(64, depth=32, frames=32, frame_margin=2, max_beats=0, fast=fast)
    frames = [Frame(rng, 64, beats, [0, 0] if number % 4 == 0 else [0]) for number in range(20)]
    bench = Bench(dut, rng, wait=40)
    simulate(dut, bench.of(frames))
    assert bench.clocks == list(range(bench.clocks[0], bench.clocks[0] + len(bench.clocks)))


@pytest.mark.parametrize("fast", [False, True])
def test_dropping_takes_a_clock_whatever_the_length(rng, fast):
    dut = FrameStore(64, depth=64, frames=16, frame_margin=2, max_beats=0, fast=fast)
    frames = [Frame(rng, 64, beats, None) for beats in (20, 1, 25)]

    async def bench(ctx):
        for frame in frames:
            for number, (data, empty) in enumerate(frame.beats):
                ctx.set(dut.write.valid, 1)
                ctx.set(dut.write.data, data)
                ctx.set(dut.write.empty, empty)
                ctx.set(dut.write.last, number == len(frame.beats) - 1)
                await ctx.tick()
        ctx.set(dut.write.valid, 0)
        ctx.set(dut.commands.valid, 1)
        ctx.set(dut.commands.payload.drop, 1)
        for _ in frames:
            assert not ctx.get(dut.vacant)
            assert ctx.get(dut.commands.ready)
            await ctx.tick()
        ctx.set(dut.commands.valid, 0)
        await ctx.tick().repeat(2 if fast else 3)
        assert ctx.get(dut.vacant)

    simulate(dut, bench)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("max_beats", [0, 4])
def test_reset_in_the_middle_of_a_frame(rng, fast, max_beats):
    """In front of the reset: a frame read in part, one whole, one written in part (and cut)."""
    dut = FrameStore(64, depth=16, frames=16, frame_margin=2, max_beats=max_beats, fast=fast)
    reset = Signal()

    async def bench(ctx):
        for _ in range(3):
            for clock in range(13):
                ctx.set(dut.write.valid, 1)
                ctx.set(dut.write.data, rng.getrandbits(64))
                ctx.set(dut.write.last, clock in (3, 5))
                ctx.set(dut.commands.valid, clock in (2, 3))
                ctx.set(dut.beats.ready, clock == 4)
                await ctx.tick()
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            ctx.set(dut.write.valid, 0)
            ctx.set(dut.commands.valid, 0)
            assert ctx.get(dut.vacant)
            assert not ctx.get(dut.beats.valid)
            frames = make_frames(rng, 64, 10, longest=6)
            await ctx.tick()
            await Bench(dut, rng, max_beats=max_beats).run(ctx, frames)

    simulate(ResetInserter(reset)(dut), bench)


def test_layouts():
    assert {name: field.width for name, field in raw_layout(64)} == {"data": 64, "empty": 3, "last": 1}
    assert {name: field.width for name, field in command_layout(1)} == {"drop": 1, "final": 1, "skip": 0}
    assert command_layout(5)["skip"].width == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_width": 24}, "data_width must be one of"),
        ({"depth": 4}, r"depth must be .* 8 \.\. 16777216, not 4"),
        ({"depth": 24}, "depth must be a power of two within 8 .. 16777216, not 24"),
        ({"max_beats": -1}, r"max_beats must be .* 0 \.\. 16777216, not -1"),
        ({"frames": 8, "frame_margin": 2}, r"frames must be .* 16 \.\. 1024, not 8"),
        ({"frames": 24}, r"frames must be a power of two within 16 \.\. 1024, not 24"),
        ({"skip_range": 0}, r"skip_range must be .* 1 \.\. 16, not 0"),
        ({"skip_range": 17}, r"skip_range must be .* 1 \.\. 16, not 17"),
        ({"frame_margin": 0}, r"frame_margin must be .* 1 \.\. 15, not 0"),
        ({"frame_margin": 16}, r"frame_margin must be .* 1 \.\. 15, not 16"),
    ],
)
def test_refuses(options, message):
    good = {"data_width": 64, "depth": 16, "frames": 16, "frame_margin": 2, "max_beats": 0}
    options = good | options
    assert_refused(message, FrameStore, options.pop("data_width"), **options)
