"""``vtep-board``: what it prints, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vtep_boards.facts import BOARDS
from vtep_boards.flash import loader_command


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from vtep_boards.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)


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
    ],
)
def test_refuses(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("vtep-board: ")
    assert message in done.stderr
    assert done.stdout == ""


def test_refuses_a_wrong_configuration(tmp_path: Path) -> None:
    config = tmp_path / "vtep.toml"
    config.write_text("[vtep]\nmac = 5\n")
    done = run("build", "colorlight-i5", "--config", str(config), "--folder", str(tmp_path / "out"))
    assert done.returncode == 2
    assert str(config) in done.stderr
    assert not (tmp_path / "out").exists()


def test_flash_prints_its_command(tmp_path: Path) -> None:
    place = tmp_path / "colorlight-i5"
    place.mkdir()
    (place / "top.bit").write_bytes(b"")
    done = run("flash", "colorlight-i5", "--folder", str(tmp_path), "--dry-run", "--cable", "cmsisdap")
    assert done.returncode == 0
    assert done.stdout.split()[1:] == [
        "--board", "colorlight-i5", "--cable", "cmsisdap", "--write-flash", str(place / "top.bit"),
    ]  # fmt: skip


def test_versa_gets_an_svf(tmp_path: Path) -> None:
    place = tmp_path / "versa-ecp5"
    place.mkdir()
    (place / "top.bit").write_bytes(b"")
    done = run("flash", "versa-ecp5", "--folder", str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == str(place / "top.svf")


def test_the_loader_is_told_what_it_needs() -> None:
    board = BOARDS["colorlight-5a-75b-7.0"]
    assert loader_command(board, Path("a.bit"), "loader", flash=False, cable=None) == [
        "loader", "--board", "colorlight", "a.bit",
    ]  # fmt: skip
