import random

import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.packet.prefix_stream import PrefixStream

SECTIONS = {"a": 12, "tag": 4, "four": 22, "six": 42, "rest": 29}
FORMATS = [
    ["a", "four", "rest"],
    ["a", "tag", "four", "rest"],
    ["a", "six", "rest"],
    ["a", "tag", "six", "rest"],
    ["a", "tag"],
]


def give(ctx, dut, rng: random.Random, number: int) -> bytes:
    """Put a prefix of a format to the inputs."""
    octets = {name: rng.randbytes(length) for name, length in SECTIONS.items()}
    ctx.set(dut.sections, {name: int.from_bytes(value, "little") for name, value in octets.items()})
    ctx.set(dut.format, number)
    return b"".join(octets[name] for name in FORMATS[number])


@pytest.mark.parametrize("data_width", [8, 16, 32, 64])
def test_gives_each_format_beat_by_beat(rng, data_width):
    dut = PrefixStream(data_width, SECTIONS, FORMATS)
    lanes = data_width // 8
    assert dut.longest == -(-(12 + 4 + 42 + 29) // lanes)
    assert dut.clock(2, "rest", 6) == 1 + (12 + 42 + 6) // lanes
    wanted, shown = [], []

    async def bench(ctx):
        for i in range(20):
            wanted.append(give(ctx, dut, rng, i % len(FORMATS)))
            ctx.set(dut.begin, 1)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            await ctx.tick().repeat(dut.longest + rng.choice((0, 0, 5)))
        await ctx.tick().repeat(5)

    async def watch(ctx):
        octets, since = b"", None
        async for _, _, begin, valid, beat in ctx.tick().sample(dut.begin, dut.valid, dut.beat):
            since = 0 if begin else None if since is None else since + 1
            if not valid:
                assert octets == b""  # no pause within a prefix
                continue
            if not octets:
                assert since == 2
            bits = [beat.lanes >> i & 1 for i in range(lanes)]
            here = sum(bits)
            assert bits == [1] * here + [0] * (lanes - here)
            octets += beat.data.to_bytes(lanes, "little")[:here]
            if beat.last:
                shown.append(octets)
                octets = b""
            else:
                assert here == lanes

    simulate(dut, bench, background=[watch])
    assert [each.hex() for each in shown] == [each.hex() for each in wanted]


def test_a_reset_forgets_the_prefix_under_way(rng):
    reset = Signal()
    dut = PrefixStream(32, SECTIONS, FORMATS)

    async def bench(ctx):
        for clocks in range(1, dut.longest):
            prefix = give(ctx, dut, rng, 3)
            ctx.set(dut.begin, 1)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            await ctx.tick().repeat(clocks)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            ctx.set(dut.begin, 1)
            assert not ctx.get(dut.valid)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            assert not ctx.get(dut.valid)
            for start in range(0, len(prefix), 4):
                await ctx.tick()
                assert ctx.get(dut.valid)
                assert ctx.get(dut.beat.last) == (start + 4 >= len(prefix))
            await ctx.tick()
            assert not ctx.get(dut.valid)

    simulate(ResetInserter(reset)(dut), bench)


def test_refuses():
    assert_refused("data_width must be one of", PrefixStream, 24, SECTIONS, FORMATS)
    assert_refused("formats must have sections of", PrefixStream, 32, SECTIONS, [["a", "b"]])
    assert_refused("formats must be one or more", PrefixStream, 32, SECTIONS, [])
    assert_refused("formats must be one or more", PrefixStream, 64, SECTIONS, [["tag"]])
    assert_refused("formats must be one or more", PrefixStream, 128, SECTIONS, FORMATS[:2])
