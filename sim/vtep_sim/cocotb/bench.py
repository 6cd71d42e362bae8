"""The bench around the Verilog core: drives all ports, compares with the golden model, holds the protocol.

A test configures, sends, and lets `Bench.exchange` judge::

    bench = Bench(dut, parameters, seed)
    await bench.start(config)
    await bench.exchange(tenant=[...], underlay=[...])
    await bench.finish()
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from random import Random
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from vtep.config import LENGTH_BITS, Mode, VtepParameters
from vtep.control.counters import counter_map
from vtep_host.config import Config
from vtep_host.device import Device
from vtep_host.difference import contents
from vtep_host.tables import counter_names

from ..coverage.observer import observer_of
from ..coverage.sampler import pace_of
from ..golden import Frame, GoldenModel, Prediction
from .registers import RegisterPort
from .scoreboard import Outputs, compare_counters, compare_frames, unpredicted_marked
from .streams import PacketSink, PacketSource, Pauses, axi_frame, packet

__all__ = ["PORTS", "STREAMS", "Bench", "Mismatch", "as_frames", "to_toml"]

PORTS = ("tenant", "underlay", "host")
STREAMS = tuple(f"{side}_axis_{port}" for side in "sm" for port in PORTS)
"""The packet streams in the order of the bench's monitor bits."""

QUIET = 48
"""Clocks with `idle` high and no stream valid after which a run is over."""

HANG = 20_000
"""Clocks without a beat on any stream after which the core counts as hung."""

POLL = 32


def to_toml(config: Config) -> str:
    """The configuration as the TOML document that gives it."""
    lines = []
    entries: list[tuple[str, Any]] = [("[vtep]", config.vtep), *(("[[vni]]", v) for v in config.vnis)]
    entries += [*(("[[tunnel]]", t) for t in config.tunnels), *(("[[fdb]]", f) for f in config.fdb)]
    for head, entry in entries:
        lines.append(head)
        for name, value in asdict(entry).items():
            if isinstance(value, bytes):
                value = value.hex(":")
            elif isinstance(value, IPv4Address | IPv6Address):
                value = str(value)
            if value is not None:
                lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


class Mismatch(AssertionError):  # noqa: N818 - it is an assertion, and reads like one
    """The core did something else than SPEC.md says."""


def as_frames(items: Iterable[Any]) -> list[Frame]:
    """Frames from bytes, things with ``__bytes__``, (bytes, marked) pairs and Frames."""
    frames = []
    for item in items:
        if isinstance(item, Frame):
            frames.append(item)
        elif isinstance(item, tuple):
            frames.append(Frame(bytes(item[0]), bool(item[1])))
        else:
            frames.append(Frame(bytes(item)))
    return frames


class Bench:
    """Drivers, monitors and scoreboard of one test.

    Parameters
    ----------
    dut : cocotb handle
        The module ``vtep_bench``.
    parameters : VtepParameters
        What the core was built with.
    seed : int
        Seed of pauses and noise.
    idle, stall : float
        Chance of a pause before each beat of the inputs, and of the outputs; 0 .. 1.
    burst : int
        Longest pause, in clocks.
    plain : bool
        Use cocotbext-axi's own sources and sinks, unaltered: slower, no noise, pauses of one clock.
    """

    def __init__(
        self,
        dut,
        parameters: VtepParameters,
        seed: int,
        *,
        idle: float = 0.0,
        stall: float = 0.0,
        burst: int = 1,
        plain: bool = False,
    ):
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        self.dut = dut
        self.clk = dut.clk
        self.parameters = parameters
        self.rng = Random(seed)
        self.pauses = [idle, stall, burst]
        self.observer = observer_of(parameters, pace_of(idle, stall))
        self.keep_mismatch = True
        self.encap_cut_through = parameters.encap_mode is Mode.CUT_THROUGH
        self.decap_cut_through = parameters.decap_mode is Mode.CUT_THROUGH
        dut.rst.value = 1
        for name in STREAMS[:3]:
            getattr(dut, f"{name}_tuser").value = 0
        self.sources: dict[str, AxiStreamSource] = {}
        self.sinks: dict[str, AxiStreamSink] = {}
        for port in PORTS:
            source = (AxiStreamSource if plain else PacketSource)(
                AxiStreamBus.from_prefix(dut, f"s_axis_{port}"), self.clk
            )
            sink = (AxiStreamSink if plain else PacketSink)(AxiStreamBus.from_prefix(dut, f"m_axis_{port}"), self.clk)
            if plain:
                source.set_pause_generator(self._plain_pauses(idle))
                sink.set_pause_generator(self._plain_pauses(stall))
            else:
                source.pauses = Pauses(self.rng, idle, burst)
                source.noise = self.rng
                sink.pauses = Pauses(self.rng, stall, burst)
            self.sources[port] = source
            self.sinks[port] = sink
        self.registers = RegisterPort(dut, parameters)
        self.config: Config | None = None
        self.model: GoldenModel | None = None
        self.marked: dict[str, list[Frame]] = {port: [] for port in PORTS}
        self.allowed_ragged: set[str] = set()

    def _plain_pauses(self, probability: float):
        if not probability:
            return None
        rng = Random(self.rng.getrandbits(32))
        return iter(lambda: rng.random() < probability, None)

    async def start(self, config: Config | None = None) -> None:
        """Start the clock, reset, and configure."""
        self._clear_monitors()
        self.clock = Clock(self.clk, 10, unit="ns")
        self.clock.start()
        await self.reset()
        if config is not None:
            await self.configure(config)

    def _clear_monitors(self) -> None:
        """Remember the monitors' counts from tests before: the simulation goes on from test to test."""
        self.base = {
            kind: [self._monitor(kind, i) for i in range(len(STREAMS))] for kind in ("unstable", "ragged", "unknown")
        }
        self.idle_base = int(self.dut.idle_in.value), int(self.dut.idle_out.value)

    def _monitor(self, kind: str, index: int) -> int:
        return int(getattr(self.dut, kind).value) >> 32 * index & 0xFFFFFFFF

    async def reset(self, clocks: int = 4) -> None:
        """Reset core and drivers for ``clocks`` clocks, wherever they stand; all queued frames are gone."""
        self.dut.rst.value = 1
        for stream in (*self.sources.values(), *self.sinks.values()):
            stream.assert_reset(True)
            stream.clear()
        await ClockCycles(self.clk, clocks)
        self.dut.rst.value = 0
        for stream in (*self.sources.values(), *self.sinks.values()):
            stream.assert_reset(False)
        self.config = None
        self.model = None
        self.marked = {port: [] for port in PORTS}
        if self.observer:
            self.observer.discard()

    async def configure(self, config: Config) -> None:
        """Write ``config`` and start a golden model with it."""
        wanted = contents(config, self.parameters)
        await self.registers.run(lambda device: device.write_contents(wanted))
        self.config = config
        self.model = GoldenModel(
            config,
            encap_cut_through=self.encap_cut_through,
            decap_cut_through=self.decap_cut_through,
            max_frame_length=self.parameters.max_frame_length,
            ipv6=self.parameters.ipv6,
        )
        if self.observer:
            self.observer.watch(self.model, config)

    def axi(self, port: str, frame: Frame, **rules) -> AxiStreamFrame:
        """``frame`` as it is sent to ``port``; keywords go to `axi_frame`."""
        # A frame longer than the field can say announces the most that it can.
        announced = min(len(frame.data), (1 << LENGTH_BITS) - 1)
        with_length = port == "tenant" and self.parameters.tenant_length
        return axi_frame(frame, **{"with_length": with_length, "announced": announced} | rules)

    def send(self, port: str, items: Iterable[Any]) -> None:
        """Queue frames (see `as_frames`, or AxiStreamFrames as they are) at an input port."""
        for item in items:
            if isinstance(item, AxiStreamFrame):
                self.sources[port].send_nowait(item)
            else:
                (frame,) = as_frames([item])
                self.sources[port].send_nowait(self.axi(port, frame))

    async def drain(self, hang: int = HANG) -> Outputs:
        """Wait until everything sent has left or been dropped; return what came out.

        Raises
        ------
        Mismatch
            No beat moves for ``hang`` clocks while the core is not done, or a frame ends half way.
        """
        activity, since = -1, 0
        while True:
            await ClockCycles(self.clk, POLL)
            if all(source.idle() for source in self.sources.values()) and int(self.dut.quiet.value) >= QUIET:
                break
            now = int(self.dut.activity.value)
            since = 0 if now != activity else since + POLL
            activity = now
            if since >= hang:
                raise Mismatch(f"the core hangs: no beat for {since} clocks; {self._state()}")
        outputs = self.collect()
        inside = int(self.dut.midframe.value)
        if inside:
            names = [name for i, name in enumerate(STREAMS) if inside >> i & 1]
            raise Mismatch(f"idle is high and frames are half way through {', '.join(names)}")
        return outputs

    def _state(self) -> str:
        dut = self.dut
        parts = [f"idle={int(dut.idle.value)}"]
        for name in STREAMS:
            valid, ready = (int(getattr(dut, f"{name}_t{signal}").value) for signal in ("valid", "ready"))
            parts.append(f"{name} valid={valid} ready={ready}")
        return ", ".join(parts)

    def collect(self) -> Outputs:
        """Take the frames that the sinks hold."""
        outputs = Outputs()
        for port, sink in self.sinks.items():
            frames = getattr(outputs, port)
            while not sink.empty():
                frames.append(packet(sink.recv_nowait(compact=False)))
        return outputs

    async def counters(self) -> dict[str, int]:
        """All counters: by their SPEC.md names, and those of unused table entries by `counter_map`'s."""
        addresses = counter_map(self.parameters)
        names = counter_names(self.config, self.parameters) if self.config is not None else {}
        meaning = {address: name for name, address in names.items()}
        values = await self.registers.run(Device.read_counters)
        return {meaning.get(address, name): values[name] for name, address in addresses.items()}

    async def exchange(
        self,
        tenant: Sequence[Any] = (),
        underlay: Sequence[Any] = (),
        host: Sequence[Any] = (),
        *,
        count: bool = True,
    ) -> tuple[Outputs, Prediction]:
        """Send frames to all ports at once, wait for the end, and compare with the golden model.

        Raises
        ------
        Mismatch
            A frame, a counter (unless ``count`` is false) or the protocol is not as it should be.
        """
        if self.model is None:
            raise RuntimeError("the core is not configured")
        inputs = {"tenant": as_frames(tenant), "underlay": as_frames(underlay), "host": as_frames(host)}
        for port, frames in inputs.items():
            self.send(port, frames)
        try:
            outputs = await self.drain()
        except Mismatch:
            self._explain(inputs, self.model.run(**inputs))
            raise
        prediction = self.model.run(**inputs)
        await self.judge(outputs, prediction, inputs, count=count)
        return outputs, prediction

    async def judge(
        self, outputs: Outputs, prediction: Prediction, inputs: dict[str, list[Frame]] | None = None, *, count=True
    ) -> None:
        """Compare outputs and counters with a prediction; see `exchange`."""
        differences = compare_frames(
            outputs,
            prediction,
            encap_cut_through=self.encap_cut_through,
            decap_cut_through=self.decap_cut_through,
        )
        for port, frames in unpredicted_marked(outputs, prediction).items():
            self.marked[port] += frames
        if count:
            differences += compare_counters(await self.counters(), prediction.counters, self.marked)
        differences += self.violations()
        if differences and self.observer:
            self.observer.discard()
        if differences:
            self._explain(inputs or {}, prediction)
            raise Mismatch("\n".join(differences))
        if count and self.observer:
            self.observer.confirm()

    def _explain(self, inputs: dict[str, list[Frame]], prediction: Prediction) -> None:
        """Leave what a report of the mismatch needs: the parameters, the configuration and the frames."""
        self.dut._log.warning("%s; predicted drops: %s", self.parameters, prediction.drops[:30])
        if self.config is None or not self.keep_mismatch:
            return
        # The simulator runs in the build's folder.
        path = Path("mismatch.json").absolute()
        frames = {port: [[frame.data.hex(), frame.error] for frame in some] for port, some in inputs.items()}
        path.write_text(json.dumps({"config": to_toml(self.config), "pauses": self.pauses, **frames}, indent=1))
        self.dut._log.warning("frames and configuration are in %s", path)

    def violations(self) -> list[str]:
        """What the protocol monitors have seen since the start."""
        found = []
        for kind, before in self.base.items():
            for i, name in enumerate(STREAMS):
                count = self._monitor(kind, i) - before[i]
                if count and not (kind == "ragged" and name in self.allowed_ragged):
                    found.append(f"{name}: {count} clocks {kind}")
        return found

    def idle_violations(self) -> list[str]:
        """Clocks since the start on which `idle` was high although a frame was visibly inside."""
        found = []
        entering = int(self.dut.idle_in.value) - self.idle_base[0]
        leaving = int(self.dut.idle_out.value) - self.idle_base[1]
        if entering:
            found.append(f"idle was high for {entering} clocks with a frame half way through an input")
        if leaving:
            found.append(f"idle was high for {leaving} clocks with a frame at an output")
        return found

    def close(self) -> None:
        """Stop the clock and the drivers, so that another bench can be made in the same test."""
        self.clock.stop()
        for stream in (*self.sources.values(), *self.sinks.values()):
            stream.assert_reset(True)

    async def finish(self, clocks: int = 200) -> None:
        """Hold the end: nothing more comes, `idle` stays high, the protocol was kept."""
        await ClockCycles(self.clk, clocks)
        await RisingEdge(self.clk)
        if not int(self.dut.idle.value):
            raise Mismatch("idle is low although nothing was sent")
        late = self.collect()
        for port in PORTS:
            if getattr(late, port):
                raise Mismatch(f"a frame came out of m_axis_{port} after the core was idle")
        if found := self.violations():
            raise Mismatch("\n".join(found))
