"""Where frames of a tunnel go first: the MAC address of a group, and the neighbour on the way to a remote."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

__all__ = ["Address", "Subnet", "group_mac"]

Address = IPv4Address | IPv6Address


def group_mac(group: Address) -> bytes:
    """MAC address of a multicast group: RFC 1112 section 6.4, RFC 2464 section 7."""
    if isinstance(group, IPv6Address):
        return b"\x33\x33" + group.packed[-4:]
    return b"\x01\x00\x5e" + (int(group) & (1 << 23) - 1).to_bytes(3)


@dataclass(frozen=True)
class Subnet:
    """What is on link, in one address family.

    Parameters
    ----------
    own : IPv4Address or IPv6Address
    prefix : int or None
        Length of the own prefix; None: every address is on link.
    router : IPv4Address, IPv6Address or None
        Next hop for what is not on link.
    """

    own: Address
    prefix: int | None = None
    router: Address | None = None

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """Addresses of the own prefix; link-local ones are on link beside them (RFC 3927, RFC 4861 section 5.1)."""
        if isinstance(self.own, IPv4Address):
            return IPv4Network((self.own, self.prefix or 0), strict=False)
        return IPv6Network((self.own, self.prefix or 0), strict=False)

    def on_link(self, address: Address) -> bool:
        """Whether the address is reached without a router."""
        return address in self.network or address.is_link_local

    def is_neighbor(self, address: Address) -> bool:
        """Whether a single other station may answer for the address, on link."""
        if not self.on_link(address) or address == self.own or address.is_multicast:
            return False
        network = self.network
        if isinstance(network, IPv4Network) and network.prefixlen < 31:  # RFC 3021 has no such addresses in a /31
            return address not in (network.network_address, network.broadcast_address)
        return True

    def next_hop(self, remote: Address) -> Address | None:
        """The neighbour to which packets for ``remote`` go; None: there is none."""
        if self.on_link(remote):
            return remote if self.is_neighbor(remote) else None
        return self.router
