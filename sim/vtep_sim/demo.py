"""The demonstration behind `make demo`: captures of Linux VXLAN traffic through the Verilated core and back."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.table import Table

from vtep.config import Mode, VtepParameters
from vtep_host.config import Config, load
from vtep_host.tables import limits_of

from .captures import Capture, CapturedFrame, capture_bytes, read_capture
from .console import console
from .harness import PORTS, Result, Simulator
from .report import RunReport
from .runner import UsageError, captured_outputs, check_run, make_parameters, trace_outputs

__all__ = ["Demo", "run_demo"]

VECTORS = Path(__file__).resolve().parents[2] / "tests" / "vectors"


@dataclass
class Step:
    """One direction of one capture: what went in, what came out, and whether the golden model agrees."""

    name: str
    way: str
    source: str
    sink: str
    report: RunReport


@dataclass
class Demo:
    """What the demonstration did; ``folder`` holds its captures and waveforms."""

    parameters: VtepParameters
    clock_mhz: float
    folder: Path
    steps: list[Step] = field(default_factory=list)

    @property
    def differences(self) -> list[str]:
        """Differences from the golden model, empty where there is none."""
        return [line for step in self.steps for line in step.report.differences or []]

    def show(self) -> None:
        """Print the tables."""
        out = console()
        out.print(self._table())
        out.print("decap: what Linux sent, decapsulated. encap: the result, encapsulated again. Gb/s: on the underlay.")
        drops = Counter[str]()
        for step in self.steps:
            drops.update(step.report.drops)
        listed = ", ".join(f"{name} {count}" for name, count in sorted(drops.items()))
        out.print(f"Dropped or sent to the host port, by reason: {listed or 'none'}", markup=False)
        frames = sum(step.report.ports[f"{port}_out"].frames for step in self.steps for port in PORTS)
        if self.differences:
            out.print("\n".join(["The golden model disagrees:", *self.differences]), markup=False)
        else:
            out.print(
                f"The golden model agrees in every one of {frames} frames out and in every counter.", markup=False
            )
        wave = self.folder / self.steps[0].name / "waves.fst"
        capture = self.folder / self.steps[0].name / "underlay-out.pcap"
        out.print(
            f"Captures and waveforms: {self.folder}/*/\n"
            f"  a capture:  wireshark {capture}   or   tcpdump -nner {capture}\n"
            f"  a waveform: gtkwave {wave}   or   surfer {wave}",
            markup=False,
        )

    def _table(self) -> Table:
        """Make a table that fits 80 columns."""
        title = f"Linux VXLAN traffic through the core: {self.parameters.data_width} bits at {self.clock_mhz:g} MHz"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
        table.add_column("capture", no_wrap=True)
        table.add_column("way", no_wrap=True)
        for heading in ("frames\nin", "bytes\nin", "frames\nout", "bytes\nout", "clocks", "Gb/s"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("golden\nmodel", no_wrap=True)
        sums = [0] * 5
        for step in self.steps:
            taken, sent = step.report.ports[f"{step.source}_in"], step.report.ports[f"{step.sink}_out"]
            cells = (taken.frames, taken.bytes, sent.frames, sent.bytes, step.report.clocks)
            sums = [before + cell for before, cell in zip(sums, cells, strict=True)]
            underlay = taken if step.source == "underlay" else sent
            agrees = "differs" if step.report.differences else "agrees"
            table.add_row(step.name, step.way, *map(str, cells), f"{underlay.gbps:.2f}", agrees)
        table.add_section()
        table.add_row("all", "", *map(str, sums), "", "differs" if self.differences else "agrees")
        return table


def _names(chosen: str | None) -> list[str]:
    known = sorted(path.parent.name for path in VECTORS.glob("*/vtep.toml"))
    if not known:
        raise UsageError(f"no captures in {VECTORS}: the demonstration runs in a checkout of the repository")
    # The plain one first: it is the one that the output names.
    known.sort(key=lambda name: name != "ipv4")
    if chosen is not None and chosen not in known:
        raise UsageError(f"no capture {chosen!r}; there are {', '.join(known)}")
    return known if chosen is None else [chosen]


def run_demo(
    folder: Path,
    *,
    data_width: int,
    clock_mhz: float,
    chosen: str | None,
    message: Callable[[str], None],
    progress: Callable[[int, int, int], None],
) -> Demo:
    """Decapsulate what Linux sent, encapsulate the result again, and compare every frame with the golden model.

    Parameters
    ----------
    folder : Path
        Where captures and waveforms go, a folder for each capture.
    data_width : int
        Datapath width in bits.
    clock_mhz : float
        The clock that rates and waveforms refer to.
    chosen : str or None
        One capture of tests/vectors; None takes all.
    message, progress : callable
        Told about builds, and about captures done, captures in all and clocks.

    Raises
    ------
    UsageError
        There is no such capture.
    """
    parameters = make_parameters(data_width, Mode.STORE_AND_FORWARD, Mode.STORE_AND_FORWARD)
    demo = Demo(parameters, clock_mhz, folder)
    names = _names(chosen)
    clocks = 0
    for number, name in enumerate(names):
        progress(number, len(names), clocks)
        config = load(VECTORS / name / "vtep.toml", limits_of(parameters))
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        source = next(VECTORS.joinpath(name).glob("underlay-in.*"))
        shutil.copyfile(source, place / source.name)
        underlay = read_capture(source)
        waves = place / "waves.fst"
        with Simulator(parameters, waves=waves, clock_mhz=clock_mhz, message=message) as simulator:
            step, tenant = _step(simulator, config, "decap", "underlay", underlay, place / "tenant-out.pcap")
            demo.steps.append(step)
            step, _ = _step(simulator, config, "encap", "tenant", tenant, place / "underlay-out.pcap")
            demo.steps.append(step)
            clocks += simulator.clock
    progress(len(names), len(names), clocks)
    return demo


def _step(
    simulator: Simulator, config: Config, way: str, source: str, capture: Capture, place: Path
) -> tuple[Step, Capture]:
    """Run one capture through a core fresh out of reset; also what came out, as the capture written to ``place``."""
    sink = "tenant" if source == "underlay" else "underlay"
    simulator.reset()
    simulator.configure(config)
    captures = {port: capture if port == source else Capture(Path()) for port in PORTS}
    inputs = {port: captures[port].frames for port in PORTS}
    result: Result = simulator.run(inputs["tenant"], inputs["underlay"], inputs["host"])
    counters = simulator.counters()
    clock_mhz = simulator.clock_mhz
    report = RunReport.of(simulator.parameters, inputs, result, counters, clock_mhz=clock_mhz)
    report.differences = check_run(config, simulator.parameters, captures, result, counters)
    origins = trace_outputs(config, simulator.parameters, captures, result)
    frames: list[CapturedFrame] = captured_outputs(result.frames(sink), origins[sink], captures)
    place.write_bytes(capture_bytes(frames))
    return Step(place.parent.name, way, source, sink, report), Capture(place, frames)
