import pytest

import vtep.control.tally
from helpers.packet_bench import assert_refused, simulate
from vtep.control.tally import LAG, Tally


@pytest.mark.parametrize(("bits", "low"), [(1, 3), (4, 4), (15, 16)])
def test_values_are_of_one_clock(rng, monkeypatch, bits, low):
    """Counter and copy, ``low`` of one clock with ``high`` of a later one, under commands in any clock."""
    monkeypatch.setattr(vtep.control.tally, "LOW", low)
    dut = Tally(bits)

    async def bench(ctx):
        total = largest = 0
        copy = None
        pending = []
        for _ in range(3000):
            snapshot = copy is not None and rng.getrandbits(1)
            ctx.set(dut.read_snapshot, snapshot)
            if len(pending) == LAG:
                expected, lower = pending.pop(0)
                assert ctx.get(dut.high) << low | lower == expected
                largest = max(largest, expected)
            expected, lower = (copy if snapshot else total), ctx.get(dut.low)
            assert lower == expected % (1 << low)
            pending.append((expected, lower))
            amount, command = (
                rng.getrandbits(bits),
                rng.choice(("clear", "take_snapshot") if rng.random() < 0.03 else ("",)),
            )
            ctx.set(dut.amount, amount)
            ctx.set(dut.clear, command == "clear")
            ctx.set(dut.take_snapshot, command == "take_snapshot")
            if command == "take_snapshot":
                copy = total
            elif command == "clear":
                total = 0
            total += amount
            await ctx.tick()
        assert largest >> low

    simulate(dut, bench)


def test_refuses_bits():
    for bits in (0, 17):
        assert_refused(rf"bits must be .* 1 \.\. 16, not {bits}", Tally, bits)
