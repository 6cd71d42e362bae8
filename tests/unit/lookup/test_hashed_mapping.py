"""What Yosys makes of the table's RAMs: each in true dual-port blocks, none twice, and no logic around them."""

import json
from collections import Counter
from pathlib import Path

import pytest

from vtep.lookup.hashed import HashedMatch
from vtep_sim.synth import RegisterWrapper
from vtep_sim.synth.tools import run_yosys

XILINX = "synth_xilinx -family xcup -flatten -noiopad -noclkbuf"


@pytest.mark.parametrize(
    ("synthesis", "options", "cell", "count"),
    [
        # 2 RAMs of 128 words of 74 bits (used, 65 tag bits, value) in ports of 18 bits.
        ("synth_ecp5", {"key_width": 72, "entries": 256}, "DP16KD", 2 * 5),
        (XILINX, {"key_width": 72, "entries": 256}, "RAMB18E2", 2 * 5),
        # 2 RAMs of 8,192 words of 59 bits in blocks of 4,096 words of 72 bits.
        (XILINX, {"key_width": 63, "entries": 16384, "ram_style": "ultra"}, "URAM288", 2 * 2),
    ],
    ids=["ecp5", "xcup", "xcup-ultra"],
)
def test_no_ram_is_built_twice(tmp_path: Path, synthesis, options, cell, count) -> None:
    dut = HashedMatch(**options, value_shape=8, functions=2, slots=1)
    (tmp_path / "in.il").write_text(RegisterWrapper(dut).rtlil())
    script = ["read_rtlil in.il", f"{synthesis} -top top -run begin:map_ffram", "select top"]
    run_yosys([*script, "write_json -selected out.json"], tmp_path, "yosys.log")
    cells = json.loads((tmp_path / "out.json").read_text())["modules"]["top"]["cells"].values()
    rams = Counter(kind for entry in cells if (kind := entry["type"]).startswith(("DP", "PDP", "RAM", "URAM")))
    assert rams == {cell: count}
