import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import data

from helpers.packet_bench import simulate
from vtep.config import VtepParameters
from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS
from vtep.control.ports import carried_event, carried_layout, config_bus, entry_of, reason_event, writes_to
from vtep.control.tables import Table, entry_layout, settings_layout, write_layout

PARAMETERS = VtepParameters(vnis=5, tunnels=9, fdb_entries=8, flood_entries=17)


def test_bus_members():
    members = config_bus(PARAMETERS).members
    assert members["settings"].shape == settings_layout()
    assert members["write"].shape == write_layout(PARAMETERS)
    assert members["enable"].shape == 1


@pytest.mark.parametrize("table", [table for table in Table if table is not Table.SETTINGS])
def test_writes_and_entries(rng, table):
    m = Module()
    bus = config_bus(PARAMETERS).create()
    layout = entry_layout(table, PARAMETERS)
    written = Signal()
    entry = Signal(layout)
    m.d.comb += [written.eq(writes_to(bus, table)), entry.eq(entry_of(bus, table, PARAMETERS))]

    async def bench(ctx):
        for _ in range(3):
            for other in Table:
                for enable in range(2):
                    word = rng.getrandbits(write_layout(PARAMETERS)["entry"].width)
                    ctx.set(bus.enable, enable)
                    ctx.set(bus.write, {"table": other, "index": 0, "entry": word})
                    assert ctx.get(written) == (enable and other is table)
                    assert ctx.get(entry.as_value()) == word & ((1 << layout.size) - 1)

    simulate(m, bench)


def test_events():
    for reasons in (ENCAP_REASONS, DECAP_REASONS):
        assert reason_event(reasons).members["index"].shape == range(len(reasons))
    layout = carried_layout(PARAMETERS)
    assert isinstance(layout, data.StructLayout)
    assert {name: field.width for name, field in layout} == {"vni": 3, "tunnel": 4, "tunnel_used": 1, "length": 14}
    assert carried_event(PARAMETERS).members["frame"].shape == layout
