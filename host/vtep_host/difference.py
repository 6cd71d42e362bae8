"""How a device comes from one configuration to another: which writes, in which order.

After every single write, and whatever the frames inside, a frame goes where the old or the new configuration sends it,
or nowhere. What that asks for:

- What underlay frames need (own addresses, VNI map, groups) is first taken away, then the settings change, then the new
  is added: in between less is accepted, never anything that neither configuration accepts.
- A tenant frame whose MAC address is not in the FDB is flooded. So new FDB entries come before a VNI's new flood list,
  and entries are deleted after it; a VNI that changes its VID is taken out of use meanwhile.
- A tunnel is changed in place only if whoever used it goes on using it. Otherwise the new one gets an index of its own,
  and the FDB entries and flood lists change over to it.
- A VID that no VNI has may belong to the untagged VNI, which therefore takes no tagged frames while VIDs change hands.
- Indices and flood lists that were given up may still be in use by frames inside: they are parked until those left.
- A neighbour, which a gateway resolves, gets an entry to which nothing leads, before any tunnel leads there; where none
  is left, the tunnels that lead to one go first. A neighbour that is given up stays until the frames inside left.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import TypeVar

from vtep.config import VtepParameters
from vtep.control.initial import Initial
from vtep.control.tables import Table, TableEntry, entry_key, table_capacity
from vtep.local.neighbors import Neighbor

from .config import Config, ConfigError, Problem, Vni, Vtep
from .image import Image
from .neighbors import Neighbors, place, used
from .placement import TableFullError
from .tables import (
    SECTIONS,
    fdb_fields,
    limits_of,
    remote_fields,
    settings_of,
    tunnel_fields,
    vni_fields,
    vni_map_fields,
)

__all__ = ["Barrier", "NeighborEntry", "Settings", "State", "Step", "contents", "release", "steps_to"]


@dataclass(frozen=True)
class Settings:
    """A step: put settings into effect."""

    values: dict[str, int]


@dataclass(frozen=True)
class Barrier:
    """A step: wait until the frames that are inside have left."""


@dataclass(frozen=True)
class NeighborEntry:
    """A step: write an entry of the gateway's neighbours; None takes it out of use."""

    index: int
    neighbor: Neighbor | None


Step = TableEntry | Settings | NeighborEntry | Barrier

T = TypeVar("T")


@dataclass
class State:
    """A device, its configuration, and where its parts stand. As made, that of a device after reset.

    ``vnis``, ``tunnels``: index by id and by name. ``runs``: where the flood list of a VNI begins. ``parked``: indices
    that nothing refers to but frames that may still be inside; in FLOOD, of elements. ``neighbors``: what the gateway
    around the core resolves, without one empty; in ``config`` tunnels lead there by their MAC address.
    """

    parameters: VtepParameters
    image: Image
    config: Config
    vnis: dict[int, int] = field(default_factory=dict)
    tunnels: dict[str, int] = field(default_factory=dict)
    runs: dict[int, int] = field(default_factory=dict)
    parked: dict[Table, set[int]] = field(default_factory=lambda: defaultdict(set))
    neighbors: Neighbors = ()

    @property
    def given_up(self) -> bool:
        """Whether there is anything that nothing refers to but frames that may still be inside."""
        return any(self.parked.values()) or bool(_unused(self))

    @classmethod
    def after_reset(cls, parameters: VtepParameters) -> "State":
        """State of a device after reset."""
        return cls(parameters, Image(parameters), _EMPTY)

    def copy(self) -> "State":
        """Return a state that can be changed without this one."""
        parked = defaultdict(set, {table: set(held) for table, held in self.parked.items()})
        return replace(
            self,
            image=self.image.copy(),
            vnis=dict(self.vnis),
            tunnels=dict(self.tunnels),
            runs=dict(self.runs),
            parked=parked,
        )


_EMPTY = Config(vtep=Vtep(mac=bytes(6), ipv4=IPv4Address(0)), name="<device after reset>")


class _NoRoomError(Exception):
    """The new does not fit beside the old."""


class _FullError(_NoRoomError):
    """A hashed table has no room for an entry."""

    def __init__(self, table: Table, error: TableFullError) -> None:
        super().__init__(str(error))
        self.table = table


def steps_to(state: State, config: Config) -> tuple[list[Step], State]:
    """Work out what brings a device from ``state`` to ``config``, and its state afterwards.

    What both configurations have is not touched. Where the new does not fit beside the old, the old is taken away
    first, and frames of what changes are dropped meanwhile.

    Raises
    ------
    ConfigError
        The device cannot hold the configuration.
    """
    capacity = len(state.neighbors)
    config.require(limits_of(state.parameters, capacity))
    neighbors, config = place(config, capacity, state.neighbors)
    # What leads to an entry that another neighbour gets must be gone first.
    taken_over = any(held and new and held != new for held, new in zip(state.neighbors, neighbors, strict=True))
    if not taken_over:
        try:
            return _with_neighbors(state, neighbors, config)
        except _NoRoomError:
            pass
    lean = _common(state.config, config)
    bare = replace(lean, vnis=tuple(replace(vni, flood=()) for vni in lean.vnis))
    # Flood lists may lie scattered; without any, all find room.
    for less in (lean, bare):
        try:
            taken, between = _Way(state, less, hold_tagged=_vids(state.config.vnis) != _vids(config.vnis)).go()
            released = release(between)
            added, after = _with_neighbors(between, neighbors, config)
        except _FullError as error:
            raise ConfigError([Problem(config.name, SECTIONS[error.table], "", str(error))]) from None
        except _NoRoomError:
            continue
        return [*taken, Barrier(), *released, *added], after
    raise AssertionError("a configuration within the limits finds room in an empty device")


def _with_neighbors(state: State, neighbors: Neighbors, config: Config) -> tuple[list[Step], State]:
    """The neighbours first, and what leads there with the new beside the old."""
    steps, after = _Way(state, config).go()
    pairs = zip(state.neighbors, neighbors, strict=True)
    entries = [NeighborEntry(i, new) for i, (held, new) in enumerate(pairs) if new is not None and new != held]
    after.neighbors = tuple(new or held for held, new in zip(state.neighbors, neighbors, strict=True))
    return [*entries, *steps], after


def _unused(state: State) -> list[int]:
    """Indices of neighbours to which no tunnel leads."""
    wanted = used(state.config)
    return [i for i, held in enumerate(state.neighbors) if held is not None and i not in wanted]


def contents(config: Config, parameters: VtepParameters) -> Initial:
    """What brings a core from reset to ``config``, the settings last.

    Until the core knows its own addresses it takes no tunnel traffic, so that traffic starts configured.

    Raises
    ------
    ConfigError
        The core cannot hold it.
    """
    steps, state = steps_to(State.after_reset(parameters), config)
    return Initial(state.image.settings, [step for step in steps if isinstance(step, TableEntry)])


def release(state: State) -> list[Step]:
    """Give free what is parked, in ``state`` as well; the frames that were inside have left."""
    steps: list[Step] = []
    for index in sorted(state.parked[Table.TUNNEL]):
        steps += state.image.write(Table.TUNNEL, index, {})
    state.parked.clear()
    unused = _unused(state)
    steps += [NeighborEntry(index, None) for index in unused]
    state.neighbors = tuple(None if index in unused else held for index, held in enumerate(state.neighbors))
    return steps


def _common(old: Config, new: Config) -> Config:
    """What of ``old`` may stay where nothing of ``new`` is there yet."""
    tunnels = {tunnel.name for tunnel in set(old.tunnels) & set(new.tunnels)}
    wanted = {(entry.vni, entry.mac): entry.tunnel for entry in new.fdb}
    vnis = {vni.id: vni for vni in new.vnis}
    fdb, moved = [], set()
    for entry in old.fdb:
        goal = wanted.get((entry.vni, entry.mac))
        if goal is None:
            continue
        if goal == entry.tunnel and goal in tunnels:
            fdb.append(entry)
        else:
            moved.add(entry.vni)  # it would be flooded meanwhile
    kept = []
    for vni in old.vnis:
        if vni.id not in vnis or vnis[vni.id].vlan != vni.vlan:
            continue
        other = vnis[vni.id].flood
        flood = () if vni.id in moved else tuple(name for name in vni.flood if name in other and name in tunnels)
        kept.append(replace(vni, flood=flood))
    ids = {vni.id for vni in kept}
    return replace(
        old,
        vnis=tuple(kept),
        tunnels=tuple(tunnel for tunnel in old.tunnels if tunnel.name in tunnels),
        fdb=tuple(entry for entry in fdb if entry.vni in ids),
    )


class _Way:
    """One way from a state to a configuration, with the new beside the old.

    ``hold_tagged``: at its end the untagged VNI still takes no tagged frames.
    """

    def __init__(self, state: State, config: Config, *, hold_tagged: bool = False) -> None:
        self.hold_tagged = hold_tagged
        self.before = state
        self.state = state.copy()
        self.old, self.new = state.config, config
        self.steps: list[Step] = []

    def go(self) -> tuple[list[Step], State]:
        """Return the steps, and the state behind them."""
        state, new = self.state, self.new
        self._choose_tunnels()
        self._choose_vnis()
        self._choose_runs()
        vni_map = {vni.id: vni_map_fields(vni, state.vnis[vni.id]) for vni in new.vnis}
        remotes = {
            entry_key(Table.REMOTE, state.parameters, entry): entry for entry in remote_fields(new, state.tunnels)
        }
        fdb = {entry_key(Table.FDB, state.parameters, entry): entry for entry in fdb_fields(new, state.tunnels)}

        settings = settings_of(new.vtep)
        if state.image.settings == settings:
            self._delete(Table.VNI_MAP, vni_map)
            self._delete(Table.REMOTE, remotes)
        else:
            # What is accepted by other settings must not meet the old entry of a VNI.
            held = state.image.hashed(Table.VNI_MAP)
            self._delete(Table.VNI_MAP, {key for key, entry in vni_map.items() if held.get(key) == entry})
            self._delete(Table.REMOTE, remotes)
            state.image.settings = settings
            self.steps.append(Settings(settings))

        detached = self._detach()
        for tunnel in new.tunnels:
            self._write(Table.TUNNEL, state.tunnels[tunnel.name], tunnel_fields(tunnel))
        for vni in new.vnis:
            if vni.flood and state.runs[vni.id] != self.before.runs.get(vni.id):
                self._write_run(vni)

        for entry in fdb.values():
            self._insert(Table.FDB, entry)
        self._delete(Table.FDB, fdb, detached)
        self._attach(stale=any(key not in fdb for key in state.image.placed[Table.FDB]))
        self._delete(Table.FDB, fdb)
        self._let_tagged_in()

        for entry in vni_map.values():
            self._insert(Table.VNI_MAP, entry)
        for entry in remotes.values():
            self._insert(Table.REMOTE, entry)
        self._park()
        state.config = new
        return self.steps, state

    def _write(self, table: Table, index: int, fields: Mapping[str, object]) -> None:
        self.steps += self.state.image.write(table, index, fields)

    def _insert(self, table: Table, fields: Mapping[str, int]) -> None:
        try:
            self.steps += self.state.image.insert(table, fields)
        except TableFullError as error:
            raise _FullError(table, error) from None

    def _delete(self, table: Table, wanted: Container[int], vnis: Container[int] | None = None) -> None:
        """Delete the entries whose keys are not in ``wanted``; of the FDB only those of ``vnis``, if given."""
        for key, entry in self.state.image.hashed(table).items():
            if key not in wanted and (vnis is None or entry["vni"] in vnis):
                self.steps += self.state.image.delete(table, key)

    def _choose_tunnels(self) -> None:
        """An index for each tunnel: that of the same one, or one that changes in place, or a free one."""
        before, image = self.before.tunnels, self.state.image
        chosen: dict[str, int] = {}
        left = dict(before)
        bits = {tunnel.name: image.pack(Table.TUNNEL, tunnel_fields(tunnel)) for tunnel in self.new.tunnels}

        def take(name: str, held: str) -> None:
            chosen[name] = left.pop(held)

        for name in bits:
            if name in left and image.bits(Table.TUNNEL, left[name]) == bits[name]:
                take(name, name)
        # Names are not known of a device whose configuration another driver wrote.
        for name in [name for name in bits if name not in chosen]:
            held = next((held for held, index in left.items() if image.bits(Table.TUNNEL, index) == bits[name]), None)
            if held is not None:
                take(name, held)
        changing = {name for name in bits if name not in chosen and name in left}
        for name in _changeable(changing, self.old, self.new):
            take(name, name)
        self.state.tunnels = self._filled(Table.TUNNEL, chosen, bits, set(before.values()))

    def _choose_vnis(self) -> None:
        before = self.before.vnis
        chosen = {vni.id: before[vni.id] for vni in self.new.vnis if vni.id in before}
        self.state.vnis = self._filled(Table.VNI, chosen, [vni.id for vni in self.new.vnis], set(before.values()))

    def _filled(self, table: Table, chosen: dict[T, int], names: Iterable[T], taken: set[int]) -> dict[T, int]:
        """Give every name an index, free ones where none is ``chosen``; in the order of the names."""
        taken = taken | self.before.parked[table]
        free = (index for index in range(table_capacity(table, self.state.parameters)) if index not in taken)
        result = {}
        for name in names:
            index = chosen.get(name)
            if index is None:
                index = next(free, None)
            if index is None:
                raise _NoRoomError(table.name)
            result[name] = index
        return result

    def _choose_runs(self) -> None:
        """A place for each flood list: where it is, or the first that is free."""
        state, before = self.state, self.before
        busy = set(before.parked[Table.FLOOD])
        for vni in self.old.vnis:
            if vni.flood:
                busy.update(range(before.runs[vni.id], before.runs[vni.id] + len(vni.flood)))
        old_lists = {vni.id: [before.tunnels[name] for name in vni.flood] for vni in self.old.vnis}
        state.runs = {}
        for vni in self.new.vnis:
            wanted = [state.tunnels[name] for name in vni.flood]
            if not wanted:
                continue
            if old_lists.get(vni.id) == wanted:
                state.runs[vni.id] = before.runs[vni.id]
                continue
            start = _gap(busy, len(wanted), table_capacity(Table.FLOOD, state.parameters))
            if start is None:
                raise _NoRoomError("FLOOD")
            state.runs[vni.id] = start
            busy.update(range(start, start + len(wanted)))

    def _write_run(self, vni: Vni) -> None:
        start, last = self.state.runs[vni.id], len(vni.flood) - 1
        for i, name in enumerate(vni.flood):
            self._write(Table.FLOOD, start + i, {"tunnel": self.state.tunnels[name], "last": i == last})

    def _detach(self) -> set[int]:
        """Take VNIs out of use that go, or get another VID; returns them."""
        goal = {vni.id: vni.vlan for vni in self.new.vnis}
        changed = [vni for vni in self.old.vnis if goal.get(vni.id) != vni.vlan]
        passes = any(vni.vlan == 0 and vni.inner_vlan == "pass" for vni in self.new.vnis)
        if not passes or _vids(self.old.vnis) != _vids(self.new.vnis):
            for vni in self.old.vnis:
                if vni.vlan == 0 and vni not in changed:
                    fields = vni_fields(vni, self.before.runs.get(vni.id))
                    self._write(Table.VNI, self.before.vnis[vni.id], fields | {"inner_vlan_discard": 1})
        # The untagged one first, or it takes the frames of the others.
        for vni in sorted(changed, key=lambda vni: vni.vlan):
            self._write(Table.VNI, self.before.vnis[vni.id], {})
        return {vni.id for vni in changed}

    def _attach(self, *, stale: bool) -> None:
        """Put all VNIs into use as they are to be, the untagged one last.

        While there are ``stale`` FDB entries it does not yet take tagged frames that are new to it.
        """
        for vni in sorted(self.new.vnis, key=lambda vni: vni.vlan == 0):
            index = self.state.vnis[vni.id]
            fields = vni_fields(vni, self.state.runs.get(vni.id))
            if vni.vlan == 0:
                now = self.state.image.fields(Table.VNI, index)
                passing = now["used"] and now["vlan"] == 0 and not now["inner_vlan_discard"]
                fields["inner_vlan_discard"] |= self.hold_tagged or (stale and not passing)
            self._write(Table.VNI, index, fields)
            if vni.vlan:
                self._write(Table.VLAN, vni.vlan, {"vni": index})

    def _let_tagged_in(self) -> None:
        """Let the untagged VNI take the tagged frames that it is to take."""
        for vni in self.new.vnis:
            if vni.vlan == 0 and not self.hold_tagged:
                self._write(Table.VNI, self.state.vnis[vni.id], vni_fields(vni, self.state.runs.get(vni.id)))

    def _park(self) -> None:
        state, before = self.state, self.before
        state.parked[Table.TUNNEL] |= set(before.tunnels.values()) - set(state.tunnels.values())
        state.parked[Table.VNI] |= set(before.vnis.values()) - set(state.vnis.values())
        state.parked[Table.FLOOD] |= _elements(self.old, before.runs) - _elements(self.new, state.runs)


def _vids(vnis: Iterable[Vni]) -> set[tuple[int, int]]:
    """Which VID is whose."""
    return {(vni.vlan, vni.id) for vni in vnis if vni.vlan}


def _changeable(changing: set[str], old: Config, new: Config) -> set[str]:
    """Tunnels that may change in place: each frame that takes one goes on taking it, and changes by nothing else."""
    goals = {(entry.vni, entry.mac): entry.tunnel for entry in new.fdb}
    blocked = {entry.tunnel for entry in old.fdb if goals.get((entry.vni, entry.mac)) != entry.tunnel}
    vnis = {vni.id: vni for vni in new.vnis}
    learned = {vni for vni, _ in goals.keys() - {(entry.vni, entry.mac) for entry in old.fdb}}
    for vni in old.vnis:
        # As often as the list has them: of two copies by one tunnel, one could meet the old and one the new.
        touched = [name for name in vni.flood if name in changing]
        stays = vni.id in vnis and vnis[vni.id].flood == vni.flood and vni.id not in learned
        if not stays or len(touched) > 1:
            blocked.update(touched)
    return changing - blocked


def _elements(config: Config, runs: Mapping[int, int]) -> set[int]:
    """Indices of all elements of flood lists."""
    return {runs[vni.id] + i for vni in config.vnis for i in range(len(vni.flood))}


def _gap(busy: Container[int], length: int, end: int) -> int | None:
    """First of ``length`` consecutive free indices below ``end``."""
    start = 0
    for index in range(end):
        if index in busy:
            start = index + 1
        elif index - start == length - 1:
            return start
    return None
