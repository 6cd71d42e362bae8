from ipaddress import ip_address
from itertools import pairwise

from helpers.packet_bench import simulate
from vtep.lookup.toeplitz import SerialToeplitzHash, ToeplitzHash

# Microsoft, "Verifying the RSS hash calculation" (Windows driver documentation): destination and source with ports, the
# hash over the addresses, the hash over addresses and ports.
SUITE = [
    ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x323E8FC2, 0x51CCC178),
    ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xD718262A, 0xC626B0EA),
    ("12.22.207.184", 38024, "24.19.198.95", 12898, 0xD2D0A5DE, 0x5C2B394A),
    ("209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xAFC7327F),
    ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x5D1809C5, 0x10E828A2),
    ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2CC18CD5, 0x40207D3D),
    ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0F0C461C, 0xDDE51BBF),
    ("fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4B61E985, 0x02D1FEEF),
]


def vectors():
    for destination, destination_port, source, source_port, addresses_hash, ports_hash in SUITE:
        addresses = ip_address(source).packed + ip_address(destination).packed
        yield addresses, addresses_hash
        yield addresses + source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big"), ports_hash


def hash_all(inputs):
    """Hash one input per clock."""
    dut = ToeplitzHash()
    results = []

    async def bench(ctx):
        for clock in range(len(inputs) + dut.latency):
            if clock >= dut.latency:
                results.append(ctx.get(dut.hash))
            if clock < len(inputs):
                ctx.set(dut.data, int.from_bytes(inputs[clock].ljust(36, b"\0"), "big"))
            await ctx.tick()

    simulate(dut, bench)
    return results


def hash_serially(inputs, rng):
    """Hash them as close together as may be, or with pauses; the data is there in the clock of ``load`` only."""
    dut = SerialToeplitzHash()
    loads, seen = [], []
    clock = 0

    async def source(ctx):
        nonlocal clock
        for value in inputs:
            ctx.set(dut.data, int.from_bytes(value.ljust(36, b"\0"), "big"))
            ctx.set(dut.load, 1)
            loads.append(clock)
            await ctx.tick()
            ctx.set(dut.load, 0)
            ctx.set(dut.data, rng.getrandbits(288))
            spacing = dut.steps + rng.choice((0, 0, 1, 20))
            await ctx.tick().repeat(spacing - 1)
            clock += spacing
        await ctx.tick().repeat(8)

    async def watch(ctx):
        async for *_, value in ctx.tick().sample(dut.hash):
            seen.append(value)

    simulate(dut, source, background=[watch])
    # It stays until the clock behind the next load.
    for load, following in pairwise([*loads, loads[-1] + dut.steps]):
        assert len(set(seen[load + dut.latency : max(following, load + dut.steps) + 2])) == 1
    return [seen[load + dut.latency] for load in loads]


def test_rss_verification_suite(rng):
    inputs, hashes = zip(*vectors(), strict=True)
    assert hash_all(inputs) == list(hashes)
    assert hash_serially(inputs, rng) == list(hashes)


def test_is_linear_in_every_bit(rng):
    """The hash of a sum is the sum of hashes, so one-bit inputs say all; their hashes are windows of the key."""
    single = hash_all([(1 << 287 - bit).to_bytes(36, "big") for bit in range(288)])
    for before, window in pairwise(single):
        assert window >> 1 == before & 0x7FFFFFFF
    inputs = [rng.randbytes(36) for _ in range(20)]
    sums = []
    for value in inputs:
        total = 0
        for bit in range(288):
            if int.from_bytes(value, "big") >> 287 - bit & 1:
                total ^= single[bit]
        sums.append(total)
    assert hash_all(inputs) == sums


def test_the_serial_one_gives_the_same(rng):
    inputs = [(1 << bit).to_bytes(36, "big") for bit in range(288)] + [rng.randbytes(36) for _ in range(50)]
    assert hash_serially(inputs, rng) == hash_all(inputs)
