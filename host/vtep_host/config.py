"""The configuration of the VTEP: the one loader of the TOML schema of SPEC.md section 2.

A file is refused whole when anything in it is wrong; the `ConfigError` lists every finding with the file, the
entry, the field and what is allowed there.
"""

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from . import fields
from .fields import RefusedError
from .next_hop import Address, Subnet, group_mac

__all__ = [
    "NEIGHBOR_PREFIX",
    "Config",
    "ConfigError",
    "FdbEntry",
    "Limits",
    "Problem",
    "Tunnel",
    "Vni",
    "Vtep",
    "load",
    "loads",
]

MAX_VNI = (1 << 24) - 1
MAX_VID = 4094
"""IEEE 802.1Q table 9-2: 4095 is reserved."""
MIN_MTU = 68
"""RFC 791: every internet module must be able to forward a datagram of 68 bytes unfragmented."""
MAX_PORT = MAX_MTU = (1 << 16) - 1
NEIGHBOR_PREFIX = bytes(5)
"""MAC addresses that begin so stand in a device for a next hop that it resolves; the last byte says which."""


@dataclass(frozen=True)
class Problem:
    """One finding of the loader: where it is and what is allowed there."""

    file: str
    entry: str
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.entry, self.field, self.message) if part)


class ConfigError(ValueError):
    """The configuration is refused. ``problems`` holds every finding; the message has one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a build can hold: table capacities and the features built in.

    ``flood_entries`` is the sum of the lengths of all flood lists; ``neighbors``, how many next hops are resolved.
    """

    vnis: int = 16
    tunnels: int = 16
    fdb_entries: int = 64
    flood_entries: int = 64
    neighbors: int = 0
    ipv6: bool = True
    udp_checksum: bool = True


@dataclass(frozen=True, kw_only=True)
class Vtep:
    """The ``[vtep]`` section. ``ipv6`` is None where it is absent.

    Prefixes and routers are not kept: they lead to the ``next_hop`` of tunnels.
    """

    mac: bytes
    ipv4: IPv4Address
    ipv6: IPv6Address | None = None
    udp_port: int = 4789
    underlay_mtu: int = 1500
    source_port_base: int = 49152
    source_port_bits: int = 14
    reserved_bits: str = "ignore"
    udp_checksum_rx: str = "verify"
    udp6_zero_checksum_rx: bool = False
    promiscuous: bool = False


@dataclass(frozen=True, kw_only=True)
class Vni:
    """One ``[[vni]]``. ``vlan`` 0: untagged. ``flood``: names of tunnels, in order."""

    id: int
    vlan: int = 0
    inner_vlan: str = "pass"
    flood: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tunnel:
    """One ``[[tunnel]]``, its defaults filled in (``udp_checksum`` by family, ``udp_port`` from ``[vtep]``).

    ``remote_mac`` is None where the device is to resolve it: it is then that of ``next_hop``, which else is None.
    """

    name: str
    remote: Address
    remote_mac: bytes | None = None
    next_hop: Address | None = None
    vlan: int = 0
    ttl: int | Literal["inherit"] = 64
    dscp: int | Literal["inherit"] = 0
    ecn: str = "copy"
    df: str = "set"
    udp_checksum: bool = False
    udp_port: int = 4789


@dataclass(frozen=True, kw_only=True)
class FdbEntry:
    """One ``[[fdb]]``."""

    vni: int
    mac: bytes
    tunnel: str


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole configuration, entries in the order of the file. ``name`` is the file's, for messages."""

    vtep: Vtep
    vnis: tuple[Vni, ...] = ()
    tunnels: tuple[Tunnel, ...] = ()
    fdb: tuple[FdbEntry, ...] = ()
    name: str = field(default="<configuration>", compare=False)

    def require(self, limits: Limits) -> None:
        """Raise ConfigError where the configuration asks for more than ``limits`` has."""
        problems = list(_over_limits(self, limits))
        if problems:
            raise ConfigError(problems)


def load(path: str | PathLike[str], limits: Limits | None = None) -> Config:
    """Load the TOML file at ``path``.

    Parameters
    ----------
    path : path-like
        The file; its name as given stands in the messages.
    limits : Limits or None
        What the build can hold; None: any number of entries and every feature.

    Raises
    ------
    ConfigError
        The file cannot be read, is no TOML, or breaks a rule of SPEC.md section 2.
    """
    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8 text ({error.reason})"
        raise ConfigError([Problem(name, "", "", f"cannot be read: {reason}")]) from error
    return loads(text, name, limits)


def loads(text: str, name: str = "<string>", limits: Limits | None = None) -> Config:
    """Load a configuration from TOML text; ``name`` stands for the file in messages. See `load`."""
    try:
        document = tomllib.loads(text)
    # A plain ValueError comes from numbers of absurd length, a RecursionError from absurd nesting.
    except (ValueError, RecursionError) as error:
        raise ConfigError([Problem(name, "", "", f"is not valid TOML: {error}")]) from error
    config = _Loader(name).config(document)
    if limits is not None:
        config.require(limits)
    return config


class _Entry:
    """One table of the document: takes its fields, checked, into ``values`` and refuses those nobody asked for."""

    def __init__(self, loader: "_Loader", where: str, table: object) -> None:
        self.loader = loader
        self.where = where
        self.values: dict[str, Any] = {}
        self.sound = True
        self.table: dict[str, Any] = {}
        if isinstance(table, dict):
            self.table = table
        else:
            self.refuse("", f"must be a table, not {_show(table)}")

    def refuse(self, name: str, message: str) -> None:
        """Note a problem of the field ``name``."""
        self.sound = False
        self.loader.refuse(self.where, name, message)

    def take(self, name: str, check: Callable[[object], object], *default: object) -> Any:
        """Return the field's value or its default, or None where it is refused. No default: it is required."""
        self.values[name] = None
        if name in self.table:
            try:
                self.values[name] = check(self.table[name])
            except RefusedError as refused:
                self.refuse(name, f"must be {refused}; not {_show(self.table[name])}")
        elif default:
            self.values[name] = default[0]
        else:
            self.refuse(name, f"is missing; must be {_allowed(check)}")
        return self.values[name]

    def end(self) -> None:
        """Refuse the fields that were not taken."""
        for name in self.table:
            if name not in self.values:
                self.refuse(name, "is not known here; allowed: " + ", ".join(self.values))


def _allowed(check: Callable[[object], object]) -> str:
    """Say what ``check`` allows, in its own words: no check takes None, which TOML cannot say."""
    try:
        check(None)
    except RefusedError as refused:
        return str(refused)
    raise AssertionError("a check must refuse None")


def _show(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


class _Loader:
    """Reads one document; every finding goes to ``problems``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []

    def refuse(self, where: str, name: str, message: str) -> None:
        self.problems.append(Problem(self.name, where, name, message))

    def config(self, document: dict[str, Any]) -> Config:
        """Read the whole document, or raise ConfigError with all that is wrong in it."""
        for name in document:
            if name not in ("vtep", "vni", "tunnel", "fdb"):
                self.refuse(f"[{name}]", "", "is not known; allowed: [vtep], [[vni]], [[tunnel]], [[fdb]]")
        vtep = self.vtep(document)
        tunnels = self.tunnels(document, vtep)
        self.next_hops(vtep, tunnels)
        vnis = self.vnis(document, tunnels)
        fdb = self.fdb(document, vnis, tunnels)
        if self.problems:
            raise ConfigError(self.problems)
        return Config(
            vtep=Vtep(**{name: value for name, value in vtep.values.items() if name not in _ON_THE_WAY}),
            vnis=tuple(Vni(**entry.values) for entry in vnis),
            tunnels=tuple(Tunnel(**entry.values) for entry in tunnels),
            fdb=tuple(FdbEntry(**entry.values) for entry in fdb),
            name=self.name,
        )

    def vtep(self, document: dict[str, Any]) -> _Entry:
        if "vtep" not in document:
            self.refuse("[vtep]", "", "is missing; it must hold at least mac and ipv4")
            # What else is missing for want of it is not worth a line each.
            return _Entry(_Loader(""), "", {})
        entry = _Entry(self, "[vtep]", document["vtep"])
        if not entry.sound:
            return entry
        entry.take("mac", fields.unicast_mac)
        entry.take("ipv4", fields.ipv4)
        entry.take("ipv4_prefix", fields.integer(0, 32), None)
        entry.take("ipv4_router", fields.ipv4, None)
        entry.take("ipv6", fields.ipv6, None)
        entry.take("ipv6_prefix", fields.integer(0, 128), None)
        entry.take("ipv6_router", fields.ipv6, None)
        entry.take("udp_port", fields.integer(1, MAX_PORT), 4789)
        entry.take("underlay_mtu", fields.integer(MIN_MTU, MAX_MTU), 1500)
        base = entry.take("source_port_base", fields.integer(0, MAX_PORT), 49152)
        bits = entry.take("source_port_bits", fields.integer(0, 16), 14)
        entry.take("reserved_bits", fields.choice("ignore", "strict"), "ignore")
        entry.take("udp_checksum_rx", fields.choice("verify", "ignore"), "verify")
        entry.take("udp6_zero_checksum_rx", fields.boolean, False)
        entry.take("promiscuous", fields.boolean, False)
        entry.end()
        if base is not None and bits is not None and base + (1 << bits) > MAX_PORT + 1:
            entry.refuse(
                "source_port_base",
                f"must be an integer within 0 .. {MAX_PORT + 1 - (1 << bits)} with source_port_bits = {bits} "
                f"(base + 2^bits must not exceed {MAX_PORT + 1}); not {base}",
            )
        return entry

    def entries(self, document: dict[str, Any], section: str, label: str) -> list[_Entry]:
        """Wrap the tables of ``[[section]]``; messages call them by number and by their field ``label``."""
        array = document.get(section, [])
        if not isinstance(array, list):
            self.refuse(f"[{section}]", "", f"must be an array of tables: [[{section}]]")
            return []
        result = []
        for number, table in enumerate(array, 1):
            where = f"[[{section}]] {number}"
            if isinstance(table, dict) and label in table:
                value = table[label]
                where += f" {_show(value)}" if isinstance(value, str) else f" ({label} {_show(value)})"
            result.append(_Entry(self, where, table))
        return result

    def tunnels(self, document: dict[str, Any], vtep: _Entry) -> list[_Entry]:
        entries = self.entries(document, "tunnel", "name")
        for entry in entries:
            if not entry.sound:
                continue
            entry.take("name", fields.name)
            remote = entry.take("remote", fields.address)
            remote_mac = entry.take("remote_mac", fields.mac, None)
            entry.take("vlan", fields.integer(0, MAX_VID), 0)
            entry.take("ttl", fields.integer_or_inherit(1, 255), 64)
            entry.take("dscp", fields.integer_or_inherit(0, 63), 0)
            entry.take("ecn", fields.choice("copy", "zero", "linux"), "copy")
            entry.take("df", fields.choice("set", "unset", "inherit"), "set")
            entry.take("udp_checksum", fields.boolean, isinstance(remote, IPv6Address))
            entry.take("udp_port", fields.integer(1, MAX_PORT), vtep.values.get("udp_port"))
            entry.end()
            if isinstance(remote, IPv6Address) and vtep.table and "ipv6" not in vtep.table:
                entry.refuse("remote", f"must be an IPv4 address while [vtep] has no ipv6; not {_show(str(remote))}")
            if remote is not None and remote_mac is not None and remote_mac[0] & 1 and not remote.is_multicast:
                entry.refuse(
                    "remote_mac",
                    f"must be a unicast MAC address for the unicast remote {remote}; not {_show(remote_mac.hex(':'))}",
                )
        self.unique(entries, ("name",))
        return entries

    def next_hops(self, vtep: _Entry, tunnels: list[_Entry]) -> None:
        """Find what leads to the remotes of tunnels without ``remote_mac``."""
        subnets = {family: self.subnet(vtep, family) for family in ("ipv4", "ipv6")}
        for entry in tunnels:
            remote = entry.values.get("remote")
            if remote is None or "remote_mac" in entry.table:
                continue
            if remote.is_multicast:
                entry.values["remote_mac"] = group_mac(remote)
                continue
            family = f"ipv{remote.version}"
            subnet = subnets[family]
            if subnet is None:
                continue
            next_hop = entry.values["next_hop"] = subnet.next_hop(remote)
            if next_hop is None:
                absent = "remote_mac is absent"
                if subnet.on_link(remote):
                    allowed = f"{_neighbor(subnet)} while {absent}"
                else:
                    allowed = f"within {subnet.network} while {absent} and [vtep] has no {family}_router"
                entry.refuse("remote", f"must be {allowed}; not {_show(str(remote))}")

    def subnet(self, vtep: _Entry, family: str) -> Subnet | None:
        """Own addresses of a family; None where there are none, or none that could be relied on."""
        names = (family, f"{family}_prefix", f"{family}_router")
        given = [name for name in names if name in vtep.table]
        own, prefix, router = (vtep.values.get(name) for name in names)
        if family not in given:
            # That the other family's is missing is said already.
            for name in given if family == "ipv6" else ():
                vtep.refuse(name, f"must be absent while there is no {family}; not {_show(vtep.table[name])}")
            return None
        if own is None or any(vtep.values.get(name) is None for name in given):
            return None
        subnet = Subnet(own, prefix, router)
        if router is not None and prefix is None:
            vtep.refuse(names[2], f"must be absent without {names[1]}, as every address is then on link")
        elif router is not None and not subnet.is_neighbor(router):
            vtep.refuse(names[2], f"must be {_neighbor(subnet)}; not {_show(str(router))}")
        return subnet

    def vnis(self, document: dict[str, Any], tunnels: list[_Entry]) -> list[_Entry]:
        entries = self.entries(document, "vni", "id")
        for entry in entries:
            if not entry.sound:
                continue
            entry.take("id", fields.integer(0, MAX_VNI))
            entry.take("vlan", fields.integer(0, MAX_VID), 0)
            entry.take("inner_vlan", fields.choice("pass", "discard"), "pass")
            for name in entry.take("flood", fields.names, ()) or ():
                self.known(entry, "flood", name, tunnels, "name", "tunnel")
            entry.end()
        self.unique(entries, ("id",))
        self.unique(entries, ("vlan",))
        return entries

    def fdb(self, document: dict[str, Any], vnis: list[_Entry], tunnels: list[_Entry]) -> list[_Entry]:
        entries = self.entries(document, "fdb", "mac")
        for entry in entries:
            if not entry.sound:
                continue
            vni = entry.take("vni", fields.integer(0, MAX_VNI))
            if vni is not None:
                self.known(entry, "vni", vni, vnis, "id", "VNI")
            entry.take("mac", fields.unicast_mac)
            tunnel = entry.take("tunnel", fields.name)
            if tunnel is not None:
                self.known(entry, "tunnel", tunnel, tunnels, "name", "tunnel")
            entry.end()
        self.unique(entries, ("vni", "mac"))
        return entries

    def known(self, entry: _Entry, name: str, value: object, others: list[_Entry], label: str, what: str) -> None:
        """Refuse ``value`` where no entry of ``others`` has it as its ``label``."""
        # Entries refused for another field are still known: one mistake, one line.
        if all(other.table.get(label) != value for other in others):
            allowed = ", ".join(_show(other.table[label]) for other in others if label in other.table)
            entry.refuse(name, f"must name a configured {what} ({allowed or 'there is none'}); not {_show(value)}")

    def unique(self, entries: list[_Entry], names: tuple[str, ...]) -> None:
        """Refuse an entry that has the same values of all fields ``names`` as one before it."""
        first: dict[tuple[object, ...], _Entry] = {}
        for entry in entries:
            key = tuple(entry.values.get(name) for name in names)
            if None in key:
                continue
            if key in first:
                shown = " and ".join(f"{name} = {_show(_plain(entry.values[name]))}" for name in names)
                untagged = " (untagged)" if key == (0,) and names == ("vlan",) else ""
                entry.refuse(
                    names[-1],
                    f"must differ from that of {first[key].where}: {shown}{untagged} is taken; each may stand once",
                )
            else:
                first[key] = entry


_ON_THE_WAY = frozenset(f"{family}_{name}" for family in ("ipv4", "ipv6") for name in ("prefix", "router"))
"""Fields of ``[vtep]`` that only lead to others."""


def _neighbor(subnet: Subnet) -> str:
    where = "" if subnet.prefix is None else f" within {subnet.network}"
    return f"the address of one other station{where}"


def _plain(value: object) -> object:
    return value.hex(":") if isinstance(value, bytes) else value


def _over_limits(config: Config, limits: Limits) -> Iterator[Problem]:
    """Problems of a configuration that is valid in itself but asks for more than a build has."""

    def problem(entry: str, name: str, message: str) -> Problem:
        return Problem(config.name, entry, name, message)

    for section, count, limit in (
        ("vni", len(config.vnis), limits.vnis),
        ("tunnel", len(config.tunnels), limits.tunnels),
        ("fdb", len(config.fdb), limits.fdb_entries),
    ):
        if count > limit:
            yield problem(f"[[{section}]]", "", f"holds {count} entries; allowed in this build: 0 .. {limit}")
    flood = 0
    for number, vni in enumerate(config.vnis, 1):
        flood += len(vni.flood)
        if flood > limits.flood_entries:
            yield problem(
                f"[[vni]] {number} (id {vni.id})",
                "flood",
                f"brings the flood lists to {flood} elements; allowed in this build, all lists together: "
                f"0 .. {limits.flood_entries}",
            )
            break
    yield from _over_neighbors(config, limits.neighbors)
    if not limits.ipv6:
        absent = "this build has no IPv6 underlay"
        if config.vtep.ipv6 is not None:
            yield problem("[vtep]", "ipv6", f"must be absent: {absent}")
        if config.vtep.udp6_zero_checksum_rx:
            yield problem("[vtep]", "udp6_zero_checksum_rx", f"must be false: {absent}")
        for number, tunnel in enumerate(config.tunnels, 1):
            if isinstance(tunnel.remote, IPv6Address):
                where = f"[[tunnel]] {number} {_show(tunnel.name)}"
                yield problem(where, "remote", f'must be an IPv4 address: {absent}; not "{tunnel.remote}"')
    if not limits.udp_checksum:
        absent = "this build has no UDP checksum units"
        if config.vtep.udp_checksum_rx != "ignore":
            yield problem("[vtep]", "udp_checksum_rx", f'must be "ignore" (the default is "verify"): {absent}')
        for number, tunnel in enumerate(config.tunnels, 1):
            if tunnel.udp_checksum:
                where = f"[[tunnel]] {number} {_show(tunnel.name)}"
                yield problem(where, "udp_checksum", f"must be false (the default is true over IPv6): {absent}")


def _over_neighbors(config: Config, limit: int) -> Iterator[Problem]:
    """Problems with the next hops that are to be resolved; ``limit``: as many as can be."""
    hops: set[tuple[Address | None, int]] = set()
    for number, tunnel in enumerate(config.tunnels, 1):
        wrong = ""
        if tunnel.remote_mac is not None:
            if limit and tunnel.remote_mac.startswith(NEIGHBOR_PREFIX):
                wrong = (
                    f'must not begin with "{NEIGHBOR_PREFIX.hex(":")}", which stands for next hops that this build '
                    f"resolves; not {_show(tunnel.remote_mac.hex(':'))}"
                )
        elif not limit:
            wrong = f"is missing; must be {_allowed(fields.mac)}: this build does not resolve next hops"
        elif (hop := (tunnel.next_hop, tunnel.vlan)) not in hops:
            hops.add(hop)
            if len(hops) == limit + 1:
                wrong = f"is missing, for {limit + 1} next hops (address and vlan); allowed in this build: 0 .. {limit}"
        if wrong:
            yield Problem(config.name, f"[[tunnel]] {number} {_show(tunnel.name)}", "remote_mac", wrong)
