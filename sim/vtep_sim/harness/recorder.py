"""A transport whose writes can be noted, and made later while frames flow."""

from collections.abc import Iterator
from contextlib import contextmanager

from .library import WRITE
from .simulator import Simulator

__all__ = ["Recorder"]


class Recorder:
    """A transport to a simulator's registers.

    Parameters
    ----------
    simulator : Simulator
    """

    def __init__(self, simulator: Simulator) -> None:
        self._through = simulator.transport
        self._noted: list[tuple[int, int, int]] | None = None

    @contextmanager
    def noting(self) -> Iterator[list[tuple[int, int, int]]]:
        """Meanwhile writes go into the list, as `Simulator.queue_accesses` takes them, and reads give 0."""
        noted: list[tuple[int, int, int]] = []
        self._noted = noted
        try:
            yield noted
        finally:
            self._noted = None

    def read(self, address: int) -> int:
        """Read a word; 0 while writes are noted."""
        return self._through.read(address) if self._noted is None else 0

    def write(self, address: int, value: int) -> None:
        """Write a word, or note it."""
        if self._noted is None:
            self._through.write(address, value)
        else:
            self._noted.append((WRITE, address, value))
