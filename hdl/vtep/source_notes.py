"""Notes in the Verilog of where its parts are written in Python: attributes ``where`` of modules and of cases.

Amaranth tells Yosys the line of a process, which is that of the register's declaration. What coverage wants to know is
the line of each statement under a condition, and Amaranth keeps that as well, but does not write it.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amaranth.back import rtlil

__all__ = ["note_modules", "noted_cases"]

ROOT = Path(__file__).resolve().parents[1]


def _relative(file: str) -> str | None:
    """Path of a source file below the folder of the package, or None for one of another package."""
    path = Path(file)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else None


@contextmanager
def noted_cases() -> Iterator[None]:
    """Meanwhile Amaranth gives each case of a process the lines of the assignments in it: ``file:line|file:line``."""
    emit = rtlil.ModuleEmitter.emit_assignment_list

    def noting(self, cell_idx, cell):
        emit(self, cell_idx, cell)
        # A reset has the place of the register's declaration, which says nothing.
        places = [assignment.src_loc for assignment in cell.assignments]
        sources = iter([None if place == cell.src_loc else place for place in places])
        # The first item is the value without any assignment.
        _note(next(reversed(self.builder.contents.values())).contents[1:], sources)
        assert next(sources, sources) is sources, "Amaranth wrote fewer assignments than there are"

    rtlil.ModuleEmitter.emit_assignment_list = noting
    try:
        yield
    finally:
        rtlil.ModuleEmitter.emit_assignment_list = emit


def _note(contents: list, sources: Iterator, case: rtlil.Case | None = None) -> None:
    """Note the sources of the assignments in ``contents``, which are written in their order."""
    own: dict[str, None] = {}
    for item in contents:
        if isinstance(item, rtlil.Switch):
            for inner in item.cases:
                _note(inner.contents, sources, inner)
        else:
            place = next(sources)
            if place is not None and (name := _relative(place[0])):
                own[f"{name}:{place[1]}"] = None
    if case is not None and own:
        plain = case.emit
        where = "|".join(own)

        def emit(line) -> None:
            line(f'attribute \\where "{where}"')
            plain(line)

        case.emit = emit


def note_modules(text: str, design) -> str:
    """Note in RTLIL the file of the component that each module was made of, or of the one around it."""
    files: dict[tuple, str] = {}
    # A fragment stands behind the one around it.
    for fragment, info in design.fragments.items():
        files[info.name] = files.get(info.name[:-1], "")
        for origin in fragment.origins or ():
            if name := _relative(inspect.getfile(type(origin))):
                files[info.name] = name
                break
    heads = {f"module \\{'.'.join(name)}": file for name, file in files.items()}
    lines = text.splitlines()
    return "\n".join(f'attribute \\where "{heads[line]}"\n{line}' if heads.get(line) else line for line in lines)
