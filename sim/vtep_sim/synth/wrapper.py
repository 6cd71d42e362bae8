"""Put every port of a component behind a flip-flop, so that all its paths are register to register."""

from amaranth.back import rtlil
from amaranth.hdl import Cat, ClockDomain, ClockSignal, Elaboratable, Module, ResetSignal, Shape, Signal, Value
from amaranth.lib import wiring

__all__ = ["IN_PREFIX", "OUT_PREFIX", "RegisterWrapper"]

IN_PREFIX = "measure_in"
OUT_PREFIX = "measure_out"


class RegisterWrapper(Elaboratable):
    """A component with a flip-flop at every input, at every output and at its reset.

    The input flip-flops form one shift register fed by a single pin, so that a block with thousands of port
    bits fits any package and the wrapper costs no LUT. The output flip-flops lead nowhere and are kept by
    attribute. Both kinds have names of their own (`IN_PREFIX`, `OUT_PREFIX`), by which a measurement counts
    and subtracts them.

    Parameters
    ----------
    component : wiring.Component
        The block to measure; its clock domain is ``sync``.

    Attributes
    ----------
    clk, scan_in : Signal
        The only ports.
    """

    def __init__(self, component: wiring.Component) -> None:
        self.component = component
        self.clk = Signal()
        self.scan_in = Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = self.component
        m.domains.sync = sync = ClockDomain("sync")
        m.domains.measure = measure = ClockDomain("measure", reset_less=True)
        m.d.comb += [ClockSignal("sync").eq(self.clk), ClockSignal("measure").eq(self.clk)]
        assert sync.rst is not None and measure.rst is None

        inputs: list[Value] = [ResetSignal("sync")]
        outputs: list[Value] = []
        for _, member, value in self.component.signature.flatten(self.component):
            port = Value.cast(value)
            if Shape.cast(member.shape).width == 0:
                continue
            (inputs if member.flow is wiring.In else outputs).append(port)

        chain = Signal(sum(len(port) for port in inputs), name=IN_PREFIX, attrs={"keep": 1})
        m.d.measure += chain.eq(Cat(self.scan_in, chain))
        m.d.comb += Cat(*inputs).eq(chain)
        if outputs:
            capture = Signal(sum(len(port) for port in outputs), name=OUT_PREFIX, attrs={"keep": 1})
            m.d.measure += capture.eq(Cat(*outputs))
        return m

    def rtlil(self) -> str:
        """The wrapped component as RTLIL text with the top module ``top``."""
        return rtlil.convert(self, ports=[self.clk, self.scan_in], name="top", emit_src=False)
