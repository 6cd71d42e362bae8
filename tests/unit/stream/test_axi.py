import pytest
from amaranth.hdl import Module

from helpers.packet_bench import assert_refused, random_packets, receive_packets, send_packets, simulate
from vtep.stream.axi import AxiStreamSink, AxiStreamSource, axi_signature
from vtep.stream.checker import PacketChecker
from vtep.stream.packet import connect_packets

WIDTHS = [8, 16, 64, 512]


async def send_axi(ctx, axi, frames, *, rng, idle=0.0):
    """Send frames, each a list of beats: (bytes, tkeep, tuser)."""
    for frame in frames:
        for number, (content, keep, tuser) in enumerate(frame):
            while rng.random() < idle:
                ctx.set(axi.tvalid, 0)
                await ctx.tick()
            ctx.set(axi.tvalid, 1)
            ctx.set(axi.tdata, int.from_bytes(content, "little"))
            ctx.set(axi.tkeep, keep)
            ctx.set(axi.tlast, number == len(frame) - 1)
            ctx.set(axi.tuser, tuser)
            await ctx.tick().until(axi.tready)
    ctx.set(axi.tvalid, 0)


def good_frame(rng, lanes, packet, error=False, length=None):
    beats = []
    for start in range(0, len(packet), lanes):
        chunk = packet[start : start + lanes]
        last = start + lanes >= len(packet)
        bad = error if last else rng.getrandbits(1)
        upper = (length if start == 0 else rng.getrandbits(14)) << 1 if length is not None else 0
        beats.append((chunk + rng.randbytes(lanes - len(chunk)), (1 << len(chunk)) - 1, upper | bad))
    return beats


@pytest.mark.parametrize("data_width", WIDTHS)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.4, 0.4)])
@pytest.mark.parametrize("registered", [True, False])
def test_source_passes_frames(rng, data_width, idle, stall, registered):
    lanes = data_width // 8
    m = Module()
    m.submodules.dut = dut = AxiStreamSource(data_width, registered=registered)
    m.submodules.checker = checker = PacketChecker(data_width)
    checker.watch(m, dut.o)
    sent = random_packets(rng, 40, lanes=lanes, longest=4 * lanes, errors=0.3)
    clocks = []

    async def source(ctx):
        await send_axi(ctx, dut.axi, [good_frame(rng, lanes, *packet) for packet in sent], rng=rng, idle=idle)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng, stall=stall, clocks=clocks) == sent
        assert not ctx.get(checker.violation).as_value().value

    simulate(m, source, sink)
    if not idle:
        assert clocks == list(range(dut.latency, dut.latency + len(clocks)))


def test_source_passes_every_fill(rng):
    dut = AxiStreamSource(512)
    sent = [(rng.randbytes(length), False) for length in range(1, 129)]

    async def source(ctx):
        await send_axi(ctx, dut.axi, [good_frame(rng, 64, *packet) for packet in sent], rng=rng)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng) == sent

    simulate(dut, source, sink)


@pytest.mark.parametrize("data_width", [32, 64])
def test_source_marks_what_breaks_the_rules(rng, data_width):
    lanes = data_width // 8
    full = (1 << lanes) - 1
    runs = {(1 << count) - 1 for count in range(1, lanes + 1)}
    dut = AxiStreamSource(data_width)
    frames, marks, beats = [], [], []
    for _ in range(600):
        keeps = [full] * rng.randint(1, 4)
        keeps[-1] = rng.choice(sorted(runs))
        if rng.random() < 0.6:
            keeps[rng.randrange(len(keeps))] = rng.choice((0, full >> 1, full ^ 1, full ^ 2, rng.getrandbits(lanes)))
        frames.append([(rng.randbytes(lanes), keep, 0) for keep in keeps])
        marks.append(any(keep != full for keep in keeps[:-1]) or keeps[-1] not in runs)
        beats.append(len(keeps))

    async def source(ctx):
        await send_axi(ctx, dut.axi, frames, rng=rng)

    async def sink(ctx):
        received = await receive_packets(ctx, dut.o, len(frames), rng=rng, stall=0.2)
        assert [error for _, error in received] == marks
        assert [-(-len(packet) // lanes) for packet, _ in received] == beats
        for (packet, error), frame in zip(received, frames, strict=True):
            content = b"".join(chunk for chunk, _, _ in frame)
            assert content.startswith(packet)
            if not frame[-1][1]:
                assert len(packet) == (len(frame) - 1) * lanes + 1
                assert error

    assert {True, False} == set(marks)
    simulate(dut, source, sink)


@pytest.mark.parametrize("keep", [0, 1])
def test_source_of_one_lane(rng, keep):
    dut = AxiStreamSource(8)

    async def source(ctx):
        await send_axi(ctx, dut.axi, [[(b"a", 1, 0), (b"b", keep, 0), (b"c", 1, 0)], [(b"d", 1, 0)]], rng=rng)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, 2, rng=rng) == [(b"abc", not keep), (b"d", False)]

    simulate(dut, source, sink)


def test_source_takes_the_length(rng):
    dut = AxiStreamSource(16, length=True)
    sent = [(rng.randbytes(length), False) for length in (1, 2, 3, 60, 61)]
    frames = [good_frame(rng, 2, packet, error, length=len(packet)) for packet, error in sent]
    lengths = []

    async def source(ctx):
        await send_axi(ctx, dut.axi, frames, rng=rng)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, len(sent), rng=rng, stall=0.3) == sent

    async def watch(ctx):
        first = True
        async for *_, valid, ready, payload in ctx.tick().sample(dut.o.valid, dut.o.ready, dut.o.payload):
            if valid and ready:
                if first:
                    lengths.append(payload.length)
                first = payload.last

    simulate(dut, source, sink, background=[watch])
    assert lengths == [len(packet) for packet, _ in sent]


@pytest.mark.parametrize("data_width", WIDTHS)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.4, 0.4)])
@pytest.mark.parametrize("registered", [True, False])
def test_sink_passes_frames(rng, data_width, idle, stall, registered):
    lanes = data_width // 8
    dut = AxiStreamSink(data_width, registered=registered)
    sent = random_packets(rng, 40, lanes=lanes, longest=4 * lanes, errors=0.3)
    received = []
    clocks = []

    async def source(ctx):
        await send_packets(ctx, dut.i, sent, rng=rng, idle=idle)

    async def sink(ctx):
        content = b""
        waiting = None
        clock = 0
        axi = dut.axi
        while len(received) < len(sent):
            ready = rng.random() >= stall
            ctx.set(axi.tready, ready)
            _, _, valid, *beat = await ctx.tick().sample(axi.tvalid, axi.tdata, axi.tkeep, axi.tlast, axi.tuser)
            assert waiting is None or (valid and beat == waiting)
            waiting = beat if valid and not ready else None
            if valid and ready:
                data, keep, last, user = beat
                clocks.append(clock)
                assert keep in {(1 << count) - 1 for count in range(1, lanes + 1)}
                assert last or (keep == (1 << lanes) - 1 and not user)
                content += data.to_bytes(lanes, "little")[: keep.bit_count()]
                if last:
                    received.append((content, bool(user)))
                    content = b""
            clock += 1

    simulate(dut, source, sink)
    assert received == sent
    if not idle:
        assert clocks == list(range(dut.latency, dut.latency + len(clocks)))


@pytest.mark.parametrize("component", [AxiStreamSource, AxiStreamSink])
def test_no_combinational_path(component):
    m = Module()
    m.submodules.dut = dut = component(32)
    if component is AxiStreamSource:
        inputs = [dut.axi.tvalid, dut.axi.tdata, dut.axi.tkeep, dut.axi.tlast, dut.axi.tuser, dut.o.ready]
        outputs = [dut.axi.tready, dut.o.valid, dut.o.payload]
    else:
        inputs = [dut.i.valid, dut.i.payload.data, dut.i.payload.empty, dut.i.payload.last, dut.axi.tready]
        outputs = [dut.i.ready, dut.axi.tvalid, dut.axi.tdata, dut.axi.tkeep, dut.axi.tlast, dut.axi.tuser]

    async def bench(ctx):
        for _ in range(4):
            before = [ctx.get(signal) for signal in outputs]
            for signal in inputs:
                ctx.set(signal, ~ctx.get(signal))
                assert [ctx.get(signal) for signal in outputs] == before
            await ctx.tick()

    simulate(m, bench)


def test_there_and_back(rng):
    m = Module()
    m.submodules.source = source = AxiStreamSource(64)
    m.submodules.sink = sink = AxiStreamSink(64)
    connect_packets(m, source.o, sink.i)
    frames = [good_frame(rng, 8, rng.randbytes(length)) for length in range(1, 40)]

    async def send(ctx):
        await send_axi(ctx, source.axi, frames, rng=rng, idle=0.2)

    async def receive(ctx):
        for frame in frames:
            for content, keep, _ in frame:
                ctx.set(sink.axi.tready, 1)
                *_, data, seen_keep = await ctx.tick().sample(sink.axi.tdata, sink.axi.tkeep).until(sink.axi.tvalid)
                assert (data.to_bytes(8, "little"), seen_keep) == (content, keep)

    simulate(m, send, receive)


def test_refuses_parameters():
    with pytest.raises(ValueError, match=r"user_bits must be .* 1 \.\. 64, not 0"):
        axi_signature(64, 0)
    with pytest.raises(ValueError, match="data_width must be one of"):
        axi_signature(65)
    assert_refused("data_width must be one of", AxiStreamSource, 4)
    assert_refused("data_width must be one of", AxiStreamSink, 1024)
