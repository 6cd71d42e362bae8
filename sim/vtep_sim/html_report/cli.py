"""The command `vtep-sim report`."""

import json
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from ..console import console, message
from ..options import BROKEN, refusals
from ..runner import UsageError

__all__ = ["report"]


def report(
    folder: Annotated[Path, typer.Option(help="Where report.html and the plots go.")] = Path("build/report"),
    bench: Annotated[Path, typer.Option(help="Folder that vtep-sim bench wrote.")] = Path("build/bench"),
    tests: Annotated[Path, typer.Option(help="JUnit XML of the tests.")] = Path("build/report/tests.xml"),
    coverage: Annotated[Path, typer.Option(help="Coverage figures.")] = Path("build/coverage/coverage.json"),
) -> None:
    """Write one HTML page, and plots as SVG, of all figures that are there; it says what is missing."""
    with refusals():
        try:
            missing = write_report(folder, bench, tests, coverage)
        except ImportError as error:  # of the bench's set-up
            message(f"error: {error}")
            raise typer.Exit(BROKEN) from None
    out = console()
    for title, command in missing:
        out.print(f"not there: {title}; {command} makes it", markup=False)
    out.print(f"report: {folder}/report.html", markup=False)


def write_report(folder: Path, bench: Path, tests: Path, coverage: Path) -> list[tuple[str, str]]:
    """Write the page; title and command of each part that is missing.

    Raises
    ------
    UsageError
        A file holds something else than it should; nothing is written.
    ImportError
        matplotlib or Jinja2 is missing.
    """
    from ..bench.plot import alone
    from ..bench.results import load_parts
    from .measured import measured_sections, plots_of
    from .page import Origin, html
    from .verified import coverage_section, tests_section

    try:
        parts = load_parts(bench)
    except json.JSONDecodeError as error:
        raise UsageError(f"{bench}: a part is not JSON: {error}") from None
    plots = plots_of(parts)
    sections = [*measured_sections(parts, plots), tests_section(tests), coverage_section(coverage)]
    today = datetime.now(UTC).date().isoformat()
    made = Origin(today, "make report", f"openvtep {metadata.version('openvtep')}")
    page = html(sections, made=made)
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in plots.items():
        (folder / f"{name}.svg").write_text(alone(svg), encoding="utf-8")
    (folder / "report.html").write_text(page, encoding="utf-8")
    return [(section.title, section.command) for section in sections if section.origin is None]
