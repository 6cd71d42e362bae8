"""What a gateway answers and finds out by itself, between frames that it carries; and its registers."""

from collections.abc import Sequence
from random import Random

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from vtep.control.gateway_registers import GATEWAY_COUNTERS
from vtep.local.neighbors import Place, State
from vtep_sim.cocotb.frames import inner_tcp4

from .cases import case
from .configs import HOST_B, OWN_IPV4, OWN_IPV6, OWN_MAC
from .gateway_bench import MACS, GatewayBench, ask, padded
from .gateway_designs import SECOND
from .gateway_traffic import tenant_frame, underlay_frame

PEER, PEER4, PEER6 = "02:00:00:00:00:77", "10.0.0.77", "fd00::77"
ALL, NODE_MAC, NODE = "ff:ff:ff:ff:ff:ff", "33:33:ff:00:00:01", "ff02::1:ff00:1"
NOBODY = "00:00:00:00:00:00"


def answered(rng: Random, pings: Sequence[int] = (0, 1, 56, 1400)) -> list[tuple[str, bytes, bytes]]:
    """Counter, question, answer; ``pings``: bytes that each brings."""
    to_us, from_us = Ether(dst=OWN_MAC, src=PEER), Ether(dst=PEER, src=OWN_MAC)
    who = Ether(dst=ALL, src=PEER) / ARP(op=1, hwsrc=PEER, psrc=PEER4, hwdst=NOBODY, pdst=OWN_IPV4)
    here = from_us / ARP(op=2, hwsrc=OWN_MAC, psrc=OWN_IPV4, hwdst=PEER, pdst=PEER4)
    questions = [("arp_reply", who, here)]
    questions.append(
        (
            "neighbor_advertisement",
            Ether(dst=NODE_MAC, src=PEER)
            / IPv6(src=PEER6, dst=NODE, hlim=255)
            / ICMPv6ND_NS(tgt=OWN_IPV6)
            / ICMPv6NDOptSrcLLAddr(lladdr=PEER),
            from_us
            / IPv6(src=OWN_IPV6, dst=PEER6, hlim=255)
            / ICMPv6ND_NA(tgt=OWN_IPV6, R=0, S=1, O=1)
            / ICMPv6NDOptDstLLAddr(lladdr=OWN_MAC),
        )
    )
    for length in pings:
        data, seq = rng.randbytes(length), rng.getrandbits(16)
        ping = IP(src=PEER4, dst=OWN_IPV4) / ICMP(id=7, seq=seq) / Raw(data)
        pong = IP(src=OWN_IPV4, dst=PEER4, id=0, flags="DF", ttl=64) / ICMP(type=0, id=7, seq=seq) / Raw(data)
        ping6 = IPv6(src=PEER6, dst=OWN_IPV6) / ICMPv6EchoRequest(id=7, seq=seq, data=data)
        pong6 = IPv6(src=OWN_IPV6, dst=PEER6, hlim=64) / ICMPv6EchoReply(id=7, seq=seq, data=data)
        questions += [("echo_reply", to_us / one, from_us / other) for one, other in ((ping, pong), (ping6, pong6))]
    return [(name, padded(bytes(one)), bytes(other)) for name, one, other in questions]


@case
async def questions_are_answered_between_frames_that_are_carried(dut, rng):
    bench = GatewayBench(dut, apart=100)
    await bench.start()
    for questions in (answered(rng)[:2], answered(rng)[2:6], answered(rng)[6:]):
        underlay = [frame for _, one, _ in questions for frame in (one, underlay_frame(rng, rng.randint(60, 200)))]
        tenant = [tenant_frame(rng, rng.randint(60, 200)) for _ in range(4)]
        await bench.exchange(tenant, underlay, [answer for _, _, answer in questions], gaps=(80, 12), quiet=120)
        bench.counts.update(f"local.{name}" for name, _, _ in questions)
    got = await bench.gateway_counters("local.")
    for name in ("arp_reply", "neighbor_advertisement", "echo_reply", "ignored", "no_room"):
        assert got.get(f"local.{name}", 0) == bench.counts[f"local.{name}"]


async def entry(bench: GatewayBench, number: int) -> bytes:
    """What the table of neighbours holds."""
    content = b""
    for place in range(0, 32, 4):
        await bench.write(1, "NEIGHBOR_READ", place << 8 | number << 16)
        (word,) = await bench.read(1, "NEIGHBOR_DATA")
        content += word.to_bytes(4, "little")
    return content


@case
async def a_neighbor_is_written_asked_for_and_reached(dut, rng):
    """A tunnel's next hop is not known: its frames are dropped and counted; then it answers, and they pass."""
    bench = GatewayBench(dut, apart=-100)
    await bench.start()
    frames = [
        inner_tcp4(b"\xff" * 6, b"\x02" * 6, payload=rng.randbytes(60), tags=[(0x8100, 40)], flags=0) for _ in range(3)
    ]
    await bench.exchange(frames)
    assert bench.counts["local.unresolved"] == 3

    configured = bytes([10, 0, 0, 4]).ljust(16, b"\0") + bytes([0, 0, 4])
    for place, octet in enumerate(configured):
        await bench.write(1, "NEIGHBOR_WRITE", octet | place << 8 | 2 << 16)
        assert (await bench.read(1, "NEIGHBOR_STATUS"))[0] == 0
    await bench.exchange(answers=[ask("10.0.0.4")])
    asked = await entry(bench, 2)
    assert asked[: Place.STATE] == configured
    assert asked[Place.STATE] == State.INCOMPLETE

    await bench.exchange(frames[:1], [bench.reply(2, "10.0.0.4")])
    bench.counts.update({"local.solicitation": 1, "local.resolved": 1})
    bench.known[2] = MACS[2]
    known = await entry(bench, 2)
    assert (known[: Place.STATE], known[Place.STATE], known[Place.MAC :]) == (configured, State.REACHABLE, MACS[2])
    sent = await bench.exchange([*frames, tenant_frame(rng, 80, HOST_B)], [underlay_frame(rng, 80)])
    assert [frame.data[:6] for frame in sent["underlay"]] == [MACS[2]] * 3 + [MACS[0]]
    # A copy of all counters stays while they go on, and when they are cleared.
    assert bench.counts["local.unresolved"] == 4
    copied = bench.counts.copy()
    await bench.write(1, "COUNTER_CONTROL", 2)
    await bench.exchange([tenant_frame(rng, 80)], [underlay_frame(rng, 80)])
    await bench.write(1, "COUNTER_CONTROL", 1)
    await bench.exchange([tenant_frame(rng, 80)])
    assert await bench.gateway_counters() == {
        "tenant.etherStatsPkts": 1,
        "tenant.etherStatsOctets": 84,
        "tenant.etherStatsPkts65to127Octets": 1,
        "underlay.aFramesTransmittedOK": 1,
    }
    places = {name: place for place, name in enumerate(GATEWAY_COUNTERS)}
    names = ("local.unresolved", "tenant.etherStatsPkts", "underlay.etherStatsOctets", "underlay.aFramesTransmittedOK")
    values = await bench.counters(1, (places[name] for name in names), snapshot=True)
    assert values == [copied[name] for name in names]
    assert all(values)


@case(deep=True)
async def a_frame_wakes_the_resolver(dut, rng):
    """Nobody answers: the gateway asks four times, a second apart, and then at once for a frame that goes there."""
    bench = GatewayBench(dut)
    await bench.start(resolve=False)
    both = [ask("10.0.0.3"), ask("fd00::6", 20)]
    await bench.exchange(answers=both * 4, quiet=1.5e6 * SECOND)
    assert (await entry(bench, 0))[Place.STATE] == State.FAILED
    await bench.exchange([tenant_frame(rng, 80, HOST_B)], answers=both[:1])
    bench.counts.update({"local.solicitation": 9})
    await bench.exchange(underlay=[bench.reply(0, "10.0.0.3")])
    bench.counts.update({"local.resolved": 1})
    bench.known[0] = MACS[0]
    await bench.exchange([tenant_frame(rng, 80, HOST_B)])
    await bench.check_counters()
