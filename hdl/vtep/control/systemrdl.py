"""The register map as SystemRDL 2.0 (Accellera): text that `systemrdl-compiler` takes, with all descriptions."""

import re
from collections.abc import Iterator

from .register_map import WORD_BITS, WORD_BYTES, Access, Field, Register, RegisterMap

__all__ = ["to_systemrdl"]

_ACCESS = {
    Access.READ_ONLY: ("sw = r;",),
    Access.READ_WRITE: ("sw = rw;",),
    Access.WRITE_ONLY: ("sw = w;",),
    Access.WRITE_ONE_TO_CLEAR: ("sw = rw;", "onwrite = woclr;"),
}


def to_systemrdl(registers: RegisterMap) -> str:
    """Describe a register map in SystemRDL.

    Names are those of the declaration: of the address map the map's, of registers and fields theirs. Fields that the
    hardware changes have ``hw = rw``, constants ``hw = na``, others ``hw = r``. A field without a reset value has no
    ``reset``.
    """
    lines = [
        f"addrmap {registers.name} {{",
        *_indent(
            f"name = {_quote(registers.title)};",
            f"desc = {_quote(registers.description)};",
            f"default regwidth = {WORD_BITS};",
            f"default accesswidth = {WORD_BITS};",
            "littleendian;",
        ),
    ]
    for register in registers:
        lines += ["", *_indent(*_register(register))]
    return "\n".join([*lines, "};", ""])


def _register(register: Register) -> Iterator[str]:
    yield "reg {"
    yield from _indent(f"desc = {_quote(register.description)};")
    for field in register.fields:
        yield from _indent(*_field(register, field))
    size = "" if register.count is None else f"[{register.count}]"
    step = "" if register.count is None else f" += {WORD_BYTES:#x}"
    yield f"}} {register.name}{size} @ {register.address:#05x}{step};"


def _field(register: Register, field: Field) -> Iterator[str]:
    enum = f"{register.name}_{field.name}_values"
    if field.choices:
        yield f"enum {enum} {{"
        for name, choice in field.choices.items():
            yield from _indent(
                f"{name} = {_number(choice.value, field.width)} {{ desc = {_quote(choice.description)}; }};"
            )
        yield "};"
    yield "field {"
    yield from _indent(f"desc = {_quote(field.description)};", *_ACCESS[field.access])
    if field.volatile:
        yield "    hw = rw;"
    elif field.access is Access.READ_ONLY:
        yield "    hw = na;"
    else:
        yield "    hw = r;"
    if field.choices:
        yield f"    encode = {enum};"
    reset = "" if field.reset is None else f" = {_number(field.reset, field.width)}"
    yield f"}} {field.name}[{field.low + field.width - 1}:{field.low}]{reset};"


def _number(value: int, width: int) -> str:
    return f"{width}'h{value:x}"


def _quote(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _indent(*lines: str) -> Iterator[str]:
    for line in lines:
        yield f"    {line}" if line else line
