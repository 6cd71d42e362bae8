"""A live session: from its options over the loop to its report."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from types import FrameType

from vtep.config import VtepParameters
from vtep.control.counters import counter_map
from vtep.headers import ETHERNET
from vtep_host.config import Config, load
from vtep_host.device import DeviceError
from vtep_host.interfaces.interface import InterfaceError, Setup, open_interface
from vtep_host.interrupt import Interrupt, until_interrupted
from vtep_host.tables import limits_of
from vtep_host.transport import TransportError

from ..captures import OutputFiles
from ..console import console, message
from ..harness import PORTS, SimulationError, Simulator, Training
from ..register_socket import RegisterSocket, SocketError
from ..runner import UsageError, refuse_clashes
from .display import Display, Refresher, losses, showing, shown
from .engine import Engine, Pace
from .ports import LivePort
from .recording import Recording
from .report import LiveReport
from .window import WaveWindow, part_before

__all__ = ["SessionOptions", "run_session"]

START, SIGNAL = "start", "signal"
CORE_ERRORS = (SimulationError, DeviceError, TransportError)
"""What a core that is broken ends an access or a step with."""
DRAIN_SECONDS = 5.0
OUTER_BYTES = {4: 20 + 8 + 8, 6: 40 + 8 + 8}
"""IP, UDP and VXLAN header by the IP version (RFC 7348, section 5)."""
LEAST_MTU = 68


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """What a session joins, reads and writes; ports are keys of ``interfaces`` and ``captures``.

    ``waves_at``: "start", "signal" or the name of a drop or punt counter. ``seconds``: how long; None: until Ctrl-C.
    """

    config: Path
    parameters: VtepParameters
    interfaces: Mapping[str, str | None]
    captures: Mapping[str, Path] = field(default_factory=dict)
    ring: int = 256
    socket: Path | None = None
    waves: Path | None = None
    waves_at: str = START
    waves_clocks: int = 20_000
    report: Path | None = None
    seconds: float | None = None
    optimize: bool = False


def run_session(options: SessionOptions) -> None:
    """Run until an interrupt (SIGINT, SIGTERM), or as long as the options say; print what happened.

    Raises
    ------
    UsageError, vtep_host.config.ConfigError
        Something is refused; no file was touched.
    BuildError, SimulationError, OSError
        As `vtep_sim.runner.run_captures` has it; the report of what passed until then is there, if the core is.
    """
    written = {f"--{port}-capture": path for port, path in options.captures.items()}
    written |= {name: path for name, path in (("--report", options.report), ("--waves", options.waves)) if path}
    if options.waves and options.waves_at != START:
        written["--waves, the part before,"] = part_before(options.waves)
    refuse_clashes({"--config": options.config}, written)
    for name, path in written.items():
        if not path.parent.is_dir():
            raise UsageError(f"{name} {path}: there is no folder {path.parent}")
    config = load(options.config, limits_of(options.parameters))
    reasons = [name for name in counter_map(options.parameters) if not name.endswith(("_frames", "_bytes"))]
    if options.waves_at not in (START, SIGNAL, *reasons):
        raise UsageError(f"--waves-at {options.waves_at}: must be {START}, {SIGNAL} or one of {', '.join(reasons)}")
    with ExitStack() as stack:
        ports = _join(options, config, stack)
        files = stack.enter_context(OutputFiles())
        report_place = files.reserve(options.report) if options.report else None
        simulator = stack.enter_context(
            Simulator(
                options.parameters,
                traceable=options.waves is not None,
                training=_training(options),
                message=message,
            )
        )
        simulator.configure(config)
        with until_interrupted() as ended:
            report, failure = _Session(options, simulator, ports, reasons, ended).run()
            if report_place:
                report_place.write_text(report.to_json(), encoding="utf-8")
                files.commit()
            _print(report, ports)
    if isinstance(failure, CORE_ERRORS):
        raise SimulationError(str(failure)) from failure
    if failure:
        raise failure


def _training(options: SessionOptions) -> Training | None:
    if not options.optimize:
        return None
    from ..bench.speed import training_for  # Scapy takes a second to load

    return training_for(options.parameters)


def _join(options: SessionOptions, config: Config, stack: ExitStack) -> dict[str, LivePort]:
    """Open the interfaces."""
    version = max((tunnel.remote.version for tunnel in config.tunnels), default=4)
    outer = config.vtep.underlay_mtu
    inner = max(outer - OUTER_BYTES[version] - ETHERNET.length, LEAST_MTU)
    setups = {"tenant": Setup(inner), "underlay": Setup(outer), "host": Setup(outer, config.vtep.mac)}
    ports = {}
    for port in PORTS:
        ports[port] = LivePort()
        text = options.interfaces.get(port)
        if text:
            try:
                interface = open_interface(text, setups[port])
            except InterfaceError as error:
                raise UsageError(f"--{port} {error}") from None
            stack.callback(interface.close)
            ports[port].interface = interface
    return ports


@dataclass
class _Session:
    """A session whose interfaces and core are there, and how it goes.

    ``drained``: whether the core got empty in the end; ``registers``: what others drive it through.
    """

    options: SessionOptions
    simulator: Simulator
    ports: Mapping[str, LivePort]
    reasons: list[str]
    ended: Interrupt
    pace: Pace = field(default_factory=Pace)
    drained: bool = False
    registers: RegisterSocket | None = None

    def run(self) -> tuple[LiveReport, Exception | None]:
        """Run to the end, or until something fails: what happened, and what failed."""
        options, started, failure = self.options, time.monotonic(), None
        try:
            self._loop()
        except (*CORE_ERRORS, OSError) as error:
            failure = error
        report = LiveReport.of(
            options.parameters,
            self.ports,
            self.pace,
            self._counters(),
            config=str(options.config),
            interfaces={port: options.interfaces.get(port) for port in PORTS},
            seconds=time.monotonic() - started,
            left_inside=not self.drained,
            failure=str(failure) if failure else None,
        )
        return report, failure

    def _counters(self) -> dict[str, int] | None:
        """Read the counters; None where the core does not answer any more."""
        driven = self.registers is not None and self.registers.used
        try:
            # What was applied meanwhile may have other names: then counters of VNIs and tunnels go by their index.
            return self.simulator.device.read_counters() if driven else self.simulator.counters()
        except CORE_ERRORS:
            return None

    def _loop(self) -> None:
        options, simulator, ports, ended = self.options, self.simulator, self.ports, self.ended
        with ExitStack() as stack:
            selector = stack.enter_context(DefaultSelector())
            if options.socket:
                try:
                    self.registers = stack.enter_context(RegisterSocket(options.socket, simulator.transport, selector))
                except SocketError as error:
                    raise UsageError(str(error)) from None
            registers = self.registers
            engine = Engine(simulator, ports, selector, pace=self.pace, ring=options.ring, message=message)
            window = _window(options, simulator, registers)
            if window:
                stack.push(window)
                stack.enter_context(_triggers(window))
            # What is there is overwritten: not before nothing can be refused any more.
            for name, path in options.captures.items():
                ports[name].recording = stack.enter_context(Recording(path))
            stack.callback(_update, ports)  # in the end, whatever it is
            refresher = Refresher(Display(ports, self.pace), stack.enter_context(showing()))
            selector.register(ended, EVENT_READ, ended)
            message(_told(options))
            end = None if options.seconds is None else time.monotonic() + options.seconds
            while not ended() and (end is None or time.monotonic() < end):
                patience = refresher.patience if end is None else min(refresher.patience, end - time.monotonic())
                if engine.turn(max(patience, 0.0)) and window:
                    window.update()
                if not refresher.patience:
                    taken = registers is not None and registers.connected
                    _update(ports)
                    refresher.show(None if taken else simulator.device.read_counters(self.reasons))
            engine.stop()
            self.drained = engine.drain(DRAIN_SECONDS, window.update if window else None)
            engine.count_waiting()


def _update(ports: Mapping[str, LivePort]) -> None:
    for port in ports.values():
        port.update()


def _window(options: SessionOptions, simulator: Simulator, registers: RegisterSocket | None) -> WaveWindow | None:
    if options.waves is None:
        return None
    event: Callable[[], bool] | None = None
    if options.waves_at == SIGNAL:
        event = _never
    elif options.waves_at != START:
        device, name = simulator.device, options.waves_at
        before = device.read_counter(name)

        def event() -> bool:
            return not (registers and registers.connected) and device.read_counter(name) > before

    return WaveWindow(simulator, options.waves, options.waves_clocks, event=event, message=message)


def _never() -> bool:
    return False


@contextmanager
def _triggers(window: WaveWindow) -> Iterator[None]:
    """Meanwhile SIGUSR1 is the window's event."""

    def trigger(_number: int, _frame: FrameType | None) -> None:
        window.trigger()

    before = signal.signal(signal.SIGUSR1, trigger)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def _told(options: SessionOptions) -> str:
    joined = ", ".join(f"{port} {options.interfaces.get(port) or 'none'}" for port in PORTS)
    registers = f"; registers at unix:{options.socket}" if options.socket else ""
    return f"live: {joined}{registers}; Ctrl-C ends it"


def _print(report: LiveReport, ports: Mapping[str, LivePort]) -> None:
    out = console()
    for name, counts in report.ports.items():
        out.print(
            f"{name}: {counts['frames_in']} frames, {counts['bytes_in']} bytes in; "
            f"{counts['frames_out']} frames, {counts['bytes_out']} bytes out",
            markup=False,
        )
    for line in losses(ports):
        out.print(line, markup=False)
    if report.counters is None:
        out.print("the core does not answer: its counters are not known", markup=False)
    else:
        drops = {name: count for name, count in report.counters.items() if not name.endswith(("_frames", "_bytes"))}
        out.print(f"dropped or punted by the core: {shown(drops)}", markup=False)
    if report.left_inside and not report.failure:
        out.print("frames were left inside the core when time was up", markup=False)
    speed = report.clocks / report.simulated_seconds if report.simulated_seconds else 0
    out.print(f"{report.clocks} clocks in {report.seconds:.1f} s, {speed:.0f} a second while busy", markup=False)
