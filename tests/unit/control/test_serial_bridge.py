"""The host's driver on the gateware's registers, over the two wires between them."""

from queue import Queue
from threading import Thread

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from helpers.packet_bench import assert_refused, simulate
from vtep.config import VtepParameters
from vtep.control.register_block import RegisterBlock
from vtep.control.serial_bridge import SerialBridge
from vtep_host.device import Device
from vtep_host.uart_bone import UartBone

from .test_uart import frame, send_bits

PARAMETERS = VtepParameters(vnis=5, tunnels=9)
CLOCK, BAUD = 20_000, 5_000
BIT = CLOCK // BAUD
SILENCE = CLOCK // 10


class Wires:
    """A line that has the simulation do what the driver, in a thread of its own, asks for."""

    def __init__(self, bridge, noise):
        self.bridge, self.noise = bridge, noise
        self.orders, self.results = Queue(), Queue()
        self.came = bytearray()
        self.failure = None

    # The driver's side.
    def _ask(self, *order):
        self.orders.put(order)
        return self.results.get(timeout=60)

    def send(self, octets):
        self._ask("send", octets)

    def receive(self, count):
        return self._ask("receive", count)

    def drain(self):
        self._ask("drain")

    def close(self):
        pass

    def drive(self, driver):
        try:
            driver(Device(UartBone(self), expected=PARAMETERS))
        except BaseException as failure:
            self.failure = failure
        self.orders.put(("end",))

    # The simulation's side.
    async def bench(self, ctx):
        while (order := self.orders.get(timeout=60))[0] != "end":
            match order:
                case "send", octets:
                    for octet in octets:
                        await send_bits(ctx, self.bridge.rx, frame(octet), lambda _: BIT)
                    self.results.put(None)
                case "receive", count:
                    for _ in range(SILENCE):
                        if len(self.came) >= count:
                            break
                        await ctx.tick()
                    self.results.put(bytes(self.came[:count]))
                    del self.came[:count]
                case ("drain",):
                    await send_bits(ctx, self.bridge.rx, self.noise, lambda _: 1)  # a line that was plugged in just now
                    ctx.set(self.bridge.rx, 1)
                    await ctx.tick().repeat(2 * SILENCE)
                    self.came.clear()
                    self.results.put(None)

    async def listen(self, ctx):
        while True:
            while ctx.get(self.bridge.tx):
                await ctx.tick()
            await ctx.tick().repeat(BIT + BIT // 2)
            octet = 0
            for i in range(8):
                octet |= ctx.get(self.bridge.tx) << i
                await ctx.tick().repeat(BIT)
            assert ctx.get(self.bridge.tx) == 1, "no stop bit"
            self.came.append(octet)


@pytest.mark.parametrize("noisy", [False, True])
def test_the_driver_finds_its_device_and_sets_it(rng, noisy):
    m = Module()
    m.submodules.block = block = RegisterBlock(PARAMETERS)
    m.submodules.bridge = bridge = SerialBridge(block.registers.address_bits, CLOCK, BAUD)
    wiring.connect(m, bridge.bus, block.bus)
    wires = Wires(bridge, [rng.getrandbits(1) for _ in range(400 if noisy else 0)])
    seen = {}

    def driver(device):
        seen["parameters"] = device.parameters
        device.write_settings({"mac": 0x020000000001, "udp_port": 4789, "underlay_mtu": 1500})
        seen["settings"] = device.read_settings()
        seen["refused"] = device.registers["STATUS"].read_field("refused")

    thread = Thread(target=wires.drive, args=(driver,), daemon=True)
    thread.start()
    simulate(m, wires.bench, background=[wires.listen])
    thread.join(10)
    if wires.failure:
        raise wires.failure
    assert seen["parameters"] == PARAMETERS
    wanted = {"mac": 0x020000000001, "udp_port": 4789, "underlay_mtu": 1500}
    assert {name: value for name, value in seen["settings"].items() if value} == wanted
    assert seen["refused"] == 0


def test_refuses():
    assert_refused("clock_hz must be", SerialBridge, 12, 9_999)
    assert_refused("baud must be", SerialBridge, 12, 1_000_000, 250_001)
    assert_refused("baud must be within 2 %", SerialBridge, 12, 1_000_000, 230_400)
    assert_refused("address_bits", SerialBridge, 40, 12_000_000)
    SerialBridge(12, 125_000_000)
