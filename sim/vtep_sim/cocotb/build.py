"""Makes the simulator of a parameter set: Verilog from Amaranth, Verilator, cocotb. Each is made once and kept.

Everything lies under ``build/system`` of the folder the tests run in, or ``build/coverage/system`` where Verilator and
the bench count what the tests reach; a build is made afresh when the Verilog, the bench or a flag changed. Processes
that want the same build wait for each other.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cocotb
from cocotb_tools.runner import Verilator

from vtep.config import LENGTH_BITS, Mode, VtepParameters

from ..core_sources import core_digest
from ..coverage import VARIABLE, structure
from ..harness.build import cached_verilog, find_verilator

__all__ = [
    "MONITOR",
    "RGMII_PADS",
    "TOP",
    "Result",
    "core_verilog",
    "parameters_from_json",
    "parameters_to_json",
    "prepare",
    "prepare_design",
    "prepare_monitor",
    "simulate",
    "slug",
]

HERE = Path(__file__).parent
SOURCES = (HERE / "axis_monitor.v", HERE / "vtep_bench.v")
UNCOUNTED, TOGGLES = HERE / "uncounted.vlt", HERE / "toggles.h"
MONITOR, TOP = "axis_monitor", "vtep_bench"
RGMII_PADS = HERE / "rgmii_pads.v"
"""Module ``rgmii_pads``: the double-data-rate pads of an RGMII, behind which the Amaranth components stand."""

FLAGS = (
    "--x-assign",
    "unique",
    "--x-initial",
    "unique",
    # Warnings of the core are `make lint`'s business; those of the bench are looked at when it changes.
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
)

MAKE = (
    # The package's makefile names a precompiled header for another compiler than the one here.
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_GCH_IF_CLANG=",
    # Python takes most of the time of a run, and the compiler most of that of a build.
    "OPT_FAST=-O1",
    "OPT_SLOW=-O0",
    "OPT_GLOBAL=-O1",
)


@dataclass(frozen=True)
class Result:
    """Outcome of one cocotb test: seconds of real time, message of the failure or None."""

    seconds: float
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


RUNTIME = ("verilated.o", "verilated_dpi.o", "verilated_vpi.o", "verilated_threads.o")
"""Objects of Verilator's runtime, the same for every model."""


class _Runner(Verilator):
    """cocotb's Verilator runner, faster to build.

    Not every signal of the core is made visible, since only the bench's are looked at, and Verilator's runtime is
    compiled once: ``runtime`` is a folder with its objects, or where they go. ``public`` makes all signals visible;
    ``counting`` has toggles counted by ``toggles.h``.
    """

    runtime: Path | None = None
    public = False
    counting = False

    def _build_command(self):
        commands = super()._build_command()
        if not self.public:
            commands[0].remove("--public-flat-rw")
        commands[-1] += MAKE
        if self.runtime is not None:
            kept = [str(self.runtime / name) for name in RUNTIME]
            if all(Path(name).exists() for name in kept):
                # Make finds them newer than their sources.
                commands.insert(1, ["cp", *kept, str(self.build_dir)])
        if self.counting:
            # Every file of the model includes this one first.
            header = Path(self.build_dir, "Vtop__pch.h")
            commands.insert(1, ["sh", "-c", 'printf \'#include "%s"\\n\' "$0" >> "$1"', str(TOGGLES), str(header)])
        return commands

    def keep_runtime(self) -> None:
        """Keep the runtime's objects of the build just made."""
        if self.runtime is None:
            return
        self.runtime.mkdir(parents=True, exist_ok=True)
        for name in RUNTIME:
            part = self.runtime / f"{name}.{os.getpid()}"
            shutil.copyfile(self.build_dir / name, part)
            part.replace(self.runtime / name)


def _environment() -> None:
    """Put Verilator where cocotb looks for it."""
    verilator = find_verilator()
    os.environ["PATH"] = f"{verilator.command.parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["VERILATOR_ROOT"] = str(verilator.root)


@contextmanager
def _locked(folder: Path, name: str = "lock"):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write_verilog(parameters: VtepParameters) -> str:
    from vtep.verilog import to_verilog
    from vtep.vxlan.axi import VtepAxi

    return to_verilog(VtepAxi(parameters), "vtep")


def core_verilog(parameters: VtepParameters) -> str:
    """Verilog of the core, kept between calls."""
    return cached_verilog(parameters, lambda: _write_verilog(parameters))


def prepare(
    parameters: VtepParameters,
    root: Path,
    *,
    verilog: str | None = None,
    name: str | None = None,
    coverage: bool = False,
) -> Path:
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
    coverage : bool
        Have Verilator count lines and toggles; ``verilog``, where given, must have its notes.

    Raises
    ------
    SystemExit, subprocess.CalledProcessError, BuildError
        A tool is missing or refuses; its output is in ``build.log`` of the folder.
    """
    folder = root / (name or slug(parameters))
    _environment()
    with _locked(folder):
        if verilog is None:
            verilog = _noted(parameters) if coverage else core_verilog(parameters)
        if coverage:
            verilog = structure.instrumented(verilog)
        values = {
            "W": parameters.data_width,
            "U": 1 + LENGTH_BITS if parameters.tenant_length else 1,
        }
        core = folder / "vtep.v"
        if not core.exists() or core.read_text() != verilog:
            core.write_text(verilog)
        sources = [UNCOUNTED, core, *SOURCES] if coverage else [core, *SOURCES]
        _build(root, folder, sources, TOP, values, coverage=coverage)
    return folder


def _noted(parameters: VtepParameters) -> str:
    """Verilog of the core with notes of where it is written, kept between calls."""
    return cached_verilog(("noted", parameters), lambda: structure.noted_verilog(parameters))


def prepare_monitor(root: Path, data_width: int) -> Path:
    """Build the protocol monitor alone, all its signals visible, and return the folder."""
    folder = root / f"monitor-w{data_width}"
    _environment()
    with _locked(folder):
        _build(root, folder, [SOURCES[0]], MONITOR, {"W": data_width, "U": 1}, public=True)
    return folder


def prepare_design(
    root: Path, name: str, verilog: str, sources: Iterable[Path], top: str, *, public: bool = True
) -> Path:
    """Build any design and return the folder.

    Time is simulated in femtoseconds, so that clocks may be some parts in a million apart.

    Parameters
    ----------
    root : Path
        Folder in which builds are kept.
    name : str
        Name of the folder.
    verilog : str
        What Amaranth made of the design under test.
    sources : iterable of Path
        More Verilog.
    top : str
        Top module, in ``verilog`` or in ``sources``.
    public : bool
        All signals are visible; otherwise those that the Verilog says are, which builds and runs faster.

    Raises
    ------
    SystemExit, subprocess.CalledProcessError, BuildError
        A tool is missing or refuses; its output is in ``build.log`` of the folder.
    """
    folder = root / name
    _environment()
    with _locked(folder):
        design = folder / "design.v"
        if not design.exists() or design.read_text() != verilog:
            design.write_text(verilog)
        _build(root, folder, [design, *sources], top, {}, public=public, precision="1fs")
    return folder


def _build(
    root: Path,
    folder: Path,
    sources: list[Path],
    top: str,
    values: Mapping[str, int],
    *,
    public: bool = False,
    coverage: bool = False,
    precision: str = "1ps",
) -> None:
    """Build a simulator unless ``folder`` holds the same one."""
    flags = (*FLAGS, *structure.FLAGS) if coverage else FLAGS
    tools = repr((flags, MAKE, find_verilator(), cocotb.__version__, sys.version))
    digest = hashlib.sha256(repr((tools, top, sorted(values.items()), public, precision)).encode())
    for source in (*sources, TOGGLES):
        digest.update(source.read_bytes())
    stamp = folder / "stamp"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    stamp.unlink(missing_ok=True)
    runner = _Runner()
    runner.runtime = root / f"runtime-{hashlib.sha256(tools.encode()).hexdigest()[:16]}"
    runner.public = public
    runner.counting = coverage
    runner.build(
        sources=sources,
        hdl_toplevel=top,
        build_dir=folder / "sim",
        clean=True,
        build_args=flags,
        timescale=("1ns", precision),
        parameters=values,
        log_file=folder / "build.log",
    )
    runner.keep_runtime()
    stamp.write_text(digest.hexdigest())


def simulate(
    parameters: VtepParameters | None,
    folder: Path,
    modules: Iterable[str],
    cases: Iterable[str],
    *,
    top: str = TOP,
    tag: str = "results",
    seed: int,
    python_path: Iterable[Path] = (),
    environment: Mapping[str, str] = {},
    coverage: bool = False,
) -> dict[str, Result]:
    """Run cocotb tests on a built simulator, in a process of its own.

    Parameters
    ----------
    parameters : VtepParameters or None
        What the core was built with; None: there is no core.
    folder : Path
        What `prepare`, `prepare_design` or `prepare_monitor` returned.
    modules : iterable of str
        Python modules with the cocotb tests.
    cases : iterable of str
        Names of the tests to run; no two modules may have one in common.
    top : str
        Top module of the build.
    tag : str
        Name of the files that the simulation leaves in ``folder``: results as XML, and a log.
    seed : int
        Base seed; each test makes its own of it and its name. The environment variable ``VTEP_SEED`` overrides it.
    python_path : iterable of Path
        Folders to find ``modules`` in.
    environment : mapping
        More environment variables for the tests.
    coverage : bool
        The simulator counts: leave what it and the bench counted beside the results, ``tag.dat`` and ``tag.hits``.

    Returns
    -------
    dict
        Result of each test by name. A test that the simulator's end took with it has a failure that says so.
    """
    cases = list(cases)
    folder = folder.absolute()
    results = folder / f"{tag}.xml"
    log = folder / f"{tag}.log"
    dat, hits = folder / f"{tag}.dat", folder / f"{tag}.hits"
    order = {
        "modules": list(modules),
        "cases": cases,
        "folder": str(folder),
        "results": str(results),
        "log": str(log),
        "top": top,
        "path": [str(path) for path in python_path],
        "environment": {
            "VTEP_PARAMETERS": "" if parameters is None else parameters_to_json(parameters),
            "VTEP_SEED": os.environ.get("VTEP_SEED", str(seed)),
            "COCOTB_ANSI_OUTPUT": "0",
            **environment,
            **({VARIABLE: str(hits)} if coverage else {}),
        },
        "plusargs": [f"+verilator+coverage+file+{dat}"] if coverage else [],
        "sources": core_digest() if coverage else None,
    }
    request = folder / f"{tag}.json"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    # Two simulations at once would take each other's files.
    with _locked(folder, f"{tag}.lock"):
        for old in (results, dat, hits):
            old.unlink(missing_ok=True)
        request.write_text(json.dumps(order))
        done = subprocess.run(
            [sys.executable, "-m", "vtep_sim.cocotb.simulate", str(request)],
            env=env | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        found = _read_results(results) if results.exists() else {}
    tail = "\n".join((done.stdout.splitlines() + _tail(log))[-60:])
    return {
        case: found.get(case, Result(0, f"the simulator ended with code {done.returncode} before this test:\n{tail}"))
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
        found[case.get("name", "")] = Result(float(case.get("time", 0)), failure)
    return found
