"""A simulated core behind a Unix socket, in the frames of a serial line: its registers are reached as those of a board.

A connection is a line of its own; commands of several are carried out as they come.
"""

import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

from vtep.control.bone_frame import ADDRESS_BYTES, HEAD_BYTES, SILENCE, Command
from vtep.control.register_map import WORD_BITS, WORD_BYTES
from vtep_host.transport import AccessRefusedError, Transport

from .harness import PORTS, Simulator
from .harness.simulator import FrameLike

__all__ = ["BoneDecoder", "ServeError", "serve"]

PERIOD = 0.05
"""Seconds between two portions of traffic."""


class ServeError(Exception):
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


def serve(
    simulator: Simulator,
    path: Path,
    *,
    traffic: Mapping[str, Sequence[FrameLike]] | None = None,
    rate: float = 1000.0,
    ready: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Give a core's registers to whoever connects to the socket at ``path``, until ``stop`` or an interrupt.

    Parameters
    ----------
    simulator : Simulator
    path : Path
        Where the socket is made; it is removed in the end.
    traffic : mapping or None
        Frames by input port, which go in again and again; what leaves is forgotten.
    rate : float
        Frames a second at each of these ports.
    ready : callable
        Called when the socket is there.
    stop : callable
        Asked now and then.

    Raises
    ------
    ServeError
        The socket cannot be made.
    SimulationError
        The core hung or broke the rules of a port.
    """
    feeds = {port: cycle(frames) for port, frames in (traffic or {}).items() if frames}
    with _listening(path) as listener:
        ready()
        lines: dict[socket.socket, BoneDecoder] = {}
        following = time.monotonic()
        while not stop():
            readable, _, _ = select.select([listener, *lines], [], [], PERIOD)
            for line in readable:
                if line is listener:
                    made, _ = listener.accept()
                    lines[made] = BoneDecoder(simulator.transport)
                elif not _answer(line, lines[line]):
                    del lines[line]
                    line.close()
            if feeds and time.monotonic() >= following:
                following = time.monotonic() + PERIOD
                count = max(1, round(rate * PERIOD))
                simulator.run(*(list(islice(feeds.get(port, ()), count)) for port in PORTS))
        for line in lines:
            line.close()


def _answer(line: socket.socket, decoder: BoneDecoder) -> bool:
    """Answer what came; whether the line is still there."""
    try:
        octets = line.recv(1 << 16)
        if octets:
            line.sendall(decoder.feed(octets, time.monotonic()))
    except OSError:
        return False
    return bool(octets)


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            if path.is_socket() and not _alive(path):
                path.unlink()  # of a simulation that was killed
            listener.bind(str(path))
        except OSError as error:
            raise ServeError(f"cannot make the socket {path}: {error.strerror or error}") from error
        try:
            listener.listen()
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
