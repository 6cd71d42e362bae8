"""Outer headers, built by Scapy."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from scapy.layers.inet import IP, UDP, in4_chksum
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

__all__ = ["Outer", "outer_length"]

UDP_PROTOCOL = 17
UDP_LENGTH = VXLAN_LENGTH = 8


@dataclass(frozen=True)
class Outer:
    """The fields of the outer headers; ``source`` and ``destination`` are of one family.

    IPv4 alone uses ``identification`` and ``dont_fragment``, IPv6 alone ``flow_label``.
    """

    source_mac: bytes
    destination_mac: bytes
    vlan: int
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    traffic_class: int
    ttl: int
    identification: int
    dont_fragment: bool
    flow_label: int
    source_port: int
    destination_port: int
    udp_checksum: bool
    vni: int

    def wrap(self, inner: bytes) -> bytes:
        """Return the outer frame that carries ``inner``."""
        payload = _vxlan(self.vni) + inner
        length = UDP_LENGTH + len(payload)
        if isinstance(self.source, IPv4Address):
            ip, ip_header = _ipv4(
                str(self.source),
                str(self.destination),
                self.traffic_class,
                20 + length,
                self.identification,
                self.dont_fragment,
                self.ttl,
            )
        else:
            ip, ip_header = _ipv6(
                str(self.source), str(self.destination), self.traffic_class, self.flow_label, length, self.ttl
            )
        checksum = 0
        if self.udp_checksum:
            datagram = _udp(self.source_port, self.destination_port, length, 0) + payload
            pseudo_sum = in4_chksum if isinstance(self.source, IPv4Address) else in6_chksum
            # RFC 768: an all-zero checksum says that there is none, so a computed zero is sent as all ones.
            checksum = pseudo_sum(UDP_PROTOCOL, ip, datagram) or 0xFFFF
        udp_header = _udp(self.source_port, self.destination_port, length, checksum)
        ethernet = _ethernet(self.destination_mac, self.source_mac, self.vlan, self.source.version)
        return ethernet + ip_header + udp_header + payload


def outer_length(version: int, inner_length: int) -> int:
    """Length of the outer IP packet around an inner frame."""
    return {4: 20, 6: 40}[version] + UDP_LENGTH + VXLAN_LENGTH + inner_length


# One Scapy layer takes about 0.1 ms to build, and traffic repeats its headers.
_cached = lru_cache(maxsize=1 << 14)


@_cached
def _ethernet(destination: bytes, source: bytes, vlan: int, version: int) -> bytes:
    ethertype = {4: 0x0800, 6: 0x86DD}[version]
    addresses = {"dst": destination.hex(":"), "src": source.hex(":")}
    if not vlan:
        return bytes(Ether(**addresses, type=ethertype))
    return bytes(Ether(**addresses, type=0x8100) / Dot1Q(prio=0, dei=0, vlan=vlan, type=ethertype))


@_cached
def _ipv4(source: str, destination: str, tos: int, length: int, identification: int, df: bool, ttl: int) -> tuple:
    ip = IP(
        version=4,
        tos=tos,
        len=length,
        id=identification,
        flags="DF" if df else 0,
        frag=0,
        ttl=ttl,
        proto=UDP_PROTOCOL,
        src=source,
        dst=destination,
    )
    return ip, bytes(ip)  # Scapy fills in the header length and checksum


@_cached
def _ipv6(source: str, destination: str, traffic_class: int, flow_label: int, length: int, hop_limit: int) -> tuple:
    ip = IPv6(
        version=6,
        tc=traffic_class,
        fl=flow_label,
        plen=length,
        nh=UDP_PROTOCOL,
        hlim=hop_limit,
        src=source,
        dst=destination,
    )
    return ip, bytes(ip)


@_cached
def _udp(source: int, destination: int, length: int, checksum: int) -> bytes:
    return bytes(UDP(sport=source, dport=destination, len=length, chksum=checksum))


@_cached
def _vxlan(vni: int) -> bytes:
    return bytes(VXLAN(flags="Instance", reserved1=0, vni=vni, reserved2=0))
