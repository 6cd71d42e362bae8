"""The Verilog of coverage builds: what Verilator is to count in it, and where each part is written in Python."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from vtep.config import VtepParameters

from .constants import constant_bits

__all__ = ["FLAGS", "Places", "instrumented", "noted_verilog", "places_of"]

WIDEST = 1024
"""Bits of the widest signal whose toggles are counted; every vector of the core is narrower."""

FLAGS = ("--coverage-line", "--coverage-toggle", "--coverage-max-width", str(WIDEST))

OFF, ON = "  /* verilator coverage_off */", "  /* verilator coverage_on */"

_DECLARED = re.compile(r"  (?:input|output|wire|reg) (?:\[\d+:\d+\] )?(\\\S+ |\w+) ?(\[\d+:\d+\])?;")
_ALIAS = re.compile(r"  assign (\\\S+ |\w+)(?: ?\[\d+(?::\d+)?\])? = (?!_)(?:\\\S+ |\w+) ?(?:\[\d+(?::\d+)?\])?;")
_INPUT = re.compile(r"  input (?:\[\d+:\d+\] )?(\\\S+|\w+) ?;")
_MODULE = re.compile(r"module (\\\S+|\w+) ?\(")
_WHERE = re.compile(r"\s*(?:\(\*|/\*) where = \"([^\"]*)\" (?:\*\)|\*/)")


def noted_verilog(parameters: VtepParameters) -> str:
    """Verilog of the core, with notes where its parts are written."""
    from vtep.verilog import to_verilog
    from vtep.vxlan.axi import VtepAxi

    return to_verilog(VtepAxi(parameters), "vtep", notes=True)


def instrumented(verilog: str) -> str:
    """The Verilog such that Verilator counts the toggles of each bit once, and the cases that have notes.

    Left out are further names of a signal or of a part of it, the inputs of inner modules, which are counted where they
    are driven, memories, and blocks without notes, of which there is one for each flip-flop. What Yosys made up begins
    with an underscore, and Verilator leaves it out by itself.
    """
    out: list[str] = []
    module: list[str] = []
    for line in verilog.splitlines():
        module.append(line)
        if line == "endmodule":
            out += _switched(module)
            module = []
    return "\n".join([*out, *module]) + "\n"


def _switched(lines: list[str]) -> Iterator[str]:
    """Switch counting off in one module but for what is to be counted."""
    counted = {*_signals(lines), *_noted(lines)}
    on = True
    for number, line in enumerate(lines):
        # Before the first declaration is the module's head.
        wanted = number in counted or line == "endmodule" or (on and not line.startswith("  "))
        if wanted != on:
            yield ON if wanted else OFF
            on = wanted
        yield line


def _signals(lines: list[str]) -> Iterator[int]:
    """Numbers of the lines that declare what is to be counted."""
    # The inputs of the core itself are driven by the bench.
    inner = not any(line.startswith("module vtep(") for line in lines)
    others = {match[1].strip() for line in lines if (match := _ALIAS.fullmatch(line))}
    others |= {match[1] for line in lines if inner and (match := _INPUT.fullmatch(line))}
    for number, line in enumerate(lines):
        if match := _DECLARED.fullmatch(line):
            name = match[1].strip()
            if not (match[2] or name in others or "." in name or "[" in name):
                yield number


def _noted(lines: list[str]) -> Iterator[int]:
    """Numbers of the lines of those blocks that have notes."""
    block: list[int] | None = None
    for number, line in enumerate(lines):
        if line == "  always @* begin":
            block = []
        if block is None:
            continue
        block.append(number)
        if line == "  end":
            if any(_WHERE.fullmatch(lines[inside]) for inside in block):
                yield from block
            block = None


@dataclass
class Places:
    """Where the Verilog is written in Python, by its line numbers.

    ``files``: file of the component that a line's module was made of; ``sources``: the ``file:line`` of the
    assignments of the case that begins there; ``constants``: bits of the signal declared there that cannot toggle.
    """

    files: dict[int, str] = field(default_factory=dict)
    sources: dict[int, tuple[str, ...]] = field(default_factory=dict)
    constants: dict[int, set[int]] = field(default_factory=dict)


def places_of(verilog: str) -> Places:
    """Read the notes."""
    places = Places(constants=constant_bits(verilog))
    file = ""
    pending = ""
    for number, line in enumerate(verilog.splitlines(), 1):
        if match := _WHERE.fullmatch(line):
            pending = match[1]
            continue
        if _MODULE.match(line):
            file = pending
        elif pending:
            places.sources[number] = tuple(pending.split("|"))
        places.files[number] = file
        pending = ""
    return places
