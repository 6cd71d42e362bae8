"""Makes the simulator of a parameter set: Verilog from Amaranth, Verilator, cocotb. Each is made once and kept.

Everything lies under ``build/system`` of the folder the tests run in; a build is made afresh when the Verilog, the
bench or a flag changed. Processes that want the same build wait for each other.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cocotb_tools.runner import Verilator, VerilatorControlFile

from vtep.config import LENGTH_BITS, Mode, VtepParameters
from vtep.control.tables import write_layout

from ..harness.build import cached_verilog, find_verilator

__all__ = ["Result", "parameters_from_json", "parameters_to_json", "prepare", "simulate", "slug"]

HERE = Path(__file__).parent
SOURCES = (HERE / "axis_monitor.v", HERE / "vtep_bench.v")

FLAGS = (
    "--x-assign",
    "unique",
    "--x-initial",
    "unique",
    # Warnings of the core are `make lint`'s business; those of the bench are looked at when it changes.
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
    # The package's makefile names a precompiled header that its build of Verilator does not make.
    "-MAKEFLAGS",
    "CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG= OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1",
)


@dataclass(frozen=True)
class Result:
    """Outcome of one cocotb test: seconds of real time, simulated nanoseconds, message of the failure or None."""

    seconds: float
    nanoseconds: float
    failure: str | None


def parameters_to_json(parameters: VtepParameters) -> str:
    """Text from which `parameters_from_json` makes the parameters again."""
    return json.dumps({k: v.value if isinstance(v, Mode) else v for k, v in asdict(parameters).items()})


def parameters_from_json(text: str) -> VtepParameters:
    """Parameters from `parameters_to_json`."""
    values = json.loads(text)
    for name in ("encap_mode", "decap_mode"):
        values[name] = Mode(values[name])
    return VtepParameters(**values)


def slug(parameters: VtepParameters) -> str:
    """Short name of a parameter set: the width, and what differs from the defaults."""
    parts = [f"w{parameters.data_width}"]
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        if field.name == "data_width" or value == field.default:
            continue
        word = {"encap_mode": "encap", "decap_mode": "decap"}.get(field.name, field.name)
        text = {Mode.CUT_THROUGH: "ct", Mode.STORE_AND_FORWARD: "sf", True: "on", False: "off"}.get(value, str(value))
        parts.append(f"{word}_{text}")
    return "-".join(parts)


class _Runner(Verilator):
    """cocotb's Verilator runner, without making every signal of the core visible: only the bench's are looked at."""

    def _build_command(self):
        commands = super()._build_command()
        commands[0].remove("--public-flat-rw")
        return commands


def _environment() -> None:
    """Put Verilator where cocotb looks for it."""
    verilator = find_verilator()
    os.environ["PATH"] = f"{verilator.command.parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["VERILATOR_ROOT"] = str(verilator.root)


@contextmanager
def _locked(folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write_verilog(parameters: VtepParameters) -> str:
    from vtep.verilog import to_verilog
    from vtep.vxlan.axi import VtepAxi

    return to_verilog(VtepAxi(parameters))


def prepare(parameters: VtepParameters, root: Path, *, verilog: str | None = None, name: str | None = None) -> Path:
    """Build the simulator and return its folder.

    Parameters
    ----------
    parameters : VtepParameters
        The core to build.
    root : Path
        Folder in which builds are kept.
    verilog : str or None
        Verilog of module ``vtep`` to use instead of the core's own (a mutant).
    name : str or None
        Name of the folder; None: made from the parameters.

    Raises
    ------
    SystemExit, subprocess.CalledProcessError, BuildError
        A tool is missing or refuses; its output is in ``build.log`` of the folder.
    """
    folder = root / (name or slug(parameters))
    _environment()
    with _locked(folder):
        if verilog is None:
            verilog = cached_verilog(parameters, lambda: _write_verilog(parameters))
        digest = hashlib.sha256(repr((FLAGS, find_verilator().version, sys.version, slug(parameters))).encode())
        for text in (verilog, *(source.read_text() for source in SOURCES)):
            digest.update(text.encode())
        stamp = folder / "stamp"
        if stamp.exists() and stamp.read_text() == digest.hexdigest():
            return folder
        stamp.unlink(missing_ok=True)
        core = folder / "vtep.v"
        core.write_text(verilog)
        _Runner().build(
            sources=[core, *SOURCES],
            hdl_toplevel="vtep_bench",
            build_dir=folder / "sim",
            clean=True,
            build_args=FLAGS,
            timescale=("1ns", "1ps"),
            parameters={
                "W": parameters.data_width,
                "U": 1 + LENGTH_BITS if parameters.tenant_length else 1,
                "C": write_layout(parameters).size,
            },
            log_file=folder / "build.log",
        )
        stamp.write_text(digest.hexdigest())
    return folder


def simulate(
    parameters: VtepParameters,
    folder: Path,
    module: str,
    cases: Iterable[str],
    *,
    seed: int,
    python_path: Iterable[Path] = (),
    environment: Mapping[str, str] = {},
) -> dict[str, Result]:
    """Run cocotb tests on a built simulator, in a process of its own.

    Parameters
    ----------
    parameters : VtepParameters
        What the simulator was built with.
    folder : Path
        What `prepare` returned.
    module : str
        Python module with the cocotb tests.
    cases : iterable of str
        Names of the tests to run.
    seed : int
        Base seed; each test makes its own of it and its name. The environment variable ``VTEP_SEED`` overrides it.
    python_path : iterable of Path
        Folders to find ``module`` in.
    environment : mapping
        More environment variables for the tests.

    Returns
    -------
    dict
        Result of each test by name. A test that the simulator's end took with it has a failure that says so.
    """
    cases = list(cases)
    folder = folder.absolute()
    tag = module.rpartition(".")[2]
    results = folder / f"{tag}.xml"
    log = folder / f"{tag}.log"
    order = {
        "module": module,
        "cases": cases,
        "folder": str(folder),
        "results": str(results),
        "log": str(log),
        "width": parameters.data_width,
        "path": [str(path) for path in python_path],
        "environment": {
            "VTEP_PARAMETERS": parameters_to_json(parameters),
            "VTEP_SEED": os.environ.get("VTEP_SEED", str(seed)),
            "COCOTB_ANSI_OUTPUT": "0",
            **environment,
        },
    }
    results.unlink(missing_ok=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", "vtep_sim.cocotb.simulate", json.dumps(order)],
        env=env | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    found = _read_results(results) if results.exists() else {}
    tail = "\n".join((done.stdout.splitlines() + _tail(log))[-60:])
    return {
        case: found.get(case, Result(0, 0, f"the simulator ended with code {done.returncode} before this test:\n{tail}"))
        for case in cases
    }


def _tail(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-60:] if log.exists() else []


def _read_results(path: Path) -> dict[str, Result]:
    found = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        failure = None
        for kind in ("failure", "error", "skipped"):
            node = case.find(kind)
            if node is not None:
                failure = f"{kind}: {node.get('error_msg') or node.get('message') or ''}\n{node.text or ''}".strip()
        found[case.get("name", "")] = Result(
            float(case.get("time", 0)), float(case.get("sim_time_ns", 0)), failure
        )
    return found
