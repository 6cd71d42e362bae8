"""cocotb tests that time the frames of `vtep_sim.bench.speed`."""

import os
from time import process_time
from typing import Any

import cocotb
from cocotb.utils import get_sim_time

from ..cocotb.bench import Bench
from ..cocotb.build import parameters_from_json
from .speed import COCOTB_FRAMES, REPEATS, save_speed, speed_frames
from .traffic import config_for


async def _replay(dut: Any, name: str, *, plain: bool) -> None:
    parameters = parameters_from_json(os.environ["VTEP_PARAMETERS"])
    bench = Bench(dut, parameters, seed=1, plain=plain)
    await bench.start(config_for("ipv4", udp_checksum=parameters.udp_checksum))
    tenant, underlay = ([frame.data for frame in frames] for frames in speed_frames(COCOTB_FRAMES))
    timed = []
    for _ in range(REPEATS):
        started, time = process_time(), get_sim_time("ns")
        bench.send("tenant", tenant)
        bench.send("underlay", underlay)
        outputs = await bench.drain()
        seconds = process_time() - started
        assert len(outputs.tenant) == len(outputs.underlay) == COCOTB_FRAMES
        timed.append((seconds, round((get_sim_time("ns") - time) / 10)))
    seconds, clocks = min(timed)
    save_speed(simulator=name, frames=2 * COCOTB_FRAMES, clocks=clocks, seconds=seconds)


@cocotb.test()
async def replay(dut: Any) -> None:
    """Time the bench's own drivers."""
    await _replay(dut, "cocotb, the bench's drivers", plain=False)


@cocotb.test()
async def replay_plain(dut: Any) -> None:
    """Time cocotbext-axi's drivers as they are."""
    await _replay(dut, "cocotb, cocotbext-axi's drivers", plain=True)
