"""The maps of arithmetic, proved equal to Yosys' own."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from vtep_boards.arithmetic import ADD, COMPARE, detach_carries
from vtep_sim.synth import ToolError
from vtep_sim.synth.tools import run_yosys


def comparisons(rng: random.Random) -> str:
    """A module of comparisons with constants of any width, on either side."""
    lines = []
    for number in range(60):
        width = rng.randint(1, 17)
        constant = f"{(other := rng.randint(1, 17))}'d{rng.choice((0, 1, (1 << other) - 1, rng.getrandbits(other)))}"
        sides = [f"a[{width - 1}:0]", constant]
        if rng.random() < 0.5:
            sides.reverse()
        lines.append(f"assign y[{number}] = {sides[0]} {rng.choice(('<', '<=', '>', '>='))} {sides[1]};")
    return "module gold(input [16:0] a, output [59:0] y);\n" + "\n".join(lines) + "\nendmodule\n"


def prove(folder: Path, text: str, techmap: str) -> dict[str, int]:
    """Prove that the map changes nothing; return what kinds of cells there are then."""
    (folder / "gold.v").write_text(text)
    (folder / "map.v").write_text(techmap)
    script = [
        "read_verilog -icells gold.v",
        "proc",
        "copy gold gate",
        "cd gate",
        "techmap -map map.v",
        "opt_clean",
        "cd ..",
        "tee -o left.json stat -json gate",
        "techmap -map +/ecp5/cells_sim.v gate",
        "proc",
        "flatten gate",
        "techmap gold",
        "miter -equiv -flatten -make_outputs gold gate miter",
        "sat -verify -prove trigger 0 miter",
    ]
    run_yosys(script, folder, "log")
    cells: dict[str, int] = json.loads((folder / "left.json").read_text())["modules"]["\\gate"]["num_cells_by_type"]
    return cells


def test_the_map_of_comparisons_changes_nothing(rng: random.Random, tmp_path: Path) -> None:
    left = prove(tmp_path, comparisons(rng), COMPARE)
    assert left
    assert not {"$lt", "$le", "$gt", "$ge"} & set(left)


def test_what_is_signed_or_has_no_constant_is_left(tmp_path: Path) -> None:
    text = """
        module gold(input [7:0] a, b, output [1:0] y);
            assign y[0] = a < b;
            assign y[1] = $signed(a) >= -8'sd3;
        endmodule
    """
    left = prove(tmp_path, text, COMPARE)
    assert left["$lt"] == left["$ge"] == 1


def test_a_wrong_map_of_comparisons_is_found(rng: random.Random, tmp_path: Path) -> None:
    wrong = COMPARE.replace("~a[i] | less[i]", "~a[i] & less[i]")
    assert wrong != COMPARE
    with pytest.raises(ToolError):
        prove(tmp_path, comparisons(rng), wrong)


def sums(rng: random.Random) -> str:
    """A module of Yosys' cells for sums and differences, of any widths and signs, with constants too."""
    ports, lines = [], []
    for number in range(40):
        a, b, y = (rng.randint(1, 14) for _ in range(3))
        sides = [f"a[{a - 1}:0]", f"b[{b - 1}:0]"]
        carry, invert = rng.choice(("c", "1'b0", "1'b1")), rng.choice(("d", "1'b0", "1'b1"))
        if rng.random() < 0.5:
            sides[rng.randrange(2)] = f"{a}'d{rng.getrandbits(a)}"
            b = a if sides[1][0] != "b" else b
        signed = rng.randrange(2)
        ports += [f"output [{y - 1}:0] {name}{number}" for name in ("x", "y", "co")]
        lines.append(
            f"\\$alu #(.A_WIDTH({a}), .B_WIDTH({b}), .Y_WIDTH({y}), .A_SIGNED({signed}), .B_SIGNED({signed})) "
            f"u{number} (.A({sides[0]}), .B({sides[1]}), .CI({carry}), .BI({invert}), "
            f".X(x{number}), .Y(y{number}), .CO(co{number}));"
        )
    head = ", ".join(["input [13:0] a, b", "input c, d", *ports])
    return f"module gold({head});\n" + "\n".join(lines) + "\nendmodule\n"


def test_the_map_of_sums_changes_nothing(rng: random.Random, tmp_path: Path) -> None:
    left = prove(tmp_path, sums(rng), ADD)
    assert left["CCU2C"]
    assert "$alu" not in left


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("X[i] ? carry[i] : a[i]", "X[i] ? carry[i] : b[i]"),
        ("FIRST ? 16'h000A", "FIRST ? 16'h0000"),
        ("C0(LOW_ADDS ? BI : 1'b0)", "C0(1'b0)"),
        ("{sum[Y_WIDTH+1], Y[", "{sum[Y_WIDTH], Y["),
    ],
)
def test_a_wrong_map_of_sums_is_found(rng: random.Random, tmp_path: Path, right: str, wrong: str) -> None:
    assert right in ADD
    with pytest.raises(ToolError, match="proof did fail"):
        prove(tmp_path, sums(rng), ADD.replace(right, wrong))


def synthesised(folder: Path, text: str) -> dict[str, Any]:
    (folder / "top.v").write_text(text)
    (folder / "add.v").write_text(ADD)
    script = [
        "read_verilog top.v",
        "synth_ecp5 -top top -run begin:map_gates",
        "techmap -map add.v",
        "synth_ecp5 -top top -run map_gates:",
        "write_json top.json",
    ]
    run_yosys(script, folder, "log")
    top: dict[str, Any] = json.loads((folder / "top.json").read_text())["modules"]["top"]
    return top


def test_ends_of_chains_are_free(tmp_path: Path) -> None:
    """An odd width has its first carry in the half that is left; a carry that is read has a cell's other half."""
    top = synthesised(
        tmp_path,
        """
        module top(input [8:0] a, b, output [8:0] s, input [9:0] c, d, output less);
            assign s = a + b;
            assign less = c < d;
        endmodule
        """,
    )
    detach_carries(top)
    chain = [cell["connections"] for cell in top["cells"].values() if cell["type"] == "CCU2C"]
    assert len(chain) == 5 + 6
    assert sum(pins["CIN"] == ["x"] for pins in chain) == sum(pins["COUT"] == ["x"] for pins in chain) == 2
    followed = [pins["COUT"] for pins in chain if pins["COUT"] != ["x"]]
    assert sorted(followed) == sorted(pins["CIN"] for pins in chain if pins["CIN"] != ["x"])


def test_a_first_carry_that_counts_stays(tmp_path: Path) -> None:
    """Of another's chain, or of one that synthesis has cut."""
    (tmp_path / "top.v").write_text("module top(input [8:0] a, b, output [8:0] s); assign s = a - b; endmodule")
    run_yosys(["read_verilog top.v", "synth_ecp5 -top top", "write_json top.json"], tmp_path, "log")
    top = json.loads((tmp_path / "top.json").read_text())["modules"]["top"]
    detach_carries(top)
    firsts = [
        cell["connections"]["CIN"]
        for cell in top["cells"].values()
        if cell["type"] == "CCU2C" and isinstance(cell["connections"]["CIN"][0], str)
    ]
    assert firsts == [["1"]]
