"""What takes frames from the host port at any rate, and keeps those for which there is room."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_data_width, check_power_of_two
from ..ram_read import ram_read
from ..stream.fifo import TokenQueue
from ..stream.packet import packet_signature

__all__ = ["FrameIntake"]

FRAMES = 16
"""Frames that may wait."""


class FrameIntake(wiring.Component):
    """Keeps whole frames in block RAM and gives their bytes by place; what finds no room is dropped whole.

    ``i.ready`` is always high: whoever sends is never held up, and a frame marked bad is forgotten.

    Parameters
    ----------
    data_width : int
        Of ``i``: 8, 16, 32, 64, 128, 256 or 512.
    depth : int
        Beats that it holds, and one; a power of two, 8 .. 65536, at least 128 bytes.

    Attributes
    ----------
    i : packet stream, in
    valid : Signal(), out
        A frame is there as a whole.
    last_place : Signal(range(depth * data_width // 8)), out
        Place of its last byte, its length less one.
    take : Signal(), in
        Forget that frame and turn to the next one. Only with ``valid``.
    place : Signal(range(depth * data_width // 8)), in
        Which byte of the frame to read.
    byte : Signal(8), out
        That byte, 2 clocks later; what is beyond the frame is unspecified.
    no_room, marked : Signal(), out
        High for a clock: a frame was dropped because there was no room for it, or because it was marked.

    Notes
    -----
    Throughput: a beat a clock. A frame is ``valid`` 2 clocks behind its last beat. Reset forgets everything inside;
    the next beat begins a frame.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int, depth: int) -> None:
        self._lanes = check_data_width(data_width) // 8
        self._depth = check_power_of_two("depth", depth, max(8, 128 // self._lanes), 1 << 16)
        place = unsigned((depth * self._lanes - 1).bit_length())
        super().__init__(
            {
                "i": In(packet_signature(data_width)),
                "valid": Out(1),
                "last_place": Out(place),
                "take": In(1),
                "place": In(place),
                "byte": Out(8),
                "no_room": Out(1),
                "marked": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lanes = self._lanes
        lane_bits = (lanes - 1).bit_length()
        pointer = unsigned(self._depth.bit_length() - 1)
        m.submodules.memory = memory = Memory(shape=8 * lanes, depth=self._depth, init=[], attrs={"ram_style": "block"})
        m.submodules.ends = ends = TokenQueue(self.last_place.shape(), FRAMES, register_output=True)
        # A frame is read when all of it is there.
        write, (read_address, read_word) = memory.write_port(), ram_read(m, memory)
        i = self.i

        # Where the next beat goes, where its frame began, where the oldest frame begins.
        head, start, oldest = Signal(pointer), Signal(pointer), Signal(pointer)
        lost = Signal()
        room, ends_here, kept = Signal(), Signal(), Signal()
        m.d.comb += [
            i.ready.eq(1),
            room.eq(((head + 1)[: len(head)] != oldest) & ends.i.ready & ~lost),
            ends_here.eq(i.valid & i.payload.last),
            kept.eq(ends_here & room & ~i.payload.error),
            write.addr.eq(head),
            write.data.eq(i.payload.data),
            write.en.eq(i.valid),
            ends.i.valid.eq(kept),
            ends.i.payload.eq(Cat(~i.payload.empty, (head - start)[: len(head)])),
            ends.o.ready.eq(self.take),
            self.valid.eq(ends.o.valid),
            self.last_place.eq(ends.o.payload),
        ]
        with m.If(ends_here):
            m.d.sync += lost.eq(0)
            with m.If(kept):
                m.d.sync += [head.eq(head + 1), start.eq(head + 1)]
            with m.Else():
                m.d.sync += head.eq(start)
        with m.Elif(i.valid):
            m.d.sync += lost.eq(~room)
            with m.If(room):
                m.d.sync += head.eq(head + 1)
        with m.If(self.take):
            m.d.sync += oldest.eq(oldest + self.last_place[lane_bits:] + 1)
        m.d.sync += [
            self.no_room.eq(ends_here & ~room & ~i.payload.error),
            self.marked.eq(ends_here & i.payload.error),
        ]

        # The read passes a register before a lane is chosen, since block RAM is slow.
        word = Signal(8 * lanes, reset_less=True)
        lane, lane_before = Signal(lane_bits), Signal(lane_bits)
        m.d.comb += [
            read_address.eq(oldest + self.place[lane_bits:]),
            self.byte.eq(word.word_select(lane, 8)),
        ]
        m.d.sync += [word.eq(read_word), lane_before.eq(self.place[:lane_bits]), lane.eq(lane_before)]
        return m
