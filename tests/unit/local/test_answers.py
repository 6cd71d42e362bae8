"""Answers for the own addresses, against whole frames that Scapy makes."""

import random

import pytest
from scapy.layers.inet import ICMP, IP, UDP, IPOption_NOP, fragment
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    in6_chksum,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from helpers.local_bench import FINAL, IPV4, IPV6, MAC, PEER, PEER4, PEER6, Answer, Stack, answers

ALL = "ff:ff:ff:ff:ff:ff"
NODE = "ff02::1:ff00:1"
NODE_MAC = "33:33:ff:00:00:01"


def tagged(frame: bytes, tci: int = 0x6005) -> bytes:
    return frame[:12] + b"\x81\x00" + tci.to_bytes(2, "big") + frame[12:]


def to_us(source: str = PEER) -> Ether:
    return Ether(dst=MAC, src=source)


def arp(destination: str = ALL, source: str = PEER, **fields) -> bytes:
    return bytes(
        Ether(dst=destination, src=source)
        / ARP(**({"op": 1, "hwsrc": PEER, "psrc": PEER4, "hwdst": "00:00:00:00:00:00", "pdst": IPV4} | fields))
    )


def arp_answer(hwdst: str = PEER, pdst: str = PEER4) -> bytes:
    return bytes(Ether(dst=hwdst, src=MAC) / ARP(op=2, hwsrc=MAC, psrc=IPV4, hwdst=hwdst, pdst=pdst))


def ping(payload: bytes = b"", *, icmp: dict | None = None, ether: Ether | None = None, **ip) -> bytes:
    ip = {"src": PEER4, "dst": IPV4} | ip
    message = ICMP(**({"id": 0x1234, "seq": 7} | (icmp or {})))
    return bytes((ether or to_us()) / IP(**ip) / message / Raw(payload))


def pong(payload: bytes = b"", *, tos: int = 0, destination: str = PEER4, **icmp) -> bytes:
    icmp = {"id": 0x1234, "seq": 7} | icmp
    header = IP(src=IPV4, dst=destination, tos=tos, id=0, flags="DF", ttl=64)
    return bytes(Ether(dst=PEER, src=MAC) / header / ICMP(type=0, **icmp) / Raw(payload))


def ping6(payload: bytes = b"", *, icmp: dict | None = None, ether: Ether | None = None, **ip) -> bytes:
    ip = {"src": PEER6, "dst": IPV6} | ip
    message = ICMPv6EchoRequest(**({"id": 0x1234, "seq": 7} | (icmp or {})), data=payload)
    return bytes((ether or to_us()) / IPv6(**ip) / message)


def pong6(payload: bytes = b"", *, tc: int = 0, destination: str = PEER6) -> bytes:
    header = IPv6(src=IPV6, dst=destination, tc=tc, hlim=64)
    return bytes(Ether(dst=PEER, src=MAC) / header / ICMPv6EchoReply(id=0x1234, seq=7, data=payload))


def solicit(*options: Packet, ether: Ether | None = None, message: dict | None = None, **ip) -> bytes:
    ip = {"src": PEER6, "dst": NODE, "hlim": 255} | ip
    packet = (ether or Ether(dst=NODE_MAC, src=PEER)) / IPv6(**ip) / ICMPv6ND_NS(**({"tgt": IPV6} | (message or {})))
    for option in options:
        packet /= option
    return bytes(packet)


def advertisement(*, mac: str = PEER, destination: str = PEER6, solicited: int = 1) -> bytes:
    header = IPv6(src=IPV6, dst=destination, hlim=255)
    message = ICMPv6ND_NA(tgt=IPV6, R=0, S=solicited, O=1)
    return bytes(Ether(dst=mac, src=MAC) / header / message / ICMPv6NDOptDstLLAddr(lladdr=MAC))


OWN_OPTION = ICMPv6NDOptSrcLLAddr(lladdr=PEER)
OTHER = "02:00:00:00:00:33"

ANSWERED = {
    "arp broadcast": (arp(), arp_answer(), "arp_reply"),
    "arp unicast": (arp(MAC), arp_answer(), "arp_reply"),
    "arp probe": (arp(psrc="0.0.0.0"), arp_answer(pdst="0.0.0.0"), "arp_reply"),
    "arp to what it tells, not to whom sent it": (arp(hwsrc=OTHER), arp_answer(hwdst=OTHER), "arp_reply"),
    "arp padded": (arp() + bytes(18), arp_answer(), "arp_reply"),
    "ping": (ping(b"hello"), pong(b"hello"), "echo_reply"),
    "ping without data": (ping(), pong(), "echo_reply"),
    "ping padded": (ping(b"\1") + b"\xee" * 17, pong(b"\1"), "echo_reply"),
    "ping with DSCP and ECN": (ping(tos=0xBB), pong(tos=0xB8), "echo_reply"),
    "ping, TTL 1, DF, reserved bit": (ping(ttl=1, flags=6, id=77), pong(), "echo_reply"),
    "ping of zeros": (ping(bytes(8), icmp={"id": 0, "seq": 0}), pong(bytes(8), id=0, seq=0), "echo_reply"),
    "ping of ones": (ping(b"\xff" * 33, icmp={"id": 0xFFFF}), pong(b"\xff" * 33, id=0xFFFF), "echo_reply"),
    "ping6": (ping6(b"hello"), pong6(b"hello"), "echo_reply"),
    "ping6 without data": (ping6(), pong6(), "echo_reply"),
    "ping6 padded": (ping6(b"\1") + b"\xee" * 9, pong6(b"\1"), "echo_reply"),
    "ping6 with DSCP, ECN and flow label": (ping6(tc=0xBB, fl=0xABCDE, hlim=1), pong6(tc=0xB8), "echo_reply"),
    "solicitation": (solicit(OWN_OPTION), advertisement(), "neighbor_advertisement"),
    "solicitation, unicast, without option": (
        solicit(ether=to_us(), dst=IPV6),
        advertisement(),
        "neighbor_advertisement",
    ),
    "solicitation to what it tells": (
        solicit(ICMPv6NDOptSrcLLAddr(lladdr=OTHER)),
        advertisement(mac=OTHER),
        "neighbor_advertisement",
    ),
    "solicitation with other options": (
        solicit(ICMPv6NDOptMTU(), Raw(b"\xfd\x02" + bytes(14)), ICMPv6NDOptDstLLAddr(lladdr=OTHER), OWN_OPTION),
        advertisement(),
        "neighbor_advertisement",
    ),
    "duplicate address detection": (
        solicit(src="::"),
        advertisement(mac="33:33:00:00:00:01", destination="ff02::1", solicited=0),
        "neighbor_advertisement",
    ),
    "duplicate address detection with a nonce": (
        solicit(Raw(b"\x0e\x01nonce!"), src="::"),
        advertisement(mac="33:33:00:00:00:01", destination="ff02::1", solicited=0),
        "neighbor_advertisement",
    ),
}


def spoil(frame: bytes, place: int, octet: int | None = None) -> bytes:
    changed = bytearray(frame)
    changed[place] = changed[place] ^ 0x10 if octet is None else octet
    return bytes(changed)


UNANSWERED = {
    "another MAC": (arp("02:00:00:00:00:03"), "ignored"),
    "a MAC but for its last bit": (ping(ether=Ether(dst="02:00:00:00:00:00", src=PEER)), "ignored"),
    "from a group": (arp(source="01:00:00:00:00:02"), "malformed"),
    "arp for another": (arp(pdst="192.0.2.3"), "ignored"),
    "arp for none": (arp(pdst="0.0.0.0"), "ignored"),
    "arp reply": (arp(op=2), "ignored"),
    "arp, hardware type": (arp(hwtype=6), "malformed"),
    "arp, protocol": (arp(ptype=0x86DD), "malformed"),
    "arp, hardware length": (arp(hwlen=8), "malformed"),
    "arp, protocol length": (arp(plen=16), "malformed"),
    "arp from a group": (arp(hwsrc="03:00:00:00:00:02"), "malformed"),
    "no ethertype that is known": (bytes(to_us() / Raw(bytes(50))), "ignored"),
    "two tags": (tagged(tagged(ping())), "ignored"),
    "a service tag": (ping()[:12] + b"\x88\xa8\0\1" + ping()[12:], "ignored"),
    "ping to a group MAC": (ping(ether=Ether(dst=ALL, src=PEER)), "ignored"),
    "ping to another": (ping(dst="192.0.2.3"), "ignored"),
    "ping to a group": (ping(dst="224.0.0.1"), "ignored"),
    "ping from a group": (ping(src="239.1.1.1"), "malformed"),
    "ping from all": (ping(src="255.255.255.255"), "malformed"),
    "ping from nobody": (ping(src="0.0.0.0"), "malformed"),
    "ping, first fragment": (bytes(fragment(Ether(ping(bytes(64))), 32)[0]), "ignored"),
    "ping, last fragment": (bytes(fragment(Ether(ping(bytes(64))), 32)[-1]), "ignored"),
    "ping, offset of 8192 words": (ping(frag=0x1000), "ignored"),
    "ping with options": (ping(options=[IPOption_NOP()] * 4), "ignored"),
    "ping, version 5": (ping(version=5), "ignored"),
    "ping, header checksum": (ping(chksum=0x1234), "checksum"),
    "ping, checksum": (ping(b"abc", icmp={"chksum": 0x1234}), "checksum"),
    "ping, checksum of 0": (ping(b"abc", icmp={"chksum": 0}), "checksum"),
    "ping, last bit": (spoil(ping(b"abc"), -1), "checksum"),
    "ping, code 1": (ping(icmp={"code": 1}), "ignored"),
    "pong": (ping(icmp={"type": 0}), "ignored"),
    "udp": (bytes(to_us() / IP(src=PEER4, dst=IPV4) / UDP(dport=9)), "ignored"),
    "ping6 to another": (ping6(dst="2001:db8::3"), "ignored"),
    "ping6 to all nodes": (ping6(ether=Ether(dst="33:33:00:00:00:01", src=PEER), dst="ff02::1"), "ignored"),
    "ping6 to a group MAC": (ping6(ether=Ether(dst=NODE_MAC, src=PEER)), "ignored"),
    "ping6 from nobody": (ping6(src="::"), "malformed"),
    "ping6 from a group": (ping6(src="ff02::2"), "malformed"),
    "ping6, checksum": (ping6(b"abc", icmp={"cksum": 0x1234}), "checksum"),
    "ping6, last bit": (spoil(ping6(b"abc"), -1), "checksum"),
    "ping6, code 1": (ping6(icmp={"code": 1}), "ignored"),
    "ping6, version 4": (spoil(ping6(), 14, 0x40), "ignored"),
    "ping6 behind an extension header": (
        bytes(to_us() / IPv6(src=PEER6, dst=IPV6) / IPv6ExtHdrDestOpt() / ICMPv6EchoRequest()),
        "ignored",
    ),
    "pong6": (bytes(to_us() / IPv6(src=PEER6, dst=IPV6) / ICMPv6EchoReply()), "ignored"),
    "solicitation, hop limit 254": (solicit(OWN_OPTION, hlim=254), "malformed"),
    "solicitation, code 1": (solicit(OWN_OPTION, message={"code": 1}), "malformed"),
    "solicitation, checksum": (solicit(OWN_OPTION, message={"cksum": 1}), "checksum"),
    "solicitation for a group": (solicit(OWN_OPTION, message={"tgt": "ff02::1"}), "malformed"),
    "solicitation for another": (solicit(OWN_OPTION, message={"tgt": "2001:db8::3"}), "ignored"),
    "solicitation, option of length 0": (solicit(Raw(b"\x05" + bytes(7))), "malformed"),
    "solicitation, option too long": (solicit(Raw(b"\x05\x02" + bytes(6))), "malformed"),
    "solicitation, option far too long": (solicit(Raw(b"\x05\xff" + bytes(6))), "malformed"),
    "solicitation, option of one byte": (solicit(Raw(b"\x05")), "malformed"),
    "solicitation, option without address": (solicit(Raw(b"\x01")), "malformed"),
    "solicitation, address of 14 bytes": (solicit(Raw(b"\x01\x02" + bytes(14))), "malformed"),
    "solicitation, address of a group": (solicit(ICMPv6NDOptSrcLLAddr(lladdr="33:33:00:00:00:01")), "malformed"),
    "solicitation, second option bad": (solicit(OWN_OPTION, Raw(b"\x05" + bytes(7))), "malformed"),
    "duplicate address detection with source": (solicit(OWN_OPTION, src="::"), "malformed"),
    "duplicate address detection, to all nodes": (solicit(src="::", dst="ff02::1"), "malformed"),
    "duplicate address detection, unicast": (solicit(src="::", dst=IPV6, ether=to_us()), "malformed"),
}


def short_solicitation() -> bytes:
    """One that is right but for its 8 bytes."""
    header = IPv6(src=PEER6, dst=NODE, hlim=255, nh=58)
    message = b"\x87\0\0\0\0\0\0\0"
    checksum = in6_chksum(58, IPv6(bytes(header / Raw(message))), message)
    return bytes(Ether(dst=NODE_MAC, src=PEER) / header / Raw(message[:2] + checksum.to_bytes(2, "big") + message[4:]))


UNANSWERED["solicitation, a payload too short"] = (short_solicitation(), "malformed")


def check(answer: Answer, frames: list[bytes], event: str, what: str) -> None:
    assert [frame.hex() for frame in answer.frames] == [frame.hex() for frame in frames], what
    assert dict(answer.events) == {event: 1}, what


@pytest.mark.parametrize("data_width", [8, 64, 512])
def test_what_is_answered(rng: random.Random, data_width: int, full: bool) -> None:
    """And with a tag, whose priority is kept."""
    cases = list(ANSWERED.items())
    if data_width != 64 and not full:
        cases = rng.sample(cases, 3)
    untagged = answers(rng, [frame for _, (frame, _, _) in cases], data_width=data_width)
    for (what, (_, wanted, event)), answer in zip(cases, untagged, strict=True):
        check(answer, [wanted], event, what)
    cases = cases if full else rng.sample(cases, min(len(cases), 8))
    with_tag = answers(rng, [tagged(frame) for _, (frame, _, _) in cases], data_width=data_width)
    for (what, (_, wanted, event)), answer in zip(cases, with_tag, strict=True):
        check(answer, [tagged(wanted)], event, f"{what}, tagged")


def test_what_is_not_answered(rng: random.Random, full: bool) -> None:
    cases = [(what, frame, event) for what, (frame, event) in UNANSWERED.items()]
    if full:
        cases += [(what, tagged(frame), event) for what, frame, event in cases if "tag" not in what]
    else:
        cases = rng.sample(cases, 30)
    found = answers(rng, [frame for _, frame, _ in cases])
    for (what, _, event), answer in zip(cases, found, strict=True):
        check(answer, [], event, what)
    assert {event for _, _, event in cases} <= set(FINAL)


def test_without_an_address_nothing_is_answered(rng: random.Random) -> None:
    frames = [arp(pdst="0.0.0.0"), ping(dst="0.0.0.0"), ping6(dst="::"), solicit(message={"tgt": "::"})]
    found = answers(rng, frames, own={"mac": int(MAC.replace(":", ""), 16), "ipv4": 0, "ipv6": 0})
    for answer in found:
        check(answer, [], "ignored", "")


def test_one_family_alone(rng: random.Random) -> None:
    frames = [arp(), ping(), ping6(), solicit()]
    mac = int(MAC.replace(":", ""), 16)
    only4 = answers(rng, frames, own={"mac": mac, "ipv4": 0xC0000201, "ipv6": 0})
    assert [frame for answer in only4 for frame in answer.frames] == [arp_answer(), pong()]
    only6 = answers(rng, frames, own={"mac": mac, "ipv4": 0, "ipv6": 0x20010DB8 << 96 | 1})
    assert [frame for answer in only6 for frame in answer.frames] == [pong6(), advertisement()]


def test_pings_of_many_sizes(rng: random.Random, full: bool) -> None:
    sizes = [1, 2, 23, 1472]
    if full:
        sizes = [*range(80), *range(1440, 1473)]
    data = [rng.randbytes(size) for size in sizes]
    found = answers(rng, [frame for octets in data for frame in (ping(octets), ping6(octets[:1452]))])
    wanted = [frame for octets in data for frame in (pong(octets), pong6(octets[:1452]))]
    assert [answer.only for answer in found] == wanted


@pytest.mark.full
def test_jumbo_pings(rng: random.Random) -> None:
    data = rng.randbytes(8972)
    found = answers(rng, [ping(data), tagged(ping6(data[:8952]))], max_frame_length=9018)
    assert [answer.only for answer in found] == [pong(data), tagged(pong6(data[:8952]))]


def test_back_pressure_and_pauses(rng: random.Random, full: bool) -> None:
    cases = list(ANSWERED.values()) if full else rng.sample(list(ANSWERED.values()), 3)
    for stall, idle in ((0.9, 0.0), (0.5, 0.5)):
        found = answers(rng, [frame for frame, _, _ in cases], data_width=8, stall=stall, idle=idle)
        assert [answer.only for answer in found] == [wanted for _, wanted, _ in cases]


def test_frames_close_together_are_all_answered(rng: random.Random) -> None:
    cases = [*rng.sample(list(ANSWERED.values()), 7), (spoil(ping(), -1), None, "checksum")]
    stack = Stack(rng)

    async def bench(ctx):
        for frame, _, _ in cases:
            await stack.send(ctx, frame)
        await stack.settle(ctx, len(cases))

    stack.run(bench)
    assert stack.sent == [wanted for _, wanted, _ in cases if wanted]


def test_a_marked_frame_is_forgotten(rng: random.Random) -> None:
    stack = Stack(rng)

    async def bench(ctx):
        for error in (True, False, True):
            await stack.send(ctx, ping(), error=error)
        await stack.settle(ctx, 1)

    stack.run(bench)
    assert stack.sent == [pong()]
    assert dict(stack.events) == {"marked": 2, "echo_reply": 1}


def test_what_finds_no_room_is_dropped_whole(rng: random.Random) -> None:
    """The input is never held up, which the bench asserts; all that fits is answered right."""
    stack = Stack(rng, stall=0.5, max_frame_length=256, buffer_bytes=512)
    data = [rng.randbytes(rng.randint(1, 200)) for _ in range(20)]

    async def bench(ctx):
        for octets in data:
            await stack.send(ctx, ping(octets))
        while stack.done + stack.events["no_room"] < len(data):
            await ctx.tick()
        await stack.settle(ctx, stack.done)

    stack.run(bench)
    assert stack.events["no_room"] > 5
    assert stack.events["echo_reply"] == len(data) - stack.events["no_room"] == len(stack.sent)
    wanted = iter([pong(octets) for octets in data])
    assert all(frame in wanted for frame in stack.sent)


def test_a_frame_longer_than_the_buffer(rng: random.Random) -> None:
    stack = Stack(rng, max_frame_length=256, buffer_bytes=512)

    async def bench(ctx):
        for size in (600, 10, 2000, 20):
            await stack.send(ctx, ping(bytes(size)))
        await stack.settle(ctx, 2)

    stack.run(bench)
    assert stack.sent == [pong(bytes(10)), pong(bytes(20))]
    assert stack.events["no_room"] == 2
