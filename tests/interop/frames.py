"""Tenants' frames of many kinds and sizes."""

import random
from collections.abc import Sequence

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

SIZES = (14, 42, 59, 60, 61, 64, 65, 127, 128, 129, 256, 512, 576, 1024, 1280, 1514)


def _inner(rng: random.Random, mark: int) -> Packet:
    kind = rng.randrange(6)
    ports = {"sport": rng.randrange(1024, 65536), "dport": rng.randrange(1024, 4000)}
    ip = IP(src="192.0.2.1", dst="192.0.2.2", tos=mark, ttl=rng.randint(1, 255), flags=rng.choice(["", "DF"]))
    ip6 = IPv6(src="2001:db8::1", dst="2001:db8::2", tc=mark, hlim=rng.randint(1, 255), fl=rng.randrange(1 << 20))
    made: Sequence[Packet] = (ip / UDP(**ports), ip / TCP(**ports), ip / ICMP(), ip6 / UDP(**ports), ip6 / TCP(**ports))
    return made[kind] if kind < 5 else ARP(psrc="192.0.2.1", pdst="192.0.2.2")


def frame(rng: random.Random, source: bytes, target: bytes, size: int, *, vlan: int = 0) -> bytes:
    """Make one of ``size`` bytes or a little more, with random content; ``vlan`` puts a tag in."""
    head: Packet = Ether(src=source.hex(":"), dst=target.hex(":"))
    if vlan:
        head /= Dot1Q(vlan=vlan)
    if size < 60:
        head.type = 0x88B5  # for experiments: IEEE 802
        made = bytes(head)
        return made + rng.randbytes(max(size - len(made), 0))
    made = head / _inner(rng, rng.randrange(256))
    return bytes(made / Raw(rng.randbytes(max(size - len(made), 0))))


def mixed(
    rng: random.Random,
    count: int,
    source: bytes,
    target: bytes,
    *,
    shortest: int = 14,
    longest: int = 1514,
    vlan: int = 0,
) -> list[bytes]:
    """Make frames of sizes at the edges and in between; ``shortest`` and ``longest`` in bytes."""
    sizes = [rng.choice(SIZES) if rng.random() < 0.5 else rng.randint(shortest, longest) for _ in range(count)]
    return [frame(rng, source, target, min(max(size, shortest), longest - 4), vlan=vlan) for size in sizes]
