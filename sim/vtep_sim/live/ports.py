"""The ports of the core, each joined to an interface, and what passed them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from vtep_host.interfaces.interface import Interface

from .recording import Recording

__all__ = ["InputFrame", "LivePort", "PortCounts"]


@dataclass
class PortCounts:
    """What passed a port, seen from the core; bytes without FCS.

    Every frame of the interface is in ``frames_in`` or in one of the three below it; every frame of the core in
    ``frames_out`` or one of the two below that.

    ``overrun``: the ring before the core was full; ``kernel_lost``: the kernel had no room before the program took it;
    ``left_out``: no frame of Ethernet (a joined segment). ``marked``: left the core with an error mark, as a MAC would
    spoil it; ``refused``: the interface did not take it, because it is down, or too narrow, or not given at all.
    """

    frames_in: int = 0
    bytes_in: int = 0
    overrun: int = 0
    kernel_lost: int = 0
    left_out: int = 0
    frames_out: int = 0
    bytes_out: int = 0
    marked: int = 0
    refused: int = 0


class InputFrame(NamedTuple):
    """A frame for the core."""

    data: bytes
    error: bool = False


@dataclass
class LivePort:
    """A port: its interface, if it has one, and the capture of what passes, if wanted."""

    interface: Interface | None = None
    recording: Recording | None = None
    counts: PortCounts = field(default_factory=PortCounts)

    def receive(self, room: int, most: int) -> Iterator[InputFrame]:
        """Take what the interface has, at most ``most`` frames, and give the first ``room`` of them to the core."""
        if self.interface is None:
            return
        counts = self.counts
        for _ in range(most):
            data = self.interface.receive()
            if data is None:
                return
            if not data:
                counts.left_out += 1
            elif room <= 0:
                counts.overrun += 1
            else:
                room -= 1
                counts.frames_in += 1
                counts.bytes_in += len(data)
                if self.recording:
                    self.recording.write(data)
                yield InputFrame(data)

    def send(self, data: bytes, *, error: bool) -> None:
        """Give a frame of the core to the interface."""
        counts = self.counts
        if error:
            counts.marked += 1
            return
        if self.recording:
            self.recording.write(data)
        if self.interface is None or not self.interface.send(data):
            counts.refused += 1
        else:
            counts.frames_out += 1
            counts.bytes_out += len(data)

    def update(self) -> None:
        """Ask the kernel what it lost, and bring the capture up to date."""
        if self.interface is not None:
            with suppress(OSError):  # the interface may have been removed
                self.counts.kernel_lost = self.interface.lost()
        if self.recording is not None:
            self.recording.flush()
