from typing import NamedTuple

import pytest
from amaranth.hdl import Module, ResetInserter, Signal, unsigned
from amaranth.lib import data

from helpers.packet_bench import assert_refused, receive_packets, simulate
from vtep.packet.reframer import Reframer, job_layout, shift_fields
from vtep.stream.checker import PacketChecker

USER = data.StructLayout({"number": unsigned(10)})
PREFIX = 70


class Job(NamedTuple):
    """A job on ``frame``; ``length`` of the outgoing frame, None: whole."""

    frame: bytes
    shift: int
    length: int | None
    prefix: bytes = b""
    mask: int = 0
    drop: bool = False
    final: bool = True
    bad: bool = False

    def result(self):
        """What leaves, None for nothing in particular: the bytes that the frame does not have are unspecified."""
        if self.drop:
            return None
        length = len(self.frame) if self.length is None else self.length
        octets = bytearray(length)
        for j in range(length):
            if j - self.shift >= len(self.frame):
                return None  # it ends with the frame, prefix or not
            if j < len(self.prefix) and self.mask >> j & 1:
                octets[j] = self.prefix[j]
            elif j >= self.shift:
                octets[j] = self.frame[j - self.shift]
            else:
                return None
        return bytes(octets)


class Bench:
    """Drives a reframer with jobs, their beats, and the verdicts, each with pauses of its own."""

    def __init__(self, dut, rng, data_width, shifts, jobs, *, idle=(0.0, 0.0, 0.0), stall=0.0, verdict_delay=0):
        self.dut, self.rng, self.width, self.shifts, self.jobs = dut, rng, data_width, shifts, jobs
        self.idle, self.stall, self.verdict_delay = idle, stall, verdict_delay
        self.streamed = hasattr(dut, "prefixes")
        self.ended = []
        self.clocks = []
        self.taken = 0  # frames whose last beat has been taken

    async def _put(self, ctx, stream, payload, idle):
        while self.rng.random() < idle:
            ctx.set(stream.valid, 0)
            await ctx.tick()
        ctx.set(stream.valid, 1)
        ctx.set(stream.payload, payload)
        for _ in range(3000):
            *_, ready = await ctx.tick().sample(stream.ready)
            if ready:
                return
        raise AssertionError("ready stayed low")

    async def send_jobs(self, ctx):
        lanes = self.width // 8
        for number, job in enumerate(self.jobs):
            before_last = (job.length or 1) - 1
            constants = shift_fields(self.width, job.shift, self.shifts)
            del constants["skip"]
            payload = constants | {
                "beats": before_last // lanes,
                "empty": lanes - 1 - before_last % lanes,
                "whole": job.length is None,
                "drop": job.drop,
                "final": job.final,
                "user": {"number": number},
            }
            if not self.streamed:
                payload |= {"prefix": int.from_bytes(job.prefix, "little"), "mask": job.mask}
            await self._put(ctx, self.dut.jobs, payload, self.idle[0])
            if self.streamed:
                ctx.set(self.dut.jobs.valid, 0)
                await ctx.tick()
            elif self.dut._long:  # the payload stays for a clock, and not for longer
                ctx.set(self.dut.jobs.valid, 0)
                await ctx.tick()
                ctx.set(self.dut.jobs.payload.prefix, self.rng.getrandbits(8 * PREFIX))
                ctx.set(self.dut.jobs.payload.mask, self.rng.getrandbits(PREFIX))
        ctx.set(self.dut.jobs.valid, 0)

    async def send_prefixes(self, ctx):
        """Where a job has none: its bytes beat by beat, with pauses of their own."""
        lanes = self.width // 8
        for job in self.jobs:
            if job.drop or not self.streamed:
                continue
            pauses = -(-len(job.prefix) // lanes) < -(-job.length // lanes)
            for start in range(0, len(job.prefix), lanes):
                chunk = job.prefix[start : start + lanes]
                payload = {
                    "data": int.from_bytes(chunk + self.rng.randbytes(lanes - len(chunk)), "little"),
                    "lanes": (1 << len(chunk)) - 1,
                    "last": start + lanes >= len(job.prefix),
                }
                await self._put(ctx, self.dut.prefixes, payload, self.idle[1] if pauses or start == 0 else 0)
            ctx.set(self.dut.prefixes.valid, 0)

    async def send_beats(self, ctx):
        lanes = self.width // 8
        for job in self.jobs:
            if job.drop:
                continue
            skip = shift_fields(self.width, job.shift, self.shifts)["skip"]
            for start in range(skip * lanes, len(job.frame), lanes):
                chunk = job.frame[start : start + lanes]
                payload = {
                    "data": int.from_bytes(chunk + self.rng.randbytes(lanes - len(chunk)), "little"),
                    "empty": lanes - len(chunk),
                    "last": start + lanes >= len(job.frame),
                }
                await self._put(ctx, self.dut.beats, payload, self.idle[1])
            self.taken += 1
        ctx.set(self.dut.beats.valid, 0)

    async def send_verdicts(self, ctx):
        read = needed = 0
        first = True
        for job in self.jobs:
            read += not job.drop
            if first and not job.drop:
                needed = read  # as long as no dropped copy in front holds it up, the verdict may wait for the beats
            first = job.final
            if not job.final:
                continue
            while self.taken < needed:
                ctx.set(self.dut.verdicts.valid, 0)
                await ctx.tick()
            for _ in range(self.verdict_delay):
                ctx.set(self.dut.verdicts.valid, 0)
                await ctx.tick()
            await self._put(ctx, self.dut.verdicts, job.bad, self.idle[2])
        ctx.set(self.dut.verdicts.valid, 0)

    async def receive(self, ctx):
        wanted = [(number, job) for number, job in enumerate(self.jobs) if not job.drop]
        received = await receive_packets(
            ctx, self.dut.o, len(wanted), rng=self.rng, stall=self.stall, clocks=self.clocks
        )
        for (number, job), (octets, error) in zip(wanted, received, strict=True):
            assert error == job.bad, f"job {number}"
            if job.result() is not None:
                assert octets == job.result(), f"job {number}: {job}"
            # A frame that ends early is not filled up beyond the beat after its end.
            assert len(octets) < len(job.frame) + max(job.shift, 0) + 2 * self.width // 8
        while len(self.ended) < len(self.jobs):
            await ctx.tick()
        await ctx.tick().repeat(5)
        while self.taken < len(wanted):  # what is behind the end of the last
            await ctx.tick()
        await ctx.tick()
        assert not ctx.get(self.dut.busy)

    async def watch(self, ctx):
        leaving = [number for number, job in enumerate(self.jobs) if not job.drop]
        async for _, _, ended, number, error, valid, ready, last, user in ctx.tick().sample(
            self.dut.ended,
            self.dut.ended_user,
            self.dut.ended_error,
            self.dut.o.valid,
            self.dut.o.ready,
            self.dut.o.payload.last,
            self.dut.user,
        ):
            if ended:
                self.ended.append((number.number, bool(error)))
            if valid:
                assert user.number == leaving[0]
                if ready and last:
                    leaving.pop(0)

    def run(self):
        m = Module()
        m.submodules.dut = self.dut
        m.submodules.checker = checker = PacketChecker(self.width)
        checker.watch(m, self.dut.o)

        async def receive(ctx):
            await self.receive(ctx)
            assert not ctx.get(checker.violation).as_value().value

        tail = self.dut._tail
        benches = [
            self.send_jobs,
            self.send_prefixes,
            self.send_beats,
            receive,
            *([self.send_verdicts] if tail else []),
        ]
        simulate(m, *benches, background=[self.watch])
        assert self.ended == [(number, job.bad) for number, job in enumerate(self.jobs)]


def make_jobs(rng, shifts, count, *, longest, tail):
    """Jobs of all kinds; without ``tail`` frames have the bytes that the jobs ask for."""
    jobs = []
    while len(jobs) < count:
        shift = rng.choice(shifts)
        frame = rng.randbytes(max(1, 1 - shift) + rng.choice((0, rng.randint(0, longest), rng.randint(0, longest))))
        bad = tail and rng.random() < 0.3
        copies = rng.choice((1, 1, 1, 2, 3))
        for copy in range(copies):
            prefix = rng.randbytes(rng.randint(0, PREFIX))
            mask = rng.getrandbits(PREFIX) & ((1 << len(prefix)) - 1)
            length = len(frame) + shift
            if shift == 0 and rng.random() < 0.3:
                length = None
            elif rng.random() < 0.3:
                length = rng.randint(1, length)
            if shift > 0 and (length is None or length > 0):
                prefix = rng.randbytes(max(len(prefix), shift))
                mask |= (1 << shift) - 1
            if bad and rng.random() < 0.5 and length is not None:
                length += rng.randint(1, 100)  # headers that promised more than came
            drop = tail and rng.random() < 0.15
            jobs.append(Job(frame, shift, length, prefix, mask, drop, copy == copies - 1, bad))
    return jobs


SHIFTS = {
    "encap": (0, 50, 54, 66, 70),
    "decap": (0, *(-(30 + 4 * words) for words in range(4, 17))),
    "all": (0, *range(-17, 20)),
}
PAUSES = [((0.0, 0.0, 0.0), 0.0), ((0.6, 0.0, 0.3), 0.0), ((0.0, 0.6, 0.0), 0.2), ((0.1, 0.1, 0.8), 0.5)]


@pytest.mark.parametrize(
    ("data_width", "which"), [(8, "encap"), (8, "decap"), (64, "encap"), (64, "decap"), (64, "all"), (512, "encap")]
)
@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("far", [False, True])
def test_moves_frames(rng, data_width, which, tail, far):
    shifts = SHIFTS[which]
    for idle, stall in PAUSES[:: 2 if data_width == 512 else 1]:
        dut = Reframer(data_width, shifts=shifts, prefix_bytes=PREFIX, user=USER, tail=tail, far=far)
        jobs = make_jobs(rng, shifts, 16, longest=180 if data_width == 512 else 60, tail=tail)
        Bench(dut, rng, data_width, shifts, jobs, idle=idle, stall=stall).run()


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("shifts", [(46, 50, 70), (0, 46, 70)])
def test_long_frames(rng, shifts, tail):
    """With ``long`` only a frame as it was stored, or one that is dropped, may be as short as a beat."""
    for idle, stall in PAUSES:
        dut = Reframer(64, shifts=shifts, prefix_bytes=PREFIX, user=USER, tail=tail, long=True, far=True)
        jobs = make_jobs(rng, shifts, 16, longest=60, tail=tail)
        for i, job in enumerate(jobs):
            if not job.drop and job.length is not None and job.length <= 8:
                jobs[i] = job._replace(length=len(job.frame) + job.shift if job.shift else None)
        Bench(dut, rng, 64, shifts, jobs, idle=idle, stall=stall).run()


@pytest.mark.parametrize("data_width", [8, 32, 64])
@pytest.mark.parametrize("far", [False, True])
def test_prefixes_that_come_beat_by_beat(rng, data_width, far):
    """Each lies over the beginning of its frame, whatever comes late; dropped jobs have none."""
    shifts = SHIFTS["encap"][1:]
    for idle, stall in PAUSES:
        dut = Reframer(data_width, shifts=shifts, prefix_bytes=0, user=USER, long=True, far=far)
        jobs = []
        for _ in range(16):
            frame, shift = rng.randbytes(rng.randint(14, 90)), rng.choice(shifts)
            prefix = rng.randbytes(shift + rng.randint(0, 12))
            drop = rng.random() < 0.2
            jobs.append(Job(frame, shift, len(frame) + shift, prefix, (1 << len(prefix)) - 1, drop))
        Bench(dut, rng, data_width, shifts, jobs, idle=idle, stall=stall).run()


@pytest.mark.parametrize("data_width", [8, 16, 32, 64, 128])
def test_every_rotation(rng, data_width):
    lanes = data_width // 8
    shifts = tuple(range(-2 * lanes - 1, 2 * lanes + 2))
    dut = Reframer(data_width, shifts=shifts, prefix_bytes=1, user=USER)
    jobs = []
    for shift in shifts:
        frame = rng.randbytes(max(1, 1 - shift) + rng.randint(0, 3 * lanes))
        # Without a prefix, what leaves in front of the frame is unspecified: compare it from there on.
        jobs.append(Job(frame, shift, len(frame) + shift))
    bench = Bench(dut, rng, data_width, shifts, jobs, stall=0.1)
    received = []

    async def receive(ctx):
        received.extend(await receive_packets(ctx, dut.o, len(jobs), rng=rng, stall=0.1))

    simulate(dut, bench.send_jobs, bench.send_beats, receive)
    for job, (octets, error) in zip(jobs, received, strict=True):
        assert not error
        assert len(octets) == job.length
        assert octets[max(0, job.shift) :] == job.frame[max(0, -job.shift) :], job.shift


@pytest.mark.parametrize("data_width", [64, 512])
@pytest.mark.parametrize("verdict_delay", [0, 1, 7, 40])
@pytest.mark.parametrize("far", [False, True])
def test_the_last_beat_waits_for_a_late_verdict(rng, data_width, verdict_delay, far):
    shifts = (0, -50, 50)
    dut = Reframer(data_width, shifts=shifts, prefix_bytes=PREFIX, user=USER, tail=True, far=far)
    jobs = make_jobs(rng, shifts, 12, longest=150, tail=True)
    Bench(dut, rng, data_width, shifts, jobs, verdict_delay=verdict_delay).run()


@pytest.mark.parametrize("tail", [False, True])
def test_drains_what_is_behind_the_end(rng, tail):
    """Frames far longer than what leaves, and shorter ones right behind."""
    shifts = (0, -10)
    dut = Reframer(64, shifts=shifts, prefix_bytes=4, user=USER, tail=tail)
    jobs = [Job(rng.randbytes(rng.randint(100, 300)), -10, rng.randint(1, 20)) for _ in range(6)]
    jobs += [Job(rng.randbytes(11), -10, 1) for _ in range(3)] + jobs[:2]
    Bench(dut, rng, 64, shifts, jobs).run()


def test_frames_that_end_early_do_not_disturb_the_next(rng):
    """Cut-through: the headers promised more bytes than came; the frame ends where it ends, marked."""
    shifts = (0, -50, 54)
    dut = Reframer(64, shifts=shifts, prefix_bytes=PREFIX, user=USER, tail=True)
    jobs = []
    for shift in (0, -50, 54) * 3:
        jobs.append(Job(rng.randbytes(60), shift, rng.randint(120, 1000), bad=True))
        jobs.append(Job(rng.randbytes(60), -50, 10))
    Bench(dut, rng, 64, shifts, jobs).run()


def test_drop_jobs_take_no_beats_but_wait_for_the_verdict(rng):
    shifts = (0, -50)
    dut = Reframer(64, shifts=shifts, prefix_bytes=1, user=USER, tail=True)
    jobs = [Job(rng.randbytes(60), -50, 10, drop=number % 3 != 2, bad=number % 2 == 0) for number in range(20)]
    Bench(dut, rng, 64, shifts, jobs, verdict_delay=3).run()


@pytest.mark.parametrize("data_width", [64, 512])
@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize(
    ("shift", "beats"), [(0, 1), (-1, 1), (+1, 2), (0, 3), (-1, 2)], ids=["one", "gone", "room", "three", "less"]
)
@pytest.mark.parametrize("far", [False, True])
def test_no_bubble(rng, data_width, tail, shift, beats, far):
    """One beat out a clock from frame to frame, where a frame does not have more beats in than out."""
    lanes = data_width // 8
    shift *= lanes
    shifts = (0, shift) if shift else (0,)
    dut = Reframer(data_width, shifts=shifts, prefix_bytes=lanes, user=USER, tail=tail, far=far)
    length = beats * lanes
    jobs = [Job(rng.randbytes(length - shift), shift, length, bytes(lanes), -1 % (1 << lanes)) for _ in range(20)]
    bench = Bench(dut, rng, data_width, shifts, jobs)

    if tail:  # verdicts are always there

        async def send_verdicts(ctx):
            for job in jobs:
                await bench._put(ctx, dut.verdicts, job.bad, 0.0)
            ctx.set(dut.verdicts.valid, 0)

        bench.send_verdicts = send_verdicts
    bench.run()
    assert len(bench.clocks) == beats * len(jobs)
    assert bench.clocks == list(range(bench.clocks[0], bench.clocks[0] + len(bench.clocks)))


@pytest.mark.parametrize("data_width", [64, 512])
@pytest.mark.parametrize(("beats_in", "beats_out"), [(2, 2), (1, 1), (3, 2), (5, 5)])
def test_no_bubble_when_bytes_go_from_the_first_beat(rng, data_width, beats_in, beats_out):
    """A beat goes in or out on every clock, though two beats in make the first one out."""
    lanes = data_width // 8
    shift = 2 - lanes
    dut = Reframer(data_width, shifts=(0, shift), prefix_bytes=lanes, user=USER)
    length = (beats_out - 1) * lanes + 1 if beats_in == beats_out else beats_out * lanes
    stored = length - shift
    assert (-(-stored // lanes), -(-length // lanes)) == (beats_in, beats_out)
    jobs = [Job(rng.randbytes(stored), shift, length, bytes(lanes), -1 % (1 << lanes)) for _ in range(20)]
    bench = Bench(dut, rng, data_width, (0, shift), jobs)
    bench.run()
    assert len(bench.clocks) == beats_out * len(jobs)
    assert bench.clocks[-1] - bench.clocks[0] + 1 <= max(beats_in, beats_out) * len(jobs)


@pytest.mark.parametrize("far", [False, True])
def test_reset_forgets_the_frame_under_way(rng, far):
    shifts = (0, -10)
    dut = Reframer(64, shifts=shifts, prefix_bytes=4, user=USER, tail=True, far=far)
    reset = Signal()
    broken = Bench(dut, rng, 64, shifts, [])

    async def bench(ctx):
        for clocks in range(1, 8):
            ctx.set(dut.jobs.valid, 1)
            ctx.set(dut.jobs.payload, {"rotation": 1, "beats": 5, "final": 1})
            ctx.set(dut.beats.valid, 1)
            ctx.set(dut.beats.payload.last, 0)
            await ctx.tick().repeat(clocks)
            for stream in (dut.jobs, dut.beats):
                ctx.set(stream.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert not ctx.get(dut.busy)
            assert not ctx.get(dut.o.valid)
            job = Job(rng.randbytes(30), -10, 20)
            broken.jobs = [job]
            await broken.send_jobs(ctx)
            ctx.set(dut.verdicts.valid, 1)
            ctx.set(dut.o.ready, 1)
            received = bytearray()
            for start in range(8, 30, 8):  # the first beat is skipped
                chunk = job.frame[start : start + 8]
                ctx.set(dut.beats.valid, 1)
                ctx.set(dut.beats.payload, {"data": int.from_bytes(chunk, "little"), "last": start + 8 >= 30})
                ready = valid = 0
                while not ready:
                    *_, ready, valid, octets = await ctx.tick().sample(dut.beats.ready, dut.o.valid, dut.o.payload.data)
                    received += octets.to_bytes(8, "little") if valid else b""
            ctx.set(dut.beats.valid, 0)
            for _ in range(4):
                *_, valid, octets = await ctx.tick().sample(dut.o.valid, dut.o.payload.data)
                received += octets.to_bytes(8, "little") if valid else b""
            assert received[:20] == job.frame[10:]

    simulate(ResetInserter(reset)(dut), bench)


def test_shift_fields():
    shifts = (0, 50, -50)
    # Rotations, ascending: 0, 2 (50 = 6 * 8 + 2), 6 (-50 = -7 * 8 + 6).
    assert shift_fields(64, 0, shifts) == {"rotation": 1, "lead": 0, "preload": 0, "skip": 0}
    assert shift_fields(64, 50, shifts) == {"rotation": 2, "lead": 6, "preload": 0, "skip": 0}
    assert shift_fields(64, -50, shifts) == {"rotation": 4, "lead": 0, "preload": 1, "skip": 6}
    assert shift_fields(8, -50, shifts) == {"rotation": 1, "lead": 0, "preload": 0, "skip": 50}
    assert shift_fields(512, -50, shifts) == {"rotation": 2, "lead": 0, "preload": 1, "skip": 0}


def test_job_layout():
    layout = job_layout(64, shifts=(0, 50, -50), prefix_bytes=3, user=USER)
    widths = {name: field.width for name, field in layout}
    assert widths == {
        "rotation": 3,
        "lead": 3,
        "preload": 1,
        "beats": 14,
        "empty": 3,
        "whole": 1,
        "drop": 1,
        "final": 1,
        "prefix": 24,
        "mask": 3,
        "user": 10,
    }


def test_refuses():
    assert_refused("data_width must be one of", Reframer, 24, shifts=(0,), prefix_bytes=1, user=USER)
    assert_refused("prefix_bytes must be 0 or more, not -1", Reframer, 64, shifts=(0,), prefix_bytes=-1, user=USER)
    message = "prefix_bytes must be 1 or more with tail or without long, not 0"
    assert_refused(message, Reframer, 64, shifts=(50,), prefix_bytes=0, user=USER)
    assert_refused(message, Reframer, 64, shifts=(50,), prefix_bytes=0, user=USER, long=True, tail=True)
    assert_refused("shifts must hold at least one distance", Reframer, 64, shifts=(), prefix_bytes=1, user=USER)
