"""A small queue for tokens of any shape, in distributed RAM or flip-flops."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range
from .skid import SkidBuffer

__all__ = ["TokenQueue"]

MAX_DEPTH = 1024


class TokenQueue(wiring.Component):
    """First-in first-out queue with early warning for feed-forward pipelines.

    ``i.ready``, ``o.valid`` and ``room`` come from flip-flops. ``o.payload`` comes from distributed RAM
    (read address from flip-flops), so count one RAM read at its far end; with ``register_output``, or with
    ``depth`` 2, it comes straight from flip-flops.

    Parameters
    ----------
    shape : shape-like
        Shape of a token.
    depth : int
        Tokens it holds, a power of two, 2 .. 1024. Depth 2 is built of flip-flops.
    margin : int
        Tokens that may be on their way to ``i`` when another is launched, 0 .. ``depth`` - 1. For a pipeline
        that looks at ``room`` in the clock of the launch and writes ``n`` clocks later, that is ``n``.
    register_output : bool
        Put a register behind the RAM. It counts towards ``depth``.

    Attributes
    ----------
    i : stream of ``shape``, in
        A token transferred in clock t is valid on ``o`` in clock t + ``latency``.
    o : stream of ``shape``, out
    room : Signal(), out
        In a clock with ``room`` high, one more token may be launched although ``margin`` tokens are on
        their way, and none of them will find the queue full. What is written or read in clock t
        shows in ``room`` in clock t + 1.
    level : Signal(range(depth + 1)), out
        Tokens inside.
    latency : int
        1 clock; with ``register_output`` (and ``depth`` > 2) 2 clocks. One token per clock in and out.

    Reset empties it.

    Raises
    ------
    ValueError
        ``depth`` or ``margin`` is out of its range.
    """

    def __init__(self, shape: Any, depth: int, margin: int = 0, *, register_output: bool = False) -> None:
        check_range("depth", depth, 2, MAX_DEPTH)
        if depth & (depth - 1):
            raise ValueError(f"depth must be a power of two within 2 .. {MAX_DEPTH}, not {depth!r}")
        self.shape = shape
        self.depth = depth
        self.margin = check_range("margin", margin, 0, depth - 1)
        self.register_output = register_output and depth > 2
        self.latency = 2 if self.register_output else 1
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "room": Out(1),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self.depth == 2:
            self._elaborate_registers(m)
        else:
            self._elaborate_memory(m)
        return m

    def _elaborate_registers(self, m: Module) -> None:
        m.submodules.slice = registers = SkidBuffer(self.shape)
        wiring.connect(m, wiring.flipped(self.i), registers.i)
        wiring.connect(m, registers.o, wiring.flipped(self.o))
        m.d.comb += [
            self.level.eq(registers.o.valid + ~registers.i.ready),
            self.room.eq(registers.i.ready if self.margin == 0 else ~registers.o.valid),
        ]

    def _elaborate_memory(self, m: Module) -> None:
        m.submodules.memory = memory = Memory(
            shape=self.shape, depth=self.depth, init=[], attrs={"ram_style": "distributed"}
        )
        write_port = memory.write_port()
        read_port = memory.read_port(domain="comb")

        write = Signal()
        read = Signal()
        fetch = Signal()
        stored = Signal(range(self.depth + 1))
        waiting = Signal()

        m.d.comb += [
            self.i.ready.eq(~self.level[-1]),
            write.eq(self.i.valid & self.i.ready),
            read.eq(self.o.valid & self.o.ready),
            write_port.data.eq(self.i.payload),
            write_port.en.eq(write),
        ]
        with m.If(write):
            m.d.sync += write_port.addr.eq(write_port.addr + 1)
        with m.If(fetch):
            m.d.sync += read_port.addr.eq(read_port.addr + 1)

        self._count(m, self.level, write, read)
        # The comparisons do not wait for `write` and `read`.
        highest = self.depth - self.margin
        room = Signal(init=1)
        m.d.sync += room.eq(
            Mux(
                write,
                Mux(read, self.level < highest, self.level + 1 < highest),
                Mux(read, self.level < highest + 1, self.level < highest),
            )
        )
        m.d.comb += self.room.eq(room)

        if self.register_output:
            self._count(m, stored, write, fetch)
            valid = Signal()
            payload = Signal(self.shape, reset_less=True)
            m.d.comb += [
                fetch.eq(waiting & (~valid | self.o.ready)),
                self.o.valid.eq(valid),
                self.o.payload.eq(payload),
            ]
            with m.If(fetch):
                m.d.sync += [payload.eq(read_port.data), valid.eq(1)]
            with m.Elif(self.o.ready):
                m.d.sync += valid.eq(0)
        else:
            m.d.comb += [
                stored.eq(self.level),
                fetch.eq(read),
                self.o.valid.eq(waiting),
                self.o.payload.eq(read_port.data),
            ]
        with m.If(write):
            m.d.sync += waiting.eq(1)
        with m.Elif(fetch & (stored == 1)):
            m.d.sync += waiting.eq(0)

    @staticmethod
    def _count(m: Module, counter: Signal, up: Signal, down: Signal) -> None:
        with m.If(up & ~down):
            m.d.sync += counter.eq(counter + 1)
        with m.Elif(down & ~up):
            m.d.sync += counter.eq(counter - 1)
