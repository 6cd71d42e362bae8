"""The mailbox's driver, and ``vtep-ctl host``, which joins a gateway's host port to a network interface."""

import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.fake_device import FakeDevice
from helpers.fake_gateway import FakeGateway
from vtep.config import VtepParameters
from vtep_host import remote
from vtep_host.device import WrongDeviceError
from vtep_host.gateway import Gateway
from vtep_host.interfaces.interface import InterfaceError, Setup
from vtep_host.mailbox import Mailbox

from .test_adopt import Real
from .test_gateway import idle
from .test_remote import CONFIG, PARAMETERS, Run, run, served

__all__ = ["run"]

MAILBOX = 2000
MAC = bytes.fromhex("020000000001")


class Wire:
    """A network interface that is a pair of sockets; ``far`` is its other end. It takes no frame that begins with 0."""

    name = "wire"

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.near.setblocking(False)
        self.far.settimeout(5)
        self.closed = False

    def fileno(self) -> int:
        return self.near.fileno()

    def receive(self) -> bytes | None:
        try:
            frame = self.near.recv(1 << 16)
        except BlockingIOError:
            return None
        if frame == b"gone":
            raise InterfaceError("the interface wire is gone")
        return frame

    def send(self, frame: bytes) -> bool:
        return bool(frame[0]) and self.near.send(frame) == len(frame)

    def lost(self) -> int:
        return 0

    def hint(self) -> str:
        return ""

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def fake() -> FakeGateway:
    """A gateway with a mailbox."""
    return FakeGateway(idle(Real(PARAMETERS, tells=False)), neighbors=0, mailbox=MAILBOX, lag=2)


@pytest.fixture
def gateway(fake: FakeGateway, run: Run, tmp_path: Path) -> Iterator[FakeGateway]:
    """It is at ``unix:vtep.sock``, and has a configuration."""
    with served(fake, tmp_path / "vtep.sock"):  # type: ignore[arg-type]
        assert run("apply vtep.toml")[0] == 0
        yield fake


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    made = Wire()

    def opened(text: str, setup: Setup) -> Wire:
        assert (text, setup) == ("tap:vtep0", Setup(MAILBOX - 14, MAC))
        return made

    monkeypatch.setattr(remote, "open_interface", opened)
    with made.near, made.far:
        yield made


def test_the_driver(rng: random.Random, fake: FakeGateway) -> None:
    mailbox = Mailbox(Gateway(fake))
    assert mailbox.longest == MAILBOX
    assert mailbox.receive() is None
    frames = [rng.randbytes(length) for length in (1, 4, 14, 60, 61, 62, 63, MAILBOX)]
    fake.waiting = frames.copy()
    fake.written = b"left behind."
    for frame in frames:
        assert mailbox.receive() == frame
        mailbox.send(frame)
    assert mailbox.receive() is None
    assert fake.sent == frames
    for wrong in (b"", bytes(MAILBOX + 1)):
        with pytest.raises(ValueError, match=r"must have 1 \.\. 2000 bytes"):
            mailbox.send(wrong)
    with pytest.raises(WrongDeviceError, match="local stack"):
        Mailbox(Gateway(FakeGateway(FakeDevice(VtepParameters()))))


def test_frames_are_carried_both_ways(rng: random.Random, run: Run, gateway: FakeGateway, wire: Wire) -> None:
    out = [b"\1" + rng.randbytes(length) for length in (13, 59, 1513)]
    into = [rng.randbytes(length) for length in (14, 60, MAILBOX)]
    gateway.waiting = [out[0], b"\0 is not taken", *out[1:]]
    for frame in (into[0], bytes(MAILBOX + 1), *into[1:]):
        wire.far.send(frame)
    code, said, err = run("host tap:vtep0 --seconds 0.5")
    assert (code, err) == (0, "")
    assert gateway.sent == into
    assert [wire.far.recv(1 << 16) for _ in out] == out
    assert said.splitlines() == [
        "host: tap:vtep0 is joined to the host port; Ctrl-C ends it",
        "4 frames from the gateway, 3 to it; 1 not taken by the interface, 1 too long for the gateway",
    ]
    assert wire.closed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(run: Run, gateway: FakeGateway, wire: Wire, number: int) -> None:
    before = signal.getsignal(number)

    def interrupt() -> None:
        gateway.waiting.append(b"\1 comes")
        wire.far.recv(1 << 16)  # it runs
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    code, said, _ = run("host tap:vtep0")
    thread.join()
    assert code == 0
    assert "1 frames from the gateway" in said
    assert signal.getsignal(number) is before


def test_an_idle_gateway_is_asked_now_and_then(run: Run, gateway: FakeGateway, wire: Wire) -> None:
    """But what the interface has goes at once, and the end comes in time."""
    gateway.log.clear()
    thread = threading.Timer(0.5, wire.far.send, [b"\1 goes"])
    thread.start()
    run("host tap:vtep0 --seconds 2 --pause 300")
    thread.join()
    assert gateway.sent == [b"\1 goes"]
    # At the beginning, with the frame, and behind it.
    assert sum(name == "HOST_LENGTH" for name, _ in gateway.log) == 3


def test_an_interface_that_is_gone_ends_it(run: Run, gateway: FakeGateway, wire: Wire) -> None:
    wire.far.send(b"gone")
    code, said, err = run("host tap:vtep0")
    assert (code, err) == (3, "vtep-ctl: the interface wire is gone\n")
    assert "0 frames from the gateway" in said
    assert wire.closed


@pytest.mark.usefixtures("gateway")
def test_what_is_no_interface_is_refused(run: Run) -> None:
    code, out, err = run("host eth0")
    assert (code, out) == (2, "")
    assert "names no interface: tap:NAME for a new TAP device" in err


OTHERS = [(4, "has a local stack"), (0, "has a port of its own"), (None, "no gateway around this core")]


@pytest.mark.parametrize(("neighbors", "reason"), OTHERS)
def test_other_devices_are_refused(run: Run, tmp_path: Path, neighbors: int | None, reason: str) -> None:
    core = idle(Real(PARAMETERS, tells=False))
    device = core if neighbors is None else FakeGateway(core, neighbors=neighbors)
    with served(device, tmp_path / "vtep.sock"):  # type: ignore[arg-type]
        code, out, err = run("host tap:vtep0")
    assert (code, out) == (3, "")
    assert reason in err


def test_a_configuration_needs_all_mac_addresses(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    """Nobody would find them out."""
    (tmp_path / "open.toml").write_text(CONFIG.replace('remote_mac = "02:00:00:00:00:02"\n', ""))
    code, _, err = run("apply open.toml")
    assert code == 2
    assert "remote_mac" in err
    assert gateway.held() == {}
