"""The report shows what is there, says what is not, and is one file that asks for nothing."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from vtep_sim.bench.area import Area
from vtep_sim.bench.bubbles import Rate
from vtep_sim.bench.results import PARTS, save_part
from vtep_sim.bench.rfc2544 import Benchmark
from vtep_sim.cli import app
from vtep_sim.html_report.cli import write_report
from vtep_sim.html_report.page import Bullets, Heading, Paragraph, Table, blocks_of

VOID = {"meta", "br"}

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="make test-full" tests="5" timestamp="2026-11-24T10:00:00">
<testcase classname="tests.unit.sim.test_a" name="test_one" time="1.25"/>
<testcase classname="tests.unit.sim.test_a.TestClass" name="test_two" time="2.5"/>
<testcase classname="tests.unit.sim.test_b" name="test_three[&lt;8&gt;]" time="1"><failure message="assert 1 ==
 2"/></testcase>
<testcase classname="tests.system.test_core" name="test_core" time="60"><error message="no Verilator"/></testcase>
<testcase classname="tests.interop.test_live" name="test_live" time="0"><skipped message="not root"/></testcase>
</testsuite></testsuites>
"""

COVERAGE = {
    "date": "2026-11-25",
    "command": "make coverage",
    "tools": {"verilator": "5.048"},
    "line": {"hit": 90, "total": 100, "waived": 3},
    "toggle": {"hit": 1, "total": 3},
    "files": [{"name": "hdl/vtep/a.py", "line": {"hit": 1, "total": 2}, "toggle": {"hit": 0, "total": 0}}],
    "holes": [{"what": "a.b", "why": "too <rare>"}],
    "rules": [{"rule": "encap 1", "hits": 7}, {"rule": "decap 9", "hits": 0}],
}


class Page(HTMLParser):
    """Ids, references and the text of a page; raises an AssertionError where an element does not end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.wanted: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.note(attributes)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.note(attributes)

    def note(self, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            value = value or ""
            if name == "id":
                self.ids.append(value)
            elif name in ("src", "href", "xlink:href", "data", "action"):
                self.wanted.append(value)
            self.wanted += [f"#{target}" for target in re.findall(r"url\(#?([^)]*)\)", value)]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    return {
        "folder": tmp_path / "report",
        "bench": tmp_path / "bench",
        "tests": tmp_path / "tests.xml",
        "coverage": tmp_path / "coverage.json",
    }


def fill(places: dict[str, Path]) -> None:
    rates = [
        Rate(64, "store-and-forward", "ipv4", 60, direction, 100, 1400, clocks)
        for direction, clocks in (("encap", 1400), ("decap", 1750))
    ]
    save_part(places["bench"], "bubbles", rates, "vtep-sim bench --only bubbles")
    area = Area("a <block>", "ecp5", 700, 800, 0, 310.0, (300.0, 310.0, 320.0), 3, "here to there", "300 MHz", True)
    save_part(places["bench"], "area", [area], "vtep-sim bench --only area")
    ways = [("encap", "encap"), ("decap", "decap"), ("both", "encap"), ("both", "decap")]
    losses = ((1.0, 0.37), (0.9, 0.0))
    save_part(
        places["bench"],
        "rfc2544",
        [
            Benchmark(
                *(width, mode, traffic, direction, frames, 156.25, 64.0, 134.0, share, 955, 16000),
                *(40, 40.5, 41, 33, 33, 34, losses, 1.0, 14.0),
            )
            for width, mode in ((64, "store-and-forward"), (512, "cut-through"))
            for traffic, direction in ways
            for frames, share in (("64", 1.0), ("IMIX", 0.925))
        ],
        "vtep-sim bench --only rfc2544",
    )
    places["tests"].write_text(JUNIT, encoding="utf-8")
    places["coverage"].write_text(json.dumps(COVERAGE), encoding="utf-8")


def read(places: dict[str, Path]) -> Page:
    text = (places["folder"] / "report.html").read_text(encoding="utf-8")
    assert "@import" not in text
    page = Page(text)
    assert [name for name, count in Counter(page.ids).items() if count > 1] == []
    assert [target for target in page.wanted if target.removeprefix("#") not in page.ids] == []
    return page


def test_what_is_missing_is_said_with_a_command_that_exists(places: dict[str, Path]) -> None:
    missing = write_report(**places)
    page = read(places)
    assert len(missing) == len(PARTS) + 2
    assert page.text.count("Not there.") == len(missing)
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for title, command in missing:
        assert title in page.text
        assert command in page.text
        if command.startswith("vtep-sim"):
            _, name, option, part = command.split()
            assert option in {spelling for parameter in commands[name].params for spelling in parameter.opts}
            assert part in PARTS
        else:
            assert command in ("make test-full", "make coverage")
    assert sorted(path.name for path in places["folder"].iterdir()) == ["report.html"]


def test_figures_of_another_core_are_marked(places: dict[str, Path]) -> None:
    fill(places)
    path = places["bench"] / "area.json"
    path.write_text(re.sub('"sources": "[0-9a-f]+"', '"sources": "0"', path.read_text()))
    write_report(**places)
    found = read(places).text
    assert "All of these figures are of other sources of the core than the present ones." in found
    assert found.count("of other sources of the core") == 2, "at the top, and in its section"


def test_what_is_there_is_shown(places: dict[str, Path]) -> None:
    fill(places)
    assert [title for title, _ in write_report(**places)] == [
        "Latency",
        "Simulation speed",
        "Fill",
        "Updates under traffic",
    ]
    page = read(places)
    for text in (
        "1 of 2 measurements at 1.000 beats a clock",
        "vtep-sim bench --only bubbles",
        "a <block>, ecp5: 700 LUT, 310 MHz; 300 MHz: reached",
        "8 of 16 throughputs are the theoretical maximum",
        "store-and-forward, 64 bits at 156.25 MHz: 10 Gb/s",
        "9.328 (100 %), 4.776",
        "2 passed, 1 failed, 1 error, 1 skipped",
        "tests.unit.sim.test_b.test_three[<8>]: assert 1 == 2",
        "tests.interop.test_live.test_live: not root",
        "2026-11-24",
        "line: 90.00 % (90 of 100, 3 waived)",
        "toggle: 33.33 % (1 of 3)",
        "Not counted: functional.",
        "nothing to cover",
        "1 of 2 applied at least once; never: decap 9.",
        "too <rare>",
        "2026-11-25, make coverage; verilator 5.048",
    ):
        assert text in page.text, text
    plots = {"bubbles", "area", "throughput", "latency-store-and-forward", "latency-cut-through", "frame-loss"}
    assert {path.stem for path in places["folder"].glob("*.svg")} == plots
    for name in plots:
        assert f'aria-label="plot: {name}"' in (places["folder"] / "report.html").read_text(encoding="utf-8")


def test_a_mode_that_was_not_measured_has_no_plot(places: dict[str, Path]) -> None:
    fill(places)
    path = places["bench"] / "rfc2544.json"
    part = json.loads(path.read_text(encoding="utf-8"))
    part["entries"] = [row for row in part["entries"] if row["mode"] == "store-and-forward"]
    path.write_text(json.dumps(part), encoding="utf-8")
    write_report(**places)
    plots = {path.stem for path in places["folder"].glob("latency*.svg")}
    assert plots == {"latency-store-and-forward"}


def test_tests_are_counted_by_folder(places: dict[str, Path]) -> None:
    fill(places)
    write_report(**places)
    text = (places["folder"] / "report.html").read_text(encoding="utf-8")
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in text.splitlines() if line.startswith("<tr><td")]
    assert ["tests/unit/sim", "2", "1", "0", "0", "5"] in rows
    assert ["tests/system", "0", "0", "1", "0", "60"] in rows
    assert ["all", "2", "1", "1", "1", "65"] in rows


def test_the_same_figures_give_the_same_files(places: dict[str, Path]) -> None:
    fill(places)
    contents = []
    for _ in range(2):
        write_report(**places)
        contents.append({path.name: path.read_bytes() for path in places["folder"].iterdir()})
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("place", "text", "complaint"),
    [
        ("tests", "<testsuites", "not XML"),
        ("tests", "<testsuites><testsuite/></testsuites>", "no tests are in it"),
        ("coverage", "{", "not JSON"),
        ("coverage", "[]", "not the figures of coverage"),
        ("coverage", json.dumps(COVERAGE | {"line": {"hit": 1}}), "not the figures of coverage: KeyError('total')"),
        ("bench", "{", "a part is not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused(places: dict[str, Path], place: str, text: str, complaint: str) -> None:
    path = places[place]
    if place == "bench":
        path.mkdir()
        path /= "speed.json"
    path.write_text(text, encoding="utf-8")
    options = [word for name, value in places.items() for word in (f"--{name}", str(value))]
    result = CliRunner().invoke(app, ["report", *options])
    assert result.exit_code == 2
    assert complaint in result.output
    assert "Traceback" not in result.output
    assert not places["folder"].exists()


def test_blocks_of_markdown() -> None:
    lines = ["a text", "in lines", "", "- one", "  and more", "- two", "", "### part", "", "| a | b |", "| --- | --- |"]
    assert blocks_of([*lines, "| 1 |  |", ""]) == [
        Paragraph("a text in lines"),
        Bullets(["one and more", "two"]),
        Heading("part"),
        Table(["a", "b"], [["1", ""]]),
    ]
