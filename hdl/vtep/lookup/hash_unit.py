"""The hash functions of a table as logic."""

from collections.abc import Sequence
from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Module, Signal, Value

from ..hashing import CHUNK_BITS, TablePlan

__all__ = ["bucket_numbers"]

FAN_IN = 4


def bucket_numbers(m: Module, plan: TablePlan, key: Value) -> list[Value]:
    """Add the logic that computes a key's bucket in each part, one clock later.

    For a 72-bit key there are three levels of logic in front of the registers, the chunks' tables and a sum, and
    one behind them.
    """
    index_1 = Signal(plan.bucket_bits, reset_less=True)
    total_1 = Signal(plan.bucket_bits + plan.field_bits, reset_less=True)
    words: list[Value] = []
    tag = key[plan.bucket_bits :]
    for number, table in enumerate(plan.chunk_tables()):
        word = Signal(len(total_1), name=f"chunk_{number}")
        with m.Switch(tag[number * CHUNK_BITS : (number + 1) * CHUNK_BITS]):
            for value, (u, v) in enumerate(table):
                with m.Case(value):
                    m.d.comb += word.eq(u | v << plan.bucket_bits)
        words.append(word)
    m.d.sync += [index_1.eq(key[: plan.bucket_bits]), total_1.eq(_xor(m, words))]

    u, v = total_1[: plan.bucket_bits], total_1[plan.bucket_bits :]
    buckets: list[Value] = []
    for function in range(plan.functions):
        bucket = Signal(plan.bucket_bits, name=f"bucket_{function}")
        images = [plan.mix(function, 1 << i) for i in range(plan.field_bits)]
        m.d.comb += bucket.eq(
            Cat(
                reduce(xor, (v[i] for i, image in enumerate(images) if image >> row & 1), u[row] ^ index_1[row])
                for row in range(plan.bucket_bits)
            )
        )
        buckets.append(bucket)
    return buckets


def _xor(m: Module, words: Sequence[Value]) -> Value:
    """Tree of XORs of four."""
    level = list(words)
    while len(level) > 1:
        nodes: list[Value] = []
        for start in range(0, len(level), FAN_IN):
            node = Signal(len(level[0]), name=f"sum_{len(level)}_{start // FAN_IN}")
            m.d.comb += node.eq(reduce(xor, level[start : start + FAN_IN]))
            nodes.append(node)
        level = nodes
    return level[0]
