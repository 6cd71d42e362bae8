"""The frame store: a ring buffer that whole frames, or parts of them, are read from by command."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_data_width, check_power_of_two, check_range
from ..ram_read import ram_read
from ..stream.fifo import TokenQueue
from ..stream.skid import SkidBuffer

__all__ = ["FrameStore", "command_layout", "raw_layout"]

ROOM_MARGIN = 4
"""Beats kept free when ``room`` falls: it is a register behind a count that is one, and a full ring looks empty."""

OUTPUT = 8
"""Beats in the queue behind the memory: more than clocks pass between a read and the place it gives back."""


def check_depth(depth: int) -> int:
    """Return ``depth`` if a store can have it, else raise ValueError with the allowed range."""
    return check_power_of_two("depth", depth, 8, 1 << 24)


def raw_layout(data_width: int) -> data.StructLayout:
    """A beat as it is stored: like a packet's payload, without an error mark."""
    return data.StructLayout(
        {"data": unsigned(data_width), "empty": unsigned((data_width // 8 - 1).bit_length()), "last": unsigned(1)}
    )


def command_layout(skip_range: int) -> data.StructLayout:
    """What to do with the oldest frame.

    ``drop``: forget it, the rest that is still to be written too. Otherwise read it, without its first ``skip``
    beats. ``final``: afterwards go on to the next frame; without it the next command reads the same frame again.
    """
    return data.StructLayout(
        {"drop": unsigned(1), "final": unsigned(1), "skip": unsigned((skip_range - 1).bit_length())}
    )


def sum_equals(a: Value, b: Value, total: Value) -> Value:
    """Whether ``a + b == total``, modulo 2 to the width of ``a``, without a carry chain.

    The carry into each bit that the total asks for must be the one that the bit below gives when it got what it asked
    for.
    """
    width = len(a)
    b, total = Cat(b, Const(0, width))[:width], Cat(total, Const(0, width))[:width]
    given = Cat(Const(0, 1), (a & b) | ((a ^ b) & ~total))[:width]
    return (a ^ b ^ total) == given


class FrameStore(wiring.Component):
    """Ring buffer of frames, written as they come and read in order, by command.

    A command may come as soon as the first beat that it reads is there (cut-through), the ``skip`` beats with it
    too: reading waits for beats that are still to be written. A frame can be read several times (head-end
    replication) or dropped in one clock whatever its length. Space is free again as the final reading goes on.

    Parameters
    ----------
    data_width : int
        Width of a beat's data in bits: 8, 16, 32, 64, 128, 256 or 512.
    depth : int
        Beats, a power of two, 8 or more.
    frames : int
        Frames that may begin before the oldest is done with, a power of two, 16 or more.
    frame_margin : int
        How many frames may still end after ``room`` fell, below ``frames``.
    max_beats : int
        A longer frame is cut to so many beats, 1 or more; 0: none is cut. A frame longer than ``depth - 4`` must be
        read while it is written, and once, or everything stands still.
    skip_range : int
        Commands skip 0 .. ``skip_range - 1`` beats.
    fast : bool
        One clock from command to beat, from distributed RAM, and ``commands.ready`` tells that a command was carried
        out. Otherwise six clocks, for block RAM with output registers and registered handshakes; some commands wait
        inside. One beat a clock in any case, also from frame to frame; of a
        frame that is still being written, the second one a clock later.

    Attributes
    ----------
    write : In
        ``valid``, ``data``, ``empty``, ``last``: beats to be stored, without back-pressure; stop 2 clocks after
        ``room`` fell.
    commands : In(stream)
        Of `command_layout`.
    beats : Out(stream)
        Of `raw_layout`.
    room : Out(1)
        A register: the writer may go on.
    vacant : Out(1)
        A register: nothing is stored, and nothing was a clock before.

    Notes
    -----
    A reset empties the store; a frame that it cut is gone.
    """

    def __init__(
        self,
        data_width: int,
        *,
        depth: int,
        frames: int,
        frame_margin: int,
        max_beats: int,
        skip_range: int = 1,
        fast: bool = False,
    ) -> None:
        check_data_width(data_width)
        check_depth(depth)
        check_power_of_two("frames", frames, 16, 1024)
        check_range("skip_range", skip_range, 1, depth)
        check_range("max_beats", max_beats, 0, 1 << 24)
        check_range("frame_margin", frame_margin, 1, frames - 1)
        self._depth = depth
        self._frames = frames
        self._frame_margin = frame_margin
        self._max_beats = max_beats
        self._fast = fast
        self._skip_range = skip_range
        self._layout = raw_layout(data_width)
        super().__init__(
            {
                "write": In(
                    wiring.Signature(
                        {
                            "valid": Out(1),
                            "data": Out(data_width),
                            "empty": Out(self._layout["empty"].shape),
                            "last": Out(1),
                        }
                    )
                ),
                "commands": In(stream.Signature(command_layout(skip_range))),
                "beats": Out(stream.Signature(self._layout)),
                "room": Out(1),
                "vacant": Out(1, init=1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pointer = unsigned(self._depth.bit_length() - 1)
        attributes = {"ram_style": "distributed"} if self._fast else {}
        m.submodules.memory = memory = Memory(shape=self._layout, depth=self._depth, init=[], attrs=attributes)
        write = memory.write_port()
        # Where the frames end: the last beat of each, and the first behind it, so that no adder is on the way.
        # `beats`: those of the frame less one, counted to two more than a command can skip.
        most = self._skip_range + 1
        end_layout = data.StructLayout({"last": pointer, "behind": pointer, "beats": range(most + 1)})
        m.submodules.ends = ends = TokenQueue(
            end_layout, self._frames, margin=self._frame_margin, register_output=self._fast
        )

        # Writing: a frame beyond max_beats is cut there, so that it always has an end in the store.
        head = Signal(pointer)
        count = Signal(range(self._max_beats + 1))
        beats = Signal(range(most + 1))  # before this one
        cut = Signal()
        take = self.write.valid & ~cut
        at_limit = count == self._max_beats - 1 if self._max_beats else Const(0, 1)
        last = self.write.last | at_limit
        m.d.comb += [
            write.addr.eq(head),
            write.en.eq(take),
            write.data.data.eq(self.write.data),
            write.data.empty.eq(Mux(self.write.last, self.write.empty, 0)),
            write.data.last.eq(last),
            ends.i.valid.eq(take & last),
            ends.i.payload.last.eq(head),
            ends.i.payload.behind.eq(head + 1),
            ends.i.payload.beats.eq(beats),
        ]
        with m.If(self.write.valid):
            m.d.sync += count.eq(Mux(self.write.last, 0, Mux(at_limit, count, count + 1)))
            m.d.sync += cut.eq(~self.write.last & (cut | at_limit))
        with m.If(take):
            m.d.sync += head.eq(head + 1)
            with m.If(last):
                m.d.sync += beats.eq(0)
            with m.Elif(beats != most):
                m.d.sync += beats.eq(beats + 1)

        # Reading sees what was written: up to `seen`, the `oldest` end, and the standing command. If not `fast`, all of
        # them a clock later, from registers.
        seen, oldest, standing = head, ends.o, self.commands
        if not self._fast:
            seen = Signal(pointer)
            m.d.sync += seen.eq(head)
            m.submodules.oldest = oldest_slice = SkidBuffer(end_layout)
            m.submodules.standing = standing_slice = SkidBuffer(self.commands.payload.shape())
            wiring.connect(m, ends.o, oldest_slice.i)
            wiring.connect(m, wiring.flipped(self.commands), standing_slice.i)
            oldest, standing = oldest_slice.o, standing_slice.o

        # `base` is the first beat of the oldest frame, `position` the next beat to read of it.
        command = standing.payload
        end = oldest.payload
        base = Signal(pointer)
        position = Signal(pointer)
        started = Signal()
        go = Signal()
        address = Signal(pointer)
        step = Signal()
        ending = Signal()
        m.d.comb += [
            address.eq(Mux(started, position, base + command.skip)),
        ]
        if self._fast:
            m.d.comb += [
                step.eq(standing.valid & ~command.drop & (~started | (position != seen)) & go),
                ending.eq(oldest.valid & Mux(started, position == end.last, end.beats == command.skip)),
            ]
        else:
            # The comparisons are made a clock before, for the beat that stands then and for the next one. Of a frame
            # whose end was not known then, a beat is read only if there was one more, and so it is not the last.
            ended, behind, at_last = Signal(), Signal(), Signal()
            second_last = Mux(started, sum_equals(position, Const(1), end.last), end.beats == command.skip + 1)
            m.d.sync += [
                ended.eq(oldest.valid),
                behind.eq(started & (position != seen) & ~sum_equals(position, Const(1), seen)),
                at_last.eq(Mux(step, second_last, position == end.last)),
            ]
            m.d.comb += [
                step.eq(standing.valid & ~command.drop & (~started | ended | behind) & go),
                ending.eq(Mux(started, ended & at_last, oldest.valid & (end.beats == command.skip))),
            ]
        done = Signal()
        m.d.comb += done.eq(Mux(command.drop, standing.valid & oldest.valid, step & ending))
        m.d.comb += standing.ready.eq(done)
        m.d.comb += oldest.ready.eq(done & (command.drop | command.final))
        with m.If(step):
            # `address` plus 1, without the way to the memory and back that its choice would be.
            m.d.sync += position.eq(Mux(started, position + 1, base + (command.skip + 1)))
            m.d.sync += started.eq(~ending)
        with m.If(oldest.ready):
            m.d.sync += base.eq(end.behind)

        # Room is given back a clock later, from registers.
        free_from = Signal(pointer)
        finished, used_up, flushed = Signal(), Signal(), Signal()
        m.d.sync += [
            finished.eq(oldest.ready),
            used_up.eq(step & command.final),
            # All that is there belongs to the frame to be dropped, and its end may need the room.
            flushed.eq(standing.valid & command.drop & ~oldest.valid),
        ]
        with m.If(finished):
            m.d.sync += free_from.eq(base)
        with m.Elif(used_up):
            m.d.sync += free_from.eq(position)
        with m.Elif(flushed):
            m.d.sync += free_from.eq(seen)

        used = Signal(pointer)
        m.d.comb += used.eq(head - free_from)
        m.d.sync += self.room.eq((used < self._depth - ROOM_MARGIN) & ends.room)
        m.d.sync += self.vacant.eq((used == 0) & ~ends.o.valid & ~oldest.valid & ~self.write.valid)

        fetched = Signal()
        if self._fast:
            read = memory.read_port()
            m.d.comb += [
                read.addr.eq(address),
                go.eq(~fetched | self.beats.ready),
                read.en.eq(go),
                self.beats.valid.eq(fetched),
                self.beats.payload.eq(read.data),
            ]
            with m.If(go):
                m.d.sync += fetched.eq(step)
        else:
            # Registers follow the memory without back-pressure, one to be near it and one to be near the queue behind,
            # in which `waiting` keeps room for what is in them.
            m.submodules.output = output = TokenQueue(self._layout, OUTPUT)
            m.submodules.beats = beats_slice = SkidBuffer(self._layout)
            landed = Signal(2)
            near, landing = Signal(self._layout, reset_less=True), Signal(self._layout, reset_less=True)
            waiting = Signal(range(OUTPUT + 1))
            # What is read was written a clock before, at the latest.
            place, word = ram_read(m, memory)
            m.d.comb += [
                place.eq(address),
                go.eq(~waiting[-1]),
                output.i.valid.eq(landed[1]),
                output.i.payload.eq(landing),
            ]
            m.d.sync += [
                fetched.eq(step),
                landed.eq(Cat(fetched, landed[0])),
                near.eq(word),
                landing.eq(near),
                waiting.eq(waiting + step - (output.o.valid & output.o.ready)),
            ]
            wiring.connect(m, output.o, beats_slice.i)
            wiring.connect(m, beats_slice.o, wiring.flipped(self.beats))
        return m
