"""Tokens of any shape from one clock domain into another, each of them once."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_power_of_two
from .crossing import STAGES, hand_over

__all__ = ["TokenCrossing"]

MIN_DEPTH, MAX_DEPTH = 2, 1024


class TokenCrossing(wiring.Component):
    """Carries tokens from the domain ``write`` into the domain ``read``; rename these with `DomainRenamer`.

    The clocks may have any frequencies, and stop at any time. What tells how far either side is, is not reset: a reset
    of either side loses no token that is inside, and brings none twice.

    Parameters
    ----------
    shape : shape-like
        Shape of a token.
    depth : int
        Tokens, a power of two, 2 .. 1024.

    Attributes
    ----------
    i : stream of ``shape``, in, domain ``write``
        ``ready`` rests on flip-flops.
    o : stream of ``shape``, out, domain ``read``
        From flip-flops.
    latency : tuple of int
        From a token at ``i``: clocks of ``write``, and then clocks of ``read``, to ``o``, when none was under way; one
        clock of ``read`` less or more as the phases have it.

    Notes
    -----
    Throughput: how far the other side is, each learns by a handshake that takes up to four clocks of either; in that
    time ``depth`` tokens pass at most.

    Raises
    ------
    ValueError
        ``depth`` is out of its range.
    """

    latency = (2, STAGES + 2)

    def __init__(self, shape: Any, depth: int = 16) -> None:
        self._shape = shape
        self._depth = check_power_of_two("depth", depth, MIN_DEPTH, MAX_DEPTH)
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=self._shape, depth=self._depth, init=[])
        write_port, read_port = memory.write_port(domain="write"), memory.read_port(domain="read")
        # They count twice around the memory, so that full is not empty.
        written, read = (Signal(range(2 * self._depth), name=name, reset_less=True) for name in ("written", "read"))
        freed, complete = hand_over(m, read, "read", "write"), hand_over(m, written, "write", "read")
        used = Signal.like(written)
        i, o = self.i, self.o
        m.d.comb += [
            used.eq(written - freed),
            i.ready.eq(~used[-1]),
            write_port.addr.eq(written),
            write_port.data.eq(i.payload),
            write_port.en.eq(i.valid & i.ready),
        ]
        with m.If(i.valid & i.ready):
            m.d.write += written.eq(written + 1)

        # The RAM's register holds the token at the output; it is taken out of the count when it has gone.
        # A reset empties that register, and so it is fetched again.
        valid = Signal()
        following = Signal.like(read)
        m.d.comb += [
            following.eq(read + (valid & o.ready)),
            read_port.addr.eq(following),
            read_port.en.eq(~valid | o.ready),
            o.valid.eq(valid),
            o.payload.eq(read_port.data),
        ]
        m.d.read += read.eq(following)
        with m.If(read_port.en):
            m.d.read += valid.eq(following != complete)
        return m
