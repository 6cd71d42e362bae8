"""Tables in Markdown, and rows of results by what their fields hold."""

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Rows", "select", "table", "values"]

Rows = Sequence[dict[str, Any]]


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table, with an empty one behind it."""
    lines = [headings, ["---"] * len(headings), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines] + [""]


def values(rows: Rows, name: str) -> list[Any]:
    """Values of a field in the order of their first appearance."""
    return list(dict.fromkeys(row[name] for row in rows))


def select(rows: Rows, **fields: object) -> list[dict[str, Any]]:
    """Rows whose fields have these values."""
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]
