"""``vtep-ctl``: what it refuses it refuses in clear lines, with code 2 and nothing written."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vtep.config import Mode, VtepParameters
from vtep.control.initial import loads
from vtep_host.cli import main
from vtep_host.config import loads as loads_config
from vtep_host.difference import contents

CONFIG = """
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "10.0.0.1"

[[vni]]
id = 100
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vtep.toml").write_text(CONFIG)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vtep-ctl", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ([], VtepParameters()),
        (
            ["--parameter", "data_width=512", "--parameter", "decap-mode=cut-through", "--parameter", "ipv6=False"],
            VtepParameters(data_width=512, decap_mode=Mode.CUT_THROUGH, ipv6=False),
        ),
    ],
)
def test_compile(run: Run, tmp_path: Path, options: list[str], parameters: VtepParameters) -> None:
    assert run("compile", "vtep.toml", *options) == (0, "", "")
    text = (tmp_path / "vtep.json").read_text()
    made, wanted = loads(text, parameters), contents(loads_config(CONFIG), parameters)
    assert (made.settings, list(made.entries)) == (wanted.settings, list(wanted.entries))
    assert run("compile", "vtep.toml", "-o", "-", *options) == (0, text, "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("compile no.toml", "vtep-ctl: no.toml: cannot be read: No such file or directory"),
        ("compile vtep.toml --parameter vnis", "--parameter vnis: must be NAME=VALUE with one of "),
        ("compile vtep.toml --parameter vnis=many", "--parameter vnis=many: 'many' is no value of it"),
        ("compile vtep.toml --parameter vnis=0", "vnis must be an integer within 1 .. 65536, not 0"),
        ("compile vtep.toml --parameter decap_mode=fast", "'fast' is no value of it"),
        ("compile vtep.toml -o no/vtep.json", "cannot write no/vtep.json: No such file or directory"),
        ("compile", "Missing argument"),
        ("compiel", "No such command 'compiel'"),
    ],
)
def test_refuses(run: Run, tmp_path: Path, arguments: str, complaint: str) -> None:
    code, out, err = run(*arguments.split())
    assert (code, out) == (2, "")
    assert all(line.startswith("vtep-ctl: ") for line in err.splitlines())
    assert complaint in err
    assert [path.name for path in tmp_path.iterdir()] == ["vtep.toml"]


def test_every_finding_in_the_configuration_has_its_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "vtep.toml").write_text(CONFIG.replace("10.0.0.1", "10.0.0").replace("id = 100", "id = -1"))
    code, _, err = run("compile", "vtep.toml")
    assert code == 2
    assert len(err.splitlines()) == 2
    assert not (tmp_path / "vtep.json").exists()
