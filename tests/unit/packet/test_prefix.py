import pytest

from helpers.packet_bench import assert_refused, simulate
from vtep.packet.prefix import PrefixBeats


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("data_width", "length"), [(8, 1), (8, 5), (64, 7), (64, 17), (64, 24), (64, 86), (512, 70)])
def test_shows_each_beat(rng, data_width, length, late):
    """Whenever it is moved on, also in the clock behind a load, and when a load comes before the end."""
    lanes = data_width // 8
    dut = PrefixBeats(data_width, length, late=late)

    async def bench(ctx):
        for number in range(60):
            prefix, mask = rng.randbytes(length), rng.getrandbits(length)
            ctx.set(dut.prefix, int.from_bytes(prefix, "little"))
            ctx.set(dut.mask, mask)
            ctx.set(dut.zero, rng.getrandbits(1))
            ctx.set(dut.load, 1)
            ctx.set(dut.step, rng.getrandbits(1))  # the load wins
            await ctx.tick().repeat(rng.choice((1, 1, 2)))
            ctx.set(dut.load, 0)
            ctx.set(dut.zero, 0)
            hasty = number % 3 == 0
            for clock in range(rng.choice((1, 3, 3 * length // lanes + 8))):
                step = hasty or rng.getrandbits(1)
                ctx.set(dut.step, step)
                if clock == 1:  # what was loaded stays for one clock only
                    ctx.set(dut.prefix, rng.getrandbits(8 * length))
                    ctx.set(dut.mask, rng.getrandbits(length))
                shown, data = ctx.get(dut.lanes), ctx.get(dut.data).to_bytes(lanes, "little")
                assert shown == mask & ((1 << lanes) - 1)
                assert all(data[i] == prefix[i] for i in range(lanes) if shown >> i & 1)
                await ctx.tick()
                if step:
                    prefix, mask = prefix[lanes:], mask >> lanes

    simulate(dut, bench)


def test_refuses():
    assert_refused("data_width must be one of", PrefixBeats, 24, 1)
    assert_refused("length must be 1 or more, not 0", PrefixBeats, 64, 0)
