"""Packets from one clock domain into another, whole or not at all."""

from typing import Any

from amaranth.hdl import Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_data_width, check_power_of_two
from .packet import packet_layout, packet_signature

__all__ = ["MIN_DEPTH", "STAGES", "PacketCrossing", "hand_over"]

MIN_DEPTH = 16
"""Beats of the smallest crossing."""

MAX_DEPTH = 1 << 16

STAGES = 2
"""Flip-flops of a synchronizer."""


class PacketCrossing(wiring.Component):
    """Carries packets from the domain ``write`` into the domain ``read``; rename these with `DomainRenamer`.

    A packet goes on when all of it is inside, so that it leaves without a pause whatever its source does. The clocks
    may have any frequencies, and stop at any time.

    Either side may be reset at any time. A packet that is being written then is forgotten. Of a packet that is being
    read then, the reader gets no more, as it has forgotten the first part too: it goes on with the packet behind it.
    All others stay. So none is ever cut, and no reset has to wait for the other side: what tells how far either is, is
    not reset.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    depth : int
        Beats, a power of two, 16 .. 65,536. Packets of up to ``depth - 1`` beats pass.
    lossy : bool
        What happens to a packet for which there is no room. True, for a source that cannot wait: ``i.ready`` is always
        high, and the packet is dropped whole. False: the source waits; only a packet that is too long for the whole
        buffer is dropped.

    Attributes
    ----------
    i : packet stream, in, domain ``write``
        ``ready`` comes from flip-flops.
    o : packet stream, out, domain ``read``
        From flip-flops, ``valid`` through a gate; it does not fall within a packet.
    dropped : Signal(), out, domain ``write``
        High for a clock behind the last beat of a packet that was dropped.
    latency : tuple of int
        From a packet's last beat at ``i``: clocks of ``write``, and then clocks of ``read``, to its first beat at
        ``o``, when the output was idle for some clocks; one clock of ``read`` less or more as the phases have it.

    Notes
    -----
    Throughput: a beat each clock on either side. How far the other side is, each learns by a handshake of some clocks
    of both: a bus that stands still while one bit that tells of it passes two flip-flops. So what it knows is only
    ever too old: there may be more room, or more packets, than it sees.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    latency = (2, STAGES + 4)

    def __init__(self, data_width: int, *, depth: int, lossy: bool) -> None:
        check_data_width(data_width)
        self._depth = check_power_of_two("depth", depth, MIN_DEPTH, MAX_DEPTH)
        self._lossy = lossy
        self._layout = packet_layout(data_width)
        super().__init__(
            {"i": In(packet_signature(data_width)), "o": Out(packet_signature(data_width)), "dropped": Out(1)}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=self._layout, depth=self._depth, init=[])
        # Beats that were written, of complete packets only, and beats that were read. They count twice around the
        # memory, so that full is not empty.
        written, read = (Signal(range(2 * self._depth), name=name, reset_less=True) for name in ("written", "read"))
        self._write(m, memory, written, hand_over(m, read, "read", "write"))
        self._read(m, memory, read, hand_over(m, written, "write", "read"))
        return m

    def _write(self, m: Module, memory: Memory, written: Signal, freed: Signal) -> None:
        i = self.i
        port = memory.write_port(domain="write")
        reset = ResetSignal("write", allow_reset_less=True)
        head = Signal.like(written, reset_less=True)
        inside = Signal()  # a packet that began
        spoiled = Signal()  # the rest of it is thrown away
        # Worked out a clock before, and so two beats are kept in reserve: one of then, one of now.
        room = Signal(init=1, reset_less=True)
        hopeless = Signal(
            reset_less=True
        )  # and there will be none, since all that is there belongs to the packet under way
        used = Signal.like(written)
        m.d.comb += used.eq(head - freed)
        m.d.write += [room.eq(used <= self._depth - 2), hopeless.eq((used > self._depth - 2) & (written == freed))]

        take = Signal()
        fits = Signal()
        m.d.comb += [
            i.ready.eq(1 if self._lossy else room | spoiled),
            take.eq(i.valid & i.ready & ~reset),
            fits.eq(room & ~spoiled),
            port.addr.eq(head),
            port.data.eq(i.payload),
            port.en.eq(room),  # the next place is free, so it may hold anything
        ]
        m.d.write += self.dropped.eq(take & i.payload.last & ~fits)
        if not self._lossy:
            with m.If(inside & hopeless):
                m.d.write += spoiled.eq(1)
        with m.If(take):
            m.d.write += [inside.eq(~i.payload.last), spoiled.eq(~fits & ~i.payload.last)]
            with m.If(fits):
                m.d.write += head.eq(head + 1)
                with m.If(i.payload.last):
                    m.d.write += written.eq(head + 1)
            with m.Elif(i.payload.last):
                m.d.write += head.eq(written)
        with m.If(reset):
            m.d.write += head.eq(written)

    def _read(self, m: Module, memory: Memory, read: Signal, complete: Signal) -> None:
        o = self.o
        port = memory.read_port(domain="read")
        reset = ResetSignal("read", allow_reset_less=True)
        next_read = Signal.like(read, reset_less=True)  # ahead of `read` by the beats in the two registers
        fetched, valid = Signal(), Signal()
        payload = Signal(self._layout, reset_less=True)
        inside = Signal(reset_less=True)  # a packet that began to leave
        skip = Signal(reset_less=True)  # the rest of it is thrown away
        more = Signal()  # there is a beat to fetch; found out a clock ahead, so a new one is seen a clock late
        pop, advance, fetch = Signal(), Signal(), Signal()
        m.d.comb += [
            o.valid.eq(valid & ~skip),
            o.payload.eq(payload),
            pop.eq(valid & (skip | o.ready) & ~reset),
            advance.eq(~valid | skip | o.ready),
            port.en.eq(~fetched | advance),
            port.addr.eq(next_read),
            fetch.eq(port.en & more),
        ]
        one_more = (next_read + 1)[: len(next_read)] != complete
        m.d.read += more.eq(Mux(fetch, one_more, next_read != complete))
        with m.If(port.en):
            m.d.read += fetched.eq(more)
        with m.If(fetch):
            m.d.read += next_read.eq(next_read + 1)
        with m.If(advance):
            m.d.read += [valid.eq(fetched), payload.eq(port.data)]
        with m.If(pop):
            m.d.read += [read.eq(read + 1), inside.eq(~payload.last)]
            with m.If(payload.last):
                m.d.read += skip.eq(0)
        with m.If(reset):
            m.d.read += [next_read.eq(read), skip.eq(inside)]


def hand_over(m: Module, near: Signal, source: str, target: str) -> Signal:
    """Return what ``near``, of the domain ``source``, was a while ago, for the domain ``target``."""
    name = f"{near.name}_to_{target}"
    held, far = (Signal.like(near, name=f"{name}_{end}", reset_less=True) for end in ("held", "far"))
    request, answer = Signal(name=f"{name}_request", reset_less=True), Signal(name=f"{name}_answer", reset_less=True)
    requested, answered = Signal(name=f"{name}_requested"), Signal(name=f"{name}_answered")
    m.submodules[f"{name}_there"] = FFSynchronizer(request, requested, o_domain=target, reset_less=True, stages=STAGES)
    m.submodules[f"{name}_back"] = FFSynchronizer(answer, answered, o_domain=source, reset_less=True, stages=STAGES)
    # Found out a clock ahead; until it sees what was handed over, it is not asked.
    differs = Signal(name=f"{name}_differs", reset_less=True)
    m.d[source] += differs.eq(held != near)
    with m.If((answered == request) & differs):
        m.d[source] += [held.eq(near), request.eq(~request)]
    with m.If(requested != answer):
        m.d[target] += [far.eq(held), answer.eq(requested)]
    return far
