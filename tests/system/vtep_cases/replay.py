"""Run a mismatch again, and shrink it to the fewest frames that still show it.

A failed test leaves ``mismatch.json`` in the folder of its build. Then::

    VTEP_REPLAY=build/system/w64/mismatch.json python -m pytest tests/system/test_replay.py -s
"""

import json
import os
from pathlib import Path

from vtep_host.config import loads
from vtep_sim.cocotb.bench import PORTS, Bench, Mismatch
from vtep_sim.golden import Frame

from .cases import case, parameters


@case
async def replay(dut, rng):
    p = parameters()
    order = json.loads(Path(os.environ["VTEP_REPLAY"]).read_text())
    config = loads(order["config"])
    everything = [(port, Frame(bytes.fromhex(data), error)) for port in PORTS for data, error in order[port]]
    paces = [tuple(order["pauses"]), (0, 0, 1), (0.3, 0.3, 3)]

    async def fails(frames) -> Mismatch | None:
        for pace in paces:
            bench = Bench(dut, p, 1, idle=pace[0], stall=pace[1], burst=pace[2])
            bench.keep_mismatch = False
            await bench.start(config)
            try:
                await bench.exchange(**{port: [f for q, f in frames if q == port] for port in PORTS})
                await bench.finish()
            except Mismatch as mismatch:
                return mismatch
            finally:
                bench.close()
        return None

    mismatch = await fails(everything)
    if mismatch is None:
        dut._log.warning("the frames alone, after a reset, show no mismatch")
        return
    step = max(1, len(everything) // 2)
    while step:
        at = 0
        while at < len(everything):
            fewer = everything[:at] + everything[at + step :]
            if fewer and (found := await fails(fewer)):
                everything, mismatch = fewer, found
            else:
                at += step
        step //= 2
    text = [f"{len(everything)} frames are enough:"]
    text += [f"{port} rx{' marked' if f.error else ''} {len(f.data)} bytes: {f.data.hex()}" for port, f in everything]
    raise AssertionError("\n".join([*text, "configuration:", order["config"], str(mismatch)]))
