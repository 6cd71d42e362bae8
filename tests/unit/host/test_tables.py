"""From a configuration to the words of the configuration port, read back through the gateware's layouts."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from itertools import count, islice
from typing import Any

import pytest

from vtep.config import VtepParameters
from vtep.control.counters import counter_map
from vtep.control.tables import DfMode, EcnMode, Table, entry_layout, table_plan
from vtep_host.config import Config, ConfigError, FdbEntry, Limits, Tunnel, Vni, Vtep
from vtep_host.difference import contents
from vtep_host.tables import counter_names, limits_of

MAC = bytes.fromhex("020304050607")
CONFIG = Config(
    vtep=Vtep(
        mac=bytes.fromhex("0a1b2c3d4e5f"),
        ipv4=ip_address("10.1.2.3"),
        ipv6=ip_address("fd00:1:2::3"),
        udp_port=8472,
        underlay_mtu=9000,
        source_port_base=0x1234,
        source_port_bits=11,
        reserved_bits="strict",
        udp_checksum_rx="ignore",
        udp6_zero_checksum_rx=True,
        promiscuous=False,
    ),
    vnis=(
        Vni(id=0xABCDEF, vlan=0xEDC, inner_vlan="discard", flood=("c", "a")),
        Vni(id=7),
        Vni(id=8, vlan=1, flood=("b",)),
    ),
    tunnels=(
        Tunnel(name="a", remote=ip_address("10.0.0.9"), remote_mac=MAC, ttl=200, dscp=46, ecn="zero", df="unset"),
        Tunnel(
            name="b",
            remote=ip_address("fd00::b"),
            remote_mac=MAC,
            vlan=0xABC,
            ttl="inherit",
            dscp="inherit",
            ecn="linux",
            df="inherit",
            udp_checksum=True,
            udp_port=4790,
        ),
        Tunnel(name="c", remote=ip_address("239.0.0.1"), remote_mac=bytes.fromhex("01005e000001")),
    ),
    fdb=(FdbEntry(vni=8, mac=MAC, tunnel="c"), FdbEntry(vni=7, mac=MAC, tunnel="b")),
)
PARAMETERS = VtepParameters(vnis=3, tunnels=4, fdb_entries=5, flood_entries=6)


def decode(config: Config, parameters: VtepParameters) -> list[tuple[Any, int, dict[str, Any]]]:
    """Table, index and fields of each entry, by the declared layouts."""
    result = []
    for table, index, bits in contents(config, parameters).entries:
        layout = entry_layout(table, parameters)
        assert bits < 1 << layout.size
        entry = layout.from_bits(bits)
        result.append((table, index, {name: entry[name] for name, _ in layout}))
    return result


def entries(table: Any) -> dict[int, dict[str, Any]]:
    return {index: fields for kind, index, fields in decode(CONFIG, PARAMETERS) if kind is table}


def test_settings() -> None:
    assert contents(CONFIG, PARAMETERS).settings == {
        "mac": 0x0A1B2C3D4E5F,
        "ipv4": 0x0A010203,
        "ipv6": 0xFD00_0001_0002_0000_0000_0000_0000_0003,
        "ipv6_used": 1,
        "udp_port": 8472,
        "underlay_mtu": 9000,
        "source_port_base": 0x1234,
        "source_port_bits": 11,
        "reserved_strict": 1,
        "udp_checksum_verify": 0,
        "udp6_zero_checksum": 1,
        "promiscuous": 0,
    }


def located(table: Any, key: Callable[[dict[str, Any]], int], config: Config = CONFIG) -> list[dict[str, Any]]:
    """Entries of a hashed table in the order of their keys, each at a location of its key."""
    plan = table_plan(table, PARAMETERS)
    found = [(at, fields) for kind, at, fields in decode(config, PARAMETERS) if kind is table]
    for at, fields in found:
        assert at in plan.locations(key(fields))
    return sorted((fields for _, fields in found), key=key)


def test_settings_of_the_other_modes() -> None:
    vtep = Vtep(mac=MAC, ipv4=ip_address("10.0.0.1"), promiscuous=True)
    settings, written = contents(Config(vtep=vtep), PARAMETERS)
    assert not written
    flags = ("ipv6_used", "ipv6", "reserved_strict", "udp_checksum_verify", "udp6_zero_checksum", "promiscuous")
    assert [settings[name] for name in flags] == [0, 0, 0, 1, 0, 1]


def test_vnis_and_flood_lists() -> None:
    vnis = entries(Table.VNI)
    flood = entries(Table.FLOOD)
    assert {
        index: (vni["used"], vni["vni"], vni["vlan"], vni["inner_vlan_discard"]) for index, vni in vnis.items()
    } == {
        0: (1, 0xABCDEF, 0xEDC, 1),
        1: (1, 7, 0, 0),
        2: (1, 8, 1, 0),
    }
    # A flood list is what a reader finds from the VNI's index on, up to the mark.
    assert [vnis[i]["flood_used"] for i in range(3)] == [1, 0, 1]
    assert vnis[1]["flood"] == 0
    lists = []
    for i in (0, 2):
        index = vnis[i]["flood"]
        found = [flood[index]["tunnel"]]
        while not flood[index]["last"]:
            index += 1
            found.append(flood[index]["tunnel"])
        lists.append(found)
    assert lists == [[2, 0], [1]]
    assert sorted(flood) == [0, 1, 2]


def test_tunnels() -> None:
    assert entries(Table.TUNNEL) == {
        0: {
            "used": 1,
            "remote": 0x0A000009,
            "remote_is_ipv6": 0,
            "remote_mac": 0x020304050607,
            "vlan": 0,
            "ttl": 200,
            "ttl_inherit": 0,
            "dscp": 46,
            "dscp_inherit": 0,
            "ecn": EcnMode.ZERO,
            "df": DfMode.UNSET,
            "udp_checksum": 0,
            "udp_port": 4789,
        },
        1: {
            "used": 1,
            "remote": 0xFD00_0000_0000_0000_0000_0000_0000_000B,
            "remote_is_ipv6": 1,
            "remote_mac": 0x020304050607,
            "vlan": 0xABC,
            "ttl": 0,
            "ttl_inherit": 1,
            "dscp": 0,
            "dscp_inherit": 1,
            "ecn": EcnMode.LINUX,
            "df": DfMode.INHERIT,
            "udp_checksum": 1,
            "udp_port": 4790,
        },
        2: {
            "used": 1,
            "remote": 0xEF000001,
            "remote_is_ipv6": 0,
            "remote_mac": 0x01005E000001,
            "vlan": 0,
            "ttl": 64,
            "ttl_inherit": 0,
            "dscp": 0,
            "dscp_inherit": 0,
            "ecn": EcnMode.COPY,
            "df": DfMode.SET,
            "udp_checksum": 0,
            "udp_port": 4789,
        },
    }


def test_fdb() -> None:
    assert located(Table.FDB, lambda entry: entry["vni"] | entry["mac"] << 24) == [
        {"used": 1, "vni": 7, "mac": 0x020304050607, "tunnel": 1},
        {"used": 1, "vni": 8, "mac": 0x020304050607, "tunnel": 2},
    ]


def test_vnis_of_the_tags() -> None:
    assert entries(Table.VLAN) == {0xEDC: {"vni": 0}, 1: {"vni": 2}}
    assert located(Table.VNI_MAP, lambda entry: entry["vni"]) == [
        {"used": 1, "vni": 7, "index": 1, "push": 0, "vlan": 0, "inner_vlan_discard": 0},
        {"used": 1, "vni": 8, "index": 2, "push": 1, "vlan": 1, "inner_vlan_discard": 0},
        {"used": 1, "vni": 0xABCDEF, "index": 0, "push": 1, "vlan": 0xEDC, "inner_vlan_discard": 1},
    ]


def test_remotes() -> None:
    def key(entry: dict[str, Any]) -> int:
        return entry["remote"] | entry["remote_is_ipv6"] << 128

    expected = [
        {"used": 1, "remote": 0x0A000009, "remote_is_ipv6": 0, "group": 0, "tunnel": 0},
        {"used": 1, "remote": 0xEF000001, "remote_is_ipv6": 0, "group": 1, "tunnel": 2},
        {"used": 1, "remote": 0xFD << 120 | 0xB, "remote_is_ipv6": 1, "group": 0, "tunnel": 1},
    ]
    assert located(Table.REMOTE, key) == expected
    # Of two tunnels to one address the first is the one that its frames count for.
    twice = replace(CONFIG, tunnels=(*CONFIG.tunnels, replace(CONFIG.tunnels[0], name="d")))
    assert located(Table.REMOTE, key, twice) == expected


def test_a_hashed_table_without_room_is_refused_with_its_fill() -> None:
    """Nine entries that all want the same eight locations, which hardly happens by itself."""
    parameters = VtepParameters(fdb_entries=9)
    plan = table_plan(Table.FDB, parameters)
    wanted = set(plan.locations(7))
    assert len(wanted) == 8
    macs = (mac for mac in count() if set(plan.locations(7 | mac << 24)) == wanted)
    fdb = tuple(FdbEntry(vni=7, mac=mac.to_bytes(6, "big"), tunnel="a") for mac in islice(macs, 9))
    placed = decode(replace(CONFIG, fdb=fdb[:8]), parameters)
    assert sum(table is Table.FDB for table, _, _ in placed) == 8
    problem = r"\[\[fdb\]\]: the table is full: 8 entries in 32 locations \(25\.00%\)"
    with pytest.raises(ConfigError, match=problem):
        contents(replace(CONFIG, fdb=fdb), parameters)


def test_each_entry_is_written_once() -> None:
    written = [(table, index) for table, index, _ in decode(CONFIG, PARAMETERS)]
    assert len(set(written)) == len(written) == 3 + 3 + 3 + 2 + 3 + 2 + 3


def test_tables_of_one_entry() -> None:
    """Index fields of such tables are 0 bits wide."""
    parameters = VtepParameters(vnis=1, tunnels=1, fdb_entries=1, flood_entries=1)
    tunnel = CONFIG.tunnels[0]
    config = Config(
        vtep=CONFIG.vtep,
        vnis=(Vni(id=8, flood=("a",)),),
        tunnels=(tunnel,),
        fdb=(FdbEntry(vni=8, mac=MAC, tunnel="a"),),
    )
    decoded = decode(config, parameters)
    assert [table for table, _, _ in decoded] == [
        Table.TUNNEL,
        Table.FLOOD,
        Table.FDB,
        Table.VNI,
        Table.VNI_MAP,
        Table.REMOTE,
    ]


@pytest.mark.parametrize("function", [contents, counter_names])
def test_more_than_the_build_holds_is_refused(function: Any) -> None:
    with pytest.raises(ConfigError, match=r"\[\[tunnel\]\]: holds 3 entries; allowed in this build: 0 \.\. 2"):
        function(CONFIG, VtepParameters(tunnels=2))
    with pytest.raises(ConfigError, match="no IPv6 underlay"):
        function(CONFIG, VtepParameters(ipv6=False))


def test_limits() -> None:
    parameters = VtepParameters(vnis=1, tunnels=2, fdb_entries=3, flood_entries=4, ipv6=False, udp_checksum=False)
    assert limits_of(parameters) == Limits(
        vnis=1, tunnels=2, fdb_entries=3, flood_entries=4, ipv6=False, udp_checksum=False
    )
    assert limits_of(VtepParameters()) == Limits()


def test_counter_names() -> None:
    names = counter_names(CONFIG, PARAMETERS)
    addresses = counter_map(PARAMETERS)
    assert len(set(names.values())) == len(names)
    # Everything but what belongs to the unused tunnel.
    assert set(addresses.values()) - set(names.values()) == {
        address for name, address in addresses.items() if name.startswith("tunnel[3]")
    }
    for name in ("tenant_runt", "fragment", "ecn", "host_tx_bytes"):
        assert names[name] == addresses[name]
    assert names["vni.8.encap_frames"] == addresses["vni[2].encap_frames"]
    assert names[f"vni.{0xABCDEF}.decap_bytes"] == addresses["vni[0].decap_bytes"]
    assert names["tunnel.b.decap_frames"] == addresses["tunnel[1].decap_frames"]
