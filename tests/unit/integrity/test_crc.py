import zlib

import pytest
from amaranth.hdl import Fragment, Module, ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.config import DATA_WIDTHS
from vtep.integrity.crc import RESIDUE, Crc32, CrcAccumulator, CrcUnpadder, LevelPipeline, state_coordinates
from vtep.integrity.gf2 import multiply, power_of_x


def beats_of(packet, lanes):
    """First, last, empty and data of each beat."""
    for start in range(0, len(packet), lanes):
        chunk = packet[start : start + lanes]
        yield start == 0, start + lanes >= len(packet), lanes - len(chunk), int.from_bytes(chunk, "little")


async def send(ctx, dut, packets, *, rng, idle=0.0):
    lanes = len(dut.i_data) // 8
    for packet in packets:
        for first, last, empty, value in beats_of(packet, lanes):
            while rng.random() < idle:
                ctx.set(dut.i_valid, 0)
                ctx.set(dut.i_first, rng.getrandbits(1))
                ctx.set(dut.i_last, rng.getrandbits(1))
                ctx.set(dut.i_data, rng.getrandbits(8 * lanes))
                ctx.set(dut.i_empty, rng.randrange(lanes))
                await ctx.tick()
            ctx.set(dut.i_valid, 1)
            ctx.set(dut.i_first, first)
            ctx.set(dut.i_last, last)
            ctx.set(dut.i_data, value)
            ctx.set(dut.i_empty, empty if last else rng.randrange(lanes))
            await ctx.tick()
    ctx.set(dut.i_valid, 0)


def crcs_of(dut, packets, *, rng, idle=0.0):
    """CRCs that come out, and the clocks in which they do."""
    seen = []
    clocks = []

    async def source(ctx):
        await send(ctx, dut, packets, rng=rng, idle=idle)
        await ctx.tick().repeat(dut.latency + 2)

    async def sink(ctx):
        clock = 0
        async for *_, valid, crc in ctx.tick().sample(dut.o_valid, dut.o_crc):
            if valid:
                seen.append(crc)
                clocks.append(clock)
            clock += 1

    simulate(dut, source, background=[sink])
    return seen, clocks


def lengths_for(lanes):
    """Every length to beyond two beats, then the same out of order, so that long stands behind short."""
    lengths = list(range(1, 2 * lanes + 3))
    return lengths + lengths[::-7] + [1] * 5 + [lanes] * 3


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
def test_every_length_back_to_back(rng, data_width):
    packets = [rng.randbytes(length) for length in lengths_for(data_width // 8)]
    dut = Crc32(data_width)
    seen, clocks = crcs_of(dut, packets, rng=rng)
    assert seen == [zlib.crc32(packet) for packet in packets]
    ends = []
    for packet in packets:
        ends.append((ends[-1] if ends else -1) + -(-len(packet) // (data_width // 8)))
    assert dut.latency == {8: 4, 16: 4, 32: 6, 64: 6, 128: 9, 256: 9, 512: 11}[data_width]
    assert clocks == [end + dut.latency for end in ends]


@pytest.mark.parametrize(("data_width", "levels"), [(8, 1), (16, 3), (32, 1), (64, 1), (64, 3), (128, 8), (512, 1)])
def test_levels_between_registers(rng, data_width, levels):
    packets = [rng.randbytes(length) for length in lengths_for(data_width // 8)[::3]]
    seen, _ = crcs_of(Crc32(data_width, levels), packets, rng=rng)
    assert seen == [zlib.crc32(packet) for packet in packets]


@pytest.mark.parametrize("data_width", [8, 64, 512])
def test_idle_clocks_do_not_matter(rng, data_width):
    packets = [rng.randbytes(rng.randint(1, 3 * data_width // 8)) for _ in range(40)]
    seen, _ = crcs_of(Crc32(data_width), packets, rng=rng, idle=0.5)
    assert seen == [zlib.crc32(packet) for packet in packets]


@pytest.mark.parametrize("data_width", [64, 512])
def test_jumbo_packets(rng, data_width):
    packets = [rng.randbytes(9018), bytes(9001) + b"\xff" * 70]
    seen, _ = crcs_of(Crc32(data_width), packets, rng=rng)
    assert seen == [zlib.crc32(packet) for packet in packets]


@pytest.mark.parametrize("data_width", [8, 64])
def test_published_check_value(rng, data_width):
    # The check value that catalogues give for this CRC (CRC-32/ISO-HDLC), not computed here.
    assert crcs_of(Crc32(data_width), [b"123456789"], rng=rng)[0] == [0xCBF4_3926]


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
def test_residue_behind_a_packet_and_its_fcs(rng, data_width):
    lanes = data_width // 8
    dut = CrcAccumulator(data_width)

    async def bench(ctx):
        for length in (1, lanes, lanes + 1, 2 * lanes + 3, *(rng.randint(1, 100) for _ in range(8))):
            packet = rng.randbytes(length)
            beats = list(beats_of(packet + zlib.crc32(packet).to_bytes(4, "little"), lanes))
            for first, _, _, value in beats:
                ctx.set(dut.valid, 1)
                ctx.set(dut.first, first)
                ctx.set(dut.data, value)
                await ctx.tick()
            ctx.set(dut.valid, 0)
            await ctx.tick().repeat(dut.latency - 1)
            empty = beats[-1][2]
            (expected,) = state_coordinates(data_width, [multiply(RESIDUE, power_of_x(8 * empty))])
            assert ctx.get(dut.state) == expected
            await ctx.tick().repeat(3)
            assert ctx.get(dut.state) == expected

    simulate(dut, bench)


def test_reset_within_a_packet(rng):
    crc = Crc32(64)
    reset = Signal()
    seen = []

    async def source(ctx):
        for _ in range(10):
            await send(ctx, crc, [rng.randbytes(rng.randint(9, 60))], rng=rng)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
        await ctx.tick().repeat(crc.latency)
        await send(ctx, crc, [b"abc"], rng=rng)
        await ctx.tick().repeat(crc.latency + 1)

    async def sink(ctx):
        async for *_, valid, value in ctx.tick().sample(crc.o_valid, crc.o_crc):
            if valid:
                seen.append(value)

    simulate(ResetInserter(reset)(crc), source, background=[sink])
    assert seen == [zlib.crc32(b"abc")]


@pytest.mark.parametrize("component", [CrcAccumulator, CrcUnpadder, Crc32])
def test_bad_parameters_are_refused(component):
    for width in (0, 4, 24, 1024):
        assert_refused(r"data_width must be one of \(8, 16", component, width)
    for levels in (0, 9, 1.5):
        assert_refused("levels must be an integer within 1 .. 8", component, 64, levels)


def test_level_pipeline_registers_every_second_level():
    m = Module()
    line = LevelPipeline(m, Signal(3), 2)
    counts = []
    for _ in range(5):
        line.step([line.value[0], line.value[1]])
        counts.append(line.clocks)
    assert counts == [0, 1, 1, 2, 2]
    line.finish()
    line.finish()
    assert line.clocks == 3
    Fragment.get(m, None)  # Amaranth warns of modules that nobody elaborates
