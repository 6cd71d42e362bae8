"""A gateway without a local stack: its host port's frames are at the serial line, or at a third port, both ways."""

import cocotb
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from vtep_boards.gateway import Host

from .cases import case
from .configs import OWN_IPV4, OWN_MAC
from .gateway_bench import HOST, GatewayBench, padded
from .gateway_traffic import tenant_frame, underlay_frame

PEER, PEER4 = "02:00:00:00:00:77", "10.0.0.77"


def serial(build) -> bool:
    return build.host is Host.SERIAL


def third_port(build) -> bool:
    return build.host is Host.PORT


def questions_and_answers(rng):
    """What a neighbour asks, and what a host says to that."""
    data = rng.randbytes(301)
    to_us, from_us = Ether(dst=OWN_MAC, src=PEER), Ether(dst=PEER, src=OWN_MAC)
    who = Ether(dst="ff:ff:ff:ff:ff:ff", src=PEER) / ARP(op=1, hwsrc=PEER, psrc=PEER4, pdst=OWN_IPV4)
    ping = to_us / IP(src=PEER4, dst=OWN_IPV4) / ICMP(id=1, seq=2) / Raw(data)
    here = from_us / ARP(op=2, hwsrc=OWN_MAC, psrc=OWN_IPV4, hwdst=PEER, pdst=PEER4)
    pong = from_us / IP(src=OWN_IPV4, dst=PEER4) / ICMP(type=0, id=1, seq=2) / Raw(data)
    return [(padded(bytes(question)), bytes(answer)) for question, answer in ((who, here), (ping, pong))]


def long_ones(rng, count):
    """Frames for the host."""
    head = Ether(dst=OWN_MAC, src=PEER) / IP(dst=OWN_IPV4, proto=89)
    return [bytes(head / Raw(rng.randbytes(900))) for _ in range(count)]


@case(when=serial)
async def a_host_at_the_serial_line_answers(dut, rng):
    """It reads what came for the gateway, between frames that are carried, and its answers leave at the underlay."""
    bench = GatewayBench(dut, apart=100, host=Host.SERIAL)
    await bench.start()
    for question, answer in questions_and_answers(rng):
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


@case(when=serial)
async def a_host_that_does_not_read_holds_up_nobody(dut, rng):
    """What finds no room in the mailbox is dropped and counted; what had room is whole."""
    bench = GatewayBench(dut, host=Host.SERIAL)
    await bench.start()
    frames = long_ones(rng, 9)
    carried = [underlay_frame(rng, 60) for _ in frames]
    sent = await bench.exchange(underlay=[frame for both in zip(frames, carried, strict=True) for frame in both])
    assert len(sent["tenant"]) == len(carried)
    lost = (await bench.gateway_counters("local."))["local.no_room"]
    kept = [await bench.receive() for _ in range(len(frames) - lost)]
    assert 2 <= len(kept) < len(frames)
    assert kept == frames[: len(kept)]
    assert await bench.receive() is None


@case(when=third_port)
async def a_host_at_the_third_port_answers(dut, rng):
    """What is for the gateway leaves there, what comes there leaves at the underlay, and all else is carried."""
    bench = GatewayBench(dut, apart=100, host=Host.PORT)
    await bench.start()
    (who, here), (ping, pong) = questions_and_answers(rng)
    tenant = [tenant_frame(rng, rng.randint(60, 200)) for _ in range(6)]
    underlay = [underlay_frame(rng, 80), who, underlay_frame(rng, 300), ping, underlay_frame(rng, 80)]
    sent = await bench.exchange(tenant, underlay, host=[padded(here), pong], gaps=(80, 12))
    assert [one.data for one in sent[HOST]] == [who, ping]
    assert len(sent["tenant"]) == 3
    assert len(sent["underlay"]) == 6 + 2
    await bench.check_counters()


@case(when=third_port)
async def a_slow_host_holds_up_nobody(dut, rng):
    """At 10 Mb/s its port cannot send what comes at a gigabit: some is dropped and counted, and the rest is whole."""
    bench = GatewayBench(dut, host=Host.PORT)
    await bench.start()
    bench.set_speed_of(HOST, 10)
    frames = long_ones(rng, 9)
    carried = [underlay_frame(rng, 60) for _ in frames]
    underlay = [frame for both in zip(frames, carried, strict=True) for frame in both]
    sent = await bench.exchange(underlay=underlay, lossy=HOST, quiet=2000)
    assert len(sent["tenant"]) == len(carried)
    lost = (await bench.gateway_counters("local."))["local.no_room"]
    kept = [one.data for one in sent[HOST]]
    assert 2 <= len(kept) == len(frames) - lost
    rest = iter(frames)
    assert all(frame in rest for frame in kept)
