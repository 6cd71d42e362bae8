"""The registers over AXI4-Lite: walked from the compiled SystemRDL, and driven by the driver."""

import os
import random

from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from systemrdl import RDLCompiler
from systemrdl.rdltypes import OnWriteType

from vtep.control.counters import counter_map
from vtep.control.tables import Table, entry_layout, settings_layout, table_capacity, table_plan
from vtep_host.device import Device
from vtep_host.transport import AccessRefusedError
from vtep_sim.cocotb.bench import STREAMS
from vtep_sim.cocotb.registers import RegisterPort

from .cases import case, parameters

SIZE = 4096


class Bench:
    """The design after reset, with a master whose channels pause at random."""

    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.top = self.compile()
        Clock(dut.clk, 10, unit="ns").start()
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)

    @staticmethod
    def compile():
        compiler = RDLCompiler()
        compiler.compile_file(os.environ["VTEP_RDL"])
        return compiler.elaborate().top

    @classmethod
    async def start(cls, dut, rng, pause=0.3):
        self = cls(dut, rng)
        dut.rst.value = 1
        dut.script_run.value = 0
        for name in STREAMS[:3]:
            getattr(dut, f"{name}_tvalid").value = 0
        for name in STREAMS[3:]:
            getattr(dut, f"{name}_tready").value = 1
        for _ in range(3):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        await RisingEdge(dut.clk)
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(self.pauses(random.Random(rng.random()), pause))
        # The tables are being emptied, and what an access of them does depends on that.
        busy = self.top.get_child_by_name("TABLE_STATUS").get_child_by_name("busy")
        while (await self.read(busy.parent.absolute_address))[1] >> busy.low & 1:
            pass
        return self

    @staticmethod
    def pauses(rng, probability):
        while True:
            yield rng.random() < probability

    async def read(self, address):
        """Response and value."""
        answer = await with_timeout(self.master.read(address, 4), 10, "us")
        return answer.resp, int.from_bytes(answer.data, "little")

    async def write(self, address, value, length=4):
        """Response; ``length`` bytes from ``address`` on."""
        answer = await with_timeout(self.master.write(address, value.to_bytes(length, "little")), 10, "us")
        return answer.resp


def mask_of(fields):
    return sum((1 << field.width) - 1 << field.low for field in fields)


@case
async def every_register_reads_as_its_reset_value(dut, rng):
    bench = await Bench.start(dut, rng)
    count = 0
    for register in bench.top.registers(unroll=True):
        if not register.has_sw_readable:
            continue
        response, value = await bench.read(register.absolute_address)
        assert response == AxiResp.OKAY, register.get_path()
        known = [field for field in register.fields() if field.get_property("reset") is not None]
        reset = sum(field.get_property("reset") << field.low for field in known)
        unknown = mask_of(field for field in register.fields() if field.get_property("reset") is None)
        assert value & ~unknown == reset, f"{register.get_path()} reads {value:#x}, not {reset:#x}"
        count += 1
    assert count > 30


@case
async def every_other_access_is_refused(dut, rng):
    bench = await Bench.start(dut, rng, 0.1)
    readable, writable = set(), set()
    for register in bench.top.registers(unroll=True):
        if register.has_sw_readable:
            readable.add(register.absolute_address)
        if register.has_sw_writable:
            writable.add(register.absolute_address)
    before = {address: await bench.read(address) for address in sorted(readable)}
    for address in range(0, SIZE, 4):
        if address not in readable:
            assert await bench.read(address) == (AxiResp.SLVERR, 0), hex(address)
        if address not in writable:
            assert await bench.write(address, bench.rng.getrandbits(32)) == AxiResp.SLVERR, hex(address)
    refused = bench.top.get_child_by_name("STATUS").get_child_by_name("refused")
    for address in sorted(readable):
        response, value = await bench.read(address)
        if address == refused.parent.absolute_address:
            assert value & mask_of([refused])
            value &= ~mask_of([refused])
        assert (response, value) == before[address], hex(address)


@case
async def every_field_is_written_as_its_access_says_byte_by_byte(dut, rng):
    bench = await Bench.start(dut, rng)
    for register in bench.top.registers(unroll=True):
        if not (register.has_sw_readable and register.has_sw_writable):
            continue
        address = register.absolute_address
        fields = {"rw": [], "r": [], "w1c": []}
        for field in register.fields():
            clears = field.get_property("onwrite") is OnWriteType.woclr
            fields["w1c" if clears else "rw" if field.is_sw_writable else "r"].append(field)
        masks = {name: mask_of(members) for name, members in fields.items()}
        _, model = await bench.read(address)
        for _ in range(8):
            length = bench.rng.choice((1, 1, 2, 3, 4))
            offset = bench.rng.randint(0, 4 - length)
            data = bench.rng.getrandbits(8 * length)
            assert await bench.write(address + offset, data, length) == AxiResp.OKAY
            touched, data = ((1 << 8 * length) - 1) << 8 * offset, data << 8 * offset
            model = model & ~(touched & masks["rw"]) | data & masks["rw"]
            model &= ~(data & masks["w1c"])
            response, value = await bench.read(address)
            assert response == AxiResp.OKAY
            assert (value ^ model) & ~masks["r"] == 0, register.get_path()


@case
async def a_command_takes_all_its_bytes(dut, rng):
    bench = await Bench.start(dut, rng)
    for register in bench.top.registers(unroll=True):
        if not register.has_sw_readable:
            for length in (1, 2, 3):
                for offset in range(5 - length):
                    assert await bench.write(register.absolute_address + offset, 1, length) == AxiResp.SLVERR
    assert await bench.write(bench.top.get_child_by_name("CONTROL").absolute_address, 1) == AxiResp.OKAY


class AxiTransport:
    """The driver's transport over the AXI4-Lite master, for use inside `bridge`."""

    def __init__(self, bench):
        self.bench = bench

    def read(self, address):
        response, value = resume(self.bench.read)(address)
        self.check(response, address)
        return value

    def write(self, address, value):
        self.check(resume(self.bench.write)(address, value), address)

    @staticmethod
    def check(response, address):
        if response != AxiResp.OKAY:
            raise AccessRefusedError(f"{address:#x}: {response.name}")


@case
async def the_driver_works_on_it(dut, rng):
    bench = await Bench.start(dut, rng)

    def use():
        device = Device(AxiTransport(bench))
        settings = {name: rng.getrandbits(field.width) for name, field in settings_layout()}
        device.write_settings(settings)
        assert device.read_settings() == settings
        written = {}
        for table in Table:
            if not table_capacity(table, device.parameters):
                continue
            layout = entry_layout(table, device.parameters)
            entry = {name: rng.getrandbits(field.width) for name, field in layout}
            entry |= {name: 1 for name in ("ecn", "df", "used") if name in entry}
            index = rng.randrange(table_capacity(table, device.parameters))
            device.write_entry(table, index, entry)
            bits = layout.const(entry).as_bits()
            plan = table_plan(table, device.parameters)
            if plan is not None:  # whose location gives the low bits of the key
                bits &= ~((1 << plan.bucket_bits) - 1 << 1)
            written[table, index] = bits
        for (table, index), bits in written.items():
            entry = device.read_entry(table, index)
            assert entry_layout(table, device.parameters).const(entry).as_bits() == bits, table
        names = rng.sample(sorted(counter_map(device.parameters)), 10)
        device.snapshot_counters()
        device.clear_counters()
        for snapshot in (False, True):
            assert device.read_counters(names, snapshot=snapshot) == dict.fromkeys(names, 0)
        device.check_refused()

    await bridge(use)()


@case
async def every_place_of_a_table_is_read_back(dut, rng):
    """Each bit of an entry as 0 and as 1, in up to 64 places of each table from its first to its last."""
    await Bench.start(dut, rng)
    p = parameters()
    port = RegisterPort(dut, p)
    places = {}
    for table in Table:
        capacity = table_capacity(table, p)
        inner = range(1, capacity - 1)
        edges = {0, capacity - 1} if capacity else set()
        places[table] = sorted(edges | set(rng.sample(inner, min(62, len(inner)))))
    contents = {
        (table, place): rng.getrandbits(entry_layout(table, p).size) for table in Table for place in places[table]
    }

    def bits_of(table, place, inverted):
        layout = entry_layout(table, p)
        bits = contents[table, place] ^ ((1 << layout.size) - 1 if inverted else 0)
        for _, field in layout:
            if isinstance(field.shape, type):  # an enumeration, of which not each number is a member
                bits = bits & ~(3 << field.offset) | (2 if inverted else 1) << field.offset
        return bits

    def write(device, inverted):
        for table, place in contents:
            device.write_entry(table, place, bits_of(table, place, inverted))

    def read(device):
        return {(table, place): device.read_entry(table, place) for table, place in contents}

    for inverted in (False, True):
        await port.run(lambda device, inverted=inverted: write(device, inverted))
        found = await port.run(read)
        for (table, place), entry in found.items():
            expected = bits_of(table, place, inverted)
            plan = table_plan(table, p)
            if plan is not None:  # whose location gives the low bits of the key
                expected &= ~((1 << plan.bucket_bits) - 1 << 1)
            assert entry_layout(table, p).const(entry).as_bits() == expected, f"{table.name} {place}"
