import zlib

import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from helpers.packet_bench import assert_refused, random_packets, receive_packets, send_packets, simulate
from vtep.config import DATA_WIDTHS
from vtep.integrity.fcs import FcsCheck, FcsInsert
from vtep.stream.packet import connect_packets, packet_signature

INSERT_LATENCY = {8: 8, 16: 8, 32: 10, 64: 10, 128: 15, 256: 15, 512: 17}
CHECK_LATENCY = {8: 11, 16: 9, 32: 8, 64: 8, 128: 10, 256: 10, 512: 10}

IDLE_AND_STALL = [(0.5, 0.0), (0.0, 0.5), (0.4, 0.4)]


def fcs_of(frame):
    return zlib.crc32(frame).to_bytes(4, "little")


def inserted(frames, *, pad=False):
    """What `FcsInsert` makes of frames."""
    result = []
    for frame, error in frames:
        content = frame.ljust(60, b"\0") if pad else frame
        fcs = fcs_of(content)
        result.append((content + (bytes(byte ^ 0xFF for byte in fcs) if error else fcs), error))
    return result


def checked(frames, lanes):
    """What `FcsCheck` makes of frames."""
    result = []
    for frame, error in frames:
        if len(frame) < 5:
            result.append((frame[(len(frame) - 1) // lanes * lanes :], True))
        else:
            result.append((frame[:-4], error or frame[-4:] != fcs_of(frame[:-4])))
    return result


def damaged(rng, frame):
    bit = rng.randrange(8 * len(frame))
    return bytes(byte ^ (1 << bit % 8 if i == bit // 8 else 0) for i, byte in enumerate(frame))


def received_frames(rng, lengths):
    """Frames of these lengths with their FCS: most right, some damaged, some marked, some without any FCS."""
    frames = []
    for length in lengths:
        frame = rng.randbytes(max(length - 4, 0))
        frame = (frame + fcs_of(frame))[-length:]
        kind = rng.randrange(10)
        if kind == 0:
            frame = damaged(rng, frame)
        elif kind == 1:
            frame = rng.randbytes(length)
        frames.append((frame, kind == 2))
    return frames


def lengths_for(lanes, shortest=1):
    """Every length to beyond two beats more, then long behind short and short behind short."""
    lengths = list(range(shortest, shortest + 2 * lanes + 3))
    return lengths + lengths[::-5] + [1] * 6 + [lanes] * 4 + [4, 4, 5, 5]


def run(dut, frames, *, rng, idle=0.0, stall=0.0):
    """Frames that come out, and the clocks of their beats counted from the first clock."""
    clocks = []
    result = []

    async def source(ctx):
        await send_packets(ctx, dut.i, frames, rng=rng, idle=idle)

    async def sink(ctx):
        result.extend(await receive_packets(ctx, dut.o, len(frames), rng=rng, stall=stall, clocks=clocks))
        for _ in range(30):  # nothing is left over
            ctx.set(dut.o.ready, 1)
            assert not ctx.get(dut.o.valid)
            await ctx.tick()

    simulate(dut, source, sink)
    return result, clocks


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("data_width", DATA_WIDTHS)
def test_insert_every_length_without_a_bubble(rng, data_width, pad):
    frames = [(rng.randbytes(length), rng.random() < 0.1) for length in lengths_for(data_width // 8)]
    if pad:
        frames += [(rng.randbytes(length), length == 60) for length in (*range(55, 66), 3, 61)]
        frames = frames if data_width > 16 else frames[::4]
    dut = FcsInsert(data_width, pad=pad)
    result, clocks = run(dut, frames, rng=rng)
    assert result == inserted(frames, pad=pad)
    assert clocks == list(range(dut.latency, dut.latency + len(clocks)))
    assert dut.latency == INSERT_LATENCY[data_width]


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
def test_check_every_length_at_full_rate(rng, data_width):
    lanes = data_width // 8
    frames = received_frames(rng, lengths_for(lanes))
    result, clocks = run(FcsCheck(data_width), frames, rng=rng)
    assert result == checked(frames, lanes)
    # The input takes a beat every clock, so nothing is later than the beat it was made of.
    beats = sum(-(-len(frame) // lanes) for frame, _ in frames)
    assert clocks[-1] <= beats - 1 + CHECK_LATENCY[data_width]


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
def test_check_latency(rng, data_width):
    dut = FcsCheck(data_width)
    frame = rng.randbytes(300)
    _, clocks = run(dut, [(frame + fcs_of(frame), False)], rng=rng)
    assert clocks == list(range(dut.latency, dut.latency + -(-300 * 8 // data_width)))
    assert dut.latency == CHECK_LATENCY[data_width]


@pytest.mark.parametrize("data_width", [8, 64, 512])
def test_check_input_never_waits(rng, data_width):
    dut = FcsCheck(data_width)
    frames = received_frames(rng, [5] * 40 + [1] * 40 + [64, 4, 65, 8, 9, 12, 16, 70] * 5)

    async def source(ctx):
        for frame in frames:
            await send_packets(ctx, dut.i, [frame], rng=rng)

    async def watch(ctx):
        async for *_, ready in ctx.tick().sample(dut.i.ready):
            assert ready

    async def sink(ctx):
        await receive_packets(ctx, dut.o, len(frames), rng=rng)

    simulate(dut, source, sink, background=[watch])


def _conditions():
    """Widths, idle and stall: some of them in a brief run."""
    for width in DATA_WIDTHS:
        for idle, stall in IDLE_AND_STALL:
            brief = width in (8, 64) or (width == 512 and idle and stall)
            yield pytest.param(width, idle, stall, marks=[] if brief else pytest.mark.full)


@pytest.mark.parametrize(("data_width", "idle", "stall"), list(_conditions()))
@pytest.mark.parametrize("kind", ["insert", "pad", "check"])
def test_idle_and_back_pressure(rng, data_width, kind, idle, stall):
    lanes = data_width // 8
    if kind == "check":
        frames = received_frames(rng, [rng.choice((rng.randint(1, 20), rng.randint(1, 150))) for _ in range(40)])
        assert run(FcsCheck(data_width), frames, rng=rng, idle=idle, stall=stall)[0] == checked(frames, lanes)
    else:
        pad = kind == "pad"
        frames = random_packets(rng, 20 if pad else 40, lanes=lanes, longest=150)
        dut = FcsInsert(data_width, pad=pad)
        assert run(dut, frames, rng=rng, idle=idle, stall=stall)[0] == inserted(frames, pad=pad)


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("data_width", [8, 64])
def test_levels_between_registers(rng, data_width, levels):
    lanes = data_width // 8
    frames = random_packets(rng, 30, lanes=lanes, longest=40)
    result, clocks = run(FcsInsert(data_width, levels=levels), frames, rng=rng)
    assert result == inserted(frames)
    assert clocks == list(range(clocks[0], clocks[0] + len(clocks)))
    assert run(FcsCheck(data_width, levels=levels), result, rng=rng)[0] == checked(result, lanes)


class RoundTrip(wiring.Component):
    """`FcsInsert` and `FcsCheck` one behind the other."""

    def __init__(self, data_width):
        self.data_width = data_width
        super().__init__({"i": In(packet_signature(data_width)), "o": Out(packet_signature(data_width))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.insert = insert = FcsInsert(self.data_width)
        m.submodules.check = check = FcsCheck(self.data_width)
        connect_packets(m, wiring.flipped(self.i), insert.i)
        connect_packets(m, insert.o, check.i)
        connect_packets(m, check.o, wiring.flipped(self.o))
        return m


@pytest.mark.parametrize("data_width", [16, 64, pytest.param(512, marks=pytest.mark.full)])
def test_check_takes_off_what_insert_put_on(rng, data_width):
    frames = random_packets(rng, 20, lanes=data_width // 8)
    if data_width > 16:
        frames += [(rng.randbytes(9014), False), (b"\0" * 9001, True)]
    assert run(RoundTrip(data_width), frames, rng=rng)[0] == frames


@pytest.mark.parametrize("data_width", [16, 64])
def test_every_single_bit_error_is_found(rng, data_width):
    frame = rng.randbytes(21)
    frame += fcs_of(frame)
    frames = [
        (bytes(byte ^ (1 << bit % 8 if i == bit // 8 else 0) for i, byte in enumerate(frame)), False)
        for bit in range(8 * len(frame))
    ]
    result, _ = run(FcsCheck(data_width), [*frames, (frame, False)], rng=rng)
    assert [error for _, error in result] == [True] * len(frames) + [False]


@pytest.mark.parametrize("component", [FcsInsert, FcsCheck])
@pytest.mark.parametrize("data_width", [8, 64, 256])
def test_blocked_output_loses_nothing(rng, data_width, component):
    lanes = data_width // 8
    dut = component(data_width)
    frames = received_frames(rng, [lanes + 5] * 40)
    expected = inserted(frames) if component is FcsInsert else checked(frames, lanes)

    async def source(ctx):
        await send_packets(ctx, dut.i, frames, rng=rng)

    async def sink(ctx):
        await ctx.tick().repeat(60)
        assert not ctx.get(dut.i.ready)
        assert await receive_packets(ctx, dut.o, len(frames), rng=rng) == expected

    simulate(dut, source, sink)


@pytest.mark.parametrize("component", [FcsInsert, FcsCheck])
def test_no_combinational_path(rng, component):
    dut = component(64)

    async def bench(ctx):
        for _ in range(60):
            before = ctx.get(dut.i.ready), ctx.get(dut.o.valid), ctx.get(dut.o.payload)
            for _ in range(4):
                ctx.set(dut.i.valid, rng.getrandbits(1))
                ctx.set(dut.o.ready, rng.getrandbits(1))
                ctx.set(dut.i.payload, {"data": rng.getrandbits(64), "last": rng.getrandbits(1)})
                assert (ctx.get(dut.i.ready), ctx.get(dut.o.valid), ctx.get(dut.o.payload)) == before
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("kind", ["insert", "pad", "check"])
@pytest.mark.parametrize("data_width", [8, 64, 512])
def test_reset_within_a_frame(rng, data_width, kind):
    lanes = data_width // 8
    dut = FcsCheck(data_width) if kind == "check" else FcsInsert(data_width, pad=kind == "pad")
    reset = Signal()

    async def bench(ctx):
        for _ in range(5 if data_width == 512 else 15):
            # Some beats of frames whose ends never come, and an output that may be blocked.
            ctx.set(dut.o.ready, rng.getrandbits(1))
            for _ in range(rng.randint(1, 25)):
                ctx.set(dut.i.valid, 1)
                ctx.set(dut.i.payload, {"data": rng.getrandbits(data_width), "last": rng.random() < 0.3})
                await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            ctx.set(dut.o.ready, 0)
            assert not ctx.get(dut.o.valid)
            if kind == "check":
                frames = received_frames(rng, [12, 3])
                expected = checked(frames, lanes)
            else:
                frames = [(rng.randbytes(length), False) for length in (8, 1)]
                expected = inserted(frames, pad=kind == "pad")
            for i in range(2):  # each fits into the queue
                await send_packets(ctx, dut.i, frames[i : i + 1], rng=rng)
                assert await receive_packets(ctx, dut.o, 1, rng=rng) == expected[i : i + 1]

    simulate(ResetInserter(reset)(dut), bench)


@pytest.mark.parametrize("component", [FcsInsert, FcsCheck])
def test_bad_parameters_are_refused(component):
    for width in (0, 4, 48, 1024):
        assert_refused(r"data_width must be one of \(8, 16", component, width)
    for levels in (0, 9):
        assert_refused("levels must be an integer within 1 .. 8", component, 64, levels=levels)
