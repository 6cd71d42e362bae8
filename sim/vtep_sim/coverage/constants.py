"""Bits that the Verilog ties to a constant: nothing can toggle them, so they are none to be reached."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

__all__ = ["constant_bits"]

_DECLARED = re.compile(r"  (?:input|output|wire|reg) (?:\[(\d+):0\] )?(\\\S+ |\w+) ?;")
_ASSIGNED = re.compile(r"  assign (\\\S+ |[A-Za-z_]\w*)(?: ?\[(\d+)(?::(\d+))?\])? = (.*);")
_PART = re.compile(r"(?:(\d+)'[bhd][0-9a-fzx]+|(\\\S+ |[A-Za-z_]\w*)(?: ?\[(\d+)(?::(\d+))?\])?) *")


def constant_bits(verilog: str) -> dict[int, set[int]]:
    """Constant bits of the signal that is declared in a line, by the line's number."""
    found: dict[int, set[int]] = defaultdict(set)
    module: list[tuple[int, str]] = []
    for number, line in enumerate(verilog.splitlines(), 1):
        module.append((number, line))
        if line == "endmodule":
            _module(module, found)
            module = []
    return dict(found)


def _module(lines: Iterable[tuple[int, str]], found: dict[int, set[int]]) -> None:
    places: dict[str, list[int]] = defaultdict(list)
    widths: dict[str, int] = {}
    assigned = []
    for number, line in lines:
        if match := _DECLARED.fullmatch(line):
            name = match[2].strip()
            places[name].append(number)
            widths[name] = int(match[1] or 0) + 1
        elif match := _ASSIGNED.fullmatch(line):
            assigned.append(match.groups())
    for target, high, low, value in assigned:
        name = target.strip()
        least = int(low or high or 0)
        for bit in _constants(value, widths):
            for number in places[name]:
                found[number].add(least + bit)


def _constants(value: str, widths: dict[str, int]) -> Iterator[int]:
    """Places of the literals in a value that is one, or a concatenation with some; none where it is something else."""
    inside = value[1:-1].strip() if value.startswith("{") and value.endswith("}") else value
    if "{" in inside or "}" in inside:
        return
    at = 0
    for part in reversed(inside.split(", ")):
        match = _PART.fullmatch(part)
        if not match:
            return
        literal, name, high, low = match.groups()
        if literal:
            width = int(literal)
            yield from range(at, at + width)
        elif high is not None:
            width = int(high) - int(low or high) + 1
        elif name.strip() in widths:
            width = widths[name.strip()]
        else:
            return
        at += width
