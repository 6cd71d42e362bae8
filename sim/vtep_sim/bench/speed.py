"""Simulation speed: the same frames through the Verilated harness and through the cocotb bench.

Both are timed in processor time of their one thread, from the first frame handed over to the core being idle again,
the best of several runs; neither the golden model nor reading and writing of captures is in it.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import vtep_sim
from vtep.config import VtepParameters

from ..harness import Simulator, Training
from .rfc2544 import TRAFFICS
from .traffic import BenchFrame, config_for, inner_frame, outer_frame

__all__ = [
    "BOTH",
    "HARNESSES",
    "LENGTHS",
    "SPEED_FILE",
    "Speed",
    "measure_cocotb",
    "measure_harness",
    "speed_frames",
    "training_for",
]

LENGTHS = (60, 128, 512, 1514)
"""Inner lengths of the frames, in turn."""

HARNESSES = ("harness", "harness, optimized")
"""The Verilated harness as it is built by default, and as `vtep-sim run --optimize` builds it."""

BOTH = "both"
"""Of `vtep_sim.bench.rfc2544.TRAFFICS`."""

HARNESS_FRAMES = 40_000
TRAINING_FRAMES = 1000
REPEATS = 3
COCOTB_FRAMES = 400
"""Frames of each direction."""

SPEED_FILE = "VTEP_SPEED_FILE"
"""Environment variable that tells the cocotb test where to write what it measured."""


@dataclass(frozen=True)
class Speed:
    """Frames and clocks simulated in so many seconds of processor time; ``traffic`` as of `measure_harness`."""

    data_width: int
    simulator: str
    frames: int
    clocks: int
    seconds: float
    traffic: str = BOTH

    @property
    def frames_per_second(self) -> float:
        """Frames of both directions together."""
        return self.frames / self.seconds

    @property
    def clocks_per_second(self) -> float:
        """Core clocks."""
        return self.clocks / self.seconds


def speed_frames(count: int) -> tuple[list[BenchFrame], list[BenchFrame]]:
    """``count`` frames for the tenant and as many for the underlay port."""
    inner = [inner_frame(length) for length in LENGTHS]
    outer = [outer_frame(length, "ipv4") for length in LENGTHS]
    return [inner[i % len(inner)] for i in range(count)], [outer[i % len(outer)] for i in range(count)]


def training_for(parameters: VtepParameters) -> Training:
    """Make the traffic that an optimized model is built by."""
    tenant, underlay = speed_frames(TRAINING_FRAMES)
    return Training(config_for("ipv4", udp_checksum=parameters.udp_checksum), tenant, underlay)


def measure_harness(
    simulator: Simulator, count: int = HARNESS_FRAMES, *, name: str = HARNESSES[0], traffic: str = BOTH
) -> Speed:
    """Time ``count`` frames of each direction in ``traffic`` through the harness."""
    directions = TRAFFICS[traffic]
    tenant, underlay = (
        frames if direction in directions else []
        for direction, frames in zip(("encap", "decap"), speed_frames(count), strict=True)
    )
    speeds = []
    for _ in range(REPEATS):
        simulator.reset()
        simulator.configure(config_for("ipv4", udp_checksum=simulator.parameters.udp_checksum))
        started = process_time()
        clocks = simulator.run(tenant=tenant, underlay=underlay).clocks
        seconds = process_time() - started
        speeds.append(Speed(simulator.parameters.data_width, name, len(directions) * count, clocks, seconds, traffic))
    return min(speeds, key=lambda speed: speed.seconds)


def measure_cocotb(parameters: VtepParameters, message: Callable[[str], None]) -> list[Speed]:
    """Time frames through the cocotb bench with the same parameters, once with each kind of its drivers.

    Raises
    ------
    RuntimeError
        The bench failed; the message is its own.
    """
    # cocotb is part of the development set-up, not of what `vtep-sim run` needs.
    from ..cocotb.build import prepare, simulate

    root = Path("build/system").absolute()
    message(f"building the {parameters.data_width}-bit cocotb bench ...")
    folder = prepare(parameters, root)
    found = []
    for case in ("replay", "replay_plain"):
        with tempfile.TemporaryDirectory() as scratch:
            target = Path(scratch) / "speed.json"
            results = simulate(
                parameters,
                folder,
                ["vtep_sim.bench.speed_cocotb"],
                [case],
                tag=f"speed-{case}",
                seed=1,
                python_path=[Path(vtep_sim.__file__).parents[1]],
                environment={SPEED_FILE: str(target)},
            )
            if results[case].failure:
                raise RuntimeError(f"cocotb bench, {case}: {results[case].failure}")
            found.append(Speed(parameters.data_width, **json.loads(target.read_text(encoding="utf-8"))))
    return found


def save_speed(**values: object) -> None:
    """Leave a measurement for `measure_cocotb`, which waits in another process."""
    Path(os.environ[SPEED_FILE]).write_text(json.dumps(values), encoding="utf-8")
