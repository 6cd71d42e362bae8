"""The registers alone as a top: AXI4-Lite in front, a memory and made-up counters behind."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vtep.config import VtepParameters
from vtep.control.axi_lite import AxiLiteSlave, axi_lite_signature
from vtep.control.register_block import RegisterBlock
from vtep.control.tables import settings_layout

__all__ = ["RegisterTop", "made_up"]

COUNTER = 0x0123_4567_89AB_CDEF


def made_up(address: int, snapshot: int) -> int:
    """What `RegisterTop` says of a counter."""
    return COUNTER ^ (address << 40 | address << 4 | snapshot)


class RegisterTop(wiring.Component):
    """Flat ports ``s_axi_*`` of AXI4-Lite, and ``settings``: those in effect.

    Entries are kept in one memory, and answered 3 clocks after the read. Counters are those of `made_up`.
    """

    def __init__(self, parameters: VtepParameters, settings: dict[str, int] | None = None) -> None:
        self.block = RegisterBlock(parameters, settings)
        bits = self.block.registers.address_bits
        axi = {
            f"s_axi_{name}": member.flow.flip()(Value.cast(Signal(member.shape)).shape())
            for name, member in axi_lite_signature(bits).members.items()
        }
        super().__init__({**axi, "settings": Out(settings_layout().size), "idle": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.block = block = self.block
        m.submodules.axi = slave = AxiLiteSlave(block.registers.address_bits)
        wiring.connect(m, slave.bus, block.bus)
        for name, member in axi_lite_signature(block.registers.address_bits).members.items():
            inner, outer = Value.cast(getattr(slave.axi, name)), getattr(self, f"s_axi_{name}")
            m.d.comb += inner.eq(outer) if member.flow is Out else outer.eq(inner)
        m.d.comb += [self.settings.eq(block.config.settings), block.idle.eq(self.idle)]

        write, entries = block.config.write, block.entries
        width = len(write.entry)
        m.submodules.memory = memory = Memory(shape=width, depth=1 << 3 + len(write.index), init=[])
        write_port, read_port = memory.write_port(), memory.read_port()
        m.d.comb += [
            write_port.en.eq(block.config.enable),
            write_port.addr.eq(Cat(write.index, write.table)),
            write_port.data.eq(write.entry),
            read_port.addr.eq(Cat(entries.index, entries.table)),
        ]
        steps = Signal(3)
        m.d.sync += [steps.eq(Cat(entries.strobe, steps))]
        m.d.comb += [entries.valid.eq(steps[2]), entries.entry.eq(Mux(steps[2], read_port.data, 0))]

        requests, responses = block.counters.requests, block.counters.responses
        asked = requests.payload
        m.d.comb += requests.ready.eq(1)
        m.d.sync += [
            responses.valid.eq(requests.valid),
            responses.payload.eq(COUNTER ^ (asked.address << 40 | asked.address << 4 | asked.snapshot)),
        ]
        return m
