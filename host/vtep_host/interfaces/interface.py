"""Network interfaces that a port of the core is joined to: what they have in common, and how they are named.

Linux only; needs CAP_NET_ADMIN (TAP devices) or CAP_NET_RAW (packet sockets).
"""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["FORMS", "Interface", "InterfaceError", "Setup", "open_interface"]

FORMS = "tap:NAME for a new TAP device, if:NAME for an interface that exists"


class InterfaceError(Exception):
    """An interface cannot be had; the message says why and what would help."""


@dataclass(frozen=True)
class Setup:
    """What a TAP device that is made gets; an interface that exists stays as it is.

    ``mtu``: bytes of its longest IP packet. ``mac``: its address; empty: one at random.
    """

    mtu: int = 1500
    mac: bytes = b""


class Interface(Protocol):
    """Frames of a network interface, without FCS. No call waits."""

    @property
    def name(self) -> str:
        """What it is called now."""

    def fileno(self) -> int:
        """File descriptor, readable when a frame is there."""

    def receive(self) -> bytes | None:
        """Take the next frame; None where there is none, b"" for one that had to be left out.

        Raises
        ------
        InterfaceError
            The interface was removed.
        """

    def send(self, frame: bytes) -> bool:
        """Send a frame; whether the interface took it."""

    def lost(self) -> int:
        """Frames so far that the kernel had for this interface and could not keep until they were taken."""

    def hint(self) -> str:
        """Why frames had to be left out, or are not counted, and what helps; empty without any."""

    def close(self) -> None:
        """Give it back."""


def open_interface(text: str, setup: Setup) -> Interface:
    """Open what ``text`` names: see `FORMS`.

    Raises
    ------
    InterfaceError
    """
    from .packet_socket import PacketSocket
    from .tap import Tap

    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in ("tap", "if"):
        raise InterfaceError(f"{text!r} names no interface: {FORMS}")
    return Tap(name, setup) if kind == "tap" else PacketSocket(name)
