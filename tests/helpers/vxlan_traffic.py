"""Overlay and underlay frames at random, over few enough contents that they come again, and a configuration."""

import random

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from vtep_host.config import loads

CONFIG = loads("""
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "10.0.0.1"
ipv6 = "fd00::1"
underlay_mtu = 900
[[vni]]
id = 100
flood = ["leaf2", "leaf3", "leaf6"]
[[vni]]
id = 200
vlan = 20
flood = ["leaf3"]
[[vni]]
id = 300
vlan = 30
flood = []
[[tunnel]]
name = "leaf2"
remote = "10.0.0.2"
remote_mac = "02:00:00:00:00:02"
df = "unset"
[[tunnel]]
name = "leaf3"
remote = "10.0.0.3"
remote_mac = "02:00:00:00:00:03"
vlan = 7
ttl = "inherit"
[[tunnel]]
name = "leaf6"
remote = "fd00::6"
remote_mac = "02:00:00:00:00:06"
[[fdb]]
vni = 100
mac = "52:54:00:00:00:0a"
tunnel = "leaf2"
[[fdb]]
vni = 200
mac = "52:54:00:00:00:0a"
tunnel = "leaf6"
""")


def inner(rng: random.Random) -> bytes:
    """Make a frame of a tenant: tags, IP or not, ECN, some above the MTU of `CONFIG`."""
    frame = Ether(dst=rng.choice(["52:54:00:00:00:0a", "ff:ff:ff:ff:ff:ff"]), src="52:54:00:00:00:01")
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        frame /= Dot1Q(vlan=rng.choice([0, 20, 30, 40]), prio=rng.randrange(8))
    kind = rng.randrange(4)
    if kind == 0:
        frame /= IP(src="192.0.2.1", dst="192.0.2.2", tos=rng.randrange(256))
    elif kind == 1:
        frame /= IPv6(src="2001:db8::1", dst="2001:db8::2", tc=rng.randrange(256))
    return bytes(frame) + rng.choice([b"", b"same", rng.randbytes(rng.choice([0, 8, 900]))])


def outer(rng: random.Random, payload: bytes) -> bytes:
    """Put a frame into VXLAN headers, or nearly so: some are not for us, for no VNI, or without the I flag."""
    family = rng.choice([4, 6])
    frame = Ether(dst=rng.choice(["02:00:00:00:00:01", "02:00:00:00:00:09"]), src="02:00:00:00:00:02")
    if rng.random() < 0.3:
        frame /= Dot1Q(vlan=5)
    if family == 4:
        options = b"\1" * 4 * rng.choice([0, 0, 2])
        frame /= IP(src="10.0.0.2", dst=rng.choice(["10.0.0.1", "10.0.0.8"]), tos=rng.randrange(4), options=options)
    else:
        frame /= IPv6(src="fd00::6", dst="fd00::1", tc=rng.randrange(4))
    checksum = {} if family == 6 else {"chksum": 0}
    udp = UDP(sport=50000, dport=rng.choice([4789, 4789, 4789, 53]), **checksum)
    flags = rng.choice([8, 8, 8, 0])
    return bytes(frame / udp / VXLAN(flags=flags, vni=rng.choice([100, 200, 999])) / Raw(payload))
