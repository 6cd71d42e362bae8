"""What the page consists of, and its HTML."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["Block", "Bullets", "Figure", "Heading", "Origin", "Paragraph", "Section", "Table", "blocks_of", "html"]


@dataclass(frozen=True)
class Paragraph:
    """Text; what stands in backticks is code."""

    text: str
    kind: str = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list of texts."""

    items: Sequence[str]
    kind: str = "bullets"


@dataclass(frozen=True)
class Heading:
    """Begins a part that is folded in at first, up to the next."""

    text: str
    kind: str = "heading"


@dataclass(frozen=True)
class Table:
    """Texts in cells."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = "table"


@dataclass(frozen=True)
class Figure:
    """A plot, as an element of the page."""

    name: str
    svg: str
    kind: str = "figure"


Block = Paragraph | Bullets | Heading | Table | Figure


@dataclass(frozen=True)
class Origin:
    """When and how figures were made."""

    date: str
    command: str
    tools: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: ``blocks`` of ``origin``, or the ``command`` that would make what is not there.

    ``glance`` are the lines for the top of the page.
    """

    title: str
    origin: Origin | None = None
    command: str = ""
    glance: Sequence[str] = ()
    blocks: Sequence[Block] = field(default_factory=tuple)

    @property
    def anchor(self) -> str:
        return re.sub(r"\W+", "-", self.title.lower())

    @property
    def groups(self) -> list[tuple[Heading | None, list[Block]]]:
        """Blocks by the heading in front of them."""
        groups: list[tuple[Heading | None, list[Block]]] = [(None, [])]
        for block in self.blocks:
            if isinstance(block, Heading):
                groups.append((block, []))
            else:
                groups[-1][1].append(block)
        return groups


def blocks_of(lines: Iterable[str]) -> list[Block]:
    """Read what the tables of the bench are written in: paragraphs, lists, tables and headings of Markdown."""
    pieces = re.split(r"\n\s*\n", "\n".join(lines))
    return [_block(piece.strip("\n")) for piece in pieces if piece.strip()]


def _block(piece: str) -> Block:
    if piece.startswith("### "):
        return Heading(piece.removeprefix("### "))
    if piece.startswith("| "):
        rows = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in piece.splitlines()]
        return Table(rows[0], rows[2:])
    if piece.startswith("- "):
        return Bullets([" ".join(item.split()) for item in piece.removeprefix("- ").split("\n- ")])
    return Paragraph(" ".join(piece.split()))


def _inline(text: str) -> str:
    """Escape a text, with code where it has backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _number(text: str) -> bool:
    return bool(re.match(r"[-+]?\d", text))


def html(sections: Sequence[Section], *, made: Origin) -> str:
    """Write the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["inline"] = _inline
    environment.tests["numeric"] = _number
    return environment.get_template("page.html.j2").render(sections=sections, made=made)
