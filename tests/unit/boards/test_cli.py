"""``vtep-board``: what it prints, and what it refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vtep_boards.facts import BOARDS
from vtep_boards.flash import loader_command
from vtep_boards.report import ClockReport, Report


def run(*arguments: str, path: str | None = None, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command; ``path``: PATH instead of this one's; ``before``: Python to run in front of it."""
    program = f"{before}\nfrom vtep_boards.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=None if path is None else {**os.environ, "PATH": path},
    )


def test_lists_the_boards() -> None:
    done = run("list")
    assert done.returncode == 0
    assert all(name in done.stdout for name in BOARDS)
    rows = json.loads(run("list", "--json").stdout)
    assert [row["board"] for row in rows] == list(BOARDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "nowhere"], "there is no board 'nowhere'; there are: versa-ecp5,"),
        (["build", "colorlight-i5", "--design", "toaster"], "there is no design 'toaster'; there are: gateway,"),
        (["build", "colorlight-i5", "--seeds", "one"], "--seeds must be integers separated by commas, not 'one'"),
        (["build", "colorlight-i5", "--config", "/nowhere.toml"], "/nowhere.toml"),
        (["build", "colorlight-i5", "--design", "media-converter", "--config", "x.toml"], "has no configuration"),
        (["report", "colorlight-i5", "--folder", "/nowhere"], "vtep-board build colorlight-i5 writes it"),
        (["flash", "colorlight-i5", "--folder", "/nowhere"], "vtep-board build colorlight-i5 makes it"),
        (["synth", "--family", "abacus"], "there is no family 'abacus'; there are: ecp5,"),
        (["synth", "--data-width", "24"], "data_width must be one of"),
        (["synth", "--folder", "/dev/null/here"], "cannot write to /dev/null/here: Not a directory"),
        (
            ["build", "colorlight-i5", "--design", "media-converter", "--folder", "/dev/null"],
            "cannot write to /dev/null/colorlight-i5-media-converter: Not a directory",
        ),
    ],
)
def test_refuses(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    *steps, last = done.stderr.splitlines()
    assert last.startswith("vtep-board: ")
    assert all(re.fullmatch(r" +\d+\.\d s  .+", step) for step in steps)
    assert message in last
    assert done.stdout == ""


def test_refuses_a_wrong_configuration(tmp_path: Path) -> None:
    config = tmp_path / "vtep.toml"
    config.write_text("[vtep]\nmac = 5\n")
    done = run("build", "colorlight-i5", "--config", str(config), "--folder", str(tmp_path / "out"))
    assert done.returncode == 2
    assert str(config) in done.stderr
    assert not (tmp_path / "out").exists()


def test_report_shows_the_last_build(tmp_path: Path) -> None:
    clock = ClockReport("tx", 125.0, 130.0, ("design.port0.mac.a",))
    place = tmp_path / "colorlight-i5"
    place.mkdir()
    Report({"board": "colorlight-i5"}, (clock,), {"lut4": 1234}, {"lut4": 24288}, {"design": {"lut4": 56}}).write(place)
    done = run("report", "colorlight-i5", "--folder", str(tmp_path))
    assert done.returncode == 0
    for text in ("130.0", "+0.31", "1,234 of 24,288", "design", "56", str(place / "report.html")):
        assert text in done.stdout
    told = run("report", "colorlight-i5", "--folder", str(tmp_path), "--json")
    assert told.stdout == (place / "report.json").read_text()


FAILURES = """
from vtep_boards import flow
from vtep_boards.report import ClockReport, Report
from vtep_sim.synth.tools import ToolError
clock = ClockReport("tx", 125.0, 100.0, ("design.a.b", "design.c.d"))
error = {
    "tool": ToolError("nextpnr failed with code 1"),
    "slow": flow.TimingError(Report({}, (clock,), {}, {})),
    "large": flow.CapacityError("24,289 lut4 of 24,288"),
}[%r]
def fail(*arguments, progress, **options):
    progress("Yosys: synthesis")
    raise error
flow.build = fail
"""


@pytest.mark.parametrize(
    ("kind", "status", "lines"),
    [
        ("tool", 3, ["nextpnr failed with code 1"]),
        (
            "slow",
            4,
            ["timing is not met on colorlight-i5", "clock tx reaches 100.0 MHz of 125", "design.a.b", "design.c.d"],
        ),
        ("large", 5, ["media-converter does not fit colorlight-i5", "24,289 lut4 of 24,288"]),
    ],
)
def test_exit_codes_of_builds_that_fail(kind: str, status: int, lines: list[str], tmp_path: Path) -> None:
    arguments = ("build", "colorlight-i5", "--design", "media-converter", "--folder", str(tmp_path))
    done = run(*arguments, before=FAILURES % kind)
    assert done.returncode == status, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("vtep-board: ")]
    assert all(wanted in line for wanted, line in zip(lines, told, strict=False))
    assert len(told) >= len(lines)
    assert done.stdout == ""
    help_ = run("build", "--help").stdout
    assert f"{status}: " in help_


@pytest.mark.full
@pytest.mark.slow
def test_synth_counts_cells_of_the_core(tmp_path: Path) -> None:
    """Of the smallest core: what takes minutes is any other."""
    tables = [
        "--vnis", "1", "--tunnels", "1", "--fdb-entries", "1", "--flood-entries", "1", "--max-frame-length", "128",
    ]  # fmt: skip
    small = ["--data-width", "8", "--no-ipv6", "--no-udp-checksum", *tables]
    done = run("synth", "--family", "xcup", *small, "--folder", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["family"] == "xcup"
    assert told["cells"]["FDRE"] > 1000
    assert "Yosys: synthesis for xcup" in done.stderr


def built(folder: Path, board: str) -> Path:
    """A folder as a build of the board leaves it, as far as `flash` looks."""
    place = folder / board
    place.mkdir()
    (place / "top.bit").write_bytes(b"")
    return place


def test_flash_prints_its_command(tmp_path: Path) -> None:
    place = built(tmp_path, "colorlight-i5")
    done = run("flash", "colorlight-i5", "--folder", str(tmp_path), "--dry-run", "--cable", "cmsisdap")
    assert done.returncode == 0
    assert done.stdout.split()[1:] == [
        "--board", "colorlight-i5", "--cable", "cmsisdap", "--write-flash", str(place / "top.bit"),
    ]  # fmt: skip


def fake_loader(folder: Path, name: str, status: int = 0) -> str:
    """A loader that tells what it was called with, and a PATH that has it first."""
    folder.mkdir()
    (folder / name).write_text(f'#!/bin/sh\necho "loader: $@"\nexit {status}\n')
    (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("status", [0, 7])
def test_flash_runs_the_loader_that_knows_the_cable(tmp_path: Path, status: int) -> None:
    """The package's knows no CMSIS-DAP, which is on an i5."""
    place = built(tmp_path, "colorlight-i5")
    path = fake_loader(tmp_path / "bin", "openFPGALoader", status)
    done = run("flash", "colorlight-i5", "--folder", str(tmp_path), "--volatile", path=path)
    assert done.returncode == (3 if status else 0)
    arguments = f"--board colorlight-i5 {place / 'top.bit'}"
    assert done.stdout.splitlines() == [f"openFPGALoader {arguments}", f"loader: {arguments}"]
    assert ("openFPGALoader failed with code 7" in done.stderr) == bool(status)
    missing = run("flash", "colorlight-i5", "--folder", str(tmp_path), path="/nowhere")
    assert missing.returncode == 2
    assert "openFPGALoader is not installed. Debian's package openfpgaloader has it" in missing.stderr
    # Any other cable, the package's.
    other = run("flash", "colorlight-i5", "--folder", str(tmp_path), "--dry-run", "--cable", "ft232")
    assert Path(other.stdout.split()[0]).name == "openfpgaloader-cli"


def test_versa_gets_an_svf(tmp_path: Path) -> None:
    place = built(tmp_path, "versa-ecp5")
    done = run("flash", "versa-ecp5", "--folder", str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == str(place / "top.svf")


def test_the_loader_is_told_what_it_needs() -> None:
    board = BOARDS["colorlight-5a-75b-7.0"]
    assert loader_command(board, Path("a.bit"), "loader", flash=False, cable=None) == [
        "loader", "--board", "colorlight", "a.bit",
    ]  # fmt: skip
