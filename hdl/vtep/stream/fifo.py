"""A small queue for tokens of any shape, in distributed RAM, block RAM or flip-flops."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_power_of_two, check_range
from ..ram_read import ram_read
from .skid import SkidBuffer

__all__ = ["TokenQueue"]

MAX_DEPTH = 1024


class TokenQueue(wiring.Component):
    """First-in first-out queue with early warning for feed-forward pipelines.

    ``i.ready``, ``o.valid`` and ``room`` come from flip-flops. ``o.payload`` comes from distributed RAM
    (read address from flip-flops), so count one RAM read at its far end; with ``register_output``, or with
    ``depth`` 2, it comes straight from flip-flops, and ``i.payload`` sees a two-to-one multiplexer.

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
        Keep the oldest token in a register behind the RAM. It counts towards ``depth``.
    spaced : bool
        Give a token every second clock at most: ``o.valid`` is low in the clock behind one that was taken, in
        which ``o.payload`` stays. Nothing but a flip-flop then waits for ``o.ready``. With ``register_output`` the
        latency is 2 clocks. Not with ``depth`` 2.
    block : bool
        Keep the tokens in block RAM: fewer LUTs where tokens are many and wide, and a clock more of latency. Only with
        ``register_output`` and ``spaced``.

    Attributes
    ----------
    i : stream of ``shape``, in
        A token transferred in clock t is valid on ``o`` in clock t + ``latency``.
    o : stream of ``shape``, out
    room : Signal(), out
        In a clock with ``room`` high, one more token may be launched although ``margin`` tokens are on
        their way, and none of them will find the queue full. What is written in clock t shows in ``room`` in
        clock t + 1, what is read then, in clock t + 2 (with ``depth`` 2, t + 1).
    level : Signal(range(depth + 1)), out
        Tokens inside, and (not with ``depth`` 2) one that left in the clock before: ``o.ready`` comes late, and so
        it has few levels of logic behind it. ``i.ready`` and ``room`` rest on this count.
    latency : int
        1 clock, or 2 (see ``spaced``), or 3 (``block``). One token per clock in and out (but see ``spaced``).

    Reset empties it.

    Raises
    ------
    ValueError
        ``depth`` or ``margin`` is out of its range, or one option needs another.
    """

    def __init__(
        self,
        shape: Any,
        depth: int,
        margin: int = 0,
        *,
        register_output: bool = False,
        spaced: bool = False,
        block: bool = False,
    ) -> None:
        self.shape = shape
        self.depth = check_power_of_two("depth", depth, 2, MAX_DEPTH)
        self.margin = check_range("margin", margin, 0, depth - 1)
        self.register_output = register_output and depth > 2
        if spaced and depth == 2:
            raise ValueError("spaced must be False with depth 2")
        self.spaced = spaced
        if block and not (spaced and register_output):
            raise ValueError("block needs spaced and register_output")
        self.block = block
        self.latency = (2 if spaced and register_output else 1) + block
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
        style = "block" if self.block else "distributed"
        m.submodules.memory = memory = Memory(shape=self.shape, depth=self.depth, init=[], attrs={"ram_style": style})
        write_port = memory.write_port()
        read_address: Value
        token: Any
        if self.block:
            read_address, token = ram_read(m, memory)
        else:
            read_port = memory.read_port(domain="comb")
            read_address, token = read_port.addr, read_port.data

        write = Signal()
        read = Signal()
        gone = Signal()
        fetch = Signal()
        waiting = Signal()

        m.d.comb += [
            self.i.ready.eq(~self.level[-1]),
            write.eq(self.i.valid & self.i.ready),
            read.eq(self.o.valid & self.o.ready),
            write_port.data.eq(self.i.payload),
            # The place for the next token is free, so it may hold anything; `write` comes late, and here to far places.
            write_port.en.eq(self.i.ready),
        ]
        with m.If(write):
            m.d.sync += write_port.addr.eq(write_port.addr + 1)
        with m.If(fetch):
            m.d.sync += read_address.eq(read_address + 1)

        m.d.sync += gone.eq(read)
        with m.If(write & ~gone):
            m.d.sync += self.level.eq(self.level + 1)
        with m.Elif(gone & ~write):
            m.d.sync += self.level.eq(self.level - 1)
        # The comparisons do not wait for `write` and `gone`.
        highest = self.depth - self.margin
        room = Signal(init=1)
        m.d.sync += room.eq(
            Mux(
                write,
                Mux(gone, self.level < highest, self.level + 1 < highest),
                Mux(gone, self.level < highest + 1, self.level < highest),
            )
        )
        m.d.comb += self.room.eq(room)

        if self.spaced and self.register_output:
            # The register is filled when it is empty; a token in it counts as one inside until it has gone.
            valid = Signal()
            payload = Signal(self.shape, reset_less=True)
            fresh = Signal()  # in block RAM, the token that was just written cannot be read yet
            if self.block:
                m.d.sync += fresh.eq(write)
            m.d.sync += valid.eq(Mux(valid, ~self.o.ready, fetch))
            m.d.comb += [
                fetch.eq(~valid & (self.level != gone + fresh)),
                self.o.valid.eq(valid),
                self.o.payload.eq(payload),
            ]
            with m.If(~valid):
                m.d.sync += payload.eq(token)
            return

        if self.spaced:
            m.d.comb += [
                fetch.eq(gone),
                self.o.valid.eq((self.level != 0) & ~gone),
                self.o.payload.eq(token),
            ]
            return

        # The RAM holds a token that has not gone on to the output; exactly one. `write` and `fetch` come late, so what
        # follows without them is worked out beside them.
        single = Signal()
        two = (read_address + 2)[: len(read_address)] == write_port.addr
        m.d.sync += [
            waiting.eq(Mux(fetch, Mux(write, waiting, waiting & ~single), write | waiting)),
            single.eq(Mux(fetch, Mux(write, single, two), Mux(write, ~waiting, single))),
        ]

        if self.register_output:
            # A token that finds the RAM empty passes it by, in the clock in which it is written as well.
            valid = Signal()
            payload = Signal(self.shape, reset_less=True)
            free = ~valid | self.o.ready
            m.d.comb += [
                fetch.eq(free & (waiting | write)),
                self.o.valid.eq(valid),
                self.o.payload.eq(payload),
            ]
            with m.If(free):
                m.d.sync += [
                    payload.eq(Mux(waiting, Value.cast(token), Value.cast(self.i.payload))),
                    valid.eq(waiting | write),
                ]
        else:
            m.d.comb += [fetch.eq(read), self.o.valid.eq(waiting), self.o.payload.eq(token)]
