import pytest

from helpers.packet_bench import assert_refused, simulate
from vtep.control.uart_bone import UartBone

BITS = 12
TIMEOUT = 60
WRITE, READ, WRITE_FIXED, READ_FIXED = 1, 2, 3, 4
REFUSED = range(0x300, 0x400)
"""Word addresses that the registers refuse."""


def command(code, address, words=(), length=None):
    """Bytes of a command; ``words``: to write, or how many to read."""
    count = words if isinstance(words, int) else len(words)
    data = b"" if isinstance(words, int) else b"".join(word.to_bytes(4) for word in words)
    return bytes([code, count if length is None else length]) + address.to_bytes(4) + data


class Bench:
    """A bridge with registers made of a dictionary."""

    def __init__(self, rng):
        self.rng = rng
        self.dut = UartBone(BITS, TIMEOUT)
        self.words = {}
        self.writes = []
        self.answer = bytearray()

    async def registers(self, ctx):
        bus = self.dut.bus
        while True:
            ctx.set(bus.ack, 0)
            ctx.set(bus.read_data, self.rng.getrandbits(32))
            while not ctx.get(bus.request):
                await ctx.tick()
            address, write, data = ctx.get(bus.address), ctx.get(bus.write), ctx.get(bus.write_data)
            assert ctx.get(bus.write_bytes) == 15
            for _ in range(self.rng.randint(0, 4)):
                await ctx.tick()
                assert (ctx.get(bus.request), ctx.get(bus.address), ctx.get(bus.write)) == (1, address, write)
            ctx.set(bus.ack, 1)
            ctx.set(bus.error, address in REFUSED)
            if write:
                self.writes.append((address, data))
                if address not in REFUSED:
                    self.words[address] = data
            else:
                ctx.set(bus.read_data, self.words.get(address, 0))
            await ctx.tick()

    async def line(self, ctx):
        while True:
            ready = self.rng.random() < 0.3
            ctx.set(self.dut.tx.ready, ready)
            *_, valid, payload = await ctx.tick().sample(self.dut.tx.valid, self.dut.tx.payload)
            if valid and ready:
                self.answer.append(payload)

    async def send(self, ctx, octets, *, gap=3):
        for octet in octets:
            await self.strobe(ctx, self.dut.valid, octet)
            for _ in range(self.rng.randint(0, gap)):
                await ctx.tick()

    async def strobe(self, ctx, signal, octet=0):
        ctx.set(self.dut.data, octet)
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)

    async def silence(self, ctx):
        """Send nothing until no answer is under way, and for a time that ends a command."""
        length = -1
        while length != len(self.answer):
            length = len(self.answer)
            await ctx.tick().repeat(2 * TIMEOUT)

    async def ask(self, ctx, octets, length):
        """Send a command, and return its answer of ``length`` bytes."""
        self.answer.clear()
        await self.send(ctx, octets)
        for _ in range(200 + 60 * length):
            if len(self.answer) == length:
                break
            await ctx.tick()
        await ctx.tick().repeat(20)
        return bytes(self.answer)

    async def works(self, ctx):
        """The bridge takes a command."""
        address, word = self.rng.randrange(0x300), self.rng.getrandbits(32)
        await self.ask(ctx, command(WRITE, address, [word]), 0)
        await ctx.tick().repeat(60)
        assert await self.ask(ctx, command(READ, address, 1), 4) == word.to_bytes(4)

    def run(self, bench):
        simulate(self.dut, bench, background=[self.registers, self.line])


def test_bursts(rng):
    bench = Bench(rng)

    async def run(ctx):
        for count in (1, 2, 7, 255):
            address = rng.randrange(0x300 - count)
            words = [rng.getrandbits(32) for _ in range(count)]
            bench.writes.clear()
            await bench.send(ctx, command(WRITE, address, words))
            await ctx.tick().repeat(12 * count + 20)
            assert bench.writes == list(enumerate(words, address))
            answer = await bench.ask(ctx, command(READ, address, count), 4 * count)
            assert answer == b"".join(word.to_bytes(4) for word in words)
        bench.writes.clear()
        await bench.send(ctx, command(WRITE_FIXED, 5, [1, 2, 3]))
        await ctx.tick().repeat(60)
        assert bench.writes == [(5, 1), (5, 2), (5, 3)]
        assert await bench.ask(ctx, command(READ_FIXED, 5, 2), 8) == (3).to_bytes(4) * 2

    bench.run(run)


def test_commands_may_follow_each_other_at_once(rng):
    """As fast as a line of 4 clocks per bit brings them."""
    bench = Bench(rng)

    async def run(ctx):
        sent = []
        for count in (255, 1, 3, 255, 2, 1, 1):
            address, words = rng.randrange(0x300 - count), [rng.getrandbits(32) for _ in range(count)]
            sent += enumerate(words, address)
            for octet in command(WRITE, address, words):
                await bench.strobe(ctx, bench.dut.valid, octet)
                await ctx.tick().repeat(39)
        await ctx.tick().repeat(100)
        assert bench.writes == sent

    bench.run(run)


def test_what_does_not_find_room_is_forgotten_as_a_whole(rng):
    bench = Bench(rng)

    async def run(ctx):
        await bench.send(ctx, command(READ, 0, 100), gap=0)
        for number in range(20):
            await bench.send(ctx, command(WRITE, number, [number]), gap=0)
        await bench.silence(ctx)
        assert len(bench.answer) == 400
        assert bench.writes == []
        await bench.works(ctx)

    bench.run(run)


def test_what_is_refused_reads_as_ones(rng):
    bench = Bench(rng)

    async def run(ctx):
        for address in (0x300, 0x3FF, 0x400, 1 << 31):
            assert await bench.ask(ctx, command(READ, address, 1), 4) == b"\xff" * 4
            await bench.send(ctx, command(WRITE, address, [7]))
            await ctx.tick().repeat(40)
        assert bench.writes == [(0x300, 7), (0x3FF, 7)]
        # A burst that runs out of the map ends as one.
        assert await bench.ask(ctx, command(READ, 0x2FF, 3), 12) == bytes(4) + b"\xff" * 8
        await bench.works(ctx)

    bench.run(run)


def test_a_command_that_is_cut_short_writes_nothing(rng):
    """At every byte, by a silence and by a byte without a stop bit."""
    bench = Bench(rng)
    whole = command(WRITE, 3, [0x11223344, 0x55667788])

    async def run(ctx):
        for end in range(1, len(whole)):
            for broken in (False, True):
                bench.writes.clear()
                await bench.send(ctx, whole[:end])
                if broken:
                    await bench.strobe(ctx, bench.dut.error)
                    # The rest is no command of its own.
                    await bench.send(ctx, whole[end:])
                await bench.silence(ctx)
                assert not bench.writes, (end, broken)
                assert not bench.answer
                await bench.works(ctx)
                bench.answer.clear()

    bench.run(run)


@pytest.mark.parametrize("code", [0, 5, 0x80, 0xFF])
def test_unknown_codes_and_no_words(rng, code):
    bench = Bench(rng)

    async def run(ctx):
        for octets in (command(code, 3, [1, 2]), command(WRITE, 3, [1, 2], length=0), command(READ, 3, 0)):
            await bench.send(ctx, octets)
            await bench.silence(ctx)
            assert not bench.writes
            assert not bench.answer
            await bench.works(ctx)
            bench.writes.clear()
            bench.answer.clear()

    bench.run(run)


def test_it_outlives_any_noise(rng):
    bench = Bench(rng)

    async def run(ctx):
        for _ in range(60):
            for _ in range(rng.randint(1, 30)):
                if rng.random() < 0.1:
                    await bench.strobe(ctx, bench.dut.error)
                else:
                    await bench.send(
                        ctx, [rng.choice((0, 1, 2, 3, 4, 255, rng.getrandbits(8)))], gap=rng.choice((2, 80))
                    )
            await bench.silence(ctx)
            await bench.works(ctx)

    bench.run(run)


def test_refuses_parameters():
    assert_refused("timeout must be", UartBone, BITS, 1)
    assert_refused("address_bits must be", UartBone, 2, TIMEOUT)
