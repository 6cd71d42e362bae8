"""A gateway's host port at a network interface of this machine, whose stack then is the gateway's host."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from typing import Protocol

from .interfaces.interface import Interface

__all__ = ["Carried", "Frames", "carry"]

SLICE = 0.1
"""Seconds of waiting at once; then it is seen whether the end has come."""


class Frames(Protocol):
    """What `Mailbox` is here."""

    longest: int

    def receive(self) -> bytes | None:
        """Take the next frame; None where there is none."""

    def send(self, frame: bytes) -> None:
        """Send a frame of up to ``longest`` bytes."""


@dataclass
class Carried:
    """Frames from the device and to it; those that the interface did not take, and those too long for the device."""

    received: int = 0
    sent: int = 0
    refused: int = 0
    left_out: int = 0


def carry(mailbox: Frames, interface: Interface, carried: Carried, *, pause: float, ended: Callable[[], bool]) -> None:
    """Carry frames both ways until ``ended`` tells so, one at a time, as fast as the line to the device is.

    Parameters
    ----------
    mailbox : Mailbox
    interface : Interface
    carried : Carried
        Counted meanwhile.
    pause : float
        Seconds until the device is asked again where there was nothing; a frame of the interface goes at once.
    ended : callable

    Raises
    ------
    InterfaceError
        The interface was removed.
    TransportError, DeviceTimeoutError
        The device or the way to it failed.
    """
    with DefaultSelector() as selector:
        selector.register(interface, EVENT_READ)
        idle_until = 0.0
        while not ended():
            rest = idle_until - time.monotonic()
            ready = selector.select(max(0.0, min(rest, SLICE)))
            if not ready and rest > SLICE:
                continue
            frame = interface.receive() if ready else None
            came = mailbox.receive()
            if frame is not None:
                if 0 < len(frame) <= mailbox.longest:
                    mailbox.send(frame)
                    carried.sent += 1
                else:
                    carried.left_out += 1
            if came is not None:
                carried.received += 1
                carried.refused += not interface.send(came)
            idle_until = time.monotonic() + pause if frame is None and came is None else 0.0
