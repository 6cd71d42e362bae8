"""What frames meet after every single write, on the way from one configuration to another.

The tables are read here as the data plane reads them, by their declared layouts; frames are probes of all kinds that
can tell configurations apart.
"""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from helpers.order import is_part
from vtep.config import VtepParameters
from vtep.control.tables import Table, TableEntry, entry_key, entry_layout, table_capacity
from vtep_host.config import Config, ConfigError, FdbEntry, Tunnel, Vni, Vtep
from vtep_host.difference import Barrier, Settings, State, contents, release, steps_to
from vtep_host.image import HASHED
from vtep_host.tables import limits_of

TIGHT = VtepParameters(vnis=3, tunnels=3, fdb_entries=6, flood_entries=5)
WIDE = VtepParameters(vnis=8, tunnels=8, fdb_entries=16, flood_entries=16)

IDS = (1, 2, 3, 4)
VIDS = (0, 10, 20, 30)
NAMES = ("a", "b", "c", "d")
MACS = tuple(bytes([2, 0, 0, 0, 0, n]) for n in range(3))
OWN = (IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"))
REMOTES = tuple(map(IPv4Address, ("10.1.0.1", "10.1.0.2", "239.0.0.1", "239.0.0.2")))


@st.composite
def configs(draw: Any, parameters: VtepParameters) -> Config:
    tunnels = tuple(
        Tunnel(
            name=name,
            remote=draw(st.sampled_from(REMOTES)),
            remote_mac=bytes([2, 0, 0, 0, 1, draw(st.integers(0, 1))]),
            ttl=draw(st.sampled_from((64, 65))),
        )
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=parameters.tunnels))
    )
    names = st.sampled_from([tunnel.name for tunnel in tunnels]) if tunnels else st.nothing()
    vnis: list[Vni] = []
    room = parameters.flood_entries
    vids = draw(st.permutations(VIDS))
    for number in draw(st.lists(st.sampled_from(IDS), unique=True, max_size=parameters.vnis)):
        flood = draw(st.lists(names, max_size=min(3, room))) if tunnels else []
        room -= len(flood)
        inner_vlan = draw(st.sampled_from(("pass", "discard")))
        vnis.append(Vni(id=number, vlan=vids[len(vnis)], inner_vlan=inner_vlan, flood=tuple(flood)))
    fdb = []
    if vnis and tunnels:
        places = st.tuples(st.sampled_from([vni.id for vni in vnis]), st.sampled_from(MACS))
        for vni, mac in draw(st.lists(places, unique=True, max_size=parameters.fdb_entries)):
            fdb.append(FdbEntry(vni=vni, mac=mac, tunnel=draw(names)))
    vtep = Vtep(mac=MACS[0], ipv4=draw(st.sampled_from(OWN)), promiscuous=draw(st.booleans()))
    return Config(vtep=vtep, vnis=tuple(vnis), tunnels=tunnels, fdb=tuple(fdb))


class Tables:
    """What a device holds, and what it does to a frame."""

    def __init__(self, parameters: VtepParameters) -> None:
        self.parameters = parameters
        self.settings: dict[str, int] = {}
        self.held: dict[tuple[Table, int], int] = {}

    def do(self, step: Any) -> None:
        match step:
            case TableEntry(table, location, bits):
                assert 0 <= location < table_capacity(table, self.parameters)
                self.held[table, location] = bits
            case Settings(values):
                self.settings = values

    def entry(self, table: Table, index: int) -> dict[str, int]:
        bits = self.held.get((table, index), 0)
        return {name: bits >> f.offset & (1 << f.width) - 1 for name, f in entry_layout(table, self.parameters)}

    def found(self, table: Table) -> dict[int, dict[str, int]]:
        """Entries of a hashed table by key: each is found, and with one value."""
        entries: dict[int, dict[str, int]] = {}
        for (held, at), bits in self.held.items():
            if held is table and bits & 1:
                entry = self.entry(table, at)
                key = entry_key(table, self.parameters, entry)
                assert entries.setdefault(key, entry) == entry, "a key with two values"
        return entries

    def vni_of(self, vid: int) -> dict[str, int] | None:
        """Rule 2 of SPEC.md section 3."""
        every = [self.entry(Table.VNI, i) for i in range(self.parameters.vnis)]
        own = every[self.entry(Table.VLAN, vid)["vni"]] if vid else None
        if own and own["used"] and own["vlan"] == vid:
            return own
        untagged = [vni for vni in every if vni["used"] and vni["vlan"] == 0]
        assert len(untagged) <= 1
        if untagged and not (vid and untagged[0]["inner_vlan_discard"]):
            return untagged[0]
        return None

    def copies(self, vid: int, mac: bytes) -> tuple[Any, ...]:
        """VNI and tunnel of each copy of a tenant's frame."""
        vni = self.vni_of(vid)
        if vni is None:
            return ()
        key = vni["vni"] | int.from_bytes(mac) << 24
        unicast = self.fdb.get(key)
        indices = []
        if unicast:
            indices.append(unicast["tunnel"])
        elif vni["flood_used"]:
            at = vni["flood"]
            while True:
                element = self.entry(Table.FLOOD, at)
                indices.append(element["tunnel"])
                if element["last"]:
                    break
                at += 1
        return tuple((vni["vni"], tuple(self.entry(Table.TUNNEL, index).items())) for index in indices)

    def delivery(self, destination: IPv4Address, number: int) -> Any:
        """Where an underlay frame goes: VID and whether tags pass."""
        remotes = [entry for entry in self.remotes.values() if entry["remote"] == int(destination)]
        ours = self.settings.get("ipv4") == int(destination) or any(entry["group"] for entry in remotes)
        vni = self.vni_map.get(number)
        if not vni or not (ours or self.settings.get("promiscuous")):
            return None
        return vni["vlan"], vni["push"], vni["inner_vlan_discard"]

    def results(self) -> dict[Any, Any]:
        """Of every probe."""
        self.fdb, self.vni_map, self.remotes = (self.found(t) for t in (Table.FDB, Table.VNI_MAP, Table.REMOTE))
        tenant = {
            (vid, mac): self.copies(vid, mac) for vid in (*VIDS, 40) for mac in (*MACS, bytes([2, 9, 0, 0, 0, 0]))
        }
        places = (*OWN, *REMOTES, IPv4Address("10.9.9.9"))
        return tenant | {(address, number): self.delivery(address, number) for address in places for number in IDS}


def expected(config: Config) -> dict[Any, Any]:
    """The same from the configuration itself, tunnels without their index."""
    by_name = {tunnel.name: tunnel for tunnel in config.tunnels}
    by_vid = {vni.vlan: vni for vni in config.vnis}
    fdb = {(entry.vni, entry.mac): entry.tunnel for entry in config.fdb}
    groups = {tunnel.remote for tunnel in config.tunnels if tunnel.remote.is_multicast}
    results: dict[Any, Any] = {}
    for vid in (*VIDS, 40):
        vni = by_vid.get(vid)
        untagged = by_vid.get(0)
        if vni is None and untagged is not None and untagged.inner_vlan == "pass":
            vni = untagged
        for mac in (*MACS, bytes([2, 9, 0, 0, 0, 0])):
            names: tuple[str, ...] = ()
            if vni is not None:
                names = (fdb[vni.id, mac],) if (vni.id, mac) in fdb else vni.flood
            results[vid, mac] = tuple((vni.id, by_name[name].remote, by_name[name].ttl) for name in names if vni)
    for address in (*OWN, *REMOTES, IPv4Address("10.9.9.9")):
        for number in IDS:
            vni = next((vni for vni in config.vnis if vni.id == number), None)
            ours = address == config.vtep.ipv4 or address in groups or config.vtep.promiscuous
            result = None
            if vni is not None and ours:
                result = vni.vlan, int(vni.vlan != 0), int(vni.inner_vlan == "discard")
            results[address, number] = result
    return results


def plain(results: dict[Any, Any]) -> dict[Any, Any]:
    """As `expected` has them."""
    shown = {}
    for probe, result in results.items():
        if isinstance(result, tuple) and isinstance(probe[0], int):
            copies = [(vni, dict(tunnel)) for vni, tunnel in result]
            result = tuple((vni, IPv4Address(tunnel["remote"]), tunnel["ttl"]) for vni, tunnel in copies)
        shown[probe] = result
    return shown


def hand_over(old: Config, new: Config) -> bool:
    """Whether VIDs change hands, so that the untagged VNI takes no tagged frames for a while."""
    return {(v.vlan, v.id) for v in old.vnis if v.vlan} != {(v.vlan, v.id) for v in new.vnis if v.vlan}


def walk(state: State, tables: Tables, config: Config) -> tuple[State, int]:
    """Go to ``config``, and look at every frame after each write."""
    old, new = state.config, config
    steps, after = steps_to(state, config)
    first = tables.results()
    made = [dict(first)]
    for step in steps:
        tables.do(step)
        if isinstance(step, TableEntry | Settings):
            made.append(tables.results())
    last = made[-1]
    waited = any(isinstance(step, Barrier) for step in steps)
    for number, results in enumerate(made):
        for probe, result in results.items():
            nothing = result in ((), None)
            partly = waited and isinstance(probe[0], int) and is_part(result, first[probe], last[probe])
            assert result in (first[probe], last[probe]) or nothing or partly, (
                f"{probe} after step {number} of {len(steps)}: {result}, was {first[probe]}, will be {last[probe]}"
            )
            if first[probe] == last[probe] and not waited and not nothing:
                assert result == first[probe]
            if first[probe] == last[probe] and nothing and not waited:
                # An underlay frame may be taken for another reason than before.
                loses = (probe[0] and hand_over(old, new)) if isinstance(probe[0], int) else old.vtep != new.vtep
                assert result == first[probe] or loses, f"{probe} is lost after step {number}"
    assert plain(last) == expected(config)
    return after, sum(isinstance(step, TableEntry) for step in steps)


@pytest.mark.parametrize("parameters", [TIGHT, WIDE], ids=["tight", "wide"])
@settings(deadline=None)
@given(data=st.data())
def test_no_frame_goes_astray(parameters: VtepParameters, data: Any) -> None:
    state, tables = State.after_reset(parameters), Tables(parameters)
    for _ in range(3):
        config = data.draw(configs(parameters))
        state, _ = walk(state, tables, config)
        if data.draw(st.booleans()):
            for step in release(state):
                tables.do(step)
        assert list(steps_to(state, config)[0]) == [], "nothing is to be done twice"
        held = {key: bits for key, bits in tables.held.items() if bits or key[0] not in (Table.VNI, *HASHED)}
        image = {(table, at): bits for table, at, bits in state.image.entries()}
        assert held == image
        event(f"parked {sum(map(len, state.parked.values())) > 0}")


CONFIG = Config(
    vtep=Vtep(mac=MACS[0], ipv4=OWN[0]),
    vnis=(Vni(id=1, vlan=10, flood=("a", "b")), Vni(id=2)),
    tunnels=(
        Tunnel(name="a", remote=REMOTES[0], remote_mac=MACS[1]),
        Tunnel(name="b", remote=REMOTES[1], remote_mac=MACS[2]),
    ),
    fdb=(FdbEntry(vni=1, mac=MACS[1], tunnel="a"), FdbEntry(vni=2, mac=MACS[2], tunnel="b")),
)


def steps_between(*states: Config) -> Iterator[list[Any]]:
    state = State.after_reset(WIDE)
    for config in states:
        steps, state = steps_to(state, config)
        yield steps


def test_one_change_is_one_write() -> None:
    for change, table in (
        (replace(CONFIG, fdb=CONFIG.fdb[:1]), Table.FDB),
        (replace(CONFIG, fdb=(*CONFIG.fdb, FdbEntry(vni=2, mac=MACS[1], tunnel="a"))), Table.FDB),
        (replace(CONFIG, fdb=(replace(CONFIG.fdb[0], tunnel="b"), CONFIG.fdb[1])), Table.FDB),
        (replace(CONFIG, tunnels=(replace(CONFIG.tunnels[0], ttl=3), CONFIG.tunnels[1])), Table.TUNNEL),
    ):
        _, steps = steps_between(CONFIG, change)
        assert [step.table for step in steps] == [table]


@pytest.mark.parametrize("flood", [("a", "a"), ("a", "b", "a")])
def test_no_tunnel_changes_between_two_copies_of_a_frame(flood: tuple[str, ...]) -> None:
    """A list that names it twice goes over to a new one."""
    old = replace(CONFIG, vnis=(replace(CONFIG.vnis[0], flood=flood), CONFIG.vnis[1]))
    new = replace(old, tunnels=(replace(CONFIG.tunnels[0], ttl=3), CONFIG.tunnels[1]))
    _, state = steps_to(State.after_reset(WIDE), old)
    steps, after = steps_to(state, new)
    assert state.tunnels["a"] != after.tunnels["a"]
    assert (Table.TUNNEL, state.tunnels["a"]) not in [(step.table, step.location) for step in steps]


def test_a_change_of_settings_is_one_step() -> None:
    _, (step,) = steps_between(CONFIG, replace(CONFIG, vtep=replace(CONFIG.vtep, udp_port=8472)))
    assert isinstance(step, Settings)


def test_indices_stay() -> None:
    """Of VNIs and tunnels, so that counters go on; whatever the order in the file."""
    state = State.after_reset(WIDE)
    _, state = steps_to(state, CONFIG)
    shuffled = replace(CONFIG, vnis=CONFIG.vnis[::-1], tunnels=CONFIG.tunnels[::-1])
    steps, after = steps_to(state, shuffled)
    assert steps == []
    assert (after.vnis, after.tunnels) == (state.vnis, state.tunnels)


def test_a_tunnel_of_another_name_is_known_by_its_content() -> None:
    renamed = replace(
        CONFIG,
        tunnels=tuple(replace(tunnel, name=tunnel.name * 2) for tunnel in CONFIG.tunnels),
        vnis=(replace(CONFIG.vnis[0], flood=("aa", "bb")), CONFIG.vnis[1]),
        fdb=tuple(replace(entry, tunnel=entry.tunnel * 2) for entry in CONFIG.fdb),
    )
    _, steps = steps_between(CONFIG, renamed)
    assert steps == []


def test_what_a_device_cannot_hold_is_refused() -> None:
    state = State.after_reset(TIGHT)
    with pytest.raises(ConfigError, match=r"\[\[tunnel\]\]: holds 4 entries; allowed in this build: 0 \.\. 3"):
        steps_to(state, replace(CONFIG, tunnels=tuple(replace(CONFIG.tunnels[0], name=name) for name in NAMES)))
    assert limits_of(TIGHT).tunnels == 3
    assert list(state.image.entries()) == []


def test_room_is_made_where_not_even_a_shorter_flood_list_finds_any() -> None:
    """The lists fill their table, and what both configurations have is none of the old ones."""
    tunnels = (*CONFIG.tunnels, replace(CONFIG.tunnels[0], name="c", ttl=9))
    old = replace(
        CONFIG, tunnels=tunnels, vnis=(Vni(id=1, vlan=10, flood=("a", "b", "c")), Vni(id=2, flood=("a", "b")))
    )
    new = replace(old, vnis=(Vni(id=1, vlan=10, flood=("a", "b")), Vni(id=2, flood=("c", "a", "b"))))
    state, tables = State.after_reset(TIGHT), Tables(TIGHT)
    for config in (old, new):
        state, _ = walk(state, tables, config)


def test_contents_are_the_way_from_reset() -> None:
    made = contents(CONFIG, WIDE)
    state, tables = State.after_reset(WIDE), Tables(WIDE)
    walk(state, tables, CONFIG)
    assert made.settings == tables.settings
    assert {(table, at): bits for table, at, bits in made.entries} == tables.held
