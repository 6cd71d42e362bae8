import pytest

from vtep.config import VtepParameters
from vtep.control.tables import DfMode, EcnMode, Table, entry_layout, table_plan, write_layout

SMALL = VtepParameters(vnis=1, tunnels=1, fdb_entries=1, flood_entries=1)
LARGE = VtepParameters(vnis=64, tunnels=64, fdb_entries=64, flood_entries=256)


def test_codes():
    assert [(table.name, table.value) for table in Table] == [
        ("SETTINGS", 0),
        ("VNI", 1),
        ("TUNNEL", 2),
        ("FDB", 3),
        ("FLOOD", 4),
        ("VLAN", 5),
        ("VNI_MAP", 6),
        ("REMOTE", 7),
    ]
    assert [(mode.name, mode.value) for mode in EcnMode] == [("COPY", 0), ("ZERO", 1), ("LINUX", 2)]
    assert [(mode.name, mode.value) for mode in DfMode] == [("SET", 0), ("UNSET", 1), ("INHERIT", 2)]


@pytest.mark.parametrize(
    ("table", "small", "large"),
    [
        (Table.SETTINGS, 266, 266),
        (Table.VNI, 40, 47),  # the index of a flood entry has 1 or 8 bits
        (Table.TUNNEL, 227, 227),
        (Table.FDB, 74, 79),
        (Table.FLOOD, 2, 7),
        (Table.VLAN, 1, 6),
        (Table.VNI_MAP, 40, 45),
        (Table.REMOTE, 132, 137),
    ],
)
def test_sizes(table, small, large):
    assert entry_layout(table, SMALL).size == small
    assert entry_layout(table, LARGE).size == large
    if table is not Table.SETTINGS:
        assert write_layout(SMALL)["entry"].width >= small
        assert write_layout(LARGE)["entry"].width >= large


@pytest.mark.parametrize("parameters", [SMALL, LARGE], ids=["small", "large"])
def test_a_write(parameters):
    layout = write_layout(parameters)
    assert layout.size == 3 + 12 + 227  # an index for each VID, and a tunnel
    word = layout.const({"table": Table.TUNNEL, "index": 0xA5, "entry": 0x1234}).as_value().value
    assert word == 2 | 0xA5 << 3 | 0x1234 << 15


@pytest.mark.parametrize(
    ("table", "values", "word"),
    [
        (Table.VNI, {"used": 1, "vni": 0x123456, "vlan": 0xABC, "flood": 9}, 1 | 0x123456 << 1 | 0xABC << 25 | 9 << 39),
        (
            Table.FDB,
            {"used": 1, "vni": 100, "mac": 0x52540000000A, "tunnel": 5},
            1 | 100 << 1 | 0x52540000000A << 25 | 5 << 73,
        ),
        (Table.FLOOD, {"tunnel": 63, "last": 1}, 63 | 1 << 6),
        (Table.SETTINGS, {"mac": 0x020000000001, "ipv4": 0x0A000001}, 0x020000000001 | 0x0A000001 << 48),
        (
            Table.TUNNEL,
            {"used": 1, "remote": 0x0A000002, "remote_mac": 7, "ecn": EcnMode.LINUX, "udp_port": 4789},
            1 | 0x0A000002 << 1 | 7 << 130 | 2 << 206 | 4789 << 211,
        ),
    ],
)
def test_entries_have_their_first_field_in_the_low_bits(table, values, word):
    assert entry_layout(table, LARGE).const(values).as_value().value == word


@pytest.mark.parametrize(
    ("table", "entries", "functions", "buckets"),
    [
        # In distributed RAM: twice as many locations as entries, in shallow parts.
        (Table.FDB, 1, 8, 2),
        (Table.FDB, 64, 8, 16),
        (Table.FDB, 128, 8, 32),
        (Table.VNI_MAP, 16, 4, 8),
        (Table.REMOTE, 64, 4, 32),
        # In block RAM: as few parts of up to 1,024 buckets as leave room to spare.
        (Table.FDB, 129, 3, 128),
        (Table.FDB, 1024, 3, 512),
        (Table.FDB, 1025, 3, 1024),
        (Table.VNI_MAP, 1024, 3, 512),
        (Table.REMOTE, 65, 3, 64),
        (Table.REMOTE, 256, 3, 256),
        (Table.FDB, 2457, 3, 1024),
        (Table.FDB, 2458, 4, 1024),
        (Table.FDB, 4096, 5, 1024),
        (Table.REMOTE, 4096, 5, 1024),
        (Table.FDB, 6553, 8, 1024),
        # Large: an FDB has the locations that were asked for.
        (Table.FDB, 6554, 8, 1024),
        (Table.FDB, 1 << 14, 8, 2048),
        (Table.VNI_MAP, 1 << 14, 4, 8192),
    ],
)
def test_geometry_of_the_hashed_tables(table, entries, functions, buckets):
    name = {Table.FDB: "fdb_entries", Table.VNI_MAP: "vnis", Table.REMOTE: "tunnels"}[table]
    plan = table_plan(table, VtepParameters(**{name: entries}))
    assert (plan.functions, 1 << plan.bucket_bits, plan.slots) == (functions, buckets, 1)
    assert plan.capacity >= entries


def test_other_tables_are_direct():
    for table in (Table.SETTINGS, Table.VNI, Table.TUNNEL, Table.FLOOD, Table.VLAN):
        assert table_plan(table, LARGE) is None
