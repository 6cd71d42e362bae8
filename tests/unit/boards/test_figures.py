"""The table of what fits: made from the figures beside it, and those from reports."""

import json
from pathlib import Path

import pytest

from vtep_boards.facts import BOARDS
from vtep_boards.figures import FIGURES, PAGES, insert, line_table, summary, table

ROOT = Path(__file__).parents[3]

REPORT = {
    "about": {"board": "any", "design": "gateway", "device": "25k", "seed": 2, "tools": {}},
    "met": True,
    "used": {"lut4": 12144, "flip_flops": 100, "block_rams": 28},
    "available": {"lut4": 24288, "flip_flops": 24288, "block_rams": 56},
    "clocks": [
        {"name": name, "wanted": wanted, "reached": reached, "slack": slack, "path": []}
        for name, wanted, reached, slack in (
            ("sync", 62.5, 70.0, 1.714),
            ("tx", 125.0, 160.0, 1.75),
            ("rx0", 125.0, 150.0, 1.333),
            ("rx1", 125.0, 140.0, 0.857),
        )
    ],
}


def test_a_row_of_the_table() -> None:
    assert table([summary(REPORT)]).splitlines()[2] == (
        "| any | gateway | 12,144 (50 %) | 100 (0 %) | 28 (50 %) | 70 MHz (+1.7 ns) | 160 MHz (+1.8 ns) "
        "| 140 MHz (+0.9 ns) | 2 |"
    )


def test_a_row_of_the_table_of_lines() -> None:
    use = {"bytes": 1514, "underlay": 0.99996, "tenant": 0.96, "tenant_most": 0.969}
    assert line_table([use]).splitlines()[2] == "| 1,514 | 100.0 % | 96.0 % | 99.1 % |"


def test_the_page_has_a_table_of_lines() -> None:
    page = (ROOT / PAGES[0]).read_text()
    assert insert(page, line_table([]), "line") != page


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_have_the_table_of_the_figures(path: Path) -> None:
    figures = json.loads((ROOT / FIGURES).read_text())
    page = (ROOT / path).read_text()
    assert page == insert(page, table(figures))
    assert figures
    for one in figures:
        assert one["board"] in BOARDS
        assert all(slack >= 0 for _, _, slack in one["clocks"].values())


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        insert("nothing", "x")
