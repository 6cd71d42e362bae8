"""Runs frames through the Verilated core in batches."""

import ctypes
import gc
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from ctypes import POINTER, byref, c_uint8, c_uint16, c_uint32, c_uint64
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from vtep.config import VtepParameters
from vtep.control.counters import counter_map
from vtep_host.config import Config
from vtep_host.device import Device
from vtep_host.difference import contents
from vtep_host.tables import counter_names
from vtep_host.transport import AccessRefusedError, Transport

from .build import build_model, cached_verilog
from .library import DONE, FAILED, READ, WRITE, Access, Answer, Library, Record, Statistics
from .tools import BuildError

__all__ = ["PORTS", "OutputFrame", "PortStatistics", "Result", "SimulationError", "Simulator", "Span", "Training"]

PORTS = ("tenant", "underlay", "host")
MAX_CLAIMED_LENGTH = (1 << 14) - 1
"""Longest length that fits the tenant input's tuser."""

MAX_RING = 1024
"""Of a schedule; well below half a batch, so that a batch never ends with all of its frames waiting."""

BATCH_FRAMES = 4096
BATCH_BYTES = 1 << 20
SLICE_CLOCKS = 200_000
"""Clocks of one call into the library: some tenths of a second, after which Ctrl-C and the progress get their turn."""
FINISH_SLICES = 5
"""So many of them may pass until frames have left that are inside when nothing more comes."""


class SimulationError(Exception):
    """The simulated core hung or broke the rules of a port; the message says where."""


class FrameLike(Protocol):
    """What the simulator takes for a frame: its bytes without FCS, and the MAC's error mark."""

    @property
    def data(self) -> bytes: ...
    @property
    def error(self) -> bool: ...


class OutputFrame(NamedTuple):
    """A frame that left the core, with the clocks in which its first and its last beat left."""

    data: bytes
    error: bool
    first: int
    last: int


class Span(NamedTuple):
    """Clocks in which the first and the last beat of an input frame were taken."""

    first: int
    last: int


class PortStatistics(NamedTuple):
    """Beats that passed a port since the simulator began, and clocks with tvalid but without tready."""

    beats: int
    waits: int


@dataclass
class Result:
    """What one `Simulator.run` gave: frames per output port in order, and when the input frames went in.

    ``first_clock .. last_clock`` are the clocks of the run; clocks count from the start of the simulator. ``inputs``
    has the frames that went in, ``lost`` the positions, in a schedule, of those that did not: see `Simulator.schedule`.
    """

    first_clock: int
    last_clock: int = 0
    tenant: list[OutputFrame] = field(default_factory=list)
    underlay: list[OutputFrame] = field(default_factory=list)
    host: list[OutputFrame] = field(default_factory=list)
    inputs: dict[str, list[Span]] = field(default_factory=lambda: {port: [] for port in PORTS})
    lost: dict[str, list[int]] = field(default_factory=lambda: {port: [] for port in PORTS})

    @property
    def clocks(self) -> int:
        return self.last_clock - self.first_clock

    @property
    def busy_clocks(self) -> int:
        """Clocks from the first beat taken to the last beat sent, both included; 0 without any."""
        spans = [*(span for spans in self.inputs.values() for span in (spans[:1] + spans[-1:]))]
        for port in PORTS:
            frames = self.frames(port)
            spans += [Span(frame.first, frame.last) for frame in frames[:1] + frames[-1:]]
        if not spans:
            return 0
        return max(span.last for span in spans) - min(span.first for span in spans) + 1

    def told(self, port: str) -> int:
        """Frames for ``port`` of which is known what became of them."""
        return len(self.inputs[port]) + len(self.lost[port])

    def frames(self, port: str) -> list[OutputFrame]:
        """Frames that left ``port``."""
        frames: list[OutputFrame] = getattr(self, port)
        return frames


@dataclass(frozen=True)
class Training:
    """Traffic by which a model is made faster; some thousand frames of the usual kind are enough."""

    config: Config
    tenant: Sequence[FrameLike] = ()
    underlay: Sequence[FrameLike] = ()
    host: Sequence[FrameLike] = ()


def _train(parameters: VtepParameters, training: Training, model: Path, record: Path | None) -> None:
    """Run the traffic in a process of its own, at whose end the counts are written; ``record``: for what changes."""
    order = pickle.dumps((parameters, training, model, record))
    done = subprocess.run([sys.executable, "-m", f"{__package__}.train"], input=order, capture_output=True, check=False)
    if done.returncode:
        raise BuildError(f"training: {done.stderr.decode(errors='replace')}")


class Simulator:
    """A Verilated core, out of reset, its state kept from call to call.

    The model of a parameter set is built on first use, which takes from half a minute to a few minutes, and then
    taken from a cache. Use it as a context manager, or `close` it, so that a waveform is complete.

    Parameters
    ----------
    parameters : VtepParameters
        What to build.
    waves : Path or None
        FST file to write, with the clock at ``clock_mhz``. Needs a model of its own, a slower one.
    traceable : bool
        Take that model in any case, for waveforms of parts of the simulation: see `trace`.
    clock_mhz : float
        The core's clock: scale of the waveform's time axis.
    watchdog : int
        Clocks without a beat on any port, work left, after which the core counts as hung.
    message : callable or None
        Told about a build; by default nobody is.
    verilog : str or None
        Verilog text of a module ``vtep`` with the ports of the core, instead of what ``parameters`` give.
    training : Training or None
        Build a faster model by what this traffic does in it, which takes three times as long. The first training of a
        parameter set is kept.
    model : Path or None
        A model that is built already.

    Raises
    ------
    BuildError
        The model cannot be built.
    OSError
        The waveform cannot be written.
    """

    def __init__(
        self,
        parameters: VtepParameters,
        *,
        waves: Path | None = None,
        traceable: bool = False,
        clock_mhz: float = 156.25,
        watchdog: int = 100_000,
        message: Callable[[str], None] | None = None,
        verilog: str | None = None,
        training: Training | None = None,
        model: Path | None = None,
    ) -> None:
        self._handle: int | None = None
        self.parameters = parameters
        self.clock_mhz = clock_mhz
        self.watchdog = watchdog
        self.config: Config | None = None
        if model is None:
            if verilog is None:
                verilog = cached_verilog(parameters, lambda: _write_verilog(parameters))
            train = None if training is None else partial(_train, parameters, training)
            message = message or (lambda _: None)
            traced = traceable or waves is not None
            model = build_model(verilog, parameters.data_width, waves=traced, train=train, message=message)
        if waves:
            _check_writable(waves)
        self._library = Library(model)
        self._device: Device | None = None
        self._queued = [0, 0, 0]
        self._handle = self._library.open(bytes(waves) if waves else None, round(1_000_000 / clock_mhz))
        if not self._handle:
            raise SimulationError(self._library.last_error().decode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """End the simulation and complete the waveform; the simulator is of no use afterwards."""
        if self._handle:
            self._library.close(self._handle)
        self._handle = None

    @property
    def clock(self) -> int:
        """Clocks since the simulator began, resets included."""
        return self._library.clock(self._handle)

    def trace(self, waves: Path | None) -> None:
        """Complete the waveform that is being written, if any, and write ``waves`` from here on; None: no other one.

        Raises
        ------
        OSError
            The file cannot be written. What was being written goes on.
        SimulationError
            The model cannot write waveforms: see ``traceable``.
        """
        if not self._library.traces():
            raise SimulationError("this model writes no waveforms")
        if waves:
            _check_writable(waves)
        self._check(self._library.trace(self._handle, bytes(waves) if waves else None))

    def census(self, record: Path | None) -> None:
        """Write which registers change in each clock behind what ``record`` has from here on; None: no longer.

        Raises
        ------
        SimulationError
            The model was not built for it, or the file cannot be written.
        """
        if not self._library.census(self._handle, bytes(record) if record else None):
            raise SimulationError("this model writes no census, or not there")

    def reset(self) -> None:
        """Reset the core for 4 clocks: tables, settings and counters are empty, frames under way are lost."""
        self._check(self._library.reset(self._handle))
        self.config = None
        self._device = None
        self._queued = [0, 0, 0]

    def configure(self, config: Config) -> None:
        """Write a whole configuration into the registers of a core out of reset and wait until it is in effect.

        Raises
        ------
        vtep_host.config.ConfigError
            The configuration asks for more than the build has.
        """
        self.device.write_contents(contents(config, self.parameters))
        self._finish()
        self.config = config

    @property
    def device(self) -> Device:
        """The driver of the core's registers; its accesses take clocks, in which queued frames go on."""
        if self._device is None:
            self._device = Device(self.transport, expected=self.parameters)
        return self._device

    @property
    def transport(self) -> Transport:
        """The way to the core's registers, for a driver of one's own."""
        return _Transport(self)

    def access(self, accesses: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
        """Access registers, one after the other, over AXI4-Lite.

        Parameters
        ----------
        accesses : sequence of tuple
            ``READ``, ``WRITE`` or ``WAIT_CLEAR`` of `library`, byte address, and the value to write or the bits to
            wait for.

        Returns
        -------
        list of tuple
            Value and response of each.
        """
        self.queue_accesses(accesses)
        while True:
            status = self._library.run(self._handle, SLICE_CLOCKS, 0, self.watchdog, True)
            self._check(status)
            if status == DONE:
                break
        answers = self.take_answers()
        if len(answers) != len(accesses):
            raise SimulationError(f"{len(accesses)} accesses made, {len(answers)} answers came")
        return answers

    def queue_accesses(self, accesses: Sequence[tuple[int, int, int]]) -> None:
        """Have registers accessed from the next clock on, also while `run` moves frames; see `access`."""
        self._library.access(
            self._handle, (Access * len(accesses))(*(Access(*access) for access in accesses)), len(accesses)
        )

    def take_answers(self) -> list[tuple[int, int]]:
        """Value and response of each access that was done since the last call."""
        values = POINTER(Answer)()
        count = self._library.answers(self._handle, byref(values))
        answers = [(answer.value, answer.response) for answer in values[:count]]
        self._library.forget_answers(self._handle)
        return answers

    def counters(self) -> dict[str, int]:
        """Every counter by its name in SPEC.md; before `configure`, by the names of `counter_map`."""
        every = counter_map(self.parameters)
        addresses = counter_names(self.config, self.parameters) if self.config else every
        name_at = {address: name for name, address in every.items()}
        values = self.device.read_counters(name_at[address] for address in addresses.values())
        return {name: values[name_at[address]] for name, address in addresses.items()}

    def pace(
        self,
        port: str,
        direction: str,
        *,
        idle: float = 0.0,
        gap: int = 0,
        hold: int = 0,
        overhead: int = 0,
        shortest: int = 0,
        seed: int = 0,
    ) -> None:
        """Slow a port down, for benches; without a call every port goes as fast as it can.

        Parameters
        ----------
        port : str
            "tenant", "underlay" or "host".
        direction : str
            "in": gaps in the input; "out": back-pressure on the output.
        idle : float
            Share of clocks, 0 .. 1 exclusive, without tvalid or tready, at random.
        gap : int
            Clocks without tvalid behind each input frame.
        hold : int
            No tvalid or tready at all before this clock.
        overhead : int
            Take the frames of an output as a wire does that carries a full beat in a clock: behind each frame it is
            busy for so many bytes more. Rates are exact, not rounded to clocks: a buffer in front of the wire takes
            two beats of the next frame before. 0: no wire.
        shortest : int
            Bytes to which such a wire's end fills up a shorter frame.
        seed : int
            Of the random clocks.
        """
        if direction not in ("in", "out"):
            raise ValueError(f"direction must be 'in' or 'out', not {direction!r}")
        if not 0.0 <= idle < 1.0:
            raise ValueError(f"idle must be within 0 .. 1 exclusive, not {idle!r}")
        if gap and direction == "out":
            raise ValueError("gap is for inputs; an output has idle and hold")
        if (overhead or shortest) and direction == "in":
            raise ValueError("overhead and shortest are for outputs; an input has a schedule")
        number = PORTS.index(port)
        self._library.pace(
            self._handle, direction == "out", number, int(idle * 65536), gap, hold, overhead, shortest, seed
        )

    def schedule(self, port: str, arrivals: Sequence[int], *, ring: int) -> None:
        """Have the next frames for an input arrive at given clocks, as from a wire, in front of a ring of frames.

        A frame is offered to the core from its arrival on, behind those before it. One that finds the ring full is
        lost in front of the core and not seen by it, as in the buffer of a MAC; `Result.lost` has its position in
        ``arrivals``. Frames behind the end of the schedule go in as usual; `reset` ends it.

        Parameters
        ----------
        port : str
            "tenant", "underlay" or "host".
        arrivals : sequence of int
            Clocks, each above the one before.
        ring : int
            Frames that may wait, the one that is going in included.
        """
        if any(after <= before for before, after in pairwise(arrivals)):
            raise ValueError("a frame arrives in a clock of its own, behind the one before it")
        if not 1 <= ring <= MAX_RING:
            raise ValueError(f"ring must be within 1 .. {MAX_RING}, not {ring!r}")
        count = len(arrivals)
        self._library.schedule(self._handle, PORTS.index(port), (c_uint64 * count)(*arrivals), count, ring)

    def statistics(self, port: str, direction: str) -> PortStatistics:
        """Beats and waiting clocks of a port, direction "in" or "out"."""
        statistics = Statistics()
        self._library.statistics(self._handle, direction == "out", PORTS.index(port), byref(statistics))
        return PortStatistics(statistics.beats, statistics.waits)

    def queue(
        self, tenant: Iterable[FrameLike] = (), underlay: Iterable[FrameLike] = (), host: Iterable[FrameLike] = ()
    ) -> None:
        """Have frames go in from the next clock on, also while `device` is used; the next `run` tells of them."""
        for number, frames in enumerate((tenant, underlay, host)):
            feed = iter(frames)
            while count := self._push(number, feed):
                self._queued[number] += count

    def waiting(self, port: str) -> int:
        """Frames that were queued for ``port`` and that no `step` or `run` has told to be taken or lost."""
        return self._queued[PORTS.index(port)]

    def step(self, clocks: int) -> tuple[Result, bool]:
        """Go on for at most ``clocks`` clocks with what was queued.

        Returns
        -------
        tuple of Result and bool
            What passed the ports since the last call, and whether the core is idle and nothing waits.

        Raises
        ------
        SimulationError
            As `run` does.
        """
        result = Result(self.clock)
        status = self._library.run(self._handle, clocks, 0, self.watchdog, False)
        for number in range(3):
            self._collect(number, result)
            self._queued[number] -= result.told(PORTS[number])
        result.last_clock = self.clock
        self._check(status)
        return result, status == DONE

    def run(
        self,
        tenant: Iterable[FrameLike] = (),
        underlay: Iterable[FrameLike] = (),
        host: Iterable[FrameLike] = (),
        *,
        progress: Callable[[int, int], None] | None = None,
        max_clocks: int | None = None,
    ) -> Result:
        """Run frames through the core until it is idle again; all three inputs start at once.

        Parameters
        ----------
        tenant, underlay, host : iterable of frames
            Frames for each input port; anything with ``data`` (at least a byte) and ``error``.
        progress : callable or None
            Called now and then with the frames taken so far and the clocks of this run.
        max_clocks : int or None
            Give up with a SimulationError after so many clocks.

        Raises
        ------
        SimulationError
            The core hung, or broke the rules of AXI4-Stream. The simulator is then of no further use until `reset`.
        """
        # A frame makes some objects, none of them in cycles, and looking for those costs more than the frames do.
        collecting = gc.isenabled()
        gc.disable()
        try:
            return self._run((tenant, underlay, host), progress, max_clocks)
        finally:
            if collecting:
                gc.enable()

    def _run(
        self,
        inputs: tuple[Iterable[FrameLike], Iterable[FrameLike], Iterable[FrameLike]],
        progress: Callable[[int, int], None] | None,
        max_clocks: int | None,
    ) -> Result:
        result = Result(self.clock)
        feeds = [iter(frames) for frames in inputs]
        sent, self._queued = self._queued, [0, 0, 0]
        more = 0b111
        while True:
            for number in range(3):
                if more >> number & 1 and sent[number] - result.told(PORTS[number]) < BATCH_FRAMES // 2:
                    count = self._push(number, feeds[number])
                    sent[number] += count
                    if count == 0:
                        more &= ~(1 << number)
            status = self._library.run(self._handle, SLICE_CLOCKS, more, self.watchdog, False)
            for number in range(3):
                self._collect(number, result)
            result.last_clock = self.clock
            if progress:
                progress(sum(map(result.told, PORTS)), result.clocks)
            if status in (FAILED, -1):
                self._check(status, result, sent)
            if status == DONE:
                return result
            self._check_limits(result, sent, max_clocks)

    def _check_limits(self, result: Result, sent: list[int], max_clocks: int | None) -> None:
        most = (sum(sent) + 1) * (self.parameters.flood_entries + 1)
        left = sum(len(result.frames(port)) for port in PORTS)
        if left > most:
            raise SimulationError(f"{left} frames left the core for {sum(sent)} that went in")
        if max_clocks is not None and result.clocks >= max_clocks:
            raise SimulationError(f"not done after {result.clocks} clocks{_progress(result, sent)}")

    def _push(self, number: int, feed: Iterator[FrameLike]) -> int:
        """Queue the next frames of a feed in the library; 0 where there are none."""
        frames: list[FrameLike] = []
        size = 0
        while len(frames) < BATCH_FRAMES and size < BATCH_BYTES:
            chunk = list(islice(feed, 64))
            if not chunk:
                break
            frames += chunk
            size += sum(len(frame.data) for frame in chunk)
        if not frames:
            return 0
        lengths = [len(frame.data) for frame in frames]
        if 0 in lengths:
            raise ValueError(f"{PORTS[number]}: a frame without bytes cannot go through a stream port")
        users = [
            min(length, MAX_CLAIMED_LENGTH) << 1 | bool(f.error) for length, f in zip(lengths, frames, strict=True)
        ]
        count = len(frames)
        blob = b"".join(frame.data for frame in frames)
        self._library.push(self._handle, number, blob, (c_uint32 * count)(*lengths), (c_uint16 * count)(*users), count)
        return count

    def _collect(self, number: int, result: Result) -> None:
        """Move what passed a port from the library into ``result``."""
        records = POINTER(Record)()
        data = POINTER(c_uint8)()
        size = c_uint64()
        count = self._library.inputs(self._handle, number, byref(records))
        result.inputs[PORTS[number]] += [Span(first, last) for first, last, _, _ in _unpack(records, count)]
        positions = POINTER(c_uint64)()
        count = self._library.lost(self._handle, number, byref(positions))
        result.lost[PORTS[number]] += positions[:count]
        count = self._library.outputs(self._handle, number, byref(records), byref(data), byref(size))
        content = ctypes.string_at(data, size.value) if size.value else b""
        offset = 0
        frames = result.frames(PORTS[number])
        for first, last, length, error in _unpack(records, count):
            frames.append(OutputFrame(content[offset : offset + length], bool(error), first, last))
            offset += length
        self._library.forget(self._handle, number)

    def _finish(self) -> None:
        """Run until the core is idle, for calls that move no frames; those that are inside may leave at any pace."""
        for _ in range(FINISH_SLICES):
            status = self._library.run(self._handle, SLICE_CLOCKS, 0, self.watchdog, False)
            self._check(status)
            if status == DONE:
                return
        clocks = FINISH_SLICES * SLICE_CLOCKS
        raise SimulationError(f"the core is not idle after {clocks} clocks without a frame for it")

    def _check(self, status: int, result: Result | None = None, sent: list[int] | None = None) -> None:
        if status == -1:
            raise SimulationError(self._library.last_error().decode())
        if status == FAILED:
            raise SimulationError(self._library.error(self._handle).decode() + _progress(result, sent))


def _check_writable(waves: Path) -> None:
    waves.open("wb").close()  # Verilator does not tell when it cannot


class _Transport:
    """The way of a driver to the simulated core."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def read(self, address: int) -> int:
        """Read a word, as `vtep_host.transport.Transport` has it."""
        return self._access(READ, address, 0)

    def write(self, address: int, value: int) -> None:
        """Write a word."""
        self._access(WRITE, address, value)

    def _access(self, kind: int, address: int, value: int) -> int:
        ((answer, response),) = self._simulator.access([(kind, address, value)])
        if response:
            name = {2: "SLVERR", 3: "DECERR"}.get(response, f"response {response}")
            raise AccessRefusedError(f"{'write to' if kind == WRITE else 'read of'} {address:#x}: {name}")
        return answer


def _progress(result: Result | None, sent: list[int] | None) -> str:
    if result is None or sent is None:
        return ""
    parts = [f"{port}: {len(result.inputs[port])} of {count}" for port, count in zip(PORTS, sent, strict=True) if count]
    return f" (frames taken: {', '.join(parts) or 'none'})"


def _unpack(records: "ctypes._Pointer[Record]", count: int) -> Iterator[tuple[int, int, int, int]]:
    if not count:
        return iter(())
    return struct.iter_unpack("=QQII", ctypes.string_at(records, count * ctypes.sizeof(Record)))


def _write_verilog(parameters: VtepParameters) -> str:
    """Write the core's Verilog; the gateware is imported only when it is wanted."""
    from vtep.verilog import VerilogError, to_verilog
    from vtep.vxlan.axi import VtepAxi

    try:
        return to_verilog(VtepAxi(parameters), "vtep")
    except VerilogError as error:
        raise BuildError(str(error)) from None
