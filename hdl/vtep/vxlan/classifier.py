"""The rules of decapsulation (SPEC.md section 4) in their order: which is the first that applies to a frame."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import enum

from ..control.counters import DECAP_REASONS

__all__ = ["TO_HOST", "Rule", "first_rule", "outcome", "reason_index"]

FAN_IN = 6
"""Rules that are joined at once: as many as a look-up table has inputs."""


class Rule(enum.Enum, shape=unsigned(5)):
    """What a frame can meet, in the order of the rules; the first that applies decides."""

    RUNT = 0
    OVERSIZE = 1
    ERROR = 2
    NOT_MINE = 3
    HOST_ETHERTYPE = 4
    IP_HEADER = 5
    IP_CHECKSUM = 6
    IP_LENGTH = 7
    HOST_ADDRESS = 8
    HOST_PROTOCOL = 9
    FRAGMENT = 10
    UDP_SHORT = 11
    HOST_PORT = 12
    UDP_LENGTH = 13
    UDP_CHECKSUM = 14
    VXLAN_FLAGS = 15
    VXLAN_RESERVED = 16
    UNKNOWN_VNI = 17
    INNER_RUNT = 18
    INNER_VLAN = 19
    ECN = 20
    DELIVER = 21


TO_HOST = (Rule.HOST_ETHERTYPE, Rule.HOST_ADDRESS, Rule.HOST_PROTOCOL, Rule.FRAGMENT, Rule.HOST_PORT)
"""Rules that send the frame to the host port."""

REASONS = {
    Rule.RUNT: "underlay_runt",
    Rule.OVERSIZE: "underlay_oversize",
    Rule.ERROR: "underlay_error",
    Rule.NOT_MINE: "not_mine",
    Rule.IP_HEADER: "ip_header",
    Rule.IP_CHECKSUM: "ip_checksum",
    Rule.IP_LENGTH: "ip_length",
    Rule.FRAGMENT: "fragment",
    Rule.UDP_SHORT: "udp_length",
    Rule.UDP_LENGTH: "udp_length",
    Rule.UDP_CHECKSUM: "udp_checksum",
    Rule.VXLAN_FLAGS: "vxlan_flags",
    Rule.VXLAN_RESERVED: "vxlan_reserved",
    Rule.UNKNOWN_VNI: "unknown_vni",
    Rule.INNER_RUNT: "inner_runt",
    Rule.INNER_VLAN: "inner_vlan",
    Rule.ECN: "ecn",
}
"""Counters of the rules that have one."""


def _first(m: Module, flags: dict[Rule, Value], numbers: dict[Rule, int], width: int) -> tuple[Value, Value]:
    """Whether a flag is high, and the number of the first rule whose flag is (undefined if none is).

    A tree whose nodes join as many rules as a look-up table has inputs: their numbers are constants, so each bit of
    the first level is one table.
    """
    level: list[tuple[Value, Value]] = [(flags[rule], Const(numbers[rule], width)) for rule in Rule if rule in flags]
    level = level or [(Const(0, 1), Const(0, width))]
    while len(level) > 1:
        nodes: list[tuple[Value, Value]] = []
        for group in (level[at : at + FAN_IN] for at in range(0, len(level), FAN_IN)):
            some, number = Signal(), Signal(width)
            chosen = group[-1][1]
            for flag, candidate in reversed(group[:-1]):
                chosen = Mux(flag, candidate, chosen)
            m.d.comb += [some.eq(Cat(flag for flag, _ in group).any()), number.eq(chosen)]
            nodes.append((some, number))
        level = nodes
    return level[0]


def first_rule(m: Module, flags: dict[Rule, Value]) -> Value:
    """Number of the first rule whose flag is high, ``DELIVER`` if none is."""
    some, number = _first(m, flags, {rule: rule.value for rule in Rule}, 5)
    return Mux(some, number, Rule.DELIVER.value)


def outcome(m: Module, flags: dict[Rule, Value]) -> tuple[Value, Value]:
    """Whether the first rule whose flag is high drops the frame, and whether it sends it to the host.

    Faster than to look at the rule's number.
    """
    some, host = _first(m, flags, {rule: int(rule in TO_HOST) for rule in Rule}, 1)
    return some & ~host, some & host


def reason_index(m: Module, rule: Value) -> tuple[Value, Value]:
    """Whether ``rule`` has a counter, and its index in `DECAP_REASONS`."""
    counts = Signal()
    index = Signal(range(len(DECAP_REASONS)))
    with m.Switch(rule):
        for member, reason in REASONS.items():
            with m.Case(member.value):
                m.d.comb += [counts.eq(1), index.eq(DECAP_REASONS.index(reason))]
    return counts, index
