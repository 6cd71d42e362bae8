"""The register map for programmers and programs: SystemRDL, and through PeakRDL HTML, Markdown and a C header."""

from pathlib import Path

from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_html import HTMLExporter
from peakrdl_markdown import MarkdownExporter
from systemrdl import RDLCompiler

from .register_map import RegisterMap
from .systemrdl import to_systemrdl

__all__ = ["write_register_files"]


def write_register_files(registers: RegisterMap, folder: Path) -> list[Path]:
    """Write ``NAME.rdl``, ``NAME.h``, ``NAME.md`` and ``html/index.html`` into ``folder``, NAME being the map's.

    All but the first are made from the SystemRDL file, by tools that know nothing else. Returns the four paths.

    Raises
    ------
    OSError
        The folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rdl, header, markdown = (folder / f"{registers.name}.{suffix}" for suffix in ("rdl", "h", "md"))
    html = folder / "html"
    rdl.write_text(to_systemrdl(registers), encoding="utf-8")
    compiler = RDLCompiler()
    compiler.compile_file(str(rdl))
    top = compiler.elaborate().top
    CHeaderExporter().export(top, str(header))
    MarkdownExporter().export(top, str(markdown), input_files=[rdl.name])
    HTMLExporter().export(top, str(html))
    return [rdl, header, markdown, html / "index.html"]
