"""The configuration of the data plane as the gateware holds it: settings and table entries.

This is the one declaration of what travels through the configuration port: one `write_layout` beat writes one
entry of one table. A table entry's index is chosen by the writer; for VNIs and tunnels it is also the index of
their counters. After reset every table is empty (``used`` = 0) and the settings are all 0.
"""

from amaranth.hdl import unsigned
from amaranth.lib import data, enum, stream

from ..config import VtepParameters

__all__ = [
    "DfMode",
    "EcnMode",
    "Table",
    "entry_layout",
    "fdb_layout",
    "flood_layout",
    "settings_layout",
    "tunnel_layout",
    "vni_layout",
    "write_layout",
    "write_signature",
]


class Table(enum.Enum, shape=unsigned(3)):
    """Which table a configuration write goes to."""

    SETTINGS = 0
    VNI = 1
    TUNNEL = 2
    FDB = 3
    FLOOD = 4


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
    """One ``[[vni]]``. ``vlan`` 0: untagged. ``flood``: index of the first entry of its flood list."""
    return data.StructLayout(
        {
            "used": unsigned(1),
            "vni": unsigned(24),
            "vlan": unsigned(12),
            "inner_vlan_discard": unsigned(1),
            "flood_used": unsigned(1),
            "flood": unsigned((parameters.flood_entries - 1).bit_length()),
        }
    )


def tunnel_layout() -> data.StructLayout:
    """One ``[[tunnel]]``. ``remote`` holds an IPv4 address in its low 32 bits (the rest 0)."""
    return data.StructLayout(
        {
            "used": unsigned(1),
            "remote": unsigned(128),
            "remote_is_ipv6": unsigned(1),
            "remote_is_group": unsigned(1),
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


def fdb_layout(parameters: VtepParameters) -> data.StructLayout:
    """One ``[[fdb]]`` entry; ``tunnel`` is the index of a tunnel."""
    return data.StructLayout(
        {
            "used": unsigned(1),
            "vni": unsigned(24),
            "mac": unsigned(48),
            "tunnel": unsigned((parameters.tunnels - 1).bit_length()),
        }
    )


def flood_layout(parameters: VtepParameters) -> data.StructLayout:
    """One element of a flood list; a list is a run of consecutive entries, ``last`` marks its end."""
    return data.StructLayout({"tunnel": unsigned((parameters.tunnels - 1).bit_length()), "last": unsigned(1)})


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


def write_layout(parameters: VtepParameters) -> data.StructLayout:
    """Payload of the configuration port: ``entry`` holds an entry of ``table`` in its low bits."""
    width = max(entry_layout(table, parameters).size for table in Table)
    return data.StructLayout({"table": Table, "index": unsigned(8), "entry": unsigned(width)})


def write_signature(parameters: VtepParameters) -> stream.Signature:
    """Stream signature of the configuration port."""
    return stream.Signature(write_layout(parameters))
