"""The gateway's registers, over its serial line."""

import random
from importlib import metadata
from itertools import product
from typing import Any

import pytest

from helpers.packet_bench import simulate
from vtep.control.gateway_registers import GATEWAY_BASE, GATEWAY_COUNTERS, LOCAL_EVENTS, PORTS, gateway_registers
from vtep.local.stack import events_layout
from vtep.mac.gmii import Speed
from vtep_boards.control import GatewayControl
from vtep_boards.registers import configuration_hash

CLOCKS_PER_BIT = 4
HASH = 0xC0FFEE42
NEIGHBORS = 5


class Line:
    """The far end of the serial line; the core behind the gateway's answers with the address times three.

    The local stack takes a byte after a while, and of an entry it shows the number of byte and entry; a counter is
    read in some clocks.
    """

    def __init__(self, neighbors: int = NEIGHBORS) -> None:
        self.dut = GatewayControl(HASH, 1_000_000 * CLOCKS_PER_BIT, 1_000_000, neighbors=neighbors)
        self.core: list[tuple[int, int]] = []
        self.written: list[tuple[int, int, int]] = []
        self.commands: list[str] = []
        self.holds = False
        self.counters = {3: 0x0123_4567_89AB_CDEF, 3 + 128: 0xFEDC_BA98_7654_3210}

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

    async def stack(self, ctx: Any) -> None:
        dut = self.dut
        shown = [0, 0]
        while True:
            take = ctx.get(dut.write.valid) and not self.holds
            ctx.set(dut.write.ready, take)
            shown = [shown[1], ctx.get(dut.read_place) | ctx.get(dut.read_index) << 5 if ctx.get(dut.read) else 0]
            if take:
                payload = ctx.get(dut.write.payload)
                self.written.append((payload.index, payload.place, payload.data))
            await ctx.tick()
            ctx.set(dut.read_data, shown[0] & 0xFF)

    async def counting(self, ctx: Any) -> None:
        dut = self.dut
        while True:
            names = [name for name in ("clear", "take_snapshot", "read_counter") if ctx.get(getattr(dut, name))]
            await ctx.tick()
            if not names:
                continue
            self.commands += names
            ctx.set(dut.counters_busy, 1)
            await ctx.tick().repeat(20)
            while self.holds:
                await ctx.tick()
            if names == ["read_counter"]:
                place = ctx.get(dut.counter_index) + 128 * ctx.get(dut.read_snapshot)
                ctx.set(dut.counter_value, self.counters.get(place, 0))
            ctx.set(dut.counters_busy, 0)

    async def _send(self, ctx: Any, octets: bytes) -> None:
        for octet in octets:
            for bit in [0, *(octet >> place & 1 for place in range(8)), 1]:
                ctx.set(self.dut.serial_rx, bit)
                await ctx.tick().repeat(CLOCKS_PER_BIT)

    async def read(self, ctx: Any, address: int) -> int:
        await self._send(ctx, bytes([2, 1]) + (address // 4).to_bytes(4))
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

    async def write(self, ctx: Any, address: int, value: int) -> None:
        await self._send(ctx, bytes([1, 1]) + (address // 4).to_bytes(4) + value.to_bytes(4))
        await ctx.tick().repeat(20)

    def run(self, bench: Any) -> None:
        simulate(self.dut, bench, background=[self.behind, self.stack, self.counting])


REFUSED = 0xFFFF_FFFF
"""What a read gets that is refused."""


def test_core_below_and_gateway_above() -> None:
    line = Line()

    async def bench(ctx):
        ctx.set(line.dut.links[0], {"up": 1, "speed": Speed.MBPS_1000, "full_duplex": 1})
        ctx.set(line.dut.links[1], {"up": 0, "speed": Speed.MBPS_100, "full_duplex": 0})
        assert await line.read(ctx, 0x000) == 0
        assert await line.read(ctx, 0xFFC) == 0xFFC * 3
        assert await line.read(ctx, 0x1000) == int.from_bytes(b"GATE")
        assert await line.read(ctx, 0x1004) == 0x0001_0003
        assert await line.read(ctx, 0x1008) == HASH
        major, minor, patch = map(int, metadata.version("openvtep").split("."))
        assert await line.read(ctx, 0x100C) == major << 16 | minor << 8 | patch
        assert await line.read(ctx, 0x1010) == 0b1101
        assert await line.read(ctx, 0x1014) == 0b0010
        assert await line.read(ctx, 0x1020) == NEIGHBORS
        assert await line.read(ctx, 0x104) == 0x104 * 3

    line.run(bench)
    assert line.core == [(0x000, 0), (0xFFC, 0), (0x104, 0)]
    assert GATEWAY_BASE == 0x1000


def test_writes_bytes_of_neighbors() -> None:
    line = Line()

    async def bench(ctx):
        for index, place, octet in ((4, 18, 0xAB), (0, 0, 0x01)):
            await line.write(ctx, 0x1028, octet | place << 8 | index << 16)
            assert await line.read(ctx, 0x1024) == 0
        # What the table has not, and what is not configured.
        for index, place in ((5, 0), (63, 0), (0, 19), (0, 31)):
            await line.write(ctx, 0x1028, place << 8 | index << 16)
        line.holds = True
        await line.write(ctx, 0x1028, 0x0003_0577)
        assert await line.read(ctx, 0x1024) == 1
        await line.write(ctx, 0x1028, 0x0000_0000)
        line.holds = False
        await ctx.tick().repeat(5)
        assert await line.read(ctx, 0x1024) == 0

    line.run(bench)
    assert line.written == [(4, 18, 0xAB), (0, 0, 0x01), (3, 5, 0x77)]


@pytest.mark.parametrize(("neighbors", "highest"), [(NEIGHBORS, NEIGHBORS - 1), (64, 63), (1, 0)])
def test_reads_words_of_neighbors(neighbors: int, highest: int) -> None:
    line = Line(neighbors)

    async def bench(ctx):
        def word(index: int, place: int) -> int:
            return int.from_bytes(bytes((place + i | index << 5) & 0xFF for i in range(4)), "little")

        for place in (0, 20, 28):
            await line.write(ctx, 0x102C, place << 8 | highest << 16)
            assert await line.read(ctx, 0x1024) == 0
            assert await line.read(ctx, 0x1030) == word(highest, place)
        # The last answer stays where a command is refused.
        for refused in (0x0100, 0x0200, 0x0300, *([neighbors << 16] if neighbors < 64 else [])):
            await line.write(ctx, 0x102C, refused)
            assert await line.read(ctx, 0x1030) == word(highest, 28)

    line.run(bench)


def test_counters_through_a_window() -> None:
    line = Line()

    async def bench(ctx):
        assert await line.read(ctx, 0x1040) == 0
        for command, low, high in (
            (3, 0x89AB_CDEF, 0x0123_4567),
            (1 << 31 | 3, 0x7654_3210, 0xFEDC_BA98),
            (len(GATEWAY_COUNTERS) - 1, 0, 0),
        ):
            await line.write(ctx, 0x1048, command)
            await ctx.tick().repeat(20)
            assert await line.read(ctx, 0x104C) == low
            assert await line.read(ctx, 0x1050) == high
        for refused in (len(GATEWAY_COUNTERS), 128, 255):
            await line.write(ctx, 0x1048, refused)
        for command in (1, 2, 0, 3):
            await line.write(ctx, 0x1044, command)
            await ctx.tick().repeat(20)
        assert line.commands == ["read_counter"] * 3 + ["clear", "take_snapshot"]
        # All of it is refused while a command is carried out.
        line.holds = True
        await line.write(ctx, 0x1048, 3)
        assert await line.read(ctx, 0x1040) == 1
        for address in (0x104C, 0x1050):
            assert await line.read(ctx, address) == REFUSED
        await line.write(ctx, 0x1048, 4)
        await line.write(ctx, 0x1044, 1)
        line.holds = False
        await ctx.tick().repeat(5)
        assert await line.read(ctx, 0x104C) == 0x89AB_CDEF

    line.run(bench)
    assert line.commands == ["read_counter"] * 3 + ["clear", "take_snapshot", "read_counter"]


def test_counters_have_the_names_of_what_is_counted() -> None:
    assert (*(name for name, _ in events_layout()), "unresolved") == LOCAL_EVENTS
    assert len(set(GATEWAY_COUNTERS)) == len(GATEWAY_COUNTERS) == 2 * 19 + 13
    assert GATEWAY_COUNTERS[1] == "tenant.etherStatsOctets"
    assert GATEWAY_COUNTERS[19 + 17] == "underlay.aFramesTransmittedOK"
    assert GATEWAY_COUNTERS[38] == "local.arp_reply"


def test_hash_tells_configurations_and_boards_apart(rng: random.Random) -> None:
    texts = ("", "a", "b", str(rng.random()))
    seen = {configuration_hash(*names, text) for names in product(("a", "b"), repeat=2) for text in texts}
    assert len(seen) == 16
    # The first four bytes of `printf 'colorlight-i5\ngateway\n{}' | sha256sum`.
    assert configuration_hash("colorlight-i5", "gateway", "{}") == 0xF6BB5D7A


@pytest.mark.parametrize("number", [0, 1])
def test_names_the_speeds(number: int) -> None:
    registers = {one.name: one for one in gateway_registers(HASH, NEIGHBORS)}
    register = registers[f"{PORTS[number].upper()}_LINK"]
    assert {choice: value.value for choice, value in register["speed"].choices.items()} == {
        speed.name: speed.value for speed in Speed
    }
