"""A simulated core whose registers `vtep-ctl` reaches, with traffic from captures again and again."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from selectors import DefaultSelector

from .harness import PORTS, Simulator
from .harness.simulator import FrameLike
from .register_socket import RegisterSocket

__all__ = ["serve"]

PERIOD = 0.05
"""Seconds between two portions of traffic."""


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
    SocketError
        The socket cannot be made.
    SimulationError
        The core hung or broke the rules of a port.
    """
    feeds = {port: cycle(frames) for port, frames in (traffic or {}).items() if frames}
    with DefaultSelector() as selector, RegisterSocket(path, simulator.transport, selector) as registers:
        ready()
        following = time.monotonic()
        while not stop():
            for key, _ in selector.select(PERIOD):
                registers.handle(key.fileobj)
            if feeds and time.monotonic() >= following:
                following = time.monotonic() + PERIOD
                count = max(1, round(rate * PERIOD))
                simulator.run(*(list(islice(feeds.get(port, ()), count)) for port in PORTS))
