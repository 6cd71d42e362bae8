import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.control.tally import Tally


@pytest.mark.parametrize(("amount_bits", "bits"), [(1, 8), (4, 12), (8, 8)])
def test_every_amount_is_in_one_sum(rng, amount_bits, bits):
    """Both sums, taken and put aside in any clock; sums go round where they are not taken in time."""
    reset = Signal()
    dut = Tally(amount_bits, bits)

    async def bench(ctx):
        current = aside = taken = 0
        for clock in range(3000):
            reads_aside, resets = rng.getrandbits(1), clock == 1500
            command = rng.choice(("take", "set_aside")) if rng.random() < 0.2 else None
            amount = rng.choice((0, (1 << amount_bits) - 1, rng.getrandbits(amount_bits)))
            ctx.set(dut.amount, amount)
            ctx.set(dut.aside, reads_aside)
            ctx.set(dut.take, command == "take")
            ctx.set(dut.set_aside, command == "set_aside")
            ctx.set(reset, resets)
            assert ctx.get(dut.value) == (aside if reads_aside else current) % (1 << bits)
            if resets:
                current = aside = 0
            elif command == "set_aside":
                current, aside = amount, current
            elif command == "take" and reads_aside:
                current, aside = current + amount, 0
                taken += 1
            elif command == "take":
                current = amount
            else:
                current += amount
            await ctx.tick()
        assert taken > 100

    simulate(ResetInserter(reset)(dut), bench)


def test_refuses_bits():
    assert_refused(r"bits must be .* 1 \.\. 32, not 0", Tally, 1, 0)
    assert_refused(r"bits must be .* 1 \.\. 32, not 33", Tally, 1, 33)
    assert_refused(r"amount_bits must be .* 1 \.\. 8, not 9", Tally, 9, 8)
    assert_refused(r"amount_bits must be .* 1 \.\. 8, not 0", Tally, 0, 8)
