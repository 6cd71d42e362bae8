"""The tables of what fits, how fast it is, and how it fills its lines: ``python -m vtep_boards.figures``.

It gathers ``build/boards/*/report.json`` into ``docs/boards.json``, adding to what is there, and writes the table of
that into ``docs/boards.md`` and ``README.md``. What the system test of the gateway's rate measured goes into
``docs/boards.md``, if that test has run.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["FIGURES", "PAGES", "insert", "line_table", "summary", "table"]

BUILDS = Path("build/boards")
FIGURES = Path("docs/boards.json")
PAGES = (Path("docs/boards.md"), Path("README.md"))
LINE_USE = Path("build/system/gateway/line_use.json")
_KINDS = {"lut4": "LUT4", "flip_flops": "FF", "block_rams": "DP16KD"}


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the table needs of a build's report."""
    about = report["about"]
    return {
        **{name: about[name] for name in ("board", "design", "device", "seed", "tools")},
        "used": {kind: [report["used"][kind], report["available"][kind]] for kind in _KINDS},
        "clocks": {clock["name"]: [clock["wanted"], clock["reached"], clock["slack"]] for clock in report["clocks"]},
    }


def table(summaries: list[dict[str, Any]]) -> str:
    """Markdown: a row a build."""
    lines = [
        f"| board | design | {' | '.join(_KINDS.values())} "
        "| core, 62.5 MHz | transmitters, 125 MHz | receivers, 125 MHz | seed |",
        f"|---|---|{'--:|' * (len(_KINDS) + 3)}--:|",
    ]
    for one in summaries:
        used = [f"{count:,} ({100 * count / most:.0f} %)" for count, most in one["used"].values()]
        clocks = one["clocks"]
        rxc = min((clocks["rx0"], clocks["rx1"]), key=lambda clock: clock[2])
        speeds = [f"{reached:.0f} MHz ({slack:+.1f} ns)" for _, reached, slack in (clocks["sync"], clocks["tx"], rxc)]
        lines.append(f"| {' | '.join([one['board'], one['design'], *used, *speeds, str(one['seed'])])} |")
    return "\n".join(lines) + "\n"


def line_table(uses: list[Mapping[str, float]]) -> str:
    """Markdown: a row for each length of the tenant's frames."""
    lines = ["| bytes | sent to the underlay | sent to the tenant | of what can leave there |", "|--:|--:|--:|--:|"]
    for use in uses:
        shares = (use["underlay"], use["tenant"], use["tenant"] / use["tenant_most"])
        lines.append(f"| {use['bytes']:,} | {' | '.join(f'{100 * share:.1f} %' for share in shares)} |")
    return "\n".join(lines) + "\n"


def insert(page: str, text: str, name: str = "table") -> str:
    """Put a table in its place on the page."""
    place = re.compile(rf"(?<=<!-- boards:{name} -->\n).*?(?=<!-- /boards:{name} -->)", re.DOTALL)
    if not place.search(page):
        raise ValueError("the page has no place for the table")
    return place.sub(lambda _: text, page)


def main() -> None:
    """Gather and write."""
    before = json.loads(FIGURES.read_text()) if FIGURES.exists() else []
    known = {(one["board"], one["design"]): one for one in before}
    for path in sorted(BUILDS.glob("*/report.json")):
        report = json.loads(path.read_text())
        if report["met"]:
            one = summary(report)
            known[one["board"], one["design"]] = one
    summaries = [known[key] for key in sorted(known)]
    FIGURES.write_text(json.dumps(summaries, indent=1) + "\n")
    for page in PAGES:
        page.write_text(insert(page.read_text(), table(summaries)))
    if LINE_USE.exists():
        page = PAGES[0]
        page.write_text(insert(page.read_text(), line_table(json.loads(LINE_USE.read_text())), "line"))


if __name__ == "__main__":
    main()
