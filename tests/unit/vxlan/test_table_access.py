"""Every table of the core, written and read back as the control side does."""

import pytest

from helpers.octets import entry_write
from helpers.packet_bench import simulate
from vtep.config import VtepParameters
from vtep.control.tables import Table, entry_layout, table_capacity, table_plan
from vtep.vxlan.decapsulator import Decapsulator
from vtep.vxlan.encapsulator import Encapsulator

TABLES = {
    Encapsulator: (Table.VNI, Table.TUNNEL, Table.FDB, Table.FLOOD, Table.VLAN),
    Decapsulator: (Table.VNI_MAP, Table.REMOTE),
}


def test_every_table_is_somewhere():
    assert {table for tables in TABLES.values() for table in tables} == set(Table) - {Table.SETTINGS}


@pytest.mark.parametrize("block", TABLES, ids=lambda block: block.__name__)
@pytest.mark.parametrize("ipv6", [False, True])
def test_entries_are_read_as_they_were_written(rng, block, ipv6):
    parameters = VtepParameters(vnis=20, tunnels=5, fdb_entries=100, flood_entries=9, ipv6=ipv6)
    dut = block(parameters)

    async def bench(ctx):
        written = {}
        for _ in range(300):
            table = rng.choice(TABLES[block])
            values = {name: rng.getrandbits(field.width) for name, field in entry_layout(table, parameters)}
            values |= {name: 2 for name in ("ecn", "df") if name in values}
            where = rng.randrange(4 if table_plan(table, parameters) else table_capacity(table, parameters))
            write = entry_write(parameters, table, where, values)
            written[table, write["index"]] = write
        await ctx.tick().until(dut.ready)
        for write in written.values():
            ctx.set(dut.config.write, write)
            ctx.set(dut.config.enable, 1)
            await ctx.tick()
        ctx.set(dut.config.enable, 0)
        for (table, index), write in written.items():
            ctx.set(dut.config.write, {"table": table, "index": index})
            ctx.set(dut.entries.table, table)
            ctx.set(dut.entries.index, index)
            ctx.set(dut.entries.strobe, 1)
            await ctx.tick()
            ctx.set(dut.entries.strobe, 0)
            (entry,) = await ctx.tick().sample(dut.entries.entry).until(dut.entries.valid)
            plan = table_plan(table, parameters)
            if plan is not None:
                # The low bits of the key come from the location.
                assert not entry >> 1 & (1 << plan.bucket_bits) - 1
                tag = entry >> 1 + plan.bucket_bits & (1 << plan.tag_width) - 1
                entry |= plan.key_at(index, tag) << 1 & (1 << plan.bucket_bits) - 1 << 1
            assert entry == write["entry"], (table, index)
            await ctx.tick()
            assert not ctx.get(dut.entries.valid)

    simulate(dut, bench)
