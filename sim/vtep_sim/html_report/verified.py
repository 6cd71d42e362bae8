"""Sections of what the tests said and what they reached."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..runner import UsageError
from .measured import tools_of
from .page import Block, Bullets, Heading, Origin, Paragraph, Section, Table

__all__ = ["coverage_section", "tests_section"]

TESTS, TESTS_COMMAND = "Tests", "make test-full"
COVERAGE, COVERAGE_COMMAND = "Coverage", "make coverage"
OUTCOMES = ("passed", "failed", "error", "skipped")
KINDS = ("line", "toggle", "functional")


def tests_section(path: Path) -> Section:
    """Read JUnit XML as pytest writes it.

    Raises
    ------
    UsageError
        The file is something else.
    """
    if not path.exists():
        return Section(TESTS, command=TESTS_COMMAND)
    try:
        suite = ElementTree.parse(path).getroot().find("testsuite")
    except ElementTree.ParseError as error:
        raise UsageError(f"{path}: not XML: {error}") from None
    if suite is None or not (cases := list(suite.iter("testcase"))):
        raise UsageError(f"{path}: no tests are in it")
    counts: dict[str, Counter[str]] = {}
    seconds: Counter[str] = Counter()
    told: dict[str, list[str]] = {outcome: [] for outcome in OUTCOMES}
    for case in cases:
        outcome, reason = _outcome(case)
        group = _folder(case.get("classname", ""))
        counts.setdefault(group, Counter())[outcome] += 1
        seconds[group] += float(case.get("time", 0))  # type: ignore[assignment]  # a Counter of seconds
        told[outcome].append(f"{case.get('classname')}.{case.get('name')}: {reason}")
    total = sum(counts.values(), Counter())
    line = ", ".join(f"{total[outcome]} {outcome}" for outcome in OUTCOMES if total[outcome])
    body = [
        [group, *(str(counts[group][name]) for name in OUTCOMES), f"{seconds[group]:.0f}"] for group in sorted(counts)
    ]
    body.append(["all", *(str(total[name]) for name in OUTCOMES), f"{sum(seconds.values()):.0f}"])
    blocks: list[Block] = [Table(["folder", *OUTCOMES, "seconds of all processes"], body)]
    for outcome in ("failed", "error", "skipped"):
        if told[outcome]:
            blocks += [Heading(f"{outcome}: {len(told[outcome])}"), Bullets(told[outcome])]
    origin = Origin(suite.get("timestamp", "")[:10], suite.get("name", TESTS_COMMAND))
    return Section(TESTS, origin, glance=[line], blocks=blocks)


def _outcome(case: ElementTree.Element) -> tuple[str, str]:
    for tag, outcome in (("error", "error"), ("failure", "failed"), ("skipped", "skipped")):
        if (found := case.find(tag)) is not None:
            return outcome, " ".join((found.get("message") or "").split())[:300]
    return "passed", ""


def _folder(classname: str) -> str:
    """Folder of a test: its module's name begins with test_, and a class may stand behind that."""
    parts = classname.split(".")
    modules = [number for number, part in enumerate(parts) if part.startswith("test_")]
    return "/".join(parts[: modules[0]] if modules else parts) or "."


def coverage_section(path: Path) -> Section:
    """Read what `make coverage` found.

    Raises
    ------
    UsageError
        The file is something else.
    """
    if not path.exists():
        return Section(COVERAGE, command=COVERAGE_COMMAND)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        origin = Origin(content["date"], content["command"], tools_of(content))
        blocks = list(_coverage_blocks(content))
        glance = [f"{kind}: {_share(content[kind])}" for kind in KINDS if kind in content]
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not the figures of coverage: {error!r}") from None
    return Section(COVERAGE, origin, glance=glance, blocks=blocks)


def _share(share: dict[str, int]) -> str:
    hit, total = share["hit"], share["total"]
    waived = f", {share['waived']} waived" if share.get("waived") else ""
    return f"{100 * hit / total:.2f} % ({hit} of {total}{waived})" if total else "nothing to cover"


def _coverage_blocks(content: dict[str, Any]) -> Iterator[Block]:
    rows = [[kind, _share(content[kind])] for kind in KINDS if kind in content]
    yield Table(["kind", "reached"], rows)
    if lacking := [kind for kind in KINDS if kind not in content]:
        yield Paragraph(f"Not counted: {', '.join(lacking)}.")
    yield from _hits("Rules of the specification", "rule", content.get("rules", []))
    if files := content.get("files"):
        yield Heading(f"Files: {len(files)}")
        kinds = [kind for kind in KINDS if any(kind in file for file in files)]
        rows = [[file["name"], *(_share(file[kind]) if kind in file else "" for kind in kinds)] for file in files]
        yield Table(["file", *kinds], rows)
    for name, title in (("holes", "Not reached"), ("impossible", "Cannot be reached")):
        if entries := content.get(name):
            yield Heading(f"{title}: {len(entries)}")
            yield Table(["what", "why"], [[entry["what"], entry["why"]] for entry in entries])


def _hits(title: str, key: str, entries: Sequence[dict[str, Any]]) -> Iterator[Block]:
    if not entries:
        return
    missed = [entry[key] for entry in entries if not entry["hits"]]
    yield Paragraph(
        f"{title}: {len(entries) - len(missed)} of {len(entries)} applied at least once"
        + (f"; never: {', '.join(missed)}." if missed else ".")
    )
    yield Heading(f"{title}: how often")
    yield Table([key, "hits"], [[entry[key], str(entry["hits"])] for entry in entries])
