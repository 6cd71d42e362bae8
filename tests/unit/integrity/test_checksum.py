import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.packet_bench import assert_refused, simulate
from vtep.config import DATA_WIDTHS
from vtep.integrity.checksum import ChecksumAccumulator, HeaderChecksumCheck, SerialWordSum, WordSum

# The header of RFC 1071's byte-order examples is not an IPv4 one; this is a valid IPv4 header, checksum 0xB861.
IPV4_HEADER = bytes.fromhex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7")


def ones_complement_sum(content):
    total = sum(int.from_bytes(content[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(content), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def masked(content, mask):
    return bytes(byte if keep else 0 for byte, keep in zip(content, mask, strict=True))


class Driver:
    """Presents beats, one a clock, and notes what comes out and when."""

    def __init__(self, ctx, dut, rng, *, end, result):
        self.ctx, self.dut, self.rng = ctx, dut, rng
        self.end, self.result = end, result
        self.lanes = dut.data_width // 8
        self.clock = 0
        self.seen = {}

    async def tick(self):
        if self.ctx.get(self.dut.done):
            self.seen[self.clock] = self.ctx.get(self.result)
        await self.ctx.tick()
        self.clock += 1

    async def pause(self):
        """One clock without a beat, with rubbish on the other inputs."""
        self.ctx.set(self.dut.valid, 0)
        self.ctx.set(self.dut.first, self.rng.getrandbits(1))
        self.ctx.set(self.end, self.rng.getrandbits(1))
        self.ctx.set(self.dut.data, self.rng.getrandbits(8 * self.lanes))
        self.ctx.set(self.dut.mask, self.rng.getrandbits(self.lanes))
        await self.tick()

    async def packet(self, content, mask, *, idle=0.0, trailing=0):
        """Send a packet of whole beats, and beats of it behind the end; return the clock of the end."""
        for at in range(0, len(content) + trailing * self.lanes, self.lanes):
            while at and self.rng.random() < idle:
                await self.pause()
            inside = at < len(content)
            chunk = content[at : at + self.lanes] if inside else self.rng.randbytes(self.lanes)
            keep = mask[at : at + self.lanes] if inside else self.rng.choices((0, 1), k=self.lanes)
            self.ctx.set(self.dut.valid, 1)
            self.ctx.set(self.dut.first, at == 0)
            at_end = at + self.lanes == len(content)
            self.ctx.set(self.end, at_end or (not inside and self.rng.getrandbits(1)))
            self.ctx.set(self.dut.data, int.from_bytes(chunk, "little"))
            self.ctx.set(self.dut.mask, sum(kept << lane for lane, kept in enumerate(keep)))
            if at_end:
                clock = self.clock
            await self.tick()
        self.ctx.set(self.dut.valid, 0)
        return clock


def random_packet(rng, lanes):
    """Make whole beats and a mask; bytes of 0x00 and 0xFF are frequent, as are beats that are chosen whole."""
    length = rng.choice((1, 1, 2, 3, 7)) * lanes
    content = bytes(rng.choice((0, 0xFF, rng.getrandbits(8))) for _ in range(length))
    kept = rng.choice((0.5, 0.9, 1.0))
    mask = [int(rng.random() < kept) for _ in range(length)]
    return rng.choice((content,) * 8 + (bytes(length), b"\xff" * length)), mask


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
@pytest.mark.parametrize("idle", [0.0, 0.3])
def test_sums(rng, data_width, idle):
    dut = ChecksumAccumulator(data_width)
    expected = {}

    async def bench(ctx):
        driver = Driver(ctx, dut, rng, end=dut.last, result=dut.sum)
        for _ in range(60):
            content, mask = random_packet(rng, driver.lanes)
            trailing = rng.randrange(3) if idle else 0
            clock = await driver.packet(content, mask, idle=idle, trailing=trailing)
            expected[clock + dut.latency] = ones_complement_sum(masked(content, mask))
        for _ in range(dut.latency + 1):
            await driver.pause()
        assert driver.seen == expected

    simulate(dut, bench)
    assert {0, 0xFFFF} & set(expected.values())


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
@pytest.mark.parametrize("idle", [0.0, 0.3])
def test_header_check(rng, data_width, idle):
    dut = HeaderChecksumCheck(data_width)
    expected = {}

    async def bench(ctx):
        driver = Driver(ctx, dut, rng, end=dut.end, result=dut.ok)
        for _ in range(60):
            content, mask = random_packet(rng, driver.lanes)
            if len(content) > 1 and rng.random() < 0.7:
                # Make the sum right, or off by one bit.
                mask[:2] = 1, 1
                missing = 0xFFFF - ones_complement_sum(masked(b"\0\0" + content[2:], mask))
                missing ^= rng.choice((0, 0, 1 << rng.randrange(16)))
                content = missing.to_bytes(2, "big") + content[2:]
            clock = await driver.packet(content, mask, idle=idle, trailing=rng.randrange(3))
            expected[clock + dut.latency] = int(ones_complement_sum(masked(content, mask)) == 0xFFFF)
        for _ in range(dut.latency + 1):
            await driver.pause()
        assert driver.seen == expected

    simulate(dut, bench)
    assert set(expected.values()) == {0, 1}


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
@pytest.mark.parametrize("offset", [14, 18])
def test_ipv4_header_inside_a_frame(rng, data_width, offset):
    dut = HeaderChecksumCheck(data_width)
    lanes = data_width // 8
    results = []

    async def bench(ctx):
        driver = Driver(ctx, dut, rng, end=dut.end, result=dut.ok)
        for spoiled in (None, *range(len(IPV4_HEADER))):
            header = bytearray(IPV4_HEADER)
            if spoiled is not None:
                header[spoiled] ^= 1 << rng.randrange(8)
            frame = rng.randbytes(offset) + header
            mask = [0] * offset + [1] * len(header)
            fill = -len(frame) % lanes
            await driver.packet(frame + rng.randbytes(fill), mask + [0] * fill, trailing=1)
        for _ in range(dut.latency):
            await driver.pause()
        results.extend(driver.seen.values())

    simulate(dut, bench)
    assert results == [1] + [0] * len(IPV4_HEADER)


@pytest.mark.parametrize("component", [ChecksumAccumulator, HeaderChecksumCheck])
@pytest.mark.parametrize("data_width", [8, 64])
def test_reset_forgets_the_packet(rng, component, data_width):
    reset = Signal()
    dut = component(data_width)
    end, result = (dut.last, dut.sum) if component is ChecksumAccumulator else (dut.end, dut.ok)

    async def bench(ctx):
        driver = Driver(ctx, dut, rng, end=end, result=result)
        ctx.set(dut.valid, 1)
        ctx.set(dut.first, 1)
        ctx.set(dut.data, 0x1234)
        ctx.set(dut.mask, 3)
        await driver.tick()
        ctx.set(reset, 1)
        await driver.tick()
        ctx.set(reset, 0)
        # The rest of the packet that was cut: no beat of it is a first one.
        ctx.set(dut.first, 0)
        for number in range(4):
            ctx.set(end, number == 3)
            await driver.tick()
        ctx.set(dut.valid, 0)
        for _ in range(dut.latency + 1):
            await driver.tick()
        assert not driver.seen
        content = IPV4_HEADER + bytes(-len(IPV4_HEADER) % driver.lanes)
        await driver.packet(content, [1] * len(content))
        for _ in range(dut.latency + 1):
            await driver.tick()
        assert list(driver.seen.values()) == [0xFFFF if component is ChecksumAccumulator else 1]

    simulate(ResetInserter(reset)(dut), bench)


@pytest.mark.parametrize("words", [2, 3, 9, 10, 42, 43])
def test_word_sum(rng, words):
    dut = WordSum(words)
    inputs = [[rng.choice((0, 0xFFFF, rng.getrandbits(16))) for _ in range(words)] for _ in range(60)]
    inputs += [[0] * words, [0xFFFF] * words, [0] * (words - 1) + [0xFFFF]]
    sums = []

    async def bench(ctx):
        for clock in range(len(inputs) + dut.latency):
            if clock >= dut.latency:
                sums.append(ctx.get(dut.sum))
            if clock < len(inputs):
                ctx.set(dut.words, sum(word << 16 * place for place, word in enumerate(inputs[clock])))
            await ctx.tick()

    simulate(dut, bench)
    assert dut.latency == (2 if words <= 9 else 3 if words <= 42 else 4)
    assert sums == [ones_complement_sum(b"".join(word.to_bytes(2, "big") for word in row)) for row in inputs]


@pytest.mark.parametrize(("words", "step"), [(2, 1), (5, 2), (13, 2), (25, 2), (25, 3), (64, 1), (7, 7)])
def test_serial_word_sum(rng, words, step):
    """What was begun before is forgotten; a sum stands still; words of 0 at the end need no clock."""
    dut = SerialWordSum(words, step)

    async def bench(ctx):
        for number in range(60):
            used = words if number % 3 else rng.randint(1, words)
            row = [rng.choice((0, 0xFFFF, rng.getrandbits(16))) for _ in range(used)]
            row = [0xFFFF] * used if number == 1 else [0] * used if number == 2 else row
            ctx.set(dut.start, 1)
            ctx.set(dut.words, rng.getrandbits(16 * words))  # not looked at yet
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.words, sum(word << 16 * place for place, word in enumerate(row)))
            if number % 5 == 4:
                await ctx.tick().repeat(rng.randint(1, dut.after(words, step)))
                continue
            await ctx.tick().repeat(dut.after(used, step) - 1)
            wanted = ones_complement_sum(b"".join(word.to_bytes(2, "big") for word in row))
            for _ in range(dut.after(words, step) - dut.after(used, step) + rng.randint(1, 5)):
                assert ctx.get(dut.sum) == wanted
                await ctx.tick()

    simulate(dut, bench)
    assert dut.after(words, step) == -(-words // step) + 4


@pytest.mark.parametrize("data_width", DATA_WIDTHS)
def test_latency_stays_in_its_budget(data_width):
    def latency(component):
        dut = component(data_width)
        simulate(dut)
        return dut.latency

    assert latency(HeaderChecksumCheck) == (2 if data_width <= 128 else 3)
    assert latency(ChecksumAccumulator) == (3 if data_width <= 128 else 4)


@pytest.mark.parametrize("component", [ChecksumAccumulator, HeaderChecksumCheck])
def test_refuses_data_width(component):
    assert_refused("data_width must be one of .*512", component, 48)


@pytest.mark.parametrize("words", [1, 65])
def test_refuses_words(words):
    assert_refused(rf"words must be .* 2 \.\. 64, not {words}", WordSum, words)
    assert_refused(rf"words must be .* 2 \.\. 64, not {words}", SerialWordSum, words, 1)


@pytest.mark.parametrize("step", [0, 6])
def test_refuses_step(step):
    assert_refused(rf"step must be .* 1 \.\. 5, not {step}", SerialWordSum, 5, step)
