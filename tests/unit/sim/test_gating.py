"""Clocks of their own for registers in the simulation: the same in every clock, whatever happens to the core."""

import random
import re
from collections.abc import Callable

import pytest

from vtep.config import VtepParameters
from vtep_host.config import Config
from vtep_sim.bench.speed import training_for
from vtep_sim.bench.traffic import BenchFrame, config_for, inner_frame, outer_frame
from vtep_sim.harness import PORTS, Result, SimulationError, Simulator
from vtep_sim.harness import build as build_module
from vtep_sim.harness import simulator as simulator_module
from vtep_sim.harness.gating import both_edges, census, gate, gate_outputs, read_census, read_graph
from vtep_sim.harness.register_graph import RegisterGraph

SMALL = VtepParameters(
    data_width=8,
    vnis=1,
    tunnels=1,
    fdb_entries=1,
    flood_entries=1,
    ipv6=False,
    udp_checksum=False,
    max_frame_length=1600,
)
"""Also the least that every table may be: a single entry."""

CHAIN = """module vtep(clk, rst, i, o);
  input clk;
  input rst;
  input [3:0] i;
  output [3:0] o;
  reg [3:0] first;
  reg [3:0] second;
  assign o = second;
  always @(posedge clk)
    first <= i;
  \\vtep.part  \\part.1  (
    .clk(clk),
    .i(first),
    .o(found)
  );
  always @(posedge clk)
    second <= found;
endmodule
module \\vtep.part (clk, i, o);
  input clk;
  input [3:0] i;
  output [3:0] o;
  reg [3:0] \\ram  [3:0];
  always @(posedge clk) begin
    if (i[3])
      \\ram [i[1:0]] <= i;
  end
  assign o = \\ram [i[1:0]];
endmodule
"""


def frames(rng: random.Random) -> dict[str, list[BenchFrame]]:
    """Frames of all kinds: good ones, marked ones, runts, and noise."""

    def one(make: Callable[[int], BenchFrame]) -> BenchFrame:
        kind = rng.random()
        if kind < 0.1:
            return BenchFrame(rng.randbytes(rng.randrange(1, 300)), rng.random() < 0.5)
        data = make(rng.randrange(60, 200)).data
        if kind < 0.3:
            place = rng.randrange(len(data))
            data = data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        return BenchFrame(data, rng.random() < 0.1)

    return {
        "tenant": [one(inner_frame) for _ in range(rng.randrange(20))],
        "underlay": [one(lambda length: outer_frame(length, "ipv4")) for _ in range(rng.randrange(20))],
        "host": [one(inner_frame) for _ in range(rng.randrange(5))],
    }


def history(simulator: Simulator, config: Config, seed: int) -> list[object]:
    """What a core does in a random life: traffic, pauses, register accesses, and resets wherever it stands."""
    rng = random.Random(seed)
    seen: list[object] = []
    for _ in range(12):
        if rng.random() < 0.4:
            simulator.reset()
        if simulator.config is None or rng.random() < 0.2:
            simulator.configure(config)
        for port in PORTS:
            simulator.pace(port, "in", idle=rng.choice([0, 0.5, 0.97]), gap=rng.choice([0, 1, 50]), seed=seed)
            simulator.pace(port, "out", idle=rng.choice([0, 0.5, 0.97]), seed=seed + 1)
        simulator.queue(**frames(rng))
        if rng.random() < 0.5:
            result, idle = simulator.step(rng.randrange(1, 3000))  # in the middle of frames, perhaps
            seen += [result, idle]
            continue
        seen += [simulator.run(), simulator.counters(), simulator.clock]
    return seen


def same_life(plain: Simulator, gated: Simulator, seed: int) -> bool:
    config = config_for("ipv4", udp_checksum=plain.parameters.udp_checksum)
    expected, found = (history(simulator, config, seed) for simulator in (plain, gated))
    assert any(isinstance(entry, Result) and entry.tenant and entry.underlay for entry in expected)
    return expected == found


@pytest.mark.slow
def test_one_evaluation_a_clock_is_the_same_as_two(rng: random.Random, full: bool) -> None:
    with Simulator(SMALL, traceable=True) as plain, Simulator(SMALL) as quick:
        for _ in range(40 if full else 8):
            assert same_life(plain, quick, rng.getrandbits(32))


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [SMALL, pytest.param(VtepParameters(), marks=pytest.mark.full)], ids=["8", "64"])
def test_a_gated_core_is_the_same_in_every_clock(parameters: VtepParameters, rng: random.Random, full: bool) -> None:
    messages: list[str] = []
    with (
        Simulator(parameters, traceable=True) as plain,
        Simulator(parameters, training=training_for(parameters), message=messages.append) as gated,
    ):
        for _ in range(40 if full else 8):
            assert same_life(plain, gated, rng.getrandbits(32))
    assert not [message for message in messages if "slower" in message]


@pytest.mark.slow
@pytest.mark.full
def test_so_is_one_whose_triggers_are_not_understood(
    rng: random.Random, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("VTEP_CACHE", str(tmp_path))
    monkeypatch.setattr(build_module, "read_triggers", lambda model, clocks: None)
    messages: list[str] = []
    with (
        Simulator(SMALL, traceable=True) as plain,
        Simulator(SMALL, training=training_for(SMALL), message=messages.append) as gated,
    ):
        assert [message for message in messages if "slower than it could be" in message]
        for _ in range(8):
            assert same_life(plain, gated, rng.getrandbits(32))


@pytest.mark.slow
@pytest.mark.full
def test_the_comparison_can_fail(rng: random.Random, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """One group in fifty is said to have no source that changes: it is clocked around resets only."""
    real = RegisterGraph.__init__

    def forgetful(graph: RegisterGraph, *arguments: object) -> None:
        real(graph, *arguments)
        for number in range(0, len(graph.groups), 50):
            graph.sources[number] = set()
            graph.outside[number] = False

    monkeypatch.setenv("VTEP_CACHE", str(tmp_path))
    monkeypatch.setattr(RegisterGraph, "__init__", forgetful)
    # Its branches are not counted: it may hang in that already, and would not be compared.
    train = simulator_module._train
    monkeypatch.setattr(simulator_module, "_train", lambda *order: train(*order) if order[-1] else None)
    with Simulator(SMALL, traceable=True) as plain, Simulator(SMALL, training=training_for(SMALL)) as gated:
        alike = []
        for _ in range(10):
            try:
                alike.append(same_life(plain, gated, rng.getrandbits(32)))
            except SimulationError:  # it hangs
                alike.append(False)
                gated.reset()
        assert not all(alike)


def test_a_bit_for_each_domain_that_reads_what_changed() -> None:
    graph = read_graph(CHAIN)
    names = [next(iter(group[0].targets)).lstrip("\\") for group in graph.groups]
    domains = [{"first": 0, "ram": 1, "second": 2}[name] for name in names]
    text = gate(graph, domains)
    assert gate_outputs(domains) == ["gate_from_0", "gate_from_1", "gate_from_2"]
    for line in (
        "  input [31:0] gate_clk;",
        "    .gate_clk(gate_clk),",
        "  always @(edge clk )",
        "  always @(edge gate_clk[1] ) begin",
        "  always @(edge gate_clk[2] )",
        "  assign \\gate_now$0$0 = {first };",
        "  always @(edge clk ) \\gate_before$0$0 <= \\gate_now$0$0 ;",
        "  assign \\gate_moved$0$0 = \\gate_now$0$0 ^ \\gate_before$0$0 ;",
        # "first" is read by the memory and, through it, by the second register: bits 1 and 2.
        "  assign gate_from_0 = ({32{|(\\gate_moved$0$0 & 4'hf)}} & 32'h6);",
        "    if (\\ram [i[1:0]] != (i)) \\changed$0 <= 1'h1;",
        "  assign gate_from_1 = ({32{\\part.1 .\\changed$0 }} & 32'h6);",
        "  assign gate_from_2 = ({32{|(\\gate_moved$2$0 & 4'hf)}} & 32'h4);",
    ):
        assert line in text, line


def test_registers_are_compared_in_rows_of_64_bits() -> None:
    widths = {"a": 30, "b": 34, "c": 70, "d": 2, "e": 1}
    verilog = ["module vtep(clk);", "  input clk;"]
    verilog += [f"  reg [{width - 1}:0] {name};" for name, width in widths.items()]
    for name in widths:
        # Only "e" reads another one, and so that is the one that two domains wait for.
        verilog += ["  always @(posedge clk)", f"    {name} <= {name} + {'d' if name == 'e' else 1};"]
    graph = read_graph("\n".join([*verilog, "endmodule"]))
    domains = [2 if "e" in process.targets else 1 for (process,) in graph.groups]
    text = gate(graph, domains)
    rows = re.findall(r"assign \\gate_now\$1\$(\d) = \{(.*)\};", text)
    assert rows == [("0", "b , a "), ("1", "c "), ("2", "d ")]
    assert "gate_from_2 = ({32{|(\\gate_moved$2$0 & 1'h1)}} & 32'h4);" in text
    narrow = gate(
        read_graph("\n".join([*verilog, "endmodule"]).replace("[69:0] c", "[10:0] c").replace("[33:0]", "[9:0]")),
        domains,
    )
    assert "= {d , c , b , a };" in narrow
    assert (
        "({32{|(\\gate_moved$1$0 & 53'h7ffffffffffff)}} & 32'h2)"
        " | ({32{|(\\gate_moved$1$0 & 53'h18000000000000)}} & 32'h6);"
    ) in narrow


def test_a_census_names_each_register(tmp_path) -> None:
    text, signals = census(read_graph(CHAIN))
    assert [name for _, name in signals] == ["first", "second", "\\ram"]
    assert "  output [95:0] changed_all;" in text
    record = tmp_path / "record"
    record.write_bytes(b"".join(word.to_bytes(12, "little") for word in (0b001, 0b100, 0b101)))
    changes, clocks = read_census(record, signals)
    assert clocks == 3
    assert {name.lstrip("\\"): bits for (_, name), bits in changes.items()} == {"first": 5, "second": 0, "ram": 6}


def test_registers_on_both_edges_of_the_clock() -> None:
    text = both_edges(read_graph(CHAIN))
    assert text == CHAIN.replace("(posedge clk)", "(edge clk )")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("module vtep(clk);\n  buf b;\n", "vtep: not understood: buf b;"),
        (CHAIN.replace("assign o = second", "assign o = second & i"), "in one clock, inputs reach o"),
    ],
)
def test_a_text_that_needs_two_evaluations_a_clock(text: str, reason: str) -> None:
    told: list[str] = []
    assert build_module._graph(text, told.append) is None
    assert told == [f"built with two evaluations a clock: {reason}"]
