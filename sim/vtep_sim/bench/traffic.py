"""Frames and configuration of the measurements: one flow each way, nothing dropped."""

from dataclasses import dataclass

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from vtep_host.config import Config, loads

__all__ = ["INNER_LENGTHS", "UNDERLAYS", "BenchFrame", "config_for", "inner_frame", "outer_frame"]

INNER_LENGTHS = (60, 61, 64, 65, 127, 128, 256, 512, 1024, 1280, 1514, 9014)
"""Lengths of the inner frames, without FCS."""

UNDERLAYS = ("ipv4", "ipv6")
"""Outer headers, untagged: IPv4 without a UDP checksum, and IPv6 with one where the build computes it."""

OUR_MAC, PEER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
LOCAL_MAC, REMOTE_MAC = "52:54:00:00:00:01", "52:54:00:00:00:0a"


@dataclass(frozen=True)
class BenchFrame:
    """A frame for the simulator."""

    data: bytes
    error: bool = False


def config_for(underlay: str, *, udp_checksum: bool) -> Config:
    """Make a configuration whose one tunnel uses ``underlay``, with UDP checksums over IPv6 or none at all."""
    remote = "10.0.0.2" if underlay == "ipv4" else "fd00::2"
    own = 'ipv6 = "fd00::1"' if underlay == "ipv6" else ""  # a build without IPv6 refuses the address
    checksums = udp_checksum and underlay == "ipv6"
    return loads(f"""
[vtep]
mac = "{OUR_MAC}"
ipv4 = "10.0.0.1"
{own}
underlay_mtu = 9216
udp_checksum_rx = "{"verify" if udp_checksum else "ignore"}"
[[vni]]
id = 100
flood = ["peer"]
[[tunnel]]
name = "peer"
remote = "{remote}"
remote_mac = "{PEER_MAC}"
udp_checksum = {str(checksums).lower()}
[[fdb]]
vni = 100
mac = "{REMOTE_MAC}"
tunnel = "peer"
""")


def inner_frame(length: int, *, to_remote: bool = True) -> BenchFrame:
    """Make a UDP frame of ``length`` bytes, to the tenant behind the tunnel or from it."""
    ends = (LOCAL_MAC, REMOTE_MAC) if to_remote else (REMOTE_MAC, LOCAL_MAC)
    head = Ether(src=ends[0], dst=ends[1]) / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1024, dport=9)
    return BenchFrame(bytes(head / Raw(bytes(index & 0xFF for index in range(length - 42)))))


def outer_frame(length: int, underlay: str) -> BenchFrame:
    """Make the VXLAN frame that brings an inner frame of ``length`` bytes from the tunnel's other end."""
    head = Ether(src=PEER_MAC, dst=OUR_MAC)
    if underlay == "ipv4":
        packet = head / IP(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=49152, chksum=0)
    else:
        packet = head / IPv6(src="fd00::2", dst="fd00::1") / UDP(sport=49152)
    return BenchFrame(bytes(packet / VXLAN(vni=100) / Raw(inner_frame(length, to_remote=False).data)))
