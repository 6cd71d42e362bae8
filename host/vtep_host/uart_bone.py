"""Registers over a line of bytes, in the frames of `vtep.control.bone_frame`."""

from typing import Protocol

from vtep.control.bone_frame import ADDRESS_BYTES, Command
from vtep.control.register_map import WORD_BYTES

from .transport import TransportError

__all__ = ["Line", "UartBone"]

MAX_ADDRESS = ((1 << 8 * ADDRESS_BYTES) - 1) * WORD_BYTES


class Line(Protocol):
    """Bytes to and from a device, in order."""

    def send(self, octets: bytes) -> None:
        """Send all of them, or raise TransportError."""

    def receive(self, count: int) -> bytes:
        """Wait for so many bytes; give fewer where they do not come in time."""

    def drain(self) -> None:
        """Forget what came, and wait for as long a silence as a device takes for the end of a broken command."""

    def close(self) -> None:
        """Give the line back."""


class UartBone:
    """A transport whose accesses are single words, one after the other.

    The device does not answer writes, and an access that it refuses reads as all ones: STATUS.refused tells of either
    (`Device.check_refused`).

    Parameters
    ----------
    line : Line
        It is drained first, and after a read that is not answered as it should be.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        line.drain()

    def read(self, address: int) -> int:
        """Return the word at ``address``.

        Raises
        ------
        TransportError
            The answer did not come, or the line is gone.
        """
        self._line.send(_head(Command.READ, address))
        answer = self._line.receive(WORD_BYTES)
        if len(answer) != WORD_BYTES:
            self._line.drain()
            raise TransportError(f"read of {address:#x}: {len(answer)} of {WORD_BYTES} bytes came in time")
        return int.from_bytes(answer)

    def write(self, address: int, value: int) -> None:
        """Write the word at ``address``.

        Raises
        ------
        TransportError
            The line is gone.
        """
        self._line.send(_head(Command.WRITE, address) + value.to_bytes(WORD_BYTES))


def _head(command: Command, address: int) -> bytes:
    """Begin a command on one word."""
    if address % WORD_BYTES or not 0 <= address <= MAX_ADDRESS:
        raise ValueError(
            f"an address must be a multiple of {WORD_BYTES} within 0 .. {MAX_ADDRESS:#x}, not {address:#x}"
        )
    return bytes([command, 1]) + (address // WORD_BYTES).to_bytes(ADDRESS_BYTES)
