"""A bitstream for real, of the smallest design: timing, reproducibility, report; and what becomes of failures."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vtep_boards.designs import DESIGNS
from vtep_boards.facts import BOARDS
from vtep_boards.facts.board import Board, Management
from vtep_boards.flow import Bitstream, CapacityError, build, check_capacity, check_frequencies, synthesise, to_rtlil
from vtep_boards.report import ClockReport, Report, read_report
from vtep_boards.top import Top
from vtep_sim.synth.tools import ToolError

SMALLEST = "colorlight-i5"


def make(board: str, design: str, folder: Path) -> Bitstream:
    facts = BOARDS[board]
    component, about = DESIGNS[design](facts, None)
    return build(facts, component, folder, about=about)


CLOCKS = {"sync": 62.5, "tx": 125, "rx0": 125, "rx1": 125, "sync_ungated": 62.5, "tx_ungated": 125}


def check(result: Bitstream) -> None:
    report = result.report
    assert report.met
    assert report.slack >= 0
    assert {clock.name: clock.wanted for clock in report.clocks} == pytest.approx(CLOCKS, rel=1e-3)
    assert all(0 < used <= report.available[kind] for kind, used in report.used.items() if kind != "multipliers")


@pytest.mark.slow
def test_media_converter(tmp_path: Path) -> None:
    result = make(SMALLEST, "media-converter", tmp_path / "one")
    check(result)
    assert result.bit.stat().st_size > 10_000
    assert result.svf.stat().st_size > result.bit.stat().st_size
    report = result.report
    assert Report.from_dict(json.loads((tmp_path / "one" / "report.json").read_text())) == report
    page = (tmp_path / "one" / "report.html").read_text()
    assert "timing met" in page
    assert {"design.port0.mac.receiver", "design.port1.mac.transmitter"} <= set(report.components)
    paths = {clock.name: clock.path for clock in report.clocks if not clock.name.endswith("_ungated")}
    assert all(any(step.startswith(("design.", "phy")) for step in path) for path in paths.values())
    # Nothing is reset: the PLL's lock starts two clocks, and that is all.
    cells = json.loads((tmp_path / "one" / "top.json").read_text())["modules"]["top"]["cells"].values()
    (locked,) = (cell["connections"]["LOCK"] for cell in cells if cell["type"] == "EHXPLLL")
    using = [
        (cell["type"], pin)
        for cell in cells
        for pin, bits in cell["connections"].items()
        if bits == locked and cell["port_directions"][pin] == "input"
    ]
    assert len(using) == 2
    assert {kind for kind, _ in using} == {"TRELLIS_FF"}
    assert {pin for _, pin in using} <= {"DI", "M"}
    # Nothing names this machine or this folder, and what is placed is the same from any.
    for name in ("top.json", "top.config", "report.json", "report.html"):
        text = (tmp_path / "one" / name).read_text()
        assert str(tmp_path) not in text
        assert os.fspath(Path(__file__).parents[3]) not in text
        assert "site-packages" not in text
    other = tmp_path / "quite" / "another"
    other.mkdir(parents=True)
    facts = BOARDS[SMALLEST]
    synthesise(facts, DESIGNS["media-converter"](facts, None)[0], other, lambda message: None)
    for name in ("top.json", "top.lpf"):
        assert (other / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


@pytest.mark.full
@pytest.mark.slow
def test_same_bytes_from_another_folder(tmp_path: Path) -> None:
    results = [make(SMALLEST, "media-converter", tmp_path / name) for name in ("here", "quite/another/place")]
    assert results[0].bit.read_bytes() == results[1].bit.read_bytes()
    assert results[0].svf.read_bytes() == results[1].svf.read_bytes()


NETLIST_PROGRAM = """
import sys
from pathlib import Path
from vtep_boards.designs import DESIGNS
from vtep_boards.facts import BOARDS
from vtep_boards.flow import to_rtlil
board = BOARDS[sys.argv[1]]
component, _ = DESIGNS[sys.argv[2]](board, Path(sys.argv[3]) if sys.argv[3:] else None)
sys.stdout.write(to_rtlil(board, component))
"""

CONFIG = """
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "192.0.2.1"
ipv6 = "2001:db8::1"
[[vni]]
id = 100
vlan = 10
flood = ["near", "far"]
[[tunnel]]
name = "near"
remote = "192.0.2.2"
[[tunnel]]
name = "far"
remote = "2001:db8::7"
"""


@pytest.mark.parametrize("design", ["media-converter", "gateway"])
def test_the_same_netlist_in_another_process(design: str, tmp_path: Path) -> None:
    """Nothing goes by the order of a set, which each process has its own of."""
    config = []
    if design == "gateway":
        (tmp_path / "vtep.toml").write_text(CONFIG)
        config.append(tmp_path / "vtep.toml")
    command = [sys.executable, "-c", NETLIST_PROGRAM, SMALLEST, design, *config]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    texts = [process.communicate()[0] for process in running]
    assert all(process.returncode == 0 for process in running)
    assert len(texts[0]) > 100_000
    assert texts[0] == texts[1]


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
def test_gateway_on_every_board(board: str, tmp_path: Path) -> None:
    check(make(board, "gateway", tmp_path))


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_uses_all_its_pins(board: str) -> None:
    facts = BOARDS[board]
    component, _ = DESIGNS["media-converter"](facts, None)
    top = Top(facts, component)
    assert list(top.pins) == [name for name, _, _ in facts.pins()]


def board_with_three_ports() -> Board:
    """A Versa whose pins are shared among three ports' worth of names: nothing to build, but to elaborate."""
    facts = BOARDS["versa-ecp5"]
    third = replace(facts.ports[0], rxc="A2", management=Management(reset_n="A3", mdc="A4", mdio="A5"))
    return replace(facts, name="three", ports=(*facts.ports, third), port_names=(*facts.port_names, "third"))


@pytest.mark.parametrize(("design", "used"), [("media-converter", 2), ("gateway-port-host", 3)])
def test_a_third_port_is_used_by_what_has_a_use_for_it(design: str, used: int) -> None:
    facts = board_with_three_ports()
    component, _ = DESIGNS[design](facts, None)
    text = to_rtlil(facts, component)
    modules = set(re.findall(r"^module \\top\.(port\d)_pads$", text, re.MULTILINE))
    assert modules == {f"port{number}" for number in range(used)}


def report_of(reached: float) -> Report:
    clock = ClockReport("tx", 125.0, reached, ("design.port0.mac.a", "design.port0.mac.b"))
    return Report({"board": "any"}, (clock,), {"lut4": 10}, {"lut4": 20}, {"design": {"lut4": 10}})


def test_a_report_names_the_slow_clock_and_its_path() -> None:
    assert report_of(125.0).failures() == []
    slow = report_of(100.0)
    assert not slow.met
    assert slow.slack == pytest.approx(-2.0)
    assert slow.failures() == [
        "clock tx reaches 100.0 MHz of 125 (-2.00 ns)",
        "  design.port0.mac.a",
        "  design.port0.mac.b",
    ]
    assert "NOT met" in slow.html()


def test_clocks_have_to_be_constrained() -> None:
    """Each, and with its own frequency: or the tool's own takes its place, and any slack is right."""

    def report_with(clocks: dict[str, float]) -> Report:
        return Report({}, tuple(ClockReport(name, wanted, 200.0, ()) for name, wanted in clocks.items()), {}, {})

    check_frequencies(report_with({**CLOCKS, "rx2": 12.0}), 2)
    for name, hz in CLOCKS.items():
        with pytest.raises(ToolError, match=rf"^clock {name} of {hz:g} MHz was held to 12$"):
            check_frequencies(report_with({**CLOCKS, name: 12.0}), 2)
        with pytest.raises(ToolError, match=rf"^clock {name} of {hz:g} MHz was not seen$"):
            check_frequencies(report_with({one: hz for one, hz in CLOCKS.items() if one != name}), 2)
    with pytest.raises(ToolError, match="clock rx2 of 125 MHz was not seen"):
        check_frequencies(report_with(CLOCKS), 3)


NETLIST = {
    "netnames": {
        "design.mac.receiver.held": {"bits": [2, 3]},
        "$abc$1$x": {"bits": [4]},
        "design.core$12.a": {"bits": [5]},
    },
    "cells": {
        "$auto$1": {"type": "TRELLIS_FF", "port_directions": {"Q": "output"}, "connections": {"Q": [2]}},
        "$auto$2": {
            "type": "LUT4",
            "port_directions": {"Z": "output", "A": "input"},
            "connections": {"Z": [3], "A": [2]},
        },
        "$auto$3": {"type": "LUT4", "port_directions": {"Z": "output"}, "connections": {"Z": [4]}},
        "$auto$4": {"type": "CCU2C", "port_directions": {"S0": "output"}, "connections": {"S0": [5]}},
        "pad": {"type": "OB", "port_directions": {"O": "output"}, "connections": {"O": [6]}},
    },
}


def test_a_report_counts_by_component_and_follows_paths() -> None:
    step = {"type": "routing", "net": "design.mac.receiver.held[1]", "from": {}, "to": {"cell": "x", "port": "M"}}
    last = {"type": "setup", "to": {"cell": "design.mac.widen.full_TRELLIS_FF_Q", "port": "DI"}}
    found = {
        "fmax": {"$glbnet$design.port0.active_tx.tx_clk": {"achieved": 70.0, "constraint": 62.5}},
        "critical_paths": [
            {"from": "posedge $glbnet$design.port0.active_tx.tx_clk", "to": "<async>", "path": [step]},
            {
                "from": "posedge $glbnet$design.port0.active_tx.tx_clk",
                "to": "posedge $glbnet$design.port0.active_tx.tx_clk",
                "path": [step, step, last],
            },
        ],
        "utilization": {"TRELLIS_FF": {"used": 5, "available": 24288}},
    }
    known = {"design", "design.mac", "design.mac.receiver"}
    report = read_report(found, NETLIST, "Info:     Total LUT4s:     12/24288     0%\n", known, {"board": "any"})
    assert report.components == {
        "(shared)": {"lut4": 1},
        "design": {"lut4": 2},
        "design.mac.receiver": {"flip_flops": 1, "lut4": 1},
    }
    assert report.used == {"flip_flops": 5, "lut4": 12}
    (clock,) = report.clocks
    assert (clock.name, clock.wanted, clock.reached) == ("tx", 62.5, 70.0)
    assert clock.path == ("design.mac.receiver.held[1]", "design.mac.widen.full")


def test_what_does_not_fit_is_refused_by_component() -> None:
    board = BOARDS[SMALLEST]
    components = {"design.core": {"lut4": 24000, "block_rams": 50}, "design.mac": {"lut4": 288, "block_rams": 6}}
    check_capacity(board, components)
    components["phy0"] = {"lut4": 1}
    with pytest.raises(CapacityError) as caught:
        check_capacity(board, components)
    assert str(caught.value).splitlines() == [
        "24,289 lut4 of 24,288; the largest components:",
        "  24,000 design.core",
        "  288 design.mac",
        "  1 phy0",
    ]
    check_capacity(BOARDS["versa-ecp5"], components)


@pytest.mark.parametrize("board", BOARDS)
def test_every_device_has_a_capacity(board: str) -> None:
    check_capacity(BOARDS[board], {})


def test_no_bitstream_is_left_of_a_build_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = [tmp_path / name for name in ("top.bit", "top.svf", "report.json", "report.html")]
    for path in old:
        path.write_bytes(b"of yesterday")
    monkeypatch.setattr("vtep_boards.flow.run_yosys", _fails)
    with pytest.raises(RuntimeError, match="no such luck"):
        make(SMALLEST, "media-converter", tmp_path)
    assert not any(path.exists() for path in old)
    shutil.rmtree(tmp_path)


def _fails(*args: object) -> None:
    raise RuntimeError("no such luck")


def test_refuses_no_seeds(tmp_path: Path) -> None:
    facts = BOARDS[SMALLEST]
    with pytest.raises(ValueError, match="seeds must hold at least one seed"):
        build(facts, DESIGNS["media-converter"](facts, None)[0], tmp_path, seeds=())
