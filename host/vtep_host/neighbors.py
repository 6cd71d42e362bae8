"""The next hops that a device resolves: where each stands in its table, and the tunnels that go there."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from vtep.local.neighbors import Neighbor

from .config import NEIGHBOR_PREFIX, Config, Tunnel
from .next_hop import Address

__all__ = ["Neighbors", "Placed", "address_of", "place", "unplace", "used"]

Neighbors = tuple[Neighbor | None, ...]
"""The neighbours of a device by their index; None: the entry is not used."""


class Placed(NamedTuple):
    """Neighbours, and the configuration with a MAC address in every tunnel: 00:00:00:00:00:NN leads to neighbour NN."""

    neighbors: Neighbors
    config: Config


def address_of(neighbor: Neighbor) -> Address:
    """Its address, of its family."""
    return IPv4Address(neighbor.address) if neighbor.family == 4 else IPv6Address(neighbor.address)


def place(config: Config, capacity: int, before: Sequence[Neighbor | None] = ()) -> Placed:
    """Give every next hop that is to be resolved a place in the table, in the order of the tunnels that use it first.

    Parameters
    ----------
    config : Config
    capacity : int
        Entries of the table.
    before : sequence of Neighbor or None
        What it holds. Neighbours stay where they are, and new ones get entries that are not used as long as there are
        any: what is known of the former is kept, and tunnels that lead to others are not led astray meanwhile.

    Raises
    ------
    ValueError
        There are more than ``capacity``: `Config.require` says that better.
    """
    wanted = list(dict.fromkeys(_neighbor(tunnel) for tunnel in config.tunnels if tunnel.remote_mac is None))
    if len(wanted) > capacity:
        raise ValueError(f"there is room for {capacity} neighbors, not for {len(wanted)}")
    held = [*before, *[None] * (capacity - len(before))]
    table = [neighbor if neighbor in wanted else None for neighbor in held]
    free = sorted((i for i in range(capacity) if table[i] is None), key=lambda i: (held[i] is not None, i))
    for neighbor, index in zip((one for one in wanted if one not in table), free, strict=False):
        table[index] = neighbor
    tunnels = tuple(
        tunnel
        if tunnel.remote_mac is not None
        else replace(tunnel, remote_mac=NEIGHBOR_PREFIX + bytes([table.index(_neighbor(tunnel))]), next_hop=None)
        for tunnel in config.tunnels
    )
    return Placed(tuple(table), replace(config, tunnels=tunnels))


def used(config: Config) -> set[int]:
    """Indices of the neighbours to which tunnels of a placed configuration lead."""
    return {
        tunnel.remote_mac[-1]
        for tunnel in config.tunnels
        if tunnel.remote_mac is not None and tunnel.remote_mac.startswith(NEIGHBOR_PREFIX)
    }


def unplace(config: Config, table: Sequence[Neighbor | None]) -> Config:
    """Reverse of `place`: tunnels to a neighbour of ``table``, in its VLAN, have its address as their next hop."""

    def turned(tunnel: Tunnel) -> Tunnel:
        mac = tunnel.remote_mac
        if mac is None or not mac.startswith(NEIGHBOR_PREFIX) or mac[-1] >= len(table):
            return tunnel
        neighbor = table[mac[-1]]
        if neighbor is None or neighbor.vlan != tunnel.vlan:
            return tunnel
        return replace(tunnel, remote_mac=None, next_hop=address_of(neighbor))

    return replace(config, tunnels=tuple(map(turned, config.tunnels)))


def _neighbor(tunnel: Tunnel) -> Neighbor:
    hop = tunnel.next_hop
    if hop is None:
        raise ValueError(f"tunnel {tunnel.name!r} has neither remote_mac nor next_hop")
    return Neighbor(int(hop), hop.version, tunnel.vlan)
