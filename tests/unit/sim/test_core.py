"""Thousands of random frames through the Verilated core, paused at random, against the golden model.

What the cocotb benches do in depth with few frames, at a hundred times their speed.
"""

import dataclasses
import random

import pytest

from helpers.vxlan_traffic import CONFIG, inner, outer
from vtep.config import DATA_WIDTHS, Mode
from vtep_host.config import Config
from vtep_sim.compare import compare_counters, compare_frames
from vtep_sim.golden import Frame, GoldenModel
from vtep_sim.harness import PORTS, Simulator
from vtep_sim.runner import make_parameters

ROUNDS, FRAMES = 6, 400

SF, CT = Mode.STORE_AND_FORWARD, Mode.CUT_THROUGH


def config_of(cut_through: bool) -> Config:
    """Without UDP checksums for cut-through encapsulation, whose build has none."""
    if not cut_through:
        return CONFIG
    tunnels = tuple(dataclasses.replace(tunnel, udp_checksum=False) for tunnel in CONFIG.tunnels)
    return dataclasses.replace(CONFIG, vtep=dataclasses.replace(CONFIG.vtep, udp_checksum_rx="ignore"), tunnels=tunnels)


def damaged(rng: random.Random, frame: bytes) -> bytes:
    """Now and then cut a frame off, lengthen it, or change a byte of its headers."""
    kind = rng.randrange(10)
    if kind == 0 and len(frame) > 1:
        return frame[: rng.randrange(1, len(frame))]
    if kind == 1:
        return frame + rng.randbytes(rng.randrange(1, 40))
    if kind == 2:
        changed = bytearray(frame)
        changed[rng.randrange(min(len(frame), 64))] = rng.randrange(256)
        return bytes(changed)
    return frame


def traffic(rng: random.Random) -> dict[str, list[Frame]]:
    def frames(make) -> list[Frame]:
        return [Frame(damaged(rng, make()), rng.random() < 0.05) for _ in range(rng.randrange(FRAMES))]

    tenant = frames(lambda: inner(rng))
    if rng.random() < 0.3:
        tenant.append(Frame(rng.randbytes(rng.randrange(9590, 9700))))
    underlay = frames(lambda: outer(rng, inner(rng)))
    host = frames(lambda: rng.randbytes(rng.choice([1, 13, 60, 64, 700])))
    return {"tenant": tenant, "underlay": underlay, "host": host}


def pace(simulator: Simulator, rng: random.Random) -> None:
    shares = (0, 0, 0.3, 0.8)
    for port in PORTS:
        gap = rng.choice([0, 0, 5])
        simulator.pace(port, "in", idle=rng.choice(shares), gap=gap, seed=rng.getrandbits(32))
        simulator.pace(port, "out", idle=rng.choice(shares), seed=rng.getrandbits(32))


def judge(simulator: Simulator, rng: random.Random, rounds: int) -> None:
    parameters = simulator.parameters
    encap, decap = parameters.encap_mode is CT, parameters.decap_mode is CT
    config = config_of(encap)
    simulator.configure(config)
    model = GoldenModel(config, encap_cut_through=encap, decap_cut_through=decap)
    sent: dict[str, list[Frame]] = {port: [] for port in PORTS}
    for _ in range(rounds):
        pace(simulator, rng)
        frames = traffic(rng)
        result = simulator.run(**frames)
        prediction = model.run(**frames)
        outputs = {port: result.frames(port) for port in PORTS}

        def place(port: str, index: int, frames: dict[str, list[Frame]] = frames) -> str:
            return f"{port} in, index {index}: {frames[port][index].data.hex()}"

        differences = compare_frames(outputs, prediction, encap_cut_through=encap, decap_cut_through=decap)
        lines = [line for difference in differences for line in difference.lines(4789, place)]
        for port in PORTS:
            sent[port] += outputs[port]
        lines += compare_counters(simulator.counters(), prediction.counters, sent)
        assert not lines, "\n".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("width", [64, *(pytest.param(w, marks=pytest.mark.full) for w in DATA_WIDTHS if w != 64)])
@pytest.mark.parametrize(
    ("encap", "decap"),
    [(SF, SF), pytest.param(CT, CT, marks=pytest.mark.full), pytest.param(SF, CT, marks=pytest.mark.full)],
    ids=lambda mode: mode.value,
)
def test_random_traffic(width: int, encap: Mode, decap: Mode, rng: random.Random, full: bool) -> None:
    with Simulator(make_parameters(width, encap, decap)) as simulator:
        judge(simulator, rng, ROUNDS * (10 if full else 1))
