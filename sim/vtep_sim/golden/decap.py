"""SPEC.md section 4: what becomes of a frame from the underlay port."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from scapy.layers.l2 import Dot1Q
from scapy.utils import checksum

from vtep_host.config import Config

from .ecn import propagate_ecn
from .inner import DOT1AD, DOT1Q, IPV4, IPV6, is_tagged
from .outer import UDP_LENGTH, UDP_PROTOCOL, VXLAN_LENGTH
from .results import Delivered, Dropped, Punted

__all__ = ["Decapsulator"]

Address = IPv4Address | IPv6Address

I_FLAG = 0x08


@dataclass(frozen=True)
class _IpPacket:
    source: Address
    destination: Address
    ecn: int
    protocol: int
    fragment: bool
    payload: bytes

    def pseudo_header(self, length: int) -> bytes:
        """RFC 768 and RFC 8200 section 8.1; the order of the last fields makes no difference to the sum."""
        return self.source.packed + self.destination.packed + length.to_bytes(4) + self.protocol.to_bytes(4)


class Decapsulator:
    """The rules of section 4 for one configuration.

    Parameters
    ----------
    config : Config
        The configuration.
    max_frame_length : int
        Longest frame that is no oversize, in bytes.
    ipv6 : bool
        The build has the IPv6 underlay; otherwise 0x86DD is any other EtherType.
    """

    def __init__(self, config: Config, *, max_frame_length: int, ipv6: bool) -> None:
        self.vtep = config.vtep
        self.max_frame_length = max_frame_length
        self.ipv6 = ipv6
        self.vnis = {vni.id: vni for vni in config.vnis}
        remotes = [tunnel.remote for tunnel in config.tunnels]
        self.destinations = {self.vtep.ipv4, self.vtep.ipv6, *(remote for remote in remotes if remote.is_multicast)}
        # Reversed, so that of several tunnels to one remote the first stays.
        self.tunnel_of = {tunnel.remote: tunnel for tunnel in reversed(config.tunnels)}

    def run(self, frame: bytes, error: bool) -> Delivered | Punted | Dropped:
        """Return what becomes of one frame, marked bad or not."""
        # Rule 1
        if len(frame) < 14:
            return Dropped("underlay_runt")
        if len(frame) > self.max_frame_length:
            return Dropped("underlay_oversize")
        if error:
            return Dropped("underlay_error")
        # Rule 2
        if not self.vtep.promiscuous and not frame[0] & 1 and frame[:6] != self.vtep.mac:
            return Dropped("not_mine")
        # Rules 3 and 4: behind one tag, another tag is an EtherType that is not IP.
        offset = 16 if is_tagged(frame, DOT1Q, DOT1AD) else 12
        ethertype = int.from_bytes(frame[offset : offset + 2])
        rest = frame[offset + 2 :]
        if ethertype == IPV4:
            packet = _ipv4(rest)
        elif ethertype == IPV6 and self.ipv6:
            packet = _ipv6(rest)
        else:
            return Punted()
        return packet if isinstance(packet, Dropped) else self.ip(packet)

    def ip(self, packet: _IpPacket) -> Delivered | Punted | Dropped:
        """Apply rules 6 to 10."""
        # Rule 6
        if not self.vtep.promiscuous and packet.destination not in self.destinations:
            return Punted()
        # Rules 7 and 8
        if packet.protocol != UDP_PROTOCOL:
            return Punted()
        if packet.fragment:
            return Punted("fragment")
        # Rule 9
        if len(packet.payload) < UDP_LENGTH:
            return Dropped("udp_length")
        if int.from_bytes(packet.payload[2:4]) != self.vtep.udp_port:
            return Punted()
        length = int.from_bytes(packet.payload[4:6])
        if not UDP_LENGTH + VXLAN_LENGTH <= length <= len(packet.payload):
            return Dropped("udp_length")
        datagram = packet.payload[:length]
        # Rule 10
        if datagram[6:8] == b"\0\0":
            if isinstance(packet.source, IPv6Address) and not self.vtep.udp6_zero_checksum_rx:
                return Dropped("udp_checksum")
        elif self.vtep.udp_checksum_rx == "verify" and checksum(packet.pseudo_header(length) + datagram):
            return Dropped("udp_checksum")
        return self.vxlan(packet, datagram[UDP_LENGTH:])

    def vxlan(self, packet: _IpPacket, payload: bytes) -> Delivered | Dropped:
        """Apply rules 11 to 16."""
        # Rule 11
        header, inner = payload[:VXLAN_LENGTH], payload[VXLAN_LENGTH:]
        if not header[0] & I_FLAG:
            return Dropped("vxlan_flags")
        if self.vtep.reserved_bits == "strict" and (header[0] != I_FLAG or any(header[1:4]) or header[7]):
            return Dropped("vxlan_reserved")
        # Rule 12
        vni = self.vnis.get(int.from_bytes(header[4:7]))
        if vni is None:
            return Dropped("unknown_vni")
        # Rules 13 and 14
        if len(inner) < 14:
            return Dropped("inner_runt")
        if vni.inner_vlan == "discard" and is_tagged(inner, DOT1Q, DOT1AD):
            return Dropped("inner_vlan")
        # Rule 15
        delivered = propagate_ecn(inner, packet.ecn)
        if delivered is None:
            return Dropped("ecn")
        # Rule 16
        if vni.vlan:
            tag = bytes(Dot1Q(prio=0, dei=0, vlan=vni.vlan, type=int.from_bytes(delivered[12:14])))
            delivered = delivered[:12] + DOT1Q.to_bytes(2) + tag + delivered[14:]
        return Delivered(delivered, inner, vni, self.tunnel_of.get(packet.source))


def _ipv4(data: bytes) -> _IpPacket | Dropped:
    """Rule 5 for IPv4; ``data`` is all that is behind the EtherType."""
    if len(data) < 20 or data[0] >> 4 != 4 or not 20 <= (length := 4 * (data[0] & 0xF)) <= len(data):
        return Dropped("ip_header")
    if checksum(data[:length]):  # over the checksum itself: 0 where that is right
        return Dropped("ip_checksum")
    total = int.from_bytes(data[2:4])
    if not length <= total <= len(data):
        return Dropped("ip_length")
    return _IpPacket(
        source=ip_address(data[12:16]),
        destination=ip_address(data[16:20]),
        ecn=data[1] & 3,
        protocol=data[9],
        fragment=bool(int.from_bytes(data[6:8]) & 0x3FFF),
        payload=data[length:total],
    )


def _ipv6(data: bytes) -> _IpPacket | Dropped:
    """Rule 5 for IPv6."""
    if len(data) < 40 or data[0] >> 4 != 6:
        return Dropped("ip_header")
    length = int.from_bytes(data[4:6])
    if 40 + length > len(data):
        return Dropped("ip_length")
    return _IpPacket(
        source=ip_address(data[8:24]),
        destination=ip_address(data[24:40]),
        ecn=data[1] >> 4 & 3,
        protocol=data[6],
        fragment=False,
        payload=data[40 : 40 + length],
    )
