"""From a configuration to what the gateware holds: settings, table entries, addresses of counters.

VNI i and tunnel i of the configuration's order get index i of their table, and with it of their counters.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address
from typing import Any

from vtep.config import VtepParameters
from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS, PORTS, counter_map
from vtep.control.initial import Initial
from vtep.control.tables import (
    DfMode,
    EcnMode,
    Table,
    TableEntry,
    entry_key,
    entry_layout,
    key_width,
    table_plan,
)

from .config import Config, ConfigError, Limits, Problem, Tunnel, Vtep
from .placement import Placement, TableFullError

__all__ = ["contents", "counter_names", "limits_of"]

_ECN = {"copy": EcnMode.COPY, "zero": EcnMode.ZERO, "linux": EcnMode.LINUX}
_DF = {"set": DfMode.SET, "unset": DfMode.UNSET, "inherit": DfMode.INHERIT}


def limits_of(parameters: VtepParameters) -> Limits:
    """Return what a build with ``parameters`` can hold."""
    return Limits(
        vnis=parameters.vnis,
        tunnels=parameters.tunnels,
        fdb_entries=parameters.fdb_entries,
        flood_entries=parameters.flood_entries,
        ipv6=parameters.ipv6,
        udp_checksum=parameters.udp_checksum,
    )


def contents(config: Config, parameters: VtepParameters) -> Initial:
    """What brings a core from reset to ``config``.

    An entry stands behind those it points to, and the settings are to be written last: until the core knows its own
    addresses it takes no tunnel traffic, so traffic starts configured.

    Raises
    ------
    ConfigError
        The configuration asks for more than the build has.
    """
    config.require(limits_of(parameters))
    entries = [
        TableEntry(table, index, entry_layout(table, parameters).const(entry).as_bits())
        for table, index, entry in _entries(config, parameters)
    ]
    return Initial(_settings(config.vtep), entries)


def counter_names(config: Config, parameters: VtepParameters) -> dict[str, int]:
    """Address of every counter that ``config`` gives a meaning, by its name in SPEC.md section 5.

    Drop reasons and ports have the names of `counter_map`; a VNI's read ``vni.100.encap_frames`` (its id), a
    tunnel's ``tunnel.leaf2.decap_bytes`` (its name).

    Raises
    ------
    ConfigError
        The configuration asks for more than the build has.
    """
    config.require(limits_of(parameters))
    addresses = counter_map(parameters)
    names = {name: addresses[name] for name in (*ENCAP_REASONS, *DECAP_REASONS)}
    quantities = ("frames", "bytes")
    names |= {f"{port}_{quantity}": addresses[f"{port}_{quantity}"] for port in PORTS for quantity in quantities}
    owners = [(f"vni.{vni.id}", f"vni[{i}]") for i, vni in enumerate(config.vnis)]
    owners += [(f"tunnel.{tunnel.name}", f"tunnel[{i}]") for i, tunnel in enumerate(config.tunnels)]
    for name, place in owners:
        for way in ("encap", "decap"):
            for quantity in quantities:
                names[f"{name}.{way}_{quantity}"] = addresses[f"{place}.{way}_{quantity}"]
    return names


_SECTIONS = {Table.FDB: "[[fdb]]", Table.VNI_MAP: "[[vni]]", Table.REMOTE: "[[tunnel]]"}
"""Where the entries of hashed tables come from."""

Entry = tuple[Table, int, Mapping[str, Any]]
"""Table, index and fields of an entry."""


def _entries(config: Config, parameters: VtepParameters) -> Iterator[Entry]:
    index_of = {tunnel.name: i for i, tunnel in enumerate(config.tunnels)}
    remotes: dict[tuple[int, bool], dict[str, int]] = {}
    for i, tunnel in enumerate(config.tunnels):
        yield Table.TUNNEL, i, _tunnel(tunnel)
        remote, is_ipv6 = int(tunnel.remote), isinstance(tunnel.remote, IPv6Address)
        # Of several tunnels to one address the first counts.
        if (remote, is_ipv6) not in remotes:
            remotes[remote, is_ipv6] = {
                "remote": remote,
                "remote_is_ipv6": is_ipv6,
                "group": tunnel.remote.is_multicast,
                "tunnel": i,
            }
    yield from _placed(config, Table.REMOTE, remotes.values(), parameters)

    flood = 0
    vni_map = []
    for i, vni in enumerate(config.vnis):
        first = flood
        for name in vni.flood:
            last = flood == first + len(vni.flood) - 1
            yield Table.FLOOD, flood, {"tunnel": index_of[name], "last": last}
            flood += 1
        discard = vni.inner_vlan == "discard"
        if vni.vlan:
            yield Table.VLAN, vni.vlan, {"vni": i}
        yield (
            Table.VNI,
            i,
            {
                "used": 1,
                "vni": vni.id,
                "vlan": vni.vlan,
                "inner_vlan_discard": discard,
                "flood_used": bool(vni.flood),
                "flood": first if vni.flood else 0,
            },
        )
        vni_map.append(
            {"vni": vni.id, "index": i, "push": vni.vlan != 0, "vlan": vni.vlan, "inner_vlan_discard": discard}
        )
    yield from _placed(config, Table.VNI_MAP, vni_map, parameters)
    fdb = ({"vni": e.vni, "mac": int.from_bytes(e.mac), "tunnel": index_of[e.tunnel]} for e in config.fdb)
    yield from _placed(config, Table.FDB, fdb, parameters)


def _placed(
    config: Config, table: Table, entries: Iterable[Mapping[str, Any]], parameters: VtepParameters
) -> Iterator[Entry]:
    """Entries of a hashed table, each at one of its locations; only how they end, not how they came there."""
    plan = table_plan(table, parameters)
    assert plan is not None
    layout = entry_layout(table, parameters)
    width = key_width(table, parameters)
    placement = Placement(plan, layout.size - width - 1)
    by_key = {}
    for entry in entries:
        used = {"used": 1, **entry}
        key = entry_key(table, parameters, used)
        by_key[key] = used
        try:
            placement.insert(key, layout.const(used).as_bits() >> 1 + width)
        except TableFullError as error:
            problem = Problem(config.name, _SECTIONS[table], "", str(error))
            raise ConfigError([problem]) from None
    for location, key, _ in placement.entries():
        yield table, location, by_key[key]


def _settings(vtep: Vtep) -> dict[str, int]:
    return {
        "mac": int.from_bytes(vtep.mac),
        "ipv4": int(vtep.ipv4),
        "ipv6": int(vtep.ipv6 or 0),
        "ipv6_used": int(vtep.ipv6 is not None),
        "udp_port": vtep.udp_port,
        "underlay_mtu": vtep.underlay_mtu,
        "source_port_base": vtep.source_port_base,
        "source_port_bits": vtep.source_port_bits,
        "reserved_strict": int(vtep.reserved_bits == "strict"),
        "udp_checksum_verify": int(vtep.udp_checksum_rx == "verify"),
        "udp6_zero_checksum": int(vtep.udp6_zero_checksum_rx),
        "promiscuous": int(vtep.promiscuous),
    }


def _tunnel(tunnel: Tunnel) -> dict[str, object]:
    return {
        "used": 1,
        "remote": int(tunnel.remote),
        "remote_is_ipv6": isinstance(tunnel.remote, IPv6Address),
        "remote_mac": int.from_bytes(tunnel.remote_mac),
        "vlan": tunnel.vlan,
        "ttl": 0 if tunnel.ttl == "inherit" else tunnel.ttl,
        "ttl_inherit": tunnel.ttl == "inherit",
        "dscp": 0 if tunnel.dscp == "inherit" else tunnel.dscp,
        "dscp_inherit": tunnel.dscp == "inherit",
        "ecn": _ECN[tunnel.ecn],
        "df": _DF[tunnel.df],
        "udp_checksum": tunnel.udp_checksum,
        "udp_port": tunnel.udp_port,
    }
