"""Run Yosys (the library `pyosys`) and nextpnr in processes of their own, in a working folder."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

__all__ = ["ToolError", "ToolTimeoutError", "run", "run_yosys", "tool", "version"]

# Yosys's log goes to standard output; an error ends the process, hence one of its own for each script.
_YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.stdin.read().splitlines():
    if line:
        libyosys.run_pass(line, design)
"""


class ToolError(RuntimeError):
    """A synthesis tool failed; the message holds the end of its log."""


class ToolTimeoutError(ToolError):
    """A synthesis tool did not end in time."""


def run(command: list[str], folder: Path, log: str, text: str | None = None, *, limit: float | None = None) -> str:
    """Run ``command`` in ``folder`` and return what it says, which the file ``log`` there has while it runs.

    Raises
    ------
    ToolTimeoutError
        It was stopped after ``limit`` seconds.
    ToolError
        The command is not installed or failed.
    """
    try:
        with (folder / log).open("w") as output:
            done = subprocess.run(
                command,
                cwd=folder,
                input=text,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=limit,
            )
    except FileNotFoundError as error:
        raise ToolError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ToolTimeoutError(f"{command[0]} was stopped after {limit:g} s, log {folder / log}") from error
    told = (folder / log).read_text()
    if done.returncode:
        tail = "\n".join(told.splitlines()[-15:])
        raise ToolError(f"{command[0]} failed with code {done.returncode}, log {folder / log}:\n{tail}")
    return told


def run_yosys(script: list[str], folder: Path, log: str) -> str:
    """Run Yosys commands, one string each, in ``folder`` and return the log."""
    # ABC9's own check of its result takes longer than all the rest on wide XOR networks.
    return run([sys.executable, "-c", _YOSYS], folder, log, "\n".join(["scratchpad -set abc9.verify false", *script]))


def tool(name: str) -> str:
    """Path of a command that a Python package brought along: beside the interpreter, or else from PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def version(package: str) -> str:
    """Version of an installed package."""
    return metadata.version(package)
