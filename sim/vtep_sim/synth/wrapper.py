"""Put every port of a component behind a flip-flop, so that all its paths are register to register."""

from amaranth.back import rtlil
from amaranth.hdl import Cat, ClockDomain, ClockSignal, Elaboratable, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring

__all__ = ["REGISTERS", "RegisterWrapper"]

REGISTERS = ("measure_scan", "measure_in", "measure_out")
"""Names of the wrapper's flip-flops."""


class RegisterWrapper(Elaboratable):
    """A component with a flip-flop at every input, at every output and at its reset.

    The input flip-flops take their values from a shift register fed by a single pin, so that a block with
    thousands of port bits fits any package and the wrapper costs no LUT. The shift register has a clock of its
    own: on the block's clock, Yosys would find its stages equal to the block's registers behind the inputs and
    merge them. The output flip-flops lead nowhere and are kept by attribute. All have names of their own
    (`REGISTERS`), by which a measurement counts and subtracts them.

    Parameters
    ----------
    component : wiring.Component
        The block to measure; its clock domain is ``sync``.

    Attributes
    ----------
    clk, scan_clk, scan_in : Signal
        The only ports: the block's clock, and the shift register's clock and input.
    """

    def __init__(self, component: wiring.Component) -> None:
        self.component = component
        self.clk = Signal()
        self.scan_clk = Signal()
        self.scan_in = Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = self.component
        m.domains += [
            ClockDomain("sync"),
            ClockDomain("measure", reset_less=True),
            ClockDomain("scan", reset_less=True),
        ]
        m.d.comb += [
            ClockSignal("sync").eq(self.clk),
            ClockSignal("measure").eq(self.clk),
            ClockSignal("scan").eq(self.scan_clk),
        ]

        inputs: list[Value] = [ResetSignal("sync")]
        outputs: list[Value] = []
        for _, member, value in self.component.signature.flatten(self.component):
            port = Value.cast(value)
            if len(port):
                (inputs if member.flow is wiring.In else outputs).append(port)

        chain, launch, capture = (
            Signal(sum(len(port) for port in ports), name=name, attrs={"keep": 1})
            for name, ports in zip(REGISTERS, (inputs, inputs, outputs), strict=True)
        )
        m.d.scan += chain.eq(Cat(self.scan_in, chain))
        m.d.measure += launch.eq(chain)
        m.d.comb += Cat(*inputs).eq(launch)
        m.d.measure += capture.eq(Cat(*outputs))
        return m

    def rtlil(self) -> str:
        """Return the wrapped component as RTLIL text with the top module ``top``."""
        return rtlil.convert(self, ports=[self.clk, self.scan_clk, self.scan_in], name="top", emit_src=False)
