"""Driving a `BeatPipe` and sampling what is parsed with it, each value in the clock that its stage stands for."""

import random
from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Signal

from helpers.packet_bench import simulate
from vtep.packet.pipe import BeatPipe, Staged

__all__ = ["Beats", "some_frames"]


class Beats:
    """A pipe with its inputs in a module ``m``, and what is sampled of it in every clock.

    ``watched``: name -> staged value. ``empty`` and ``error`` belong to the beat at stage 0, as all inputs do.
    """

    def __init__(self, lanes: int, window: int, *, deep: bool = False) -> None:
        self.m = Module()
        self.lanes = lanes
        self.valid, self.data, self.last = Signal(), Signal(8 * lanes), Signal()
        self.empty, self.error = Signal(range(lanes)), Signal()
        self.pipe = BeatPipe(
            self.m, lanes=lanes, window=window, valid=self.valid, data=self.data, last=self.last, deep=deep
        )
        self.watched: dict[str, Staged] = {}

    def watch(self, name: str, staged: Staged) -> None:
        """Sample ``staged``."""
        self.watched[name] = staged

    def run(
        self, frames: Sequence[bytes], rng: random.Random, idle: float, errors: Sequence[bool] | None = None
    ) -> tuple[list[list[int]], dict[str, list[int]]]:
        """Send ``frames``; return per frame the clocks of its beats, and per name the values clock by clock."""
        accepted: list[list[int]] = []
        values: dict[str, list[int]] = {name: [] for name in self.watched}
        signals = {name: self.pipe.wire(staged.value) for name, staged in self.watched.items()}

        async def tick(ctx: Any) -> None:
            for name, signal in signals.items():
                values[name].append(ctx.get(signal))
            await ctx.tick()

        async def bench(ctx: Any) -> None:
            clock = 0
            for number, frame in enumerate(frames):
                accepted.append([])
                for start in range(0, len(frame), self.lanes):
                    while rng.random() < idle:
                        ctx.set(self.valid, 0)
                        ctx.set(self.data, rng.getrandbits(8 * self.lanes))
                        ctx.set(self.last, rng.getrandbits(1))
                        await tick(ctx)
                        clock += 1
                    chunk = frame[start : start + self.lanes]
                    ctx.set(self.valid, 1)
                    ctx.set(self.data, int.from_bytes(chunk + rng.randbytes(self.lanes - len(chunk)), "little"))
                    last = start + self.lanes >= len(frame)
                    ctx.set(self.last, last)
                    ctx.set(self.error, errors[number] if errors and last else rng.getrandbits(1))
                    ctx.set(self.empty, self.lanes - len(chunk))
                    accepted[-1].append(clock)
                    await tick(ctx)
                    clock += 1
            ctx.set(self.valid, 0)
            for _ in range(30):
                await tick(ctx)

        simulate(self.m, bench)
        return accepted, values

    def value(self, accepted: list[int], values: dict[str, list[int]], name: str, position: int) -> int:
        """The value of ``name`` with all that is known up to byte ``position`` of a frame."""
        clock = accepted[position // self.lanes] + self.watched[name].stage
        return values[name][clock]


def some_frames(rng: random.Random, lanes: int, window: int) -> list[bytes]:
    """Make frames with lengths around the edges of beats and of the window, in random order."""
    lengths = [1, lanes, lanes + 1, window, window + lanes, *(rng.randint(1, window + 2 * lanes) for _ in range(16))]
    rng.shuffle(lengths)
    return [rng.randbytes(length) for length in lengths]
