"""Moves frames between interfaces and the simulated core, as fast as the simulation allows.

The core's clock stands still while there is nothing for it to do: the simulation is no model of time between frames.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from selectors import EVENT_READ, BaseSelector

from vtep_host.interfaces.interface import InterfaceError
from vtep_host.interrupt import Interrupt

from ..harness import PORTS, Simulator
from ..register_socket import RegisterSocket
from .ports import InputFrame, LivePort

__all__ = ["Engine", "Pace"]

STEP_SECONDS = 0.001
"""How long the simulation should go on before interfaces are looked at again: it adds to the delay of a frame."""
LEAST_STEP, MOST_STEP = 64, 1 << 16
"""Clocks."""
BURST = 64
"""Frames that are taken from an interface at once."""
WAITING = 1 << 16
"""More frames than wait in front of an interface."""


@dataclass
class Pace:
    """How the simulation goes: clocks simulated, and seconds spent on it."""

    clocks: int = 0
    seconds: float = 0.0


class Engine:
    """The loop around a simulator and the interfaces.

    Parameters
    ----------
    simulator : Simulator
        Configured, and idle.
    ports : mapping of str to LivePort
        All three.
    selector : selectors.BaseSelector
        Watches the interfaces from here on; may watch a `RegisterSocket` and an `Interrupt` too.
    pace : Pace or None
        What is added up; None: one of its own.
    ring : int
        Frames, 1 or more, that wait in front of each port at most; further ones are lost, and counted.
    message : callable
        Told when an interface is gone; its port goes on without one.
    """

    def __init__(
        self,
        simulator: Simulator,
        ports: Mapping[str, LivePort],
        selector: BaseSelector,
        *,
        pace: Pace | None = None,
        ring: int = 256,
        message: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.pace = pace or Pace()
        self._message = message
        self._simulator = simulator
        self._ports = ports
        self._selector = selector
        self._ring = ring
        self._step = 1024
        self._idle = True
        for name, port in ports.items():
            if port.interface is not None:
                selector.register(port.interface, EVENT_READ, name)

    def turn(self, patience: float) -> bool:
        """Take what came, go on with the simulation for a moment, and send what left it.

        Parameters
        ----------
        patience : float
            Seconds to wait for a frame where the core is idle.

        Returns
        -------
        bool
            Whether clocks went by.
        """
        fresh: dict[str, list[InputFrame]] = {}
        events = self._selector.select(patience if self._idle else 0)
        for key, _ in events:
            if isinstance(key.data, Interrupt):
                key.data.clear()
                continue
            if isinstance(key.data, RegisterSocket):
                key.data.handle(key.fileobj)
                self._idle = False
                continue
            fresh[key.data] = self._receive(key.data)
        if not events and self._idle:  # one that was down and is gone has nothing to tell any more
            fresh = {name: self._receive(name) for name in self._ports}
        if not any(fresh.values()) and self._idle:
            return False
        self._simulator.queue(**fresh)
        self._go_on()
        return True

    def _receive(self, name: str) -> list[InputFrame]:
        """Take what the interface of a port has."""
        port = self._ports[name]
        frames: list[InputFrame] = []
        if port.interface is None:
            return frames
        try:
            frames.extend(port.receive(self._ring - self._simulator.waiting(name), BURST))
        except InterfaceError as error:
            self._message(f"{name}: {error}")
            self._selector.unregister(port.interface)
            port.interface = None
        return frames

    def stop(self) -> None:
        """Take no further frames from the interfaces."""
        for port in self._ports.values():
            if port.interface is not None:
                self._selector.unregister(port.interface)
        self.count_waiting()

    def count_waiting(self) -> None:
        """Count the frames that wait at the interfaces, which are lost: behind `stop`, and once more in the end."""
        for port in self._ports.values():
            with suppress(InterfaceError):
                deque(port.receive(0, WAITING), maxlen=0)

    def drain(self, seconds: float, after: Callable[[], None] | None = None) -> bool:
        """Let the core finish what it has, for at most ``seconds``; whether it did. ``after``: called at each step."""
        end = time.monotonic() + seconds
        while not self._idle and time.monotonic() < end:
            self._go_on()
            if after:
                after()
        return self._idle

    def _go_on(self) -> None:
        started = time.perf_counter()
        result, self._idle = self._simulator.step(self._step)
        spent = time.perf_counter() - started
        self.pace.clocks += result.clocks
        self.pace.seconds += spent
        if spent > 2 * STEP_SECONDS:
            self._step = max(self._step // 2, LEAST_STEP)
        elif spent < STEP_SECONDS / 2 and result.clocks == self._step:
            self._step = min(self._step * 2, MOST_STEP)
        for name in PORTS:
            port = self._ports[name]
            for frame in result.frames(name):
                port.send(frame.data, error=frame.error)
