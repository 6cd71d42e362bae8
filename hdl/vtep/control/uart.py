"""An asynchronous serial line, 8N1: one start bit, eight data bits (low bit first), one stop bit."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ..config import check_range

__all__ = ["UartReceiver", "UartTransmitter"]

MIN_DIVISOR = 4
MAX_DIVISOR = 1 << 20


class UartReceiver(wiring.Component):
    """Takes bytes from a line.

    Parameters
    ----------
    divisor : int
        Clocks per bit, 4 .. 2^20: clock frequency divided by baud rate.

    Attributes
    ----------
    rx : In(1)
        The line, high when idle; not synchronous to anything.
    valid : Out(1)
        High for one clock: ``data`` is a byte.
    data : Out(8)
    error : Out(1)
        High for one clock: what came had no stop bit.

    Notes
    -----
    A bit is looked at in its middle; a start bit that is gone by then was noise. After a missing stop bit the line must
    be high before another start bit counts, so that a break is one error. ``valid`` rises in the middle of the stop
    bit, some clocks behind the line. Reset: as with an idle line.

    Raises
    ------
    ValueError
        ``divisor`` is out of its range.
    """

    def __init__(self, divisor: int) -> None:
        self._divisor = check_range("divisor", divisor, MIN_DIVISOR, MAX_DIVISOR)
        super().__init__({"rx": In(1, init=1), "valid": Out(1), "data": Out(8), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(self._divisor))
        count = Signal(range(8))
        m.d.sync += [self.valid.eq(0), self.error.eq(0), timer.eq(timer - 1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += timer.eq(self._divisor // 2 - 1)
                with m.If(~line):
                    m.next = "START"
            with m.State("START"), m.If(timer == 0):
                m.d.sync += [timer.eq(self._divisor - 1), count.eq(7)]
                with m.If(line):
                    m.next = "IDLE"
                with m.Else():
                    m.next = "DATA"
            with m.State("DATA"), m.If(timer == 0):
                m.d.sync += [timer.eq(self._divisor - 1), count.eq(count - 1), self.data.eq(Cat(self.data[1:], line))]
                with m.If(count == 0):
                    m.next = "STOP"
            with m.State("STOP"), m.If(timer == 0):
                m.d.sync += [self.valid.eq(line), self.error.eq(~line)]
                m.next = "REST"
            with m.State("REST"), m.If(line):
                m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Puts bytes onto a line.

    Parameters
    ----------
    divisor : int
        Clocks per bit, 4 .. 2^20.

    Attributes
    ----------
    i : In(stream)
        Bytes.
    tx : Out(1)
        The line: a flip-flop, high when idle and in reset.

    Notes
    -----
    Throughput: one byte each 10 bits. Latency: 1 clock from the byte to the start bit.

    Raises
    ------
    ValueError
        ``divisor`` is out of its range.
    """

    def __init__(self, divisor: int) -> None:
        self._divisor = check_range("divisor", divisor, MIN_DIVISOR, MAX_DIVISOR)
        super().__init__({"i": In(stream.Signature(unsigned(8))), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer = Signal(range(self._divisor))
        # The bits to come, the next one lowest, and above them a 1 that is there until the stop bit is over.
        bits = Signal(10)
        busy = Signal()
        m.d.comb += [busy.eq(bits != 0), self.i.ready.eq(~busy)]
        with m.If(~busy):
            m.d.sync += timer.eq(self._divisor - 1)
            with m.If(self.i.valid):
                m.d.sync += [self.tx.eq(0), bits.eq(Cat(self.i.payload, Const(0b11, 2)))]
        with m.Else():
            m.d.sync += timer.eq(Mux(timer == 0, self._divisor - 1, timer - 1))
            with m.If(timer == 0):
                m.d.sync += [self.tx.eq(bits[0]), bits.eq(Cat(bits[1:], 0))]
        return m
