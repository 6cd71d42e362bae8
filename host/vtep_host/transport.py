"""The way to a device's registers: all that a driver needs of a simulation, a memory map or a serial line."""

from typing import Protocol

__all__ = ["AccessRefusedError", "Transport", "TransportError"]


class TransportError(Exception):
    """An access did not succeed; the message says why."""


class AccessRefusedError(TransportError):
    """The device answered an access with an error (SLVERR on AXI4-Lite): it had no effect."""


class Transport(Protocol):
    """Reads and writes words of 32 bits; an address counts bytes and is a multiple of 4.

    Accesses happen in the order of the calls. `TransportError` says that one failed, `AccessRefusedError` that the
    device refused it, where the transport can tell.
    """

    def read(self, address: int) -> int:
        """Return the word at ``address``."""

    def write(self, address: int, value: int) -> None:
        """Write the word at ``address``, all four bytes."""
