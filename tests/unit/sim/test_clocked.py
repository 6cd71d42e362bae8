"""The rewriting of registers for simulation: its forms, and proof that nothing changes."""

import re
import subprocess
import sys

import pytest

from vtep.config import VtepParameters
from vtep.control.bank import CounterBank
from vtep.lookup.hashed import HashedMatch
from vtep.stream.arbiter import PacketArbiter
from vtep.stream.axi import AxiStreamSource
from vtep.stream.fifo import TokenQueue
from vtep.verilog import to_verilog
from vtep.vxlan.axi import VtepAxi
from vtep_sim.harness.build import cached_verilog
from vtep_sim.harness.clocked import merge_next_values

PROOF = """
from pyosys import libyosys as ys
design = ys.Design()
for command in '''
    read_verilog -sv gold.v
    prep -flatten -top dut
    rename dut gold
    design -stash gold
    read_verilog -sv gate.v
    prep -flatten -top dut
    rename dut gate
    design -stash gate
    design -copy-from gold -as gold gold
    design -copy-from gate -as gate gate
    memory_map
    equiv_make gold gate equiv
    equiv_simple -undef equiv
    equiv_induct -undef equiv
    equiv_status -assert equiv
'''.split("\\n"):
    if command.strip():
        ys.run_pass(command.strip(), design)
"""

MODULE = """module dut(clk, rst, en, \\a.b , q, w);
  input clk, rst, en;
  input [3:0] \\a.b ;
  output [3:0] q;
  output w;
  reg [3:0] \\q.r ;
  initial \\q.r = 4'h3;
  reg [3:0] _01_;
  reg kept;
  initial kept = 1'h0;
  reg _02_;
  reg _start_ ;
  assign q = \\q.r ;
  assign w = kept ^ _02_;
  always @(posedge clk)
    \\q.r <= _01_;
  always @(posedge clk)
    kept <= _02_;
  always @* begin
    if (_start_ ) begin end
    _01_ = \\q.r ;
    if (en) begin
      _01_[1:0] = \\a.b [3:2];
    end
    casez (\\a.b )
      4'b???1:
          _01_[3] = 1'h1;
      default: /* empty */;
    endcase
    if (rst) begin
      _01_ = 4'h3;
    end
  end
  always @* begin
    if (_start_ ) begin end
    _02_ = kept;
    if (en) begin
      _02_ = \\a.b [0];
    end
  end
endmodule
"""


def prove(tmp_path, gold: str, gate: str) -> bool:
    (tmp_path / "gold.v").write_text(gold)
    (tmp_path / "gate.v").write_text(gate)
    done = subprocess.run([sys.executable, "-c", PROOF], cwd=tmp_path, capture_output=True, text=True, check=False)
    (tmp_path / "log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0 or "unproven" in done.stdout + done.stderr, done.stdout[-2000:] + done.stderr[-2000:]
    return done.returncode == 0


def test_a_register_whose_next_value_is_its_own_affair() -> None:
    merged = merge_next_values(MODULE)
    assert "_01_" not in merged
    assert "always @(posedge clk) begin\n    if (en) begin\n      \\q.r  [1:0] <= \\a.b [3:2];" in merged
    assert "          \\q.r  [3] <= 1'h1;" in merged
    assert "initial \\q.r = 4'h3;" in merged
    # The other next value is an output too: left as it is.
    assert "    kept <= _02_;" in merged
    assert "    _02_ = kept;" in merged


@pytest.mark.parametrize("clock", ["core_clk", "\\a.clk "])
def test_whatever_the_clock_is_called(clock: str) -> None:
    other = re.sub(r"\bclk\b", lambda _: clock, MODULE)
    assert merge_next_values(other) == re.sub(r"\bclk\b", lambda _: clock, merge_next_values(MODULE))


@pytest.mark.slow
def test_hardly_a_register_of_the_core_is_left_out() -> None:
    parameters = VtepParameters()
    verilog = cached_verilog(parameters, lambda: to_verilog(VtepAxi(parameters), "vtep"))
    before, after = (len(re.findall(r"always @\*", text)) for text in (verilog, merge_next_values(verilog)))
    assert after < before / 5


def test_nothing_changes(tmp_path) -> None:
    assert prove(tmp_path, MODULE, merge_next_values(MODULE))


def test_the_proof_can_fail(tmp_path) -> None:
    merged = merge_next_values(MODULE)
    assert not prove(tmp_path, MODULE, merged.replace("\\a.b [3:2]", "\\a.b [2:1]"))
    assert not prove(tmp_path, MODULE, merged.replace("<= 4'h3", "<= 4'h1"))


COMPONENTS = {
    "hashed": lambda: HashedMatch(20, 4, 16),
    "bank": lambda: CounterBank(3, 14),
    "arbiter": lambda: PacketArbiter(32),
    "axi": lambda: AxiStreamSource(32, length=True),
    "queue": lambda: TokenQueue(5, depth=4),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_nothing_changes_in_a_component(tmp_path, name: str) -> None:
    verilog = to_verilog(COMPONENTS[name](), "dut")
    merged = merge_next_values(verilog)
    before, after = (len(re.findall(r"always @\*", text)) for text in (verilog, merged))
    assert after < before
    assert prove(tmp_path, verilog, merged)
