"""vtep-sim: what it refuses and how, its exit codes, and that no good file is lost."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from helpers.loopback import FAULTS, loopback
from vtep_sim import runner
from vtep_sim.captures import CapturedFrame, capture_bytes, read_capture
from vtep_sim.cli import app
from vtep_sim.harness import OutputFrame, Simulator, tools

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
IPV4 = VECTORS / "ipv4"
CONFIG = ["--config", str(IPV4 / "vtep.toml")]
INPUTS = ["--tenant-in", str(IPV4 / "tenant-in.pcap"), "--underlay-in", str(IPV4 / "underlay-in.pcap")]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def written(path: Path, *frames: CapturedFrame) -> Path:
    path.write_bytes(capture_bytes(frames))
    return path


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, Path]:
    """Output files that hold something good."""
    names = {
        "tenant-out": "t.pcap",
        "underlay-out": "u.pcap",
        "host-out": "h.pcap",
        "report": "r.json",
        "waves": "w.fst",
    }
    places = {f"--{option}": tmp_path / name for option, name in names.items()}
    for path in places.values():
        path.write_text("good")
    return places


def refused(outputs: dict[str, Path], text: str, *arguments: object, code: int = 2) -> str:
    """Call `run`, expect a refusal with ``text``, and every output file as it was."""
    folder = next(iter(outputs.values())).parent
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    named = [part for option, path in outputs.items() for part in (option, path)]
    result = call("run", *named, *arguments)
    assert result.exit_code == code, result.output
    assert text in result.output.replace("\n", " ")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    return result.output


@pytest.mark.parametrize(
    ("command", "done", "different"),
    [
        ("run", "0 done, and with --check everything agrees", "1 --check found a difference"),
        ("demo", "0 everything agrees", "1 a difference was found"),
        ("live", "0 done", None),
        ("live-demo", "0 every step passed", "1 a step failed"),
    ],
)
def test_help_says_the_exit_codes(command: str, done: str, different: str | None) -> None:
    text = " ".join(call(command, "--help").output.split()).partition("Exit codes: ")[2]
    assert text.startswith(f"{done}; {different}; " if different else f"{done}; 2 ")
    assert "2 bad options, configuration or capture" in text
    assert "; 3 the " in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([*CONFIG], "no input: give --tenant-in, --underlay-in or --host-in"),
        ([*CONFIG, *INPUTS, "--data-width", "24"], "data_width must be one of (8, 16, 32, 64, 128, 256, 512), not 24"),
        ([*CONFIG, *INPUTS, "--mode", "fast"], "'fast' is not one of"),
        ([*CONFIG, *INPUTS, "--parameter", "tunnel=4"], "no parameter 'tunnel'; there are tenant_length"),
        ([*CONFIG, *INPUTS, "--parameter", "tunnels"], "--parameter 'tunnels': not NAME=VALUE"),
        ([*CONFIG, *INPUTS, "--parameter", "tunnels=many"], "'many' is neither a number nor"),
        ([*CONFIG, *INPUTS, "--parameter", "tunnels=4097"], "tunnels must be an integer within 1 .. 4096, not 4097"),
        ([*CONFIG, *INPUTS, "--stall", "1"], "--stall"),
        ([*CONFIG, *INPUTS, "--clock-mhz", "0"], "--clock-mhz"),
        (INPUTS, "--config"),
        (["--config", "none.toml", *INPUTS], "none.toml"),
        ([*CONFIG, "--tenant-in", "none.pcap"], "none.pcap: cannot be read: No such file"),
    ],
)
def test_options(outputs, arguments, text: str) -> None:
    refused(outputs, text, *arguments)


def test_bad_configuration(outputs, tmp_path) -> None:
    config = tmp_path / "vtep.toml"
    config.write_text((IPV4 / "vtep.toml").read_text().replace("id = 100", "id = 16777216"))
    text = refused(outputs, str(config), "--config", config, *INPUTS)
    assert "16777215" in text
    config.write_text("[vtep")
    refused(outputs, str(config), "--config", config, *INPUTS)
    lines = (IPV4 / "vtep.toml").read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("remote_mac")))
    text = refused(outputs, str(config), "--config", config, *INPUTS)
    assert "remote_mac: is missing" in text
    assert "this build does not resolve next hops" in text


def test_configuration_beyond_the_build(outputs) -> None:
    vnis = ["--config", VECTORS / "vnis" / "vtep.toml", *INPUTS]
    refused(outputs, "vni", *vnis, "--parameter", "vnis=2")
    # Cut-through encapsulation leaves the checksum units out, and with them what needs them.
    text = refused(outputs, "udp_checksum", *vnis, "--encap-mode", "cut-through")
    assert "leaf2-v6" in text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a pcap or pcapng file: it is empty"),
        (
            capture_bytes([CapturedFrame(b"x" * 60)])[:-1],
            "cut off at byte offset 99, inside frame 1 (at byte offset 24)",
        ),
        (capture_bytes([])[:-4] + b"\x71\0\0\0", "the file has link type 113, LINUX_SLL"),
    ],
)
def test_bad_capture_beside_a_good_one(outputs, tmp_path, content: bytes, text: str) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(content)
    refused(outputs, f"{bad}: {text}", *CONFIG, *INPUTS, "--host-in", bad)


def test_output_places(outputs, tmp_path) -> None:
    good = written(tmp_path / "in.pcap", CapturedFrame(b"x" * 60))
    call_with = [*CONFIG, "--tenant-in", good]
    refused({"--tenant-out": good}, "--tenant-out", *call_with)
    refused(outputs, "is the file of --tenant-out too", *call_with, "--host-out", outputs["--tenant-out"])
    capture = IPV4 / "tenant-in.pcap"
    refused({"--host-out": good}, "is the file of --config too", "--config", good, "--tenant-in", capture)
    refused(outputs, "No such file or directory", *call_with, "--report", tmp_path / "none" / "r.json")
    refused(outputs, "exists and is not a regular file", *call_with, "--report", "/dev/null")


def test_no_verilator(outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTEP_VERILATOR", "no-such-verilator")
    tools.find_verilator.cache_clear()
    try:
        refused(outputs, "VTEP_VERILATOR=no-such-verilator: no such command", *CONFIG, *INPUTS, code=3)
    finally:
        tools.find_verilator.cache_clear()


def test_no_compiler(outputs, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    tools.find_compiler.cache_clear()
    try:
        refused(outputs, "no C++ compiler found", *CONFIG, *INPUTS, code=3)
    finally:
        tools.find_compiler.cache_clear()


def test_cache_that_cannot_be_written(outputs, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VTEP_CACHE", str(tmp_path / "file" / "cache"))
    refused(outputs, "(VTEP_CACHE names another)", *CONFIG, *INPUTS, code=3)


class NeverReady(Simulator):
    """A core that takes no frame."""

    def __init__(self, parameters, **options) -> None:
        super().__init__(parameters, verilog=loopback(parameters), watchdog=500, **options)

    def configure(self, config) -> None:
        self.device.registers["SCRATCH"].write(FAULTS["never ready"])
        self.config = config


@pytest.mark.slow
def test_a_core_that_hangs(outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "Simulator", NeverReady)
    waves = outputs.pop("--waves")
    text = refused(outputs, "no beat on any port for 500 clocks", *CONFIG, *INPUTS, code=3)
    assert "frames taken: tenant: 0 of 112, underlay: 0 of 111" in text.replace("\n", "")
    # A waveform is what one then wants to see.
    assert call("run", *CONFIG, *INPUTS, "--waves", waves).exit_code == 3
    assert waves.read_bytes()[:9] == bytes([0]) + (329).to_bytes(8)


@pytest.mark.slow
def test_run(tmp_path) -> None:
    host = written(tmp_path / "host.pcap", *(CapturedFrame(bytes([n]) * 70, 1000 + n) for n in range(5)))
    named = ["--tenant-out", tmp_path / "t.pcapng", "--underlay-out", tmp_path / "u.pcap"]
    named += ["--host-out", tmp_path / "h.pcap", "--report", tmp_path / "r.json"]
    result = call("run", *CONFIG, *INPUTS, "--host-in", host, *named, "--check", "--clock-mhz", 200)
    assert result.exit_code == 0, result.output
    assert "every frame and every counter is as the golden model says" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h.pcap", "host.pcap", "r.json", "t.pcapng", "u.pcap"]

    kernel = read_capture(IPV4 / "tenant-out.pcap")
    underlay_in, tenant_in = read_capture(IPV4 / "underlay-in.pcap"), read_capture(IPV4 / "tenant-in.pcap")
    tenant = read_capture(tmp_path / "t.pcapng")
    # The kernel delivers what the core delivers; its own stamps are those of the delivery.
    assert [frame.data for frame in tenant.frames] == [frame.data for frame in kernel.frames]
    stamps = {frame.data[50:]: frame.stamp for frame in underlay_in.frames}
    assert all(stamps[frame.data] == frame.stamp for frame in tenant.frames)
    underlay = read_capture(tmp_path / "u.pcap")
    passed = [frame for frame in underlay.frames if frame.stamp < 2000]
    assert [(frame.data, frame.stamp) for frame in passed] == [(bytes([n]) * 70, 1000 + n) for n in range(5)]
    encapsulated = [(frame.data[50:], frame.stamp) for frame in underlay.frames if frame.stamp >= 2000]
    assert encapsulated == [(frame.data, frame.stamp) for frame in tenant_in.frames]
    assert len(read_capture(tmp_path / "h.pcap").frames) == 3

    report = json.loads((tmp_path / "r.json").read_text())
    assert report["check"] == {"passed": True}
    assert report["counters"]["tenant_rx_frames"] == report["ports"]["tenant_in"]["frames"] == 112
    assert report["counters"]["vni.100.decap_frames"] == 108
    assert report["counters"]["tunnel.leaf2.encap_frames"] == 112
    size = sum(len(frame.data) for frame in underlay_in.frames)
    expected = {"frames": 111, "bytes": size, "marked": 0, "snapped": 0, "empty": 0}
    assert expected.items() <= report["ports"]["underlay_in"].items()
    assert report["ports"]["underlay_in"]["file"] == str(IPV4 / "underlay-in.pcap")
    assert report["clocks"] > report["ports"]["underlay_in"]["bytes"] / 8
    assert 10 < report["ports"]["underlay_in"]["gbps"] <= 12.8
    assert report["clock_mhz"] == 200
    assert report["parameters"]["data_width"] == 64
    assert report["parameters"]["encap_mode"] == "store-and-forward"
    assert set(report["tools"]) >= {"verilator", "amaranth", "pyosys", "python", "openvtep"}


@pytest.mark.slow
def test_run_with_pauses_gives_the_same(tmp_path) -> None:
    paths = {name: tmp_path / name for name in ("plain.pcap", "stalled.pcap", "r.json")}
    assert call("run", *CONFIG, *INPUTS, "--tenant-out", paths["plain.pcap"]).exit_code == 0
    stalled = ["--stall", 0.4, "--seed", 7, "--check", "--report", paths["r.json"]]
    assert call("run", *CONFIG, *INPUTS, "--tenant-out", paths["stalled.pcap"], *stalled).exit_code == 0
    assert paths["plain.pcap"].read_bytes() == paths["stalled.pcap"].read_bytes()
    assert json.loads(paths["r.json"].read_text())["seed"] == 7


@pytest.mark.slow
def test_snapped_and_empty_frames(tmp_path) -> None:
    frame = read_capture(IPV4 / "tenant-in.pcap").frames[0].data
    source = written(
        tmp_path / "in.pcap",
        CapturedFrame(frame, 1),
        CapturedFrame(frame, 2, len(frame) + 10),
        CapturedFrame(b"", 3),
        CapturedFrame(frame, 4),
    )
    out, report = tmp_path / "out.pcap", tmp_path / "r.json"
    options = [*CONFIG, "--tenant-in", source, "--underlay-out", out, "--report", report, "--check"]
    result = call("run", *options)
    assert result.exit_code == 0, result.output
    assert "tenant in: 1 snapped frames left out" in result.output
    assert "tenant in: 1 frames without a byte left out" in result.output
    assert [f.stamp for f in read_capture(out).frames] == [1, 4]
    ports = json.loads(report.read_text())["ports"]["tenant_in"]
    assert (ports["frames"], ports["snapped"], ports["empty"]) == (2, 1, 1)

    result = call("run", *options, "--pad-snapped")
    assert "tenant in: 1 snapped frames padded" in result.output
    assert [f.data[50:] for f in read_capture(out).frames] == [frame, frame + bytes(10), frame]


class Wrong(Simulator):
    """The core, but that one bit of its fifth frame to the underlay is wrong, and a counter."""

    def run(self, *inputs, **options):
        result = super().run(*inputs, **options)
        frame = result.underlay[4]
        data = bytearray(frame.data)
        data[22] ^= 1
        result.underlay[4] = OutputFrame(bytes(data), *frame[1:])
        return result

    def counters(self) -> dict[str, int]:
        return super().counters() | {"mtu": 3}


@pytest.mark.slow
def test_check_shows_the_difference(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "Simulator", Wrong)
    paths = [tmp_path / "u.pcap", tmp_path / "r.json"]
    result = call("run", *CONFIG, *INPUTS, "--check", "--underlay-out", paths[0], "--report", paths[1])
    assert result.exit_code == 1
    assert f"underlay out, frame 5, from tenant in, frame 5 of {IPV4 / 'tenant-in.pcap'}: differs" in result.output
    assert "  IP.ttl: expected 64, got 65" in result.output
    assert "first different byte: 22" in result.output
    assert "counter mtu: expected 0, got 3" in result.output
    # What came out is there to be looked at.
    assert len(read_capture(paths[0]).frames) == 112
    report = json.loads(paths[1].read_text())
    assert report["check"] == {"passed": False}
    assert any("IP.ttl" in line for line in report["differences"])


@pytest.mark.slow
def test_demo(tmp_path) -> None:
    result = call("demo", "--folder", tmp_path, "--capture", "ipv4")
    assert result.exit_code == 0, result.output
    assert "The golden model agrees in every one of 219 frames out and in every counter." in result.output
    assert f"gtkwave {tmp_path}/ipv4/waves.fst" in result.output
    assert [frame.data for frame in read_capture(tmp_path / "ipv4" / "tenant-out.pcap").frames] == [
        frame.data for frame in read_capture(IPV4 / "tenant-out.pcap").frames
    ]
    assert len(read_capture(tmp_path / "ipv4" / "underlay-out.pcap").frames) == 108
    assert (tmp_path / "ipv4" / "waves.fst").read_bytes()[:9] == bytes([0]) + (329).to_bytes(8)


def test_demo_of_an_unknown_capture(tmp_path) -> None:
    result = call("demo", "--folder", tmp_path, "--capture", "ipv5")
    assert result.exit_code == 2
    assert "no capture 'ipv5'; there are ipv4, " in result.output


def test_bench_of_an_unknown_part(tmp_path) -> None:
    result = call("bench", "--folder", tmp_path, "--only", "beauty")
    assert result.exit_code == 2
    assert "--only beauty: there are bubbles, latency, rfc2544, speed, area" in result.output
    assert call("bench", "--folder", tmp_path, "--data-width", 9).exit_code == 2


@pytest.mark.slow
@pytest.mark.full
def test_cut_through(tmp_path) -> None:
    config = tmp_path / "vtep.toml"
    config.write_text((IPV4 / "vtep.toml").read_text().replace("[vtep]", '[vtep]\nudp_checksum_rx = "ignore"'))
    report = tmp_path / "r.json"
    result = call("run", "--config", config, *INPUTS, "--mode", "cut-through", "--check", "--report", report)
    assert result.exit_code == 0, result.output
    parameters = json.loads(report.read_text())["parameters"]
    assert parameters["tenant_length"] is True
    assert parameters["udp_checksum"] is False
