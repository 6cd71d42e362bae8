"""Comparisons that are mapped to plain logic, proved equal to Yosys' own."""

import json
import random
from pathlib import Path

import pytest

from vtep_boards.compare import COMPARE
from vtep_sim.synth import ToolError
from vtep_sim.synth.tools import run_yosys


def source(rng: random.Random) -> str:
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


def prove(folder: Path, text: str, compare: str) -> dict[str, int]:
    """Prove that the map changes nothing; return what kinds of cells are left."""
    (folder / "gold.v").write_text(text)
    (folder / "compare.v").write_text(compare)
    script = [
        "read_verilog gold.v",
        "proc",
        "copy gold gate",
        "cd gate",
        "techmap -map compare.v",
        "cd ..",
        "opt_clean",
        "tee -o left.json stat -json gate",
        "miter -equiv -flatten -make_outputs gold gate miter",
        "sat -verify -prove trigger 0 miter",
    ]
    run_yosys(script, folder, "log")
    cells: dict[str, int] = json.loads((folder / "left.json").read_text())["modules"]["\\gate"]["num_cells_by_type"]
    return cells


def test_the_map_changes_nothing(rng: random.Random, tmp_path: Path) -> None:
    left = prove(tmp_path, source(rng), COMPARE)
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


def test_a_wrong_map_is_found(rng: random.Random, tmp_path: Path) -> None:
    wrong = COMPARE.replace("~a[i] | less[i]", "~a[i] & less[i]")
    assert wrong != COMPARE
    with pytest.raises(ToolError):
        prove(tmp_path, source(rng), wrong)
