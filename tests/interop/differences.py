"""Where the core and the kernel's VXLAN device may differ, and why: what docs/kernel-differences.md explains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crafted import DEVICE_MAC, Case
from outer_fields import differing, fields


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
    def one_each(self) -> bool:
        """Whether both passed one frame on."""
        return len(self.core) == len(self.kernel) == 1

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


TAG_TYPES = (0x8100, 0x88A8)
LEAST_IP = {0x0800: 20, 0x86DD: 40}
"""Bytes of a fixed IP header by EtherType."""
IP_FIELDS = {"traffic class", "ttl", "flags"}
"""Fields of the outer header that may come from an inner one."""


IMPOSSIBLE_SOURCES = (
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "10.0.0.1", "10.0.0.255"),
    *("::", "::1", "ff02::1", "fd00::1"),
)
"""Nobody's, several hosts', those of the host itself, and the subnet's broadcast address."""


def _behind_tags(frame: bytes) -> tuple[int, int, bytes]:
    """How many VLAN tags a frame has, and its EtherType and payload behind them."""
    start, tags = 12, 0
    while int.from_bytes(frame[start : start + 2]) in TAG_TYPES and len(frame) >= start + 6:
        start, tags = start + 4, tags + 1
    return tags, int.from_bytes(frame[start : start + 2]), frame[start + 2 :]


def _cut_ip(frame: bytes) -> bool:
    """Whether a frame says that it holds IP and has no room for the header."""
    _, kind, payload = _behind_tags(frame)
    return kind in LEAST_IP and len(payload) < LEAST_IP[kind]


def _misread_ip(frame: bytes) -> bool:
    """Whether a frame says that it holds IP and the header's version is another, or its IHL is below 5."""
    _, kind, payload = _behind_tags(frame)
    if kind not in LEAST_IP or not payload:
        return False
    return payload[0] >> 4 != {0x0800: 4, 0x86DD: 6}[kind] or (kind == 0x0800 and payload[0] & 15 < 5)


def _differ_in(outcome: Outcome, allowed: set[str]) -> bool:
    """Whether both passed one packet on, and these agree but for some of these fields."""
    return outcome.one_each and differing(outcome.core[0], outcome.kernel[0]) <= allowed


def _kernel_marked(outcome: Outcome) -> bool:
    """Whether both passed one inner frame on, and the kernel alone changed a mark in it, and IPv4's header checksum."""
    if not outcome.one_each:
        return False
    core, kernel = outcome.core[0], outcome.kernel[0]
    changed = {number for number, pair in enumerate(zip(core, kernel, strict=True)) if pair[0] != pair[1]}
    return changed <= ({15, 24, 25} if core[12:14] == b"\x08\x00" else {15})


def _kernel_fragments(outcome: Outcome) -> bool:
    """Whether the kernel alone passed a packet on, in fragments, the first of which is seen."""
    return outcome.only_kernel and bool(int.from_bytes(outcome.kernel[0][20:22]) & 0x2000)


TAG = Difference(
    "Outer VLAN tags",
    lambda case, outcome: outcome.only_core and case.group == "one outer tag",
)
TWO_TAGS = Difference(
    TAG.name,
    lambda case, outcome: (
        outcome.only_kernel and outcome.to_host and case.group == "two outer tags" and case.value.endswith("VID 0")
    ),
)
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
    lambda case, outcome: (
        outcome.only_core and case.group in ("IPv4 source", "IPv6 source") and case.value in IMPOSSIBLE_SOURCES
    ),
)
CUT_IP = Difference(
    "Inner IP headers that are cut off",
    lambda _, outcome: outcome.only_core and _cut_ip(outcome.core[0]),
)
MISREAD = Difference(
    "Inner IP headers of another version or length",
    lambda case, outcome: (
        case.group == "ECN, bad version inside" and outcome.only_core and _misread_ip(outcome.core[0])
    ),
)
MISREAD_MARKED = Difference(
    MISREAD.name,
    lambda case, outcome: (
        case.group in ("ECN, IHL inside", "ECN, IPv6 version inside")
        and _kernel_marked(outcome)
        and _misread_ip(outcome.core[0])
    ),
)
OPTIONS = Difference(
    "IPv4 options that are wrong, and source routes",
    lambda case, outcome: (
        outcome.only_core
        and case.group == "IPv4 options"
        and (case.value.startswith("a length") or case.value.endswith("source route"))
    ),
    families=(4,),
)
EXTENSION_HEADERS = Difference(
    "IPv6 extension headers",
    lambda case, outcome: outcome.only_kernel and outcome.to_host and case.group == "extension headers",
    families=(6,),
)
DEVICE = Difference(
    "Frames from the device's own MAC address",
    lambda case, outcome: outcome.only_core and case.name == f"inner source MAC: {DEVICE_MAC}",
)
CUT_TENANT = Difference(CUT_IP.name, lambda case, outcome: outcome.only_core and _cut_ip(case.frame))
MISREAD_TENANT = Difference(
    MISREAD.name,
    lambda case, outcome: _misread_ip(case.frame) and _differ_in(outcome, IP_FIELDS),
)
THREE_TAGS = Difference(
    "Inner IP headers behind three tags",
    lambda case, outcome: _behind_tags(case.frame)[0] == 3 and _differ_in(outcome, IP_FIELDS - {"flags"}),
)
DF_BEHIND_A_TAG = Difference(
    "DF inherited from behind a tag",
    lambda case, outcome: (
        _behind_tags(case.frame)[0] in (1, 2)
        and _differ_in(outcome, {"flags"})
        and fields(outcome.kernel[0])["flags"] == bytes(2)
    ),
    families=(4,),
    settings=("inherit",),
)
FRAGMENTS = Difference(
    "Packets over the MTU",
    lambda case, outcome: case.group == "tenant length, the MTU" and _kernel_fragments(outcome),
    families=(4,),
    settings=("inherit",),
)
TTL_0 = Difference(
    "An inner TTL of 0 inherited",
    lambda case, outcome: (
        case.name in ("tenant TTL: 0", "tenant hop limit: 0")
        and _differ_in(outcome, {"ttl"})
        and fields(outcome.core[0])["ttl"] == 0
    ),
    settings=("inherit",),
)

DECAPSULATION: Sequence[Difference] = (
    TAG,
    TWO_TAGS,
    BROADCAST,
    SOURCES,
    OPTIONS,
    EXTENSION_HEADERS,
    CUT_IP,
    MISREAD,
    MISREAD_MARKED,
    DEVICE,
)
ENCAPSULATION: Sequence[Difference] = (
    CUT_TENANT,
    MISREAD_TENANT,
    THREE_TAGS,
    DF_BEHIND_A_TAG,
    FRAGMENTS,
    TTL_0,
)
