import random
from itertools import pairwise

import pytest
from amaranth.hdl import ResetInserter, Signal, Value
from amaranth.lib.wiring import In, Out

from helpers.packet_bench import assert_refused, simulate
from helpers.register_bench import merge
from vtep.control.axi_lite import AxiLiteSlave, Response, axi_lite_signature

BITS = 8
WORDS = 1 << BITS - 2
REFUSED = range(WORDS - 8, WORDS)
"""Words that the memory behind the slave refuses."""


class Memory:
    """A register bus slave with random latency, and an account of its accesses."""

    def __init__(self, bus, rng, slow=3):
        self.bus, self.rng, self.slow = bus, rng, slow
        self.words = [0] * WORDS
        self.log = []

    async def serve(self, ctx):
        bus = self.bus
        while True:
            while not ctx.get(bus.request):
                await ctx.tick()
            signals = (bus.request, bus.write, bus.address, bus.write_data, bus.write_bytes)
            asked = tuple(ctx.get(signal) for signal in signals)
            for _ in range(self.rng.randint(0, self.slow)):
                await ctx.tick()
            _, write, address, data, strobes = asked
            error = address in REFUSED
            if write and not error:
                self.words[address] = merge(self.words[address], data, strobes)
            self.log.append((write, address))
            ctx.set(bus.ack, 1)
            ctx.set(bus.error, error)
            ctx.set(bus.read_data, self.rng.getrandbits(32) if write or error else self.words[address])
            _, _, *after = await ctx.tick().sample(*signals)
            kept = len(asked) if write else 3  # a read leaves what is written open
            assert tuple(after)[:kept] == asked[:kept], "an access changed under way"
            ctx.set(bus.ack, 0)
            # What goes with an ack is nothing without one.
            ctx.set(bus.error, self.rng.getrandbits(1))
            ctx.set(bus.read_data, self.rng.getrandbits(32))


async def send(ctx, valid, ready, fields, timeout=500):
    """Offer the payload ``fields`` of a channel until it is taken."""
    for signal, value in fields:
        ctx.set(signal, value)
    ctx.set(valid, 1)
    for _ in range(timeout):
        *_, taken = await ctx.tick().sample(ready)
        if taken:
            ctx.set(valid, 0)
            return
    raise AssertionError("ready stayed low")


async def receive(ctx, valid, ready, fields, pause, timeout=500):
    """Wait ``pause`` clocks (the payload must stand still), then take what a channel has."""
    for _ in range(timeout):
        *_, there = await ctx.tick().sample(valid)
        if there:
            break
    else:
        raise AssertionError("no response")
    first = [ctx.get(signal) for signal in fields]
    for _ in range(pause):
        assert ctx.get(valid)
        await ctx.tick()
        assert [ctx.get(signal) for signal in fields] == first, "a response changed while it waited"
    assert ctx.get(valid)
    ctx.set(ready, 1)
    await ctx.tick()
    ctx.set(ready, 0)
    assert not ctx.get(valid), "a response was given twice"
    return first


def make(rng, slow=3):
    dut = AxiLiteSlave(BITS)
    return dut, Memory(dut.bus, rng, slow)


def aw(axi, address):
    return axi.awvalid, axi.awready, ((axi.awaddr, address), (axi.awprot, address & 7))


def w(axi, data, strobes):
    return axi.wvalid, axi.wready, ((axi.wdata, data), (axi.wstrb, strobes))


def ar(axi, address):
    return axi.arvalid, axi.arready, ((axi.araddr, address), (axi.arprot, address & 7))


async def get_b(ctx, axi, pause=0):
    (response,) = await receive(ctx, axi.bvalid, axi.bready, (Value.cast(axi.bresp),), pause)
    return response


async def get_r(ctx, axi, pause=0):
    return await receive(ctx, axi.rvalid, axi.rready, (Value.cast(axi.rresp), axi.rdata), pause)


def test_signals_are_those_of_axi4_lite():
    members = axi_lite_signature(32).members
    outs = {"awaddr": 32, "awprot": 3, "awvalid": 1, "wdata": 32, "wstrb": 4, "wvalid": 1, "bready": 1}
    outs |= {"araddr": 32, "arprot": 3, "arvalid": 1, "rready": 1}
    ins = {"awready": 1, "wready": 1, "bvalid": 1, "arready": 1, "rdata": 32, "rvalid": 1}
    ins |= {"bresp": Response, "rresp": Response}
    assert {name: member.shape for name, member in members.items() if member.flow is Out} == outs
    assert {name: member.shape for name, member in members.items() if member.flow is In} == ins
    assert (Response.OKAY.value, Response.SLVERR.value) == (0, 2)


@pytest.mark.parametrize("first", ["address", "data", "both"])
@pytest.mark.parametrize("gap", [0, 1, 5])
@pytest.mark.parametrize("pause", [0, 1, 6])
def test_address_and_data_of_a_write_come_in_any_order(rng, first, gap, pause):
    dut, memory = make(rng)
    axi = dut.axi

    async def bench(ctx):
        for number in range(6):
            address, data = rng.randrange(WORDS - 8), rng.getrandbits(32)
            parts = [aw(axi, 4 * address), w(axi, data, 0b1111)]
            if first == "both":
                for valid, ready, fields in parts:
                    assert ctx.get(ready)
                    ctx.set(valid, 1)
                    for signal, value in fields:
                        ctx.set(signal, value)
                await ctx.tick()
                for valid, _, _ in parts:
                    ctx.set(valid, 0)
            else:
                for valid, ready, fields in parts if first == "address" else reversed(parts):
                    await send(ctx, valid, ready, fields)
                    # The other channel does not wait for this one.
                    assert not ctx.get(ready)
                    for _ in range(gap):
                        await ctx.tick()
            assert await get_b(ctx, axi, pause) == Response.OKAY.value
            assert memory.words[address] == data
            assert len(memory.log) == number + 1

    simulate(dut, bench, background=[memory.serve])


def test_neither_half_of_a_write_does_anything_alone(rng):
    dut, memory = make(rng)

    async def bench(ctx):
        for number in range(4):
            first, second = (aw(dut.axi, 4), w(dut.axi, 5, 15))[:: 1 if number % 2 else -1]
            await send(ctx, *first)
            for _ in range(20):
                await ctx.tick()
                assert len(memory.log) == number
            await send(ctx, *second)
            assert await get_b(ctx, dut.axi) == Response.OKAY.value
        assert memory.log == [(1, 1)] * 4

    simulate(dut, bench, background=[memory.serve])


def test_errors_are_answered(rng):
    dut, memory = make(rng)
    axi = dut.axi

    async def bench(ctx):
        for address in (*REFUSED, 3, *REFUSED):
            expected = Response.SLVERR.value if address in REFUSED else Response.OKAY.value
            await send(ctx, *aw(axi, 4 * address))
            await send(ctx, *w(axi, 0x55AA55AA, 15))
            assert await get_b(ctx, axi) == expected
            await send(ctx, *ar(axi, 4 * address))
            assert await get_r(ctx, axi) == [expected, 0 if expected else 0x55AA55AA]

    simulate(dut, bench, background=[memory.serve])


def test_low_address_bits_and_protection_do_not_matter(rng):
    dut, memory = make(rng)
    axi = dut.axi

    async def bench(ctx):
        for low in range(4):
            await send(ctx, *aw(axi, 0x10 + low))
            await send(ctx, *w(axi, low + 1, 15))
            await get_b(ctx, axi)
            await send(ctx, *ar(axi, 0x13 - low))
            assert await get_r(ctx, axi) == [0, low + 1]

    simulate(dut, bench, background=[memory.serve])


def test_a_response_that_is_not_taken_holds_its_own_direction_only(rng):
    dut, memory = make(rng)
    axi = dut.axi

    async def bench(ctx):
        for _ in range(2):
            await send(ctx, *aw(axi, 8))
            await send(ctx, *w(axi, 7, 15))
        for _ in range(30):
            await ctx.tick()
        assert len(memory.log) == 1
        assert ctx.get(axi.bvalid)
        assert not ctx.get(axi.awready)
        assert not ctx.get(axi.wready)
        for _ in range(5):
            await send(ctx, *ar(axi, 8))
            assert await get_r(ctx, axi, 3) == [0, 7]
        for _ in range(2):
            await send(ctx, *ar(axi, 8))
        for _ in range(30):
            await ctx.tick()
        assert len(memory.log) == 7
        assert not ctx.get(axi.arready)
        for _ in range(2):
            assert await get_b(ctx, axi) == 0
            assert await get_r(ctx, axi) == [0, 7]
        assert len(memory.log) == 9

    simulate(dut, bench, background=[memory.serve])


def test_reads_and_writes_take_turns(rng):
    dut, memory = make(rng, slow=0)
    axi = dut.axi

    async def bench(ctx):
        for signal in (axi.awvalid, axi.wvalid, axi.arvalid, axi.bready, axi.rready):
            ctx.set(signal, 1)
        ctx.set(axi.araddr, 4)
        for _ in range(200):
            await ctx.tick()

    simulate(dut, bench, background=[memory.serve])
    writes = [write for write, _ in memory.log]
    assert len(writes) > 30
    assert all(before != after for before, after in pairwise(writes))


def test_latency(rng):
    dut, memory = make(rng, slow=0)
    axi = dut.axi

    async def bench(ctx):
        ctx.set(axi.bready, 1)
        for signals, valid in (((axi.arvalid,), axi.rvalid), ((axi.awvalid, axi.wvalid), axi.bvalid)):
            for signal in signals:
                ctx.set(signal, 1)
            await ctx.tick()
            for signal in signals:
                ctx.set(signal, 0)
            assert not ctx.get(dut.bus.request)
            await ctx.tick()
            assert ctx.get(dut.bus.request)
            await ctx.tick()  # `Memory` gives its ack in the clock of the request
            assert not ctx.get(valid)
            await ctx.tick()
            assert ctx.get(valid)

    simulate(dut, bench, background=[memory.serve])


@pytest.mark.parametrize("lazy", [0.0, 0.3, 0.8])
def test_random_traffic_against_a_model(rng, lazy):
    """Writes and reads of independent masters, with random pauses on all channels."""
    dut, memory = make(rng)
    axi = dut.axi
    model = [0] * WORDS
    todo = [(rng.randrange(WORDS), rng.getrandbits(32), rng.getrandbits(4)) for _ in range(150)]
    streams = {name: random.Random(rng.random()) for name in ("aw", "w", "b", "r")}
    done = []

    async def rest(ctx, own):
        while own.random() < lazy:
            await ctx.tick()

    async def addresses(ctx):
        for address, _, _ in todo:
            await rest(ctx, streams["aw"])
            await send(ctx, *aw(axi, 4 * address + streams["aw"].randrange(4)))
            ctx.set(axi.awaddr, streams["aw"].getrandbits(BITS))

    async def data(ctx):
        for _, value, strobes in todo:
            await rest(ctx, streams["w"])
            await send(ctx, *w(axi, value, strobes))
            ctx.set(axi.wdata, streams["w"].getrandbits(32))
            ctx.set(axi.wstrb, streams["w"].getrandbits(4))

    async def responses(ctx):
        for address, value, strobes in todo:
            pause = streams["b"].randrange(8) if streams["b"].random() < lazy else 0
            response = await get_b(ctx, axi, pause)
            assert response == (2 if address in REFUSED else 0)
            if not response:
                model[address] = merge(model[address], value, strobes)
            done.append(address)

    async def reads(ctx):
        own = streams["r"]
        while len(done) < len(todo):
            await rest(ctx, own)
            address = own.randrange(WORDS)
            await send(ctx, *ar(axi, 4 * address))
            response, value = await get_r(ctx, axi, own.randrange(8) if own.random() < lazy else 0)
            assert response == (2 if address in REFUSED else 0)
            # What is written about now may be seen or not.
            near = [entry for entry in todo[max(0, len(done) - 3) : len(done) + 2] if entry[0] == address]
            if not near:
                assert value == (0 if response else model[address])
        for address in range(WORDS - 8):
            await send(ctx, *ar(axi, 4 * address))
            assert await get_r(ctx, axi) == [0, model[address]]

    simulate(dut, addresses, data, responses, reads, background=[memory.serve])
    assert [address for write, address in memory.log if write] == [address for address, _, _ in todo]


def test_no_path_from_an_input_to_an_output(rng):
    """Within a clock nothing that the master does shows at the slave's outputs."""
    dut, _ = make(rng)
    axi = dut.axi
    inputs = [name for name, member in axi_lite_signature(BITS).members.items() if member.flow is Out]
    outputs = [name for name, member in axi_lite_signature(BITS).members.items() if member.flow is In]

    async def bench(ctx):
        for _ in range(300):
            ctx.set(dut.bus.ack, rng.getrandbits(1) & ctx.get(dut.bus.request))
            ctx.set(dut.bus.error, rng.getrandbits(1))
            ctx.set(dut.bus.read_data, rng.getrandbits(32))
            seen = set()
            for _ in range(5):
                for name in inputs:
                    ctx.set(getattr(axi, name), rng.getrandbits(len(getattr(axi, name))))
                seen.add(tuple(ctx.get(Value.cast(getattr(axi, name))) for name in outputs))
            assert len(seen) == 1
            await ctx.tick()

    simulate(dut, bench)


def test_reset_forgets(rng):
    dut, memory = make(rng)
    reset = Signal()
    axi = dut.axi

    async def bench(ctx):
        await send(ctx, *aw(axi, 4))
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        assert ctx.get(axi.awready)
        await send(ctx, *w(axi, 1, 15))
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(axi.bvalid)
        assert memory.log == []
        await send(ctx, *aw(axi, 8))
        assert await get_b(ctx, axi) == 0
        assert memory.words[2] == 1

    simulate(ResetInserter(reset)(dut), bench, background=[memory.serve])


def test_refuses_widths():
    for bits in (2, 33):
        assert_refused(rf"address_bits must be an integer within 3 \.\. 32, not {bits}", AxiLiteSlave, bits)
