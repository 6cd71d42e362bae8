"""Sections of what `vtep-sim bench` measured."""

import re
from typing import Any

from ..bench.plot import DRAW, draw_svg, rows_of
from ..bench.results import PARTS, SHORT, TITLES, warning
from .page import Block, Figure, Origin, Paragraph, Section, blocks_of

__all__ = ["measured_sections", "plots_of", "tools_of"]

AT_A_GLANCE = 8
"""Lines of a part's summary that the top of the page has room for."""


def tools_of(content: dict[str, Any]) -> str:
    """Names and versions, where they are known."""
    return ", ".join(f"{name} {version}" for name, version in content.get("tools", {}).items())


def _element(name: str, svg: str) -> str:
    """Make an element of a page of an SVG file: without its prologue, and with ids that no other plot has."""
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:"#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", svg)
    svg = re.sub(r'("#|url\(#)', rf"\1{name}-", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (?:width|height|version)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="plot: {name}">{rest}'


def plots_of(parts: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Draw every plot for which there are figures; SVG by name."""
    return {name: draw_svg(parts, [name]) for name in DRAW if rows_of(name, parts)}


def measured_sections(parts: dict[str, dict[str, Any]], plots: dict[str, str]) -> list[Section]:
    """Make a section of each part, also of those that were not measured."""
    return [_section(part, parts, plots) for part in PARTS]


def _section(part: str, parts: dict[str, dict[str, Any]], plots: dict[str, str]) -> Section:
    title, write = TITLES[part]
    content = parts.get(part)
    if content is None or not content["entries"]:
        return Section(title, command=f"vtep-sim bench --only {part}")
    found = blocks_of(write(content["entries"]))
    figures: list[Block] = [Figure(name, _element(name, svg)) for name, svg in plots.items() if DRAW[name][0] == part]
    short = [line.strip().removeprefix(f"{part}: ") for line in SHORT[part](content["entries"])]
    glance = short if len(short) <= AT_A_GLANCE else [*short[:AT_A_GLANCE], f"and {len(short) - AT_A_GLANCE} more"]
    origin = Origin(content["date"], content["command"], tools_of(content))
    told = warning(part, content["entries"])
    before: list[Block] = [Paragraph(f"{told} `{content['command']}` measures anew.")] if told else []
    return Section(
        title,
        origin,
        glance=[*([told] if told else []), *glance],
        blocks=[*before, found[0], *figures, *found[1:]],
    )
