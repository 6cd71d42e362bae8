"""Builds the Verilated core as a shared library, once per parameter set.

The generated C++ is compiled here and not by Verilator's makefile: that one carries the paths of the machine its
package was built on, and wants Perl and Python where they were there.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from .cache import cache_folder, cached, digest_of
from .clocked import merge_next_values
from .tools import BuildError, find_compiler, find_verilator, run_tool

__all__ = ["build_model", "cached_verilog", "find_verilator"]

HERE = Path(__file__).parent
HARNESS = HERE / "harness.cpp"
COMPAT = HERE / "compat"
VERILATOR_FLAGS = ("--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert")
# What a lint of the Verilog would say is not this build's business: it has a target of its own.
QUIET = ("-Wno-fatal", "-Wno-lint", "-Wno-style")
CXXFLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-DNDEBUG", "-w")

# The model is straight-line code that outgrows the instruction cache: small code runs as fast as optimized code, or
# faster, and compiles in half the time. What runs once, at the start, is not worth any.
MODEL_LEVEL, ONCE_LEVEL, LEVEL = "-O1", "-O0", "-O2"


def cached_verilog(parameters: object, write: Callable[[], str]) -> str:
    """Verilog text for ``parameters``: from the cache, or from ``write`` and then kept.

    The key covers the sources of the gateware and the versions of what turns them into Verilog.
    """
    package = find_spec("vtep")
    if package is None or package.origin is None:
        raise BuildError("the package vtep is not installed")
    root = Path(package.origin).parent
    parts: list[str | bytes] = [repr(parameters)]
    for source in sorted(root.rglob("*.py")):
        parts += (source.relative_to(root).as_posix(), source.read_bytes())
    parts += (f"{name} {metadata.version(name)}" for name in ("amaranth", "pyosys"))

    def make(place: Path) -> None:
        place.write_text(write(), encoding="utf-8")

    return cached(f"{digest_of(parts)}.v", make).read_text(encoding="utf-8")


def build_model(verilog: str, data_width: int, *, waves: bool = False, message: Callable[[str], None]) -> Path:
    """Build ``verilog`` (module ``vtep``) and the harness into a shared library, or take it from the cache.

    Parameters
    ----------
    verilog : str
        The Verilog text.
    data_width : int
        Its datapath width in bits.
    waves : bool
        Build in the writing of FST waveforms; such a model is slower.
    message : callable
        Told what is being done when something has to be built.

    Raises
    ------
    BuildError
        Verilator or the C++ compiler is missing or refuses.
    """
    verilator = find_verilator()
    _, compiler_version = find_compiler()
    parts: list[str | bytes] = [verilog, str(data_width), str(waves), verilator.version, compiler_version]
    parts += (
        source.read_bytes() for source in (HARNESS, Path(__file__), HERE / "clocked.py", *sorted(COMPAT.iterdir()))
    )

    def build(place: Path) -> None:
        kind = " with waveforms" if waves else ""
        message(f"building the {data_width}-bit model{kind} with {verilator.name}, once ...")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="vtep-build-") as scratch:
            shutil.copyfile(_Build(Path(scratch), data_width, waves=waves).run(verilog), place)
        message(f"built in {time.monotonic() - started:.0f} s, kept in {cache_folder()}")

    return cached(f"{digest_of(parts)}.so", build)


class _Build:
    """One build in a scratch folder."""

    def __init__(self, scratch: Path, data_width: int, *, waves: bool) -> None:
        self.scratch = scratch
        self.model = scratch / "model"
        self.waves = waves
        self.verilator = find_verilator()
        self.compiler, self.compiler_version = find_compiler()
        self.include = self.verilator.root / "include"
        self.options: list[str] = [*CXXFLAGS, "-DVL_USER_FATAL", "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0"]
        self.options += [f"-DVM_TRACE={waves:d}", f"-DVM_TRACE_FST={waves:d}", "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0"]
        self.width = f"-DVTEP_DATA_WIDTH={data_width}"

    def run(self, verilog: str) -> Path:
        source = self.scratch / "vtep.v"
        source.write_text(merge_next_values(verilog), encoding="utf-8")
        flags = [*VERILATOR_FLAGS, *QUIET, *(("--trace-fst",) if self.waves else ())]
        names: list[str | Path] = ["--top-module", "vtep", "--prefix", "Vvtep", "--Mdir", self.model]
        run_tool(
            [self.verilator.command, *flags, *names, source],
            environment=self.verilator.environment,
            cwd=self.scratch,
        )
        makefile = (self.model / "Vvtep_classes.mk").read_text(encoding="utf-8")
        units = [self.model / f"{name}.cpp" for name in _make_list(makefile, "CLASSES", "SUPPORT")]
        units += [self.include / f"{name}.cpp" for name in _make_list(makefile, "GLOBAL")]
        units.append(HARNESS)
        # The largest first, so that none is left to compile alone at the end.
        units.sort(key=lambda unit: -unit.stat().st_size)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            objects = list(pool.map(self.compile, units))
        library = self.scratch / "vtep.so"
        run_tool([self.compiler, "-shared", "-Wl,-Bsymbolic", "-o", library, *objects, "-pthread"])
        return library

    def compile(self, unit: Path) -> Path:
        """Compile one file; those of Verilator's own library once for all models."""
        if unit.is_relative_to(self.include):
            parts = [unit.name, str(unit.stat().st_size), self.verilator.version, self.compiler_version, LEVEL]
            parts += self.options
            parts += (path.read_text(encoding="utf-8") for path in sorted(COMPAT.iterdir()))
            return cached(f"{digest_of(parts)}.o", lambda place: self.call_compiler(unit, place, [LEVEL]))
        compiled = self.scratch / f"{unit.stem}.o"
        level = LEVEL if unit == HARNESS else ONCE_LEVEL if "Slow" in unit.stem else MODEL_LEVEL
        self.call_compiler(unit, compiled, [level, self.width, "-I", str(self.model)])
        return compiled

    def call_compiler(self, unit: Path, place: Path, options: list[str]) -> None:
        folders: list[str | Path] = ["-I", COMPAT, "-I", self.include, "-I", self.include / "vltstd"]
        run_tool([self.compiler, *self.options, *options, *folders, "-c", unit, "-o", place])


def _make_list(makefile: str, *groups: str) -> list[str]:
    """Names of C++ files in Verilator's list for makefiles, continued lines joined."""
    joined = makefile.replace("\\\n", " ")
    return [
        word
        for group in groups
        for values in re.findall(rf"^VM_{group}_(?:FAST|SLOW) \+= *(.*)$", joined, re.MULTILINE)
        for word in values.split()
    ]
