"""Signals that end a loop between two of its steps, and not within one."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "until_interrupted"]


class Interrupt:
    """Whether SIGINT or SIGTERM came: call it.

    A selector may watch it, as Python goes on waiting behind a signal: it is readable from any signal on, until it is
    cleared.
    """

    def __init__(self, wake: socket.socket) -> None:
        self._wake = wake
        self.came = False

    def __call__(self) -> bool:
        return self.came

    def fileno(self) -> int:
        """File descriptor."""
        return self._wake.fileno()

    def clear(self) -> None:
        """Be readable no more, until the next signal."""
        try:
            while self._wake.recv(1 << 10):
                pass
        except BlockingIOError:
            pass


@contextmanager
def until_interrupted() -> Iterator[Interrupt]:
    """Give what tells whether SIGINT or SIGTERM came, which do no more meanwhile."""
    near, far = socket.socketpair()
    with near, far:
        for end in (near, far):
            end.setblocking(False)
        interrupt = Interrupt(near)

        def note(_number: int, _frame: FrameType | None) -> None:
            interrupt.came = True

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        woken = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
        try:
            yield interrupt
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
