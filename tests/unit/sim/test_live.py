"""The live loop: every frame of an interface is in the core or counted as lost; waveforms around events."""

import io
import json
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from selectors import DefaultSelector
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from typer.testing import CliRunner

from helpers.loopback import loopback
from vtep.config import VtepParameters
from vtep_host.device import DeviceError, DeviceTimeoutError
from vtep_host.interfaces.interface import InterfaceError, Setup, open_interface
from vtep_host.interfaces.packet_socket import complete_checksum
from vtep_host.transport import TransportError
from vtep_sim.captures import read_capture
from vtep_sim.cli import app
from vtep_sim.harness import SimulationError, Simulator
from vtep_sim.live.display import Display, losses
from vtep_sim.live.engine import Engine, Pace
from vtep_sim.live.ports import LivePort
from vtep_sim.live.recording import Recording
from vtep_sim.live.window import WaveWindow

PARAMETERS = VtepParameters()
PASSES = {"tenant": "underlay", "underlay": "tenant", "host": "host"}
CONFIG = Path(__file__).resolve().parents[2] / "vectors" / "ipv4" / "vtep.toml"


class Wire:
    """An interface whose other end the test holds."""

    name = "wire"

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.near, self.far):
            end.setblocking(False)
        self.up = True

    def fileno(self) -> int:
        return self.near.fileno()

    def receive(self) -> bytes | None:
        try:
            data = self.near.recv(1 << 17)
        except BlockingIOError:
            return None
        return b"" if data == b"joined" else data

    def send(self, frame: bytes) -> bool:
        if self.up:
            self.near.send(frame)
        return self.up

    def lost(self) -> int:
        return 7

    def hint(self) -> str:
        assert self.fileno() >= 0, "asked while it is open"
        return "turn it off"

    def close(self) -> None:
        self.near.close()
        self.far.close()

    def taken(self) -> list[bytes]:
        frames = []
        while True:
            try:
                frames.append(self.far.recv(1 << 17))
            except BlockingIOError:
                return frames


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(PARAMETERS, verilog=loopback(PARAMETERS)) as simulator:
        yield simulator


@pytest.fixture
def ports() -> Iterator[dict[str, LivePort]]:
    ports = {name: LivePort(Wire()) for name in PASSES}
    yield ports
    for port in ports.values():
        assert port.interface is not None
        port.interface.close()


@pytest.fixture
def wires(ports: dict[str, LivePort]) -> dict[str, Any]:
    return {name: port.interface for name, port in ports.items()}


@pytest.fixture
def engine(simulator: Simulator, ports: dict[str, LivePort]) -> Iterator[Engine]:
    simulator.reset()
    with DefaultSelector() as selector:
        yield Engine(simulator, ports, selector, ring=32)


def spin(engine: Engine) -> None:
    """Turn until nothing is left to do."""
    while engine.turn(0):
        pass


def test_frames_pass_in_order_and_are_counted(
    engine: Engine, ports: dict[str, LivePort], wires: dict[str, Any], rng: random.Random
) -> None:
    sent = {name: [rng.randbytes(rng.randint(1, 1514)) for _ in range(30)] for name in PASSES}
    for name, frames in sent.items():
        for frame in frames:
            wires[name].far.send(frame)
    spin(engine)
    for source, sink in PASSES.items():
        assert wires[sink].taken() == sent[source]
        counts = ports[source].counts
        assert (counts.frames_in, counts.bytes_in) == (30, sum(map(len, sent[source])))
        counts = ports[sink].counts
        assert (counts.frames_out, counts.bytes_out) == (30, sum(map(len, sent[source])))
    assert losses(ports) == ["turn it off"] * 3, "only the hints"


def test_no_clock_passes_while_nothing_comes(engine: Engine, simulator: Simulator) -> None:
    before = simulator.clock
    started = time.monotonic()
    assert not engine.turn(0.05)
    assert time.monotonic() - started >= 0.04, "it waits, and does not spin"
    assert simulator.clock == before


def test_what_the_ring_cannot_hold_is_counted(
    engine: Engine, ports: dict[str, LivePort], wires: dict[str, Any], simulator: Simulator
) -> None:
    simulator.pace("tenant", "in", hold=simulator.clock + 3000)
    for number in range(50):
        wires["tenant"].far.send(bytes([number]) * 60)
    spin(engine)
    simulator.pace("tenant", "in")
    counts = ports["tenant"].counts
    assert (counts.frames_in, counts.overrun) == (32, 18)
    assert wires["underlay"].taken() == [bytes([number]) * 60 for number in range(32)]
    assert losses(ports)[0] == "tenant: 18 frames lost in front of the core, whose ring was full"


def test_losses_before_and_behind_the_core_are_told(
    engine: Engine, ports: dict[str, LivePort], wires: dict[str, Any]
) -> None:
    wires["underlay"].up = False
    wires["tenant"].far.send(b"joined")
    wires["tenant"].far.send(bytes(60))
    spin(engine)
    for port in ports.values():
        port.update()
    assert (ports["tenant"].counts.left_out, ports["underlay"].counts.refused) == (1, 1)
    assert ports["underlay"].counts.frames_out == 0
    told = losses(ports)
    assert "tenant: 7 frames lost in the kernel, before they were taken" in told
    assert "tenant: 1 frames lost joined segments that are no frames" in told
    assert "underlay: 1 frames lost behind the core, as the interface did not take them" in told
    assert "turn it off" in told


def test_a_marked_frame_goes_nowhere() -> None:
    wire = Wire()
    port = LivePort(wire)
    port.send(b"spoiled", error=True)
    port.send(b"good", error=False)
    assert wire.taken() == [b"good"]
    assert (port.counts.marked, port.counts.frames_out) == (1, 1)
    wire.close()


def test_an_interface_that_is_gone_is_told_once_and_the_rest_goes_on(
    simulator: Simulator, ports: dict[str, LivePort], wires: dict[str, Any]
) -> None:
    simulator.reset()
    told: list[str] = []

    def gone() -> bytes | None:
        raise InterfaceError("pulled out")

    wires["tenant"].receive = gone
    with DefaultSelector() as selector:
        engine = Engine(simulator, ports, selector, message=told.append)
        wires["tenant"].far.send(bytes(60))
        wires["host"].far.send(b"\3" * 60)
        spin(engine)
        spin(engine)
        engine.stop()
    assert told == ["tenant: pulled out"]
    assert wires["host"].taken() == [b"\3" * 60]
    ports["tenant"].interface = wires["tenant"]


def test_after_stop_the_core_is_drained_and_takes_nothing(
    engine: Engine, wires: dict[str, Any], ports: dict[str, LivePort]
) -> None:
    for _ in range(20):
        wires["tenant"].far.send(bytes(1500))
    engine.turn(0)
    for _ in range(70):
        wires["tenant"].far.send(bytes(61))
    engine.stop()
    wires["tenant"].far.send(bytes(60))
    asked = []

    def more() -> None:
        asked.append(1)
        wires["tenant"].far.send(bytes(62))

    assert engine.drain(5.0, more)
    engine.count_waiting()
    assert asked
    assert len(wires["underlay"].taken()) == ports["tenant"].counts.frames_in == 20
    assert ports["tenant"].counts.overrun == 71 + len(asked), "what waited then is lost, and counted"


def test_a_hung_core_is_told_however_short_the_steps_are() -> None:
    with Simulator(PARAMETERS, verilog=loopback(PARAMETERS), watchdog=5000) as simulator:
        simulator.pace("underlay", "out", hold=1 << 40)
        simulator.queue(tenant=[SimpleNamespace(data=bytes(60), error=False)])

        def go_on() -> None:
            for _ in range(6000 // 64 + 100):
                simulator.step(64)

        with pytest.raises(SimulationError, match="no beat on any port for 5000 clocks"):
            go_on()


def test_accesses_that_are_answered_are_no_hang() -> None:
    with Simulator(PARAMETERS, verilog=loopback(PARAMETERS), watchdog=100) as simulator:
        for _ in range(200):
            simulator.transport.read(0)


def test_display_shows_totals_and_losses(ports: dict[str, LivePort], engine: Engine, wires: dict[str, Any]) -> None:
    display = Display(ports, engine.pace)
    wires["tenant"].far.send(bytes(60))
    spin(engine)
    line = display.line({"no_vni": 3, "mtu": 0})
    assert "tenant 1 in 0 out 0 lost; underlay 0 in 1 out 0 lost" in line
    assert "dropped or punted: no_vni 3;" in line
    assert "dropped or punted: not read, as somebody is connected" in display.line(None)


def test_display_shows_rates_since_the_last_time(ports: dict[str, LivePort], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("vtep_sim.live.display.time.monotonic", lambda: now)
    pace = Pace(1000, 0.5)
    display = Display(ports, pace)
    screen = Console(width=120, file=io.StringIO(), record=True)
    for seconds, in_, out in ((2.0, 1_000_000, 250_000), (1.0, 250_000, 0)):
        now += seconds
        ports["tenant"].counts.bytes_in += in_
        ports["underlay"].counts.bytes_out += out
        ports["host"].counts.overrun += 3
        pace.clocks, pace.seconds = pace.clocks + 300_000, pace.seconds + 0.5
        screen.print(display.table({"no_vni": 4}))
    first, second = screen.export_text().split("┏")[1:]
    for text, rates in ((first, ("4.00", "1.00", "600 thousand", "busy 25%")), (second, ("2.00", "0.00", "busy 50%"))):
        row = {line.split()[1]: line.split() for line in text.splitlines() if line.startswith("│")}
        assert (row["tenant"][5], row["underlay"][9]) == rates[:2]
        assert all(rate in text for rate in rates[2:])
        assert "no_vni 4" in text
    assert " 6 │" in second


class Refusing:
    """A simulator that is configured, and no more."""

    transport = None

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> "Refusing":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def configure(self, _: Any) -> None:
        pass


def test_a_session_that_is_refused_late_touches_no_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtep_sim.live.session.Simulator", Refusing)
    monkeypatch.setattr("vtep_sim.live.session.open_interface", lambda *_: Wire())
    good = tmp_path / "good.pcap"
    good.write_bytes(b"of yesterday")
    way = tmp_path / "way"
    way.write_text("no socket")
    command = ["live", "--config", str(CONFIG), "--tenant", "tap:x", "--tenant-capture", str(good)]
    for options, text in (
        (["--socket", str(way)], "cannot make the socket"),
        (["--host-capture", str(tmp_path / "nowhere" / "h.pcap")], "there is no folder"),
    ):
        result = CliRunner().invoke(app, [*command, *options], catch_exceptions=False)
        assert result.exit_code == 2, result.output
        assert text in result.output.replace("\n", " ")
        assert good.read_bytes() == b"of yesterday"


class Hanging(Simulator):
    """A loop without registers, whose underlay port takes nothing: it hangs at the first frame."""

    answers: dict[str, int] | None = None

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(PARAMETERS, verilog=loopback(PARAMETERS), watchdog=2000)
        self.pace("underlay", "out", hold=1 << 40)

    def configure(self, _: Any) -> None:
        pass

    def counters(self) -> dict[str, int]:
        if self.answers is None:
            raise DeviceTimeoutError("no answer")
        return self.answers


@pytest.mark.parametrize("answers", [{"no_vni": 3}, None])
def test_a_session_that_fails_reports_what_passed(
    answers: dict[str, int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtep_sim.live.session.Simulator", Hanging)
    monkeypatch.setattr(Hanging, "answers", answers)
    wires = {"tap:t": Wire(), "tap:u": Wire()}
    monkeypatch.setattr("vtep_sim.live.session.open_interface", lambda name, _: wires[name])
    wires["tap:t"].far.send(bytes(60))
    path, capture = tmp_path / "r.json", tmp_path / "t.pcap"
    command = ["live", "--config", str(CONFIG), "--tenant", "tap:t", "--underlay", "tap:u", "--report", str(path)]
    command += ["--tenant-capture", str(capture)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 3, result.output
    assert "no beat on any port" in result.output
    assert "tenant: 1 frames" in result.output
    told = json.loads(path.read_text())
    assert told["ports"]["tenant"]["frames_in"] == 1
    assert told["counters"] == answers
    assert "no beat on any port" in told["failure"]
    assert ("the core does not answer" in result.output) == (answers is None)
    assert len(read_capture(capture).frames) == 1


def test_a_register_that_does_not_answer_ends_a_session_with_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turn(_engine: Engine, _patience: float) -> bool:
        raise DeviceTimeoutError("STATUS stays busy")

    monkeypatch.setattr("vtep_sim.live.session.Simulator", Hanging)
    monkeypatch.setattr("vtep_sim.live.session.Engine.turn", turn)
    monkeypatch.setattr("vtep_sim.live.session.open_interface", lambda *_: Wire())
    path = tmp_path / "r.json"
    command = ["live", "--config", str(CONFIG), "--tenant", "tap:t", "--report", str(path)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 3, result.output
    assert json.loads(path.read_text())["failure"] == "STATUS stays busy"


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_recording_is_a_capture_at_any_time(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    with Recording(path) as recording:
        assert read_capture(path).frames == []
        recording.write(b"\1" * 61)
        recording.flush()
        before = time.time_ns()
        (frame,) = read_capture(path).frames
        recording.write(b"\2" * 60)
    assert [frame.data for frame in read_capture(path).frames] == [b"\1" * 61, b"\2" * 60]
    assert 0 <= before - frame.stamp < 60e9


class Traced:
    """A simulator as far as a `WaveWindow` sees it."""

    def __init__(self) -> None:
        self.clock = 0
        self.part: Path | None = None

    def trace(self, waves: Path | None) -> None:
        self.part = waves
        if waves:
            waves.write_text(f"from {self.clock}")


def window_run(path: Path, events: list[int], *, end: int, clocks: int = 100) -> list[str]:
    """Step by 10 clocks; an event at each of ``events``; return what was told."""
    traced: Any = Traced()
    told: list[str] = []
    window = WaveWindow(traced, path, clocks, event=lambda: traced.clock in events, message=told.append)
    while traced.clock < end:
        traced.clock += 10
        window.update()
    window.close()
    assert traced.part is None
    return told


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (30, {"w.fst": "from 0"}),
        (170, {"w.fst": "from 100"}),
        (120, {"w.fst": "from 100", "w-before.fst": "from 0"}),
        (420, {"w.fst": "from 400", "w-before.fst": "from 300"}),
    ],
)
def test_window_keeps_what_surrounds_the_first_event(tmp_path: Path, event: int, kept: dict[str, str]) -> None:
    told = window_run(tmp_path / "w.fst", [event, event + 20, 700], end=1000)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == kept
    assert len(told) == 1
    assert f"around clock {event}" in told[0]


def test_window_without_an_event_leaves_nothing(tmp_path: Path) -> None:
    assert window_run(tmp_path / "w.fst", [], end=1000) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [SimulationError("hung"), DeviceError("silent"), TransportError("gone")], ids=str)
def test_window_shows_what_failed(tmp_path: Path, error: Exception) -> None:
    traced: Any = Traced()
    window = WaveWindow(traced, tmp_path / "w.fst", 100, event=lambda: False, message=lambda _: None)

    def fail() -> None:
        with window:
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (tmp_path / "w.fst").exists()


def test_window_that_is_cut_short_is_kept(tmp_path: Path) -> None:
    assert len(window_run(tmp_path / "w.fst", [990], end=1000)) == 1
    assert (tmp_path / "w.fst").read_text() == "from 900"


def test_real_waveforms_of_a_window(tmp_path: Path) -> None:
    with Simulator(PARAMETERS, verilog=loopback(PARAMETERS), traceable=True) as simulator:
        happened = False
        window = WaveWindow(simulator, tmp_path / "w.fst", 400, event=lambda: happened, message=lambda _: None)
        for _ in range(40):
            simulator.queue(tenant=[SimpleNamespace(data=bytes(60), error=False)])
            simulator.step(100)
            window.update()
            happened = simulator.clock > 900
        window.close()
        found = sorted(path.name for path in tmp_path.iterdir())
        assert found in (["w-before.fst", "w.fst"], ["w.fst"])
        assert all(path.stat().st_size > 300 for path in tmp_path.iterdir())


def test_a_model_without_waveforms_says_so(simulator: Simulator, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="writes no waveforms"):
        simulator.trace(tmp_path / "w.fst")


@pytest.mark.parametrize("packet", [IP() / UDP(), IP() / TCP(), IPv6() / UDP(), IPv6() / TCP()])
@pytest.mark.parametrize("length", [0, 1, 2, 33, 1400])
def test_a_checksum_left_to_a_device_is_completed(packet: Any, length: int, rng: random.Random) -> None:
    frame = bytes(Ether(src="52:54:00:00:00:01", dst="52:54:00:00:01:01") / packet / Raw(rng.randbytes(length)))
    tcp = packet.haslayer(TCP)
    start = 14 + (20 if packet.haslayer(IP) else 40)
    offset = 16 if tcp else 6
    # What a stack leaves: the sum over the pseudo-header, not complemented.
    body = frame[start : start + offset] + b"\0\0" + frame[start + offset + 2 :]
    addresses = frame[26:34] if packet.haslayer(IP) else frame[22:54]
    pseudo = addresses + len(body).to_bytes(4) + (6 if tcp else 17).to_bytes(4)
    total = sum(int.from_bytes(pseudo[i : i + 2]) for i in range(0, len(pseudo), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    half = frame[: start + offset] + total.to_bytes(2) + frame[start + offset + 2 :]
    assert complete_checksum(half, start, offset) == frame


@pytest.mark.parametrize("text", ["", "eth0", "tap:", "if:", "veth:x", "tap"])
def test_what_names_no_interface_is_refused(text: str) -> None:
    with pytest.raises(InterfaceError, match="names no interface: tap:NAME for a new TAP device"):
        open_interface(text, Setup())


@pytest.mark.parametrize("name", ["x" * 16, "a/b", "a%d"])
def test_impossible_tap_names_are_refused(name: str) -> None:
    with pytest.raises(InterfaceError, match="a name has 1 to 15 characters, none of them a slash or %"):
        open_interface(f"tap:{name}", Setup())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "no interface: give --tenant, --underlay or --host"),
        (["--tenant", "eth0"], "--tenant 'eth0' names no interface"),
        (["--tenant", "if:no-such-device"], "--tenant if:no-such-device: "),
        (["--tenant", "tap:x", "--waves-at", "nothing"], "--waves-at nothing: must be start, signal or one of"),
        (["--tenant", "tap:x", "--data-width", "12"], "data_width"),
        (["--tenant", "tap:x", "--host-capture", str(CONFIG)], "is the file of --config too"),
    ],
)
def test_refused_options_touch_no_file(options: list[str], text: str, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    report.write_text("good")
    command = ["live", "--config", str(CONFIG), "--report", str(report), *options]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 2, result.output
    assert text in result.output.replace("\n", " ")
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    assert report.read_text() == "good"


@pytest.mark.parametrize(
    ("user", "there", "text"),
    [
        (1000, True, "needs root, for network namespaces and TAP devices"),
        (0, False, "'ip' is missing: install the package iproute2"),
    ],
)
def test_a_demonstration_that_cannot_run_says_what_it_needs(
    user: int, there: bool, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtep_sim.live.lab.os.geteuid", lambda: user)
    monkeypatch.setattr("vtep_sim.live.lab.shutil.which", lambda _: "/bin/x" if there else None)
    result = CliRunner().invoke(app, ["live-demo"], catch_exceptions=False)
    assert result.exit_code == 2, result.output
    assert text in result.output.replace("\n", " ")
