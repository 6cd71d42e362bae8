"""The gateway's registers, over its serial line."""

import random
from typing import Any

import pytest

from helpers.packet_bench import simulate
from vtep.control.gateway_registers import GATEWAY_BASE, gateway_registers
from vtep.mac.gmii import Speed
from vtep_boards.control import GatewayControl
from vtep_boards.registers import configuration_hash

CLOCKS_PER_BIT = 8
HASH = 0xC0FFEE42
NEIGHBORS = 5


class Line:
    """The far end of the serial line; the core behind the gateway's answers with the address times three."""

    def __init__(self) -> None:
        self.dut = GatewayControl(HASH, NEIGHBORS, 1_000_000 * CLOCKS_PER_BIT, 1_000_000)
        self.core: list[tuple[int, int]] = []

    async def behind(self, ctx: Any) -> None:
        bus = self.dut.core
        while True:
            while not ctx.get(bus.request):
                await ctx.tick()
            address = ctx.get(bus.address)
            self.core.append((address * 4, ctx.get(bus.write)))
            ctx.set(bus.read_data, address * 12)
            ctx.set(bus.ack, 1)
            await ctx.tick()
            ctx.set(bus.ack, 0)

    async def read(self, ctx: Any, address: int) -> int:
        for octet in bytes([2, 1]) + (address // 4).to_bytes(4):
            for bit in [0, *(octet >> place & 1 for place in range(8)), 1]:
                ctx.set(self.dut.serial_rx, bit)
                await ctx.tick().repeat(CLOCKS_PER_BIT)
        answer = 0
        for _ in range(4):
            while ctx.get(self.dut.serial_tx):
                await ctx.tick()
            await ctx.tick().repeat(CLOCKS_PER_BIT // 2)
            octet = 0
            for place in range(8):
                await ctx.tick().repeat(CLOCKS_PER_BIT)
                octet |= ctx.get(self.dut.serial_tx) << place
            await ctx.tick().repeat(CLOCKS_PER_BIT)
            answer = answer << 8 | octet
        return answer


def test_core_below_and_gateway_above() -> None:
    line = Line()

    async def bench(ctx):
        ctx.set(line.dut.links[0], {"up": 1, "speed": Speed.MBPS_1000, "full_duplex": 1})
        ctx.set(line.dut.links[1], {"up": 0, "speed": Speed.MBPS_100, "full_duplex": 0})
        assert await line.read(ctx, 0x000) == 0
        assert await line.read(ctx, 0xFFC) == 0xFFC * 3
        assert await line.read(ctx, 0x1000) == int.from_bytes(b"GATE")
        assert await line.read(ctx, 0x1004) == 0x0001_0001
        assert await line.read(ctx, 0x1008) == HASH
        assert await line.read(ctx, 0x1010) == 0b1101
        assert await line.read(ctx, 0x1014) == 0b0010
        assert await line.read(ctx, 0x104) == 0x104 * 3

    simulate(line.dut, bench, background=[line.behind])
    assert line.core == [(0x000, 0), (0xFFC, 0), (0x104, 0)]
    assert GATEWAY_BASE == 0x1000


def test_hash_tells_configurations_and_boards_apart(rng: random.Random) -> None:
    seen = {configuration_hash(board, text) for board in ("a", "b") for text in ("", "a", "b", str(rng.random()))}
    assert len(seen) == 8
    # The first four bytes of `printf 'colorlight-i5\n{}' | sha256sum`.
    assert configuration_hash("colorlight-i5", "{}") == 0x5AF78F15


@pytest.mark.parametrize("number", [0, 1])
def test_names_the_speeds(number: int) -> None:
    register = list(gateway_registers(HASH, NEIGHBORS))[3 + number]
    assert {choice: value.value for choice, value in register["speed"].choices.items()} == {
        speed.name: speed.value for speed in Speed
    }
