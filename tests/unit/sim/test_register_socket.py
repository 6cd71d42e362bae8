"""Registers behind a Unix socket: who does not take the answers holds up nobody."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from selectors import BaseSelector, DefaultSelector

import pytest

from vtep_sim.register_socket import RegisterSocket

READS, WORDS = 600, 255


class Words:
    """A transport on which every register holds its address."""

    def read(self, address: int) -> int:
        return address

    def write(self, address: int, value: int) -> None:
        raise AssertionError


@pytest.fixture
def selector() -> Iterator[BaseSelector]:
    with DefaultSelector() as selector:
        yield selector


def turn(selector: BaseSelector) -> None:
    for key, _ in selector.select(0):
        key.data.handle(key.fileobj)


def read_command(number: int) -> bytes:
    return bytes([2, WORDS]) + number.to_bytes(4)


def answer(number: int) -> bytes:
    return b"".join((4 * (number + word)).to_bytes(4) for word in range(WORDS))


def test_who_does_not_read_waits_alone(tmp_path: Path, selector: BaseSelector) -> None:
    with RegisterSocket(tmp_path / "s", Words(), selector), socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(tmp_path / "s"))
        lazy.setblocking(False)
        commands, sent = b"".join(map(read_command, range(READS))), 0
        longest = 0.0
        for _ in range(300):
            with suppress(BlockingIOError):
                sent += lazy.send(commands[sent:])
            started = time.monotonic()
            turn(selector)
            longest = max(longest, time.monotonic() - started)
        assert longest < 5, "a step waited for somebody to read"
        # Another one is served meanwhile.
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(tmp_path / "s"))
            other.sendall(read_command(7))
            other.setblocking(False)
            told = b""
            while len(told) < 4 * WORDS:
                turn(selector)
                with suppress(BlockingIOError):
                    told += other.recv(1 << 16)
            assert told == answer(7)
        # And who reads in the end has everything, in order.
        wanted, told = b"".join(map(answer, range(READS))), b""
        end = time.monotonic() + 60
        while len(told) < len(wanted):
            assert time.monotonic() < end, f"{len(told)} bytes of {len(wanted)}"
            if sent < len(commands):
                with suppress(BlockingIOError):
                    sent += lazy.send(commands[sent:])
            turn(selector)
            with suppress(BlockingIOError):
                told += lazy.recv(1 << 20)
        assert told == wanted
