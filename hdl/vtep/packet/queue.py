"""A store-and-forward queue of packets."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width
from ..stream.fifo import TokenQueue
from ..stream.packet import packet_signature
from .store import FrameStore, check_depth

__all__ = ["PacketQueue"]

FRAMES = 16


class PacketQueue(wiring.Component):
    """Lets a packet go on when all of it is there, so that a slow source does not hold up whom it shares a link with.

    A packet that is longer than the queue goes on when the queue is full.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    depth : int
        Beats, a power of two, 8 or more.

    Attributes
    ----------
    i : In(stream)
        A packet stream; ``ready`` comes from flip-flops.
    o : Out(stream)
        A packet stream: the same packets.
    idle : Out(1)
        Nothing is inside.

    Notes
    -----
    Throughput: a beat a clock. Latency: 8 clocks from a packet's last beat in to its first beat out. At least 16
    packets wait. Reset forgets everything inside.
    """

    def __init__(self, data_width: int, *, depth: int) -> None:
        self._data_width = check_data_width(data_width)
        self._depth = check_depth(depth)
        super().__init__(
            {"i": In(packet_signature(data_width)), "o": Out(packet_signature(data_width)), "idle": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store = store = FrameStore(
            self._data_width, depth=self._depth, frames=FRAMES, frame_margin=4, max_beats=0
        )
        m.submodules.errors = errors = TokenQueue(unsigned(1), 2 * FRAMES)
        accepted = self.i.valid & self.i.ready
        source = self.i.payload
        arrived = Signal(source.shape(), reset_less=True)
        ends = store.write.valid & arrived.last
        m.d.comb += [
            self.i.ready.eq(store.room),
            errors.i.valid.eq(ends),
            errors.i.payload.eq(arrived.error),
        ]
        m.d.sync += [store.write.valid.eq(accepted), arrived.eq(source)]
        for name in ("data", "empty", "last"):
            m.d.comb += getattr(store.write, name).eq(arrived[name])
        # Packets that are there as a whole, less the commands given: -1 where one goes on that is still being written,
        # since it has filled the store and nothing else is on its way out.
        waiting = Signal(range(-1, 2 * FRAMES))
        inside = Signal(range(2 * FRAMES))  # commands whose packets have not left
        full = Signal()
        given = store.commands.valid & store.commands.ready
        leaves = store.beats.valid & store.beats.ready & store.beats.payload.last
        m.d.sync += [
            waiting.eq(waiting + ends - given),
            inside.eq(inside + given - leaves),
            full.eq(~store.room & ~store.vacant & (inside == 0) & ~given),
        ]
        m.d.comb += [
            store.commands.valid.eq((waiting > 0) | (full & (waiting == 0))),
            store.commands.payload.final.eq(1),
            # A packet's error mark is there before its last beat is.
            self.o.valid.eq(store.beats.valid),
            self.o.payload.data.eq(store.beats.payload.data),
            self.o.payload.empty.eq(store.beats.payload.empty),
            self.o.payload.last.eq(store.beats.payload.last),
            self.o.payload.error.eq(store.beats.payload.last & errors.o.payload),
            store.beats.ready.eq(self.o.valid & self.o.ready),
            errors.o.ready.eq(self.o.valid & self.o.ready & store.beats.payload.last),
            self.idle.eq(~store.write.valid & store.vacant & ~errors.o.valid & (inside == 0) & (waiting == 0)),
        ]
        return m
