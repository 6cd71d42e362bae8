"""What is broken, cut or made up is never answered, and never keeps what comes next from its answer."""

import random

import pytest
from amaranth.hdl import Module, ResetInserter, Signal

from helpers.local_bench import FINAL, IPV4, IPV6, MAC, PEER, PEER4, PEER6, Stack, neighbor, number
from helpers.octets import ones_sum
from helpers.order import is_part
from helpers.packet_bench import simulate, to_beats
from vtep.local.intake import FrameIntake

MAC_US, MAC_PEER = bytes.fromhex(MAC.replace(":", "")), bytes.fromhex(PEER.replace(":", ""))
US4, THEM4 = number(IPV4).to_bytes(4, "big"), number(PEER4).to_bytes(4, "big")
US6, THEM6 = number(IPV6).to_bytes(16, "big"), number(PEER6).to_bytes(16, "big")


def summed(message: bytes, pseudo: bytes = b"") -> bytes:
    """The message with its checksum in bytes 2 and 3."""
    return message[:2] + (0xFFFF - ones_sum(pseudo + message)).to_bytes(2, "big") + message[4:]


def arp() -> bytes:
    return b"\xff" * 6 + MAC_PEER + bytes.fromhex("0806 0001 0800 0604 0001") + MAC_PEER + THEM4 + bytes(6) + US4


def ping(data: bytes = b"abcde", *, length: int | None = None) -> bytes:
    """A ping whose total length may lie; all checksums are right for what it says."""
    total = 28 + len(data) if length is None else length
    head = b"\x45\0" + total.to_bytes(2, "big") + bytes.fromhex("0000 4000 4001 0000") + THEM4 + US4
    head = head[:10] + (0xFFFF - ones_sum(head)).to_bytes(2, "big") + head[12:]
    message = bytes.fromhex("0800 0000 1234 0001") + data
    said = (message + bytes(max(0, total)))[: max(0, total - 20)]
    message = message[:2] + (0xFFFF - ones_sum(said)).to_bytes(2, "big") + message[4:]
    return MAC_US + MAC_PEER + b"\x08\x00" + head + message


def ipv6(message: bytes, destination: bytes = US6, *, length: int | None = None, hops: int = 255) -> bytes:
    said = len(message) if length is None else length
    pseudo = THEM6 + destination + said.to_bytes(4, "big") + b"\0\0\0\x3a"
    summed_message = summed((message + bytes(said))[:said] if said >= 4 else message, pseudo)
    message = summed_message[:4] + message[4:] if said >= 4 else message
    return (
        MAC_US + MAC_PEER + b"\x86\xdd\x60\0\0\0" + said.to_bytes(2, "big") + bytes([58, hops]) + THEM6 + destination
    ) + message


def ping6(data: bytes = b"abcde", *, length: int | None = None) -> bytes:
    return ipv6(bytes.fromhex("8000 0000 1234 0001") + data, length=length)


def solicit(length: int | None = None) -> bytes:
    return ipv6(b"\x87" + bytes(7) + US6 + b"\x01\x01" + MAC_PEER, length=length)


def advertise(length: int | None = None) -> bytes:
    return ipv6(b"\x88\0\0\0\x60\0\0\0" + THEM6 + b"\x02\x01" + MAC_PEER, length=length)


def tagged(frame: bytes) -> bytes:
    return frame[:12] + b"\x81\x00\x00\x05" + frame[12:]


WHOLE = {"arp": arp, "ping": ping, "ping6": ping6, "solicit": solicit, "advertise": advertise}
ANSWERS = ("arp_reply", "echo_reply", "neighbor_advertisement", "resolved", "confirmed")


async def still_answers(ctx, stack: Stack) -> None:
    sent = await stack.ask(ctx, arp())
    assert dict(sent.events) == {"arp_reply": 1}
    assert sent.only == MAC_PEER + MAC_US + arp()[12:20] + b"\0\2" + MAC_US + US4 + MAC_PEER + THEM4


def run(rng: random.Random, frames: list[tuple[str, bytes]], **options) -> list[dict[str, int]]:
    """Events of each frame; what is not answered sends nothing, and each is told of once."""
    stack = Stack(rng, neighbors=1, clock_frequency=400_000_000, **options)
    events = []

    async def bench(ctx):
        await ctx.tick().repeat(450)
        for what, frame in frames:
            answer = await stack.ask(ctx, frame)
            events.append(dict(answer.events))
            assert sum(answer.events.values()) == 1, (what, answer.events)
            replies = sum(answer.events[name] for name in ANSWERS[:3])
            assert len(answer.frames) == replies, what
        await still_answers(ctx, stack)

    stack.run(bench)
    return events


@pytest.mark.parametrize("kind", WHOLE)
def test_headers_cut_at_every_byte(rng: random.Random, kind: str, full: bool) -> None:
    """Nothing but the whole frame is answered; what is behind it in the buffer are other frames' bytes."""
    whole = WHOLE[kind]()
    places = list(range(1, len(whole)))
    if not full:
        places = sorted({*rng.sample(places, 8), 1, 5, 6, 12, 13, 14, len(whole) - 1})
    cases = [(f"{kind} cut to {place}", frame[:place]) for frame in (whole,) for place in places]
    if full:
        cases += [(f"tagged {kind} cut to {place}", tagged(whole)[:place]) for place in range(1, len(whole) + 4)]
    # In front of some the whole one, so that the rest of the buffer is not empty.
    frames = [case for i, cut in enumerate(cases) for case in ((kind, whole), cut)[i % 4 != 0 :]]
    events = run(rng, frames, initial=[neighbor(PEER6)], buffer_bytes=2048)
    for (what, frame), told in zip(frames, events, strict=True):
        if what == kind:
            assert set(told) <= set(ANSWERS), told
        else:
            # Without its destination a frame may be for another.
            assert told == {"malformed": 1} or (len(frame) < 6 and told == {"ignored": 1}), (what, told)


@pytest.mark.parametrize("kind", ["ping", "ping6", "solicit", "advertise"])
def test_lengths_that_lie(rng: random.Random, kind: str, full: bool) -> None:
    """With checksums that are right for what they say: what is beyond the frame, or too short, is not answered."""
    make = {"ping": ping, "ping6": ping6, "solicit": solicit, "advertise": advertise}[kind]
    whole = len(make()) - 14 - (0 if kind == "ping" else 40)
    least = {"ping": 28, "ping6": 8, "solicit": 24, "advertise": 24}[kind]
    lengths = [*range(whole + 3), 255, 256, 1500, 0x3FFF, 0x4000, 0x4000 + whole, 0x8000 + whole, 0xFFFF]
    if not full:
        near = {0, 1, least - 1, least, whole - 1, whole, whole + 1, 0x4000 + whole, 0xFFFF}
        lengths = sorted(near | set(rng.sample(lengths, 8)))
    frames = [(f"{kind} of {length}", make(length=length)) for length in lengths]
    options = {"solicit": {24, 32}, "advertise": {24, 32}}
    for (what, _), length, told in zip(
        frames, lengths, run(rng, frames, initial=[neighbor(PEER6)], buffer_bytes=2048), strict=True
    ):
        right = least <= length <= whole and length in options.get(kind, {length})
        if right and not (kind == "advertise" and length == 24):
            assert set(told) <= set(ANSWERS), (what, told)
        else:
            assert set(told) <= {"malformed", "ignored", "checksum", "confirmed"}, (what, told)


def test_random_frames(rng: random.Random, full: bool) -> None:
    """Real frames with bytes changed, cut or put in, and noise."""
    frames = []
    for _ in range(600 if full else 30):
        frame = bytearray(rng.choice(list(WHOLE.values()))())
        if rng.random() < 0.3:
            frame = bytearray(tagged(bytes(frame)))
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            frame[rng.randrange(len(frame))] = rng.choice(
                (0, 1, 0x3A, 0x45, 0x60, 0x80, 0x81, 0xFF, rng.getrandbits(8))
            )
        if rng.random() < 0.2:
            del frame[rng.randrange(1, len(frame)) :]
        if rng.random() < 0.1:
            place = rng.randrange(len(frame))
            frame[place:place] = rng.randbytes(rng.randint(1, 40))
        if rng.random() < 0.05:
            frame = bytearray(rng.randbytes(rng.randint(1, 200)))
        frames.append(bytes(frame))
    stack = Stack(rng, neighbors=2, initial=[neighbor(PEER4), neighbor(PEER6)], idle=0.1, stall=0.2)

    async def bench(ctx):
        for frame in frames:
            answer = await stack.ask(ctx, frame)
            assert sum(answer.events[name] for name in (*FINAL, "resolved", "confirmed")) in (1, 2), frame.hex()
        await stack.ask(ctx, arp())

    stack.run(bench)
    own = [frame for frame in stack.sent if frame[6:12] == MAC_US]
    assert len(own) == len(stack.sent)
    assert stack.events["arp_reply"] >= 1


def test_a_reset_in_the_middle(rng: random.Random, full: bool) -> None:
    """Of a frame that comes, that is worked on, and that leaves."""
    stack = Stack(rng, data_width=8, neighbors=1, initial=[neighbor(PEER4)], clock_frequency=400_000_000)
    dut = stack.dut
    reset = Signal()
    m = Module()
    m.submodules.dut = ResetInserter(reset)(dut)
    clocks = range(1, 420, 7) if full else sorted(rng.sample(range(1, 420), 6))
    layout = dut.o.payload.shape()

    async def bench(ctx):
        ctx.set(dut.own, {"mac": number(MAC), "ipv4": number(IPV4), "ipv6": number(IPV6)})
        ctx.set(dut.o.ready, 1)
        for count in clocks:
            beats = list(to_beats(ping(), dut.i.payload.shape(), rng))
            for clock in range(count):
                if clock < len(beats):
                    ctx.set(dut.i.payload, beats[clock])
                ctx.set(dut.i.valid, clock < len(beats))
                await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            frames, content = [], bytearray()
            for clock in range(900):
                beat = beats[clock - 300] if 300 <= clock < 300 + len(beats) else None
                if beat:
                    ctx.set(dut.i.payload, beat)
                ctx.set(dut.i.valid, beat is not None)
                *_, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload.as_value())
                if valid:
                    content.append(layout.from_bits(payload).data)
                    if layout.from_bits(payload).last:
                        frames.append(bytes(content))
                        content.clear()
            assert not content
            assert [frame[12:14] for frame in frames] == [b"\x08\x06", b"\x08\x00"], count
            assert frames[0][38:] == THEM4
            assert frames[1][34] == 0

    simulate(m, bench)


@pytest.mark.parametrize("data_width", [8, 64, 512])
def test_the_intake_keeps_whole_frames(rng: random.Random, data_width: int) -> None:
    """Frames are read at random while others come; what was kept is whole, in order, and told of."""
    lanes = data_width // 8
    dut = FrameIntake(data_width, max(8, 256 // lanes))
    frames = [
        (rng.randbytes(rng.choice((1, lanes, lanes + 1, rng.randint(1, 120)))), rng.random() < 0.1) for _ in range(150)
    ]
    kept: list[bytes] = []
    told = {"no_room": 0, "marked": 0}
    over = []

    async def source(ctx):
        for frame, error in frames:
            for beat in to_beats((frame, error), dut.i.payload.shape(), rng):
                ctx.set(dut.i.valid, 1)
                ctx.set(dut.i.payload, beat)
                await ctx.tick()
                ctx.set(dut.i.valid, 0)
            while rng.random() < 0.5:
                await ctx.tick()
        await ctx.tick().repeat(5)
        over.append(True)

    async def reader(ctx):
        while not over or ctx.get(dut.valid):
            await ctx.tick()
            if not ctx.get(dut.valid):
                continue
            content = bytearray()
            for place in range(ctx.get(dut.last_place) + 1):
                ctx.set(dut.place, place)
                await ctx.tick().repeat(2)
                content.append(ctx.get(dut.byte))
            kept.append(bytes(content))
            ctx.set(dut.take, 1)
            await ctx.tick()
            ctx.set(dut.take, 0)

    async def watch(ctx):
        async for _, _, no_room, marked, ready in ctx.tick().sample(dut.no_room, dut.marked, dut.i.ready):
            assert ready
            told["no_room"] += no_room
            told["marked"] += marked

    simulate(dut, source, reader, background=[watch])
    good = [frame for frame, error in frames if not error]
    assert told == {"no_room": len(good) - len(kept), "marked": len(frames) - len(good)}
    assert told["no_room"]
    assert kept
    assert is_part(kept, good)
