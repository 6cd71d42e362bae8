"""Next hops that the device resolves: where they stand, and that nothing is led astray while they change."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from helpers.order import is_part
from vtep.config import VtepParameters
from vtep.control.tables import Table
from vtep.local.neighbors import Neighbor
from vtep_host.config import Config, ConfigError, Tunnel, Vtep
from vtep_host.difference import Barrier, NeighborEntry, State, contents, release, steps_to
from vtep_host.neighbors import address_of, place, unplace

from .test_difference import MACS, OWN, TIGHT, VIDS, WIDE, Tables, configs

A, B, C = (Neighbor(0x0A010001 + i, 4) for i in range(3))
A7 = replace(A, vlan=7)
SIX = Neighbor(int(IPv6Address("fd00::2")), 6)


def tunnels(*hops: str) -> Config:
    """A tunnel to each: address, and after a slash the VLAN; a MAC address is a ``remote_mac``."""
    made = []
    for number, hop in enumerate(hops):
        address, _, vlan = hop.partition("/")
        one = Tunnel(name=f"t{number}", remote=IPv4Address("10.9.0.1") + number, vlan=int(vlan or 0))
        if "-" in address:
            one = replace(one, remote_mac=bytes.fromhex(address.replace("-", "")))
        else:
            one = replace(one, next_hop=ip_address(address))
        made.append(one)
    return Config(vtep=Vtep(mac=MACS[0], ipv4=OWN[0]), tunnels=tuple(made))


def macs(config: Config) -> list[str]:
    return [tunnel.remote_mac.hex("-") for tunnel in config.tunnels if tunnel.remote_mac]


def test_neighbors_stand_in_the_order_of_their_first_use() -> None:
    config = tunnels("10.1.0.2", "02-00-00-00-00-99", "fd00::2", "10.1.0.2", "10.1.0.1/7", "10.1.0.1")
    neighbors, placed = place(config, 6)
    assert neighbors == (B, SIX, A7, A, None, None)
    assert macs(placed) == [
        "00-00-00-00-00-00",
        "02-00-00-00-00-99",
        "00-00-00-00-00-01",
        "00-00-00-00-00-00",
        "00-00-00-00-00-02",
        "00-00-00-00-00-03",
    ]
    assert {tunnel.next_hop for tunnel in placed.tunnels} == {None}
    assert unplace(placed, neighbors) == config
    assert [str(address_of(one)) for one in (A, SIX)] == ["10.1.0.1", "fd00::2"]
    assert place(placed, 6, neighbors).config == placed


def test_what_stays_keeps_its_place() -> None:
    before = (A, B, None, C)
    neighbors, placed = place(tunnels("10.1.0.3", "fd00::2", "10.1.0.1"), 4, before)
    assert neighbors == (A, None, SIX, C), "the one that is free, not the one that is given up"
    assert macs(placed) == ["00-00-00-00-00-03", "00-00-00-00-00-02", "00-00-00-00-00-00"]
    neighbors, placed = place(tunnels("10.1.0.1/7", "fd00::2", "10.1.0.1"), 4, before)
    assert neighbors == (A, SIX, A7, None)


def test_more_than_there_is_room_for() -> None:
    assert place(tunnels("10.1.0.1", "10.1.0.1"), 1).neighbors == (A,)
    with pytest.raises(ValueError, match="there is room for 1 neighbors, not for 2"):
        place(tunnels("10.1.0.1", "10.1.0.1/7"), 1)
    with pytest.raises(ValueError, match="tunnel 't0' has neither remote_mac nor next_hop"):
        place(replace(tunnels(), tunnels=(Tunnel(name="t0", remote=OWN[1]),)), 1)


def test_only_what_is_resolved_has_a_next_hop() -> None:
    """An entry that is not used, or is asked for in another VLAN, does not lead to where the tunnel should."""
    held = tunnels(
        "00-00-00-00-00-00", "00-00-00-00-00-01", "00-00-00-00-00-02/7", "00-00-00-00-00-03", "00-00-00-00-01-00"
    )
    shown = unplace(held, (A, None, C))
    assert [one.next_hop for one in shown.tunnels] == [IPv4Address("10.1.0.1"), None, None, None, None]
    assert [one.remote_mac for one in shown.tunnels[1:]] == [one.remote_mac for one in held.tunnels[1:]]
    assert shown.tunnels[0].remote_mac is None


def test_contents_of_a_core_have_no_next_hops() -> None:
    config = tunnels("10.1.0.1")
    with pytest.raises(ConfigError, match="this build does not resolve next hops"):
        contents(config, WIDE)


UNKNOWN = bytes([2, 9, 0, 0, 0, 0])
HOPS = tuple(map(ip_address, ("10.2.0.1", "10.2.0.2", "fd00::2")))


@st.composite
def resolving(draw: Any, parameters: VtepParameters, capacity: int) -> Config:
    """Some tunnels with a next hop, no more than there is room for."""
    config = draw(configs(parameters))
    hops = draw(st.lists(st.tuples(st.sampled_from(HOPS), st.sampled_from((0, 7))), max_size=capacity))
    changed = []
    for tunnel in config.tunnels:
        if hops and draw(st.booleans()):
            hop, vlan = draw(st.sampled_from(hops))
            tunnel = replace(tunnel, remote_mac=None, next_hop=hop, vlan=vlan)
        changed.append(tunnel)
    return replace(config, tunnels=tuple(changed))


class Gateway(Tables):
    """As `Tables`, and tunnels lead to a neighbour or to a MAC address."""

    def __init__(self, parameters: VtepParameters, capacity: int) -> None:
        super().__init__(parameters)
        self.neighbors: list[Neighbor | None] = [None] * capacity

    def do(self, step: Any) -> None:
        super().do(step)
        if isinstance(step, NeighborEntry):
            self.neighbors[step.index] = step.neighbor

    def copies(self, vid: int, mac: bytes) -> tuple[Any, ...]:
        """Whole, and those that find no neighbour left out."""
        copies = []
        for vni, tunnel in super().copies(vid, mac):
            fields = dict(tunnel)
            if fields["remote_mac"] < 256:
                neighbor = self.neighbors[fields["remote_mac"]]
                if neighbor is None:
                    continue
                assert neighbor.vlan == fields["vlan"], "asked for in another VLAN"
                fields["remote_mac"] = str(address_of(neighbor))
            copies.append((vni, tuple(fields.items())))
        return tuple(copies)

    def results(self) -> dict[Any, Any]:
        """Of tenants' frames: a MAC address of the FDB, and one that is not in it."""
        self.fdb = self.found(Table.FDB)
        return {(vid, mac): self.copies(vid, mac) for vid in VIDS for mac in (MACS[0], UNKNOWN)}


@pytest.mark.parametrize("capacity", [1, 2])
@settings(deadline=None)
@given(data=st.data())
def test_no_frame_goes_astray(capacity: int, data: Any) -> None:
    """After every write a frame goes to the next hop of the old or of the new configuration, or nowhere."""
    state, tables = State.after_reset(TIGHT), Gateway(TIGHT, capacity)
    state.neighbors = (None,) * capacity
    for _ in range(3):
        config = data.draw(resolving(TIGHT, capacity))
        steps, after = steps_to(state, config)
        first = tables.results()
        made = [first]
        waited = False
        for step in steps:
            waited = waited or isinstance(step, Barrier)
            if isinstance(step, NeighborEntry) and step.neighbor is not None:
                held = tables.neighbors[step.index]
                assert held is None or waited, "frames inside may be on their way to it"
            tables.do(step)
            made.append(tables.results())
        for results in made:
            for probe, result in results.items():
                assert is_part(result, first[probe], made[-1][probe])
        assert _leads_to(tables, config)
        state = after
        if data.draw(st.booleans()):
            for step in release(state):
                tables.do(step)
            assert set(state.neighbors) - {None} == {
                Neighbor(int(one.next_hop), one.next_hop.version, one.vlan) for one in config.tunnels if one.next_hop
            }
        assert list(steps_to(state, config)[0]) == [], "nothing is to be done twice"
        assert list(state.neighbors) == tables.neighbors
        event(f"neighbours change hands {waited}")


def _leads_to(tables: Gateway, config: Config) -> bool:
    """Whether the frames of every VNI's unknown destinations go to the next hops of its tunnels."""
    tunnels = {tunnel.name: tunnel for tunnel in config.tunnels}
    for vni in config.vnis:
        found = [dict(tunnel)["remote_mac"] for _, tunnel in tables.copies(vni.vlan, UNKNOWN)]
        wanted = [tunnels[name] for name in vni.flood]
        hops = [str(one.next_hop) if one.next_hop else int.from_bytes(one.remote_mac or b"") for one in wanted]
        if found != hops:
            return False
    return True


def test_neighbors_come_before_the_tunnels_and_go_when_frames_have_left() -> None:
    state = State.after_reset(WIDE)
    state.neighbors = (None, None)
    with pytest.raises(ConfigError, match="for 3 next hops"):
        steps_to(state, tunnels("10.1.0.1", "10.1.0.2", "10.1.0.3"))
    steps, state = steps_to(state, tunnels("10.1.0.1"))
    assert steps[0] == NeighborEntry(0, A)
    steps, state = steps_to(state, tunnels("10.1.0.2"))
    assert steps[0] == NeighborEntry(1, B)
    assert not any(isinstance(step, NeighborEntry) for step in steps[1:])
    assert state.given_up
    assert NeighborEntry(0, None) in release(state)
    assert state.neighbors == (None, B)
    assert not state.given_up
    steps, state = steps_to(state, tunnels("10.1.0.2"))
    assert steps == []


def test_an_entry_changes_hands_behind_a_barrier() -> None:
    state = State.after_reset(WIDE)
    state.neighbors = (None,)
    _, state = steps_to(state, tunnels("10.1.0.1"))
    steps, state = steps_to(state, tunnels("10.1.0.2"))
    kinds = [type(step) for step in steps]
    assert kinds.index(Barrier) < steps.index(NeighborEntry(0, B))
    assert state.neighbors == (B,)
