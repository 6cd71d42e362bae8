"""The configuration loader: SPEC.md section 2."""

from dataclasses import FrozenInstanceError, replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtep_host.config import Config, ConfigError, FdbEntry, Limits, Problem, Tunnel, Vni, Vtep, load, loads

VTEP = """
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "10.0.0.1"
ipv6 = "fd00::1"
"""
VNI = """
[[vni]]
id = 100
vlan = 10
flood = ["leaf2", "leaf3"]
"""
TUNNELS = """
[[tunnel]]
name = "leaf2"
remote = "10.0.0.2"
remote_mac = "02:00:00:00:00:02"

[[tunnel]]
name = "leaf3"
remote = "fd00::3"
remote_mac = "02:00:00:00:00:03"
"""
FDB = """
[[fdb]]
vni = 100
mac = "52:54:00:00:00:0a"
tunnel = "leaf2"
"""
GOOD = VTEP + VNI + TUNNELS + FDB

SPEC_EXAMPLE = """
[vtep]
mac  = "02:00:00:00:00:01"
ipv4 = "10.0.0.1"
ipv4_prefix = 24
ipv4_router = "10.0.0.254"
ipv6 = "fd00::1"
ipv6_prefix = 64
ipv6_router = "fd00::fe"
udp_port = 4789
underlay_mtu = 1500
source_port_base = 49152
source_port_bits = 14
reserved_bits = "ignore"
udp_checksum_rx = "verify"
udp6_zero_checksum_rx = false
promiscuous = false

[[vni]]
id = 100
vlan = 10
inner_vlan = "pass"
flood = ["leaf2", "leaf3"]

[[tunnel]]
name = "leaf2"
remote = "10.0.0.2"
remote_mac = "02:00:00:00:00:02"
vlan = 0
ttl = 64
dscp = 0
ecn = "copy"
df = "set"
udp_checksum = false
udp_port = 4789

[[tunnel]]
name = "leaf3"
remote = "fd00::3"
remote_mac = "02:00:00:00:00:03"
udp_checksum = true

[[fdb]]
vni = 100
mac = "52:54:00:00:00:0a"
tunnel = "leaf2"
"""


def problems(text: str, limits: Limits | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        loads(text, "vtep.toml", limits)
    for problem in caught.value.problems:
        assert str(problem) in str(caught.value)
        assert str(problem).startswith("vtep.toml: ")
    return caught.value.problems


def the_problem(text: str, limits: Limits | None = None) -> Problem:
    (problem,) = problems(text, limits)
    return problem


def test_example_of_spec() -> None:
    config = loads(SPEC_EXAMPLE)
    assert config == Config(
        vtep=Vtep(
            mac=bytes.fromhex("020000000001"),
            ipv4=IPv4Address("10.0.0.1"),
            ipv6=IPv6Address("fd00::1"),
            udp_port=4789,
            underlay_mtu=1500,
            source_port_base=49152,
            source_port_bits=14,
            reserved_bits="ignore",
            udp_checksum_rx="verify",
            udp6_zero_checksum_rx=False,
            promiscuous=False,
        ),
        vnis=(Vni(id=100, vlan=10, inner_vlan="pass", flood=("leaf2", "leaf3")),),
        tunnels=(
            Tunnel(
                name="leaf2",
                remote=IPv4Address("10.0.0.2"),
                remote_mac=bytes.fromhex("020000000002"),
                vlan=0,
                ttl=64,
                dscp=0,
                ecn="copy",
                df="set",
                udp_checksum=False,
                udp_port=4789,
            ),
            Tunnel(
                name="leaf3",
                remote=IPv6Address("fd00::3"),
                remote_mac=bytes.fromhex("020000000003"),
                udp_checksum=True,
            ),
        ),
        fdb=(FdbEntry(vni=100, mac=bytes.fromhex("52540000000a"), tunnel="leaf2"),),
    )


def test_defaults_are_those_of_the_example() -> None:
    assert loads(GOOD) == loads(SPEC_EXAMPLE)


def test_least_configuration() -> None:
    config = loads('[vtep]\nmac = "02:00:00:00:00:01"\nipv4 = "10.0.0.1"')
    assert config.vtep.ipv6 is None
    assert (config.vnis, config.tunnels, config.fdb) == ((), (), ())


def test_udp_port_of_a_tunnel_defaults_to_the_vteps() -> None:
    config = loads(
        GOOD.replace("[vtep]", "[vtep]\nudp_port = 8472").replace('"leaf3"\nr', '"leaf3"\nudp_port = 4790\nr')
    )
    assert [tunnel.udp_port for tunnel in config.tunnels] == [8472, 4790]


def test_configuration_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        loads(GOOD).vtep.udp_port = 1  # type: ignore[misc]


def test_order_and_other_values() -> None:
    text = VTEP + "".join(
        f"""
[[tunnel]]
name = "{name}"
remote = "{remote}"
remote_mac = "{mac}"
ttl = "inherit"
dscp = "inherit"
ecn = "linux"
df = "inherit"
vlan = 4094
udp_checksum = true
"""
        for name, remote, mac in (("z", "239.1.1.1", "01:00:5E:01:01:01"), ("a b", "ff05::100", "33:33:00:00:01:00"))
    )
    text += '[[vni]]\nid = 0\nflood = ["z", "a b"]\n[[vni]]\nid = 16777215\nvlan = 4094\ninner_vlan = "discard"\n'
    config = loads(text)
    assert [tunnel.name for tunnel in config.tunnels] == ["z", "a b"]
    assert config.vnis[0].flood == ("z", "a b")
    assert [(vni.id, vni.vlan) for vni in config.vnis] == [(0, 0), (16777215, 4094)]
    first = config.tunnels[0]
    assert (first.ttl, first.dscp, first.ecn, first.df, first.vlan) == ("inherit", "inherit", "linux", "inherit", 4094)
    assert first.remote_mac == bytes.fromhex("01005e010101")
    assert first.udp_checksum


IN_VTEP, IN_VNI, IN_TUNNEL, IN_FDB = (
    "[vtep]",
    "[[vni]] 1 (id 100)",
    '[[tunnel]] 1 "leaf2"',
    '[[fdb]] 1 "52:54:00:00:00:0a"',
)

# Where the entry begins, then: field, a refused value in TOML, the entry as named, what is allowed.
FIELDS = [
    *(
        ("[vtep]", "mac", value, IN_VTEP, 'a unicast MAC address such as "02:00:00:00:00:01" (first byte even')
        for value in (
            '"01:00:00:00:00:01"',
            '"00:00:00:00:00:00"',
            '"02-00-00-00-00-01"',
            '"02:00:00:00:00"',
            '""',
            "2",
        )
    ),
    *(
        ("[vtep]", "ipv4", value, IN_VTEP, 'a unicast IPv4 address such as "10.0.0.1"')
        for value in (
            '"10.0.0"',
            '"224.0.0.1"',
            '"0.0.0.0"',
            '"255.255.255.255"',
            '"fd00::1"',
            "167772161",
            '"10.0.0.01"',
        )
    ),
    *(
        ("[vtep]", "ipv6", value, IN_VTEP, 'a unicast IPv6 address such as "fd00::1"')
        for value in ('"10.0.0.1"', '"ff02::1"', '"::"', '"fe80::1%eth0"', "1", '""')
    ),
    *(("[vtep]", "ipv4_prefix", value, IN_VTEP, "an integer within 0 .. 32") for value in ("-1", "33", '"24"', "true")),
    *(("[vtep]", "ipv6_prefix", value, IN_VTEP, "an integer within 0 .. 128") for value in ("-1", "129", "64.0")),
    *(
        ("[vtep]", "ipv4_router", value, IN_VTEP, 'a unicast IPv4 address such as "10.0.0.1"')
        for value in ('"224.0.0.1"', '"0.0.0.0"', '"fd00::9"', '"10.0.0.9/24"', "7")
    ),
    *(
        ("[vtep]", "ipv6_router", value, IN_VTEP, 'a unicast IPv6 address such as "fd00::1"')
        for value in ('"ff02::2"', '"::"', '"10.0.0.9"', '"fe80::1%eth0"')
    ),
    *(
        ("[vtep]", "udp_port", value, IN_VTEP, "an integer within 1 .. 65535")
        for value in ("0", "65536", "-1", "true", "1.5")
    ),
    *(
        ("[vtep]", "underlay_mtu", value, IN_VTEP, "an integer within 68 .. 65535")
        for value in ("67", "65536", '"1500"')
    ),
    *(("[vtep]", "source_port_base", value, IN_VTEP, "an integer within 0 .. 65535") for value in ("-1", "65536")),
    *(("[vtep]", "source_port_bits", value, IN_VTEP, "an integer within 0 .. 16") for value in ("-1", "17")),
    *(("[vtep]", "reserved_bits", value, IN_VTEP, 'one of "ignore", "strict"') for value in ('"drop"', "true")),
    *(("[vtep]", "udp_checksum_rx", value, IN_VTEP, 'one of "verify", "ignore"') for value in ('"strict"', "false")),
    *(("[vtep]", "udp6_zero_checksum_rx", value, IN_VTEP, "true or false") for value in ("0", '"true"')),
    *(("[vtep]", "promiscuous", value, IN_VTEP, "true or false") for value in ("1", '"no"')),
    ("[[vni]]", "id", "16777216", "[[vni]] 1 (id 16777216)", "an integer within 0 .. 16777215"),
    ("[[vni]]", "id", "-1", "[[vni]] 1 (id -1)", "an integer within 0 .. 16777215"),
    ("[[vni]]", "id", '"100"', '[[vni]] 1 "100"', "an integer within 0 .. 16777215"),
    *(("[[vni]]", "vlan", value, IN_VNI, "an integer within 0 .. 4094") for value in ("4095", "-1", "false")),
    *(("[[vni]]", "inner_vlan", value, IN_VNI, 'one of "pass", "discard"') for value in ('"drop"', "1")),
    *(("[[vni]]", "flood", value, IN_VNI, "a list of tunnel names (strings)") for value in ('"leaf2"', "[1]", "{}")),
    (
        "[[vni]]",
        "flood",
        '["leaf3", "leaf2", "leaf3"]',
        IN_VNI,
        "names each tunnel at most once; twice or more: 'leaf3'",
    ),
    ("[[vni]]", "flood", '["leaf9"]', IN_VNI, 'a configured tunnel ("leaf2", "leaf3"); not "leaf9"'),
    *(
        ("[[tunnel]]", "name", value, f"[[tunnel]] 1 {value}", "a string of 1 .. 64 printable characters")
        for value in ('""', '"' + 65 * "x" + '"', '" x"', '"\\u0007"')
    ),
    ("[[tunnel]]", "name", "7", "[[tunnel]] 1 (name 7)", "a string of 1 .. 64 printable characters"),
    *(
        ("[[tunnel]]", "remote", value, IN_TUNNEL, "an IPv4 or IPv6 address, unicast or multicast group")
        for value in ('"leaf2.example"', '"0.0.0.0"', '"::"', '"255.255.255.255"', '"fe80::1%2"', "1", '"10.0.0.2/24"')
    ),
    *(
        ("[[tunnel]]", "remote_mac", value, IN_TUNNEL, 'a MAC address such as "02:00:00:00:00:01", not all zeros')
        for value in ('"00:00:00:00:00:00"', '"x"', "2")
    ),
    (
        "[[tunnel]]",
        "remote_mac",
        '"01:00:5e:00:00:01"',
        IN_TUNNEL,
        "a unicast MAC address for the unicast remote 10.0.0.2",
    ),
    *(("[[tunnel]]", "vlan", value, IN_TUNNEL, "an integer within 0 .. 4094") for value in ("4095", '"1"')),
    *(
        ("[[tunnel]]", "ttl", value, IN_TUNNEL, 'an integer within 1 .. 255, or "inherit"')
        for value in ("0", "256", '"copy"')
    ),
    *(
        ("[[tunnel]]", "dscp", value, IN_TUNNEL, 'an integer within 0 .. 63, or "inherit"')
        for value in ("-1", "64", "true")
    ),
    *(("[[tunnel]]", "ecn", value, IN_TUNNEL, 'one of "copy", "zero", "linux"') for value in ('"normal"', "0")),
    *(("[[tunnel]]", "df", value, IN_TUNNEL, 'one of "set", "unset", "inherit"') for value in ('"copy"', "true")),
    ("[[tunnel]]", "udp_checksum", '"zero"', IN_TUNNEL, "true or false"),
    *(("[[tunnel]]", "udp_port", value, IN_TUNNEL, "an integer within 1 .. 65535") for value in ("0", "65536")),
    *(("[[fdb]]", "vni", value, IN_FDB, "an integer within 0 .. 16777215") for value in ("16777216", '"100"')),
    ("[[fdb]]", "vni", "101", IN_FDB, "a configured VNI (100); not 101"),
    *(
        ("[[fdb]]", "mac", f'"{value}"', f'[[fdb]] 1 "{value}"', "a unicast MAC address")
        for value in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00", "leaf2")
    ),
    ("[[fdb]]", "tunnel", '"leaf1"', IN_FDB, 'a configured tunnel ("leaf2", "leaf3"); not "leaf1"'),
    ("[[fdb]]", "tunnel", "2", IN_FDB, "a string of 1 .. 64 printable characters"),
]


@pytest.mark.parametrize(
    ("section", "field", "value", "entry", "allowed"), FIELDS, ids=lambda value: value if len(value) < 24 else "-"
)
def test_field_is_refused(section: str, field: str, value: str, entry: str, allowed: str) -> None:
    lines = GOOD.splitlines()
    first = lines.index(section)
    end = next((i for i in range(first + 1, len(lines)) if lines[i].startswith("[")), len(lines))
    # What else the change of a name breaks is not in question here.
    body = [line for line in lines[first:end] if not line.startswith(f"{field} =")]
    text = "\n".join([*lines[:first], body[0], f"{field} = {value}", *body[1:], *lines[end:]])
    found = [problem for problem in problems(text) if (problem.entry, problem.field) == (entry, field)]
    assert len(found) == 1
    assert found[0].message.startswith("must ")
    assert allowed in found[0].message


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("vtep", "udp_port", 1),
        ("vtep", "udp_port", 65535),
        ("vtep", "underlay_mtu", 68),
        ("vtep", "underlay_mtu", 65535),
        ("vni", "id", 0),
        ("vni", "id", 16777215),
        ("vni", "vlan", 0),
        ("vni", "vlan", 4094),
        ("tunnel", "name", "x"),
        ("tunnel", "name", 64 * "x"),
        ("tunnel", "vlan", 4094),
        ("tunnel", "ttl", 1),
        ("tunnel", "ttl", 255),
        ("tunnel", "dscp", 0),
        ("tunnel", "dscp", 63),
        ("tunnel", "udp_port", 1),
        ("tunnel", "udp_port", 65535),
    ],
)
def test_ends_of_the_ranges_are_taken(section: str, field: str, value: int | str) -> None:
    fields = {
        "vtep": {"mac": '"02:00:00:00:00:01"', "ipv4": '"10.0.0.1"'},
        "vni": {"id": "1"},
        "tunnel": {"name": '"a"', "remote": '"10.0.0.2"', "remote_mac": '"02:00:00:00:00:02"'},
    }
    fields[section][field] = str(value) if isinstance(value, int) else f'"{value}"'
    text = ""
    for name, head in (("vtep", "[vtep]"), ("vni", "[[vni]]"), ("tunnel", "[[tunnel]]")):
        text += "\n".join([head, *(f"{key} = {shown}" for key, shown in fields[name].items()), ""])
    config = loads(text)
    entry = {"vtep": config.vtep, "vni": config.vnis[0], "tunnel": config.tunnels[0]}[section]
    assert getattr(entry, field) == value


@pytest.mark.parametrize(
    ("line", "entry", "field"),
    [
        ('mac = "02:00:00:00:00:01"', IN_VTEP, "mac"),
        ('ipv4 = "10.0.0.1"', IN_VTEP, "ipv4"),
        ("id = 100", "[[vni]] 1", "id"),
        ('name = "leaf3"', "[[tunnel]] 2", "name"),
        ('remote = "10.0.0.2"', IN_TUNNEL, "remote"),
        ("vni = 100", IN_FDB, "vni"),
        ('mac = "52:54:00:00:00:0a"', "[[fdb]] 1", "mac"),
        ('tunnel = "leaf2"', IN_FDB, "tunnel"),
    ],
)
def test_required_field_is_missing(line: str, entry: str, field: str) -> None:
    assert GOOD.count(line) == 1
    found = [
        problem for problem in problems(GOOD.replace(line, "")) if (problem.entry, problem.field) == (entry, field)
    ]
    assert len(found) == 1
    assert found[0].message.startswith("is missing; must be ")


@pytest.mark.parametrize(
    ("section", "entry", "allowed"),
    [
        ("[vtep]", IN_VTEP, "mac, ipv4, ipv4_prefix, ipv4_router, ipv6, ipv6_prefix, ipv6_router, udp_port"),
        ("[[vni]]", IN_VNI, "id, vlan, inner_vlan, flood"),
        ("[[tunnel]]", IN_TUNNEL, "name, remote, remote_mac, vlan, ttl, dscp, ecn, df, udp_checksum, udp_port"),
        ("[[fdb]]", IN_FDB, "vni, mac, tunnel"),
    ],
)
def test_unknown_field(section: str, entry: str, allowed: str) -> None:
    problem = the_problem(GOOD.replace(section, f"{section}\ncolour = 1", 1))
    assert (problem.entry, problem.field) == (entry, "colour")
    assert problem.message.startswith(f"is not known here; allowed: {allowed}")


@pytest.mark.parametrize(
    ("text", "entry", "message"),
    [
        (GOOD + "\n[vnis]", "[vnis]", "is not known; allowed: [vtep], [[vni]], [[tunnel]], [[fdb]]"),
        ("udp_port = 1\n" + GOOD, "[udp_port]", "is not known; allowed: [vtep], [[vni]], [[tunnel]], [[fdb]]"),
        ("", "[vtep]", "is missing; it must hold at least mac and ipv4"),
        (VTEP + "[vni]\nid = 1", "[vni]", "must be an array of tables: [[vni]]"),
        (VTEP + "[tunnel]", "[tunnel]", "must be an array of tables: [[tunnel]]"),
        ("fdb = 1\n" + VTEP, "[fdb]", "must be an array of tables: [[fdb]]"),
        ("[[vtep]]", "[vtep]", "must be a table, not [{}]"),
        ("vni = [1]\n" + VTEP, "[[vni]] 1", "must be a table, not 1"),
        ("tunnel = [1]\n" + VTEP, "[[tunnel]] 1", "must be a table, not 1"),
        ("fdb = [[]]\n" + VTEP, "[[fdb]] 1", "must be a table, not []"),
    ],
)
def test_sections(text: str, entry: str, message: str) -> None:
    problem = the_problem(text)
    assert (problem.entry, problem.field, problem.message) == (entry, "", message)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("[vtep]", "[vtep]\nudp_port = 1\nudp_port = 2"), ("line 4", "overwrite")),
        (GOOD + VTEP, ("twice", "line")),
        ("[vtep", ("']'",)),
        ("[vtep]\nudp_port = " + 5000 * "9", ("digits",)),
        ("x = " + 5000 * "[", ()),
    ],
)
def test_toml_itself_is_refused(text: str, words: tuple[str, ...]) -> None:
    problem = the_problem(text)
    assert problem.message.startswith("is not valid TOML: ")
    for word in words:
        assert word in problem.message


def test_repeated_vni() -> None:
    problem = the_problem(GOOD + "[[vni]]\nid = 100\nvlan = 11")
    assert (problem.entry, problem.field) == ("[[vni]] 2 (id 100)", "id")
    assert "must differ from that of [[vni]] 1 (id 100): id = 100 is taken" in problem.message


def test_repeated_vlan() -> None:
    problem = the_problem(GOOD + "[[vni]]\nid = 101\nvlan = 10")
    assert (problem.entry, problem.field) == ("[[vni]] 2 (id 101)", "vlan")
    assert "vlan = 10 is taken" in problem.message


def test_two_untagged_vnis() -> None:
    problem = the_problem(GOOD + "[[vni]]\nid = 101\n[[vni]]\nid = 102\nvlan = 0")
    assert (problem.entry, problem.field) == ("[[vni]] 3 (id 102)", "vlan")
    assert "vlan = 0 (untagged) is taken" in problem.message


def test_repeated_tunnel() -> None:
    problem = the_problem(GOOD + TUNNELS.split("\n\n")[0])
    assert (problem.entry, problem.field) == ('[[tunnel]] 3 "leaf2"', "name")
    assert 'name = "leaf2" is taken' in problem.message


def test_two_tunnels_may_have_one_remote() -> None:
    text = GOOD + TUNNELS.split("\n\n")[0].replace('"leaf2"', '"other"')
    assert len(loads(text).tunnels) == 3


def test_repeated_fdb_entry() -> None:
    problem = the_problem(GOOD + FDB.replace("leaf2", "leaf3").replace("0a", "0A"))
    assert (problem.entry, problem.field) == ('[[fdb]] 2 "52:54:00:00:00:0A"', "mac")
    assert 'vni = 100 and mac = "52:54:00:00:00:0a" is taken' in problem.message


def test_one_mac_in_two_vnis() -> None:
    text = GOOD + "[[vni]]\nid = 101\n" + FDB.replace("100", "101")
    assert len(loads(text).fdb) == 2


def test_tunnel_of_a_family_without_own_address() -> None:
    problem = the_problem(GOOD.replace('ipv6 = "fd00::1"', ""))
    assert (problem.entry, problem.field) == ('[[tunnel]] 2 "leaf3"', "remote")
    assert problem.message == 'must be an IPv4 address while [vtep] has no ipv6; not "fd00::3"'


def test_group_mac_for_a_group() -> None:
    text = GOOD.replace('"10.0.0.2"', '"239.0.0.1"').replace("02:00:00:00:00:02", "01:00:5e:00:00:01")
    assert loads(text).tunnels[0].remote.is_multicast


@pytest.mark.parametrize(("base", "bits"), [(65535, 0), (65534, 1), (49152, 14), (0, 16)])
def test_source_ports_up_to_the_last(base: int, bits: int) -> None:
    vtep = loads(GOOD.replace("[vtep]", f"[vtep]\nsource_port_base = {base}\nsource_port_bits = {bits}")).vtep
    assert (vtep.source_port_base, vtep.source_port_bits) == (base, bits)


@pytest.mark.parametrize(("base", "bits", "highest"), [(65535, 1, 65534), (49153, 14, 49152), (1, 16, 0)])
def test_source_ports_beyond_the_last(base: int, bits: int, highest: int) -> None:
    problem = the_problem(GOOD.replace("[vtep]", f"[vtep]\nsource_port_base = {base}\nsource_port_bits = {bits}"))
    assert (problem.entry, problem.field) == ("[vtep]", "source_port_base")
    assert problem.message == (
        f"must be an integer within 0 .. {highest} with source_port_bits = {bits} "
        f"(base + 2^bits must not exceed 65536); not {base}"
    )


def test_mistakes_are_listed_together() -> None:
    text = GOOD.replace("id = 100", "id = 100\nvlans = 1").replace("[vtep]", "[vtep]\nudp_port = 0") + "[x]"
    assert [(problem.entry, problem.field) for problem in problems(text)] == [
        ("[x]", ""),
        ("[vtep]", "udp_port"),
        ("[[vni]] 1 (id 100)", "vlans"),
    ]


def test_a_mistake_in_one_entry_is_not_reported_at_those_that_point_to_it() -> None:
    problem = the_problem(GOOD.replace('remote = "10.0.0.2"', 'remote = "10.0.0.2"\nttl = 0'))
    assert (problem.entry, problem.field) == (IN_TUNNEL, "ttl")


EXACT = Limits(vnis=1, tunnels=2, fdb_entries=1, flood_entries=2)


def test_capacities_can_be_filled() -> None:
    assert loads(GOOD, limits=EXACT) == loads(GOOD)


@pytest.mark.parametrize(
    ("limit", "entry", "field", "message"),
    [
        ("vnis", "[[vni]]", "", "holds 1 entries; allowed in this build: 0 .. 0"),
        ("tunnels", "[[tunnel]]", "", "holds 2 entries; allowed in this build: 0 .. 1"),
        ("fdb_entries", "[[fdb]]", "", "holds 1 entries; allowed in this build: 0 .. 0"),
        (
            "flood_entries",
            IN_VNI,
            "flood",
            "brings the flood lists to 2 elements; allowed in this build, all lists together: 0 .. 1",
        ),
    ],
)
def test_capacity_is_exceeded(limit: str, entry: str, field: str, message: str) -> None:
    problem = the_problem(GOOD, replace(EXACT, **{limit: getattr(EXACT, limit) - 1}))
    assert (problem.entry, problem.field, problem.message) == (entry, field, message)


def test_build_without_ipv6() -> None:
    text = GOOD.replace("[vtep]", "[vtep]\nudp6_zero_checksum_rx = true")
    found = problems(text, Limits(ipv6=False))
    assert [(problem.entry, problem.field) for problem in found] == [
        ("[vtep]", "ipv6"),
        ("[vtep]", "udp6_zero_checksum_rx"),
        ('[[tunnel]] 2 "leaf3"', "remote"),
    ]
    assert all("this build has no IPv6 underlay" in problem.message for problem in found)
    ipv4_only = GOOD.replace('ipv6 = "fd00::1"', "").replace("fd00::3", "10.0.0.3")
    assert loads(ipv4_only, limits=Limits(ipv6=False)).vtep.ipv6 is None


def test_build_without_udp_checksum() -> None:
    found = problems(GOOD, Limits(udp_checksum=False))
    assert [(problem.entry, problem.field) for problem in found] == [
        ("[vtep]", "udp_checksum_rx"),
        ('[[tunnel]] 2 "leaf3"', "udp_checksum"),
    ]
    assert 'must be "ignore"' in found[0].message
    assert "must be false" in found[1].message
    without = GOOD.replace("[vtep]", '[vtep]\nudp_checksum_rx = "ignore"').replace(
        'remote = "fd00::3"', 'remote = "fd00::3"\nudp_checksum = false'
    )
    assert not loads(without, limits=Limits(udp_checksum=False)).tunnels[1].udp_checksum


def test_load_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(GOOD.replace("id = 100", "id = 1\nvlan = 4095"))
    with pytest.raises(ConfigError, match=r"site\.toml") as caught:
        load(path)
    assert {problem.file for problem in caught.value.problems} == {str(path)}
    path.write_text(GOOD)
    assert load(str(path)) == loads(GOOD)
    assert load(path).name == str(path)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        load(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read: "):
        load(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes(b'name = "\xe4"')
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(path)


def test_capacity_is_checked_when_loading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "vtep.toml"
    path.write_text(GOOD)
    with pytest.raises(ConfigError, match=r"allowed in this build: 0 \.\. 1"):
        load(path, Limits(tunnels=1))


VALUES = st.recursive(
    st.none().map(lambda _: "[]")
    | st.integers(-(2**70), 2**70).map(str)
    | st.booleans().map(lambda value: str(value).lower())
    | st.sampled_from(['"inherit"', '"10.0.0.9"', '"fd00::9"', '"leaf2"', '"pass"', "1979-05-27", "inf", "nan", "''"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)


@given(
    st.sampled_from([line.split(" = ")[0] for line in SPEC_EXAMPLE.splitlines() if " = " in line]), VALUES, st.data()
)
def test_any_value_is_taken_or_refused(field: str, value: str, data: st.DataObject) -> None:
    """Whatever stands in a field, the loader answers with a Config or with a ConfigError."""
    lines = SPEC_EXAMPLE.splitlines()
    places = [i for i, line in enumerate(lines) if line.split(" = ")[0] == field]
    place = data.draw(st.sampled_from(places))
    lines[place] = f"{field.strip()} = {value}"
    found: tuple[Problem, ...] = ()
    try:
        loads("\n".join(lines))
    except ConfigError as error:
        found = error.problems
    assert all(problem.entry and problem.message for problem in found)
