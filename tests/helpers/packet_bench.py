"""Driving and receiving packet streams in Amaranth's simulator, with random pauses, while their rules are checked.

The functions run in asynchronous test benches and take their random generator from the test (fixture ``rng``, which
prints its seed), so that one seed repeats everything. Packets are bytes in the order of the wire.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from amaranth.hdl import ClockDomain, Module, Value
from amaranth.lib import data
from amaranth.sim import Simulator

from helpers.collisions import with_bad_collisions

TIMEOUT = 20_000
"""Clocks without any transfer after which a bench gives up."""


class Packet(NamedTuple):
    """What `send_packets` takes besides plain bytes. ``length`` is what the length field says, None for the truth."""

    data: bytes
    error: bool = False
    length: int | None = None


class StreamRules:
    """The rules of a packet stream, held against what was seen in one clock after the other."""

    def __init__(self, layout: data.StructLayout) -> None:
        self.layout = layout
        self.waiting: int | None = None
        self.clock = 0

    def check(self, valid: int, ready: int, payload: int) -> None:
        """Raise AssertionError if this clock breaks a rule."""
        self.clock += 1
        where = f"in clock {self.clock} of this watch"
        if self.waiting is not None:
            assert valid, f"valid fell before the beat was taken, {where}"
            assert payload == self.waiting, (
                f"payload {self.waiting:#x} became {payload:#x} before it was taken, {where}"
            )
        self.waiting = payload if valid and not ready else None
        if valid:
            beat = self.layout.from_bits(payload)
            assert beat.last or not beat.empty, f"{beat.empty} empty lanes on a beat that is not the last, {where}"


def to_beats(packet: bytes | tuple, layout: data.StructLayout, rng: random.Random) -> Iterator[dict[str, int]]:
    """Cut a packet into payloads of ``layout``, with rubbish wherever the rules leave a field unspecified."""
    content, error, length = Packet(*packet) if isinstance(packet, tuple) else Packet(packet)
    assert content, "a packet has at least one byte"
    lanes = layout["data"].width // 8
    for start in range(0, len(content), lanes):
        chunk = content[start : start + lanes]
        last = start + lanes >= len(content)
        beat = {
            "data": int.from_bytes(chunk + rng.randbytes(lanes - len(chunk)), "little"),
            "empty": lanes - len(chunk),
            "last": int(last),
            "error": int(error) if last else rng.getrandbits(1),
        }
        if "length" in dict(layout):
            first_length = len(content) if length is None else length
            beat["length"] = rng.getrandbits(layout["length"].width) if start else first_length
        yield beat


async def send_packets(
    ctx: Any,
    stream: Any,
    packets: Iterable[bytes | tuple],
    *,
    rng: random.Random,
    idle: float = 0.0,
    timeout: int = TIMEOUT,
    domain: str = "sync",
) -> None:
    """Send packets into ``stream``: bytes, or tuples of the fields of `Packet`.

    In front of each beat every clock is an idle one with probability ``idle``; with 0 there is no clock without
    ``valid`` from the first beat to the last.
    """
    layout = stream.payload.shape()
    for packet in packets:
        for beat in to_beats(packet, layout, rng):
            while rng.random() < idle:
                ctx.set(stream.valid, 0)
                ctx.set(Value.cast(stream.payload), rng.getrandbits(layout.size))
                await ctx.tick(domain)
            ctx.set(stream.valid, 1)
            ctx.set(stream.payload, beat)
            for _ in range(timeout):
                *_, ready = await ctx.tick(domain).sample(stream.ready)
                if ready:
                    break
            else:
                raise AssertionError(f"ready stayed low for {timeout} clocks")
    ctx.set(stream.valid, 0)


async def receive_packets(
    ctx: Any,
    stream: Any,
    count_or_until: int | Callable[[], bool],
    *,
    rng: random.Random,
    stall: float = 0.0,
    timeout: int = TIMEOUT,
    clocks: list[int] | None = None,
    domain: str = "sync",
) -> list[tuple[bytes, bool]]:
    """Receive packets from ``stream`` and check its rules; return their bytes and ``error``.

    It ends with the last beat of the ``count``-th packet or, given a function, in the first clock between two packets
    in which that returns true. In every clock ``ready`` is low with probability ``stall``; with any stall, it is also
    kept low at times until ``valid`` rises, which must not wait for it. ``clocks`` takes the number of the clock,
    counted from the call, of each beat.
    """
    until = count_or_until if callable(count_or_until) else None
    layout = stream.payload.shape()
    lanes = layout["data"].width // 8
    rules = StreamRules(layout)
    packets: list[tuple[bytes, bool]] = []
    content = bytearray()
    quiet = 0
    hold = False
    while content or not (until() if until else len(packets) >= count_or_until):
        hold = hold or rng.random() < stall / 8
        ready = int(not hold and rng.random() >= stall)
        ctx.set(stream.ready, ready)
        *_, reset, valid, payload = await ctx.tick(domain).sample(stream.valid, Value.cast(stream.payload))
        assert not reset, "reset while receiving"
        rules.check(valid, ready, payload)
        hold = hold and not valid
        quiet += 1
        assert quiet < timeout, f"no beat for {timeout} clocks, after {len(packets)} packets and {len(content)} bytes"
        if valid and ready:
            quiet = 0
            beat = layout.from_bits(payload)
            content += beat.data.to_bytes(lanes, "little")[: lanes - beat.empty]
            if clocks is not None:
                clocks.append(rules.clock - 1)
            if beat.last:
                packets.append((bytes(content), bool(beat.error)))
                content.clear()
    ctx.set(stream.ready, 0)
    return packets


async def watch_packets(ctx: Any, stream: Any) -> None:
    """Check the rules of a stream inside a design for ever: for `Simulator.add_testbench` with ``background``."""
    rules = StreamRules(stream.payload.shape())
    async for _, reset, *seen in ctx.tick().sample(stream.valid, stream.ready, Value.cast(stream.payload)):
        if reset:
            rules.waiting = None
        else:
            rules.check(*seen)


def random_packets(
    rng: random.Random, count: int, *, lanes: int, longest: int = 300, errors: float = 0.1
) -> list[tuple[bytes, bool]]:
    """Make packets, many with lengths around multiples of ``lanes``, some marked bad."""
    packets = []
    for _ in range(count):
        around = rng.randint(0, max(1, longest // lanes)) * lanes + rng.randint(-1, 1)
        length = rng.choice((1, around, around, rng.randint(1, longest)))
        packets.append((rng.randbytes(min(max(length, 1), longest)), rng.random() < errors))
    return packets


def simulate(design: Any, *benches: Callable, background: Iterable[Callable] = (), period: float = 1e-6) -> None:
    """Run test benches on ``design``, with RAM that is as bad as it may be, until all of ``benches`` have ended."""
    top = Module()
    top.domains.sync = ClockDomain()  # combinational designs have none
    top.submodules.design = with_bad_collisions(design)
    simulator = Simulator(top)
    simulator.add_clock(period)
    _run(simulator, benches, background)


def simulate_clocks(
    design: Any,
    periods: Mapping[str, float],
    *benches: Callable,
    rng: random.Random,
    background: Iterable[Callable] = (),
) -> None:
    """Run test benches on ``design`` until all of ``benches`` have ended, with a clock of any phase for each domain."""
    simulator = Simulator(design)
    for domain, period in periods.items():
        simulator.add_clock(period, phase=rng.random() * period, domain=domain)
    _run(simulator, benches, background)


def _run(simulator: Simulator, benches: Iterable[Callable], background: Iterable[Callable]) -> None:
    for bench in benches:
        simulator.add_testbench(bench)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    simulator.run()


def assert_refused(match: str, component: type, *args: Any, **options: Any) -> None:
    """Check that constructing a component raises ValueError with a message that matches.

    A subclass is what is constructed: one that spares us Amaranth's warning that the half-built thing is never used.
    """
    silent = type(component.__name__, (component,), {"_MustUse__silence": True})
    with pytest.raises(ValueError, match=match):
        silent(*args, **options)
