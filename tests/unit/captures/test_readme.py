"""The table in tests/vectors/README.md is that of the captures beside it."""

import subprocess
import sys
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def test_table_is_that_of_the_captures() -> None:
    command = [sys.executable, VECTORS / "make_vectors.py", "--table"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert len(made.splitlines()) == 2 + len(list(VECTORS.glob("*/vtep.toml")))
    assert f"<!-- table: begin -->\n{made}\n<!-- table: end -->" in (VECTORS / "README.md").read_text(encoding="utf-8")
