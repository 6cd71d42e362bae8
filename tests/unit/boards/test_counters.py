"""The gateway's counters, while both lines bring the shortest frames that have a preamble and a gap."""

import random
from collections import Counter

from amaranth.hdl import ClockDomain, Module

from helpers.mac_counters import counted
from helpers.packet_bench import simulate_clocks
from vtep.control.gateway_registers import GATEWAY_COUNTERS, LOCAL_EVENTS, PORTS
from vtep.local.program import EVENTS
from vtep_boards.counters import GatewayCounters

FRAMES = 90
BESIDE = len(LOCAL_EVENTS) - len(EVENTS)
LONGEST = 2004
SERIAL = 16 * 10 * 4 // 4
"""Clocks between commands: a quarter of what they take on the fastest serial line."""


def test_no_event_is_lost_while_commands_are_carried_out(rng: random.Random) -> None:
    m = Module()
    periods = {"sync": 16e-9, "tx": 8e-9, "rx0": 7.9992e-9, "rx1": 8.0008e-9}
    m.domains += [ClockDomain(name) for name in periods]
    m.submodules.dut = dut = GatewayCounters()
    wanted: Counter[str] = Counter()
    done = []

    def line(number: int):
        async def bring(ctx):
            mac, domain = dut.macs[number], f"rx{number}"
            await ctx.tick(domain).repeat(240)
            for _ in range(FRAMES):
                length = rng.randint(1, 9)
                frame = {"length": length, "fcs_error": 1, "too_short": 1, "too_long": 0, "dropped": rng.randrange(2)}
                frame |= {"multicast": 1, "broadcast": 0}
                for name, count in counted(frame, LONGEST).items():
                    wanted[f"{PORTS[number]}.{name}"] += count
                ctx.set(mac.reception, frame)
                ctx.set(mac.received, 1)
                await ctx.tick(domain)
                ctx.set(mac.received, 0)
                # With a preamble of 8 bytes and a gap of 12.
                await ctx.tick(domain).repeat(length + 8 + 12 - 1)
            done.append(domain)

        return bring

    async def transmit(ctx):
        await ctx.tick("tx").repeat(240)
        for number in range(FRAMES // 4):
            for mac, port in zip(dut.macs, PORTS, strict=True):
                ctx.set(mac.sent, 1)
                wanted[f"{port}.aFramesTransmittedOK"] += 1
            await ctx.tick("tx")
            for mac in dut.macs:
                ctx.set(mac.sent, 0)
            await ctx.tick("tx").repeat(83 + number % 2)
        done.append("tx")

    async def local(ctx):
        await ctx.tick().repeat(120)
        while len(done) < 3:
            # The program tells of one thing at a time; what becomes of frames comes beside that.
            events = 1 << rng.randrange(len(EVENTS)) | rng.getrandbits(BESIDE) << len(EVENTS)
            wanted.update(f"local.{name}" for place, name in enumerate(LOCAL_EVENTS) if events >> place & 1)
            ctx.set(dut.events, events)
            await ctx.tick()
            ctx.set(dut.events, 0)
            await ctx.tick().repeat(30)

    async def command(ctx):
        copied = {}
        await ctx.tick().repeat(500)
        while len(done) < 3:
            ctx.set(dut.take_snapshot, 1)
            await ctx.tick()
            ctx.set(dut.take_snapshot, 0)
            await ctx.tick().until(~dut.busy)
            for index in rng.sample(range(len(GATEWAY_COUNTERS)), 4):
                await ctx.tick().repeat(SERIAL)
                copied[index] = await read(ctx, index, snapshot=True)
            await ctx.tick().repeat(SERIAL)
        await ctx.tick().repeat(400)
        values = {name: await read(ctx, index) for index, name in enumerate(GATEWAY_COUNTERS)}
        assert {name: value for name, value in values.items() if value} == +wanted
        assert all(value <= values[GATEWAY_COUNTERS[index]] for index, value in copied.items())

    async def read(ctx, index: int, *, snapshot: bool = False) -> int:
        ctx.set(dut.read_index, index)
        ctx.set(dut.read_snapshot, snapshot)
        ctx.set(dut.read, 1)
        await ctx.tick()
        ctx.set(dut.read, 0)
        await ctx.tick().until(~dut.busy)
        return ctx.get(dut.value)

    simulate_clocks(m, periods, line(0), line(1), transmit, local, command, rng=rng)
