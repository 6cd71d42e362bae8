"""Every table of the core, written and read back as the control side does."""

import pytest
from amaranth.hdl import Module

from helpers.octets import entry_write
from helpers.packet_bench import simulate
from vtep.config import VtepParameters
from vtep.control.ports import config_bus, entry_read_bus
from vtep.control.tables import Table, entry_layout, table_capacity, table_plan
from vtep.lookup.hashed import HashedMatch
from vtep.lookup.serial import SerialMatch
from vtep.vxlan.decapsulator import Decapsulator
from vtep.vxlan.encapsulator import Encapsulator
from vtep.vxlan.table_access import lookup_table

TABLES = {
    Encapsulator: (Table.VNI, Table.TUNNEL, Table.FDB, Table.FLOOD, Table.VLAN),
    Decapsulator: (Table.VNI_MAP, Table.REMOTE),
}


def test_every_table_is_somewhere():
    assert {table for tables in TABLES.values() for table in tables} == set(Table) - {Table.SETTINGS}


@pytest.mark.parametrize(
    ("block", "data_width"),
    [(Encapsulator, 64), (Decapsulator, 32), (Decapsulator, 512)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.parametrize("ipv6", [False, True])
def test_entries_are_read_as_they_were_written(rng, block, data_width, ipv6):
    parameters = VtepParameters(data_width=data_width, vnis=20, tunnels=5, fdb_entries=100, flood_entries=9, ipv6=ipv6)
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


@pytest.mark.parametrize(
    ("options", "spacing", "kinds"),
    [
        ({}, 0, {"a": HashedMatch, "b": HashedMatch}),
        ({}, 4, {"a": HashedMatch, "b": HashedMatch}),
        ({}, 5, {"a": SerialMatch, "b": SerialMatch}),
        ({}, 8, {"a": SerialMatch, "b": SerialMatch}),
        ({}, 9, {"a_and_b": SerialMatch}),
        ({"tunnels": 4096}, 9, {"a": SerialMatch, "b": SerialMatch}),  # 5 functions
        ({"tunnels": 4096}, 11, {"a_and_b": SerialMatch}),
    ],
)
def test_as_few_memories_as_there_is_time_for(monkeypatch, options, spacing, kinds):
    for kind in (HashedMatch, SerialMatch):
        monkeypatch.setattr(kind, "_MustUse__silence", True, raising=False)
    parameters = VtepParameters(**options)
    m = Module()
    config, entries = config_bus(parameters).flip().create(), entry_read_bus(parameters).flip().create()
    lookups = lookup_table(m, Table.REMOTE, parameters, config, entries, names=["a", "b"], spacing=spacing)
    assert {name: type(getattr(m.submodules, name)) for name in kinds} == kinds
    assert len(lookups.keys) == len(lookups.found) == len(lookups.values) == 2
    functions = table_plan(Table.REMOTE, parameters).functions
    assert lookups.key_clocks == [0, functions if len(kinds) == 1 else 0]
