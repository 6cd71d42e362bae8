import pytest
from amaranth.hdl import Cat, Module, Signal

from helpers.packet_bench import simulate
from vtep.control.counters import DECAP_REASONS
from vtep.vxlan.classifier import TO_HOST, Rule, first_rule, outcome, reason_index

ALL = [rule for rule in Rule if rule is not Rule.DELIVER]


@pytest.mark.parametrize(
    "rules", [ALL, [Rule.RUNT, Rule.HOST_PORT, Rule.ECN], [Rule.UNKNOWN_VNI], []], ids=lambda rules: len(rules)
)
def test_the_first_rule_decides(rng, rules):
    m = Module()
    flags = {rule: Signal(name=rule.name) for rule in reversed(rules)}  # the order of the rules counts, no other
    decided = Signal(5)
    drop, host = Signal(), Signal()
    m.d.comb += [decided.eq(first_rule(m, flags)), Cat(drop, host).eq(Cat(outcome(m, flags)))]
    bits = Cat(*(flags[rule] for rule in rules))
    words = [
        sum((rng.random() < density) << i for i in range(len(rules))) for density in [0.1, 0.3, 0.9] for _ in range(60)
    ]
    words += [(1 << len(rules)) - (1 << i) for i in range(len(rules) + 1)]

    async def bench(ctx):
        for word in words:
            if rules:
                ctx.set(bits, word)
            expected = next((rule for i, rule in enumerate(rules) if word >> i & 1), Rule.DELIVER)
            assert ctx.get(decided) == expected.value
            assert ctx.get(host) == (expected in TO_HOST)
            assert ctx.get(drop) == (expected not in (*TO_HOST, Rule.DELIVER))

    simulate(m, bench)


COUNTERS = {
    Rule.RUNT: "underlay_runt",
    Rule.OVERSIZE: "underlay_oversize",
    Rule.ERROR: "underlay_error",
    Rule.NOT_MINE: "not_mine",
    Rule.HOST_ETHERTYPE: None,
    Rule.IP_HEADER: "ip_header",
    Rule.IP_CHECKSUM: "ip_checksum",
    Rule.IP_LENGTH: "ip_length",
    Rule.HOST_ADDRESS: None,
    Rule.HOST_PROTOCOL: None,
    Rule.FRAGMENT: "fragment",
    Rule.UDP_SHORT: "udp_length",
    Rule.HOST_PORT: None,
    Rule.UDP_LENGTH: "udp_length",
    Rule.UDP_CHECKSUM: "udp_checksum",
    Rule.VXLAN_FLAGS: "vxlan_flags",
    Rule.VXLAN_RESERVED: "vxlan_reserved",
    Rule.UNKNOWN_VNI: "unknown_vni",
    Rule.INNER_RUNT: "inner_runt",
    Rule.INNER_VLAN: "inner_vlan",
    Rule.ECN: "ecn",
    Rule.DELIVER: None,
}
"""In the order of SPEC.md section 4."""


def test_counters_of_the_rules():
    assert list(COUNTERS) == list(Rule)
    m = Module()
    rule = Signal(5)
    counts, index = reason_index(m, rule)

    async def bench(ctx):
        for each, name in COUNTERS.items():
            ctx.set(rule, each.value)
            assert ctx.get(counts) == (name is not None), each
            if name:
                assert DECAP_REASONS[ctx.get(index)] == name

    simulate(m, bench)


def test_to_host():
    assert set(TO_HOST) == {rule for rule in ALL if COUNTERS[rule] is None} | {Rule.FRAGMENT}
