import pytest

from helpers.packet_bench import assert_refused, simulate
from vtep.config import VtepParameters
from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS, PORTS
from vtep.vxlan.collector import PLACES, Collector

TAKING = {4: 2, 8: 4}
"""Clocks in which a place is emptied, by the byte lanes."""
MTU = len(DECAP_REASONS) + len(ENCAP_REASONS) - 1


class Bench:
    """Events in, sums out: before and after the last command, by place, as (frames, bytes)."""

    def __init__(self, dut, rng, *, load, lanes):
        self.dut, self.rng, self.load, self.lanes = dut, rng, load, lanes
        self.sent = [[0, 0] for _ in range(PLACES)]
        self.before = None
        self.got = [[0, 0] for _ in range(PLACES)]
        self.since = [0] * PLACES
        self.longest = 0
        self.waited = 0
        self.visits = True
        self.commanded = False

    def events(self, ctx):
        dut, rng = self.dut, self.rng
        # One reason in every clock is the worst for its count.
        kind = 0 if self.load == 1 else None
        for event, reasons, base in (
            (dut.decap_reason, DECAP_REASONS, 0),
            (dut.encap_reason, ENCAP_REASONS[:-1], len(DECAP_REASONS)),
        ):
            strobe, index = rng.random() < self.load, rng.randrange(len(reasons)) if kind is None else kind
            ctx.set(event.strobe, strobe)
            ctx.set(event.index, index)
            self.sent[base + index][0] += strobe
        too_big = rng.random() < self.load
        ctx.set(dut.too_big, too_big)
        self.sent[MTU][0] += too_big
        for i, port in enumerate(dut.ports):
            valid = rng.random() < self.load
            last = self.load == 1 or rng.random() < 0.5
            empty = rng.randrange(self.lanes) if last and self.load != 1 else 0
            ctx.set(port.valid, valid)
            ctx.set(port.ready, 1)
            ctx.set(port.payload, {"last": last, "empty": empty})
            if valid:
                self.sent[PLACES - len(PORTS) + i][0] += last
                self.sent[PLACES - len(PORTS) + i][1] += self.lanes - empty

    async def clock(self, ctx, wait, *, idle=False):
        """One clock, with ``ready`` as late as it may be."""
        dut = self.dut
        if idle:
            for event in (dut.decap_reason, dut.encap_reason):
                ctx.set(event.strobe, 0)
            ctx.set(dut.too_big, 0)
            for port in dut.ports:
                ctx.set(port.valid, 0)
        else:
            self.events(ctx)
        valid = ctx.get(dut.valid)
        self.waited = self.waited + 1 if valid else 0
        ready = self.waited == wait
        ctx.set(dut.ready, ready)
        ctx.set(dut.visit, self.visits)
        ctx.set(dut.visit_place, 3)
        self.since = [clocks + 1 for clocks in self.since]
        if valid and ready:
            self.waited = 0
            place = ctx.get(dut.place)
            sums = self.before if ctx.get(dut.earlier) else self.got
            sums[place][0] += ctx.get(dut.frames)
            sums[place][1] += ctx.get(dut.bytes)
            if not ctx.get(dut.earlier):
                self.longest, self.since[place] = max(self.longest, self.since[place]), 0
        await ctx.tick()


@pytest.mark.parametrize("lanes", list(TAKING))
@pytest.mark.parametrize(("wait", "load", "commands"), [(1, 1, 0), (7, 1, 0), (1, 0.6, 3), (3, 1, 3)])
def test_nothing_is_lost_at_the_worst(rng, wait, load, commands, lanes):
    """Events in every clock, visits all the time, everything taken as late as possible, one command after the other."""
    dut = Collector(VtepParameters(data_width=8 * lanes), wait)
    taking = TAKING[lanes] + wait

    async def bench(ctx):
        while not ctx.get(dut.cleared):
            await ctx.tick()
        ctx.set(dut.enable, 1)
        run = Bench(dut, rng, load=load, lanes=lanes)
        for _ in range(rng.randrange(50, 150)):
            await run.clock(ctx, wait)
        for _ in range(commands):
            # All up to the clock before is from before; what was sent since the last command must be in it.
            sent, run.sent = run.sent, [[0, 0] for _ in range(PLACES)]
            run.before, run.got = run.got, [[0, 0] for _ in range(PLACES)]
            ctx.set(dut.command, 1)
            await run.clock(ctx, wait)
            ctx.set(dut.command, 0)
            clocks = 0
            while ctx.get(dut.settling):
                await run.clock(ctx, wait)
                clocks += 1
            assert PLACES * (taking - 1) <= clocks <= 2 * (PLACES + 1) * taking + 2
            assert run.before == sent
            for _ in range(rng.choice((0, 1, rng.randrange(200)))):
                await run.clock(ctx, wait)
        for _ in range(dut.interval if not commands else 50):
            await run.clock(ctx, wait)
        run.visits = False
        for _ in range(2 * PLACES * taking):
            await run.clock(ctx, wait, idle=True)
        assert run.got == run.sent
        if not commands:
            # One round; a command makes it two.
            assert dut.interval // 3 < run.longest <= dut.interval // 2

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", list(TAKING))
def test_a_visit_is_quick_and_shows_what_came_before(rng, lanes):
    dut = Collector(VtepParameters(data_width=8 * lanes), 2)

    async def bench(ctx):
        while not ctx.get(dut.cleared):
            await ctx.tick()
        ctx.set(dut.enable, 1)
        ctx.set(dut.ready, 1)
        for _ in range(40):
            place, events = rng.randrange(len(DECAP_REASONS)), rng.randrange(1, 5)
            ctx.set(dut.decap_reason.index, place)
            ctx.set(dut.decap_reason.strobe, 1)
            seen = 0
            visit_from = events
            for clock in range(60):
                if clock == events:
                    ctx.set(dut.decap_reason.strobe, 0)
                ctx.set(dut.visit, clock >= visit_from)
                ctx.set(dut.visit_place, place)
                if ctx.get(dut.valid) and ctx.get(dut.place) == place:
                    seen += ctx.get(dut.frames)
                if clock >= visit_from and ctx.get(dut.visited):
                    assert clock - visit_from <= 2 * TAKING[lanes] + 2
                    assert seen == events
                    break
                await ctx.tick()
            else:
                raise AssertionError("not visited")
            await ctx.tick()
            ctx.set(dut.visit, 0)
            await ctx.tick().repeat(rng.randrange(1, 20))

    simulate(dut, bench)


def test_refuses_waits():
    assert_refused(r"wait must be .* 1 \.\. 64, not 0", Collector, VtepParameters(), 0)
    assert_refused(r"wait must be .* 1 \.\. 64, not 65", Collector, VtepParameters(), 65)
