"""README.md: its commands and options exist, its example gives what it shows, its tables are those of the sources."""

import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main
from amaranth.lib.wiring import In

import vtep.cli
import vtep_boards.cli
import vtep_sim.cli
from vtep.config import DATA_WIDTHS, Mode, VtepParameters
from vtep.vxlan.axi import VtepAxi
from vtep_host.config import loads
from vtep_sim.captures import read_capture
from vtep_sim.golden import Frame, GoldenModel

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "tests/vectors/README.md"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CLI = {"vtep-sim": vtep_sim.cli.app, "vtep-hdl": vtep.cli.app, "vtep-board": vtep_boards.cli.app}
BENCH = ("bubbles", "latency", "rfc2544", "area", "speed", "idle")
TYPES = {"data_width": DATA_WIDTHS, "encap_mode": tuple(Mode), "decap_mode": tuple(Mode)}


def code(text: str) -> list[str]:
    """Pieces of code: blocks without a language, lines joined, and what stands in backticks."""
    fences = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    plain = [block for language, block in fences.findall(text) if not language]
    lines = [line for block in plain for line in block.replace("\\\n", " ").splitlines()]
    prose = fences.sub("", text)
    return lines + [re.sub(r"\s+", " ", piece) for piece in re.findall(r"`([^`]+)`", prose)]


def words(piece: str) -> list[str]:
    try:
        return shlex.split(piece, comments=True)
    except ValueError:
        return []


def commands(text: str, *names: str) -> Iterator[list[str]]:
    for piece in code(text):
        parts = words(piece)
        if parts and Path(parts[0]).name in names:
            yield [Path(parts[0]).name, *parts[1:]]


def options_of(program: str) -> dict[str, dict[str, bool]]:
    """Options of each command, and whether they take a value."""
    return {
        name: {
            spelling: not getattr(option, "is_flag", False)
            for option in command.params
            for spelling in (*option.opts, *option.secondary_opts)
        }
        | {"--help": False}
        for name, command in typer.main.get_command(CLI[program]).commands.items()  # type: ignore[attr-defined]
    }


def arguments_of(program: str, name: str) -> int:
    """How many arguments a command takes."""
    parameters = typer.main.get_command(CLI[program]).commands[name].params  # type: ignore[attr-defined]
    return sum(parameter.param_type_name == "argument" for parameter in parameters)


def unknown(command: list[str]) -> list[str]:
    """What in ``command`` does not exist."""
    program, *rest = command
    if program == "make":
        targets = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())
        wrong = []
        for word in rest:
            name, equals, value = word.partition("=")
            if equals and not re.search(rf"^{name} [?:]?=", MAKEFILE, re.MULTILINE) and name != "PYTHON":
                wrong.append(word)
            if not equals and word not in targets:
                wrong.append(word)
            if name == "ARGS" and "verilog" in rest:
                wrong += unknown(["vtep-hdl", "verilog", *value.split()])
        return wrong
    if not rest:
        return []
    options = options_of(program)
    if rest[0] not in options:
        return [rest[0]]
    known, wrong, values = options[rest[0]], [], iter(rest[1:])
    arguments = arguments_of(program, rest[0])
    for word in values:
        if word not in known:
            if word.startswith("-") or arguments <= 0:
                wrong.append(word)
            arguments -= 1
        elif known[word]:
            next(values, None)
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path) -> None:
    found = list(commands(document.read_text(encoding="utf-8"), "make", *CLI))
    assert [(command, wrong) for command in found if (wrong := unknown(command))] == []


def test_commands_are_found() -> None:
    found = [" ".join(command[:2]) for command in commands(README, "make", *CLI)]
    assert {"make demo", "make test", "make verilog", "make bench", "vtep-sim run"} <= set(found)
    assert found[:2] == ["make demo", "make test"]


@pytest.mark.parametrize(
    "command",
    [
        "make demos",
        "make demo WIDTH=8",
        'make verilog ARGS="--width 8"',
        "vtep-sim walk",
        "vtep-sim run --tenant-inn a.pcap",
        "vtep-hdl verilog --no-data-width",
        "vtep-board build colorlight-i5 colorlight-i9",
        "vtep-board list colorlight-i5",
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    assert unknown(words(command))


def test_options_in_the_prose_exist() -> None:
    known = {option for program in CLI for command in options_of(program).values() for option in command}
    named = {words(piece)[0] for piece in code(README) if piece.startswith("--")}
    assert named
    assert named - known == set()


def test_inputs_of_the_commands_exist() -> None:
    """Files of the repository that are given to a command."""
    paths = {word for piece in code(README) for word in words(piece) if word.startswith(("tests/", "docs/", "hdl/"))}
    assert "tests/vectors/ipv4/tenant-in.pcap" in paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_links_and_pictures_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", README) if "://" not in link]
    assert "docs/pipeline.svg" in links
    assert [link for link in links if not (ROOT / link).exists()] == []


def rows(heading: str) -> list[list[str]]:
    """Cells of the table whose first column has this heading."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|:]+\|\n((?:\|.*\n)+)", README, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]


def shown(value: object) -> str:
    return value.value if isinstance(value, Mode) else str(value)


def test_parameter_table_is_that_of_the_sources() -> None:
    listed = [(name.strip("| `"), default) for name, default, *_ in rows("parameter")]
    assert listed == [(field.name, shown(field.default)) for field in fields(VtepParameters)]


@pytest.mark.parametrize("field", fields(VtepParameters), ids=lambda field: field.name)
def test_parameter_ranges_are_those_of_the_sources(field: object) -> None:
    name, default = field.name, field.default  # type: ignore[attr-defined]
    (allowed,) = [row[2] for row in rows("parameter") if row[0].strip("| `") == name]
    bounds = re.fullmatch(r"(\d+) to (\d+)", allowed)
    if bounds:
        low, high = map(int, bounds.groups())
        for value in (low, high):
            assert getattr(VtepParameters(**{name: value}), name) == value
        for value in (low - 1, high + 1):
            with pytest.raises(ValueError, match=name):
                VtepParameters(**{name: value})
    elif name.endswith("_queue_bytes"):
        assert (default, allowed) == (None, "see below")
    else:
        values = TYPES.get(name, (False, True))
        assert allowed == ", ".join(map(shown, values))


def test_depths_of_the_queues() -> None:
    assert "at least one frame of `max_frame_length` and 32 beats, at most 16 MiB" in README
    lowest = 9600 + 32 * 8
    for name in ("encap_queue_bytes", "decap_queue_bytes", "host_queue_bytes"):
        for value in (lowest, 16 << 20):
            VtepParameters(**{name: value})  # type: ignore[arg-type]
        for value in (lowest - 1, (16 << 20) + 1):
            with pytest.raises(ValueError, match=name):
                VtepParameters(**{name: value})  # type: ignore[arg-type]
        assert VtepParameters().queue_beats(name) * 8 >= 2 * 9600
    for width in DATA_WIDTHS:
        fast = VtepParameters(data_width=width, decap_mode=Mode.CUT_THROUGH)
        assert fast.queue_beats("decap_queue_bytes") * fast.lanes == max(256, 32 * fast.lanes)


def test_ports_are_those_of_the_verilog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VtepAxi, "_MustUse__silence", True)
    members = VtepAxi(VtepParameters()).signature.members
    buses = {re.sub(r"^(._axis_[a-z]+|s_axil)_.*", r"\1_*", name) for name in members}
    assert set(re.findall(r"`([^`]+)`", " ".join(row[0] for row in rows("ports")))) == buses | {"clk", "rst"}
    assert all((members[name].flow is In) == name.startswith("s_") for name in members if name.endswith("tvalid"))


def test_the_example_gives_what_it_shows() -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert tomllib.loads(toml)["vtep"]["promiscuous"]
    given = [Frame(frame.data) for frame in read_capture(ROOT / "tests/vectors/ipv4/tenant-in.pcap").frames]
    out = GoldenModel(loads(toml)).run(tenant=given)
    table = {
        cells[0].strip(): [int(cells[i]) for i in (1, 2, 4, 5)]
        for cells in (line.strip("│").split("│") for line in README.splitlines() if line.startswith("│"))
    }
    size = [sum(len(frame.data) for frame in frames) for frames in (given, out.underlay_encap)]
    assert table == {
        "tenant": [len(given), size[0], 0, 0],
        "underlay": [0, 0, len(out.underlay_encap), size[1]],
        "host": [0, 0, 0, 0],
    }
    back = GoldenModel(loads(toml)).run(underlay=out.underlay_encap)
    assert back.tenant == given


def test_places_for_the_figures() -> None:
    """`make bench` writes between these."""
    assert tuple(re.findall(r"<!-- bench:(\w+) -->", README)) == BENCH
    for name in BENCH:
        assert README.count(f"<!-- bench:{name} -->") == README.count(f"<!-- /bench:{name} -->") == 1
        assert README.index(f"<!-- bench:{name} -->") < README.index(f"<!-- /bench:{name} -->")


def test_the_cache_is_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from vtep_sim.harness.cache import cache_folder

    monkeypatch.delenv("VTEP_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    place = "~" + str(cache_folder()).removeprefix(os.path.expanduser("~"))  # noqa: PTH111 - a shell's ~
    assert f"`{place}` (`VTEP_CACHE` names another folder)" in re.sub(r"\s+", " ", README)
