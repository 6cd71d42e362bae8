"""The Linux stack's own frames (tests/vectors/local): what it asks is answered, and what it answers is taken."""

import random
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6MLReport2, IPv6
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader

from helpers.local_bench import IPV4, IPV6, PEER, PEER4, PEER6, Stack, answers, neighbor, number
from vtep.local.neighbors import State

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "local"


def frames(name: str) -> list[bytes]:
    """Frames of a capture, but for what Linux says to multicast routers."""
    with RawPcapReader(str(VECTORS / f"{name}.pcap")) as reader:
        found = [frame for frame, _ in reader]
    return [frame for frame in found if ICMPv6MLReport2 not in Ether(frame)]


def as_ours(frame: bytes) -> bytes:
    """Linux's answer with what differs in ours: Linux keeps ECN, numbers its IPv4 packets, and makes flow labels."""
    packet = Ether(frame)
    if IP in packet:
        packet[IP].id, packet[IP].flags, packet[IP].tos = 0, "DF", packet[IP].tos & 0xFC
        del packet[IP].chksum
    elif IPv6 in packet:
        packet[IPv6].tc, packet[IPv6].fl = packet[IPv6].tc & 0xFC, 0
    return bytes(packet)


@pytest.mark.parametrize("name", ["", pytest.param("-jumbo", marks=pytest.mark.full)])
def test_answers_as_linux_does(rng: random.Random, full: bool, name: str) -> None:
    """What a Linux gateway answered to a Linux host, byte for byte but for what `as_ours` tells."""
    asked, wanted = frames(f"questions{name}"), frames(f"answers{name}")
    if not full:
        asked, wanted = ([frame for frame in some if len(frame) < 100] for some in (asked, wanted))
    for_us = [frame for frame in asked if number(PEER6).to_bytes(16, "big") != frame[62:78]]
    assert len(for_us) == len(asked) - 1, "the host looked whether its own address is free"
    found = answers(rng, asked, max_frame_length=9018 if name else 1518)
    assert [frame.hex() for answer in found for frame in answer.frames] == [as_ours(frame).hex() for frame in wanted]
    assert sum(answer.events["ignored"] for answer in found) == 1


def test_requests_are_those_that_linux_answered(rng: random.Random) -> None:
    """And its answers fill the entries, also the one without an option that answers a unicast solicitation."""
    requests, replies = frames("requests"), frames("replies")
    arp_group, nd_group, arp_unicast, nd_unicast = requests
    stack = Stack(rng, initial=[neighbor(PEER4), neighbor(PEER6)], neighbors=2, reachable_seconds=1)

    async def bench(ctx):
        await ctx.tick().repeat(700)
        assert stack.sent == [arp_group, nd_group]
        for reply in replies[:2]:
            assert dict((await stack.ask(ctx, reply)).events) == {"resolved": 1}
        assert sorted(stack.published[-2:]) == [(0, 1, number(PEER)), (1, 1, number(PEER))]
        stack.sent.clear()
        while len(stack.sent) < 2:
            await ctx.tick()
        assert stack.sent == [arp_unicast, nd_unicast]
        assert [await stack.state(ctx, i) for i in range(2)] == [State.PROBE] * 2
        for reply in replies[2:]:
            assert (await stack.ask(ctx, reply)).events["confirmed"] == 1
        assert [await stack.state(ctx, i) for i in range(2)] == [State.REACHABLE] * 2

    stack.run(bench)


def test_announcements_change_entries(rng: random.Random) -> None:
    """Linux got another MAC address, and says so by gratuitous ARP and unsolicited advertisement."""
    stack = Stack(rng, initial=[neighbor(PEER4), neighbor(PEER6)], neighbors=2, clock_frequency=4_000_000)

    async def bench(ctx):
        await ctx.tick().repeat(700)
        for frame in frames("replies")[:2] + frames("announcements"):
            await stack.ask(ctx, frame)
        assert sorted(stack.published[-2:]) == [(0, 1, 0x020000000099), (1, 1, 0x020000000099)]
        assert await stack.state(ctx, 0) == State.REACHABLE
        assert await stack.state(ctx, 1) == State.PROBE

    stack.run(bench)
    assert stack.events["resolved"] == stack.events["confirmed"] == 2


def test_the_addresses_are_those_of_the_captures() -> None:
    assert any(Ether(frame).haslayer(IP) and Ether(frame)[IP].dst == IPV4 for frame in frames("questions"))
    assert any(Ether(frame).haslayer(IPv6) and Ether(frame)[IPv6].dst == IPV6 for frame in frames("questions"))
