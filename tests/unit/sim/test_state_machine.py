"""Apply, update, traffic and reset in any order, on the simulated core, against dictionaries.

The model here knows what a switch does with a few kinds of frames, and nothing of tables, locations or registers.
"""

import random
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from helpers.octets import ethernet, ipv4, tag, udp, vxlan
from helpers.order import is_part
from vtep.config import VtepParameters
from vtep_host.adopt import read_state
from vtep_host.config import Config, ConfigError, FdbEntry, Tunnel, Vni, Vtep
from vtep_host.controller import Controller
from vtep_host.difference import Barrier, steps_to
from vtep_sim.golden import Frame
from vtep_sim.harness import Simulator

OWN_MAC, OWN = bytes.fromhex("020000000001"), 0x0A000001
IDS, VIDS, NAMES = (1, 2, 300, 0xFFFFFF), (0, 5, 6, 4094), ("a", "b", "c", "d", "e")
MACS = tuple(bytes([2, 0, 0, 0, 1, n]) for n in range(8))
GROUP = bytes([3, 0, 0, 0, 0, 1])
PARAMETERS = VtepParameters(vnis=3, tunnels=4, fdb_entries=16, flood_entries=8)
OUTER = 14 + 20 + 8 + 8
COUNTERS = ("tenant_rx_frames", "underlay_tx_frames", "no_vni", "no_tunnel", "tenant_tx_frames", "unknown_vni")


class Model:
    """What stands in the dictionaries is what the core does."""

    def __init__(self) -> None:
        self.vnis: dict[int, tuple[int, tuple[str, ...]]] = {}
        self.tunnels: dict[str, tuple[int, int]] = {}  # remote address and last byte of the next hop's MAC
        self.fdb: dict[tuple[int, bytes], str] = {}
        self.configured = False  # the core knows its addresses

    def copy(self) -> "Model":
        other = Model()
        other.vnis, other.tunnels, other.fdb = dict(self.vnis), dict(self.tunnels), dict(self.fdb)
        return other

    def config(self) -> Config:
        return Config(
            vtep=Vtep(mac=OWN_MAC, ipv4=IPv4Address(OWN)),
            vnis=tuple(Vni(id=number, vlan=vid, flood=flood) for number, (vid, flood) in self.vnis.items()),
            tunnels=tuple(
                Tunnel(name=name, remote=IPv4Address(remote), remote_mac=bytes([2, 0, 0, 0, 2, hop]))
                for name, (remote, hop) in self.tunnels.items()
            ),
            fdb=tuple(FdbEntry(vni=vni, mac=mac, tunnel=tunnel) for (vni, mac), tunnel in self.fdb.items()),
        )

    @property
    def fits(self) -> bool:
        return (
            len(self.vnis) <= PARAMETERS.vnis
            and len(self.tunnels) <= PARAMETERS.tunnels
            and len(self.fdb) <= PARAMETERS.fdb_entries
            and sum(len(flood) for _, flood in self.vnis.values()) <= PARAMETERS.flood_entries
        )

    def drop_unused(self) -> None:
        """Forget what refers to something that is gone."""
        for number, (vid, flood) in self.vnis.items():
            self.vnis[number] = vid, tuple(name for name in flood if name in self.tunnels)
        self.fdb = {key: name for key, name in self.fdb.items() if key[0] in self.vnis and name in self.tunnels}

    def encap(self, vid: int, untagged: bytes) -> tuple[str, list[tuple[int, int, int, bytes]]]:
        """Counter of the drop, or "", and (remote, hop, VNI, inner frame) of each copy."""
        by_vid = {vid: number for number, (vid, _) in self.vnis.items()}
        number = by_vid.get(vid)
        inner = untagged
        if number is None:
            number, inner = by_vid.get(0), tag(untagged, vid)
        if number is None:
            return "no_vni", []
        known = self.fdb.get((number, untagged[:6]))
        names = (known,) if known else self.vnis[number][1]
        copies = [(*self.tunnels[name], number, inner) for name in names]
        return ("" if copies else "no_tunnel"), copies

    def decap(self, number: int, inner: bytes) -> bytes | None:
        if number not in self.vnis:
            return None
        vid = self.vnis[number][0]
        return tag(inner, vid) if vid else inner


def copies_in(frame: bytes) -> tuple[int, int, int, bytes]:
    """What an underlay frame is, of the fields that `Model.encap` tells."""
    assert frame[12:14] == b"\x08\x00"
    return int.from_bytes(frame[30:34]), frame[5], int.from_bytes(frame[46:49]), frame[OUTER:]


@st.composite
def changes(draw: Any, model: Model) -> Model:
    """A model with one thing changed."""
    other = model.copy()
    match draw(st.sampled_from(("tunnel", "no tunnel", "vni", "no vni", "learn", "learn", "forget"))):
        case "tunnel":
            other.tunnels[draw(st.sampled_from(NAMES))] = draw(
                st.tuples(st.integers(0x0A010001, 0x0A010006), st.integers(1, 3))
            )
        case "no tunnel":
            other.tunnels.pop(draw(st.sampled_from(NAMES)), None)
        case "vni":
            number = draw(st.sampled_from(IDS))
            free = [vid for vid in VIDS if vid not in {at for id_, (at, _) in other.vnis.items() if id_ != number}]
            names = st.lists(st.sampled_from(sorted(other.tunnels)), max_size=3) if other.tunnels else st.just([])
            other.vnis[number] = draw(st.sampled_from(free)), tuple(draw(names))
        case "no vni":
            other.vnis.pop(draw(st.sampled_from(IDS)), None)
        case "learn" if other.vnis and other.tunnels:
            vni, name = draw(st.sampled_from(sorted(other.vnis))), draw(st.sampled_from(sorted(other.tunnels)))
            other.fdb[vni, draw(st.sampled_from(MACS))] = name
        case _ if other.fdb:
            other.fdb.pop(draw(st.sampled_from(sorted(other.fdb))))
        case _:
            pass
    other.drop_unused()
    return other


class Machine(RuleBasedStateMachine):
    """One core, out of reset at the beginning of each run."""

    simulator: Simulator

    @initialize()
    def begin(self) -> None:
        self._after_reset()

    def _after_reset(self) -> None:
        self.simulator.reset()
        self.controller = Controller(self.simulator.device, patience=30)
        self.model = Model()
        self.counted = dict.fromkeys(COUNTERS, 0)

    # -- changes ---------------------------------------------------------------------------------------------

    def _bring(self, new: Model) -> bool:
        """Apply; whether it was taken. Too much is refused, and then nothing has changed."""
        try:
            self.controller.apply(new.config())
        except ConfigError:
            assert not new.fits
            return False
        assert new.fits
        self.model = new
        self.model.configured = True
        return True

    @rule(data=st.data(), count=st.integers(2, 12))
    def apply(self, data: Any, count: int) -> None:
        """Another configuration, many changes at once."""
        new = self.model
        for _ in range(count):
            new = data.draw(changes(new))
        self._bring(new)

    @rule(data=st.data())
    def update(self, data: Any) -> None:
        """One change."""
        self._bring(data.draw(changes(self.model)))

    @rule(data=st.data(), seed=st.integers(0, 1 << 32))
    def update_under_traffic(self, data: Any, seed: int) -> None:
        """One change while frames are on their way: each meets the old or the new, or nothing.

        Where room has to be made first, some of a frame's copies may be missing.
        """
        rng = random.Random(seed)
        frames = [self._tenant_frame(rng, number) for number in range(60)]
        old, new = self.model, data.draw(changes(self.model))
        smooth = self._is_smooth(new)
        # Where only entries of the FDB change, and find their places beside those that go, no frame may be lost.
        lossless = (new.vnis, new.tunnels) == (old.vnis, old.tunnels) and smooth
        self.simulator.queue(tenant=[Frame(frame) for _, _, frame in frames])
        if not self._bring(new):
            self._traffic_done(frames, old)
            return
        met: dict[int, list[tuple[int, int, int, bytes]]] = {}
        for one in self.simulator.run().underlay:
            copy = copies_in(one.data)
            met.setdefault(int.from_bytes(copy[3][-2:]), []).append(copy)
        for number, (vid, untagged, _) in enumerate(frames):
            copies = met.get(number, [])
            allowed = [model.encap(vid, untagged)[1] for model in (old, self.model)]
            if smooth:
                assert copies in (allowed if lossless else [*allowed, []]), number
            else:  # until room is made, a flood list may be shorter
                assert is_part(copies, *allowed), number
        self._recount()

    def _is_smooth(self, new: Model) -> bool:
        """The new finds room beside the old."""
        try:
            steps, _ = steps_to(self.controller.state, new.config())
        except ConfigError:
            return False
        return not any(isinstance(step, Barrier) for step in steps)

    @rule()
    def another_driver(self) -> None:
        """The driver ends; the next one reads what the core holds and goes on."""
        names = {index: name for name, index in self.controller.state.tunnels.items()}
        state = read_state(self.simulator.device)
        self.controller = Controller(self.simulator.device, state, patience=30)
        # By other names it knows at least the tunnels that are used; those of the model again, then.
        held = {names[index] for index in state.tunnels.values()}
        flooded = {name for _, flood in self.model.vnis.values() for name in flood}
        assert {*self.model.fdb.values(), *flooded} <= held <= set(self.model.tunnels)
        self._bring(self.model)

    # -- traffic ---------------------------------------------------------------------------------------------

    def _tenant_frame(self, rng: random.Random, number: int) -> tuple[int, bytes, bytes]:
        """VID, the frame without its tag, and as it goes in; its last bytes are ``number``."""
        vid, destination = rng.choice((*VIDS, 7)), rng.choice((*MACS, GROUP))
        body = rng.randbytes(rng.choice((44, 60, 200))) + number.to_bytes(2)
        untagged = ethernet(body, 0x1234, destination=int.from_bytes(destination))
        return vid, untagged, tag(untagged, vid) if vid else untagged

    @rule(seed=st.integers(0, 1 << 32), count=st.integers(1, 60))
    def traffic(self, seed: int, count: int) -> None:
        """Frames both ways."""
        rng = random.Random(seed)
        frames = [self._tenant_frame(rng, number) for number in range(count)]
        self.simulator.queue(tenant=[Frame(frame) for _, _, frame in frames])
        wanted = []
        outer = []
        for _ in range(count):
            number, inner = rng.choice((*IDS, 9)), ethernet(rng.randbytes(60), 0x1234)
            outer.append(ethernet(ipv4(udp(vxlan(inner, number)), destination=OWN), 0x0800))
            delivered = self.model.decap(number, inner)
            if not self.model.configured:
                continue  # it is another host's
            if delivered is None:
                self.counted["unknown_vni"] += 1
            else:
                wanted.append(delivered)
        self.simulator.queue(underlay=[Frame(frame) for frame in outer])
        delivered_frames = self._traffic_done(frames, self.model)
        assert delivered_frames == wanted
        self.counted["tenant_tx_frames"] += len(wanted)
        self._check_counters()

    def _traffic_done(self, frames: list[tuple[int, bytes, bytes]], model: Model) -> list[bytes]:
        """Run to the end; the tenant's frames must be what ``model`` says. Returns what left to the tenant."""
        outcome = self.simulator.run()
        wanted = []
        for vid, untagged, _ in frames:
            reason, copies = model.encap(vid, untagged)
            wanted += copies
            if reason:
                self.counted[reason] += 1
        assert [copies_in(frame.data) for frame in outcome.underlay] == wanted
        self.counted["tenant_rx_frames"] += len(frames)
        self.counted["underlay_tx_frames"] += len(wanted)
        return [frame.data for frame in outcome.tenant]

    def _recount(self) -> None:
        """Which of old and new a frame met, only the counters can tell."""
        self.counted = self.controller.device.read_counters(COUNTERS)

    def _check_counters(self) -> None:
        assert self.controller.device.read_counters(COUNTERS) == self.counted

    @precondition(lambda self: any(self.counted.values()))
    @rule()
    def clear(self) -> None:
        """Counters to 0."""
        self.controller.device.clear_counters()
        self.counted = dict.fromkeys(COUNTERS, 0)
        self._check_counters()

    # -- reset -------------------------------------------------------------------------------------------------

    @rule(seed=st.integers(0, 1 << 32), clocks=st.integers(0, 40))
    def reset(self, seed: int, clocks: int) -> None:
        """A reset, in the middle of frames: the core is empty, and takes a configuration as if it were new."""
        rng = random.Random(seed)
        self.simulator.queue(tenant=[Frame(self._tenant_frame(rng, number)[2]) for number in range(20)])
        for _ in range(clocks):
            self.controller.device.registers["STATUS"].read()
        self._after_reset()
        self._check_counters()
        frames = [self._tenant_frame(rng, number) for number in range(5)]
        self.simulator.queue(tenant=[Frame(frame) for _, _, frame in frames])
        assert self._traffic_done(frames, self.model) == []

    @invariant()
    def holds(self) -> None:
        """The core holds what the driver thinks it does."""
        if hasattr(self, "controller"):
            assert self.controller.verify() == []


@pytest.mark.slow
def test_any_order_of_apply_update_traffic_and_reset(full: bool) -> None:
    with Simulator(PARAMETERS) as Machine.simulator:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=200 if full else 20,
                stateful_step_count=40 if full else 15,
                deadline=None,
                phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink takes minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
