"""Random traffic on all ports at once: idle x back-pressure, any configuration, lengths from 1 byte to jumbo."""

from random import Random

from vtep_sim.cocotb.bench import Bench
from vtep_sim.cocotb.frames import Underlay, ethernet, inner_tcp4
from vtep_sim.golden import Frame

from .cases import case, parameters, scale
from .configs import BROADCAST, HOST_A, HOST_B, fdb, make, random_config, tunnel, vni
from .generator import Traffic

PACES = {
    # name: chance of an idle clock, chance of back-pressure, longest pause
    "saturated": (0.0, 0.0, 1),
    "idle": (0.5, 0.0, 4),
    "stalled": (0.0, 0.5, 4),
    "both": (0.3, 0.3, 3),
    "bursts": (0.03, 0.03, 60),
    "starved": (0.9, 0.0, 3),
    "choked": (0.0, 0.9, 3),
}


async def _random(
    bench: Bench, rng: Random, *, rounds: int, frames: int, beats: int, largest: int = 2000, full: bool = False
) -> None:
    """Rounds of traffic; each has its own configuration, with ``full`` tables, all but the first after a reset."""
    p = bench.parameters
    for i in range(rounds):
        if i:
            await bench.reset(rng.randint(1, 5))
        config = random_config(p, rng, full=full)
        await bench.configure(config)
        for _ in range(2):
            traffic = Traffic(
                p, config, rng, largest=min(largest, p.max_frame_length), broken=rng.choice([0, 0.2, 0.6])
            )
            copies = max((len(v.flood) for v in config.vnis), default=1) or 1
            await bench.exchange(
                traffic.many(traffic.tenant, frames, beats // min(copies, 3)),
                traffic.many(traffic.underlay, frames, beats),
                traffic.many(traffic.host, frames // 3, beats // 3),
            )


def _pace(name: str, idle: float, stall: float, burst: int):
    async def run(dut, rng):
        p = parameters()
        bench = Bench(dut, p, rng.getrandbits(32), idle=idle, stall=stall, burst=burst)
        await bench.start()
        slow = 1 + burst * (idle + stall)
        await _random(
            bench, rng, rounds=scale(1, 4), frames=scale(60, 120), beats=int(scale(3000, 8000) / min(slow, 4))
        )
        await bench.finish()

    return case(run, name=f"random_{name}", deep=name not in ("saturated", "both"))


for _name, _values in PACES.items():
    globals()[f"random_{_name}"] = _pace(_name, *_values)


@case(deep=True)
async def random_with_plain_cocotbext_axi(dut, rng):
    """The same through cocotbext-axi's own drivers, unaltered."""
    bench = Bench(dut, parameters(), rng.getrandbits(32), idle=0.2, stall=0.2, plain=True)
    await bench.start()
    await _random(bench, rng, rounds=1, frames=30, beats=800, largest=300)
    await bench.finish()


@case(deep=True)
async def random_with_full_tables(dut, rng):
    """No place of any table is empty, so each lookup meets entries of others wherever it looks."""
    bench = Bench(dut, parameters(), rng.getrandbits(32), idle=0.1, stall=0.1)
    await bench.start()
    await _random(bench, rng, rounds=2, frames=100, beats=3000, largest=300, full=True)
    await bench.finish()


def simple(p):
    """A plain configuration for tests of lengths and paces: one VNI, two tunnels, nothing dropped up to jumbo."""
    tunnels = [tunnel(p, "leaf2", "10.0.0.2", df="unset"), tunnel(p, "leaf3", "10.0.0.3", vlan=5)]
    return make(
        p,
        vtep={"underlay_mtu": 65535},
        tunnels=tunnels,
        vnis=[vni(100, 10, ["leaf2", "leaf3"]), vni(200, 0, ["leaf3"])],
        entries=[fdb(100, HOST_B, "leaf2")],
    )


def inner_of(length: int, tags=(), dst=HOST_B) -> bytes:
    frame = inner_tcp4(dst, HOST_A, payload=bytes(i * 11 & 0xFF for i in range(length)), tags=tags)
    return frame[:length]


async def _lengths(bench: Bench, lengths) -> None:
    """Frames of these lengths through every path."""
    p = bench.parameters
    longest = p.max_frame_length
    inner = [n for n in lengths if n <= longest]
    decap = [n for n in lengths if n + 54 <= longest]
    await bench.exchange(
        tenant=[inner_of(n) for n in inner],
        underlay=[Underlay(inner=inner_of(n), vni=200) for n in decap],
        host=[bytes(i * 13 & 0xFF for i in range(n)) for n in inner],
    )
    await bench.exchange(
        tenant=[inner_of(n + 4, ((0x8100, 10),)) for n in inner if n + 4 <= longest],
        underlay=[Underlay(inner=inner_of(n), vni=100, tags=((0x8100, 5),)) for n in decap],
    )


@case
async def every_length_from_1_byte_on(dut, rng):
    """Every length, and so every length modulo the lanes on every path, saturated."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    await _lengths(bench, range(1, scale(2, 4) * p.lanes + 90))
    await bench.finish()


@case(deep=True)
async def every_length_modulo_the_lanes_under_back_pressure(dut, rng):
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), idle=0.3, stall=0.3, burst=2)
    await bench.start(simple(p))
    start = rng.randint(60, 130)
    lengths = list(range(start, start + max(p.lanes, scale(8, 16)) + 1))
    rng.shuffle(lengths)
    await _lengths(bench, lengths)
    await bench.finish()


@case
async def every_length_of_the_underlays_padding(dut, rng):
    """IP packet and frame end apart by every distance that crosses a beat."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), stall=rng.choice([0, 0.3]))
    await bench.start(simple(p))
    reach = min(2 * p.lanes, scale(40, 130)) + 3
    frames = []
    for n in range(reach):
        inner = inner_of(14 + rng.randrange(3 * p.lanes + 20))
        frames += [
            Underlay(inner=inner, vni=100, trailer=rng.randbytes(n)),
            Underlay(inner=inner, vni=200, ip_trailer=rng.randbytes(n)),
        ]
    await bench.exchange(underlay=frames)
    await bench.finish()


@case(deep=True)
async def jumbo_frames(dut, rng):
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32), idle=0.02, stall=0.02, burst=20)
    await bench.start(simple(p))
    n = p.max_frame_length
    sizes = [n, n - 1, n + 1, 64] + ([n - p.lanes, 1514, n] if scale(0, 1) else [])
    await bench.exchange(
        tenant=[inner_of(size) for size in sizes],
        underlay=[Underlay(inner=inner_of(size - 50), vni=100) for size in sizes],
        host=[bytes(size) for size in sizes if size <= n],
    )
    await bench.finish()


@case
async def back_to_back_small_frames(dut, rng):
    """As many frames as beats: nothing may be lost or swapped at the densest traffic."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    count = scale(60, 200)
    frames = [inner_of(rng.randint(14, 64), dst=rng.choice([HOST_B, BROADCAST])) for _ in range(count)]
    outer = [Underlay(inner=inner_of(rng.randint(14, 20)), vni=rng.choice([100, 200])) for _ in range(count)]
    host = [rng.randbytes(rng.randint(1, 64)) for _ in range(count)]
    await bench.exchange(frames, outer, host)
    runts = [Frame(rng.randbytes(rng.randint(1, 16)), rng.random() < 0.2) for _ in range(count)]
    await bench.exchange(runts, runts, runts)
    await bench.finish()


@case(deep=True)
async def host_and_encapsulation_share_the_underlay_port(dut, rng):
    """Neither starves: both get out while the other has frames waiting."""
    p = parameters()
    bench = Bench(dut, p, rng.getrandbits(32))
    await bench.start(simple(p))
    encap = [inner_of(100) for _ in range(60)]
    host = [ethernet(BROADCAST, HOST_A, 0x88B5, bytes([i]) * 140) for i in range(60)]
    outputs, _ = await bench.exchange(tenant=encap, host=host)
    kinds = [frame.data[12:14] == b"\x88\xb5" for frame in outputs.underlay]
    first_half = kinds[: len(kinds) // 2]
    assert any(first_half), "no host frame in the first half"
    assert not all(first_half), "only host frames in the first half"
    await bench.finish()
