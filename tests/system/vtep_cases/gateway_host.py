"""A gateway without a local stack: its host port's frames are at the serial line, both ways."""

import cocotb
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from .cases import case
from .configs import OWN_IPV4, OWN_MAC
from .gateway_bench import GatewayBench, padded
from .gateway_traffic import tenant_frame, underlay_frame

PEER, PEER4 = "02:00:00:00:00:77", "10.0.0.77"


@case
async def a_host_at_the_serial_line_answers(dut, rng):
    """It reads what came for the gateway, between frames that are carried, and its answers leave at the underlay."""
    bench = GatewayBench(dut, apart=100, local=False)
    await bench.start()
    data = rng.randbytes(301)
    to_us, from_us = Ether(dst=OWN_MAC, src=PEER), Ether(dst=PEER, src=OWN_MAC)
    who = Ether(dst="ff:ff:ff:ff:ff:ff", src=PEER) / ARP(op=1, hwsrc=PEER, psrc=PEER4, pdst=OWN_IPV4)
    ping = to_us / IP(src=PEER4, dst=OWN_IPV4) / ICMP(id=1, seq=2) / Raw(data)
    here = from_us / ARP(op=2, hwsrc=OWN_MAC, psrc=OWN_IPV4, hwdst=PEER, pdst=PEER4)
    pong = from_us / IP(src=OWN_IPV4, dst=PEER4) / ICMP(type=0, id=1, seq=2) / Raw(data)
    for question, answer in ((who, here), (ping, pong)):
        question, answer = padded(bytes(question)), bytes(answer)
        tenant = [tenant_frame(rng, rng.randint(60, 200)) for _ in range(3)]
        underlay = [underlay_frame(rng, 80), question, underlay_frame(rng, 80)]
        sent = await bench.exchange(tenant, underlay, gaps=(80, 12))
        assert len(sent["tenant"]) == 2
        assert bench.punted == [question]
        assert await bench.receive() == question
        assert await bench.receive() is None
        # What was begun and forgotten does no harm.
        await bench.write(1, "HOST_WRITE", rng.getrandbits(32))
        await bench.write(1, "HOST_SEND", 0)
        writing = cocotb.start_soon(bench.send(answer))
        await bench.exchange([tenant_frame(rng, 80)], [underlay_frame(rng, 80)], [answer], quiet=5 + len(answer) * 4)
        await writing
    await bench.check_counters()


@case
async def a_host_that_does_not_read_holds_up_nobody(dut, rng):
    """What finds no room in the mailbox is dropped and counted; what had room is whole."""
    bench = GatewayBench(dut, local=False)
    await bench.start()
    punts = [
        padded(bytes(Ether(dst=OWN_MAC, src=PEER) / IP(dst=OWN_IPV4, proto=89) / rng.randbytes(900))) for _ in range(9)
    ]
    carried = [underlay_frame(rng, 60) for _ in punts]
    sent = await bench.exchange(underlay=[frame for both in zip(punts, carried, strict=True) for frame in both])
    assert len(sent["tenant"]) == len(carried)
    lost = (await bench.gateway_counters("local.")).get("local.no_room", 0)
    kept = [await bench.receive() for _ in range(len(punts) - lost)]
    assert 2 <= len(kept) < len(punts)
    assert kept == punts[: len(kept)]
    assert await bench.receive() is None
