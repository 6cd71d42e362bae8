import os
import subprocess

import pytest

from vtep.config import VtepParameters
from vtep.control.register_files import write_register_files
from vtep.control.registers import vtep_registers
from vtep.control.systemrdl import to_systemrdl

REGISTERS = vtep_registers(VtepParameters())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regs") / "deep" / "down"
    paths = write_register_files(REGISTERS, folder)
    assert paths == [folder / "vtep.rdl", folder / "vtep.h", folder / "vtep.md", folder / "html" / "index.html"]
    return paths


def test_systemrdl(files):
    assert files[0].read_text() == to_systemrdl(REGISTERS)


def test_markdown_and_html(files):
    markdown = files[2].read_text()
    for register in REGISTERS:
        assert f"### {register.name}" in markdown
        assert register.description in markdown
        for field in register.fields:
            assert field.description in markdown
    assert "OpenVTEP" in files[3].read_text()
    assert str(files[0].parent) not in markdown


def test_the_header_gives_a_compiler_the_same_places(files, tmp_path):
    lines = ["#include <stddef.h>", '#include "vtep.h"']
    for register in REGISTERS:
        lines.append(f'_Static_assert(offsetof(vtep_t, {register.name}) == {register.address}, "{register.name}");')
        for field in register.fields:
            macro = f"VTEP__{register.name}__{field.name.upper()}"
            for name, value in (("bm", field.mask), ("bp", field.low), ("bw", field.width)):
                lines.append(f'_Static_assert({macro}_{name} == {value:#x}, "{macro}");')
            if field.reset is not None:
                lines.append(f'_Static_assert({macro}_reset == {field.reset:#x}, "{macro}");')
    source = tmp_path / "check.c"
    source.write_text("\n".join([*lines, ""]))
    compiler = os.environ.get("CXX", "c++")  # the one the set-up asks for; it knows C as well
    subprocess.run(
        [compiler, "-x", "c", "-std=gnu11", "-Werror", "-fsyntax-only", f"-I{files[1].parent}", source], check=True
    )


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="exists"):
        write_register_files(REGISTERS, tmp_path / "file")
