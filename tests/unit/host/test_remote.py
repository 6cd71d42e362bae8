"""``vtep-ctl`` on a device behind a line: what it brings there, shows, finds different, and refuses."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.fake_device import FakeDevice
from vtep.config import VtepParameters
from vtep.control.counters import counter_map
from vtep_host.cli import main
from vtep_sim.register_socket import BoneDecoder, SocketError
from vtep_sim.serve import serve

from .test_adopt import Real

CONFIG = """
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "10.0.0.1"

[[vni]]
id = 100
vlan = 7
flood = ["leaf2", "leaf3"]

[[tunnel]]
name = "leaf2"
remote = "10.0.0.2"
remote_mac = "02:00:00:00:00:02"

[[tunnel]]
name = "leaf3"
remote = "10.0.0.3"
remote_mac = "02:00:00:00:00:03"
ttl = "inherit"

[[fdb]]
vni = 100
mac = "02:00:00:00:0a:01"
tunnel = "leaf3"
"""

PARAMETERS = VtepParameters()
Run = Callable[..., tuple[int, str, str]]


@contextmanager
def served(device: FakeDevice, path: Path) -> Iterator[None]:
    """A thread that gives the device's registers at a socket."""
    ready, end = threading.Event(), threading.Event()
    simulator: Any = SimpleNamespace(transport=device)
    thread = threading.Thread(target=serve, args=(simulator, path), kwargs={"ready": ready.set, "stop": end.is_set})
    thread.start()
    assert ready.wait(5)
    try:
        yield
    finally:
        end.set()
        thread.join()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[FakeDevice]:
    """A device at ``unix:vtep.sock``, idle; like a line, it does not tell what it refuses."""
    made = Real(PARAMETERS, tells=False)
    made.words["STATUS", 0] |= made.map["STATUS"].pack(idle=1)
    with served(made, tmp_path / "vtep.sock"):
        yield made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VTEP_VIA", raising=False)
    (tmp_path / "vtep.toml").write_text(CONFIG)

    def call(arguments: str, via: str | None = "unix:vtep.sock") -> tuple[int, str, str]:
        options = [] if via is None else ["--via", via]
        monkeypatch.setattr(sys, "argv", ["vtep-ctl", *options, *arguments.split()])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


def test_a_configuration_is_applied_shown_and_verified(run: Run, device: FakeDevice, tmp_path: Path) -> None:
    code, out, _ = run("apply vtep.toml")
    assert (code, "vtep.toml: in effect, " in out) == (0, True)
    assert device.settings["ipv4"] == 0x0A000001
    assert run("verify vtep.toml")[:2] == (0, "the device holds vtep.toml\n")
    assert run("apply vtep.toml")[:2] == (0, "vtep.toml: was in effect\n")

    held = json.loads(run("show --json --names vtep.toml")[1])
    assert held["device"]["parameters"]["data_width"] == 64
    assert held["vtep"]["mac"] == "02:00:00:00:00:01"
    assert held["vni"] == [{"id": 100, "vlan": 7, "inner_vlan": "pass", "flood": ["leaf2", "leaf3"]}]
    assert [(tunnel["name"], tunnel["ttl"]) for tunnel in held["tunnel"]] == [("leaf2", 64), ("leaf3", "inherit")]
    assert held["fdb"] == [{"vni": 100, "mac": "02:00:00:00:0a:01", "tunnel": "leaf3"}]
    table = run("show")[1]
    for text in ("64 bits", "10.0.0.3", "02:00:00:00:0a:01", "tunnel1"):
        assert text in table


def test_what_differs_is_told(run: Run, device: FakeDevice, tmp_path: Path) -> None:
    run("apply vtep.toml")
    changed = CONFIG.replace("vlan = 7", "vlan = 8").replace("0a:01", "0a:02").replace("10.0.0.1", "10.0.0.9")
    (tmp_path / "other.toml").write_text(changed)
    code, out, _ = run("verify other.toml")
    assert code == 1
    assert out.splitlines() == [
        "[vtep]: ipv4 10.0.0.1, should be 10.0.0.9",
        "[[vni]] 100: vlan 7, should be 8",
        "[[fdb]] 100 02:00:00:00:0a:02: missing",
        "[[fdb]] 100 02:00:00:00:0a:01: should not be there",
    ]
    assert run("verify other.toml --json")[0] == 1
    assert run("apply other.toml")[0] == 0
    assert run("verify other.toml")[0] == 0
    assert run("verify vtep.toml")[0] == 1


def test_a_tunnel_counts_for_where_it_leads(run: Run, device: FakeDevice, tmp_path: Path) -> None:
    run("apply vtep.toml")
    (tmp_path / "other.toml").write_text(
        CONFIG.replace("leaf2", "west").replace('remote = "10.0.0.3"', 'remote = "10.0.0.4"')
    )
    code, out, _ = run("verify other.toml")
    assert code == 1
    assert ["remote=10.0.0.3" in line and "remote=10.0.0.4" in line for line in out.splitlines()] == [True, True]


def test_counters(run: Run, device: FakeDevice) -> None:
    run("apply vtep.toml")
    addresses = counter_map(PARAMETERS)
    device.counters = {
        addresses["tenant_rx_frames"]: 5_000_000_000,
        addresses["ecn"]: 3,
        addresses["vni[0].encap_bytes"]: 77,
        addresses["tunnel[1].decap_frames"]: 8,
    }
    values = json.loads(run("counters --json --names vtep.toml")[1])
    assert values["tenant_rx_frames"] == 5_000_000_000
    assert (values["ecn"], values["vni.100.encap_bytes"], values["tunnel.leaf3.decap_frames"]) == (3, 77, 8)
    assert sum(map(bool, values.values())) == 4
    table = run("counters")[1]
    for text in ("5000000000", "ecn", "77", "tunnel1"):
        assert text in table
    assert run("counters --clear")[0] == 0
    assert not any(json.loads(run("counters --json")[1]).values())


def test_watch_tells_rates(run: Run, device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    run("apply vtep.toml")
    address = counter_map(PARAMETERS)["underlay_rx_frames"]
    clock = iter(range(0, 1000, 2))  # the reading takes 2 seconds each time
    monkeypatch.setattr("vtep_host.remote.time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    snapshots = FakeDevice._control

    def count(self: FakeDevice, command: set[str], value: int) -> None:
        self.counters[address] = self.counters.get(address, 0) + 40
        snapshots(self, command, value)

    monkeypatch.setattr(FakeDevice, "_control", count)
    code, out, _ = run("watch --count 3 --json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["counters"]["underlay_rx_frames"] for line in lines] == [80, 120, 160]
    assert {line["rates"]["underlay_rx_frames"] for line in lines} == {10.0}  # two readings of the clock apart
    code, out, _ = run("watch --count 1")
    assert (code, "underlay_rx" in out, "Mb/s" in out) == (0, True, True)


@pytest.mark.parametrize(
    ("arguments", "via", "code", "complaint"),
    [
        ("show", None, 2, "no way to a device: give --via before the command, or VTEP_VIA: serial:DEVICE"),
        ("show", "pigeon", 2, "'pigeon' names no way to a device; it must be serial:DEVICE[@BAUD], tcp:HOST:PORT or"),
        ("show", "tcp:localhost", 2, "names no way to a device"),
        ("show", "unix:none.sock", 3, "cannot open unix:none.sock: No such file or directory"),
        ("show", "serial:/dev/none", 3, "cannot open serial:/dev/none"),
        ("apply none.toml", "unix:vtep.sock", 2, "none.toml: cannot be read: No such file or directory"),
        ("apply wrong.toml", "unix:vtep.sock", 2, "wrong.toml: [vtep]: ipv4"),
        ("apply large.toml", "unix:vtep.sock", 2, "large.toml"),
        ("watch --interval 0", "unix:vtep.sock", 2, "Invalid value for '--interval'"),
    ],
)
def test_refuses(
    run: Run, device: FakeDevice, tmp_path: Path, arguments: str, via: str | None, code: int, complaint: str
) -> None:
    (tmp_path / "wrong.toml").write_text(CONFIG.replace("10.0.0.1", "10.0.0"))
    many = "".join(f"[[vni]]\nid = {number}\nvlan = {number}\n" for number in range(1000, 1020))
    (tmp_path / "large.toml").write_text(CONFIG + many)
    before = dict(device.settings), dict(device.tables)
    status, out, err = run(arguments, via)
    assert (status, out) == (code, "")
    assert complaint in err
    assert all(line.startswith("vtep-ctl: ") for line in err.splitlines())
    assert (device.settings, device.tables) == before


def test_a_device_that_is_none_is_left_alone(run: Run, tmp_path: Path) -> None:
    class Nothing(FakeDevice):
        def read(self, address: int) -> int:
            return 0

        def write(self, address: int, value: int) -> None:
            raise AssertionError("written")

    with served(Nothing(PARAMETERS), tmp_path / "vtep.sock"):
        code, _, err = run("apply vtep.toml")
    assert (code, "there is no VTEP at 0x0: MAGIC reads 0x00000000" in err) == (3, True)


def test_a_refused_access_is_told_in_the_end(run: Run, device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    run("apply vtep.toml")
    device.words["STATUS", 0] |= device.map["STATUS"].pack(refused=1)
    code, _, err = run("counters")
    assert (code, "the device refused an access" in err) == (3, True)
    assert run("counters")[0] == 0


def test_a_line_that_falls_silent_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtep_host.lines.TIMEOUT", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "vtep.sock"))
        listener.listen()
        code, _, err = run("show")
    assert (code, "read of 0x0: 0 of 4 bytes came in time" in err) == (3, True)


def test_decoder_forgets_noise_and_what_is_cut_short() -> None:
    device = FakeDevice(PARAMETERS)
    decoder = BoneDecoder(device)
    magic = device.map["MAGIC"]
    read = bytes([2, 1]) + (magic.address // 4).to_bytes(4)
    expected = magic.reset.to_bytes(4)
    assert b"".join(decoder.feed(read[i : i + 1], 1.0) for i in range(6)) == expected
    assert decoder.feed(read * 3, 1.0) == expected * 3
    assert decoder.feed(read[:4], 2.0) == b""
    assert decoder.feed(read, 2.2) == expected, "a silence ends what was cut short"
    for noise in (bytes([9, 1, 0, 0, 0, 0]), bytes([1, 0, 0, 0, 0, 0])):
        assert decoder.feed(noise + read, 3.0) == b""
        assert decoder.feed(read, 3.05) == b"", "noise lasts until a silence"
        assert decoder.feed(read, 3.2) == expected
    assert not any(value is not None for _, _, value in device.log), "nothing was written"
    write = bytes([1, 2]) + (device.map["TABLE_SELECT"].address // 4).to_bytes(4) + bytes(3) + b"\1" + bytes(4)
    assert decoder.feed(write[:-1], 4.0) == b""
    assert not any(value is not None for _, _, value in device.log)
    assert decoder.feed(write[-1:], 4.0) == b""
    assert [value for _, _, value in device.log if value is not None] == [1, 0]
    assert decoder.feed(bytes([4, 2]) + read[2:], 5.0) == expected * 2
    assert decoder.feed(bytes([2, 1]) + b"\0\x3f\xff\xff", 6.0) == b"\xff" * 4


def test_a_socket_in_use_is_left_alone(device: FakeDevice, tmp_path: Path) -> None:
    simulator: Any = SimpleNamespace(transport=device)
    with pytest.raises(SocketError, match=r"cannot make the socket .*vtep\.sock: Address already in use"):
        serve(simulator, tmp_path / "vtep.sock")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(SocketError, match="Address already in use"):
        serve(simulator, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
