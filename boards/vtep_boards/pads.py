"""The ECP5's pads of an RGMII port: double data rate both ways, and the delays that the board needs."""

from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, IOPort, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vtep.mac.rgmii import receive_wires, transmit_wires

__all__ = ["MAX_TAPS", "RgmiiPads", "input_pad", "output_pad"]

MAX_TAPS = 127


def input_pad(m: Module, name: str, port: IOPort) -> Signal:
    """Return what is on a pin."""
    value = Signal(name=name)
    m.submodules[f"{name}_pad"] = Instance("IB", i_I=port, o_O=value)
    return value


def output_pad(m: Module, name: str, port: IOPort, value: Value) -> None:
    """Drive a pin."""
    m.submodules[f"{name}_pad"] = Instance("OB", i_I=value, o_O=port)


class RgmiiPads(wiring.Component):
    """Joins RGMII's wires to pins; RXC's pad is not in it, as that is a clock.

    Parameters
    ----------
    pins : dict of IOPort
        By ``txc``, ``tx_ctl``, ``txd0`` .. ``txd3``, ``rx_ctl``, ``rxd0`` .. ``rxd3``.
    receive_taps, transmit_taps : int
        Steps of 25 ps by which RXD and RX_CTL are delayed on their way in, TXC on its way out; 0 .. 127.

    Attributes
    ----------
    receive : Out(`receive_wires`), domain ``rx``
        Sampled at RXC's rising edge and at the falling edge behind it, both out of the flip-flops of the pad.
    transmit : In(`transmit_wires`), domain ``tx``
    """

    def __init__(self, pins: dict[str, IOPort], *, receive_taps: int, transmit_taps: int) -> None:
        for name, taps in (("receive_taps", receive_taps), ("transmit_taps", transmit_taps)):
            if not 0 <= taps <= MAX_TAPS:
                raise ValueError(f"{name} must be within 0 .. {MAX_TAPS}, not {taps}")
        self._pins, self._receive_taps, self._transmit_taps = pins, receive_taps, transmit_taps
        super().__init__({"receive": Out(receive_wires()), "transmit": In(transmit_wires())})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for bit in range(4):
            self._in(m, f"rxd{bit}", [half[bit] for half in self.receive.rxd])
            self._out(m, f"txd{bit}", [half[bit] for half in self.transmit.txd])
        self._in(m, "rx_ctl", list(self.receive.rx_ctl))
        self._out(m, "tx_ctl", list(self.transmit.tx_ctl))
        self._out(m, "txc", list(self.transmit.txc), taps=self._transmit_taps)
        return m

    def _in(self, m: Module, name: str, halves: list[Value]) -> None:
        line = _delayed(m, name, input_pad(m, name, self._pins[name]), self._receive_taps)
        m.submodules[f"{name}_ddr"] = Instance(
            "IDDRX1F", i_D=line, i_SCLK=ClockSignal("rx"), i_RST=Const(0), o_Q0=halves[0], o_Q1=halves[1]
        )

    def _out(self, m: Module, name: str, halves: list[Value], taps: int = 0) -> None:
        line = Signal(name=f"{name}_line")
        m.submodules[f"{name}_ddr"] = Instance(
            "ODDRX1F", i_D0=halves[0], i_D1=halves[1], i_SCLK=ClockSignal("tx"), i_RST=Const(0), o_Q=line
        )
        output_pad(m, name, self._pins[name], _delayed(m, name, line, taps))


def _delayed(m: Module, name: str, line: Signal, taps: int) -> Signal:
    if not taps:
        return line
    delayed = Signal(name=f"{name}_delayed")
    m.submodules[f"{name}_delay"] = Instance(
        "DELAYG", p_DEL_MODE="USER_DEFINED", p_DEL_VALUE=taps, i_A=line, o_Z=delayed
    )
    return delayed
