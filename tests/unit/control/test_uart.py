import pytest
from amaranth.hdl import Module

from helpers.packet_bench import assert_refused, simulate
from vtep.control.uart import UartReceiver, UartTransmitter


async def send_bits(ctx, line, bits, clocks):
    """Put bits onto a line, each for ``clocks(n)`` clocks."""
    for n, bit in enumerate(bits):
        ctx.set(line, bit)
        await ctx.tick().repeat(clocks(n))


def frame(byte, stop=1):
    return [0, *(byte >> i & 1 for i in range(8)), stop]


@pytest.mark.parametrize("divisor", [4, 5, 16, 87])
def test_what_is_sent_is_received(rng, divisor):
    transmitter, receiver = UartTransmitter(divisor), UartReceiver(divisor)
    sent = [0x00, 0xFF, 0x55, 0xAA, *(rng.getrandbits(8) for _ in range(20))]
    received = []

    m = Module()
    m.submodules.transmitter, m.submodules.receiver = transmitter, receiver
    m.d.comb += receiver.rx.eq(transmitter.tx)

    async def source(ctx):
        for byte in sent:
            if rng.random() < 0.3:
                ctx.set(transmitter.i.valid, 0)
                await ctx.tick().repeat(rng.randint(1, 3 * divisor))
            ctx.set(transmitter.i.valid, 1)
            ctx.set(transmitter.i.payload, byte)
            await ctx.tick().until(transmitter.i.ready)
        ctx.set(transmitter.i.valid, 0)

    async def sink(ctx):
        while len(received) < len(sent):
            *_, valid, data, error = await ctx.tick().sample(receiver.valid, receiver.data, receiver.error)
            assert not error
            if valid:
                received.append(data)
        for _ in range(20 * divisor):
            *_, valid, error = await ctx.tick().sample(receiver.valid, receiver.error)
            assert not valid
            assert not error
        assert ctx.get(transmitter.tx)

    simulate(m, source, sink)
    assert received == sent


@pytest.mark.parametrize("error", [-0.04, 0.04])
def test_a_sender_may_be_4_percent_off(rng, error):
    divisor = 50
    dut = UartReceiver(divisor)
    sent = [rng.getrandbits(8) for _ in range(20)]
    received = []

    async def source(ctx):
        for byte in sent:
            await send_bits(ctx, dut.rx, frame(byte), lambda _: round(divisor * (1 + error)))
        await ctx.tick().repeat(divisor)
        assert received == sent

    async def watch(ctx):
        async for _, _, valid, data, wrong in ctx.tick().sample(dut.valid, dut.data, dut.error):
            assert not wrong
            if valid:
                received.append(data)

    simulate(dut, source, background=[watch])


def test_noise_and_breaks(rng):
    divisor = 16
    dut = UartReceiver(divisor)
    seen = []

    async def source(ctx):
        # Spikes shorter than half a bit are nothing.
        for _ in range(10):
            await send_bits(ctx, dut.rx, [0, 1], lambda n: (rng.randint(1, divisor // 2 - 2), divisor)[n])
        await ctx.tick().repeat(12 * divisor)
        assert seen == []
        # No stop bit, and a break: one error each; the byte behind is whole again.
        await send_bits(ctx, dut.rx, [*frame(0x12, stop=0), 1], lambda _: divisor)
        await send_bits(ctx, dut.rx, [*frame(0x34), 0, 1], lambda n: divisor if n != 10 else 40 * divisor)
        await send_bits(ctx, dut.rx, [*frame(0x56), 1, 1], lambda _: divisor)
        assert seen == ["error", 0x34, "error", 0x56]

    async def watch(ctx):
        async for _, _, valid, data, wrong in ctx.tick().sample(dut.valid, dut.data, dut.error):
            assert not (valid and wrong)
            if valid or wrong:
                seen.append("error" if wrong else data)

    simulate(dut, source, background=[watch])


@pytest.mark.parametrize("component", [UartReceiver, UartTransmitter])
def test_refuses_divisors(component):
    for divisor in (3, (1 << 20) + 1):
        assert_refused("divisor must be", component, divisor)
