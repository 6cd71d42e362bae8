"""The graph of registers that is read off a Verilog text, and what it refuses to read."""

import pytest

from vtep.config import VtepParameters
from vtep.lookup.hashed import HashedMatch
from vtep.verilog import to_verilog
from vtep.vxlan.axi import VtepAxi
from vtep_sim.harness.build import cached_verilog
from vtep_sim.harness.clocked import merge_next_values
from vtep_sim.harness.register_graph import GraphError, RegisterGraph, read_modules

TOP = """module vtep(clk, rst, \\a.b , q, w);
  input clk;
  input rst;
  input [3:0] \\a.b ;
  output [3:0] q;
  output w;
  reg [3:0] \\q.r ;
  initial \\q.r = 4'h3;
  reg taken;
  reg quiet;
  wire [3:0] found;
  reg _start_ = 0;
  assign q = \\q.r ;
  assign w = quiet;
  always @(posedge clk)
    taken <= \\a.b [0];
  always @(posedge clk) begin
    if (rst) begin
      quiet <= 1'h0;
    end
  end
  always @(posedge clk) begin
    casez (taken)
      1'b1:
          \\q.r [1:0] <= found[3:2];
    endcase
  end
  \\vtep.table  \\in.side  (
    .address(\\q.r ),
    .core_clk(clk),
    .data(found)
  );
endmodule
"""

TABLE = """module \\vtep.table (address, core_clk, data);
  input [3:0] address;
  wire [3:0] address;
  input core_clk;
  output [3:0] data;
  reg [3:0] ram [15:0];
  initial begin
    ram[0] = 4'h0;
  end
  reg [3:0] pointer;
  always @(posedge core_clk) begin
    if (_0_)
      ram[pointer[1:0]] <= pointer;
  end
  always @(posedge core_clk)
    pointer <= _1_;
  always @* begin
    if (_start_ ) begin end
    _1_ = pointer;
  end
  assign _0_ = address == 4'hf;
  assign data = ram[address];
endmodule
"""


def graph(text: str) -> RegisterGraph:
    return RegisterGraph(text, "vtep")


def sources_of(found: RegisterGraph) -> dict[str, tuple[set[str], bool]]:
    result = {}
    for group, sources, outside in zip(found.groups, found.sources, found.outside, strict=True):
        for process in group:
            for name in process.targets:
                result[name.lstrip("\\")] = ({name.lstrip("\\") for _, name in sources}, outside)
    return result


def test_sources_through_wires_memories_and_modules() -> None:
    assert sources_of(graph(TOP + TABLE)) == {
        "taken": ({"taken"}, True),
        "quiet": ({"quiet"}, False),
        "q.r": ({"q.r", "taken", "ram"}, False),
        "ram": ({"ram", "pointer", "q.r"}, False),
        "pointer": ({"pointer"}, False),
    }


def test_outputs_that_inputs_reach_in_the_same_clock() -> None:
    assert graph(TOP + TABLE).through == []
    assert graph(TOP.replace("assign w = quiet", "assign w = found[0] & \\a.b [1]") + TABLE).through == ["w"]


def test_what_stands_behind_a_register() -> None:
    """The names of what is assigned there: `q` and `w` read one, the comparison one, the read of the table two."""
    found = graph(TOP + TABLE)
    behind = {
        name.lstrip("\\"): cost
        for group, cost in zip(found.groups, found.behind, strict=True)
        for name in group[0].targets
    }
    assert {name: behind[name] for name in ("taken", "quiet", "q.r", "ram")} == {
        "taken": 0,
        "quiet": 1,
        "q.r": 1 + 1 + 2,
        "ram": 2,
    }


def test_a_combinational_ring_hides_nothing() -> None:
    # A vector is one thing here, so that wires may seem to depend on each other.
    ring = "  assign found[0] = w;\n  assign w = found[1] ^ taken;\n"
    text = TOP.replace("  assign w = quiet;\n", ring).replace("quiet <= 1'h0", "quiet <= w")
    sources, _ = sources_of(graph(text + TABLE))["quiet"]
    assert sources == {"quiet", "taken", "ram", "q.r"}


def test_processes_of_one_memory_belong_together() -> None:
    second = "  always @(posedge core_clk)\n    ram[address] <= 4'h1;\nendmodule"
    found = graph(TOP + TABLE.replace("endmodule", second))
    assert sorted(len(group) for group in found.groups) == [1, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  assign w = quiet;", "  buf (w, quiet);", "not understood: buf"),
        ("    taken <= \\a.b [0];", "    {taken, quiet} <= 2'h0;", "not understood: {taken"),
        ("    .address(\\q.r ),", "    \\q.r ,", r"not understood: \\q.r"),
        ("always @(posedge clk)\n    taken", "always @(posedge w)\n    taken", "wanted one clock of vtep|not a clock"),
        (".core_clk(clk)", ".core_clk(taken)", "wanted one clock of vtep"),
        ("always @(posedge clk)\n    taken", "always @(negedge clk)\n    taken", "not understood: always"),
        ("    taken <= \\a.b [0];", "    quiet <= \\a.b [0];", "quiet is assigned by 2 processes"),
    ],
)
def test_refused(old: str, new: str, message: str) -> None:
    assert old in TOP
    with pytest.raises(GraphError, match=message):
        graph(TOP.replace(old, new) + TABLE)


def test_a_module_twice() -> None:
    again = "  \\vtep.table  other (\n    .core_clk(clk)\n  );\nendmodule\n"
    with pytest.raises(GraphError, match="more than one instance"):
        graph(TOP.replace("endmodule\n", again) + TABLE)


def test_the_text_of_modules_comes_back() -> None:
    before, modules = read_modules("// head\n" + TOP + TABLE)
    assert "\n".join([*before, *(line for module in modules for line in module.lines)]) == "// head\n" + TOP + TABLE


def test_a_component() -> None:
    found = RegisterGraph(merge_next_values(to_verilog(HashedMatch(20, 4, 16), "vtep")), "vtep")
    every = {(process.module, name) for group in found.groups for process in group for name in process.targets}
    assert set().union(*found.sources) == every
    assert any(name.startswith("ram_") for _, name in every)


@pytest.mark.slow
def test_the_core_is_understood() -> None:
    parameters = VtepParameters()
    verilog = cached_verilog(parameters, lambda: to_verilog(VtepAxi(parameters), "vtep"))
    found = RegisterGraph(merge_next_values(verilog), "vtep")
    assert len(found.groups) > 1500
    assert sum(found.outside) < 60
