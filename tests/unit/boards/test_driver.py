"""The host's driver on the gateway's own registers, with the local stack behind them."""

import queue
import random
import threading
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from helpers.packet_bench import simulate
from helpers.register_bench import read, write
from vtep.control.register_bus import register_bus
from vtep.local.neighbors import Neighbor, State
from vtep.local.stack import LocalStack
from vtep_boards.control import GatewayControl
from vtep_host.gateway import Gateway, Resolution

CLOCK = 4_000_000
INITIAL = Neighbor(0x0A000009, 4, 5)


class NoBridge(wiring.Component):
    """In the place of the serial line's: its bus is the test's."""

    def __init__(self, address_bits: int, clock_hz: int, baud: int) -> None:
        super().__init__({"rx": In(1), "tx": Out(1), "bus": Out(register_bus(address_bits))})

    def elaborate(self, platform: Any) -> Module:
        return Module()


class Together(wiring.Component):
    """Control and local stack, joined as in `vtep_boards.gateway`."""

    def __init__(self) -> None:
        self.control = GatewayControl(0, 3, CLOCK, CLOCK // 4)
        self.stack = LocalStack(32, clock_frequency=CLOCK, neighbors=3, initial=[INITIAL])
        super().__init__({})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.control, m.submodules.stack = control, stack = self.control, self.stack
        wiring.connect(m, control.write, stack.write)
        m.d.comb += [
            stack.read.eq(control.read),
            stack.read_index.eq(control.read_index),
            stack.read_place.eq(control.read_place),
            control.read_data.eq(stack.read_data),
            stack.o.ready.eq(1),
        ]
        return m


class Bus:
    """A transport to the simulation: accesses wait for each other in two queues."""

    def __init__(self) -> None:
        self.asked: queue.Queue[tuple[int, int | None] | None] = queue.Queue()
        self.answered: queue.Queue[int] = queue.Queue()

    def read(self, address: int) -> int:
        self.asked.put((address, None))
        return self.answered.get(timeout=60)

    def write(self, address: int, value: int) -> None:
        self.asked.put((address, value))
        self.answered.get(timeout=60)


def test_a_driver_writes_and_reads_neighbors(rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtep_boards.control.SerialBridge", NoBridge)
    dut, transport, found = Together(), Bus(), {}
    six = Neighbor(rng.randrange(1, 1 << 128), 6, rng.randrange(4095))

    def drive() -> None:
        try:
            gateway = Gateway(transport)
            found["first"] = gateway.capacity, gateway.read_neighbors()
            gateway.write_neighbor(2, six)
            gateway.write_neighbor(0, None)
            found["then"] = gateway.resolutions()
        finally:
            transport.asked.put(None)

    thread = threading.Thread(target=drive)

    async def bench(ctx: Any) -> None:
        await ctx.tick().repeat(2000)  # the stack gets its entries ready after reset
        thread.start()
        bus = dut.control._bridge.bus
        while (order := transport.asked.get(timeout=60)) is not None:
            address, value = order
            if value is None:
                transport.answered.put(await read(ctx, bus, address))
            else:
                await write(ctx, bus, address, value)
                transport.answered.put(0)
            await ctx.tick()

    simulate(dut, bench)
    thread.join()
    assert found["first"] == (3, (INITIAL, None, None))
    assert found["then"] == {2: Resolution(six, State.INCOMPLETE, None)}
