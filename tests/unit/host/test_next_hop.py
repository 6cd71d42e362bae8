"""Tunnels without ``remote_mac``: what leads to them, and what is refused."""

from ipaddress import ip_address

import pytest

from vtep_host.config import Config, Limits, Tunnel, loads

from .test_config import IN_VTEP, problems, the_problem

OWN = '[vtep]\nmac = "02:00:00:00:00:01"\nipv4 = "10.0.0.1"\nipv6 = "fd00::1"\n'


def text(vtep: str, *remotes: str) -> str:
    """Own addresses and ``vtep``, and a tunnel to each of ``remotes``: address, and what else its entry has."""
    tunnels = ""
    for number, remote in enumerate(remotes, 1):
        address, _, rest = remote.partition(" ")
        tunnels += f'[[tunnel]]\nname = "t{number}"\nremote = "{address}"\n{rest}\n'
    return f"{OWN}{vtep}\n{tunnels}"


def tunnels(config: Config) -> list[tuple[bytes | None, str | None]]:
    return [(one.remote_mac, None if one.next_hop is None else str(one.next_hop)) for one in config.tunnels]


@pytest.mark.parametrize(
    ("group", "mac"),
    [
        # RFC 1112 section 6.4: the low 23 bits.
        ("224.0.0.0", "01:00:5e:00:00:00"),
        ("239.129.2.3", "01:00:5e:01:02:03"),
        ("239.255.255.255", "01:00:5e:7f:ff:ff"),
        # RFC 2464 section 7: the low 32 bits.
        ("ff05::100", "33:33:00:00:01:00"),
        ("ff0e::89ab:cdef", "33:33:89:ab:cd:ef"),
    ],
)
def test_a_group_has_its_mac(group: str, mac: str) -> None:
    # Prefixes and routers have nothing to do with groups.
    for vtep in ("", "ipv4_prefix = 24\nipv6_prefix = 64"):
        config = loads(text(vtep, group), limits=Limits(neighbors=0))
        assert tunnels(config) == [(bytes.fromhex(mac.replace(":", "")), None)]
    given = loads(text("", f'{group} remote_mac = "02:00:00:00:00:09"'))
    assert tunnels(given) == [(bytes.fromhex("020000000009"), None)]


NET4 = "ipv4_prefix = 24\n"
NET6 = "ipv6_prefix = 64\n"
ROUTER4 = NET4 + 'ipv4_router = "10.0.0.254"'
ROUTER6 = NET6 + 'ipv6_router = "fd00::fe"'


@pytest.mark.parametrize(
    ("vtep", "remote", "next_hop"),
    [
        ("", "10.0.0.2", "10.0.0.2"),
        ("", "192.0.2.7", "192.0.2.7"),
        ("", "2001:db8::7", "2001:db8::7"),
        (NET4, "10.0.0.254", "10.0.0.254"),
        (ROUTER4, "10.0.0.2", "10.0.0.2"),
        (ROUTER4, "10.0.1.2", "10.0.0.254"),
        (ROUTER4, "9.255.255.255", "10.0.0.254"),
        (ROUTER4, "192.0.2.7", "10.0.0.254"),
        (ROUTER4, "fd00:1::2", "fd00:1::2"),
        (ROUTER4, "169.254.3.4", "169.254.3.4"),
        ('ipv4_prefix = 31\nipv4_router = "10.0.0.0"', "10.0.0.2", "10.0.0.0"),
        ("ipv4_prefix = 31", "10.0.0.0", "10.0.0.0"),
        ("ipv4_prefix = 0", "192.0.2.7", "192.0.2.7"),
        (NET6, "fd00::2", "fd00::2"),
        (NET6, "fd00:0:0:0:ffff:ffff:ffff:ffff", "fd00::ffff:ffff:ffff:ffff"),
        (ROUTER6, "fd00:0:0:1::2", "fd00::fe"),
        (ROUTER6, "10.0.1.2", "10.0.1.2"),
        (ROUTER6, "fe80::2", "fe80::2"),
        (NET6 + 'ipv6_router = "fe80::1"', "fd00:0:0:1::2", "fe80::1"),
        ('ipv6_prefix = 127\nipv6_router = "fd00::"', "fd00::2", "fd00::"),
    ],
)
def test_next_hop(vtep: str, remote: str, next_hop: str) -> None:
    config = loads(text(vtep, remote), limits=Limits(neighbors=1))
    assert tunnels(config) == [(None, next_hop)]
    assert config.tunnels[0].remote == ip_address(remote)


def test_a_tunnel_with_a_mac_needs_no_next_hop() -> None:
    config = loads(text(NET4, '192.0.2.7 remote_mac = "02:00:00:00:00:07"'))
    assert tunnels(config) == [(bytes.fromhex("020000000007"), None)]


@pytest.mark.parametrize(
    ("vtep", "remote", "message"),
    [
        (
            NET4,
            "10.0.1.2",
            'must be within 10.0.0.0/24 while remote_mac is absent and [vtep] has no ipv4_router; not "10.0.1.2"',
        ),
        (
            NET6,
            "fd00:0:0:1::2",
            'must be within fd00::/64 while remote_mac is absent and [vtep] has no ipv6_router; not "fd00:0:0:1::2"',
        ),
        *(
            (
                ROUTER4,
                remote,
                "must be the address of one other station within 10.0.0.0/24 while remote_mac is absent; "
                f'not "{remote}"',
            )
            for remote in ("10.0.0.1", "10.0.0.0", "10.0.0.255")
        ),
        ("", "10.0.0.1", 'must be the address of one other station while remote_mac is absent; not "10.0.0.1"'),
        ("", "fd00::1", 'must be the address of one other station while remote_mac is absent; not "fd00::1"'),
    ],
)
def test_no_next_hop(vtep: str, remote: str, message: str) -> None:
    problem = the_problem(text(vtep, "10.0.0.2", remote))
    assert (problem.entry, problem.field, problem.message) == ('[[tunnel]] 2 "t2"', "remote", message)


@pytest.mark.parametrize(
    ("vtep", "field", "message"),
    [
        (
            NET4 + 'ipv4_router = "10.0.1.2"',
            "ipv4_router",
            'must be the address of one other station within 10.0.0.0/24; not "10.0.1.2"',
        ),
        *(
            (
                NET4 + f'ipv4_router = "{router}"',
                "ipv4_router",
                f'must be the address of one other station within 10.0.0.0/24; not "{router}"',
            )
            for router in ("10.0.0.1", "10.0.0.0", "10.0.0.255")
        ),
        (
            NET6 + 'ipv6_router = "fd01::1"',
            "ipv6_router",
            'must be the address of one other station within fd00::/64; not "fd01::1"',
        ),
        (
            'ipv4_router = "10.0.0.254"',
            "ipv4_router",
            "must be absent without ipv4_prefix, as every address is then on link",
        ),
        (
            'ipv6_router = "fd00::fe"',
            "ipv6_router",
            "must be absent without ipv6_prefix, as every address is then on link",
        ),
    ],
)
def test_router_is_refused(vtep: str, field: str, message: str) -> None:
    # A router that is refused is no reason to find fault with what it was meant for.
    problem = the_problem(text(vtep, "192.0.2.7", "fd02::7"))
    assert (problem.entry, problem.field, problem.message) == (IN_VTEP, field, message)


def test_ipv6_prefix_and_router_without_ipv6() -> None:
    found = problems(text(ROUTER6).replace('ipv6 = "fd00::1"\n', ""))
    assert [(one.entry, one.field, one.message) for one in found] == [
        (IN_VTEP, "ipv6_prefix", "must be absent while there is no ipv6; not 64"),
        (IN_VTEP, "ipv6_router", 'must be absent while there is no ipv6; not "fd00::fe"'),
    ]


def test_findings_are_listed_together_and_once() -> None:
    vtep = NET4 + 'ipv4_router = "10.0.1.2"\nipv6_prefix = 129\nipv6_router = "fd00::fe"\nunderlay_mtu = 1'
    found = problems(text(vtep, "10.0.0.255", "fd03::9", "x", "192.0.2.1"))
    assert [(one.entry, one.field) for one in found] == [
        (IN_VTEP, "ipv6_prefix"),
        (IN_VTEP, "underlay_mtu"),
        ('[[tunnel]] 3 "t3"', "remote"),
        (IN_VTEP, "ipv4_router"),
        ('[[tunnel]] 1 "t1"', "remote"),
    ]
    (missing,) = problems(text(NET4, "10.0.0.2").replace('ipv4 = "10.0.0.1"\n', ""))
    assert (missing.entry, missing.field) == (IN_VTEP, "ipv4")


def test_a_build_without_resolver() -> None:
    found = problems(text("", "10.0.0.2", "239.1.1.1", "fd00::2"), Limits())
    assert [(one.entry, one.field) for one in found] == [
        ('[[tunnel]] 1 "t1"', "remote_mac"),
        ('[[tunnel]] 3 "t3"', "remote_mac"),
    ]
    assert found[0].message == (
        'is missing; must be a MAC address such as "02:00:00:00:00:01", not all zeros: this build does not resolve '
        "next hops"
    )


def test_as_many_next_hops_as_there_are_neighbors() -> None:
    remotes = [
        "10.0.0.2",
        "10.0.0.2 udp_port = 4790",  # the same one
        "10.0.0.2 vlan = 7",
        "192.0.2.1",
        "192.0.2.2",  # by the same router
        "fd00::2",
        '10.0.0.9 remote_mac = "02:00:00:00:00:09"',
        "239.1.1.1",
    ]
    wanted = text(ROUTER4, *remotes)
    assert len(loads(wanted, limits=Limits(neighbors=4)).tunnels) == 8
    problem = the_problem(wanted, Limits(neighbors=3))
    assert (problem.entry, problem.field) == ('[[tunnel]] 6 "t6"', "remote_mac")
    assert problem.message == "is missing, for 4 next hops (address and vlan); allowed in this build: 0 .. 3"
    problem = the_problem(wanted, Limits(neighbors=1))
    assert problem.entry == '[[tunnel]] 3 "t3"', "the first that is too many, and no other"


def test_a_mac_that_means_a_neighbor_is_refused_where_there_are_any() -> None:
    wanted = text("", '10.0.0.2 remote_mac = "00:00:00:00:00:05"', '10.0.0.3 remote_mac = "00:00:00:00:01:05"')
    assert tunnels(loads(wanted, limits=Limits())) == [
        (bytes([0, 0, 0, 0, 0, 5]), None),
        (bytes([0, 0, 0, 0, 1, 5]), None),
    ]
    problem = the_problem(wanted, Limits(neighbors=16))
    assert (problem.entry, problem.field) == ('[[tunnel]] 1 "t1"', "remote_mac")
    assert problem.message == (
        'must not begin with "00:00:00:00:00", which stands for next hops that this build resolves; '
        'not "00:00:00:00:00:05"'
    )


def test_a_tunnel_made_by_hand_is_unresolved() -> None:
    assert Tunnel(name="t", remote=ip_address("10.0.0.2")).remote_mac is None
