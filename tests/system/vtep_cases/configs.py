"""Configurations for the system tests, written as TOML and read by the one loader."""

import json
from ipaddress import IPv6Address
from random import Random

from vtep.config import Mode, VtepParameters
from vtep_host.config import Config, loads
from vtep_host.tables import limits_of
from vtep_sim.cocotb.frames import mac

OWN_MAC = "02:00:00:00:00:01"
OWN_IPV4 = "10.0.0.1"
OWN_IPV6 = "fd00::1"

HOST_A = mac("52:54:00:00:00:0a")
HOST_B = mac("52:54:00:00:00:0b")
HOST_C = mac("52:54:00:00:00:0c")
BROADCAST = b"\xff" * 6


def toml(value) -> str:
    """A TOML value; strings, numbers, booleans and lists of strings are all that the schema needs."""
    return json.dumps(value)


def text(vtep: dict, vnis: list[dict], tunnels: list[dict], fdb: list[dict]) -> str:
    """The TOML document."""
    lines = ["[vtep]", *(f"{key} = {toml(value)}" for key, value in vtep.items())]
    for section, entries in (("vni", vnis), ("tunnel", tunnels), ("fdb", fdb)):
        for entry in entries:
            lines += [f"[[{section}]]", *(f"{key} = {toml(value)}" for key, value in entry.items())]
    return "\n".join(lines) + "\n"


def tunnel(p: VtepParameters, name: str, remote: str, **fields) -> dict:
    """A tunnel whose next hop's MAC address follows from its name, legal in this build."""
    number = sum(name.encode()) & 0xFF
    entry = {"name": name, "remote": remote, "remote_mac": f"02:00:00:00:01:{number:02x}"} | fields
    if not p.udp_checksum and ":" in remote:
        entry["udp_checksum"] = False
    return entry


def vni(number: int, vlan: int = 0, flood=(), **fields) -> dict:
    return {"id": number, "vlan": vlan, "flood": list(flood)} | fields


def fdb(number: int, address: bytes, name: str) -> dict:
    return {"vni": number, "mac": address.hex(":"), "tunnel": name}


def make(p: VtepParameters, *, vtep=None, vnis=None, tunnels=None, entries=()) -> Config:
    """A configuration for the build ``p``.

    By default: VNI 100 on VLAN 10 and VNI 200 untagged, both flooding to tunnel "leaf2" at 10.0.0.2.
    """
    head = {"mac": OWN_MAC, "ipv4": OWN_IPV4}
    if p.ipv6:
        head["ipv6"] = OWN_IPV6
    if not p.udp_checksum:
        head["udp_checksum_rx"] = "ignore"
    head |= vtep or {}
    head = {key: value for key, value in head.items() if value is not None}
    if tunnels is None:
        tunnels = [tunnel(p, "leaf2", "10.0.0.2")]
    if vnis is None:
        vnis = [vni(100, 10, ["leaf2"]), vni(200, 0, ["leaf2"])]
    return loads(text(head, vnis, tunnels, list(entries)), "test.toml", limits_of(p))


def random_mac(rng: Random) -> bytes:
    """A unicast MAC address."""
    return bytes([rng.randrange(256) & 0xFE | 2]) + rng.randbytes(5)


def random_address(rng: Random, version: int, *, group: bool = False) -> str:
    """An address of any bits, a unicast address or a multicast group."""
    if version == 4:
        first = rng.randint(224, 239) if group else rng.choice([*range(1, 127), *range(128, 224)])
        return f"{first}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randint(1, 254)}"
    # fe80::/10 and the like are as good as any: the core looks at no scope.
    first = 0xFF00 | rng.randrange(256) if group else rng.randint(1, 0xFEFF)
    return str(IPv6Address(first << 112 | rng.getrandbits(112)))


def random_config(p: VtepParameters, rng: Random, *, mtu: int | None = None, full: bool = False) -> Config:
    """Any configuration that the build takes, every policy by dice.

    Most tables are partly full, sometimes wholly; with ``full`` all tables are.
    """

    def amount(limit: int) -> int:
        return limit if full or rng.random() < 0.2 else rng.randint(1, max(1, limit // 3))

    bits = rng.choice([0, 1, 8, 14, 14, 15, 16])
    head = {
        "mac": random_mac(rng).hex(":"),
        "udp_port": rng.choice([4789, 4789, 8472, 4790, 1, 65535]),
        "underlay_mtu": mtu or rng.choice([1500, 1500, 576, 1280, 9000, 65535]),
        "source_port_bits": bits,
        "source_port_base": rng.randint(0, 65536 - (1 << bits)),
        "reserved_bits": rng.choice(["ignore", "strict"]),
        "udp_checksum_rx": rng.choice(["verify", "verify", "ignore"]) if p.udp_checksum else "ignore",
    }
    if rng.random() < 0.5:
        head["ipv4"] = random_address(rng, 4)
    if p.ipv6 and rng.random() < 0.5:
        head["ipv6"] = random_address(rng, 6)
    if p.ipv6 and rng.random() < 0.3:
        head["udp6_zero_checksum_rx"] = True
    if rng.random() < 0.1:
        head["promiscuous"] = True

    tunnels = []
    for i in range(amount(p.tunnels)):
        group = rng.random() < 0.15
        anywhere = rng.random() < 0.4
        if p.ipv6 and rng.random() < 0.5:
            remote = f"ff05::{rng.randint(1, 4):x}" if group else f"fd00::{rng.randint(2, 0x20):x}"
        else:
            remote = f"239.1.1.{rng.randint(1, 4)}" if group else f"10.0.0.{rng.randint(2, 30)}"
        if anywhere:
            remote = random_address(rng, 6 if ":" in remote else 4, group=group)
        entry = tunnel(
            p,
            f"t{i}",
            remote,
            remote_mac=random_mac(rng).hex(":"),
            vlan=rng.choice([0, 0, 1, 100, 4094]),
            ttl=rng.choice(["inherit", 1, 64, 255]),
            dscp=rng.choice(["inherit", 0, 46, 63]),
            ecn=rng.choice(["copy", "zero", "linux"]),
            df=rng.choice(["set", "unset", "inherit"]),
        )
        if p.udp_checksum:
            entry["udp_checksum"] = rng.random() < 0.5
        if rng.random() < 0.2:
            entry["udp_port"] = rng.choice([8472, 4790, 4789])
        tunnels.append(entry)
    names = [entry["name"] for entry in tunnels]

    vnis = []
    left = p.flood_entries
    vlans = [0, *rng.sample(range(1, 4095), p.vnis)]
    ids = rng.sample([0, 1, 100, 0xFFFFFF, *(rng.getrandbits(24) for _ in range(p.vnis))], p.vnis)
    for i in range(amount(p.vnis)):
        flood = rng.sample(names, min(left, rng.choice([0, 1, 1, 2, 3]), len(names)))
        left -= len(flood)
        vnis.append(vni(ids[i], vlans[i], flood, inner_vlan=rng.choice(["pass", "pass", "discard"])))
    if len({entry["id"] for entry in vnis}) < len(vnis):
        return random_config(p, rng, mtu=mtu, full=full)
    rng.shuffle(vnis)

    known: dict[tuple[int, bytes], dict] = {}
    for _ in range(amount(p.fdb_entries)):
        number = rng.choice(vnis)["id"]
        address = random_mac(rng)
        known[number, address] = fdb(number, address, rng.choice(names))
    return make(p, vtep=head, vnis=vnis, tunnels=tunnels, entries=known.values())


def cut_through(p: VtepParameters) -> tuple[bool, bool]:
    """Whether encapsulation and decapsulation of this build cut through."""
    return p.encap_mode is Mode.CUT_THROUGH, p.decap_mode is Mode.CUT_THROUGH
