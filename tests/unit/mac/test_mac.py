"""Two MACs back to back, each with its own clocks."""

import random

import pytest
from amaranth.hdl import ClockDomain, DomainRenamer, Module

from helpers.order import is_part
from helpers.packet_bench import (
    assert_refused,
    random_packets,
    receive_packets,
    send_packets,
    simulate_clocks,
    to_beats,
)
from vtep.mac.mac import Mac

BYTE = 8e-9


class Pair:
    """MAC "a" transmits to MAC "b"; "b" receives with the clock that "a" transmits with."""

    def __init__(self, data_width: int, rng: random.Random, *, core: float = 1.0, line: float = 1.0, **options) -> None:
        self.m = m = Module()
        self.rng = rng
        self.periods = {"a": BYTE * core, "b": BYTE * core * 1.0002, "line": BYTE * line, "back": BYTE * line}
        self.domains = {name: ClockDomain(name) for name in self.periods}
        m.domains += self.domains.values()
        self.a, self.b = Mac(data_width, **options), Mac(data_width, **options)
        m.submodules.a = DomainRenamer({"sync": "a", "tx": "line", "rx": "back"})(self.a)
        m.submodules.b = DomainRenamer({"sync": "b", "rx": "line", "tx": "back"})(self.b)
        m.d.comb += [self.a.enable.eq(1), self.b.enable.eq(1), self.b.gmii_rx.enable.eq(1)]
        m.d.comb += [
            self.b.gmii_rx.rxd.eq(self.a.gmii_tx.txd),
            self.b.gmii_rx.rx_dv.eq(self.a.gmii_tx.tx_en),
            self.b.gmii_rx.rx_er.eq(self.a.gmii_tx.tx_er),
        ]

    def run(self, *benches, background=()) -> None:
        simulate_clocks(self.m, self.periods, *benches, rng=self.rng, background=background)


def padded(packet: bytes) -> bytes:
    return packet.ljust(60, b"\0")


NARROW, SLOW = (pytest.param(*one, marks=pytest.mark.full) for one in ((16, 1.0), (64, 1.0)))


@pytest.mark.parametrize(("data_width", "core"), [(8, 1.0), NARROW, (32, 2.0), (64, 4.0), SLOW])
def test_frames_from_one_to_the_other(rng: random.Random, data_width: int, core: float) -> None:
    pair = Pair(data_width, rng, core=core, max_frame_length=300)
    sent = random_packets(rng, 25, lanes=data_width // 8, longest=300, errors=0.2)
    receptions, other = [], []

    async def source(ctx):
        await send_packets(ctx, pair.a.i, sent, rng=rng, idle=0.1, domain="a")

    async def sink(ctx):
        received = await receive_packets(ctx, pair.b.o, len(sent), rng=rng, domain="b")
        assert received == [(padded(packet), error) for packet, error in sent]

    async def watch(ctx):
        b = pair.b
        async for _, _, received, reception, false in ctx.tick("line").sample(b.received, b.reception, b.false_carrier):
            if received:
                receptions.append((reception.length, reception.fcs_error, reception.dropped))
            other.append(false)

    async def watch_sender(ctx):
        async for _, _, underrun in ctx.tick("line").sample(pair.a.underrun):
            other.append(underrun)

    pair.run(source, sink, background=[watch, watch_sender])
    assert receptions == [(len(padded(packet)) + 4, int(error), 0) for packet, error in sent]
    assert not any(other)


def test_the_line_is_full(rng: random.Random) -> None:
    """Frames of the least and other lengths leave with the gap between them and nothing more, whatever the clocks."""
    pair = Pair(32, rng, core=3.9, max_frame_length=1518)
    sent = [rng.randbytes(length) for length in [60] * 20 + [61, 100, 700, 60, 60]]
    gaps, quiet, before = [], [0], [0]

    async def source(ctx):
        await send_packets(ctx, pair.a.i, sent, rng=rng, domain="a")

    async def sink(ctx):
        received = await receive_packets(ctx, pair.b.o, len(sent), rng=rng, domain="b")
        assert received == [(packet, False) for packet in sent]

    async def watch(ctx):
        async for _, _, enable in ctx.tick("line").sample(pair.a.gmii_tx.tx_en):
            if enable and not before[0]:
                gaps.append(quiet[0])
            quiet[0] = 0 if enable else quiet[0] + 1
            before[0] = enable

    pair.run(source, sink, background=[watch])
    assert len(gaps) == len(sent)
    # A large frame behind a small one has to be there as a whole first.
    assert gaps[1:20] == [12] * 19


def test_what_finds_no_room_is_dropped_whole_and_told(rng: random.Random) -> None:
    pair = Pair(8, rng, max_frame_length=128, buffer_bytes=256)
    sent = [bytes([number]) * 100 for number in range(30)]
    dropped, received = [], []

    async def source(ctx):
        await send_packets(ctx, pair.a.i, sent, rng=rng, domain="a")
        await ctx.delay(3e-6)

    async def sink(ctx):
        while True:
            received.extend(await receive_packets(ctx, pair.b.o, 1, rng=rng, stall=0.8, domain="b"))

    async def watch(ctx):
        async for _, _, told, reception in ctx.tick("line").sample(pair.b.received, pair.b.reception):
            if told:
                dropped.append(reception.dropped)

    pair.run(source, background=[sink, watch])
    assert len(dropped) == len(sent)
    kept = [packet for packet, drop in zip(sent, dropped, strict=True) if not drop]
    assert 3 < len(kept) < 25
    assert received == [(packet, False) for packet in kept][: len(received)]
    assert len(kept) - len(received) <= 3


@pytest.mark.parametrize("side", [pytest.param("a", marks=pytest.mark.full), "b", "line"])
def test_resets_cut_nothing(rng: random.Random, side: str) -> None:
    """Whatever of the three domains is reset: each frame arrives whole, or not at all, or marked."""
    pair = Pair(32, rng, core=2.0, max_frame_length=300)
    sent = [bytes([number]) * rng.randrange(60, 200) for number in range(100)]
    received = []

    async def source(ctx):
        i = pair.a.i
        for packet in sent:
            for beat in to_beats(packet, i.payload.shape(), rng):
                ctx.set(i.payload, beat)
                ready = reset = 0
                while not ready and not reset:
                    ctx.set(i.valid, 1)
                    _, reset, ready = await ctx.tick("a").sample(i.ready)
                    ctx.set(i.valid, 0)
                if reset:  # so is the source, and goes on with another frame
                    break
        await ctx.delay(5e-6)

    async def sink(ctx):
        content = bytearray()
        ctx.set(pair.b.o.ready, 1)
        layout = pair.b.o.payload.shape()
        async for _, reset, valid, payload in ctx.tick("b").sample(pair.b.o.valid, pair.b.o.payload.as_value()):
            if reset:
                content.clear()
            elif valid:
                beat = layout.from_bits(payload)
                content += beat.data.to_bytes(4, "little")[: 4 - beat.empty]
                if beat.last:
                    received.append((bytes(content), beat.error))
                    content.clear()

    async def resets(ctx):
        while True:
            await ctx.delay(rng.random() * 6e-6)
            ctx.set(pair.domains[side].rst, 1)
            await ctx.delay(max(pair.periods.values()) * rng.randrange(1, 4))
            ctx.set(pair.domains[side].rst, 0)

    pair.run(source, background=[sink, resets])
    good = [packet for packet, error in received if not error]
    assert len(good) > 20
    assert is_part(good, sent)
    assert len(good) < len(sent)


def test_refuses() -> None:
    assert_refused("data_width must be one of", Mac, 24)
    assert_refused("max_frame_length must be an integer within", Mac, 8, max_frame_length=64)
    assert_refused("depth must be an integer within", Mac, 8, buffer_bytes=1 << 20)
