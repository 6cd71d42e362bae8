"""Signals end a loop between two steps, and wake it where it waits."""

import os
import signal
import threading
import time
from selectors import EVENT_READ, DefaultSelector

import pytest

from vtep_host.interrupt import until_interrupted

PATIENCE = 30.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_wakes_who_waits(number: signal.Signals) -> None:
    """Python goes on waiting where a handler returns."""
    before = signal.getsignal(number)
    with until_interrupted() as interrupt, DefaultSelector() as selector:
        selector.register(interrupt, EVENT_READ)
        assert not interrupt()
        thread = threading.Timer(0.1, os.kill, (os.getpid(), number))
        thread.start()
        started = time.monotonic()
        assert selector.select(PATIENCE)
        assert time.monotonic() - started < PATIENCE / 2
        assert interrupt()
        interrupt.clear()
        assert not selector.select(0)
        thread.join()
    assert signal.getsignal(number) == before


def test_other_signals_wake_and_end_nothing() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with until_interrupted() as interrupt, DefaultSelector() as selector:
            selector.register(interrupt, EVENT_READ)
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGUSR1)
                assert selector.select(PATIENCE)
                interrupt.clear()
                assert not selector.select(0)
            assert not interrupt()
    finally:
        signal.signal(signal.SIGUSR1, before)
