import math
from itertools import pairwise

import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import simulate
from vtep.config import DATA_WIDTHS, VtepParameters
from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS, PORTS, counter_map
from vtep.vxlan.statistics import Statistics, carried_spacing, engines, waits

PARAMETERS = VtepParameters(vnis=3, tunnels=5)
COUNTERS = counter_map(PARAMETERS)


async def read(ctx, dut, address, *, snapshot=False):
    requests, responses = dut.control.requests, dut.control.responses
    ctx.set(requests.payload, {"address": address, "snapshot": snapshot})
    ctx.set(requests.valid, 1)
    for _ in range(500):
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
    assert 44 <= clocks <= 300, clocks


async def wait_until_ready(ctx, dut):
    for _ in range(100):
        if not ctx.get(dut.control.busy):
            assert ctx.get(dut.ready)
            return
        await ctx.tick()
    raise AssertionError("never ready")


class Events:
    """Random events of all kinds in each clock, and what every counter must show.

    ``load``: chance of an event where one is allowed; those of frames that were carried keep their distance.
    """

    def __init__(self, dut, rng, parameters=PARAMETERS, load=None):
        self.dut, self.rng, self.parameters, self.load = dut, rng, parameters, load
        self.spacing = carried_spacing(parameters)
        self.since = dict.fromkeys(self.spacing, 100)
        self.expected = dict.fromkeys(counter_map(parameters), 0)

    def chance(self, otherwise):
        return self.rng.random() < (otherwise if self.load is None else self.load)

    def set(self, ctx):
        """Set the events of this clock, and count them."""
        dut, rng, expected = self.dut, self.rng, self.expected
        for event, reasons in ((dut.encap_reason, ENCAP_REASONS[:-1]), (dut.decap_reason, DECAP_REASONS)):
            # With a load, runs of one reason are frequent.
            index, strobe = rng.randrange(len(reasons)), self.chance(0.8)
            if self.load is not None and rng.getrandbits(1):
                index = 0
            ctx.set(event.strobe, strobe)
            ctx.set(event.index, index)
            expected[reasons[index]] += strobe
        too_big = self.chance(0.3)
        ctx.set(dut.too_big, too_big)
        expected["mtu"] += too_big
        lanes = self.parameters.lanes
        for i, name in enumerate(PORTS):
            valid, ready, last = self.chance(0.9), self.chance(0.5 + i / 12), self.chance(0.4)
            empty = rng.randrange(lanes) if last and self.load != 1 else 0
            ctx.set(dut.ports[i].valid, valid)
            ctx.set(dut.ports[i].ready, ready)
            ctx.set(dut.ports[i].payload, {"last": last, "empty": empty})
            if valid and ready:
                expected[f"{name}_frames"] += last
                expected[f"{name}_bytes"] += lanes - empty
        for way, spacing in self.spacing.items():
            event = getattr(dut, f"{way}_carried")
            strobe, used = self.since[way] >= spacing and self.chance(0.7), self.chance(0.8)
            self.since[way] = 1 if strobe else self.since[way] + 1
            frame = {
                "vni": rng.randrange(self.parameters.vnis),
                "tunnel": rng.randrange(self.parameters.tunnels),
                "length": rng.randrange(1 << 14),
            }
            ctx.set(event.strobe, strobe)
            ctx.set(event.frame, frame | {"tunnel_used": used})
            for kind, counts in (("vni", strobe), ("tunnel", strobe and used)):
                if counts:
                    expected[f"{kind}[{frame[kind]}].{way}_frames"] += 1
                    expected[f"{kind}[{frame[kind]}].{way}_bytes"] += frame["length"]

    def stop(self, ctx):
        dut = self.dut
        for event in (dut.encap_reason, dut.decap_reason, dut.encap_carried, dut.decap_carried):
            ctx.set(event.strobe, 0)
        ctx.set(dut.too_big, 0)
        for port in dut.ports:
            ctx.set(port.valid, 0)


async def count(ctx, dut, rng, clocks):
    """Random events in so many clocks; what every counter must show."""
    events = Events(dut, rng)
    for _ in range(clocks):
        events.set(ctx)
        await ctx.tick()
    events.stop(ctx)
    return events.expected


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
        expected = await count(ctx, dut, rng, 600)
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


@pytest.mark.parametrize(
    ("name", "clocks"), [("vni[1].decap_bytes", {11}), ("vni[1].encap_bytes", {11, 12}), ("no_vni", set(range(15, 23)))]
)
def test_a_read_takes_few_clocks(name, clocks):
    dut = Statistics(PARAMETERS)

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        ctx.set(dut.control.requests.valid, 1)
        ctx.set(dut.control.requests.payload, {"address": COUNTERS[name], "snapshot": 0})
        ctx.set(dut.control.responses.ready, 1)
        answers = []
        for clock in range(400):
            if ctx.get(dut.control.responses.valid):
                answers.append(clock)
            await ctx.tick()
        assert {later - sooner for sooner, later in pairwise(answers)} <= clocks
        assert len(answers) > 15

    simulate(dut, bench)


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_read_waits_for_a_clock_without_an_event(snapshot):
    """Only a read of the counters that have one in every clock waits; it shows all of them up to then."""
    parameters = VtepParameters(data_width=128, vnis=3, tunnels=5)
    addresses = counter_map(parameters)
    dut = Statistics(parameters)
    requests, carried = dut.control.requests, dut.decap_carried
    assert carried_spacing(parameters)["decap"] == 1

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        await command(ctx, dut, "take_snapshot")
        ctx.set(carried.strobe, 1)
        ctx.set(carried.frame, {"vni": 2, "length": 100})
        for idle in ("vni[2].encap_frames", "tunnel[0].decap_frames", "vxlan_flags", "tenant_rx_bytes"):
            assert await read(ctx, dut, addresses[idle], snapshot=snapshot) == 0
        ctx.set(carried.strobe, 0)
        await ctx.tick().repeat(3)
        frames = await read(ctx, dut, addresses["vni[2].decap_frames"])
        assert frames > 40
        for waited in (100, 1, 40, 17):
            ctx.set(requests.payload, {"address": addresses["vni[2].decap_frames"], "snapshot": snapshot})
            ctx.set(carried.strobe, 1)
            await ctx.tick()
            ctx.set(requests.valid, 1)
            for _ in range(20 + waited):
                assert not ctx.get(requests.ready)
                await ctx.tick()
            ctx.set(carried.strobe, 0)
            await ctx.tick()
            ctx.set(carried.strobe, 1)
            expected = 0 if snapshot else frames + 21 + waited
            clocks = 0
            while not ctx.get(requests.ready):
                await ctx.tick()
                clocks += 1
                assert clocks < 12
            ctx.set(carried.strobe, 0)
            await ctx.tick()
            ctx.set(requests.valid, 0)
            ctx.set(dut.control.responses.ready, 1)
            assert ctx.get(dut.control.responses.valid)
            assert ctx.get(dut.control.responses.payload) == expected
            frames += 21 + waited + clocks
            await ctx.tick()
            assert not ctx.get(dut.control.responses.valid)

    simulate(dut, bench)


WIDTHS = [8, 32, 64, 128, 256, 512]
SOME_WIDTHS = [width if width in (8, 64, 512) else pytest.param(width, marks=pytest.mark.full) for width in WIDTHS]


@pytest.mark.parametrize("data_width", SOME_WIDTHS)
@pytest.mark.parametrize("load", [1, 0.6])
def test_a_command_is_of_its_clock(rng, data_width, load):
    """With events in every clock that allows one, commands as soon as they are allowed, and in any clock."""
    parameters = VtepParameters(data_width=data_width, vnis=2, tunnels=3)
    addresses = counter_map(parameters)
    dut = Statistics(parameters)
    control = dut.control

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        events = Events(dut, rng, parameters, load)
        copy = dict.fromkeys(addresses, 0)
        for name in ("take_snapshot", "clear", "take_snapshot", "take_snapshot", "clear"):
            for _ in range(rng.randrange(1, 80)):
                events.set(ctx)
                await ctx.tick()
            ctx.set(getattr(control, name), 1)
            events.set(ctx)
            if name == "clear":
                events.expected = dict.fromkeys(addresses, 0)
            else:
                copy = dict(events.expected)
            await ctx.tick()
            ctx.set(getattr(control, name), 0)
            clocks = 0
            while ctx.get(control.busy):
                # Banks with an event in every clock need some without.
                if clocks < 600:
                    events.set(ctx)
                else:
                    events.stop(ctx)
                await ctx.tick()
                clocks += 1
                assert clocks < 1000
        events.stop(ctx)
        await ctx.tick().repeat(4)
        assert await read_all(ctx, dut, addresses) == events.expected
        assert await read_all(ctx, dut, addresses, snapshot=True) == copy

    simulate(dut, bench)


async def read_all(ctx, dut, addresses, *, snapshot=False):
    return {name: await read(ctx, dut, address, snapshot=snapshot) for name, address in addresses.items()}


@pytest.mark.parametrize("data_width", SOME_WIDTHS)
def test_counts_at_the_highest_rate_for_long(rng, data_width):
    """Events in every clock that allows one, for longer than any tally could hold unless it is emptied; and reads."""
    parameters = VtepParameters(data_width=data_width, vnis=2, tunnels=3)
    addresses = counter_map(parameters)
    dut = Statistics(parameters)
    requests, responses = dut.control.requests, dut.control.responses

    async def bench(ctx):
        await wait_until_ready(ctx, dut)
        events = Events(dut, rng, parameters, 1)
        ctx.set(requests.payload, {"address": addresses["no_vni"], "snapshot": 0})
        ctx.set(requests.valid, 1)
        ctx.set(responses.ready, 1)
        earlier = 0
        for _ in range(2500):
            events.set(ctx)
            if ctx.get(responses.valid):
                value = ctx.get(responses.payload)
                assert earlier <= value <= events.expected["no_vni"]
                earlier = value
            await ctx.tick()
        events.stop(ctx)
        ctx.set(responses.ready, 0)
        while not ctx.get(responses.valid):
            await ctx.tick()
        ctx.set(requests.valid, 0)
        ctx.set(responses.ready, 1)
        await ctx.tick()
        ctx.set(responses.ready, 0)
        assert await read_all(ctx, dut, addresses) == events.expected
        assert events.expected["tenant_rx_bytes"] == 2500 * parameters.lanes

    simulate(dut, bench)


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
def test_every_event_is_taken_before_the_next(data_width):
    """Whatever the sources of an engine do: all of them at once is the worst, as they go on at their highest rate."""
    groups = engines(VtepParameters(data_width=data_width))
    assert len([source for group in groups for source in group]) == 5
    for group in groups:
        spacing = [source.spacing for source in group if source.spacing is not None]
        due = [0] * len(spacing)
        pending = [False] * len(spacing)
        collected = longest = 0
        for clock in range(1000):
            for i, clocks in enumerate(spacing):
                if clock == due[i]:
                    assert not pending[i]
                    pending[i], due[i] = True, clock + clocks
            if any(pending):
                pending[pending.index(True)] = False
                collected += 1
            else:
                collected = 0
            longest = max(longest, collected + 1)
        if len(spacing) < len(group):
            assert longest <= waits(group)[-1] <= 7


def test_spacing_is_that_of_the_shortest_frames():
    shortest = {"encap": 60, "decap": 14}  # bytes
    for data_width in DATA_WIDTHS:
        spacing = carried_spacing(VtepParameters(data_width=data_width))
        assert spacing == {way: math.ceil(8 * length / data_width) for way, length in shortest.items()}
    assert [len(engines(VtepParameters(data_width=width))) for width in DATA_WIDTHS] == [1, 1, 1, 2, 3, 4, 5]
