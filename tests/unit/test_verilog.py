"""`vtep.verilog`: the text keeps names and order, is lint-clean, is the same each time, and does what Amaranth does."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.hdl import Array, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from vtep import verilog
from vtep.verilog import VerilogError, to_verilog
from vtep_sim.harness import find_verilator


class Kind(enum.Enum, shape=2):
    """An enumeration whose names travel along as attributes."""

    ONE = 1
    TWO = 2


class Leaf(wiring.Component):
    """Everything that Yosys writes in a way linters doubt: growing sums, signed ones, slices, cases, memories."""

    def __init__(self) -> None:
        layout = data.StructLayout({"low": 3, "none": 0, "kind": Kind})
        super().__init__({"i": In(stream.Signature(layout)), "amount": In(signed(5)), "o": Out(12)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = words = memory.Memory(shape=12, depth=40, init=[])
        m.submodules.table = table = memory.Memory(shape=8, depth=8, init=[3, 1, 4, 1, 5, 9, 2, 6])
        write, read = words.write_port(), words.read_port(domain="comb")
        look = table.read_port(domain="comb")
        counts = Array(Signal(6, name=f"count_{i}", init=i) for i in range(8))
        address = Signal(range(40))
        i = self.i.payload
        total = Signal(signed(9))
        m.d.comb += [
            self.i.ready.eq(address != 39),
            look.addr.eq(self.i.payload.low),
            write.addr.eq(address),
            write.en.eq(self.i.valid & self.i.ready),
            write.data.eq((look.data - self.amount) ^ (address << 4) ^ (self.amount * address)),
            read.addr.eq(Mux(address == 0, 0, address - 1)),
        ]
        m.d.sync += address.eq(Mux(self.i.ready, address + self.i.valid, 0))
        with m.Switch(self.i.payload):
            with m.Case("--000"):
                m.d.sync += total.eq(total + self.amount)
            with m.Case("01---", "10---"):
                m.d.sync += counts[self.i.payload.low].eq(counts[address[:3]] + 1)
            with m.Case("11-11"):
                pass
            with m.Default():
                m.d.sync += total.eq(total >> 1)
        foregone = [i.low <= 7, i.low < 0, i.low >= 0, i.low > 7, Const(7, 3) >= i.low, Const(0, 3) > i.low]
        sliced = Value.cast(self.i.payload).bit_select(address[:2], 2)
        m.d.sync += self.o.eq(
            read.data + counts[self.i.payload.low] - total + (sliced < self.amount) + sum(foregone) * 64
        )
        return m


class Top(wiring.Component):
    """Flat ports in an order of their own, and two levels below."""

    s_axis_tdata: In(5)
    s_axis_tvalid: In(1)
    s_axis_tready: Out(1)
    amount: In(signed(5))
    m_axis_tdata: Out(12)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.leaf = leaf = Leaf()
        m.d.comb += [
            leaf.i.payload.eq(self.s_axis_tdata),
            leaf.i.valid.eq(self.s_axis_tvalid),
            leaf.amount.eq(self.amount),
            self.s_axis_tready.eq(leaf.i.ready),
            self.m_axis_tdata.eq(leaf.o),
        ]
        return m


class Unused(wiring.Component):
    """An input that nothing reads: worth a warning."""

    a: In(1)
    b: In(1)
    y: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.y.eq(self.a)
        return m


def verilator(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    found = find_verilator()
    command = [str(found.command), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=found.environment, capture_output=True, text=True, check=False)


def lint(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "dut.v").write_text(text)
    return verilator("--lint-only", "-Wall", "--quiet", "dut.v", cwd=folder)


def test_lint_clean(tmp_path: Path) -> None:
    result = lint(to_verilog(Top(), "top"), tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def test_yosys_reads_it(tmp_path: Path) -> None:
    (tmp_path / "top.v").write_text(to_verilog(Top(), "top"))
    passes = ("read_verilog top.v", "hierarchy -check -top top", "proc", "check -assert")
    script = f"from pyosys import libyosys as ys\nd = ys.Design()\nfor p in {passes}: ys.run_pass(p, d)"
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-1000:]
    assert "Warning" not in run.stdout


def test_waivers_hide_nothing_of_the_ports(tmp_path: Path) -> None:
    result = lint(to_verilog(Unused(), "unused"), tmp_path)
    assert "UNUSEDSIGNAL" in result.stderr
    assert "'b'" in result.stderr


def test_waivers_are_few_and_explained() -> None:
    lines = to_verilog(Top(), "top").splitlines()
    pragmas = [i for i, line in enumerate(lines) if "lint_off" in line]
    assert {lines[i].strip() for i in pragmas} == {
        "/* verilator lint_off DECLFILENAME */",
        "/* verilator lint_off CASEOVERLAP */",
        "/* verilator lint_off UNUSEDSIGNAL */",
    }
    assert all("//" in lines[i - 1] for i in pragmas)


def test_names_and_order() -> None:
    text = to_verilog(Top(), "some_name", comment="Parameters:\n  width = 8")
    assert "// Parameters:\n//   width = 8\n" in text
    header = "clk, rst, s_axis_tdata, s_axis_tvalid, s_axis_tready, amount, m_axis_tdata"
    assert f"module some_name({header});" in text
    nested = re.search(r"module leaf\((.*)\);", to_verilog(Leaf(), "leaf"))
    assert nested
    assert nested[1] == "clk, rst, i__payload, i__valid, i__ready, amount, o"


def test_nothing_of_this_machine() -> None:
    text = to_verilog(Top(), "top")
    assert "src" not in text
    assert "/" not in re.sub(r"//|/\*|\*/", "", text)
    assert "verilog_backend" not in text


def test_same_text_each_time(tmp_path: Path) -> None:
    first = to_verilog(Top(), "top")
    assert to_verilog(Top(), "top") == first
    script = tmp_path / "again.py"
    script.write_text(Path(__file__).read_text() + "\n\nsys.stdout.write(to_verilog(Top(), 'top'))\n")
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
        assert run.stdout == first


@pytest.mark.parametrize("name", ["", "1st", "a.b", "a b"])
def test_refuses_name(name: str) -> None:
    component = Unused()
    component._MustUse__silence = True
    with pytest.raises(ValueError, match="name must be a Verilog identifier"):
        to_verilog(component, name)


def test_yosys_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verilog.rtlil, "convert_fragment", lambda *_, **__: ("module \\top\n  nonsense\nend\n", {}))
    component = Unused()
    component._MustUse__silence = True
    with pytest.raises(VerilogError, match=r"Yosys could not write the Verilog: ERROR: .*nonsense"):
        to_verilog(component, "top")


@pytest.mark.parametrize(
    ("cases", "kept"),
    [
        (["case 2'00", "case 2'01", "  assign $1 $2", "case 2'10"], ["case 2'01", "  assign $1 $2"]),
        (["case 2'0-", "case 2'01", "  assign $1 $2"], ["case 2'0-", "case 2'01", "  assign $1 $2"]),
        (["case 2'00, 2'01", "case 2'10, 2'01", "  assign $1 $2"], None),
        (["case 2'00", "case", "  assign $1 $2"], None),
        (["case 2'00", "  assign $1 $2", "case"], ["case 2'00", "  assign $1 $2"]),
        (
            ["case 2'00", "  switch $3", "    case 1'1", "  end", "case 2'11", "  assign $1 $2"],
            ["case 2'11", "  assign $1 $2"],
        ),
    ],
)
def test_prunes_only_cases_that_hide_nothing(cases: list[str], kept: list[str] | None) -> None:
    head, tail = ["  process $9", "  assign $1 $0", "  switch $4 [1:0]"], ["  end", "  end", "end"]
    expected = [*head, *(cases if kept is None else kept), *tail]
    assert list(verilog._prune_cases([*head, *cases, *tail])) == expected


def test_makes_a_process_without_cases_a_connection() -> None:
    lines = ["  process $9", "    assign $1 1'1", "    switch $4 [1:0]", "      case 2'00", "    end", "  end", "end"]
    assert list(verilog._prune_cases(lines)) == ["  connect $1 1'1", "end"]


BENCH = """
#include "Vtop.h"
#include <cstdio>
int main() {
    Vtop top;
    auto tick = [&](int clk) { top.clk = clk; top.eval(); };
    unsigned data, valid, amount;
    tick(0);
    while (std::scanf("%u %u %u", &data, &valid, &amount) == 3) {
        top.s_axis_tdata = data; top.s_axis_tvalid = valid; top.amount = amount & 31;
        top.eval();
        std::printf("%u %u\\n", unsigned(top.s_axis_tready), unsigned(top.m_axis_tdata));
        tick(1); tick(0);
    }
}
"""


def test_same_behaviour_as_amaranth(tmp_path: Path, rng: random.Random) -> None:
    inputs = [(rng.randrange(32), rng.random() < 0.9, rng.randrange(-16, 16)) for _ in range(2000)]

    expected = []
    dut = Top()

    async def drive(ctx) -> None:
        for beat, valid, amount in inputs:
            ctx.set(dut.s_axis_tdata, beat)
            ctx.set(dut.s_axis_tvalid, valid)
            ctx.set(dut.amount, amount)
            expected.append((ctx.get(dut.s_axis_tready), ctx.get(dut.m_axis_tdata)))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()

    (tmp_path / "top.v").write_text(to_verilog(Top(), "top"))
    (tmp_path / "bench.cpp").write_text(BENCH)
    # What the pinned package does not know by itself: where Python is, and how to include a precompiled header.
    make = f"PYTHON3={sys.executable} CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG="
    make += " OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
    files = ("--cc", "top.v", "--exe", "bench.cpp")
    build = verilator("--build", "-Wall", "--quiet", "-MAKEFLAGS", make, *files, cwd=tmp_path)
    assert build.returncode == 0, build.stderr + build.stdout
    text = "".join(f"{beat} {valid:d} {amount & 31}\n" for beat, valid, amount in inputs)
    run = subprocess.run([tmp_path / "obj_dir" / "Vtop"], input=text, capture_output=True, text=True, check=True)
    assert [tuple(map(int, line.split())) for line in run.stdout.splitlines()] == expected
