"""The mailbox of the host port: frames come out word by word as they went in, and the other way round."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from helpers.packet_bench import assert_refused, receive_packets, send_packets, simulate
from vtep.local.mailbox import HostMailbox

LONGEST = 200
WIDTHS = [8, 32, 64, 512]


class Registers:
    """What registers do with a mailbox."""

    def __init__(self, dut: HostMailbox, rng: random.Random) -> None:
        self.dut, self.rng = dut, rng

    async def strobe(self, ctx: Any, name: str) -> None:
        ctx.set(getattr(self.dut.host, name), 1)
        await ctx.tick()
        ctx.set(getattr(self.dut.host, name), 0)

    async def word(self, ctx: Any, index: int) -> bytes:
        ctx.set(self.dut.host.word, index)
        await self.strobe(ctx, "read")
        ctx.set(self.dut.host.word, self.rng.getrandbits(12))
        clocks = 1
        while ctx.get(self.dut.host.reading):
            await ctx.tick()
            clocks += 1
        assert clocks == 7
        return ctx.get(self.dut.host.data).to_bytes(4, "little")

    async def read(self, ctx: Any, take: bool = True) -> bytes:
        """The frame that waits, its words in any order."""
        length = ctx.get(self.dut.host.length)
        places = list(range(-(-length // 4)))
        words = {place: await self.word(ctx, place) for place in self.rng.sample(places, len(places))}
        if take:
            await self.strobe(ctx, "take")
        return b"".join(words[place] for place in places)[:length]

    async def append(self, ctx: Any, frame: bytes) -> None:
        for start in range(0, len(frame), 4):
            assert not ctx.get(self.dut.host.full)
            ctx.set(self.dut.host.append_data, int.from_bytes(frame[start : start + 4], "little"))
            await self.strobe(ctx, "append")
            ctx.set(self.dut.host.append_data, self.rng.getrandbits(32))

    async def send(self, ctx: Any, length: int) -> None:
        ctx.set(self.dut.host.send_length, length)
        await self.strobe(ctx, "send")
        ctx.set(self.dut.host.send_length, self.rng.getrandbits(14))

    async def sent(self, ctx: Any) -> None:
        while ctx.get(self.dut.host.sending):
            await ctx.tick()


@pytest.mark.parametrize("data_width", WIDTHS)
def test_reads_what_came(rng: random.Random, data_width: int) -> None:
    dut = HostMailbox(data_width, max_frame_length=LONGEST)
    registers = Registers(dut, rng)
    frames = [rng.randbytes(length) for length in (60, 61, 62, 63, 64, LONGEST, LONGEST - 1, 1, 14)]
    found = []

    async def host(ctx: Any) -> None:
        for frame in frames:
            await send_packets(ctx, dut.i, [frame], rng=rng, idle=0.2)
            for _ in range(3):
                await ctx.tick()
            assert ctx.get(dut.host.received)
            again = await registers.read(ctx, take=False)
            found.append(await registers.read(ctx))
            assert again == found[-1]
            await ctx.tick()
            assert not ctx.get(dut.host.received)

    simulate(dut, host)
    assert found == frames


@pytest.mark.parametrize("data_width", WIDTHS)
def test_never_holds_up_and_drops_what_finds_no_room(rng: random.Random, data_width: int) -> None:
    dut = HostMailbox(data_width, max_frame_length=LONGEST)
    registers = Registers(dut, rng)
    frames = [rng.randbytes(LONGEST) for _ in range(8)]
    dropped = []
    found = []

    async def source(ctx: Any) -> None:
        await send_packets(ctx, dut.i, [*frames, (rng.randbytes(60), True)], rng=rng)
        await ctx.tick().repeat(5)
        while ctx.get(dut.host.received):
            found.append(await registers.read(ctx))
            await ctx.tick()

    async def watch(ctx: Any) -> None:
        async for *_, ready, no_room, marked in ctx.tick().sample(dut.i.ready, dut.no_room, dut.marked):
            assert ready
            dropped.append((no_room, marked))

    simulate(dut, source, background=[watch])
    lost = sum(no_room for no_room, _ in dropped)
    assert found == frames[: len(found)]
    assert 2 <= len(found) == len(frames) - lost
    assert sum(marked for _, marked in dropped) == 1


@pytest.mark.parametrize("data_width", WIDTHS)
def test_sends_what_is_written(rng: random.Random, data_width: int) -> None:
    dut = HostMailbox(data_width, max_frame_length=LONGEST)
    registers = Registers(dut, rng)
    frames = [rng.randbytes(length) for length in (1, 2, 3, 4, 5, 60, 61, 62, 63, 64, LONGEST, LONGEST - 1)]
    received = []

    async def host(ctx: Any) -> None:
        for frame in frames:
            if rng.random() < 0.3:  # what is forgotten leaves no trace
                await registers.append(ctx, rng.randbytes(rng.randrange(1, LONGEST)))
                await registers.send(ctx, 0)
                assert not ctx.get(dut.host.sending)
                assert not ctx.get(dut.host.written)
            await registers.append(ctx, frame)
            assert ctx.get(dut.host.written) == -(-len(frame) // 4)
            assert ctx.get(dut.host.full) == (len(frame) > LONGEST - 4)
            await registers.send(ctx, len(frame))
            assert ctx.get(dut.host.sending)
            await registers.sent(ctx)

    async def sink(ctx: Any) -> None:
        received.extend(await receive_packets(ctx, dut.o, len(frames), rng=rng, stall=0.3))

    simulate(dut, host, sink)
    assert received == [(frame, False) for frame in frames]


def test_resets_at_any_time(rng: random.Random) -> None:
    """A frame behind a reset is whole, whatever was under way on either side."""
    dut = HostMailbox(32, max_frame_length=LONGEST)
    registers = Registers(dut, rng)
    reset = Signal()
    m = Module()
    m.submodules.dut = ResetInserter(reset)(dut)
    seen: list[tuple[bytes, bytes]] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        for _ in range(60):
            came, gone = rng.randbytes(rng.randrange(1, LONGEST)), rng.randbytes(rng.randrange(1, LONGEST))
            # Broken off somewhere.
            ctx.set(dut.i.valid, 1)
            await ctx.tick().repeat(rng.randrange(1, 9))
            ctx.set(dut.i.valid, 0)
            await registers.append(ctx, gone)
            await registers.send(ctx, len(gone))
            ctx.set(dut.host.read, 1)
            await ctx.tick().repeat(rng.randrange(1, 12))
            ctx.set(dut.host.read, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            assert (
                not ctx.get(dut.host.received)
                | ctx.get(dut.host.sending)
                | ctx.get(dut.host.reading)
                | ctx.get(dut.host.written)
            )
            await send_packets(ctx, dut.i, [came], rng=rng)
            await ctx.tick().repeat(3)
            seen.append((came, await registers.read(ctx)))
            await registers.append(ctx, gone)
            await registers.send(ctx, len(gone))
            content = bytearray()
            while ctx.get(dut.host.sending):
                *_, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
                if valid:
                    content += payload.data.to_bytes(4, "little")[: 4 - payload.empty]
            seen.append((gone, bytes(content)))

    simulate(m, bench)
    assert all(wanted == found for wanted, found in seen)


@pytest.mark.parametrize("length", [127, 16384])
def test_refuses(length: int) -> None:
    assert_refused("max_frame_length must be", HostMailbox, 32, max_frame_length=length)
    assert_refused("data_width must be one of", HostMailbox, 24)
