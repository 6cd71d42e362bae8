"""The gateware's hash functions are those that the control plane computes."""

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from helpers.packet_bench import simulate
from vtep.hashing import TablePlan
from vtep.lookup.hash_unit import bucket_numbers


class HashUnit(wiring.Component):
    def __init__(self, plan):
        self.plan = plan
        super().__init__({"key": In(plan.key_width), "buckets": Out(plan.functions * plan.bucket_bits)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.buckets.eq(Cat(bucket_numbers(m, self.plan, self.key)))
        return m


@pytest.mark.parametrize(
    ("key_width", "entries", "functions", "slots"),
    [
        (2, 16, None, None),
        (24, 16, None, None),
        (24, 1024, 4, 2),
        (72, 4096, None, None),
        (72, 1 << 20, None, None),
        (24, 1 << 20, 2, 1),
        (129, 1024, 16, 1),
        (256, 100, 3, 8),
    ],
)
def test_equals_the_plan(rng, key_width, entries, functions, slots):
    plan = TablePlan(key_width, entries, functions, slots)
    dut = HashUnit(plan)
    # Every bit by itself, and random keys.
    keys = [0, *(1 << i for i in range(key_width)), *(rng.getrandbits(key_width) for _ in range(100))]

    async def bench(ctx):
        for key in keys:
            ctx.set(dut.key, key)
            await ctx.tick()
            seen = ctx.get(dut.buckets)
            for function, first in enumerate(plan.first_locations(key)):
                bucket = seen >> function * plan.bucket_bits & (1 << plan.bucket_bits) - 1
                assert bucket == plan.place(first).bucket, f"key {key:#x}, function {function}"

    simulate(dut, bench)
