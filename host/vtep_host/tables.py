"""From a configuration to what the gateware holds: settings, fields of table entries, names of counters.

Where the entries stand is the matter of `difference`; the index of a VNI or tunnel is also that of its counters.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address

from vtep.config import VtepParameters
from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS, PORTS, counter_map
from vtep.control.tables import DfMode, EcnMode, Table

from .config import Config, Limits, Tunnel, Vni, Vtep

__all__ = [
    "SECTIONS",
    "counter_names",
    "fdb_fields",
    "limits_of",
    "remote_fields",
    "settings_of",
    "tunnel_fields",
    "vni_fields",
    "vni_map_fields",
]

_ECN = {"copy": EcnMode.COPY, "zero": EcnMode.ZERO, "linux": EcnMode.LINUX}
_DF = {"set": DfMode.SET, "unset": DfMode.UNSET, "inherit": DfMode.INHERIT}


def limits_of(parameters: VtepParameters, neighbors: int = 0) -> Limits:
    """Return what a build with ``parameters`` can hold, and with so many ``neighbors`` beside the core."""
    return Limits(
        vnis=parameters.vnis,
        tunnels=parameters.tunnels,
        fdb_entries=parameters.fdb_entries,
        flood_entries=parameters.flood_entries,
        neighbors=neighbors,
        ipv6=parameters.ipv6,
        udp_checksum=parameters.udp_checksum,
    )


def counter_names(
    config: Config,
    parameters: VtepParameters,
    vnis: Mapping[int, int] | None = None,
    tunnels: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Address of every counter that ``config`` gives a meaning, by its name in SPEC.md section 5.

    Drop reasons and ports have the names of `counter_map`; a VNI's read ``vni.100.encap_frames`` (its id), a
    tunnel's ``tunnel.leaf2.decap_bytes`` (its name). ``vnis``, ``tunnels``: where they stand, by id and name; without
    them, in the order of ``config``.

    Raises
    ------
    ConfigError
        The configuration asks for more than the build has, and it is not said where things stand.
    """
    if vnis is None or tunnels is None:
        config.require(limits_of(parameters))
    addresses = counter_map(parameters)
    names = {name: addresses[name] for name in (*ENCAP_REASONS, *DECAP_REASONS)}
    quantities = ("frames", "bytes")
    names |= {f"{port}_{quantity}": addresses[f"{port}_{quantity}"] for port in PORTS for quantity in quantities}
    if vnis is None:
        vnis = {vni.id: i for i, vni in enumerate(config.vnis)}
    if tunnels is None:
        tunnels = {tunnel.name: i for i, tunnel in enumerate(config.tunnels)}
    owners = [(f"vni.{vni.id}", f"vni[{vnis[vni.id]}]") for vni in config.vnis]
    owners += [(f"tunnel.{tunnel.name}", f"tunnel[{tunnels[tunnel.name]}]") for tunnel in config.tunnels]
    for name, place in owners:
        for way in ("encap", "decap"):
            for quantity in quantities:
                names[f"{name}.{way}_{quantity}"] = addresses[f"{place}.{way}_{quantity}"]
    return names


SECTIONS = {Table.FDB: "[[fdb]]", Table.VNI_MAP: "[[vni]]", Table.REMOTE: "[[tunnel]]"}
"""Where the entries of hashed tables come from."""


def vni_fields(vni: Vni, run: int | None) -> dict[str, int]:
    """Entry of a VNI in VNI; ``run``: where its flood list begins, if it has one."""
    return {
        "used": 1,
        "vni": vni.id,
        "vlan": vni.vlan,
        "inner_vlan_discard": int(vni.inner_vlan == "discard"),
        "flood_used": int(bool(vni.flood)),
        "flood": run if vni.flood and run is not None else 0,
    }


def vni_map_fields(vni: Vni, index: int) -> dict[str, int]:
    """Entry of a VNI in VNI_MAP."""
    return {
        "used": 1,
        "vni": vni.id,
        "index": index,
        "push": int(vni.vlan != 0),
        "vlan": vni.vlan,
        "inner_vlan_discard": int(vni.inner_vlan == "discard"),
    }


def remote_fields(config: Config, index_of: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Entries of REMOTE; ``index_of``: of each tunnel. Of several tunnels to one address the first counts."""
    seen = set()
    for tunnel in config.tunnels:
        remote, is_ipv6 = int(tunnel.remote), isinstance(tunnel.remote, IPv6Address)
        if (remote, is_ipv6) in seen:
            continue
        seen.add((remote, is_ipv6))
        yield {
            "used": 1,
            "remote": remote,
            "remote_is_ipv6": int(is_ipv6),
            "group": int(tunnel.remote.is_multicast),
            "tunnel": index_of[tunnel.name],
        }


def fdb_fields(config: Config, index_of: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Entries of the FDB; ``index_of``: of each tunnel."""
    for entry in config.fdb:
        yield {"used": 1, "vni": entry.vni, "mac": int.from_bytes(entry.mac), "tunnel": index_of[entry.tunnel]}


def settings_of(vtep: Vtep) -> dict[str, int]:
    """Settings, by the names of `settings_layout`."""
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


def tunnel_fields(tunnel: Tunnel) -> dict[str, object]:
    """Entry of a tunnel in TUNNEL.

    Raises
    ------
    ValueError
        Its next hop is not resolved; `neighbors.place` gives it a number.
    """
    if tunnel.remote_mac is None:
        raise ValueError(f"tunnel {tunnel.name!r} has no remote_mac")
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
