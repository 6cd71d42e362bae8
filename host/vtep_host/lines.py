"""Lines to a device, by the text of ``--via``: a serial port, a TCP port that leads to one, a simulation's socket."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import serial

from vtep.control.bone_frame import SILENCE

from .transport import Transport, TransportError
from .uart_bone import UartBone

__all__ = ["FORMS", "ViaError", "open_via"]

FORMS = "serial:DEVICE[@BAUD], tcp:HOST:PORT or unix:PATH"
DEFAULT_BAUD = 115_200
TIMEOUT = 2.0
"""Seconds to wait for an answer."""

GRACE = 1.5
"""How much longer than the device we take for a silence."""


class ViaError(ValueError):
    """The text names no way to a device."""


@contextmanager
def open_via(via: str) -> Iterator[Transport]:
    """Open the way to a device that ``via`` names, as `FORMS` has it, and close it at the end.

    Raises
    ------
    ViaError
        It names none.
    TransportError
        It cannot be opened.
    """
    kind, _, rest = via.partition(":")
    if kind == "serial" and (match := re.fullmatch(r"(.+?)(?:@(\d+))?", rest)):
        line: _SerialLine | _SocketLine = _SerialLine(match[1], int(match[2] or DEFAULT_BAUD))
    elif kind == "tcp" and (match := re.fullmatch(r"\[?(.+?)\]?:(\d{1,5})", rest)):
        line = _SocketLine(lambda: socket.create_connection((match[1], int(match[2])), TIMEOUT), via, SILENCE * GRACE)
    elif kind == "unix" and rest:
        line = _SocketLine(lambda: _connect_unix(rest), via, 0.0)
    else:
        raise ViaError(f"{via!r} names no way to a device; it must be {FORMS}")
    try:
        yield UartBone(line)
    finally:
        line.close()


def _connect_unix(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made


class _SerialLine:
    def __init__(self, device: str, baud: int) -> None:
        self._name = f"serial:{device}"
        try:
            self._port = serial.Serial(device, baud, timeout=TIMEOUT, write_timeout=TIMEOUT, exclusive=True)
        except (serial.SerialException, ValueError, OSError) as error:
            raise TransportError(f"cannot open {self._name}: {error}") from error

    def send(self, octets: bytes) -> None:
        try:
            self._port.write(octets)
        except (serial.SerialException, OSError) as error:
            raise TransportError(f"{self._name}: {error}") from error

    def receive(self, count: int) -> bytes:
        try:
            return bytes(self._port.read(count))
        except (serial.SerialException, OSError) as error:
            raise TransportError(f"{self._name}: {error}") from error

    def drain(self) -> None:
        try:
            self._port.flush()
            time.sleep(SILENCE * GRACE)
            self._port.reset_input_buffer()
        except (serial.SerialException, OSError) as error:
            raise TransportError(f"{self._name}: {error}") from error

    def close(self) -> None:
        self._port.close()


class _SocketLine:
    """``silence``: seconds, where a serial line lies behind the socket."""

    def __init__(self, connect: Callable[[], socket.socket], name: str, silence: float) -> None:
        self._name = name
        self._silence = silence
        try:
            self._socket = connect()
        except OSError as error:
            raise TransportError(f"cannot open {name}: {error.strerror or error}") from error
        self._socket.settimeout(TIMEOUT)

    def send(self, octets: bytes) -> None:
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise TransportError(f"{self._name}: {error.strerror or error}") from error

    def receive(self, count: int) -> bytes:
        octets = b""
        try:
            while len(octets) < count and (more := self._socket.recv(count - len(octets))):
                octets += more
        except TimeoutError:
            pass
        except OSError as error:
            raise TransportError(f"{self._name}: {error.strerror or error}") from error
        return octets

    def drain(self) -> None:
        time.sleep(self._silence)
        self._socket.setblocking(False)
        try:
            while self._socket.recv(1 << 16):
                pass
        except BlockingIOError:
            pass
        except OSError as error:
            raise TransportError(f"{self._name}: {error.strerror or error}") from error
        finally:
            self._socket.settimeout(TIMEOUT)

    def close(self) -> None:
        self._socket.close()
