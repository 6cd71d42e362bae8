"""From captures through the core to captures: what `vtep-sim run` and the demo do.

Everything that can be refused is refused before the simulation starts and before any output file is touched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from vtep.config import Mode, VtepParameters
from vtep_host.config import Config, load
from vtep_host.tables import limits_of

from .captures import Capture, CapturedFrame, OutputFiles, capture_bytes, read_capture
from .harness import PORTS, OutputFrame, Result, SimulationError, Simulator, Training
from .origins import Origin, trace_origins
from .report import RunReport

__all__ = [
    "RunOptions",
    "UsageError",
    "captured_outputs",
    "check_run",
    "make_parameters",
    "refuse_clashes",
    "run_captures",
    "trace_outputs",
]


class UsageError(Exception):
    """Options that contradict each other or name impossible files."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What one run reads, writes and simulates; ports are keys of ``inputs`` and ``outputs``.

    ``optimize`` builds a faster model with the first frames of the inputs. ``stall`` is the share of clocks
    without tvalid or tready on every port, at random from ``seed``.
    """

    config: Path
    parameters: VtepParameters
    inputs: Mapping[str, Path] = field(default_factory=dict)
    outputs: Mapping[str, Path] = field(default_factory=dict)
    report: Path | None = None
    waves: Path | None = None
    check: bool = False
    pad_snapped: bool = False
    clock_mhz: float = 156.25
    optimize: bool = False
    stall: float = 0.0
    seed: int = 1


TRAINING_FRAMES = 2000
"""Frames of each input that an optimized model is trained with."""

_FREE_PARAMETERS = [
    name.name for name in fields(VtepParameters) if name.name not in ("data_width", "encap_mode", "decap_mode")
]

Message = Callable[[str], None]
Progress = Callable[[int, int, int], None]
"""Told the frames taken so far, the frames in all, and the clocks."""


def make_parameters(
    data_width: int, encap_mode: Mode, decap_mode: Mode, others: Mapping[str, object] | None = None
) -> VtepParameters:
    """Make the parameters of a run: what a mode needs comes with it.

    Cut-through encapsulation takes the frame length beside the first beat and leaves out the UDP checksum units,
    as it must; the runner drives the length, and the configuration is held to the missing checksums. ``others``
    are further fields of `VtepParameters`, which go before that.

    Raises
    ------
    UsageError
        A parameter is unknown or refused.
    """
    cut_through = encap_mode is Mode.CUT_THROUGH
    chosen: dict[str, Any] = {"data_width": data_width, "encap_mode": encap_mode, "decap_mode": decap_mode}
    chosen |= {"tenant_length": cut_through, "udp_checksum": not cut_through}
    for name, value in (others or {}).items():
        if name not in _FREE_PARAMETERS:
            raise UsageError(f"no parameter {name!r}; there are {', '.join(_FREE_PARAMETERS)}")
        chosen[name] = value
    try:
        return VtepParameters(**chosen)
    except ValueError as error:
        raise UsageError(str(error)) from None


def refuse_clashes(read: Mapping[str, Path], written: Mapping[str, Path]) -> None:
    """Refuse output files that would overwrite an input or one another; the files by the options that name them.

    Raises
    ------
    UsageError
    """
    taken = {path.resolve(): name for name, path in read.items()}
    for name, path in written.items():
        place = path.resolve()
        if place in taken:
            raise UsageError(f"{name} {path} is the file of {taken[place]} too")
        taken[place] = name


def _check_paths(options: RunOptions) -> None:
    read = {f"--{port}-in": path for port, path in options.inputs.items()}
    written = {f"--{port}-out": path for port, path in options.outputs.items()}
    written |= {name: path for name, path in (("--report", options.report), ("--waves", options.waves)) if path}
    refuse_clashes(read | {"--config": options.config}, written)


def run_captures(options: RunOptions, *, message: Message, progress: Progress | None = None) -> RunReport:
    """Run captures through the core and write what came out, all files or none.

    With ``options.check`` the differences from the golden model are in the report; the output files are written
    in either case, for a look at them.

    Raises
    ------
    UsageError, CaptureError, vtep_host.config.ConfigError
        An input is refused; nothing was run and no file was touched.
    BuildError, SimulationError
        The model could not be built, or the core hung or broke the rules of a port. Of the files, only the
        waveform up to there is written.
    OSError
        An output file cannot be written; those that were there are as before.
    """
    _check_paths(options)
    config = load(options.config, limits_of(options.parameters))
    captures, empty = {}, {}
    for port in PORTS:
        capture = Capture(Path())
        if port in options.inputs:
            capture = read_capture(options.inputs[port], pad_snapped=options.pad_snapped)
        kept = [frame for frame in capture.frames if frame.data]
        empty[port] = len(capture.frames) - len(kept)
        capture.frames = kept
        captures[port] = capture
    with OutputFiles() as files:
        places = {port: files.reserve(path) for port, path in options.outputs.items()}
        report_place = files.reserve(options.report) if options.report else None
        with OutputFiles() as wave_files:
            waves = wave_files.reserve(options.waves) if options.waves else None
            try:
                report, result = _simulate(options, config, captures, waves, message, progress)
            except SimulationError:
                wave_files.commit()  # the one thing that shows what happened
                raise
            wave_files.commit()
        origins = trace_outputs(config, options.parameters, captures, result)
        for port, place in places.items():
            frames = captured_outputs(result.frames(port), origins[port], captures)
            pcapng = options.outputs[port].suffix.lower() == ".pcapng"
            place.write_bytes(capture_bytes(frames, pcapng=pcapng))
        for port, capture in captures.items():
            report.ports[f"{port}_in"].snapped = capture.snapped
            report.ports[f"{port}_in"].empty = empty[port]
        if options.check:
            report.differences = check_run(config, options.parameters, captures, result, report.counters)
        if report_place:
            report_place.write_text(report.to_json(), encoding="utf-8")
        files.commit()
    return report


def _simulate(
    options: RunOptions,
    config: Config,
    captures: Mapping[str, Capture],
    waves: Path | None,
    message: Message,
    progress: Progress | None,
) -> tuple[RunReport, Result]:
    frames = {port: captures[port].frames for port in PORTS}
    training = None
    if options.optimize:
        training = Training(config, *(frames[port][:TRAINING_FRAMES] for port in PORTS))
    with Simulator(
        options.parameters, waves=waves, clock_mhz=options.clock_mhz, training=training, message=message
    ) as simulator:
        simulator.configure(config)
        if options.stall:
            for number, (port, direction) in enumerate((port, way) for port in PORTS for way in ("in", "out")):
                simulator.pace(port, direction, idle=options.stall, seed=options.seed * 8 + number)
        total = sum(map(len, frames.values()))
        step = (lambda taken, clocks: progress(taken, total, clocks)) if progress else None
        result = simulator.run(frames["tenant"], frames["underlay"], frames["host"], progress=step)
        counters = simulator.counters()
    report = RunReport.of(options.parameters, frames, result, counters, clock_mhz=options.clock_mhz)
    report.config = str(options.config)
    report.padded = options.pad_snapped
    report.seed = options.seed if options.stall else None
    for port in PORTS:
        report.ports[f"{port}_in"].file = str(options.inputs[port]) if port in options.inputs else None
        report.ports[f"{port}_out"].file = str(options.outputs[port]) if port in options.outputs else None
    if options.waves:
        report.waves = str(options.waves)
    return report, result


def trace_outputs(
    config: Config, parameters: VtepParameters, captures: Mapping[str, Capture], result: Result
) -> dict[str, list[Origin | None]]:
    """Find the input frame of every output frame of a run, per output port."""

    def delivers(indices: list[int]) -> list[int]:
        from .golden import Frame

        frames = [Frame(captures["underlay"].frames[index].data) for index in indices]
        prediction = _golden_model(config, parameters).run(underlay=frames)
        return [indices[index] for _, index in prediction.origins["tenant"]]

    inputs = {port: captures[port].frames for port in PORTS}
    return trace_origins(config, inputs, {port: result.frames(port) for port in PORTS}, delivers)


def _golden_model(config: Config, parameters: VtepParameters) -> Any:
    from .golden import GoldenModel

    return GoldenModel(
        config,
        encap_cut_through=parameters.encap_mode is Mode.CUT_THROUGH,
        decap_cut_through=parameters.decap_mode is Mode.CUT_THROUGH,
        max_frame_length=parameters.max_frame_length,
        ipv6=parameters.ipv6,
    )


def captured_outputs(
    frames: Sequence[OutputFrame], origins: Sequence[Origin | None], captures: Mapping[str, Capture]
) -> list[CapturedFrame]:
    """Frames of an output port for a capture, with the stamps of the frames they were made of.

    A frame with an error mark is left out: on a wire its FCS would be spoiled. One without a known origin
    takes the stamp of the frame in front of it.
    """
    captured = []
    stamp = 0
    for frame, origin in zip(frames, origins, strict=True):
        if origin is not None:
            stamp = captures[origin[0]].frames[origin[1]].stamp
        if not frame.error:
            captured.append(CapturedFrame(frame.data, stamp))
    return captured


def check_run(
    config: Config,
    parameters: VtepParameters,
    captures: Mapping[str, Capture],
    result: Result,
    counters: Mapping[str, int],
) -> list[str]:
    """Compare one run of a core fresh out of reset with the golden model; the differences as text, line by line."""
    from .compare import compare_counters, compare_frames
    from .golden import Frame

    inputs = {port: [Frame(frame.data) for frame in captures[port].frames] for port in PORTS}
    prediction = _golden_model(config, parameters).run(**inputs)
    outputs = {port: result.frames(port) for port in PORTS}

    def name_input(port: str, index: int) -> str:
        capture = captures[port]
        return f"{port} in, frame {capture.frames[index].number} of {capture.path}"

    lines: list[str] = []
    for difference in compare_frames(
        outputs,
        prediction,
        encap_cut_through=parameters.encap_mode is Mode.CUT_THROUGH,
        decap_cut_through=parameters.decap_mode is Mode.CUT_THROUGH,
    ):
        lines += difference.lines(config.vtep.udp_port, name_input)
    return lines + compare_counters(counters, prediction.counters, outputs)
