import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.control.meter import PortMeter


@pytest.mark.parametrize("data_width", [8, 64, 512])
@pytest.mark.parametrize("load", [1.0, 0.7])
def test_counts_every_beat_once(rng, data_width, load):
    """Sums are those of all beats up to 2 clocks before, taken and put aside in any clock."""
    dut = PortMeter(data_width, 12, 18)
    lanes = data_width // 8
    reset = Signal()

    async def bench(ctx):
        nothing = (0, 0)
        previous, current, aside = nothing, nothing, nothing
        for clock in range(1500):
            valid, ready, last = rng.random() < load, rng.random() < load, rng.random() < 0.3
            empty = rng.randrange(lanes) if last else 0
            reads_aside, resets = rng.getrandbits(1), clock == 700
            command = rng.choice(("take", "set_aside")) if rng.random() < 0.05 else None
            ctx.set(dut.valid, valid)
            ctx.set(dut.ready, ready)
            ctx.set(dut.payload.last, last)
            ctx.set(dut.payload.empty, empty)
            ctx.set(dut.payload.data, rng.getrandbits(8 * lanes))
            ctx.set(dut.payload.error, rng.getrandbits(1))
            ctx.set(dut.aside, reads_aside)
            ctx.set(dut.take, command == "take")
            ctx.set(dut.set_aside, command == "set_aside")
            ctx.set(reset, resets)
            assert (ctx.get(dut.frames), ctx.get(dut.bytes)) == (aside if reads_aside else current)
            if command == "set_aside":
                current, aside = nothing, current
            elif command == "take" and reads_aside:
                aside = nothing
            elif command == "take":
                current = nothing
            current = (current[0] + previous[0], current[1] + previous[1])
            previous = (int(last), lanes - empty) if valid and ready else nothing
            if resets:
                previous, current, aside = nothing, nothing, nothing
            await ctx.tick()

    simulate(ResetInserter(reset)(dut), bench)


def test_refuses_widths():
    assert_refused("data_width must be one of", PortMeter, 24, 8, 8)
