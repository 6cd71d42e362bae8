"""MDIO frames against clause 22, as PHYs see them; and what the manager does with PHYs."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from helpers.packet_bench import assert_refused, simulate
from vtep.mac.gmii import Speed
from vtep.mac.mdio import MdioMaster
from vtep.mac.phy import PhyManager
from vtep.mac.phy_registers import PhyStatus, RegisterChange

CLOCK_HZ = 5_000_000
PERIOD = 1 / CLOCK_HZ
LATEST = 300e-9
"""When a PHY's output stands, behind the rising edge (clause 22.3.4)."""

PREAMBLE, HEAD = 32, 14


def number(bits: list[int]) -> int:
    return int("".join(map(str, bits)), 2)


class Bus:
    """PHYs on a master's pins: registers by address. Every access is noted."""

    def __init__(self, phys: dict[int, dict[int, int]]) -> None:
        self.phys = phys
        self.accesses: list[tuple] = []

    def bench(self, pins: Any) -> Callable:
        async def run(ctx):
            while True:
                await self._frame(ctx, pins)

        return run

    async def _frame(self, ctx: Any, pins: Any) -> None:
        async def sample() -> int:
            """What a PHY sees of the master at the next rising edge."""
            await ctx.posedge(pins.mdc)
            return ctx.get(pins.mdio_o) if ctx.get(pins.mdio_oe) else -1

        ctx.set(pins.mdio_i, 1)
        assert [await sample() for _ in range(PREAMBLE)] == [1] * PREAMBLE
        head = [await sample() for _ in range(HEAD)]
        assert head[:2] == [0, 1]
        phy, register = number(head[4:9]), number(head[9:])
        if head[2:4] == [0, 1]:
            assert [await sample(), await sample()] == [1, 0]
            value = number([await sample() for _ in range(16)])
            self.accesses.append(("write", phy, register, value))
            if phy in self.phys:
                self.phys[phy][register] = value
            return
        assert head[2:4] == [1, 0]
        self.accesses.append(("read", phy, register))
        word = self.phys[phy].get(register, 0) if phy in self.phys else 0xFFFF
        # At the turnaround's second edge the PHY drives 0; each bit changes as late as it may.
        for bit in [int(phy not in self.phys), *(word >> place & 1 for place in reversed(range(16)))]:
            assert await sample() == -1, "both sides would drive MDIO"
            await ctx.delay(LATEST)
            ctx.set(pins.mdio_i, bit)
        assert await sample() == -1


def registers(rng: random.Random) -> dict[int, int]:
    return {register: rng.getrandbits(16) for register in range(32)}


async def access(ctx: Any, dut: MdioMaster, **fields: int) -> tuple[int, int]:
    """Data and ``absent`` of an access."""
    ctx.set(dut.request.payload, {"write": 0, "phy": 0, "register": 0, "data": 0, **fields})
    ctx.set(dut.request.valid, 1)
    await ctx.tick().until(dut.request.ready)
    ctx.set(dut.request.valid, 0)
    await ctx.tick().until(dut.done)
    return ctx.get(dut.data), ctx.get(dut.absent)


def test_reads_and_writes(rng: random.Random) -> None:
    dut = MdioMaster(CLOCK_HZ)
    phys = {phy: registers(rng) for phy in rng.sample(range(32), 3)}
    expected = {phy: dict(content) for phy, content in phys.items()}
    bus = Bus(phys)
    wanted = []

    async def bench(ctx):
        for _ in range(25):
            phy = rng.choice([*phys, rng.randrange(32)])
            register, value, write = rng.randrange(32), rng.getrandbits(16), rng.getrandbits(1)
            data, absent = await access(ctx, dut, write=write, phy=phy, register=register, data=value)
            wanted.append(("write", phy, register, value) if write else ("read", phy, register))
            if write and phy in expected:
                expected[phy][register] = value
            if not write:
                assert absent == (phy not in expected)
                assert data == (expected[phy][register] if phy in expected else 0xFFFF)

    simulate(dut, bench, background=[bus.bench(dut.pins)], period=PERIOD)
    assert bus.accesses == wanted
    assert phys == expected


@pytest.mark.parametrize("clock_hz", [5_000_000, 62_500_000, 125_000_000])
def test_mdc_is_slow_enough(clock_hz: int) -> None:
    dut = MdioMaster(clock_hz)
    edges = []

    async def bench(ctx):
        ctx.set(dut.request.valid, 1)
        for clock in range(10 * clock_hz // 1_000_000):
            *_, mdc = await ctx.tick().sample(dut.pins.mdc)
            if mdc != len(edges) % 2:
                edges.append(clock)

    simulate(dut, bench, period=1 / clock_hz)
    assert len(edges) > 8
    assert all(later - earlier >= clock_hz * 200e-9 for earlier, later in pairwise(edges))


def test_refuses_other_clocks() -> None:
    assert_refused("clock_hz must be an integer within 5000000 .. 1000000000", MdioMaster, 4_999_999)


SETUP = (RegisterChange(31, 0xD08), RegisterChange(17, 0x100, mask=0x100), RegisterChange(21, 0, mask=0x8))


def manager(**options: Any) -> PhyManager:
    return PhyManager(
        CLOCK_HZ, **{"reset_ms": 1, "settle_ms": 1, "setup": SETUP, "addresses": (6, 0, 1, 31), **options}
    )


def test_sets_up_who_is_there(rng: random.Random) -> None:
    phys = {phy: registers(rng) for phy in (1, 6, 31)}
    expected = {phy: dict(content) for phy, content in phys.items()}
    for content in expected.values():
        content[31] = 0xD08
        content[17] |= 0x100
        content[21] &= ~0x8
    dut = manager()
    bus = Bus(phys)

    async def bench(ctx):
        clocks = 0
        while ctx.get(dut.reset):
            await ctx.tick()
            clocks += 1
        assert 0.001 <= clocks * PERIOD < 0.0011
        await ctx.tick().repeat(round(0.0009 / PERIOD))
        assert bus.accesses == [], "too early behind the reset"
        assert not ctx.get(dut.pins.mdc), "too early behind the reset"
        assert not ctx.get(dut.ready)
        await ctx.tick().until(dut.ready)
        assert ctx.get(dut.present) == sum(1 << phy for phy in phys)
        await ctx.tick().repeat(CLOCK_HZ // 1000)
        assert not ctx.get(dut.link.up)

    simulate(dut, bench, background=[bus.bench(dut.pins)], period=PERIOD)
    assert phys == expected
    assert [one for one in bus.accesses if one[0] == "write" and one[1] not in phys] == []


def test_never_resets_who_makes_the_clock() -> None:
    dut = manager(reset_ms=0)

    async def bench(ctx):
        for _ in range(200):
            assert not ctx.get(dut.reset)
            await ctx.tick()

    simulate(dut, bench, period=PERIOD)


@pytest.mark.parametrize("others", [(), (0,)])
def test_asks_for_the_link(others: tuple[int, ...]) -> None:
    dut = manager(reset_ms=0, setup=(), status=PhyStatus(17, link=10, duplex=13, speed=14), poll_ms=1, addresses=(0, 5))
    phys = {phy: {2: 0x0141} for phy in (*others, 5)}
    bus = Bus(phys)

    async def bench(ctx):
        await ctx.tick().until(dut.ready)
        for speed in (Speed.MBPS_1000, Speed.MBPS_10, Speed.MBPS_100):
            for up, duplex in ((1, 1), (1, 0), (0, 1)):
                phys[5][17] = speed.value << 14 | duplex << 13 | up << 10
                await ctx.tick().repeat(round(0.0012 * CLOCK_HZ))
                assert ctx.get(dut.link) == {"up": up, "speed": speed, "full_duplex": duplex}

    simulate(dut, bench, background=[bus.bench(dut.pins)], period=PERIOD)


@pytest.mark.parametrize("status", [None, PhyStatus(17, link=10, duplex=13, speed=14)])
@pytest.mark.parametrize("others", [(), (31,)])
def test_finds_who_answers_late(rng: random.Random, others: tuple[int, ...], status: PhyStatus | None) -> None:
    """Whether or not others answered at once; it is set up once, as they are."""
    dut = manager(reset_ms=0, poll_ms=1, status=status)
    phys = {phy: registers(rng) for phy in others}
    bus = Bus(phys)

    async def bench(ctx):
        await ctx.tick().until(dut.ready)
        assert ctx.get(dut.present) == sum(1 << phy for phy in others)
        phys[1] = registers(rng)
        await ctx.tick().until(dut.present[1])
        await ctx.tick().repeat(CLOCK_HZ // 100)
        assert ctx.get(dut.present) == sum(1 << phy for phy in phys)

    simulate(dut, bench, background=[bus.bench(dut.pins)], period=PERIOD)
    for phy, content in phys.items():
        assert (content[31], content[17] & 0x100, content[21] & 0x8) == (0xD08, 0x100, 0)
        writes = [access[2] for access in bus.accesses if access[:2] == ("write", phy)]
        assert writes == [change.register for change in SETUP]


def test_refuses_what_no_phy_has() -> None:
    assert_refused("reset_ms must be an integer within 0 .. 1000", PhyManager, CLOCK_HZ, reset_ms=1001, settle_ms=1)
    assert_refused("settle_ms must be an integer within 1 .. 1000", PhyManager, CLOCK_HZ, reset_ms=1, settle_ms=0)
    for addresses in ((), (32,)):
        assert_refused("address", PhyManager, CLOCK_HZ, reset_ms=1, settle_ms=1, addresses=addresses)
    with pytest.raises(ValueError, match=r"register must be an integer within 0 \.\. 31"):
        RegisterChange(32, 0)
    with pytest.raises(ValueError, match="value must be within the mask 0x0001, not 0x0002"):
        RegisterChange(0, 2, mask=1)
    with pytest.raises(ValueError, match=r"speed must be an integer within 0 \.\. 14"):
        PhyStatus(0, link=0, duplex=0, speed=15)
