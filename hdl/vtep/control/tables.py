"""The configuration of the data plane as the gateware holds it: settings and table entries.

This is the one declaration of what the tables hold; one write of `write_layout` is of one entry of one table. A
table entry's index is chosen by the writer; for VNIs and tunnels it is also the index of their counters. In a hashed
table it is the location, and must be one of those of the entry's key (`table_plan`).

How a frame meets the tables: a tenant frame's VID is the index into VLAN, which has the index into VNI, whose entry
must name that VID; (VNI, MAC) is looked for in FDB, which has the index into TUNNEL, or FLOOD has a list of such. An
underlay frame's VNI is looked for in VNI_MAP, its outer addresses in REMOTE.

After reset VNI and the hashed tables are empty (``used`` = 0) and the settings are all 0; what stands in the
other tables is of no account, since nothing refers to it.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from amaranth.hdl import unsigned
from amaranth.lib import data, enum

from ..config import VtepParameters
from ..hashing import DISTRIBUTED_BUCKETS, TablePlan

__all__ = [
    "DfMode",
    "EcnMode",
    "Table",
    "TableEntry",
    "check_entries",
    "entry_key",
    "entry_layout",
    "fdb_layout",
    "flood_layout",
    "key_width",
    "remote_layout",
    "settings_layout",
    "table_capacity",
    "table_entries",
    "table_plan",
    "tunnel_layout",
    "vlan_layout",
    "vni_layout",
    "vni_map_layout",
    "write_layout",
]

VIDS = 4096
"""Values of a VLAN identifier."""

FDB_FUNCTIONS = 8
FEW_FUNCTIONS = 4
"""Hash functions of small tables, in distributed RAM, whose parts are best as shallow as it is; and of large ones."""

BLOCK_BUCKETS = 1024
"""Depth of a block RAM of which both ports read whole words (ECP5: 18 bits wide). A part that is less deep needs no
fewer of them where lookups come every clock, so a table of this size has as few parts as hold it."""

SHALLOW_BUCKETS = BLOCK_BUCKETS // 2
"""Depth up to which a table has twice the locations that it needs: with fewer, small ones refuse an entry too often."""

SHALLOW_LOAD = Fraction(2, 3)
"""Share of its locations that a table of that depth has to hold at most."""

LEAST_FUNCTIONS = 3
"""Of a table in block RAM; 92 % of its locations can be filled."""

MOST_LOAD = Fraction(4, 5)
"""Share of the locations of such a table that entries take: all find a place, for any keys but chosen ones."""


class Table(enum.Enum, shape=unsigned(3)):
    """Which table a configuration write goes to."""

    SETTINGS = 0
    VNI = 1
    TUNNEL = 2
    FDB = 3
    FLOOD = 4
    VLAN = 5
    VNI_MAP = 6
    REMOTE = 7


class EcnMode(enum.Enum, shape=unsigned(2)):
    """Outer ECN at encapsulation (RFC 6040 section 4.1; the Linux variant never sends CE)."""

    COPY = 0
    ZERO = 1
    LINUX = 2


class DfMode(enum.Enum, shape=unsigned(2)):
    """Outer IPv4 DF bit at encapsulation."""

    SET = 0
    UNSET = 1
    INHERIT = 2


def settings_layout() -> data.StructLayout:
    """The ``[vtep]`` section. Addresses are numbers: the first byte on the wire is the most significant."""
    return data.StructLayout(
        {
            "mac": unsigned(48),
            "ipv4": unsigned(32),
            "ipv6": unsigned(128),
            "ipv6_used": unsigned(1),
            "udp_port": unsigned(16),
            "underlay_mtu": unsigned(16),
            "source_port_base": unsigned(16),
            "source_port_bits": unsigned(5),
            "reserved_strict": unsigned(1),
            "udp_checksum_verify": unsigned(1),
            "udp6_zero_checksum": unsigned(1),
            "promiscuous": unsigned(1),
        }
    )


def vni_layout(parameters: VtepParameters) -> data.StructLayout:
    """One ``[[vni]]``, for tenant frames. ``vlan`` 0: untagged. ``flood``: index of the first entry of its list."""
    return data.StructLayout(
        {
            "used": unsigned(1),
            "vni": unsigned(24),
            "vlan": unsigned(12),
            "inner_vlan_discard": unsigned(1),
            "flood_used": unsigned(1),
            "flood": unsigned(parameters.index_bits("flood_entries")),
        }
    )


def tunnel_layout() -> data.StructLayout:
    """One ``[[tunnel]]``. ``remote`` holds an IPv4 address in its low 32 bits (the rest 0)."""
    return data.StructLayout(
        {
            "used": unsigned(1),
            "remote": unsigned(128),
            "remote_is_ipv6": unsigned(1),
            "remote_mac": unsigned(48),
            "vlan": unsigned(12),
            "ttl": unsigned(8),
            "ttl_inherit": unsigned(1),
            "dscp": unsigned(6),
            "dscp_inherit": unsigned(1),
            "ecn": EcnMode,
            "df": DfMode,
            "udp_checksum": unsigned(1),
            "udp_port": unsigned(16),
        }
    )


def vlan_layout(parameters: VtepParameters) -> data.StructLayout:
    """To which VNI a VID belongs: its index."""
    return data.StructLayout({"vni": unsigned(parameters.index_bits("vnis"))})


def vni_map_layout(parameters: VtepParameters) -> data.StructLayout:
    """One ``[[vni]]``, for underlay frames. ``index``: of its counters; ``push``: it has a ``vlan``."""
    return data.StructLayout(
        {
            "used": unsigned(1),
            "vni": unsigned(24),
            "index": unsigned(parameters.index_bits("vnis")),
            "push": unsigned(1),
            "vlan": unsigned(12),
            "inner_vlan_discard": unsigned(1),
        }
    )


def remote_layout(parameters: VtepParameters) -> data.StructLayout:
    """The remote address of one ``[[tunnel]]``, ``group`` if it is one; ``tunnel`` is its index.

    ``remote`` holds an IPv4 address in its low 32 bits (the rest 0).
    """
    return data.StructLayout(
        {
            "used": unsigned(1),
            "remote": unsigned(128 if parameters.ipv6 else 32),
            "remote_is_ipv6": unsigned(1),
            "group": unsigned(1),
            "tunnel": unsigned(parameters.index_bits("tunnels")),
        }
    )


def fdb_layout(parameters: VtepParameters) -> data.StructLayout:
    """One ``[[fdb]]`` entry; ``tunnel`` is the index of a tunnel."""
    return data.StructLayout(
        {
            "used": unsigned(1),
            "vni": unsigned(24),
            "mac": unsigned(48),
            "tunnel": unsigned(parameters.index_bits("tunnels")),
        }
    )


def flood_layout(parameters: VtepParameters) -> data.StructLayout:
    """One element of a flood list; a list is a run of consecutive entries, ``last`` marks its end."""
    return data.StructLayout({"tunnel": unsigned(parameters.index_bits("tunnels")), "last": unsigned(1)})


def entry_layout(table: Table, parameters: VtepParameters) -> data.StructLayout:
    """Layout of the entries of ``table``."""
    match table:
        case Table.SETTINGS:
            return settings_layout()
        case Table.VNI:
            return vni_layout(parameters)
        case Table.TUNNEL:
            return tunnel_layout()
        case Table.FDB:
            return fdb_layout(parameters)
        case Table.FLOOD:
            return flood_layout(parameters)
        case Table.VLAN:
            return vlan_layout(parameters)
        case Table.VNI_MAP:
            return vni_map_layout(parameters)
        case Table.REMOTE:
            return remote_layout(parameters)


_KEYS = {Table.FDB: ("vni", "mac"), Table.VNI_MAP: ("vni",), Table.REMOTE: ("remote", "remote_is_ipv6")}
"""Fields of the entries of hashed tables that are the key, low bits first. They follow ``used``."""


def key_width(table: Table, parameters: VtepParameters) -> int:
    """Width of the keys of ``table``; 0: it is no hashed one."""
    layout = entry_layout(table, parameters)
    return sum(layout[name].width for name in _KEYS.get(table, ()))


def entry_key(table: Table, parameters: VtepParameters, entry: Mapping[str, int]) -> int:
    """Key of an entry of a hashed table, given as its fields."""
    layout = entry_layout(table, parameters)
    start = layout[_KEYS[table][0]].offset
    return sum(entry[name] << layout[name].offset - start for name in _KEYS[table])


def table_plan(table: Table, parameters: VtepParameters) -> TablePlan | None:
    """Return where a hashed table keeps its keys; None: ``table`` is no hashed one."""
    width = key_width(table, parameters)
    match table:
        case Table.FDB:
            entries = parameters.fdb_entries
            return _small_plan(width, entries, FDB_FUNCTIONS) or TablePlan(width, entries, FDB_FUNCTIONS)
        case Table.VNI_MAP | Table.REMOTE:
            entries = parameters.vnis if table is Table.VNI_MAP else parameters.tunnels
            return _small_plan(width, entries, FEW_FUNCTIONS) or TablePlan(width, 2 * entries, FEW_FUNCTIONS, 1)
    return None


def _small_plan(width: int, entries: int, functions: int) -> TablePlan | None:
    """Plan of a table in which all entries find a place; None: it is too large for that to cost little."""
    roomy = max(TablePlan.MIN_ENTRIES, 2 * entries)
    if roomy <= functions * DISTRIBUTED_BUCKETS:
        return TablePlan(width, roomy, functions, 1)
    for parts in range(LEAST_FUNCTIONS, FDB_FUNCTIONS + 1):
        locations = parts * BLOCK_BUCKETS
        if entries <= MOST_LOAD * locations:
            wanted = max(min(roomy, parts * SHALLOW_BUCKETS), ceil(entries / SHALLOW_LOAD))
            return TablePlan(width, min(wanted, locations), parts, 1)
    return None


def table_capacity(table: Table, parameters: VtepParameters) -> int:
    """Number of entries of ``table``: indices are below it. 0 for the settings, which have registers of their own."""
    plan = table_plan(table, parameters)
    if plan is not None:
        return plan.capacity
    return {
        Table.SETTINGS: 0,
        Table.VNI: parameters.vnis,
        Table.TUNNEL: parameters.tunnels,
        Table.FLOOD: parameters.flood_entries,
        Table.VLAN: VIDS,
    }[table]


def table_entries(table: Table, parameters: VtepParameters) -> int:
    """How many entries ``table`` is built for; in a hashed one there are at least so many locations."""
    return parameters.fdb_entries if table is Table.FDB else table_capacity(table, parameters)


class TableEntry(NamedTuple):
    """An entry of a table, and the index at which it stands; ``bits`` has the shape of `entry_layout`."""

    table: Table
    location: int
    bits: int


def check_entries(parameters: VtepParameters, entries: Iterable[TableEntry]) -> tuple[TableEntry, ...]:
    """Return the entries, if the tables can hold them.

    Raises
    ------
    ValueError
        There is no such index in the table, or the entry has too many bits.
    """
    checked = tuple(entries)
    for table, index, bits in checked:
        capacity = table_capacity(table, parameters)
        if not 0 <= index < capacity:
            raise ValueError(f"the index of {table.name} must be within 0 .. {capacity - 1}, not {index}")
        width = entry_layout(table, parameters).size
        if not 0 <= bits < 1 << width:
            raise ValueError(f"an entry of {table.name} must be within 0 .. 2^{width} - 1, not {bits:#x}")
    return checked


def write_layout(parameters: VtepParameters) -> data.StructLayout:
    """One write of an entry: ``entry`` holds an entry of ``table`` in its low bits."""
    width = max(entry_layout(table, parameters).size for table in Table if table_capacity(table, parameters))
    most = max(table_capacity(table, parameters) for table in Table)
    return data.StructLayout({"table": Table, "index": unsigned((most - 1).bit_length()), "entry": unsigned(width)})
