"""The seed that a run prints is the one that all its processes use."""

import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
PROBE = "def test_that_shows_its_seed(seed):\n    raise AssertionError\n"


def test_processes_share_the_printed_seed(tmp_path):
    (tmp_path / "test_probe.py").write_text(PROBE)
    command = ["-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, *command, "-n", "2", "--dist", "each", "test_probe.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(TESTS), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    printed = re.findall(r"^openvtep: .*--seed (0x\w+)", run.stdout, re.MULTILINE)
    used = re.findall(r"repeat the run with --seed (0x\w+)", run.stdout)
    assert len(printed) == 1, run.stdout + run.stderr
    assert used == printed * 2, run.stdout
