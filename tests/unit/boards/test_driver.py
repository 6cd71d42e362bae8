"""The host's driver on the gateway's own registers, with the local stack or the mailbox behind them."""

import queue
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from helpers.packet_bench import simulate
from helpers.register_bench import access, read, write
from vtep.control.gateway_registers import GATEWAY_BASE, gateway_registers
from vtep.control.register_bus import register_bus
from vtep.local.mailbox import HostMailbox
from vtep.local.neighbors import Neighbor, State
from vtep.local.stack import LocalStack
from vtep.stream.packet import connect_packets
from vtep_boards.control import GatewayControl
from vtep_host.gateway import Gateway, Resolution
from vtep_host.mailbox import Mailbox

CLOCK = 4_000_000
LONGEST = 200
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
        self.control = GatewayControl(0, CLOCK, CLOCK // 4, neighbors=3)
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


class Looped(wiring.Component):
    """Control and mailbox, joined as in `vtep_boards.gateway`; what is sent comes back."""

    def __init__(self, data_width: int) -> None:
        self.control = GatewayControl(0, CLOCK, CLOCK // 4, mailbox=LONGEST)
        self.mailbox = HostMailbox(data_width, max_frame_length=LONGEST)
        super().__init__({})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.control, m.submodules.mailbox = control, mailbox = self.control, self.mailbox
        wiring.connect(m, control.mailbox, mailbox.host)
        connect_packets(m, mailbox.o, mailbox.i)
        return m


def drive(dut: Together | Looped, driver: Callable[[Bus], None]) -> None:
    """Run ``driver`` in a thread of its own, on the bus of ``dut``."""
    transport = Bus()

    def run() -> None:
        try:
            driver(transport)
        finally:
            transport.asked.put(None)

    thread = threading.Thread(target=run)

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


@pytest.fixture
def no_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtep_boards.control.SerialBridge", NoBridge)


@pytest.mark.usefixtures("no_bridge")
def test_a_driver_writes_and_reads_neighbors(rng: random.Random) -> None:
    found: dict[str, Any] = {}
    six = Neighbor(rng.randrange(1, 1 << 128), 6, rng.randrange(4095))

    def driver(transport: Bus) -> None:
        gateway = Gateway(transport)
        found["first"] = gateway.capacity, gateway.read_neighbors()
        gateway.write_neighbor(2, six)
        gateway.write_neighbor(0, None)
        found["then"] = gateway.resolutions()

    drive(Together(), driver)
    assert found["first"] == (3, (INITIAL, None, None))
    assert found["then"] == {2: Resolution(six, State.INCOMPLETE, None)}


@pytest.mark.usefixtures("no_bridge")
@pytest.mark.parametrize("data_width", [8, 32, 64])
def test_a_driver_sends_and_receives_frames(rng: random.Random, data_width: int) -> None:
    frames = [rng.randbytes(length) for length in (1, 14, 60, 61, 62, 63, LONGEST - 1, LONGEST)]
    found: list[bytes | None] = []

    def driver(transport: Bus) -> None:
        gateway = Gateway(transport)
        mailbox = Mailbox(gateway)
        assert mailbox.longest == LONGEST
        assert mailbox.receive() is None
        for frame in frames:
            # As another program left it.
            for _ in range(rng.randrange(3)):
                gateway.registers["HOST_WRITE"].write(rng.getrandbits(32))
            mailbox.send(frame)
            gateway.wait("HOST_STATUS", "sending")
            assert gateway.registers["HOST_STATUS"].read_field("received") or data_width == 8
            while (came := mailbox.receive()) is None:
                pass
            found.append(came)
        found.append(mailbox.receive())
        for wrong in (b"", bytes(LONGEST + 1)):
            with pytest.raises(ValueError, match=f"must have 1 .. {LONGEST} bytes"):
                mailbox.send(wrong)

    drive(Looped(data_width), driver)
    assert found == [*frames, None]


@pytest.mark.usefixtures("no_bridge")
def test_the_mailbox_refuses_what_it_cannot_do(rng: random.Random) -> None:
    """Where there is no frame, no room, or too little was written; and nothing comes of it."""
    dut = Looped(32)
    registers = gateway_registers(0, 0, mailbox=LONGEST)

    async def bench(ctx: Any) -> None:
        bus = dut.control._bridge.bus

        async def put(name: str, value: int, *, refused: bool = False) -> None:
            answer = await access(ctx, bus, GATEWAY_BASE + registers[name].address, value)
            assert answer.error == refused, (name, value)
            await ctx.tick().repeat(10)

        async def get(name: str) -> int:
            return await read(ctx, bus, GATEWAY_BASE + registers[name].address)

        assert await get("NEIGHBORS") == 1 << 8
        for name in ("HOST_READ", "HOST_TAKE"):
            await put(name, 1, refused=True)
        await put("HOST_SEND", 1, refused=True)
        for number in range(LONGEST // 4):
            await put("HOST_WRITE", number)
        await put("HOST_WRITE", 0, refused=True)
        for length in (LONGEST - 4, LONGEST + 1, 16383):
            await put("HOST_SEND", length, refused=True)
        assert await get("HOST_LENGTH") == 0
        await put("HOST_SEND", LONGEST)
        while not await get("HOST_LENGTH"):
            await ctx.tick()
        assert await get("HOST_LENGTH") == LONGEST
        await put("HOST_TAKE", 0, refused=True)
        await put("HOST_READ", 3)
        assert await get("HOST_DATA") == 3
        await put("HOST_TAKE", 1)
        assert await get("HOST_LENGTH") == 0
        # No registers of neighbours.
        for address in (0x024, 0x028, 0x02C, 0x030):
            assert (await access(ctx, bus, GATEWAY_BASE + address)).error

    simulate(dut, bench)


def test_neighbors_or_a_mailbox() -> None:
    with pytest.raises(ValueError, match="who has a mailbox has no neighbors"):
        GatewayControl(0, CLOCK, CLOCK // 4, neighbors=3, mailbox=LONGEST)
