"""The control plane changes the simulated core while frames flow: each meets the old or the new configuration."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from helpers.octets import ethernet, ipv4, udp, vxlan
from vtep.config import VtepParameters
from vtep_host.config import Config, FdbEntry, Tunnel, Vni, Vtep
from vtep_host.controller import Controller
from vtep_sim.golden import Frame, GoldenModel
from vtep_sim.harness import Simulator

MAC = bytes.fromhex("020000000001")
MACS = tuple(bytes([2, 0, 0, 0, 1, n]) for n in range(6))
REMOTES = tuple(f"10.0.1.{n}" for n in range(1, 7))
IDS, VIDS = range(100, 106), (0, 10, 20, 30, 40, 50)
MARK = 8
"""Bytes at the end of a frame that tell it from all others."""


def some_config(rng: random.Random) -> Config:
    tunnels = tuple(
        Tunnel(name=f"t{n}", remote=ip_address(remote), remote_mac=bytes([2, 0, 0, 0, 2, n]), ttl=rng.choice((64, 65)))
        for n, remote in enumerate(REMOTES)
        if rng.random() < 0.8
    )
    names = [tunnel.name for tunnel in tunnels]
    ids, vids = rng.sample(IDS, 4), rng.sample(VIDS, 4)
    vnis = tuple(
        Vni(id=number, vlan=vid, flood=tuple(rng.sample(names, rng.randint(0, min(3, len(names))))))
        for number, vid in zip(ids, vids, strict=True)
    )
    fdb = tuple(
        FdbEntry(vni=vni.id, mac=mac, tunnel=rng.choice(names))
        for vni in vnis
        for mac in MACS
        if names and rng.random() < 0.5
    )
    return Config(vtep=Vtep(mac=MAC, ipv4=ip_address("10.0.0.1")), vnis=vnis, tunnels=tunnels, fdb=fdb)


def changed(rng: random.Random, config: Config) -> Config:
    """A few changes, or everything anew."""
    other = some_config(rng)
    match rng.randrange(4):
        case 0:
            return other
        case 1:
            return replace(config, fdb=rng.sample(config.fdb, len(config.fdb) // 2))
        case 2:
            names = [tunnel.name for tunnel in config.tunnels]
            fdb = tuple(replace(entry, tunnel=rng.choice(names)) for entry in config.fdb)
            vnis = tuple(replace(vni, flood=tuple(rng.sample(names, min(2, len(names))))) for vni in config.vnis)
            return replace(config, fdb=fdb, vnis=vnis)
        case _:
            return replace(config, tunnels=tuple(replace(one, ttl=rng.choice((7, 8))) for one in config.tunnels))


def numbered(frames: Iterable[bytes]) -> list[Frame]:
    return [Frame(frame + number.to_bytes(MARK)) for number, frame in enumerate(frames)]


def tenant_frames(rng: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        vid, destination = rng.choice((*VIDS, 60)), int.from_bytes(rng.choice((*MACS, MACS[0][:5] + b"\xff")))
        body = rng.randbytes(rng.choice((46, 60, 200)))
        tagged = ethernet(vid.to_bytes(2) + (0x1234).to_bytes(2) + body, 0x8100, destination=destination)
        yield tagged if vid else ethernet(body, 0x1234, destination=destination)


def underlay_frames(rng: random.Random, count: int) -> Iterator[Frame]:
    for number in range(count):
        inner = ethernet(rng.randbytes(rng.choice((46, 60, 200))), 0x1234) + number.to_bytes(MARK)
        outer = udp(vxlan(inner, rng.choice(IDS)))
        yield Frame(ethernet(ipv4(outer, destination=0x0A000001), 0x0800, destination=int.from_bytes(MAC)))


def results(config: Config, tenant: list[Frame], underlay: list[Frame]) -> dict[Any, list[bytes]]:
    """What each frame becomes, by its port and number."""
    prediction = GoldenModel(config).run(tenant=tenant, underlay=underlay)
    found: dict[Any, list[bytes]] = defaultdict(list)
    for output, frames in (("underlay_encap", prediction.underlay_encap), ("tenant", prediction.tenant)):
        for frame, origin in zip(frames, prediction.origins[output], strict=True):
            found[origin].append(frame.data)
    return found


def check(rng: random.Random, simulator: Simulator, controller: Controller, new: Config, count: int) -> tuple[int, int]:
    """Change to ``new`` while frames flow; returns how many met the old one, and how many the new one."""
    old = controller.state.config
    tenant, underlay = numbered(tenant_frames(rng, count)), list(underlay_frames(rng, count))
    simulator.queue(tenant=tenant, underlay=underlay)
    controller.apply(new)
    outcome = simulator.run()
    assert controller.verify() == []
    was, will = results(old, tenant, underlay), results(new, tenant, underlay)
    seen: dict[Any, list[bytes]] = defaultdict(list)
    for port, frames in (("tenant", outcome.underlay), ("underlay", outcome.tenant)):
        for frame in frames:
            seen[port, int.from_bytes(frame.data[-MARK:])].append(frame.data)
    met = [0, 0]
    for port in ("tenant", "underlay"):
        for number in range(count):
            key = port, number
            got = seen.get(key, [])
            assert got in (was.get(key, []), will.get(key, []), []), (
                f"{key}: {got}, was {was[key]}, will be {will[key]}"
            )
            if was.get(key) != will.get(key):
                met[0] += got == was.get(key)
                met[1] += got == will.get(key)
    return met[0], met[1]


@pytest.mark.slow
def test_no_frame_goes_astray(rng: random.Random, full: bool) -> None:
    with Simulator(VtepParameters()) as simulator:
        controller = Controller(simulator.device, patience=30)
        config = some_config(rng)
        controller.apply(config)
        old = new = 0
        for _ in range(60 if full else 8):
            config = changed(rng, config)
            met = check(rng, simulator, controller, config, rng.choice((100, 400)))
            old, new = old + met[0], new + met[1]
        assert old > 20, "no change came while frames were on their way"
        assert new > 20


@pytest.mark.slow
def test_entries_on_the_move_are_never_missed(rng: random.Random) -> None:
    """An FDB kept full, changed all the time under full traffic: every frame finds its own entry."""
    parameters = VtepParameters()
    base = some_config(random.Random(1))
    base = replace(base, fdb=(), vnis=tuple(replace(vni, flood=()) for vni in base.vnis))
    names = [tunnel.name for tunnel in base.tunnels]
    stay = tuple(FdbEntry(vni=base.vnis[0].id, mac=mac, tunnel=rng.choice(names)) for mac in MACS)

    def others(count: int) -> tuple[FdbEntry, ...]:
        macs = rng.sample(range(1 << 20), count)
        return tuple(
            FdbEntry(vni=rng.choice(base.vnis).id, mac=bytes([6]) + mac.to_bytes(5), tunnel=rng.choice(names))
            for mac in macs
        )

    with Simulator(parameters) as simulator:
        controller = Controller(simulator.device, patience=30)
        for _ in range(6):
            config = replace(base, fdb=(*others(parameters.fdb_entries - len(stay)), *stay))
            if not controller.state.config.vnis:
                controller.apply(config)
                continue
            vid = base.vnis[0].vlan
            frames = []
            for _ in range(1500):
                body = rng.randbytes(46)
                tag = (vid.to_bytes(2) + (0x1234).to_bytes(2) + body, 0x8100) if vid else (body, 0x1234)
                frames.append(ethernet(*tag, destination=int.from_bytes(rng.choice(MACS))))
            simulator.queue(tenant=numbered(frames))
            controller.apply(config)
            outcome = simulator.run()
            assert len(outcome.underlay) == len(frames), "a frame did not find its entry"
