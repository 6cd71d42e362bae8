"""Two 10 gigabit MACs back to back, each with its own clocks."""

import random

import pytest
from amaranth.hdl import ClockDomain, DomainRenamer, Module

from helpers.packet_bench import assert_refused, random_packets, receive_packets, send_packets, simulate_clocks
from vtep.mac.xgmii_mac import XgmiiMac

WORD = 6.4e-9


@pytest.mark.parametrize(("data_width", "core"), [(64, 0.95), (128, 1.7), (512, 3.1)])
def test_frames_from_one_to_the_other(rng: random.Random, data_width: int, core: float) -> None:
    m = Module()
    periods = {"a": WORD * core, "b": WORD * core * 1.0002, "line": WORD, "back": WORD}
    m.domains += [ClockDomain(name) for name in periods]
    a, b = (XgmiiMac(data_width, max_frame_length=300, buffer_bytes=4096) for _ in range(2))
    m.submodules.a = DomainRenamer({"sync": "a", "tx": "line", "rx": "back"})(a)
    m.submodules.b = DomainRenamer({"sync": "b", "rx": "line", "tx": "back"})(b)
    m.d.comb += [b.xgmii_rx.rxd.eq(a.xgmii_tx.txd), b.xgmii_rx.rxc.eq(a.xgmii_tx.txc)]
    sent = random_packets(rng, 12, lanes=data_width // 8, longest=200, errors=0.2)
    padded = [(packet.ljust(60, b"\0"), error) for packet, error in sent]
    receptions, other = [], []

    async def source(ctx):
        await send_packets(ctx, a.i, sent, rng=rng, idle=0.1, domain="a")

    async def sink(ctx):
        assert await receive_packets(ctx, b.o, len(sent), rng=rng, domain="b") == padded

    async def watch(ctx):
        seen = ctx.tick("line").sample(b.received, b.reception, b.false_carrier, a.underrun, a.discarded)
        async for _, _, received, reception, *events in seen:
            if received:
                receptions.append((reception.length, reception.fcs_error, reception.dropped))
            other.extend(events)

    simulate_clocks(m, periods, source, sink, rng=rng, background=[watch])
    assert receptions == [(len(packet) + 4, int(error), 0) for packet, error in padded]
    assert not any(other)


@pytest.mark.parametrize("data_width", [8, 32, 24, "64"])
def test_refuses(data_width) -> None:
    assert_refused("data_width must be one of 64, 128, 256, 512", XgmiiMac, data_width)


def test_refuses_lengths() -> None:
    assert_refused("max_frame_length must be an integer within", XgmiiMac, 64, max_frame_length=64)
