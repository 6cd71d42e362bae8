"""A waveform of the clocks around an event."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from ..harness import Simulator

__all__ = ["WaveWindow", "part_before"]


def part_before(path: Path) -> Path:
    """Place of the clocks before the event that are not in the file itself."""
    return path.with_stem(f"{path.stem}-before")


class WaveWindow:
    """Writes waveforms all the time, forgets the old ones, and keeps what surrounds the first event.

    A context manager; that it ends by an error is an event, too.

    As much is kept in front of the event as behind it, where the simulation ran that long; what did not fit the file
    that was being written is in a second one beside it, its name ending in ``-before``.

    Parameters
    ----------
    simulator : Simulator
        ``traceable``.
    path : Path
        FST file that is there in the end. Until then parts are written beside it.
    clocks : int
        Length of the window, 2 or more.
    event : callable
        Asked after each step whether it happened; None: at once.
    message : callable
        Told when the window is complete.

    Raises
    ------
    OSError
        A file cannot be written; also in `update`.
    """

    def __init__(
        self,
        simulator: Simulator,
        path: Path,
        clocks: int,
        *,
        event: Callable[[], bool] | None,
        message: Callable[[str], None],
    ) -> None:
        self._simulator = simulator
        self._path = path
        self._clocks = clocks
        self._event = event
        self._message = message
        self._parts = [path.with_name(f".{path.name}.{number}.part") for number in range(2)]
        self._current = 0
        self._started = simulator.clock
        self._rotated = False
        self._happened: int | None = None
        self._active = True
        simulator.trace(self._parts[0])

    def update(self) -> None:
        """To be called after each step of the simulation."""
        if not self._active:
            return
        clock = self._simulator.clock
        if self._happened is None and (self._event is None or self._event()):
            self._happened = self._started if self._event is None else clock
        if self._happened is not None:
            behind = self._clocks if self._event is None else self._clocks // 2
            if clock - self._happened >= behind:
                self._keep()
        elif clock - self._started >= self._clocks:
            self._rotate(clock)

    def trigger(self) -> None:
        """Take it that the event happens now."""
        if self._happened is None:
            self._happened = self._simulator.clock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self.trigger()  # the one thing that shows what happened
        self.close()

    def close(self) -> None:
        """Keep what there is where the event happened and the window is not complete; forget it elsewhere."""
        if self._active and self._happened is not None:
            self._keep()
        elif self._active:
            self._simulator.trace(None)
            self._active = False
            for part in self._parts:
                part.unlink(missing_ok=True)

    def _rotate(self, clock: int) -> None:
        other = 1 - self._current
        self._simulator.trace(self._parts[other])
        self._current = other
        self._started = clock
        self._rotated = True

    def _keep(self) -> None:
        assert self._happened is not None
        self._simulator.trace(None)
        self._active = False
        self._parts[self._current].replace(self._path)
        told = str(self._path)
        other = self._parts[1 - self._current]
        before = part_before(self._path)
        if self._rotated and self._happened - self._started < self._clocks // 2:
            other.replace(before)
            told = f"{before} and {told}"
        elif self._event is not None:
            before.unlink(missing_ok=True)  # of an earlier session: it is not what was before this one
        other.unlink(missing_ok=True)
        self._message(f"waveform around clock {self._happened}: {told}")
