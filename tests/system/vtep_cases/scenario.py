"""Directed tests as data: a configuration, frames, and what SPEC.md says must become of them.

A scenario's expectations are written by hand from SPEC.md. `judge` holds them against the golden model without any
simulator, and against the Verilog: two readings of the specification that must agree.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from vtep.config import VtepParameters
from vtep_host.config import Config
from vtep_sim.cocotb.bench import as_frames
from vtep_sim.cocotb.scoreboard import Outputs

REASONS = (
    *("tenant_runt", "tenant_oversize", "tenant_error", "no_vni", "no_tunnel", "mtu"),
    *("underlay_runt", "underlay_oversize", "underlay_error", "not_mine", "ip_header", "ip_checksum", "ip_length"),
    *("fragment", "udp_length", "udp_checksum", "vxlan_flags", "vxlan_reserved", "unknown_vni", "inner_runt"),
    *("inner_vlan", "ecn"),
)
"""Drop counters, and the one of punts, by the text of SPEC.md sections 3 and 4."""


@dataclass(kw_only=True)
class Scenario:
    """One directed test.

    ``counters`` names every drop or punt counter that rises and may name any other; drop counters left out must stay
    0. ``tenant_out``, ``underlay_out``, ``host_out``: the very frames, None where ``check`` looks at them.
    """

    config: Config
    tenant: list = field(default_factory=list)
    underlay: list = field(default_factory=list)
    host: list = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    tenant_out: list | None = field(default_factory=list)
    underlay_out: list | None = field(default_factory=list)
    host_out: list | None = field(default_factory=list)
    check: Callable[[Outputs], None] | None = None


@dataclass(frozen=True)
class Rule:
    """A function that makes a scenario for a build, and the builds it is for."""

    name: str
    make: Callable[[VtepParameters], Scenario]
    when: Callable[[VtepParameters], bool]


RULES: dict[str, Rule] = {}


def rule(function=None, *, when: Callable[[VtepParameters], bool] = lambda p: True):
    """Register a directed test under the function's name."""

    def register(make):
        name = make.__name__
        if name in RULES:
            raise ValueError(f"two rules are called {name}")
        RULES[name] = Rule(name, make, when)
        return make

    return register(function) if function else register


def has_ipv6(p: VtepParameters) -> bool:
    return p.ipv6


def has_udp_checksum(p: VtepParameters) -> bool:
    return p.udp_checksum


def has_both(p: VtepParameters) -> bool:
    return p.ipv6 and p.udp_checksum


def judge(scenario: Scenario, outputs: Outputs, counters: dict[str, int]) -> None:
    """Hold outputs and counters against the scenario's expectations."""
    for name in REASONS:
        assert counters[name] == scenario.counters.get(name, 0), f"{name} is {counters[name]}"
    for name, value in scenario.counters.items():
        assert counters[name] == value, f"{name} is {counters[name]}, should be {value}"
    for port in ("tenant", "underlay", "host"):
        expected = getattr(scenario, f"{port}_out")
        if expected is None:
            continue
        got = getattr(outputs, port)
        wanted = as_frames(expected)
        assert len(got) == len(wanted), f"{port}: {len(got)} frames, should be {len(wanted)}"
        for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
            assert (a.data.hex(), a.error) == (b.data.hex(), b.error), f"{port} frame {i}"
    if scenario.check:
        scenario.check(outputs)
    # An input frame ends in one delivery, one punt or one drop; replication is the one thing that makes more.
    received = counters["underlay_rx_frames"]
    ended = counters["tenant_tx_frames"] + counters["host_tx_frames"]
    ended += sum(counters[name] for name in REASONS[6:] if name != "fragment")
    assert received == ended, f"{received} underlay frames, {ended} ends"
