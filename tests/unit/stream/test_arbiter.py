import pytest
from amaranth.hdl import Module

from helpers.packet_bench import assert_refused, random_packets, receive_packets, send_packets, simulate
from vtep.stream.arbiter import PacketArbiter
from vtep.stream.checker import PacketChecker


def sources(dut, sent, rng, idle):
    def source(port, packets):
        async def bench(ctx):
            await send_packets(ctx, port, packets, rng=rng, idle=idle)

        return bench

    return [source(dut.i[number], packets) for number, packets in enumerate(sent)]


@pytest.mark.parametrize("data_width", [8, 64])
@pytest.mark.parametrize("inputs", [2, 3])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.5, 0.1), (0.3, 0.6)])
def test_merges_whole_packets(rng, data_width, inputs, idle, stall):
    m = Module()
    m.submodules.dut = dut = PacketArbiter(data_width, inputs)
    m.submodules.checker = checker = PacketChecker(data_width)
    checker.watch(m, dut.o)
    # The first byte tells where a packet comes from.
    sent = [
        [
            (bytes([number]) + packet, error)
            for packet, error in random_packets(rng, 25, lanes=data_width // 8, longest=40)
        ]
        for number in range(inputs)
    ]
    received = []

    async def sink(ctx):
        received.extend(await receive_packets(ctx, dut.o, 25 * inputs, rng=rng, stall=stall))
        assert not ctx.get(checker.violation).as_value().value

    simulate(m, *sources(dut, sent, rng, idle), sink)
    for number in range(inputs):
        assert [packet for packet in received if packet[0][0] == number] == sent[number]


@pytest.mark.parametrize("inputs", [2, 3, 5])
def test_takes_turns_without_a_bubble(rng, inputs):
    dut = PacketArbiter(16, inputs)
    count = 12
    sent = [[bytes([number]) * rng.randint(1, 9) for _ in range(count)] for number in range(inputs)]
    received = []
    clocks = []

    async def sink(ctx):
        received.extend(await receive_packets(ctx, dut.o, count * inputs, rng=rng, clocks=clocks))

    simulate(dut, *sources(dut, sent, rng, 0.0), sink)
    assert [packet[0] for packet, _ in received] == list(range(inputs)) * count
    assert clocks == list(range(1, 1 + len(clocks)))


def test_one_input_alone_has_no_bubble(rng):
    dut = PacketArbiter(8, 3)
    sent = [bytes([7]) * rng.randint(1, 4) for _ in range(20)]
    clocks = []

    async def source(ctx):
        await send_packets(ctx, dut.i[1], sent, rng=rng)

    async def sink(ctx):
        assert await receive_packets(ctx, dut.o, 20, rng=rng, clocks=clocks) == [(packet, False) for packet in sent]

    simulate(dut, source, sink)
    # A clock until it is that input's turn.
    assert clocks == list(range(2, 2 + len(clocks)))


def test_a_pause_inside_a_packet_keeps_the_others_out(rng):
    dut = PacketArbiter(8)
    order = []

    async def slow(ctx):
        await send_packets(ctx, dut.i[0], [b"slow"], rng=rng, idle=0.9)

    async def fast(ctx):
        await ctx.tick()
        await send_packets(ctx, dut.i[1], [b"f"] * 5, rng=rng)

    async def sink(ctx):
        order.extend(await receive_packets(ctx, dut.o, 6, rng=rng))

    simulate(dut, slow, fast, sink)
    assert sorted(packet for packet, _ in order) == [b"f"] * 5 + [b"slow"]


def test_refuses_parameters():
    assert_refused(r"inputs must be .* 2 \.\. 16, not 1", PacketArbiter, 64, 1)
    assert_refused(r"inputs must be .* 2 \.\. 16, not 17", PacketArbiter, 64, 17)
    assert_refused("data_width must be one of", PacketArbiter, 24)
