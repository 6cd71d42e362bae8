"""Runs a `LocalStack` on frames, and tells what it answered and which events there were."""

import random
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Module, Signal, Value

from helpers.packet_bench import StreamRules, simulate, to_beats
from vtep.local.neighbors import Neighbor, Place
from vtep.local.stack import LocalStack, events_layout

MAC = "02:00:00:00:00:01"
IPV4 = "192.0.2.1"
IPV6 = "2001:db8::1"
PEER = "02:00:00:00:00:02"
PEER4 = "192.0.2.2"
PEER6 = "2001:db8::2"

FINAL = ("arp_reply", "neighbor_advertisement", "echo_reply", "ignored", "malformed", "checksum")
CLOCKS_A_TICK = 400
EVENTS = [name for name, _ in events_layout()]


def number(address: str) -> int:
    if address.count(":") == 5 and "::" not in address:
        return int(address.replace(":", ""), 16)
    return int(ip_address(address))


def neighbor(address: str, vlan: int = 0) -> Neighbor:
    parsed = ip_address(address)
    return Neighbor(int(parsed), parsed.version, vlan)


class Answer(NamedTuple):
    frames: list[bytes]
    events: Counter[str]

    @property
    def only(self) -> bytes:
        (frame,) = self.frames
        return frame


class Stack:
    """A stack in a simulation; the methods are for its test bench, and all that leaves is kept in ``sent``."""

    def __init__(self, rng: random.Random, data_width: int = 64, *, stall: float = 0.0, idle: float = 0.0, **options):
        options = {"clock_frequency": 4 * CLOCKS_A_TICK, "max_frame_length": 1518} | options
        self.dut = LocalStack(data_width, **options)
        self.rng, self.stall, self.idle = rng, stall, idle
        self.sent: list[bytes] = []
        self.times: list[int] = []
        self.events: Counter[str] = Counter()
        self.published: list[tuple[int, int, int]] = []
        self.clock = 0
        self.done = 0  # frames
        self.quiet = 0  # clocks since a beat left

    def run(self, bench: Any, own: dict[str, int] | None = None) -> None:
        """Run ``bench`` in a simulation, with all own addresses unless told otherwise."""
        addresses = {"mac": number(MAC), "ipv4": number(IPV4), "ipv6": number(IPV6)} if own is None else own

        async def main(ctx):
            ctx.set(self.dut.own, addresses)
            await bench(ctx)

        design, seen = self._seen()

        async def watch(ctx):
            await self._watch(ctx, seen)

        simulate(design, main, background=[watch])

    def _seen(self) -> tuple[Module, Signal]:
        """The design, and all that is watched as one number: what is 0 while nothing happens is lowest."""
        dut = self.dut
        parts = [~dut.i.ready, dut._intake.take, dut.publish, dut.events, dut.o.valid, dut.o.payload, dut.publication]
        together = Cat(Value.cast(part) for part in parts)
        seen = Signal(len(together))
        m = Module()
        m.submodules.dut = dut
        m.d.comb += seen.eq(together)
        return m, seen

    async def _watch(self, ctx, seen: Signal):
        dut = self.dut
        layout = dut.o.payload.shape()
        lanes = layout["data"].width // 8
        rules = StreamRules(layout)
        content = bytearray()
        ready = 1
        happens = (1 << 4 + len(EVENTS)) - 1
        ctx.set(dut.o.ready, 1)
        async for _, _, now in ctx.tick().sample(seen):
            self.clock += 1
            self.quiet += 1
            if now & happens:
                assert not now & 1, "the input was held up"
                self.done += now >> 1 & 1
                self.events.update(name for i, name in enumerate(EVENTS) if now >> 3 + i & 1)
                rest = now >> 4 + len(EVENTS)
                payload = rest & ((1 << layout.size) - 1)
                if now >> 2 & 1:
                    known = dut.publication.shape().from_bits(rest >> layout.size)
                    self.published.append((known.index, known.usable, known.mac))
                valid = now >> 3 + len(EVENTS) & 1
                rules.check(valid, ready, payload)
                if valid and ready:
                    self.quiet = 0
                    beat = layout.from_bits(payload)
                    assert not (beat.last and beat.error)
                    content += beat.data.to_bytes(lanes, "little")[: lanes - beat.empty]
                    if beat.last:
                        self.sent.append(bytes(content))
                        self.times.append(self.clock)
                        content.clear()
            else:
                assert rules.waiting is None, "valid fell before the beat was taken"
            if self.stall:
                ready = int(self.rng.random() >= self.stall)
                ctx.set(dut.o.ready, ready)

    async def send(self, ctx, frame: bytes, *, error: bool = False) -> None:
        dut = self.dut
        for beat in to_beats((frame, error), dut.i.payload.shape(), self.rng):
            while self.idle and self.rng.random() < self.idle:
                await ctx.tick()
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload, beat)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)

    async def ask(self, ctx, frame: bytes) -> Answer:
        """Send a frame and wait until it is done with."""
        before, sent, events = self.done, len(self.sent), self.events.copy()
        await self.send(ctx, bytes(frame))
        await self.settle(ctx, before + 1)
        return Answer(self.sent[sent:], self.events - events)

    async def settle(self, ctx, done: int, timeout: int = 60_000) -> None:
        """Wait until ``done`` frames are done with and all has left."""
        for _ in range(timeout):
            if self.done >= done:
                break
            await ctx.tick()
        else:
            raise AssertionError(f"a frame is not done with after {timeout} clocks")
        await ctx.tick().repeat(26)
        while self.quiet < 8 or (self.stall and self.quiet < 100):
            await ctx.tick()

    async def write(self, ctx, index: int, content: bytes, start: int = 0) -> None:
        """Write bytes of an entry."""
        dut = self.dut
        for place, octet in enumerate(content, start):
            ctx.set(dut.write.payload, {"index": index, "place": place, "data": octet})
            ctx.set(dut.write.valid, 1)
            while True:
                *_, ready = await ctx.tick().sample(dut.write.ready)
                if ready:
                    break
        ctx.set(dut.write.valid, 0)

    async def read(self, ctx, index: int, place: int, count: int = 1) -> bytes:
        dut = self.dut
        content = []
        for i in range(count):
            ctx.set(dut.read, 1)
            ctx.set(dut.read_index, index)
            ctx.set(dut.read_place, place + i)
            await ctx.tick()
            ctx.set(dut.read, 0)
            ctx.set(dut.read_place, self.rng.getrandbits(5))
            await ctx.tick()
            content.append(ctx.get(dut.read_data))
        return bytes(content)

    async def state(self, ctx, index: int = 0) -> int:
        return (await self.read(ctx, index, Place.STATE))[0]

    async def ticks(self, ctx, count: float) -> None:
        await ctx.tick().repeat(int(count * CLOCKS_A_TICK))


def answers(rng: random.Random, frames: Iterable[bytes], *, own=None, **options) -> list[Answer]:
    """What a stack makes of each frame, one after the other."""
    stack = Stack(rng, **options)
    found: list[Answer] = []

    async def bench(ctx):
        found.extend([await stack.ask(ctx, bytes(frame)) for frame in frames])

    stack.run(bench, own)
    return found
