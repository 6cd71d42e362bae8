"""GMII's coding at its three speeds, each side against a description of the wires in Python, and back to back."""

import random

import pytest
from amaranth.hdl import Module

from helpers.packet_bench import simulate
from vtep.mac.gmii import Speed
from vtep.mac.gmii_coding import GmiiReceiver, GmiiTransmitter

SLOW = [Speed.MBPS_100, Speed.MBPS_10]
Byte = tuple[int, int, int]


def nibbles(content: list[Byte]) -> list[Byte]:
    return [(part, valid, error) for byte, valid, error in content for part in (byte & 15, byte >> 4)]


def put(ctx, wires, **values: int) -> None:
    for name, value in values.items():
        ctx.set(getattr(wires, name), value)


def receive(speed: Speed, line: list[Byte]) -> list[Byte]:
    """Bytes with rx_dv, rx_er that come out in clocks with enable."""
    dut = GmiiReceiver()
    seen = []

    async def bench(ctx):
        ctx.set(dut.speed, speed)
        for rxd, valid, error in [*line, (0, 0, 0)]:
            put(ctx, dut.wires, rxd=rxd, rx_dv=valid, rx_er=error)
            _, _, enable, *found = await ctx.tick().sample(
                dut.gmii.enable, dut.gmii.rxd, dut.gmii.rx_dv, dut.gmii.rx_er
            )
            if enable:
                seen.append(tuple(found))

    simulate(dut, bench)
    return seen


def test_a_byte_a_clock_at_1000(rng: random.Random) -> None:
    content = [(rng.randrange(256), rng.randrange(2), rng.randrange(2)) for _ in range(200)]
    assert receive(Speed.MBPS_1000, content)[-200:] == content


@pytest.mark.parametrize("speed", SLOW)
@pytest.mark.parametrize("preamble", [1, 2, 14, 15])
def test_pairs_of_nibbles(rng: random.Random, speed: Speed, preamble: int) -> None:
    """What the upper wires bring is nothing; an error in either nibble is one of the byte."""
    data = [(rng.randrange(256), 1, int(rng.random() < 0.1)) for _ in range(70)]
    frame = [(5, 1, 0)] * preamble + [(13, 1, 0)]
    for nibble, valid, error in nibbles(data):
        frame.append((nibble | rng.randrange(16) << 4, valid, error))
    seen = [byte for byte in receive(speed, [*frame, (0, 0, 0), (0, 0, 0)]) if byte[1]]
    start = seen.index((0xD5, 1, 0))
    assert set(seen[:start]) <= {(0x55, 1, 0), (0x50, 1, 0)}
    assert seen[start + 1 :] == data


def transmit(speeds: list[Speed], frames: list[list[Byte]]) -> list[list[Byte]]:
    """What is on the wires in each clock of frame after frame, each sent at its speed, two idle bytes before it.

    The next one's speed is told in the middle of each.
    """
    dut = GmiiTransmitter()
    seen: list[list[Byte]] = []

    async def bench(ctx):
        before = 0
        ctx.set(dut.speed, speeds[0])
        for following, frame in zip([*speeds[1:], speeds[0]], frames, strict=True):
            for number, (txd, enable, error) in enumerate([(0, 0, 0)] * 2 + frame + [(0, 0, 0)] * 2):
                if number == 5:
                    ctx.set(dut.speed, following)
                while True:
                    found = (ctx.get(dut.wires.txd), ctx.get(dut.wires.tx_en), ctx.get(dut.wires.tx_er))
                    if found[1] and not before:
                        seen.append([])
                    if found[1]:
                        seen[-1].append(found)
                    before = found[1]
                    now = ctx.get(dut.enable)
                    await ctx.tick()
                    if now:
                        break
                put(ctx, dut.gmii, txd=txd, tx_en=enable, tx_er=error)

    simulate(dut, bench)
    return seen


def test_bytes_at_any_speed_and_when_it_changes(rng: random.Random) -> None:
    speeds = [Speed.MBPS_1000, Speed.MBPS_100, Speed.MBPS_10, Speed.MBPS_1000, Speed.MBPS_1000, Speed.MBPS_100]
    frames = [[(rng.randrange(256), 1, int(rng.random() < 0.1)) for _ in range(rng.randrange(5, 30))] for _ in speeds]
    wanted = [
        frame if speed == Speed.MBPS_1000 else nibbles(frame) for speed, frame in zip(speeds, frames, strict=True)
    ]
    assert transmit(speeds, frames) == wanted


@pytest.mark.parametrize("speed", list(Speed))
def test_latency_back_to_back(rng: random.Random, speed: Speed) -> None:
    """Of a byte, from one GMII to the other; at the start only the delimiter tells where bytes begin."""
    m = Module()
    m.submodules.transmitter, m.submodules.receiver = transmitter, receiver = GmiiTransmitter(), GmiiReceiver()
    m.d.comb += [
        receiver.wires.rxd.eq(transmitter.wires.txd),
        receiver.wires.rx_dv.eq(transmitter.wires.tx_en),
        receiver.wires.rx_er.eq(transmitter.wires.tx_er),
        receiver.speed.eq(speed),
        transmitter.speed.eq(speed),
    ]
    data = [0x55] * 3 + [0xD5] + [rng.randrange(256) for _ in range(20)]
    given, got = [], []

    async def bench(ctx):
        clock, pending = 0, [None] * 3 + data + [None] * 4
        while pending:
            enable = ctx.get(transmitter.enable)
            if ctx.get(receiver.gmii.enable) and ctx.get(receiver.gmii.rx_dv):
                got.append((clock, ctx.get(receiver.gmii.rxd)))
            await ctx.tick()
            clock += 1
            if enable:
                byte = pending.pop(0)
                put(ctx, transmitter.gmii, tx_en=int(byte is not None), txd=byte or 0)
                if byte is not None:
                    given.append(clock)

    simulate(m, bench)
    assert [byte for _, byte in got] == data
    second = 0 if speed == Speed.MBPS_1000 else 1
    latency = GmiiTransmitter.latency + second + GmiiReceiver.latency
    assert {after - before for before, (after, _) in zip(given, got, strict=True)} == {latency}
