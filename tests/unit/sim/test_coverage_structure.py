"""Lines and toggles: what is counted, how simulations are put together, and that what is missing shows as a hole."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from amaranth.hdl import Elaboratable
from typer.testing import CliRunner

from vtep.packet.queue import PacketQueue
from vtep.verilog import to_verilog
from vtep_sim.cli import app
from vtep_sim.cocotb.build import TOGGLES
from vtep_sim.core_sources import core_digest
from vtep_sim.coverage import report as reporting
from vtep_sim.coverage import waivers as waiving
from vtep_sim.coverage.constants import constant_bits
from vtep_sim.coverage.merge import Merged, merge
from vtep_sim.coverage.plan import PLAN
from vtep_sim.coverage.points import CoverageError
from vtep_sim.coverage.report import UNEXPLAINED, Report, make_report, write_listing, write_report
from vtep_sim.coverage.structure import instrumented, places_of
from vtep_sim.coverage.verilated import BOTH, Bit
from vtep_sim.coverage.waivers import load_waivers
from vtep_sim.harness import find_verilator
from vtep_sim.harness.tools import find_compiler

VERILOG = """\
(* where = "vtep/packet/new.py" *)
module vtep(clk, tdata, out);
  input clk;
  wire clk;
  wire [1:0] head;
  wire [1:0] \\head.low ;
  wire \\other ;
  reg [3:0] memory [7:0];
  wire sum;
  assign \\other  = head[0];
  assign sum = _01_;
  always @* begin
    casez (head)
      /* where = "vtep/packet/new.py:3" */
      2'h1, 2'h1:
        sum = 1;
      /* where = "vtep/packet/new.py:4|vtep/packet/new.py:5" */
      default:
        sum = 0;
    endcase
  end
endmodule
(* where = "vtep/stream/part.py" *)
module \\vtep.part (clk, value);
  input clk;
  wire clk;
  output value;
  wire value;
endmodule
"""
SOURCE = "head = 0\n\n    m.d.comb += one\n    m.d.comb += two\n    m.d.comb += three\n"


def point(line: int, kind: str, what: str, count: int, instance: str = "vtep_bench.core") -> str:
    keys = {"f": "vtep.v", "l": line, "t": kind, "o": what, "h": f"TOP.{instance}"}
    return "C '" + "".join(f"\1{key}\2{value}" for key, value in keys.items()) + f"' {count}\n"


def dat(*points: str) -> str:
    return "# SystemC::Coverage-3\n" + "".join(points)


FIRST = dat(
    point(15, "line", "case", 4),
    point(18, "line", "case", 0),
    point(5, "toggle", "head[0]:0->1", 2),
    point(5, "toggle", "head[0]:1->0", 1),
    point(5, "toggle", "head[1]:0->1", 1),
    point(5, "toggle", "head[1]:1->0", 0),
    point(27, "toggle", "value:0->1", 0, "vtep_bench.core.part"),
    point(27, "toggle", "value:1->0", 0, "vtep_bench.core.part"),
)
SECOND = dat(
    point(15, "line", "case", 0),
    point(18, "line", "case", 1),
    point(5, "toggle", "head[0]:0->1", 0),
    point(5, "toggle", "head[0]:1->0", 0),
    point(5, "toggle", "head[1]:0->1", 0),
    point(5, "toggle", "head[1]:1->0", 3),
    point(27, "toggle", "value:0->1", 0, "vtep_bench.core.part"),
    point(27, "toggle", "value:1->0", 0, "vtep_bench.core.part"),
)
POINT = "bytes of IPv4 options"


@pytest.fixture
def simulate(tmp_path: Path):
    """Leaves what one simulation leaves."""

    def left(build: str, tag: str, counts: str | None, hits: dict | None, sources: str | None = None) -> Path:
        folder = tmp_path / "system" / build
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vtep.v").write_text(VERILOG)
        order = {"sources": sources or core_digest(), "environment": {"VTEP_SEED": "1"}}
        (folder / f"{tag}.json").write_text(json.dumps(order))
        (folder / f"{tag}.xml").write_text("<x><testcase/><testcase><failure/></testcase></x>")
        if counts is not None:
            (folder / f"{tag}.dat").write_text(counts)
        if hits is not None:
            (folder / f"{tag}.hits").write_text(json.dumps({"points": {POINT: hits}}))
        return tmp_path / "system"

    return left


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sources that the notes speak of."""
    (tmp_path / "vtep/packet").mkdir(parents=True)
    (tmp_path / "vtep/packet/new.py").write_text(SOURCE)
    return tmp_path


def waivers(tmp_path: Path, text: str) -> list:
    path = tmp_path / "waivers.toml"
    path.write_text(text)
    return load_waivers(path)


def holes(report: Report) -> dict[str, str]:
    return {hole["what"]: hole["why"] for hole in report.holes}


# What is counted


def test_a_signal_is_counted_under_one_name() -> None:
    counted = True
    names = []
    for line in instrumented(VERILOG).splitlines():
        counted = {"coverage_off": False, "coverage_on": True}.get(
            line.strip(" /*").removeprefix("verilator "), counted
        )
        if line.startswith(("  wire", "  reg")) and counted:
            names.append(line.split()[-1].strip(";"))
    # \\head.low and \\other are head by another name; the clock of the part is that of the core.
    assert names == ["clk", "head", "sum", "value"]
    assert [line for line in instrumented(VERILOG).splitlines() if "coverage_o" not in line] == VERILOG.splitlines()


def test_the_notes_lead_to_the_sources() -> None:
    places = places_of(VERILOG)
    lines = VERILOG.splitlines()
    assert {lines[number - 1].strip(): sources for number, sources in places.sources.items()} == {
        "2'h1, 2'h1:": ("vtep/packet/new.py:3",),
        "default:": ("vtep/packet/new.py:4", "vtep/packet/new.py:5"),
    }
    assert places.files[5] == "vtep/packet/new.py"
    assert places.files[27] == "vtep/stream/part.py"


def test_constants_are_known() -> None:
    text = VERILOG.replace(
        "  assign sum = _01_;\n",
        """  wire [15:0] wide;
  wire [3:0] part;
  wire [3:0] sum4;
  assign wide = { 4'h3, part, \\other , head[1:0], 5'd7 };
  assign part[3:2] = 2'h0;
  assign part[1] = _01_;
  assign sum4 = { 1'h0, head } + { 2'h1, head };
  assign sum = 1'h1;
""",
    )
    lines = text.splitlines()
    found = {lines[number - 1].split()[-1]: bits for number, bits in constant_bits(text).items()}
    assert found == {"wide;": {0, 1, 2, 3, 4, 12, 13, 14, 15}, "part;": {2, 3}, "sum;": {0}}


def test_constants_are_not_counted(simulate) -> None:
    simulate("w64", "results", FIRST, {})
    folder = simulate("w64", "results", FIRST, {})
    verilog = folder / "w64" / "vtep.v"
    verilog.write_text(VERILOG.replace("  assign sum = _01_;", "  assign head[1] = 1'h0;"))
    bits = merge(folder).counts["w64"].edges
    assert {(bit.signal, bit.index) for bit in bits} == {("head", 0), ("value", 0)}


def test_a_component_is_noted_where_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Elaboratable, "_MustUse__silence", True)
    noted = to_verilog(PacketQueue(64, depth=16), "queue", notes=True)
    plain = to_verilog(PacketQueue(64, depth=16), "queue")
    assert "where =" not in plain
    places = places_of(noted)
    assert {"vtep/packet/queue.py", "vtep/packet/store.py"} <= set(places.files.values())
    hdl = Path(__file__).resolve().parents[3] / "hdl"
    sources = {source for some in places.sources.values() for source in some}
    assert len(sources) > 10
    for source in sources:
        file, _, number = source.rpartition(":")
        assert ".eq(" in (hdl / file).read_text().splitlines()[int(number) - 1], source


def test_toggles_of_wide_signals_are_counted_for_the_bits_that_toggled(tmp_path: Path) -> None:
    """Verilator's own function counts bits 32 and 64 as well."""
    (tmp_path / "toggle.cpp").write_text(f"""
        #include "verilated.h"
        #include "{TOGGLES}"
        #include <cstdio>
        int main() {{
            uint32_t counts[192] = {{}};
            WData now[3] = {{0x80000001, 0, 2}}, before[3] = {{0, 1, 2}};
            VL_COV_TOGGLE_CHG_ST_W(96, counts, now, before);
            VL_COV_TOGGLE_CHG_ST_Q(40, counts + 10, 1ull << 35, 0);
            for (int i = 0; i < 192; ++i)
                if (counts[i]) std::printf("%d:%u ", i, counts[i]);
        }}""")
    compiler, _ = find_compiler()
    include = find_verilator().root / "include"
    options = ["-std=c++17", "-w", "-DVM_COVERAGE=1", f"-I{include}", f"-I{include}/vltstd"]
    command = [compiler, *options, "-c", "toggle.cpp", "-o", "toggle.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run(
        [compiler, "toggle.o", "-Wl,--unresolved-symbols=ignore-all", "-o", "toggle"], cwd=tmp_path, check=True
    )
    out = subprocess.run([tmp_path / "toggle"], capture_output=True, text=True, check=True).stdout
    # Two numbers a bit, fell and rose: bit 0 rose, 31 rose, 32 fell; bit 35 of the other rose.
    assert dict(pair.split(":") for pair in out.split()) == {"1": "1", "63": "1", "64": "1", str(10 + 71): "1"}


# Simulations put together


def test_edges_and_executions_add_up(simulate) -> None:
    simulate("w64", "results", FIRST, {"0": 2})
    merged = merge(simulate("w64", "registers", SECOND, {"0": 1, "4": 5}))
    head = [merged.counts["w64"].edges[Bit("vtep/packet/new.py", "core", "head", index)] for index in (0, 1)]
    assert head == [BOTH, BOTH]
    assert merged.lines == {f"vtep/packet/new.py:{n}": count for n, count in ((3, 4), (4, 1), (5, 1))}
    hits = merged.hits.by_point()[POINT]
    assert (hits["0"], hits["4"], hits["8"]) == (3, 5, 0)
    assert [(one.tests, one.failed) for one in merged.simulations] == [(2, 1), (2, 1)]


def test_names_are_those_of_the_sources(simulate) -> None:
    counts = dat(point(27, "toggle", "i___05Fvalid__02412[3]:0->1", 1, "vtep_bench.core.part"))
    ((bit, edges),) = merge(simulate("w64", "results", counts, {})).counts["w64"].edges.items()
    assert (bit.file, bit.signal, bit.name, bit.index) == ("vtep/stream/part.py", "i__valid$12", "i__valid", 3)
    assert edges != BOTH


def test_a_bit_of_each_build_counts_for_itself(simulate, root) -> None:
    simulate("w64", "results", FIRST, {})
    report = make_report(merge(simulate("w8", "results", SECOND, {})), [], root)
    assert (report.toggle.hit, report.toggle.total) == (1, 6)
    assert (report.builds["w64"].hit, report.builds["w8"].hit) == (1, 0)
    assert (report.line.hit, report.line.total) == (3, 3)  # a statement counts wherever it is executed


@pytest.mark.parametrize(
    ("counts", "hits", "sources", "complaint"),
    [
        (FIRST, {}, "other", "other sources"),
        (None, {}, None, "ended before"),
        ("# something else\n", {}, None, "begins with"),
        ("", {}, None, "begins with ''"),
        (dat("C nothing\n"), {}, None, "no point"),
        (FIRST, {"5": 1}, None, "is no bin"),
        (None, None, None, "make coverage"),
    ],
)
def test_what_cannot_be_put_together_is_refused(simulate, counts, hits, sources, complaint) -> None:
    with pytest.raises(CoverageError, match=complaint):
        merge(simulate("w64", "results", counts, hits, sources))


# Holes


def test_what_is_missing_is_a_hole(simulate, root, tmp_path) -> None:
    report = make_report(merge(simulate("w64", "results", FIRST, {"0": 1})), [], root)
    found = holes(report)
    assert found[f"{POINT}: 4"] == UNEXPLAINED
    assert f"{POINT}: 0" not in found
    assert found["hdl/vtep/packet/new.py:4: m.d.comb += two"] == UNEXPLAINED
    assert "hdl/vtep/packet/new.py:3: m.d.comb += one" not in found
    assert found["hdl/vtep/packet/new.py: head[1], 1 bit in w64"] == UNEXPLAINED
    assert found["hdl/vtep/stream/part.py: value[0], 1 bit in w64"] == UNEXPLAINED
    assert (report.line.hit, report.line.total, report.line.left) == (1, 3, 2)
    wanted = sum(len(point.wanted) for point in PLAN.values())
    assert (report.functional.hit, report.functional.total) == (1, wanted)

    write_report(report, tmp_path / "coverage.json", "make coverage")
    content = json.loads((tmp_path / "coverage.json").read_text())
    assert content["line"] == {"hit": 1, "total": 3, "waived": 0}
    assert content["toggle"] == {"hit": 1, "total": 3, "waived": 0}
    assert {"kind": "bin", "what": f"{POINT}: 4", "why": UNEXPLAINED} in content["holes"]
    (options,) = [one for one in content["points"] if one["name"] == POINT]
    assert options["bins"][:2] == [{"bin": "0", "hits": 1}, {"bin": "4", "hits": 0}]
    assert {"rule": "3.5 sent over IPv4", "hits": 0} in content["rules"]

    write_listing(report, tmp_path / "listing", root)
    listing = (tmp_path / "listing/vtep/packet/new.py.txt").read_text().splitlines()
    assert [line[:12].strip() for line in listing] == ["", "", "4", "#####", "#####"]


WAIVED = """
[[bin]]
point = "bytes of IPv4 options"
bin = "4|8"
why = "because"

[[line]]
file = "hdl/vtep/packet/new.py"
text = "m.d.comb += two"
why = "never"

[[toggle]]
file = "hdl/vtep/packet/new.py"
signal = "head"
bits = "1"
why = "constant"
"""


def test_a_waiver_explains(simulate, root, tmp_path) -> None:
    report = make_report(merge(simulate("w64", "results", FIRST, {"0": 1})), waivers(tmp_path, WAIVED), root)
    found = holes(report)
    assert found[f"{POINT}: 4"] == found[f"{POINT}: 8"] == "because"
    assert found[f"{POINT}: 12"] == UNEXPLAINED
    assert found["hdl/vtep/packet/new.py:4: m.d.comb += two"] == "never"
    assert found["hdl/vtep/packet/new.py:5: m.d.comb += three"] == UNEXPLAINED
    assert found["hdl/vtep/packet/new.py: head[1], 1 bit in w64"] == "constant"
    # It explains, and does not improve the figure.
    assert (report.line.hit, report.line.total, report.line.waived, report.line.left) == (1, 3, 1, 1)
    assert report.stale == []


@pytest.mark.parametrize(
    ("counts", "hits", "complaint"),
    [
        (SECOND, {"0": 1}, "line: hdl/vtep/packet/new.py: .*: the tests do reach it"),
        (
            FIRST.replace("head[1]:1->0\1hTOP", "").replace("' 0\n", "' 1\n"),
            {},
            "toggle: .*head.*the tests do reach it",
        ),
        (FIRST, {"4": 1, "8": 1}, "bin: .*the tests do reach it"),
        (dat(point(15, "line", "case", 4), point(18, "line", "case", 0)), {}, "toggle: .*nothing of this name"),
    ],
)
def test_a_stale_waiver_is_a_complaint(simulate, root, tmp_path, counts, hits, complaint) -> None:
    report = make_report(merge(simulate("w64", "results", counts, hits)), waivers(tmp_path, WAIVED), root)
    assert any(re.match(complaint, line) for line in report.stale), report.stale


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[bin]]\npoint = "p"\nbin = "b"', "'why' is missing"),
        ('[[bin]]\npoint = "p"\nbin = "b"\nwhy = " "', "'why' is missing"),
        ('[[line]]\nfile = "p"\nwhy = "b"', "'text' is missing"),
        ('[[line]]\nfile = "p"\ntext = "t"\nwhy = "b"\nbits = "1"', "there is no 'bits'"),
        ('[[toggle]]\nfile = "p"\nsignal = "("\nwhy = "b"', "toggle 1: "),
        ('[[toggle]]\nfile = "p"\nsignal = "s"\nwhy = "b"\nbits = "x"', "toggle 1: "),
        ('[[branch]]\nfile = "p"', "there are no waivers of 'branch'"),
    ],
)
def test_a_wrong_waiver_is_refused(tmp_path, text, complaint) -> None:
    with pytest.raises(CoverageError, match=complaint):
        waivers(tmp_path, text)


# The command


@pytest.fixture
def command(root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Calls `vtep-sim coverage` with sources of this test and with the waivers given."""

    def call(text: str = ""):
        (tmp_path / "waivers.toml").write_text(text)
        monkeypatch.setattr(reporting, "sources_root", lambda: root)
        monkeypatch.setattr(waiving.load_waivers, "__defaults__", (tmp_path / "waivers.toml",))
        return CliRunner().invoke(app, ["coverage", "--folder", str(tmp_path)], catch_exceptions=False)

    return call


def test_the_command_writes_everything(simulate, command, tmp_path) -> None:
    simulate("w64", "results", FIRST, {"0": 1})
    done = command()
    assert done.exit_code == 0, done.output
    assert "2 tests on 1 builds, 1 failed" in done.output
    assert "hdl/vtep/packet/new.py:4: m.d.comb += two" in done.output
    assert "head[1]" not in done.output
    assert "hdl/vtep/packet/new.py: head[1], 1 bit in w64" in (tmp_path / "coverage.txt").read_text()
    assert json.loads((tmp_path / "coverage.json").read_text())["command"] == "make coverage"
    assert (tmp_path / "listing/vtep/packet/new.py.txt").exists()


def test_a_stale_waiver_fails_the_command(simulate, command) -> None:
    simulate("w64", "results", SECOND, {"0": 1})
    done = command(WAIVED)
    assert done.exit_code == 1
    assert "stale waivers:" in done.output


def test_the_command_refuses_what_it_cannot_read(simulate, command) -> None:
    done = command()
    assert done.exit_code == 2
    assert "error: no simulation has counted anything" in done.output
    simulate("w64", "results", None, {"0": 1})
    done = command()
    assert done.exit_code == 2
    assert "error: w64/results ended before Verilator wrote its counts" in done.output


def test_the_waivers_of_the_repository_are_read() -> None:
    assert isinstance(load_waivers(), list)


def test_an_empty_merge_is_all_holes() -> None:
    report = make_report(Merged(), [])
    assert report.functional.hit == 0
    assert len(report.holes) == report.functional.total
