"""Where the core and the kernel's VXLAN device may differ, and why: what docs/kernel-differences.md explains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crafted import Case


@dataclass(frozen=True)
class Outcome:
    """What came of a frame: with the core, and with the kernel."""

    core: Sequence[bytes]
    kernel: Sequence[bytes]
    to_host: bool = False

    @property
    def only_core(self) -> bool:
        """Whether the core alone passed it on."""
        return bool(self.core) and not self.kernel

    @property
    def only_kernel(self) -> bool:
        """Whether the kernel alone did."""
        return bool(self.kernel) and not self.core


@dataclass(frozen=True)
class Difference:
    """A difference that is meant to be: its name, as in the document, which cases it covers, and where it occurs.

    ``families``: of the underlay. ``settings``: of the test.
    """

    name: str
    covers: Callable[[Case, Outcome], bool]
    families: Sequence[int] = (4, 6)
    settings: Sequence[str] = ("fixed", "inherit")


LEAST_IP = {0x0800: 20, 0x86DD: 40}
"""Bytes of a fixed IP header by EtherType."""


def _cut_ip(frame: bytes) -> bool:
    """Whether a frame says that it holds IP and has no room for the header."""
    least = LEAST_IP.get(int.from_bytes(frame[12:14]))
    return least is not None and len(frame) < 14 + least


def _other_version(frame: bytes) -> bool:
    """Whether EtherType and version of a frame's IP header disagree."""
    version = {0x0800: 4, 0x86DD: 6}.get(int.from_bytes(frame[12:14]))
    return version is not None and len(frame) > 14 and frame[14] >> 4 != version


TAGS = Difference("Outer VLAN tags", lambda case, _: case.group in ("one outer tag", "two outer tags"))
BROADCAST = Difference(
    "Broadcast and all-hosts addresses",
    lambda case, outcome: (
        outcome.only_kernel
        and outcome.to_host
        and case.value in ("10.0.0.255", "255.255.255.255", "224.0.0.1", "ff02::1")
    ),
)
SOURCES = Difference(
    "Source addresses that cannot be",
    lambda case, outcome: outcome.only_core and case.group in ("IPv4 source", "IPv6 source"),
)
CUT_IP = Difference(
    "Inner IP headers that are cut off",
    lambda _, outcome: outcome.only_core and _cut_ip(outcome.core[0]),
)
VERSION = Difference(
    "Inner IP headers of another version",
    lambda case, outcome: (
        case.group == "ECN, bad version inside" and outcome.only_core and _other_version(outcome.core[0])
    ),
)
CUT_TENANT = Difference(CUT_IP.name, lambda case, outcome: outcome.only_core and _cut_ip(case.frame))
VERSION_TENANT = Difference(
    VERSION.name,
    lambda case, outcome: bool(outcome.core and outcome.kernel) and _other_version(case.frame),
    settings=("inherit",),
)
TTL_0 = Difference(
    "An inner TTL of 0 inherited",
    lambda case, _: case.name in ("tenant TTL: 0", "tenant hop limit: 0"),
    settings=("inherit",),
)

DECAPSULATION: Sequence[Difference] = (TAGS, BROADCAST, SOURCES, CUT_IP, VERSION)
ENCAPSULATION: Sequence[Difference] = (CUT_TENANT, VERSION_TENANT, TTL_0)
