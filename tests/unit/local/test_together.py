"""The stack and the next hop as a gateway joins them."""

import random

from amaranth.hdl import Module
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from helpers.local_bench import IPV4, MAC, PEER, PEER4, neighbor, number
from helpers.packet_bench import receive_packets, send_packets, simulate
from vtep.local.next_hop import NextHop
from vtep.local.stack import LocalStack

NEIGHBORS = 3
FAILED_CLOCKS = 13 * 250


def test_a_frame_wakes_the_resolver_and_then_passes(rng: random.Random) -> None:
    m = Module()
    m.submodules.stack = stack = LocalStack(
        64, clock_frequency=1000, neighbors=NEIGHBORS, initial=[neighbor(PEER4)], max_frame_length=256
    )
    m.submodules.hop = hop = NextHop(64, NEIGHBORS)
    m.d.comb += [
        hop.publish.eq(stack.publish),
        hop.publication.eq(stack.publication),
        stack.wake.eq(hop.unresolved & (hop.index < NEIGHBORS)),
        stack.wake_index.eq(hop.index),
    ]
    frames = [bytes(5) + bytes([index]) + bytes(range(60)) for index in (0, NEIGHBORS, 255)]
    request = bytes(
        Ether(dst="ff:ff:ff:ff:ff:ff", src=MAC) / ARP(op=1, hwsrc=MAC, psrc=IPV4, hwdst="00:00:00:00:00:00", pdst=PEER4)
    )
    reply = bytes(Ether(dst=MAC, src=PEER) / ARP(op=2, hwsrc=PEER, psrc=PEER4, hwdst=MAC, pdst=IPV4))
    ping = bytes(Ether(dst=MAC, src=PEER) / IP(src=PEER4, dst=IPV4) / ICMP(id=1, seq=1))

    async def bench(ctx):
        ctx.set(stack.own, {"mac": number(MAC), "ipv4": number(IPV4), "ipv6": 0})
        # Asked for four times, and then every 8 s.
        received = await receive_packets(ctx, stack.o, 4, rng=rng)
        ctx.set(stack.o.ready, 1)
        await ctx.tick().repeat(FAILED_CLOCKS // 4)
        await send_packets(ctx, hop.i, frames, rng=rng)
        # That it is asked for before the 8 s are over is due to the frame.
        received += await receive_packets(ctx, stack.o, 1, rng=rng, timeout=400)
        assert received == [(request, False)] * 5
        await send_packets(ctx, stack.i, [reply, ping], rng=rng)
        ((answer, _),) = await receive_packets(ctx, stack.o, 1, rng=rng)
        assert answer[34] == 0
        await send_packets(ctx, hop.i, frames, rng=rng)

    passed = []

    async def sink(ctx):
        passed.extend(await receive_packets(ctx, hop.o, 1, rng=rng))

    simulate(m, bench, sink)
    assert passed == [(bytes.fromhex(PEER.replace(":", "")) + frames[0][6:], False)]
