"""`vtep-sim live` as a program, on TAP devices and on existing interfaces; its peer is the kernel's VXLAN device."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw
from typer.testing import CliRunner

from vtep_host.interfaces.interface import InterfaceError
from vtep_host.interfaces.packet_socket import SOL_PACKET, PacketSocket
from vtep_sim.captures import read_capture
from vtep_sim.cli import app
from vtep_sim.live import demo
from vtep_sim.live.demo import TOOLS, live_demo
from vtep_sim.live.display import PLAIN_SECONDS
from vtep_sim.live.lab import CommandError, LiveLab, what_is_missing
from vtep_sim.live.namespace import Namespace

CONFIG = """
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "10.0.0.1"
underlay_mtu = 1600

[[vni]]
id = 100
flood = ["peer"]

[[tunnel]]
name = "peer"
remote = "10.0.0.2"
remote_mac = "02:00:00:00:00:02"
"""
WAIT = 20.0
PACKET_QDISC_BYPASS = 20


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vtep.toml"
    path.write_text(CONFIG)
    return path


def bring_up(lab: LiveLab) -> None:
    """Addresses of the peer, of its VXLAN device, of the tenant and of the VTEP."""
    for space, device, address in (
        (lab.peer, "underlay", "10.0.0.2/24"),
        (lab.tenant, "tenant", "192.0.2.1/24"),
        (lab.host, "host", "10.0.0.1/24"),
    ):
        space.run(f"ip address add {address} dev {device}")
    lab.peer.run("ip link set underlay address 02:00:00:00:00:02 up")
    lab.peer.run("ip link add vx type vxlan id 100 dstport 4789 local 10.0.0.2 remote 10.0.0.1 dev underlay")
    lab.peer.run("ip address add 192.0.2.2/24 dev vx")
    lab.peer.run("ip link set vx up")
    lab.tenant.run("ip link set tenant up")
    lab.host.run("ip link set host up")


def echo(client: Namespace, server: Namespace, address: str, sizes: list[int]) -> None:
    """Send a datagram of each size and wait for the same one back."""
    with server:
        answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with answering, asking:
        answering.bind((address, 7))
        for end in (answering, asking):
            end.settimeout(WAIT)
        for number, size in enumerate(sizes):
            data = bytes([number & 0xFF]) * size
            asking.sendto(data, (address, 7))
            seen, back = answering.recvfrom(1 << 16)
            assert seen == data
            answering.sendto(seen, back)
            assert asking.recv(1 << 16) == data


@pytest.mark.slow
def test_tap_devices_report_and_captures(config: Path, tmp_path: Path) -> None:
    captures = {port: tmp_path / f"{port}.pcapng" for port in ("tenant", "underlay", "host")}
    options = [part for port, path in captures.items() for part in (f"--{port}-capture", str(path))]
    with LiveLab(config, options) as lab:
        bring_up(lab)
        assert "mtu 1550" in lab.tenant.run("ip link show tenant"), "what fits the underlay"
        assert "02:00:00:00:00:01" in lab.host.run("ip link show host"), "the VTEP's own MAC"
        echo(lab.tenant, lab.peer, "192.0.2.2", [1, 64, 1000, 1522])
        echo(lab.peer, lab.host, "10.0.0.1", [10])  # the slow path: ARP and UDP that is no VXLAN
        report = lab.stop()
        assert "tenant: " in lab.log()
    ports, counters = report["ports"], report["counters"]
    for name, counts in ports.items():
        lost = [counts[kind] for kind in ("overrun", "kernel_lost", "left_out", "marked")]
        assert lost == [0, 0, 0, 0], name
        frames = read_capture(captures[name]).frames
        assert len(frames) == counts["frames_in"] + counts["frames_out"] + counts["refused"]
        assert counters[f"{name}_rx_frames"] == counts["frames_in"]
        assert counters[f"{name}_rx_bytes"] == counts["bytes_in"]
    assert counters["tenant_tx_frames"] == ports["tenant"]["frames_out"] + ports["tenant"]["refused"]
    assert not report["left_inside"]


@pytest.mark.slow
def test_existing_interfaces_through_packet_sockets(config: Path, tmp_path: Path) -> None:
    """The core between two veth pairs; checksums left to devices and a tag that was taken off are put right."""
    core, tenant, peer = Namespace(), Namespace(), Namespace()
    log_path = tmp_path / "log"
    joined = (core, tenant, peer)
    process = None
    try:
        for space, name, mtu in ((tenant, "vt", 1500), (peer, "vu", 1600)):
            core.run(f"ip link add name {name} mtu {mtu} type veth peer name {name} mtu {mtu} netns {space.path}")
            core.run(f"ip link set {name} up")
            space.run(f"ip link set {name} up")
        tenant.run("ip address add 192.0.2.1/24 dev vt")
        peer.run("ip link set vu address 02:00:00:00:00:02")
        peer.run("ip address add 10.0.0.2/24 dev vu")
        peer.run("ip neighbor add 10.0.0.1 lladdr 02:00:00:00:00:01 dev vu")
        peer.run("ip link add vx type vxlan id 100 dstport 4789 local 10.0.0.2 remote 10.0.0.1 dev vu")
        peer.run("ip address add 192.0.2.2/24 dev vx")
        peer.run("ip link set vx up")
        command = [sys.executable, "-m", "vtep_sim", "live", "--config", str(config)]
        capture = tmp_path / "t.pcap"
        command += ["--tenant", "if:vt", "--underlay", "if:vu", "--tenant-capture", str(capture)]
        with log_path.open("wb") as log:
            process = core.start(command, log, log)
        wait_for(log_path, process)
        echo(tenant, peer, "192.0.2.2", [1, 100, 1472])
        with tenant:
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        tagged = bytes(
            Ether(src="52:54:00:00:00:01", dst="52:54:00:00:00:0a")
            / Dot1Q(vlan=77, prio=3)
            / IP(src="192.0.2.1", dst="192.0.2.9")
            / UDP(sport=1, dport=2)
            / Raw(b"tagged" * 10)
        )
        with raw:
            raw.bind(("vt", 0))
            raw.send(tagged)
            end = time.monotonic() + WAIT
            while tagged not in (frames := [frame.data for frame in read_capture(capture).frames]):
                assert time.monotonic() < end, frames
                time.sleep(0.2)
        process.terminate()
        assert process.wait(30) == 0, log_path.read_text()
        assert re.search(r"^underlay: \d+ frames", log_path.read_text(), re.MULTILINE)
        datagrams = [frame for frame in frames if frame[12:14] == b"\x08\x00" and frame[23] == 17]
        assert len(datagrams) >= 6, "three sizes, there and back"
        for frame in datagrams:
            packet = Ether(frame)
            before = packet[UDP].chksum
            del packet[UDP].chksum
            assert Ether(bytes(packet))[UDP].chksum == before, "a checksum was left undone"
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        for space in joined:
            space.close()


def wait_for(log: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 900
    while not re.search(r"^live: ", log.read_text(), re.MULTILINE):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_vtep_ctl_changes_the_core_while_frames_flow(config: Path, tmp_path: Path) -> None:
    way = tmp_path / "vtep.sock"
    changed = tmp_path / "changed.toml"
    changed.write_text(CONFIG.replace("id = 100", "id = 200"))

    def control(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name("vtep-ctl"), "--via", f"unix:{way}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    with LiveLab(config, ["--socket", str(way)]) as lab:
        bring_up(lab)
        echo(lab.tenant, lab.peer, "192.0.2.2", [100])
        verified = control("verify", config)
        assert verified.returncode == 0, verified
        with flowing(lab.tenant, "tenant") as flow:
            applied = control("apply", changed)
        assert applied.returncode == 0, applied
        assert flow.sent > 100
        lab.peer.run("ip link del vx")
        lab.peer.run("ip link add vx type vxlan id 200 dstport 4789 local 10.0.0.2 remote 10.0.0.1 dev underlay")
        lab.peer.run("ip address add 192.0.2.2/24 dev vx")
        lab.peer.run("ip link set vx up")
        lab.tenant.run("ip neighbor flush all")
        echo(lab.tenant, lab.peer, "192.0.2.2", [100])
        counted = control("counters", "--json")
        assert counted.returncode == 0, counted
        report = lab.stop()
    assert not way.exists()
    told, counts = json.loads(counted.stdout), report["ports"]["tenant"]
    lost = counts["overrun"] + counts["kernel_lost"]
    assert flow.sent <= told["tenant_rx_frames"] + lost <= counts["frames_in"] + lost
    # Each of the flow found the old VNI, or the new one, or none while that was changed.
    passed = report["counters"]["underlay_tx_frames"] + report["counters"]["no_vni"] + report["counters"]["no_tunnel"]
    assert passed >= flow.sent - lost


@dataclass
class Flow:
    """Frames that a tenant sends all the time; ``sent``: how many the interface took."""

    sent: int = 0


@contextmanager
def flowing(space: Namespace, device: str) -> Iterator[Flow]:
    """Meanwhile send a frame each two milliseconds; some have gone before anything is done."""
    flow, ended = Flow(), threading.Event()
    with space:
        line = PacketSocket(device)
    frame = bytes(Ether(src="52:54:00:00:00:01", dst="52:54:00:00:00:0a", type=0x88B5) / Raw(bytes(200)))

    def send() -> None:
        while not ended.wait(0.002):
            flow.sent += line.send(frame)

    with closing(line):
        sender = threading.Thread(target=send)
        sender.start()
        try:
            time.sleep(0.5)
            yield flow
        finally:
            ended.set()
            sender.join()


@pytest.mark.full
@pytest.mark.slow
def test_a_waveform_around_a_drop(config: Path, tmp_path: Path) -> None:
    waves = tmp_path / "w.fst"
    options = ["--waves", str(waves), "--waves-at", "unknown_vni", "--waves-clocks", "2000"]
    with LiveLab(config, options) as lab:
        bring_up(lab)
        echo(lab.tenant, lab.peer, "192.0.2.2", [1500] * 20)  # some thousand clocks
        lab.peer.run("ip link add stray type vxlan id 999 dstport 4789 local 10.0.0.2 remote 10.0.0.1 dev underlay")
        lab.peer.run("ip link set stray up")
        lab.peer.run("ip address add 198.51.100.2/24 dev stray")
        lab.peer.run("ip neighbor add 198.51.100.9 lladdr 52:54:00:00:00:0a dev stray")
        with lab.peer:
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with line:
            line.sendto(b"astray", ("198.51.100.9", 9))
        echo(lab.tenant, lab.peer, "192.0.2.2", [1500] * 30)
        report = lab.stop()
        assert report["counters"]["unknown_vni"] >= 1
        found = re.search(r"waveform around clock (\d+)", lab.log())
        assert found
    event, (first, last) = int(found[1]), clocks_of(waves)
    before = waves.with_stem("w-before")
    if before.exists():
        first, middle = clocks_of(before)
        assert middle <= event
    assert first < event < last
    assert last - first >= 2000
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


IDLE_SECONDS = 2 * PLAIN_SECONDS + 1
"""In which a session without a terminal tells twice how it is."""
PERIOD = 6400
"""Picoseconds of a clock in the waveforms: 156.25 MHz."""


def clocks_of(waves: Path) -> tuple[int, int]:
    """First and last clock of an FST file, from its header."""
    head = waves.read_bytes()[:25]
    assert head[0] == 0, "a header block"
    return int.from_bytes(head[9:17]) // PERIOD, int.from_bytes(head[17:25]) // PERIOD


@pytest.mark.slow
def test_an_idle_core_does_not_use_the_processor(config: Path) -> None:
    with LiveLab(config) as lab:
        for space, name in ((lab.tenant, "tenant"), (lab.peer, "underlay"), (lab.host, "host")):
            space.sysctl(f"net/ipv6/conf/{name}/disable_ipv6", 1)
        bring_up(lab)
        echo(lab.tenant, lab.peer, "192.0.2.2", [100] * 50)
        busy = processor_seconds(lab.pid)
        time.sleep(IDLE_SECONDS)
        assert processor_seconds(lab.pid) - busy < IDLE_SECONDS / 10, "for its display"


def processor_seconds(pid: int) -> float:
    """Seconds that a process has computed, by `/proc`."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_a_lab_that_is_ended(config: Path, number: signal.Signals) -> None:
    # Where this was started in the background, SIGINT is ignored, also by what it starts.
    script = (
        "import signal, sys, time; from pathlib import Path; from vtep_sim.live.lab import LiveLab\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with LiveLab(Path(sys.argv[1])) as lab: print(lab.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(config)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        live = Path("/proc", process.stdout.readline().strip())
        assert str(config) in (live / "cmdline").read_text()
        made = {(live / "ns" / "net").readlink(), *held(process.pid)}
        assert len(made) == 4, "core, tenant, peer, host"
        process.send_signal(number)
        process.wait(30)
    end = time.monotonic() + WAIT
    while live.exists() or made & spaces():
        assert time.monotonic() < end, "it is still there"
        time.sleep(0.1)


def held(pid: str | int) -> set[Path]:
    """Network namespaces that a process has opened."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            target = path.readlink()
            if target.name.startswith("net:"):
                found.add(target)
    return found


def of_another_worker(process: int) -> bool:
    """Whether a process descends from another one of pytest-xdist's workers: it tests something else."""
    while process > 1 and "PYTEST_XDIST_WORKER" in os.environ:
        parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        if parent == os.getppid():
            return process != os.getpid()
        process = parent
    return False


def spaces() -> set[Path]:
    """Network namespaces that any process is in, or has opened, but for those of tests beside this one."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if of_another_worker(int(process.name)):
                continue
            found.add((process / "ns" / "net").readlink())
            found |= held(process.name)
    return found


@pytest.mark.slow
def test_a_device_that_vanishes_is_told(config: Path) -> None:
    with LiveLab(config) as lab:
        bring_up(lab)
        echo(lab.tenant, lab.peer, "192.0.2.2", [100])
        lab.tenant.run("ip link del tenant")
        echo(lab.peer, lab.host, "10.0.0.1", [10])
        report = lab.stop()
        assert "tenant: the TAP device is gone" in lab.log()
    assert report["ports"]["tenant"]["frames_in"] > 0


@pytest.mark.slow
def test_a_flood_is_taken_or_counted(config: Path) -> None:
    """More than the simulation can take: each frame is in the core, or in a counter of what was lost."""
    count = 20_000
    with LiveLab(config, ["--ring", "1"]) as lab:
        for space, name in ((lab.tenant, "tenant"), (lab.peer, "underlay"), (lab.host, "host")):
            space.sysctl(f"net/ipv6/conf/{name}/disable_ipv6", 1)
            space.run(f"ip link set {name} up")
        with lab.tenant:
            line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with line:
            line.bind(("tenant", 0))
            line.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)  # a queue of the sender's own would lose some, too
            head = bytes(Ether(src="52:54:00:00:00:01", dst="52:54:00:00:00:0a", type=0x88B5))
            for number in range(count):
                with suppress(OSError):  # the device's queue was full, which it counts
                    line.send(head + number.to_bytes(4) * 20)
        report = lab.stop()
    counts, counters = report["ports"]["tenant"], report["counters"]
    assert counts["frames_in"] + counts["overrun"] + counts["kernel_lost"] + counts["left_out"] == count
    assert counts["overrun"] + counts["kernel_lost"] > 0, "it was no flood"
    assert counters["tenant_rx_frames"] == counts["frames_in"] > 10
    sent = report["ports"]["underlay"]
    assert sent["frames_out"] + sent["refused"] == counters["underlay_tx_frames"]


def test_an_interface_that_was_removed_is_told_apart_from_one_that_is_down() -> None:
    with closing(Namespace()) as space:
        space.run("ip link add name here type veth peer name there")
        with space:
            joined = PacketSocket("here")
        with closing(joined):
            assert joined.receive() is None
            space.run("ip link set here up")
            assert joined.receive() is None
            space.run("ip link set here down")
            assert [joined.receive(), joined.receive()] == [None, None]
            space.run("ip link del here")

            def receive_again() -> None:
                for _ in range(3):
                    joined.receive()

            with pytest.raises(InterfaceError, match="the interface here is gone"):
                receive_again()


def test_a_core_that_cannot_start_says_why(tmp_path: Path) -> None:
    path = tmp_path / "vtep.toml"
    path.write_text("[vtep]\n")
    with pytest.raises(CommandError, match=r"(?s)vtep-sim live does not start: .*mac"):
        LiveLab(path)


@pytest.mark.slow
def test_a_demonstration_that_fails_goes_on_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before, labs = spaces(), []

    def failing(lab: LiveLab, _family: int, over: str, attempt: demo.Attempt) -> None:
        labs.append(lab.pid)
        attempt(f"{over}: a step", lambda: lab.peer.run("false"))

    monkeypatch.setattr(demo, "TOOLS", {})
    monkeypatch.setattr(demo, "_pings", failing)
    monkeypatch.setattr(demo, "_transfers", lambda *_: None)
    result = CliRunner().invoke(app, ["live-demo"], catch_exceptions=False)
    assert result.exit_code == 1, result.output
    assert result.output.count("FAILED    IPv") == 2
    assert result.output.count("the core ends and reports: ") == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in labs)
    assert spaces() <= before


@pytest.mark.slow
def test_a_demonstration_that_breaks_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = spaces()

    def breaking(*_: object) -> None:
        raise CommandError("nothing goes")

    monkeypatch.setattr(demo, "TOOLS", {})
    monkeypatch.setattr(demo, "_set_up", breaking)
    result = CliRunner().invoke(app, ["live-demo"], catch_exceptions=False)
    assert result.exit_code == 3, result.output
    assert "nothing goes" in result.output
    assert spaces() <= before


@pytest.mark.full
@pytest.mark.slow
def test_the_demonstration_passes() -> None:
    if missing := what_is_missing(TOOLS):
        pytest.skip(missing)
    steps = live_demo(megabytes=2, seconds=2)
    assert [step for step in steps if step.passed is False] == []
    assert len(steps) == 24
