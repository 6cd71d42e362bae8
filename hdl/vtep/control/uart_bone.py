"""A serial line to the registers, in the frames of `bone_frame`."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range
from ..ram_read import ram_read
from ..stream.fifo import TokenQueue
from .bone_frame import HEAD_BYTES, MAX_WORDS, Command
from .register_bus import register_bus
from .register_map import WORD_BITS, WORD_BYTES

__all__ = ["UartBone"]

WAITING = 64
"""Bytes that may come while the longest command is carried out, even at 4 clocks per bit."""
MAX_TIMEOUT = 1 << 28


class UartBone(wiring.Component):
    """Carries out the commands of a serial line on a register bus.

    Parameters
    ----------
    address_bits : int
        Width of a byte address of the bus, 3 .. 32.
    timeout : int
        Clocks without a byte after which a command that has begun is forgotten, 2 .. 2^28: ``SILENCE`` of them.

    Attributes
    ----------
    valid, data, error : In
        From a `UartReceiver`.
    tx : Out(stream)
        Bytes for a `UartTransmitter`.
    bus : Out(`register_bus`)

    Notes
    -----
    Nothing is written before a command is there as a whole: one that is cut short, that has a byte without a stop bit,
    an unknown code or no words at all changes nothing, and the next command is what follows a silence of ``timeout``.
    While a command is carried out the next one may come: 64 bytes wait; with more, all of them are forgotten. An
    address beyond the bus's, and an access that the registers refuse, read as all ones; STATUS.refused tells of the
    latter.

    Reset: a command under way is forgotten, so it is reset together with the registers.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, address_bits: int, timeout: int) -> None:
        self._address_bits = address_bits
        self._timeout = check_range("timeout", timeout, 2, MAX_TIMEOUT)
        super().__init__(
            {
                "valid": In(1),
                "data": In(8),
                "error": In(1),
                "tx": Out(stream.Signature(unsigned(8))),
                "bus": Out(register_bus(address_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        m.submodules.words = memory = Memory(shape=WORD_BITS, depth=MAX_WORDS + 1, init=[])
        # All words are there before the first one is used.
        write_port, (read_address, data_word) = memory.write_port(), ram_read(m, memory)
        # What came, in its order: bytes, and where one was broken.
        m.submodules.arrived = arrived = TokenQueue(data.StructLayout({"octet": 8, "broken": 1}), WAITING)
        comes = self.valid | self.error
        octet, broken, some, lost = Signal(8), Signal(), Signal(), Signal()
        m.d.comb += [
            arrived.i.valid.eq(comes),
            arrived.i.payload.octet.eq(self.data),
            arrived.i.payload.broken.eq(self.error),
            octet.eq(arrived.o.payload.octet),
            some.eq(arrived.o.valid & ~arrived.o.payload.broken),
            broken.eq((arrived.o.valid & arrived.o.payload.broken) | lost),
        ]
        with m.If(comes & ~arrived.i.ready):
            m.d.sync += lost.eq(1)

        silence = Signal(range(self._timeout), init=self._timeout - 1)
        silent = Signal()
        m.d.comb += silent.eq((silence == 0) & ~arrived.o.valid)
        with m.If(comes):
            m.d.sync += silence.eq(self._timeout - 1)
        with m.Elif(silence != 0):
            m.d.sync += silence.eq(silence - 1)

        # The head of a command, the first byte highest.
        head = Signal(8 * HEAD_BYTES)
        place, length, code = head[:WORD_BITS], head[WORD_BITS : WORD_BITS + 8], head[-8:]
        count = Signal(range(HEAD_BYTES))
        word = Signal(WORD_BITS)
        left, done = Signal(8), Signal(8)
        outside, fixed = Signal(), Signal()
        m.d.comb += [
            write_port.addr.eq(done),
            write_port.data.eq(Cat(octet, word)[:WORD_BITS]),
            read_address.eq(done),
            bus.address.eq(place),
            bus.write_data.eq(data_word),
            bus.write_bytes.eq(-1),
            self.tx.payload.eq(word[-8:]),
        ]
        m.d.sync += [
            outside.eq(place[self._address_bits - 2 :].any()),
            fixed.eq((code == Command.WRITE_FIXED) | (code == Command.READ_FIXED)),
        ]

        with m.FSM():
            with m.State("HEAD"):
                m.d.comb += arrived.o.ready.eq(1)
                m.d.sync += done.eq(0)
                with m.If(some):
                    m.d.sync += [head.eq(Cat(octet, head)[: len(head)]), count.eq(count + 1)]
                    with m.If(count == HEAD_BYTES - 1):
                        m.d.sync += count.eq(0)
                        m.next = "JUDGE"
                with m.If(broken):
                    m.next = "NOISE"
                with m.Elif(silent):
                    m.d.sync += count.eq(0)
            with m.State("JUDGE"):
                m.d.sync += left.eq(length)
                with m.If(length == 0):
                    m.next = "NOISE"
                with m.Else(), m.Switch(code):
                    with m.Case(Command.WRITE, Command.WRITE_FIXED):
                        m.next = "WORDS"
                    with m.Case(Command.READ, Command.READ_FIXED):
                        m.next = "ACCESS"
                    with m.Default():
                        m.next = "NOISE"
            with m.State("WORDS"):
                m.d.comb += arrived.o.ready.eq(1)
                with m.If(some):
                    m.d.sync += [word.eq(Cat(octet, word)[:WORD_BITS]), count.eq(count + 1)]
                    with m.If(count == WORD_BYTES - 1):
                        m.d.sync += [count.eq(0), done.eq(done + 1), left.eq(left - 1)]
                        m.d.comb += write_port.en.eq(1)
                        with m.If(left == 1):
                            m.d.sync += [done.eq(0), left.eq(length)]
                            m.next = "FETCH"
                with m.If(broken | silent):
                    m.next = "NOISE"
            with m.State("FETCH"):
                m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.comb += [
                    bus.request.eq(~outside),
                    bus.write.eq((code == Command.WRITE) | (code == Command.WRITE_FIXED)),
                ]
                with m.If(bus.ack | outside):
                    m.d.sync += [
                        word.eq(bus.read_data | (bus.error | outside).replicate(WORD_BITS)),
                        left.eq(left - 1),
                        done.eq(done + 1),
                        count.eq(0),
                    ]
                    with m.If(~fixed):
                        m.d.sync += place.eq(place + 1)
                    m.next = "NEXT"
                    with m.If(~bus.write):
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.tx.valid.eq(1)
                with m.If(self.tx.ready):
                    m.d.sync += [word.eq(word << 8), count.eq(count + 1)]
                    with m.If(count == WORD_BYTES - 1):
                        m.d.sync += count.eq(0)
                        m.next = "NEXT"
            with m.State("NEXT"):
                m.next = "FETCH"
                with m.If(left == 0):
                    m.next = "HEAD"
            with m.State("NOISE"):
                m.d.comb += arrived.o.ready.eq(1)
                with m.If(silent):
                    m.d.sync += [count.eq(0), lost.eq(0)]
                    m.next = "HEAD"
        return m
