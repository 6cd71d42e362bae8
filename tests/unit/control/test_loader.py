import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.config import VtepParameters
from vtep.control.loader import TableLoader
from vtep.control.tables import Table, TableEntry, check_entries, entry_layout, table_capacity

PARAMETERS = VtepParameters(vnis=5, tunnels=9, fdb_entries=64, flood_entries=256)
TABLES = [table for table in Table if table is not Table.SETTINGS]


def random_entries(rng, count):
    entries = []
    for _ in range(count):
        table = rng.choice(TABLES)
        bits = rng.getrandbits(entry_layout(table, PARAMETERS).size)
        entries.append(TableEntry(table, rng.randrange(table_capacity(table, PARAMETERS)), bits))
    return entries


async def watch(ctx, dut, clocks):
    """What is written until ``done``, or within so many clocks."""
    written = []
    for _ in range(clocks):
        *_, enable, table, index, entry, done = await ctx.tick().sample(
            dut.enable, dut.write.table, dut.write.index, dut.write.entry, dut.done
        )
        if enable:
            written.append(TableEntry(Table(table), index, entry))
        if done:
            break
    return written


@pytest.mark.parametrize("count", [0, 1, 40])
def test_writes_every_entry_in_order_once(rng, count):
    entries = random_entries(rng, count)
    dut = TableLoader(PARAMETERS, entries)

    async def bench(ctx):
        assert await watch(ctx, dut, 30) == []
        assert not ctx.get(dut.done)
        ctx.set(dut.start, 1)
        words = sum(1 + -(-entry_layout(table, PARAMETERS).size // 32) for table, _, _ in entries)
        assert await watch(ctx, dut, 3 * words + 8) == entries
        assert ctx.get(dut.done)
        for _ in range(20):
            assert not ctx.get(dut.enable)
            await ctx.tick()

    simulate(dut, bench)


def test_reset_begins_again(rng):
    entries = random_entries(rng, 10)
    reset = Signal()
    dut = TableLoader(PARAMETERS, entries)

    async def bench(ctx):
        ctx.set(dut.start, 1)
        for clocks in (rng.randint(1, 100), 1000):
            await ctx.tick().repeat(clocks)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert not ctx.get(dut.done)
        assert await watch(ctx, dut, 1000) == entries

    simulate(ResetInserter(reset)(dut), bench)


def test_refuses_what_a_table_cannot_hold():
    for entry, message in (
        ((Table.VNI, 5, 0), r"the index of VNI must be within 0 \.\. 4, not 5"),
        ((Table.TUNNEL, -1, 0), r"the index of TUNNEL must be within 0 \.\. 8, not -1"),
        ((Table.SETTINGS, 0, 0), "the index of SETTINGS must be within"),
        ((Table.VLAN, 0, 8), r"an entry of VLAN must be within 0 \.\. 2\^3 - 1, not 0x8"),
    ):
        with pytest.raises(ValueError, match=message):
            check_entries(PARAMETERS, [TableEntry(*entry)])
        assert_refused(message, TableLoader, PARAMETERS, [TableEntry(*entry)])
