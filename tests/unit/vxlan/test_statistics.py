from itertools import pairwise

import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import simulate
from vtep.config import VtepParameters
from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS, PORTS, counter_map
from vtep.vxlan.statistics import Statistics

PARAMETERS = VtepParameters(vnis=3, tunnels=5)
COUNTERS = counter_map(PARAMETERS)


async def read(ctx, dut, address, *, snapshot=False):
    requests, responses = dut.control.requests, dut.control.responses
    ctx.set(requests.payload, {"address": address, "snapshot": snapshot})
    ctx.set(requests.valid, 1)
    for _ in range(50):
        *_, taken = await ctx.tick().sample(requests.ready)
        if taken:
            break
    else:
        raise AssertionError("the request was not taken")
    ctx.set(requests.valid, 0)
    assert ctx.get(responses.valid)
    value = ctx.get(responses.payload)
    ctx.set(responses.ready, 1)
    await ctx.tick()
    ctx.set(responses.ready, 0)
    return value


async def command(ctx, dut, name):
    """Give a command; it must be busy at once, and for some clocks."""
    ctx.set(getattr(dut.control, name), 1)
    await ctx.tick()
    ctx.set(getattr(dut.control, name), 0)
    clocks = 0
    while ctx.get(dut.control.busy):
        await ctx.tick()
        clocks += 1
    assert 16 <= clocks <= 100, clocks


async def wait_until_ready(ctx, dut):
    for _ in range(100):
        if not ctx.get(dut.control.busy):
            assert ctx.get(dut.ready)
            return
        await ctx.tick()
    raise AssertionError("never ready")


async def count(ctx, dut, rng, clocks):
    """Random events of all kinds in each clock; what every counter must show."""
    expected = dict.fromkeys(COUNTERS, 0)
    for _ in range(clocks):
        for event, reasons in ((dut.encap_reason, ENCAP_REASONS[:-1]), (dut.decap_reason, DECAP_REASONS)):
            index, strobe = rng.randrange(len(reasons)), rng.random() < 0.8
            ctx.set(event.strobe, strobe)
            ctx.set(event.index, index)
            expected[reasons[index]] += strobe
        too_big = rng.random() < 0.3
        ctx.set(dut.too_big, too_big)
        expected["mtu"] += too_big
        for i, name in enumerate(PORTS):
            valid, ready, last, empty = (
                rng.random() < 0.9,
                rng.random() < 0.5 + i / 12,
                rng.random() < 0.4,
                rng.randrange(8),
            )
            ctx.set(dut.ports[i].valid, valid)
            ctx.set(dut.ports[i].ready, ready)
            ctx.set(dut.ports[i].payload, {"last": last, "empty": empty if last else 0})
            if valid and ready:
                expected[f"{name}_frames"] += last
                expected[f"{name}_bytes"] += 8 - empty * last
        for way in ("encap", "decap"):
            event = getattr(dut, f"{way}_carried")
            strobe, used = rng.random() < 0.7, rng.random() < 0.8
            frame = {"vni": rng.randrange(3), "tunnel": rng.randrange(5), "length": rng.randrange(1 << 14)}
            ctx.set(event.strobe, strobe)
            ctx.set(event.frame, frame | {"tunnel_used": used})
            for kind, counts in (("vni", strobe), ("tunnel", strobe and used)):
                if counts:
                    expected[f"{kind}[{frame[kind]}].{way}_frames"] += 1
                    expected[f"{kind}[{frame[kind]}].{way}_bytes"] += frame["length"]
        await ctx.tick()
    for strobe in (dut.encap_reason.strobe, dut.decap_reason.strobe, dut.too_big, dut.encap_carried.strobe):
        ctx.set(strobe, 0)
    ctx.set(dut.decap_carried.strobe, 0)
    for port in dut.ports:
        ctx.set(port.valid, 0)
    await ctx.tick().repeat(6)
    return expected


def test_every_address(rng):
    """Those of `counter_map` have their values, which all differ from 0; the others are 0. Reset clears all."""
    dut = Statistics(PARAMETERS)
    reset = Signal()
    others = {
        bank << 20 | low for bank in range(8) for low in (*range(0x30), 0x7F, 0x80, 0x81, 0xFF, 1 << 16, (1 << 20) - 1)
    }
    others -= set(COUNTERS.values())

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        expected = await count(ctx, dut, rng, 250)
        assert all(expected.values())
        for name, address in COUNTERS.items():
            assert await read(ctx, dut, address) == expected[name], name
        for address in sorted(others):
            assert await read(ctx, dut, address) == 0, hex(address)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        await wait_until_ready(ctx, dut)
        for name, address in COUNTERS.items():
            assert await read(ctx, dut, address) == 0, name

    simulate(ResetInserter(reset)(dut), bench)


def test_a_snapshot_holds_every_counter_and_a_clearing_sets_each_to_0(rng):
    dut = Statistics(PARAMETERS)

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        first = await count(ctx, dut, rng, 150)
        for name, address in COUNTERS.items():
            assert await read(ctx, dut, address, snapshot=True) == 0, name
        await command(ctx, dut, "take_snapshot")
        second = await count(ctx, dut, rng, 150)
        await command(ctx, dut, "clear")
        third = await count(ctx, dut, rng, 150)
        for name, address in COUNTERS.items():
            assert await read(ctx, dut, address, snapshot=True) == first[name], name
            assert await read(ctx, dut, address) == third[name], name
        await command(ctx, dut, "take_snapshot")
        for name, address in COUNTERS.items():
            assert await read(ctx, dut, address, snapshot=True) == third[name], name
        assert first != second != third

    simulate(dut, bench)


def test_a_read_waits_for_a_command(rng):
    dut = Statistics(PARAMETERS)

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        await count(ctx, dut, rng, 100)
        ctx.set(dut.control.clear, 1)
        await ctx.tick()
        ctx.set(dut.control.clear, 0)
        assert await read(ctx, dut, COUNTERS["tenant_rx_bytes"]) == 0
        assert not ctx.get(dut.control.busy)

    simulate(dut, bench)


def test_answers_come_in_order_and_wait(rng):
    dut = Statistics(PARAMETERS)
    answers = []
    names = [rng.choice(list(COUNTERS)) for _ in range(30)]

    async def requests(ctx):
        await wait_until_ready(ctx, dut)
        expected = await count(ctx, dut, rng, 60)
        for name in names:
            ctx.set(dut.control.requests.payload, {"address": COUNTERS[name], "snapshot": 0})
            ctx.set(dut.control.requests.valid, 1)
            taken = 0
            while not taken:
                *_, taken = await ctx.tick().sample(dut.control.requests.ready)
            if rng.random() < 0.3:
                ctx.set(dut.control.requests.valid, 0)
                await ctx.tick().repeat(rng.randint(1, 8))
        ctx.set(dut.control.requests.valid, 0)
        while len(answers) < len(names):
            await ctx.tick()
        assert answers == [expected[name] for name in names]

    async def responses(ctx):
        standing = None
        while len(answers) < len(names):
            ready = rng.random() < 0.2
            ctx.set(dut.control.responses.ready, ready)
            *_, valid, value = await ctx.tick().sample(dut.control.responses.valid, dut.control.responses.payload)
            assert standing is None or (valid and value == standing)
            standing = value if valid and not ready else None
            if valid and ready:
                answers.append(value)

    simulate(dut, requests, responses)


def test_a_read_takes_twelve_clocks():
    dut = Statistics(PARAMETERS)

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        ctx.set(dut.control.requests.valid, 1)
        ctx.set(dut.control.responses.ready, 1)
        clocks = []
        for clock in range(50):
            if ctx.get(dut.control.responses.valid):
                clocks.append(clock)
            await ctx.tick()
        assert [later - sooner for sooner, later in pairwise(clocks)] == [12] * (len(clocks) - 1)
        assert len(clocks) > 3

    simulate(dut, bench)


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_read_waits_for_a_clock_without_an_event(rng, snapshot):
    """Only a read of the counters that have one in every clock waits; it shows all of them up to then."""
    dut = Statistics(PARAMETERS)
    requests = dut.control.requests
    busy, idle = COUNTERS[DECAP_REASONS[2]], COUNTERS[ENCAP_REASONS[1]]

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        await command(ctx, dut, "take_snapshot")
        ctx.set(dut.decap_reason.strobe, 1)
        ctx.set(dut.decap_reason.index, 2)
        assert await read(ctx, dut, idle, snapshot=snapshot) == 0
        events = 12  # in the clocks of this read
        for waited in (100, 1, 40, 17):
            ctx.set(requests.payload, {"address": busy, "snapshot": snapshot})
            ctx.set(requests.valid, 1)
            for _ in range(20 + waited):
                assert not ctx.get(requests.ready)
                await ctx.tick()
            events += 20 + waited
            expected = 0 if snapshot else events
            ctx.set(dut.decap_reason.strobe, 0)
            await ctx.tick()
            ctx.set(dut.decap_reason.strobe, 1)
            for _ in range(10):
                taken = ctx.get(requests.ready)
                await ctx.tick()
                events += 1
                if taken:
                    break
            else:
                raise AssertionError("the request was not taken")
            ctx.set(requests.valid, 0)
            ctx.set(dut.control.responses.ready, 1)
            assert ctx.get(dut.control.responses.valid)
            assert ctx.get(dut.control.responses.payload) == expected
            await ctx.tick()
            events += 1
            assert not ctx.get(dut.control.responses.valid)

    simulate(dut, bench)
