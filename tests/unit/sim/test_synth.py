import json
import sys

import pytest
import typer
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from typer.testing import CliRunner

from vtep_sim.synth import RegisterWrapper, ToolError, ecp5, measure_ecp5, measure_levels
from vtep_sim.synth.cli import load, synth
from vtep_sim.synth.ecp5 import Ecp5Measurement, Ecp5Run, read_report
from vtep_sim.synth.netlist import Netlist
from vtep_sim.synth.tools import ToolTimeoutError, run, run_yosys

LOGGED = ("Total LUT4s", "logic LUTs", "carry LUTs", "RAM LUTs", "RAMW LUTs", "Total DFFs")
OUTPUTS = {"Q", "O", "CO", "DO"}


def netlist(tmp_path, cells, nets=()):
    """Netlist of cells given as name: (type, {port: bits})."""
    described = {
        name: {
            "type": kind,
            "connections": connections,
            "port_directions": {port: "output" if port in OUTPUTS else "input" for port in connections},
        }
        for name, (kind, connections) in cells.items()
    }
    module = {"cells": described, "netnames": {name: {"bits": bits} for name, bits in dict(nets).items()}}
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": module}}))
    return Netlist(path)


def test_longest_path_counts_luts_and_names_carries(tmp_path):
    path = netlist(
        tmp_path,
        {
            "start": ("FDRE", {"D": [9], "Q": [1]}),
            "a": ("LUT2", {"I0": [1], "I1": [1], "O": [2]}),
            "carry": ("CARRY4", {"DI": [2], "CO": [3]}),
            "b": ("LUT6", {"I0": [3], "O": [4]}),
            "wide": ("MUXF7", {"I0": [4], "O": [5]}),
            "end": ("FDRE", {"D": [5], "Q": [9]}),
        },
        {"$auto": [1], "dut.from": [0, 1], "dut.to": [9], "dut.alias.to": [9]},
    ).longest_path()
    assert (path.luts, path.carries, path.wide_muxes) == (2, 1, 1)
    assert path.cells == ("LUT2", "CARRY4", "LUT6", "MUXF7")
    assert (path.start, path.end) == ("dut.from[1]", "dut.to.D")


def test_enables_and_resets_are_ends_of_paths(tmp_path):
    cells = {
        "start": ("FDRE", {"D": ["0"], "Q": [1]}),
        "a": ("LUT1", {"I0": [1], "O": [2]}),
        "end": ("FDRE", {"D": ["0"], "CE": [2], "Q": [3]}),
    }
    path = netlist(tmp_path, cells).longest_path()
    assert (path.luts, path.end) == (1, "end.CE")


def test_distributed_ram_is_read_through_and_written_into(tmp_path):
    cells = {
        "start": ("FDRE", {"D": [7], "Q": [1]}),
        "ram": ("RAM32M16", {"ADDRA": [1], "ADDRH": [2], "DIA": [4], "WE": [2], "DO": [3]}),
        "a": ("LUT2", {"I0": [3], "O": [4]}),
        "b": ("LUT2", {"I0": [4], "O": [7]}),
    }
    # Address to output, a, b: three. That the data come back into the RAM is no loop.
    assert netlist(tmp_path, cells).longest_path().luts == 3


def test_loops_and_unknown_cells_are_refused(tmp_path):
    loop = {"a": ("LUT1", {"I0": [1], "O": [2]}), "b": ("LUT1", {"I0": [2], "O": [1]})}
    with pytest.raises(ValueError, match="combinational loop"):
        netlist(tmp_path, loop).longest_path()
    with pytest.raises(ValueError, match="unknown type STRANGE"):
        netlist(tmp_path, {"a": ("STRANGE", {"I": [1], "O": [2]})}).longest_path()


class Adder(wiring.Component):
    """Registers in front and behind, which must be neither merged with the wrapper's nor lost."""

    a: In(8)
    unused: In(0)
    total: Out(8)

    def elaborate(self, platform):
        m = Module()
        first = Signal(8, reset_less=True)
        m.d.sync += [first.eq(self.a), self.total.eq(self.total + first)]
        return m


def test_wrapper_keeps_the_registers_apart(tmp_path):
    (tmp_path / "a.il").write_text(RegisterWrapper(Adder()).rtlil())
    run_yosys(["read_rtlil a.il", "synth_ecp5 -top top -json a.json"], tmp_path, "a.log")
    found = Netlist(tmp_path / "a.json")
    # Reset and 8 bits in, twice for the shift register; 8 bits out.
    assert found.wrapper_flip_flops() == 2 * 9 + 8
    assert found.count()["TRELLIS_FF"] - found.wrapper_flip_flops() == 16


def test_levels_of_a_component(tmp_path):
    result = measure_levels(Adder(), tmp_path)
    assert result.flip_flops == 16
    assert result.wrapper_flip_flops == 2 * 9 + 8
    assert result.path.luts == 1
    assert result.path.carries >= 1


def _report():
    def step(kind, delay, start, end, start_port="Q", end_port="A"):
        return {
            "type": kind,
            "delay": delay,
            "from": {"cell": start, "port": start_port},
            "to": {"cell": end, "port": end_port},
        }

    steps = [
        step("clk-to-q", 0.3, "s", "s"),
        step("routing", 1.0, "s", "l"),
        step("logic", 0.2, "l", "l", "A", "FCO"),
        step("logic", 0.1, "l", "m", "FCI", "F"),
        step("routing", 0.5, "m", "e", "F", "DI"),
        step("setup", 0.0, "e", "e", "DI", "DI"),
    ]
    scan = {"from": "posedge $glbnet$scan_clk$x", "to": "posedge $glbnet$scan_clk$x", "path": steps[:1]}
    cross = {"from": "<async>", "to": "posedge $glbnet$clk$x", "path": steps[:1]}
    block = {"from": "posedge $glbnet$clk$x", "to": "posedge $glbnet$clk$x", "path": steps}
    return {
        "fmax": {"$glbnet$scan_clk$x": {"achieved": 900.0}, "$glbnet$clk$x": {"achieved": 476.2}},
        "critical_paths": [scan, cross, block],
    }


def test_report_is_read_for_the_clock_of_the_block():
    result = read_report(7, _report())
    assert (result.seed, result.fmax, result.path_from, result.path_to, result.path_luts) == (7, 476.2, "s", "e", 1)
    assert result.path_routing == pytest.approx(1.5)
    assert result.path_logic == pytest.approx(0.6)


def test_report_without_the_clock_is_refused():
    report = _report()
    del report["fmax"]["$glbnet$clk$x"]
    with pytest.raises(ToolError, match="expected one clock"):
        read_report(1, report)


def test_median_and_its_run():
    runs = tuple(Ecp5Run(seed, fmax, "", "", 0, 0.0, 0.0) for seed, fmax in ((1, 310.0), (2, 290.0), (3, 305.0)))
    result = Ecp5Measurement(1, 1, 0, 0, 1, 0, 0, 0, runs, "", "")
    assert result.fmax == 305.0
    assert result.critical.seed == 3


def test_a_seed_that_is_not_routed_counts_as_the_slowest(tmp_path, monkeypatch):
    told = []

    def place(command, folder, log, *, limit):
        seed = int(command[command.index("--seed") + 1])
        if seed != 2:
            raise ToolTimeoutError("too long")
        (folder / f"ecp5.{seed}.json").write_text(json.dumps(_report() | {"utilization": {}}))
        return "".join(f"{name}: 9/10\n" for name in LOGGED)

    monkeypatch.setattr(ecp5, "run", place)
    monkeypatch.setattr(ecp5, "run_yosys", lambda script, folder, log: None)
    monkeypatch.setattr(ecp5.Netlist, "__init__", lambda netlist, path: None)
    monkeypatch.setattr(ecp5.Netlist, "wrapper_flip_flops", lambda netlist: 4)
    result = measure_ecp5(Adder(), tmp_path, seeds=(1, 2, 3), progress=told.append)
    assert [run.fmax for run in result.runs] == [0.0, 476.2, 0.0]
    assert (result.fmax, result.lut4, result.flip_flops) == (0.0, 9, 5)
    assert "nextpnr seed 3 was not routed in 7200 s" in told
    with pytest.raises(ToolTimeoutError, match="no seed was routed in 7 s"):
        measure_ecp5(Adder(), tmp_path, seeds=(1, 3), limit=7)


def test_a_tool_that_takes_too_long_is_stopped(tmp_path):
    with pytest.raises(ToolTimeoutError, match=r"was stopped after 0\.2 s, log .*log"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, "log", limit=0.2)


def test_the_log_is_there_while_a_tool_runs(tmp_path):
    script = "from pathlib import Path; print('begun', flush=True); print(Path('log').read_text().upper())"
    assert run([sys.executable, "-c", script], tmp_path, "log") == "begun\nBEGUN\n\n"


def test_a_tool_that_fails_tells_the_end_of_its_log(tmp_path):
    with pytest.raises(ToolError, match=r"(?s)failed with code 3, log .*log:\nthe end"):
        run([sys.executable, "-c", "print('the end'); raise SystemExit(3)"], tmp_path, "log")


def test_no_seeds_are_refused(tmp_path):
    dut = Adder()
    with pytest.raises(ValueError, match="at least one seed"):
        measure_ecp5(dut, tmp_path, seeds=())
    RegisterWrapper(dut).rtlil()


def test_failing_tool_says_why(tmp_path):
    with pytest.raises(ToolError, match="No such command"):
        run_yosys(["frobnicate"], tmp_path, "log")
    with pytest.raises(ToolError, match="is not installed"):
        run(["no-such-program"], tmp_path, "log")


def test_components_by_name():
    assert isinstance(load("vtep_sim.synth.tools:ToolError", []), ToolError)
    for spec in ("vtep.nothing:X", "vtep.config:Nothing", "vtep.config", ":"):
        with pytest.raises(typer.BadParameter, match="wanted module:Class"):
            load(spec, [])
    for parameter in ("data_width", "data_width=wide"):
        with pytest.raises(typer.BadParameter, match="is not name=value"):
            load("vtep.config:VtepParameters", [parameter])
    with pytest.raises(typer.BadParameter, match="data_width must be one of"):
        load("vtep.config:VtepParameters", ["data_width=7"])


def test_command_refuses_bad_seeds():
    app = typer.Typer()
    app.command()(synth)
    result = CliRunner().invoke(app, ["vtep.config:VtepParameters", "--seeds", "1,x"])
    assert result.exit_code == 2
    assert "seeds must be integers" in result.output
