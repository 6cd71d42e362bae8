from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from helpers.packet_bench import simulate
from vtep.data_register import data_register


class Register(wiring.Component):
    value: In(data.StructLayout({"a": 3, "b": 5}))
    port: Out(data.StructLayout({"a": 3, "b": 5}))

    def elaborate(self, platform):
        m = Module()
        data_register(m, self.port, self.value)
        return m


def test_follows_a_clock_later_and_through_a_reset():
    reset = Signal()
    dut = Register()

    async def bench(ctx):
        before = {"a": 0, "b": 0}
        for clock in range(20):
            given = {"a": clock % 8, "b": 31 - clock}
            ctx.set(dut.value, given)
            ctx.set(reset, clock % 3 == 0)
            assert dict(zip("ab", (ctx.get(dut.port.a), ctx.get(dut.port.b)), strict=True)) == before
            await ctx.tick()
            before = given

    simulate(ResetInserter(reset)(dut), bench)
