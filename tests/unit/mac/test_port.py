"""Two RGMII ports back to back over their wires: frames at each speed, the speed told in band or from outside."""

import random
from itertools import pairwise

import pytest
from amaranth.hdl import ClockDomain, Module

from helpers.packet_bench import random_packets, receive_packets, send_packets, simulate_clocks
from vtep.mac.gmii import Speed
from vtep.mac.led import LinkLed
from vtep.mac.mac import Mac
from vtep.mac.port import RgmiiPort

BYTE = 8e-9
CLOCKS = {Speed.MBPS_1000: 1, Speed.MBPS_100: 5, Speed.MBPS_10: 50}
"""Clocks of 125 MHz in one of the line."""


class Loop:
    """A port whose PHY sends back what it gets, and tells of a link between frames."""

    def __init__(self, *, in_band: bool) -> None:
        self.m = m = Module()
        self.periods = {"sync": 2 * BYTE, "tx": BYTE, "rx": BYTE}
        m.domains += [ClockDomain(name) for name in self.periods]
        self.port = RgmiiPort(Mac(16, max_frame_length=300), in_band=in_band)
        m.submodules.port = self.port

    async def echo(self, ctx, status: int) -> None:
        """Wires of the PHY at 1000 Mb/s, in the domain of the transmitter."""
        wires, back = self.port.transmit, self.port.receive
        while True:
            *_, low, high, valid, coded = await ctx.tick("tx").sample(
                wires.txd[0], wires.txd[1], wires.tx_ctl[0], wires.tx_ctl[1]
            )
            for half, value in enumerate((low, high)):
                ctx.set(back.rxd[half], value if valid else status)
            ctx.set(back.rx_ctl[0], valid)
            ctx.set(back.rx_ctl[1], coded)


@pytest.mark.parametrize("in_band", [True, False])
def test_frames_come_back(rng: random.Random, in_band: bool) -> None:
    loop = Loop(in_band=in_band)
    port = loop.port
    sent = random_packets(rng, 6, lanes=2, longest=300, errors=0.2)
    active = [0]

    async def phy(ctx):
        status = 0b1101 if in_band else 0
        await loop.echo(ctx, status)

    async def source(ctx):
        if not in_band:
            ctx.set(port.told, {"up": 1, "speed": Speed.MBPS_1000, "full_duplex": 1})
        await ctx.tick().until(port.link.up)
        assert ctx.get(port.link.speed) == Speed.MBPS_1000
        assert ctx.get(port.link.full_duplex)
        await ctx.tick().repeat(10)
        await send_packets(ctx, port.i, sent, rng=rng)

    async def sink(ctx):
        received = await receive_packets(ctx, port.o, len(sent), rng=rng)
        assert received == [(packet.ljust(60, b"\0"), error) for packet, error in sent]
        await ctx.tick().repeat(20)
        assert active[0] == len(sent) + sum(not error for _, error in sent), "what leaves spoiled is not sent"

    async def watch(ctx):
        while True:
            *_, activity = await ctx.tick().sample(port.activity)
            active[0] += activity

    simulate_clocks(loop.m, loop.periods, source, sink, rng=rng, background=[phy, watch])


@pytest.mark.parametrize(("up", "speed"), [*((1, speed) for speed in CLOCKS), (0, Speed.MBPS_10)])
@pytest.mark.parametrize("in_band", [True, False])
def test_goes_at_the_speed_of_the_link(rng: random.Random, up: int, speed: Speed, in_band: bool) -> None:
    """TXC has the frequency of the link, within some clocks after it was told; 125 MHz while there is none."""
    loop = Loop(in_band=in_band)
    port = loop.port

    async def bench(ctx):
        word = up | speed.value << 1 | 8
        if in_band:
            ctx.set(port.receive.rxd[0], word)
            ctx.set(port.receive.rxd[1], word)
        else:
            ctx.set(port.told, {"up": up, "speed": speed, "full_duplex": 1})
        await ctx.tick("tx").repeat(150)
        assert ctx.get(port.link.speed) == speed
        highs = 0
        for _ in range(100):
            *_, first, second = await ctx.tick("tx").sample(port.transmit.txc[0], port.transmit.txc[1])
            highs += first + second
        assert highs == 100
        edges, before = 0, 0
        for _ in range(100):
            *_, first, second = await ctx.tick("tx").sample(port.transmit.txc[0], port.transmit.txc[1])
            for half in (first, second):
                edges += half and not before
                before = half
        assert abs(edges - 100 / (CLOCKS[speed] if up else 1)) <= 1

    simulate_clocks(loop.m, loop.periods, bench, rng=rng)


def test_light(rng: random.Random) -> None:
    dut = LinkLed(1000)
    lit = []

    async def bench(ctx):
        async def look(clocks: int) -> list[int]:
            return [(await ctx.tick().sample(dut.on))[-1] for _ in range(clocks)]

        assert not any(await look(20))
        ctx.set(dut.up, 1)
        await ctx.tick()
        assert all(await look(150))
        ctx.set(dut.activity, 1)
        lit.extend(await look(400))
        ctx.set(dut.up, 0)
        await ctx.tick()
        assert not any(await look(150))

    m = Module()
    m.submodules.dut = dut
    m.domains.sync = ClockDomain()
    simulate_clocks(m, {"sync": 1e-3}, bench, rng=rng)
    changes = [place for place in range(1, 400) if lit[place] != lit[place - 1]]
    assert len(changes) >= 7
    assert all(later - earlier in (50, 51) for earlier, later in pairwise(changes))
