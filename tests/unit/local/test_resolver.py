"""Neighbours: asked for, found, aged and lost, against whole frames that Scapy makes."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from helpers.local_bench import CLOCKS_A_TICK, IPV4, IPV6, MAC, PEER, PEER4, PEER6, Stack, neighbor, number
from helpers.packet_bench import assert_refused
from vtep.local.neighbors import Neighbor, Place, State, entry_bytes
from vtep.local.stack import LocalStack

ALL = "ff:ff:ff:ff:ff:ff"
OTHER = "02:00:00:00:00:33"
NODE = "ff02::1:ff00:2"
NODE_MAC = "33:33:ff:00:00:02"
SECOND = 4


def tagged(frame: bytes, tci: int) -> bytes:
    return frame[:12] + b"\x81\x00" + tci.to_bytes(2, "big") + frame[12:] if tci else frame


def asks4(mac: str = ALL, vlan: int = 0, address: str = PEER4) -> bytes:
    request = ARP(op=1, hwsrc=MAC, psrc=IPV4, hwdst="00:00:00:00:00:00", pdst=address)
    return tagged(bytes(Ether(dst=mac, src=MAC) / request), vlan)


def tells4(mac: str = PEER, vlan: int = 0, address: str = PEER4, **fields) -> bytes:
    reply = ARP(**({"op": 2, "hwsrc": mac, "psrc": address, "hwdst": MAC, "pdst": IPV4} | fields))
    return tagged(bytes(Ether(dst=fields.get("to", MAC), src=mac) / reply), vlan)


def asks6(mac: str = NODE_MAC, to: str = NODE, vlan: int = 0, address: str = PEER6) -> bytes:
    header = IPv6(src=IPV6, dst=to, hlim=255)
    message = ICMPv6ND_NS(tgt=address) / ICMPv6NDOptSrcLLAddr(lladdr=MAC)
    return tagged(bytes(Ether(dst=mac, src=MAC) / header / message), vlan)


def tells6(
    mac: str | None = PEER, *options: Packet, vlan: int = 0, flags: str = "SO", message: dict | None = None, **ip
) -> bytes:
    header = IPv6(**({"src": PEER6, "dst": IPV6, "hlim": 255} | ip))
    fields = {"tgt": PEER6, "R": 0, "S": int("S" in flags), "O": int("O" in flags)} | (message or {})
    packet = Ether(dst=MAC, src=PEER) / header / ICMPv6ND_NA(**fields)
    for option in options:
        packet /= option
    if mac:
        packet /= ICMPv6NDOptDstLLAddr(lladdr=mac)
    return tagged(bytes(packet), vlan)


def resolve(
    rng: random.Random, bench: Callable[[Any, Stack], Any], *initial: Neighbor, own: dict | None = None, **options
) -> Stack:
    """Run ``bench`` on a stack with some neighbours, from after the time when it asked for them."""
    stack = Stack(rng, initial=initial, **({"neighbors": max(2, len(initial)), "reachable_seconds": 2} | options))

    async def main(ctx):
        await ctx.tick().repeat(60 + 350 * len(initial))
        await bench(ctx, stack)

    stack.run(main, own)
    return stack


FAMILIES = [
    pytest.param(PEER4, asks4(), asks4(PEER), tells4(), id="ARP"),
    pytest.param(PEER6, asks6(), asks6(PEER, PEER6), tells6(), id="ND"),
]
ONE_FAMILY = [FAMILIES[0], pytest.param(*FAMILIES[1].values, id="ND", marks=pytest.mark.full)]


@pytest.mark.parametrize(("address", "ask", "unicast", "answer"), FAMILIES)
def test_resolves_ages_and_loses(rng: random.Random, address: str, ask: bytes, unicast: bytes, answer: bytes) -> None:
    """The whole life of an entry."""
    mac = number(PEER)

    async def bench(ctx, stack: Stack):
        assert stack.sent == [ask]
        assert await stack.state(ctx) == State.INCOMPLETE
        found = await stack.ask(ctx, answer)
        assert not found.frames
        assert dict(found.events) == {"resolved": 1}
        assert await stack.state(ctx) == State.REACHABLE
        assert await stack.read(ctx, 0, Place.MAC, 6) == mac.to_bytes(6, "big")
        assert stack.published[-1] == (0, 1, mac)
        # Two seconds later it is asked again, by unicast.
        stack.sent.clear()
        await stack.ticks(ctx, 2 * SECOND - 1)
        assert not stack.sent
        await stack.ticks(ctx, 1.5)
        assert stack.sent == [unicast]
        assert await stack.state(ctx) == State.PROBE
        assert (await stack.ask(ctx, answer)).events["confirmed"] == 1
        assert await stack.state(ctx) == State.REACHABLE
        # And nobody answers.
        stack.sent.clear()
        await stack.ticks(ctx, 4 * SECOND)
        assert stack.sent == [unicast] * 3
        assert await stack.state(ctx) == State.PROBE
        assert stack.published[-1] == (0, 1, mac)
        await stack.ticks(ctx, 1.5 * SECOND)
        assert stack.sent == [unicast] * 3 + [ask]
        assert stack.events["expired"] == 1
        assert await stack.state(ctx) == State.INCOMPLETE
        assert stack.published[-1][:2] == (0, 0)

    stack = resolve(rng, bench, neighbor(address))
    assert stack.events["solicitation"] == 6


@pytest.mark.parametrize(("address", "ask", "unicast", "answer"), ONE_FAMILY)
def test_asks_without_end(rng: random.Random, address: str, ask: bytes, unicast: bytes, answer: bytes) -> None:
    """At once, three times a second apart, then every 8 s; a frame that wants it makes it begin anew, once."""

    async def bench(ctx, stack: Stack):
        await stack.ticks(ctx, 4 * SECOND)
        assert await stack.state(ctx) == State.FAILED
        await stack.ticks(ctx, 8 * SECOND)
        ticks = [round((time - stack.times[0]) / CLOCKS_A_TICK) for time in stack.times]
        assert ticks in ([0, 3, 7, 11, 43], [0, 4, 8, 12, 44])
        for _ in range(3):
            ctx.set(stack.dut.wake, 1)
            await ctx.tick()
            ctx.set(stack.dut.wake, 0)
            await ctx.tick().repeat(400)
        assert len(stack.sent) == 6
        assert await stack.state(ctx) == State.INCOMPLETE
        await stack.ticks(ctx, 1.5 * SECOND)
        assert len(stack.sent) == 8
        assert set(stack.sent) == {ask}
        assert (await stack.ask(ctx, answer)).events["resolved"] == 1

    resolve(rng, bench, neighbor(address))


def test_many_neighbors_in_their_vlans(rng: random.Random) -> None:
    """Addresses alone and VLANs alone tell them apart; each gets its own answer only."""
    initial = [
        neighbor(PEER4),
        neighbor(PEER4, 5),
        neighbor("192.0.2.3", 4094),
        neighbor(PEER6),
        neighbor(PEER6, 0x105),
    ]
    asked = [asks4(), asks4(vlan=5), asks4(vlan=4094, address="192.0.2.3"), asks6(), asks6(vlan=0x105)]
    told = [
        tells4("02:00:00:00:01:00"),
        tells4("02:00:00:00:01:01", vlan=0xE005),
        tells4("02:00:00:00:01:02", vlan=4094, address="192.0.2.3"),
        tells6("02:00:00:00:01:03", vlan=0x8000),
        tells6("02:00:00:00:01:04", vlan=0x1105),
    ]

    async def bench(ctx, stack: Stack):
        assert stack.sent == asked
        for other in (tells4(vlan=4), tells6(vlan=5), tells4(address="192.0.2.3"), tells4(vlan=0x805)):
            assert dict((await stack.ask(ctx, other)).events) == {"ignored": 1}
        order = list(range(len(told)))
        rng.shuffle(order)
        for i in order:
            assert dict((await stack.ask(ctx, told[i])).events) == {"resolved": 1}
        for i in range(len(told)):
            assert (await stack.read(ctx, i, Place.MAC, 6)).hex(":") == f"02:00:00:00:01:{i:02x}"
            assert await stack.state(ctx, i) == State.REACHABLE
        assert await stack.state(ctx, 5) == State.UNUSED

    resolve(rng, bench, *initial, neighbors=7, clock_frequency=4_000_000)


def test_written_entries(rng: random.Random) -> None:
    """An entry begins anew with its family, and is unused from the first byte written."""

    async def bench(ctx, stack: Stack):
        assert not stack.sent
        content = entry_bytes(neighbor(PEER4, 7))
        await stack.write(ctx, 1, content)
        await ctx.tick().repeat(300)
        assert stack.sent == [asks4(vlan=7)]
        assert await stack.read(ctx, 1, 0, Place.STATE) == content
        await stack.ask(ctx, tells4(vlan=7))
        assert await stack.state(ctx, 1) == State.REACHABLE
        # What answers now was asked for before.
        await stack.write(ctx, 1, content[:1])
        await ctx.tick().repeat(100)
        assert await stack.state(ctx, 1) == State.UNUSED
        assert stack.published[-1][:2] == (1, 0)
        assert dict((await stack.ask(ctx, tells4(vlan=7))).events) == {"ignored": 1}
        await stack.write(ctx, 1, entry_bytes(neighbor(PEER6)))
        await ctx.tick().repeat(500)
        assert stack.sent[-1] == asks6()
        assert (await stack.ask(ctx, tells6())).events["resolved"] == 1
        # No family at all.
        await stack.write(ctx, 1, b"\x05", Place.FAMILY)
        await ctx.tick().repeat(100)
        assert await stack.state(ctx, 1) == State.UNUSED
        count = len(stack.sent)
        await stack.ticks(ctx, 6)
        assert len(stack.sent) == count

    resolve(rng, bench)


def test_what_tells_of_a_neighbor_by_arp(rng: random.Random) -> None:
    """RFC 826's merge, before and after an entry is filled."""
    request = bytes(Ether(dst=ALL, src=OTHER) / ARP(op=1, hwsrc=OTHER, psrc=PEER4, pdst="192.0.2.77"))
    announcement = bytes(Ether(dst=ALL, src=PEER) / ARP(op=1, hwsrc=PEER, psrc=PEER4, pdst=PEER4))
    for_us = bytes(Ether(dst=ALL, src=OTHER) / ARP(op=1, hwsrc=OTHER, psrc=PEER4, pdst=IPV4))
    probe = bytes(Ether(dst=ALL, src=OTHER) / ARP(op=1, hwsrc=OTHER, psrc="0.0.0.0", pdst=PEER4))

    async def bench(ctx, stack: Stack):
        assert dict((await stack.ask(ctx, probe)).events) == {"ignored": 1}
        for frame, mac, events in (
            (request, OTHER, {"resolved": 1}),
            (announcement, PEER, {"confirmed": 1}),
            (for_us, OTHER, {"confirmed": 1, "arp_reply": 1}),
        ):
            assert dict((await stack.ask(ctx, frame)).events) == events
            assert stack.published[-1] == (0, 1, number(mac))
            assert (await stack.read(ctx, 0, Place.MAC, 6)).hex(":") == mac

    resolve(rng, bench, neighbor(PEER4))


def test_advertisements(rng: random.Random, full: bool) -> None:
    """The table of RFC 4861 section 7.2.5: state before, what comes, state and MAC address then."""
    incomplete, reachable, probe = State.INCOMPLETE, State.REACHABLE, State.PROBE
    # `probe` is STALE there: the neighbour is asked by unicast at the next tick.
    table = [
        (incomplete, tells6(OTHER, flags="S"), reachable, OTHER, "resolved"),
        (incomplete, tells6(OTHER, flags="O"), probe, OTHER, "resolved"),
        (incomplete, tells6(OTHER, flags=""), probe, OTHER, "resolved"),
        (incomplete, tells6(None), incomplete, None, "ignored"),
        (reachable, tells6(PEER, flags=""), reachable, PEER, "ignored"),
        (reachable, tells6(PEER, flags="O"), reachable, PEER, "ignored"),
        (reachable, tells6(PEER, flags="S"), reachable, PEER, "confirmed"),
        (reachable, tells6(None, flags="SO"), reachable, PEER, "confirmed"),
        (reachable, tells6(None, flags="O"), reachable, PEER, "ignored"),
        (reachable, tells6(OTHER, flags="S"), probe, PEER, "ignored"),
        (reachable, tells6(OTHER, flags="SO"), reachable, OTHER, "confirmed"),
        (reachable, tells6(OTHER, flags="O"), probe, OTHER, "confirmed"),
        (probe, tells6(OTHER, flags="S"), probe, PEER, "ignored"),
        (probe, tells6(PEER, flags="S"), reachable, PEER, "confirmed"),
        (probe, tells6(PEER, flags="O"), probe, PEER, "ignored"),
        (probe, tells6(OTHER, flags="SO"), reachable, OTHER, "confirmed"),
    ]
    differs_late = f"{PEER[:-2]}ff"
    table.append((reachable, tells6(differs_late, flags="SO"), reachable, differs_late, "confirmed"))

    async def bench(ctx, stack: Stack):
        for before, frame, after, mac, event in table if full else rng.sample(table, 10):
            await stack.write(ctx, 0, b"\x06", Place.FAMILY)
            await ctx.tick().repeat(450)
            if before != incomplete:
                await stack.ask(ctx, tells6(PEER, flags="S" if before == reachable else "O"))
            assert await stack.state(ctx) == before
            assert dict((await stack.ask(ctx, frame)).events) == {event: 1}, (before, frame)
            assert await stack.state(ctx) == after, (before, frame)
            if mac:
                assert (await stack.read(ctx, 0, Place.MAC, 6)).hex(":") == mac
                assert stack.published[-1] == (0, 1, number(mac))

    # Long enough that no tick comes between.
    resolve(rng, bench, neighbor(PEER6), neighbors=1, clock_frequency=4_000_000)


def test_advertisements_that_are_refused(rng: random.Random) -> None:
    """Section 7.1.2, and what is for another."""
    wrong = {
        "hop limit": (tells6(hlim=64), "malformed"),
        "checksum": (tells6(message={"cksum": 0x1111}), "checksum"),
        "code": (tells6(message={"code": 2}), "malformed"),
        "group": (tells6(message={"tgt": "ff02::2"}), "malformed"),
        "solicited, to all": (tells6(dst="ff02::1"), "malformed"),
        "option of length 0": (tells6(None, Raw(b"\x02" + bytes(7))), "malformed"),
        "option too long": (tells6(None, Raw(b"\x02\x01\x02\x00")), "malformed"),
        "MAC of a group": (tells6("03:00:00:00:00:02"), "malformed"),
        "another target": (tells6(message={"tgt": "2001:db8::3"}), "ignored"),
        "target's last byte": (tells6(message={"tgt": "2001:db8::102"}), "ignored"),
        "the source's option": (tells6(None, ICMPv6NDOptSrcLLAddr(lladdr=PEER)), "ignored"),
        "ARP": (tells4(psrc="0.0.0.0"), "ignored"),
        "to another MAC": (b"\x02\0\0\0\0\x44" + tells6()[6:], "ignored"),
    }

    async def bench(ctx, stack: Stack):
        for what, (frame, event) in wrong.items():
            assert dict((await stack.ask(ctx, frame)).events) == {event: 1}, what
            assert await stack.state(ctx) == State.INCOMPLETE, what
        good = tells6(PEER, ICMPv6NDOptMTU(), dst="ff02::1", flags="O")
        assert dict((await stack.ask(ctx, good)).events) == {"resolved": 1}

    resolve(rng, bench, neighbor(PEER6), neighbors=1, clock_frequency=4_000_000)


def test_a_family_without_own_address_is_not_asked_for(rng: random.Random) -> None:
    async def bench(ctx, stack: Stack):
        await stack.ticks(ctx, SECOND)
        assert not stack.sent
        ctx.set(stack.dut.own.ipv4, number(IPV4))
        await stack.ticks(ctx, SECOND + 1)
        assert set(stack.sent) == {asks4()}

    resolve(rng, bench, neighbor(PEER4), neighbor(PEER6), own={"mac": number(MAC), "ipv4": 0, "ipv6": 0})


def test_frames_are_served_while_many_frames_wake(rng: random.Random) -> None:
    """The stack takes turns."""

    async def bench(ctx, stack: Stack):
        await stack.ticks(ctx, 4 * SECOND)
        ctx.set(stack.dut.wake, 1)
        for i in range(8):
            ctx.set(stack.dut.wake_index, i % 2)
            assert (await stack.ask(ctx, tells4(address="192.0.2.9"))).events["ignored"] == 1
            await stack.write(ctx, 1, b"\x00")

    resolve(rng, bench, neighbor(PEER4))


def test_reads_take_two_clocks_whatever_else_happens(rng: random.Random) -> None:
    """And disturb it in nothing."""
    content = entry_bytes(neighbor(PEER6, 300))
    frames = [tells6(vlan=300), tells6(OTHER, vlan=300)]

    async def bench(ctx, stack: Stack):
        for done, frame in enumerate(frames, 1):
            await stack.send(ctx, frame)
            while stack.done < done:
                place = rng.randrange(Place.STATE)
                assert await stack.read(ctx, 0, place) == content[place : place + 1]
                for _ in range(rng.randrange(3)):
                    await ctx.tick()

    stack = resolve(rng, bench, neighbor(PEER6, 300), neighbors=1, clock_frequency=4_000_000)
    assert stack.sent == [asks6(vlan=300)]
    assert dict(stack.events) == {"solicitation": 1, "resolved": 1, "confirmed": 1}
    assert stack.published[1:] == [(0, 1, number(PEER)), (0, 1, number(OTHER))]


@pytest.mark.parametrize("neighbors", [1, 3, 64])
def test_tables_of_any_size(rng: random.Random, neighbors: int) -> None:
    """The last entry of the table, after a reset that the simulation begins with."""
    last = neighbors - 1

    async def bench(ctx, stack: Stack):
        await ctx.tick().repeat(60 * neighbors)
        await stack.write(ctx, last, entry_bytes(neighbor(PEER4)))
        await ctx.tick().repeat(300)
        assert stack.sent == [asks4()]
        assert (await stack.ask(ctx, tells4())).events["resolved"] == 1
        assert stack.published[-1] == (last, 1, number(PEER))

    resolve(rng, bench, neighbors=neighbors, clock_frequency=40_000)


def test_refuses() -> None:
    def refused(match: str, **options) -> None:
        assert_refused(match, LocalStack, 64, **({"clock_frequency": 1_000_000} | options))

    refused(r"clock_frequency must be .* 1000 \.\. 1000000000", clock_frequency=999)
    refused(r"max_frame_length must be .* 128 \.\. 16383", max_frame_length=127)
    refused(r"neighbors must be .* 1 \.\. 64", neighbors=65)
    refused(r"reachable_seconds must be .* 1 \.\. 63", reachable_seconds=64)
    refused(r"buffer_bytes must be .* 1526 \.\. 262144", buffer_bytes=1525)
    refused("neighbors must be at most 1, not 2", neighbors=1, initial=[neighbor(PEER4), neighbor(PEER6)])
    with pytest.raises(ValueError, match="family must be 4 or 6, not 5"):
        Neighbor(1, 5)
    with pytest.raises(ValueError, match=r"address must be an integer within 1 \.\. 4294967295"):
        Neighbor(1 << 32, 4)
    with pytest.raises(ValueError, match=r"vlan must be an integer within 0 \.\. 4094"):
        Neighbor(1, 4, 4095)
