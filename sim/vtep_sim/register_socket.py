"""A simulated core's registers behind a Unix socket, in the frames of a serial line: reached as those of a board.

A connection is a line of its own; commands of several are carried out as they come.
"""

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from types import TracebackType
from typing import Self

from vtep.control.bone_frame import ADDRESS_BYTES, HEAD_BYTES, SILENCE, Command
from vtep.control.register_map import WORD_BITS, WORD_BYTES
from vtep_host.transport import AccessRefusedError, Transport

__all__ = ["BoneDecoder", "RegisterSocket", "SocketError"]


COMMAND_BYTES = 1 << 8
"""Taken at once: some tens of commands, so that none holds up frames for long."""


class SocketError(Exception):
    """The socket cannot be had; the message says why."""


class BoneDecoder:
    """Carries out the commands in a stream of bytes, as `vtep.control.uart_bone.UartBone` does.

    Parameters
    ----------
    transport : Transport
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting = b""
        self._noise = False
        self._last = 0.0

    def feed(self, octets: bytes, now: float) -> bytes:
        """Take what came at the time ``now``, in seconds; return what is to be answered."""
        if now - self._last >= SILENCE:
            self._waiting, self._noise = b"", False
        self._last = now
        if self._noise:
            return b""
        self._waiting += octets
        answer = b""
        while len(self._waiting) >= HEAD_BYTES:
            code, count = self._waiting[:2]
            if code not in set(Command) or not count:
                self._waiting, self._noise = b"", True
                break
            writes = code in (Command.WRITE, Command.WRITE_FIXED)
            size = HEAD_BYTES + WORD_BYTES * count * writes
            if len(self._waiting) < size:
                break
            command, self._waiting = self._waiting[:size], self._waiting[size:]
            answer += self._carry_out(Command(code), count, command)
        return answer

    def resume(self, now: float) -> None:
        """Take it that nothing could come until ``now``: that was no silence."""
        self._last = now

    def _carry_out(self, code: Command, count: int, command: bytes) -> bytes:
        place = int.from_bytes(command[2 : 2 + ADDRESS_BYTES])
        answer = b""
        for i in range(count):
            address = (place + (0 if code in (Command.WRITE_FIXED, Command.READ_FIXED) else i)) * WORD_BYTES
            start = HEAD_BYTES + WORD_BYTES * i
            try:
                if code in (Command.WRITE, Command.WRITE_FIXED):
                    self._transport.write(address, int.from_bytes(command[start : start + WORD_BYTES]))
                else:
                    answer += self._transport.read(address).to_bytes(WORD_BYTES)
            except AccessRefusedError:
                if code in (Command.READ, Command.READ_FIXED):
                    answer += ((1 << WORD_BITS) - 1).to_bytes(WORD_BYTES)
        return answer


@dataclass
class _Line:
    """A connection: its commands, and what of the answers it has not taken yet."""

    decoder: BoneDecoder
    waiting: bytes = b""


class RegisterSocket:
    """The socket and its connections, which a selector watches. A context manager; in the end the socket is removed.

    Parameters
    ----------
    path : Path
        Where the socket is made.
    transport : Transport
        To the registers.
    selector : selectors.BaseSelector
        Events of this socket carry it as their data: hand them to `handle`.

    Attributes
    ----------
    used : bool
        Whether anybody ever connected.

    Raises
    ------
    SocketError
        The socket cannot be made.
    """

    def __init__(self, path: Path, transport: Transport, selector: BaseSelector) -> None:
        self.used = False
        self._path = path
        self._transport = transport
        self._selector = selector
        self._lines: dict[socket.socket, _Line] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            if path.is_socket() and not _alive(path):
                path.unlink()  # of a simulation that was killed
            self._listener.bind(str(path))
        except OSError as error:
            self._listener.close()
            raise SocketError(f"cannot make the socket {path}: {error.strerror or error}") from error
        self._listener.listen()
        selector.register(self._listener, EVENT_READ, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in [self._listener, *self._lines]:
            self._selector.unregister(line)
            line.close()
        self._path.unlink(missing_ok=True)

    @property
    def connected(self) -> bool:
        """Whether somebody is connected now: nobody else may then use the registers, as most uses take several."""
        return bool(self._lines)

    def handle(self, line: object) -> None:
        """Do what an event of the selector asks for; ``line`` is its ``fileobj``."""
        if line is self._listener:
            made, _ = self._listener.accept()
            made.setblocking(False)
            self._lines[made] = _Line(BoneDecoder(self._transport))
            self._selector.register(made, EVENT_READ, self)
            self.used = True
        elif isinstance(line, socket.socket):
            state = self._lines[line]
            if _answer(line, state):
                # Who does not take answers is asked for no commands.
                self._selector.modify(line, EVENT_WRITE if state.waiting else EVENT_READ, self)
            else:
                del self._lines[line]
                self._selector.unregister(line)
                line.close()


def _answer(line: socket.socket, state: _Line) -> bool:
    """Answer what came, or go on with that; whether the line is still there."""
    try:
        if not state.waiting:
            octets = line.recv(COMMAND_BYTES)
            if not octets:
                return False
            state.waiting = state.decoder.feed(octets, time.monotonic())
        if state.waiting:
            state.waiting = state.waiting[line.send(state.waiting) :]
            state.decoder.resume(time.monotonic())
    except BlockingIOError:
        pass
    except OSError:
        return False
    return True


def _alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
