"""Makes the Verilog faster to simulate: next values are computed in the clocked process, and only where needed.

The Verilog has a combinational process for each register's next value and a clocked one that takes it over; a
simulator then copies every register at every clock. Put into one process, with the assignment that only keeps the value
left out, the same register costs nothing in the clocks that do not change it.

What happens is the same: at the clock's edge, a combinational process stands at the values that the clocked process
reads. A register is rewritten only where its text has exactly the expected form, and is left as it is otherwise.
"""

import re
from collections import Counter

from .register_graph import NAME, TOKEN, read_modules

__all__ = ["merge_next_values"]

ASSIGNMENT = re.compile(rf"(\s+)({NAME}) *((?:\[[^\]]*\] )?)= (.*;)$")
TAKE_OVER = re.compile(rf"    ({NAME}) *<= ({NAME}) *;$")
CLOCKED = re.compile(rf"  always (@\(posedge {NAME} ?\))$")
DECLARATION = re.compile(rf"  reg (?:\[\d+:\d+\] )?({NAME}) *;$")


def merge_next_values(verilog: str) -> str:
    """Rewrite the registers of every module of ``verilog``, as Yosys writes it."""
    before, modules = read_modules(verilog)
    return "\n".join([*before, *(line for module in modules for line in _merged(module.lines))])


def _end_of_process(lines: list[str], start: int) -> int:
    """Index behind the last line of the process that starts at ``start``."""
    if not lines[start].endswith("begin"):
        return start + 2
    return lines.index("  end", start) + 1


def _merged(lines: list[str]) -> list[str]:
    uses = Counter(token for line in lines for token in TOKEN.findall(line))
    taken: dict[str, tuple[str, str, int]] = {}  # next value: register, its clock's edge, line of the clocked process
    processes: dict[str, tuple[int, int]] = {}  # next value: lines of the combinational process
    declarations: dict[str, int] = {}
    for number, line in enumerate(lines):
        if (clocked_by := CLOCKED.match(line)) and (match := TAKE_OVER.match(lines[number + 1])):
            taken[match[2]] = (match[1], clocked_by[1], number)
        elif line in ("  always @*", "  always @* begin"):
            end = _end_of_process(lines, number)
            targets = {match[2] for text in lines[number:end] if (match := ASSIGNMENT.match(text))}
            if len(targets) == 1:
                processes[targets.pop()] = (number, end)
        elif match := DECLARATION.match(line):
            declarations[match[1]] = number
    result: list[str | None] = list(lines)
    for name, (register, edge, clocked) in taken.items():
        if name not in processes or name not in declarations:
            continue
        start, end = processes[name]
        process = lines[start:end]
        # Used nowhere else: a declaration, the assignments, and once on the right in the clocked process.
        assignments = sum(bool(ASSIGNMENT.match(text)) for text in process)
        if uses[name] != assignments + 2:
            continue
        result[start:end] = _clocked(process, register, edge)
        result[clocked] = result[clocked + 1] = result[declarations[name]] = None
    return [line for line in result if line is not None]


def _clocked(process: list[str], register: str, edge: str) -> list[str | None]:
    """Return the form clocked by ``edge`` of a process that computes the next value of ``register``, line by line."""
    spaced = f"{register} " if register.startswith("\\") else register
    changed: list[str | None] = [process[0].replace("@*", edge)]
    for line in process[1:]:
        match = ASSIGNMENT.match(line)
        if match is None:
            # The line that makes simulators run combinational processes at the start.
            changed.append(None if line.strip().startswith("if (_start_") else line)
        elif not match[3] and match[4].removesuffix(";").strip() == register:
            changed.append(f"{match[1]};" if len(process) == 2 else None)
        else:
            changed.append(f"{match[1]}{spaced} {match[3]}<= {match[4]}")
    return changed
