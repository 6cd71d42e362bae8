"""Runs the measurements and writes what they gave."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vtep.config import Mode

from ..core_sources import core_digest
from ..harness import Simulator
from ..runner import UsageError, make_parameters
from .area import BLOCKS, LARGE, measure_area
from .bubbles import MIX, Rate, measure_bubbles
from .fill import CASES, Case, Fill, measure_fill
from .latency import Latency, measure_latency
from .plot import plot
from .results import load_parts, markdown, measured_clocks, present_keys, save_part, summary
from .rfc2544 import PATTERNS, TRAFFICS, Benchmark, measure_rfc2544
from .speed import HARNESSES, Speed, measure_cocotb, measure_harness, training_for
from .traffic import INNER_LENGTHS, UNDERLAYS
from .updates import UpdateRate, measure_updates

__all__ = ["run_bench"]

LATENCY_LENGTHS = (60, 128, 512, 1514)
UPDATED_WIDTHS = (64, 512)
SEED = 1
CORE_KEY, BLOCK_KEY = ("data_width", "mode"), ("block", "device")
"""Fields that tell the entries of rfc2544 and of area apart."""

Message = Callable[[str], None]
Progress = Callable[[int, int, int], None]


def _underlays(mode: Mode) -> Sequence[str]:
    """IPv6 tunnels want a UDP checksum, which cut-through encapsulation leaves out: there, IPv4 stands for both."""
    return UNDERLAYS if mode is Mode.STORE_AND_FORWARD else UNDERLAYS[:1]


def _bubbles(widths: Sequence[int], modes: Sequence[Mode], message: Message, progress: Progress) -> list[Rate]:
    lengths = (*INNER_LENGTHS, MIX)
    total = len(widths) * len(lengths) * sum(len(_underlays(mode)) for mode in modes)
    rates: list[Rate] = []
    count = 0
    for mode in modes:
        for width in widths:
            with Simulator(make_parameters(width, mode, mode), message=message) as simulator:

                def done(simulator: Simulator = simulator) -> None:
                    nonlocal count
                    count += 1
                    progress(count, total, simulator.clock)

                for underlay in _underlays(mode):
                    rates += measure_bubbles(simulator, underlay, lengths, seed=SEED, done=done)
    return rates


def _latency(widths: Sequence[int], modes: Sequence[Mode], message: Message, progress: Progress) -> list[Latency]:
    found: list[Latency] = []
    total = len(widths) * len(modes)
    for mode in modes:
        for width in widths:
            with Simulator(make_parameters(width, mode, mode), message=message) as simulator:
                found += measure_latency(simulator, "ipv4", LATENCY_LENGTHS)
                progress(len(found) // (2 * len(LATENCY_LENGTHS)), total, simulator.clock)
    return found


def _rfc2544(
    cores: Sequence[tuple[int, Mode]], clock_mhz: float, message: Message, progress: Progress
) -> Iterator[list[Benchmark]]:
    """Measure core by core."""
    total = len(cores) * len(PATTERNS) * len(TRAFFICS)
    count = 0
    for width, mode in cores:
        with Simulator(make_parameters(width, mode, mode), clock_mhz=clock_mhz, message=message) as simulator:

            def done(simulator: Simulator = simulator) -> None:
                nonlocal count
                count += 1
                progress(count, total, simulator.clock)

            yield list(measure_rfc2544(simulator, list(PATTERNS), done=done))


def _speeds(message: Message) -> Iterator[Speed]:
    parameters = make_parameters(64, Mode.STORE_AND_FORWARD, Mode.STORE_AND_FORWARD)
    for name, training in zip(HARNESSES, (None, training_for(parameters)), strict=True):
        with Simulator(parameters, training=training, message=message) as simulator:
            for traffic in TRAFFICS:
                yield measure_harness(simulator, name=name, traffic=traffic)
    yield from measure_cocotb(parameters, message)


def _fills(message: Message, progress: Progress) -> list[Fill]:
    found = []
    for case in CASES:
        message(f"filling a table of {case.entries} locations ...")
        count = 0

        def done(case: Case = case) -> None:
            nonlocal count
            count += 1
            progress(count, case.runs, 0)

        found.append(measure_fill(case, seed=SEED, done=done))
    return found


def _updates(message: Message) -> Iterator[UpdateRate]:
    for width in UPDATED_WIDTHS:
        message(f"a full FDB that changes all the time, {width} bits ...")
        with Simulator(replace(LARGE, data_width=width), message=message) as simulator:
            yield from measure_updates(simulator, seed=SEED)


def run_bench(
    folder: Path,
    parts: Sequence[str],
    widths: Sequence[int],
    modes: Sequence[Mode],
    *,
    blocks: Sequence[str] = (),
    clock_mhz: float = 156.25,
    resume: bool = False,
    command: str,
    message: Message,
    progress: Progress,
) -> list[str]:
    """Measure ``parts`` and write tables and plot of all parts that ``folder`` has; return what reached its bar.

    Parameters
    ----------
    folder : Path
        Gets ``bench.md``, ``bench.json``, ``bench.svg`` and a JSON file a part.
    parts : sequence of str
        Of `vtep_sim.bench.results.PARTS`.
    widths : sequence of int
        Datapath widths of bubbles, latency and rfc2544.
    modes : sequence of Mode
        Modes of bubbles, latency and rfc2544, each in both directions.
    blocks : sequence of str
        Measure the area of those blocks only whose name and device hold one of these; none: of all. What ``folder`` has
        of the others stays.
    clock_mhz : float
        Clock that the rates of rfc2544 refer to.
    resume : bool
        Leave out what ``folder`` has of the present core: of rfc2544 whole cores, of area blocks.
    command : str
        What repeats the measurement, for the tables.
    message, progress : callable
        Told what is under way, and how far bubbles, latency, rfc2544 and fill are.

    Raises
    ------
    UsageError
        No block has such a name, or the folder has rates at another clock; nothing is measured.
    vtep_sim.synth.ToolError
        A tool is missing or failed, as when a block does not fit the device. What was measured before is written.
    """
    core_digest()  # before anything is measured, which takes its time
    chosen = [block for block in BLOCKS if not blocks or any(part in block.title for part in blocks)]
    if not chosen:
        raise UsageError(f"--block: there are {'; '.join(block.title for block in BLOCKS)}")
    if "rfc2544" in parts and (others := measured_clocks(folder) - {clock_mhz}):
        there = ", ".join(f"{other:g}" for other in sorted(others))
        raise UsageError(f"--clock-mhz {clock_mhz:g}: {folder} has figures at {there} MHz; rates at one clock only")
    cores = [(width, mode) for mode in modes for width in widths]
    if resume:
        measured = present_keys(folder, "rfc2544", CORE_KEY)
        cores = [(width, mode) for width, mode in cores if (width, mode.value) not in measured]
        measured = present_keys(folder, "area", BLOCK_KEY)
        chosen = [block for block in chosen if (block.name, block.device) not in measured]
    try:
        if "bubbles" in parts:
            save_part(folder, "bubbles", _bubbles(widths, modes, message, progress), command)
        if "latency" in parts:
            save_part(folder, "latency", _latency(widths, modes, message, progress), command)
        if "rfc2544" in parts:
            for benchmarks in _rfc2544(cores, clock_mhz, message, progress):
                save_part(folder, "rfc2544", benchmarks, command, key=CORE_KEY)
        if "speed" in parts:
            save_part(folder, "speed", _speeds(message), command)
        if "area" in parts:
            # One by one: what is measured is kept, whatever becomes of the next.
            for area in measure_area(folder / "synth", message, chosen):
                save_part(folder, "area", [area], command, key=BLOCK_KEY)
        if "fill" in parts:
            save_part(folder, "fill", _fills(message, progress), command)
        if "updates" in parts:
            save_part(folder, "updates", _updates(message), command)
    finally:
        # Also after a failure: the parts before it took their time.
        found = load_parts(folder)
        if found:
            _write(folder, found)
    return summary(found)


def _write(folder: Path, found: dict[str, dict[str, Any]]) -> None:
    (folder / "bench.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(markdown(found), encoding="utf-8")
    plot(found, folder / "bench.svg")
