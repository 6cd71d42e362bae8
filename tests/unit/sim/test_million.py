"""An FDB of 2^20 locations in the Verilated core, filled through the registers until an entry is refused."""

import random
from ipaddress import ip_address

import pytest

from helpers.octets import ethernet
from vtep.config import VtepParameters
from vtep.control.tables import Table, TableEntry
from vtep_host.config import Config, Tunnel, Vni, Vtep
from vtep_host.controller import Controller
from vtep_host.device import Device
from vtep_host.image import Image
from vtep_host.placement import TableFullError
from vtep_sim.golden import Frame
from vtep_sim.harness import Recorder, Simulator

PARAMETERS = VtepParameters(fdb_entries=1 << 20)
LEAST_FILL = 0.9997
PORTION = 20_000
"""Entries that are handed to the simulation at once."""
PROBES, STRANGERS = 20_000, 2_000
VNI = 100


def macs(rng: random.Random) -> int:
    """Unicast, and no two the same but by chance of one in 2^28."""
    return rng.getrandbits(48) & ~(1 << 40)


def filled(image: Image, tunnels: list[int], rng: random.Random) -> tuple[dict[int, int], float]:
    """Insert entries until one is refused: the tunnel of each MAC, and the share of the locations that are taken."""
    known: dict[int, int] = {}
    try:
        while True:
            mac, tunnel = macs(rng), rng.choice(tunnels)
            image.insert(Table.FDB, {"vni": VNI, "mac": mac, "tunnel": tunnel})
            known[mac] = tunnel
    except TableFullError as refusal:
        return known, refusal.fill


@pytest.mark.slow
@pytest.mark.full
def test_a_million_entries_are_found(rng: random.Random) -> None:
    tunnels = tuple(
        Tunnel(name=f"t{n}", remote=ip_address(f"10.0.1.{n}"), remote_mac=bytes([2, 0, 0, 0, 2, n]))
        for n in range(1, 9)
    )
    config = Config(
        vtep=Vtep(mac=bytes.fromhex("020000000001"), ipv4=ip_address("10.0.0.1")), vnis=(Vni(id=VNI),), tunnels=tunnels
    )
    with Simulator(PARAMETERS) as simulator:
        recorder = Recorder(simulator)
        device = Device(recorder, expected=PARAMETERS)
        controller = Controller(device)
        controller.apply(config)
        state = controller.state
        remotes = {state.tunnels[tunnel.name]: tunnel.remote.packed for tunnel in tunnels}
        known, fill = filled(state.image, list(remotes), rng)
        print(f"{len(known)} entries, {fill:.4%} of the locations")
        assert fill >= LEAST_FILL

        entries: list[TableEntry] = [entry for entry in state.image.entries() if entry.table is Table.FDB]
        assert len(entries) == len(known)
        began = simulator.clock
        for start in range(0, len(entries), PORTION):
            with recorder.noting() as accesses:
                for entry in entries[start : start + PORTION]:
                    device.write_entry(*entry)
            assert not any(response for _, response in simulator.access(accesses))
        print(f"written in {simulator.clock - began} clocks")

        probes = rng.sample(list(known), PROBES)
        strangers = [mac for mac in (macs(rng) for _ in range(STRANGERS)) if mac not in known]
        sent = [*probes, *strangers]
        rng.shuffle(sent)
        outcome = simulator.run(tenant=[Frame(ethernet(bytes(46), 0x1234, destination=mac)) for mac in sent])
        wanted = [(mac.to_bytes(6), remotes[known[mac]]) for mac in sent if mac in known]
        assert [(frame.data[50:56], frame.data[30:34]) for frame in outcome.underlay] == wanted
        assert device.read_counter("no_tunnel") == len(strangers)
