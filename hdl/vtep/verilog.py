"""Verilog from Amaranth components: one self-contained, lint-clean file, the same text for the same component."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Fragment, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

from .source_notes import note_modules, noted_cases

__all__ = ["VerilogError", "flat_ports", "to_verilog"]


class VerilogError(RuntimeError):
    """Yosys refused what Amaranth emitted; the message is its own."""


def flat_ports(component: wiring.Component) -> dict[str, tuple[Value, PortDirection]]:
    """Ports of ``component`` by their Verilog names, in the order of its signature.

    A member of the signature itself keeps its name; one inside an interface or an array is joined to it by ``__``.
    """
    ports = {}
    for path, member, value in component.signature.flatten(component):
        direction = PortDirection.Input if member.flow == wiring.In else PortDirection.Output
        ports["__".join(map(str, path))] = (Value.cast(value), direction)
    return ports


def to_verilog(component: wiring.Component, name: str, *, comment: str = "", notes: bool = False) -> str:
    """Verilog-2001 text of ``component`` and everything inside it.

    The text depends on the component and the versions of Amaranth and Yosys only: it holds no path, date or
    address. Ports are ``clk``, ``rst`` (where the component has synchronous logic), then the component's own as
    `flat_ports` names them. Verilator's ``--lint-only -Wall`` finds nothing in it; the waivers in the text say
    what they are for.

    Parameters
    ----------
    component : wiring.Component
        What to convert. It is elaborated here, once: pass a fresh one.
    name : str
        Name of the top module, a plain Verilog identifier; submodules are ``name.submodule``.
    comment : str
        Lines for the head of the file, such as the parameters it was made with.
    notes : bool
        Note where modules and cases are written in Python: see `vtep.source_notes`.

    Raises
    ------
    ValueError
        ``name`` is no plain identifier.
    VerilogError
        Yosys refused the design (a combinational loop, say).
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"name must be a Verilog identifier of letters, digits and _, not {name!r}")
    ports = flat_ports(component)
    design = Fragment.get(component, None).prepare(ports=ports, hierarchy=(name,))
    with noted_cases() if notes else nullcontext():
        source, _ = rtlil.convert_fragment(design, ports, name, emit_src=False)
    if notes:
        source = note_modules(source, design)
    lines = _number_ports(source.splitlines(), name, ["clk", "rst", *ports])
    text = _tidy(_run_yosys("\n".join(_prune_cases(lines)) + "\n", notes=notes))
    return _head(name, comment, text) + text


_RTLIL_PORT = re.compile(r"(\s*wire .*(?:input|output|inout) )(\d+)( +\\)(\S+)")


def _number_ports(lines: Iterable[str], top: str, order: list[str]) -> Iterator[str]:
    """Number the ports of module ``top`` in ``order``, and those of all others from 1: Yosys lists them so.

    Wires lose their sign: operators carry their own, and a signed wire would give Verilog's another meaning.
    """
    module = ""
    for line in lines:
        line = re.sub(r"^(\s*wire .*)\bsigned ", r"\1", line)
        if line.startswith("module \\"):
            module = line.removeprefix("module \\")
        if match := _RTLIL_PORT.fullmatch(line):
            head, number, between, name = match.groups()
            place = order.index(name) if module == top else int(number)
            yield f"{head}{place + 1}{between}{name}"
        else:
            yield line


def _prune_cases(lines: Iterable[str]) -> Iterator[str]:
    """Leave out those cases of processes in which nothing happens, and processes that have no case left.

    Amaranth writes a process for each register, and into each the whole switch that the register is assigned in: for an
    array of N registers that is N squared cases, of which one in each process does something. A process without cases
    is a connection: as an ``always @*`` that depends on nothing it would never run in an event-driven simulator.
    """
    rest = iter(lines)
    for line in rest:
        if not line.startswith("  process "):
            yield line
            continue
        body, end = _block(rest)
        if len(body) == 1:
            yield body[0].replace("    assign ", "  connect ", 1)
        else:
            yield from (line, *body, end)


def _block(rest: Iterator[str]) -> tuple[list[str], str]:
    """Read assignments and switches, pruned, up to the line that ends them: ``end``, or the switch's next ``case``."""
    body: list[str] = []
    for line in rest:
        word = line.split(maxsplit=1)[0]
        if word == "attribute":
            return body, f"{line}\n{next(rest)}"  # of the case that comes next
        if word in ("end", "case"):
            return body, line
        if word == "switch":
            body += _switch(line, rest)
        else:
            body.append(line)
    raise AssertionError("a process without an end")


def _switch(head: str, rest: Iterator[str]) -> list[str]:
    """Read the cases of the switch that begins with ``head``; return it without those that change nothing."""
    cases: list[tuple[str, list[str]]] = []
    _, line = _block(rest)
    while line.strip() != "end":
        case = line
        body, line = _block(rest)
        cases.append((case, body))
    kept: list[tuple[str, list[str]]] = []
    for case, body in reversed(cases):
        # The first case that matches is the one that counts: an empty one may only go if it hides none behind it.
        if body or any(_overlap(case, later) for later, _ in kept):
            kept.append((case, body))
    if not kept:
        return []
    return [head, *(text for case, body in reversed(kept) for text in (case, *body)), line]


def _overlap(case: str, other: str) -> bool:
    """Whether a value exists that both match; a case without patterns matches every one."""
    ours, theirs = (re.findall(r"'([01-]+)", text) for text in (case, other))
    if not ours or not theirs:
        return True
    return any(all(a == b or "-" in a + b for a, b in zip(p, q, strict=True)) for p in ours for q in theirs)


def _run_yosys(source: str, *, notes: bool) -> str:
    converter = Path(__file__).with_name("rtlil_to_verilog.py")
    with tempfile.TemporaryDirectory(prefix="vtep-verilog-") as folder:
        Path(folder, "design.il").write_text(source, encoding="utf-8")
        run = subprocess.run(
            [sys.executable, "-I", str(converter), "design.il", "design.v", *(["notes"] if notes else [])],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            told = [line for line in run.stdout.splitlines() if line.startswith(("Warning", "ERROR"))]
            raise VerilogError("Yosys could not write the Verilog: " + "; ".join(told[:3] + told[3:][-1:]))
        return Path(folder, "design.v").read_text(encoding="utf-8")


def _head(name: str, comment: str, text: str) -> str:
    tools = f"Amaranth {metadata.version('amaranth')} and Yosys {metadata.version('pyosys')}"
    lines = [f"// {name}: written by OpenVTEP with {tools}.", *(f"// {line}" for line in comment.splitlines())]
    lines += [
        "// Waived: the file holds all modules, and its name is the user's.",
        "/* verilator lint_off DECLFILENAME */",
    ]
    if re.search(r"'b[01]*\?", text):
        lines += ["// Waived: where cases overlap, the first one counts.", "/* verilator lint_off CASEOVERLAP */"]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _tidy(text: str) -> str:
    """Make what Yosys wrote clean in a linter's eyes, and free of names from Yosys's own source."""
    lines = [line for line in text.splitlines()[1:] if not line.startswith("  (* init =")]
    # A register that makes simulators run the combinational processes at the start.
    lines = [_START.sub("_start_ ", line) for line in lines]
    for step in (_initial_registers, _initial_memories, _whole_cases, _waive_inside):
        lines = list(step(lines))
    return "\n".join(lines) + "\n"


_START = re.compile(r"\\\$auto\$verilog_backend\.cc:\d+:dump_module\$\d+ +")
_REGISTER = re.compile(r"(  reg (?:\[\d+:\d+\] )?)(\\\S+ |\w+)( = .*;)")


def _initial_registers(lines: Iterable[str]) -> Iterator[str]:
    """Move start values into initial blocks: in a declaration, linters take them for a mistake."""
    for line in lines:
        if (match := _REGISTER.fullmatch(line)) and match[2] != "_start_":
            declaration, name, value = match.groups()
            yield f"{declaration}{name};"
            yield f"  initial {name}{value}"
        else:
            yield line


_WORD = re.compile(r"    (\\\S+ |\w+)\[(\d+)\] = (\d+'h[0-9a-f]+);")


def _initial_memories(lines: Iterable[str]) -> Iterator[str]:
    """Start memories that hold one value throughout, as most do, with a loop rather than a line for each word."""
    block: list[str] | None = None
    for line in lines:
        if line == "  initial begin":
            block = []
        elif block is None:
            yield line
        elif line != "  end":
            block.append(line)
        else:
            words = [match.groups() for match in map(_WORD.fullmatch, block) if match]
            if len(words) == len(block) > 1 and len({(name, value) for name, _, value in words}) == 1:
                name, _, value = words[0]
                loop = f"{name.strip()}_index"
                yield f"  integer {loop} ;"
                yield f"  initial for ({loop} = 0; {loop} < {len(words)}; {loop} = {loop} + 1)"
                yield f"    {name}[{loop} ] = {value};"
            else:
                yield from ("  initial begin", *block, "  end")
            block = None


def _whole_cases(lines: Iterable[str]) -> Iterator[str]:
    """Say in each case statement that what it does not name changes nothing."""
    whole: list[bool] = []
    previous = ""
    for line in lines:
        word = line.strip()
        if word.startswith("casez ("):
            whole.append(previous.startswith("(* full_case"))
        elif word == "default:":
            whole[-1] = True
        elif word == "endcase" and not whole.pop():
            yield f"{line.removesuffix(word)}  default: /* empty */;"
        previous = word
        yield line


_WAIVER = """\
  // Waived for the wires inside, not for ports: fields of packed words are wires of their own, so that a waveform
  // shows them by name whether or not the logic reads them, and sums have a carry that nobody may want.
  /* verilator lint_off UNUSEDSIGNAL */"""
_WAIVER_END = "  /* verilator lint_on UNUSEDSIGNAL */"
_NET = re.compile(r"  (input|output|inout|wire|reg) (?:\[\d+:\d+\] )?(\\\S+ |\w+)")


def _waive_inside(lines: Iterable[str]) -> Iterator[str]:
    """Waive unused wires from behind the last port of each module to its end."""
    ports: set[str] = set()
    attributes: list[str] = []
    waived = False
    for line in lines:
        if line.startswith("  (*"):
            attributes.append(line)  # belongs to what comes next
            continue
        if re.match(r"  wire \[-1:0\] ", line):
            attributes = []  # a field of no bits, which Verilog cannot have
            continue
        if line.startswith("module "):
            ports, waived = {"_start_"}, False
        elif line == "endmodule" and waived:
            yield _WAIVER_END
        elif match := _NET.match(line):
            kind, name = match.groups()
            if kind in ("input", "output", "inout"):
                ports.add(name)
            elif name not in ports and not waived:
                yield _WAIVER
                waived = True
        yield from attributes
        attributes = []
        yield line
