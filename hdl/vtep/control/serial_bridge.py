"""The registers on two pins: `UartBone` with the line's receiver and transmitter."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range
from .bone_frame import SILENCE
from .register_bus import register_bus
from .uart import UartReceiver, UartTransmitter
from .uart_bone import UartBone

__all__ = ["SerialBridge"]

MAX_BAUD_ERROR = 0.02
"""Share by which a bit may be too long or too short; with as much at the far end, the stop bit still fits."""


class SerialBridge(wiring.Component):
    """Gives a register bus to a serial line, 8N1, for ``vtep-ctl --via serial:DEVICE@BAUD``.

    Parameters
    ----------
    address_bits : int
        Width of a byte address of the bus, 3 .. 32.
    clock_hz : int
        Frequency of the clock, 10 kHz .. 2 GHz.
    baud : int
        Bits a second, at most a quarter of ``clock_hz``.

    Attributes
    ----------
    rx : In(1)
        The line in, high when idle; not synchronous to anything.
    tx : Out(1)
        The line out, from a flip-flop.
    bus : Out(`register_bus`)

    Notes
    -----
    A command that stops for a tenth of a second is forgotten; see `UartBone` for what else cannot do harm. Reset: as
    `UartBone`.

    Raises
    ------
    ValueError
        A parameter is out of its range, or the clock cannot be divided to within 2 % of ``baud``.
    """

    def __init__(self, address_bits: int, clock_hz: int, baud: int = 115200) -> None:
        check_range("clock_hz", clock_hz, 10_000, 2_000_000_000)
        check_range("baud", baud, 1, clock_hz // 4)
        divisor = round(clock_hz / baud)
        if abs(clock_hz / divisor / baud - 1) > MAX_BAUD_ERROR:
            raise ValueError(f"baud must be within 2 % of clock_hz ({clock_hz}) by a whole number, not {baud}")
        self._receiver, self._transmitter = UartReceiver(divisor), UartTransmitter(divisor)
        self._bone = UartBone(address_bits, round(SILENCE * clock_hz))
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "bus": Out(register_bus(address_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver, m.submodules.transmitter = receiver, transmitter = self._receiver, self._transmitter
        m.submodules.bone = bone = self._bone
        wiring.connect(m, bone.tx, transmitter.i)
        wiring.connect(m, bone.bus, wiring.flipped(self.bus))
        m.d.comb += [
            receiver.rx.eq(self.rx),
            bone.valid.eq(receiver.valid),
            bone.data.eq(receiver.data),
            bone.error.eq(receiver.error),
            self.tx.eq(transmitter.tx),
        ]
        return m
