"""Accesses of a `register_bus` in Amaranth's simulator, with its rules checked."""

from typing import Any, NamedTuple

FULL = 0b1111
TIMEOUT = 1000


class Answer(NamedTuple):
    """``data`` is what a read without error gave; ``clocks``: in which clock of the request ``ack`` came, from 1."""

    error: int
    data: int
    clocks: int


async def access(ctx: Any, bus: Any, address: int, data: int | None = None, strobes: int = FULL) -> Answer:
    """Access the word at byte ``address``: write ``data``, or read if that is None. Ends in the clock after ``ack``."""
    assert address % 4 == 0
    assert not ctx.get(bus.ack)
    ctx.set(bus.request, 1)
    ctx.set(bus.write, data is not None)
    ctx.set(bus.address, address // 4)
    ctx.set(bus.write_data, data or 0)
    ctx.set(bus.write_bytes, strobes)
    for clock in range(1, TIMEOUT):
        *_, ack, error, read_data = await ctx.tick().sample(bus.ack, bus.error, bus.read_data)
        if ack:
            ctx.set(bus.request, 0)
            return Answer(error, read_data, clock)
    raise AssertionError(f"no ack within {TIMEOUT} clocks")


async def read(ctx: Any, bus: Any, address: int) -> int:
    """Read the word at ``address``, which must succeed."""
    answer = await access(ctx, bus, address)
    assert not answer.error, f"read of {address:#x} refused"
    return answer.data


async def write(ctx: Any, bus: Any, address: int, data: int, strobes: int = FULL) -> None:
    """Write the word at ``address``, which must succeed."""
    answer = await access(ctx, bus, address, data, strobes)
    assert not answer.error, f"write of {address:#x} refused"


def merge(old: int, new: int, strobes: int) -> int:
    """Bytes of ``new`` where ``strobes`` has a bit, else those of ``old``."""
    mask = sum(0xFF << 8 * i for i in range(4) if strobes >> i & 1)
    return old & ~mask | new & mask
