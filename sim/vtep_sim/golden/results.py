"""What can become of a frame."""

from dataclasses import dataclass

from vtep_host.config import Tunnel, Vni

__all__ = ["Delivered", "Dropped", "Punted", "Sent"]


@dataclass(frozen=True)
class Dropped:
    """The frame, or one copy of it, is dropped for ``reason``."""

    reason: str


@dataclass(frozen=True)
class Sent:
    """One copy leaves through ``tunnel``, ``inner`` inside the outer frame ``data``."""

    data: bytes
    inner: bytes
    vni: Vni
    tunnel: Tunnel


@dataclass(frozen=True)
class Punted:
    """The frame goes to the host as it came; ``counter``, where there is one, rises."""

    counter: str | None = None


@dataclass(frozen=True)
class Delivered:
    """The frame ``data`` goes to the tenant; ``inner`` is what it was inside VXLAN.

    ``tunnel`` is the first of the configuration whose remote sent it, None where there is none.
    """

    data: bytes
    inner: bytes
    vni: Vni
    tunnel: Tunnel | None
