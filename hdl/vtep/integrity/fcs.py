"""The frame check sequence on the packet stream: appended on transmit, checked and removed on receive."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width, check_range
from ..stream.packet import packet_signature
from .crc import RESIDUE, CrcAccumulator, CrcUnpadder, LevelPipeline, delay, state_coordinates
from .gf2 import multiply, power_of_x
from .release_queue import ReleaseQueue

__all__ = ["FCS_LENGTH", "MIN_LENGTH", "FcsCheck", "FcsInsert"]

FCS_LENGTH = 4
"""Bytes of the FCS."""

MIN_LENGTH = 60
"""Shortest frame on a wire in bytes, without FCS (IEEE 802.3 clause 4A.2.3.2.4 and 4A.4.2: minFrameSize 64)."""

_MIN_DEPTH = 16  # a distributed RAM of either vendor is no smaller


def _queue_depth(beats: int) -> int:
    return max(_MIN_DEPTH, 1 << (beats - 1).bit_length())


def _empty_lanes(lanes: int, empty: Value) -> Value:
    """One bit a lane, set where the lane holds no byte.

    Written as comparisons of the two halves of the count with constants, which are one LUT each: a comparison of
    the whole count would be built as a subtraction.
    """
    half = len(empty) // 2
    low, high = empty[:half], empty[half:]

    def reaches(count: int) -> Value:
        low_count, high_count = count % (1 << half), count >> half
        above = _at_least(high, high_count + 1)
        return above | (_at_least(high, high_count) & _at_least(low, low_count))

    return Cat(C(0, 1), *(reaches(lanes - lane) for lane in range(1, lanes)))


def _at_least(value: Value, limit: int) -> Value:
    """``value >= limit`` as a look-up."""
    table = sum(1 << i for i in range(1 << len(value)) if i >= limit)
    return C(table, 1 << len(value)).bit_select(value, 1)


def _front(lanes: int) -> int:
    """Registers in front of the CRC: with many lanes, to work out which are empty takes a clock of its own."""
    return 2 if lanes > 8 else 1


def _blanked(m: Module, value: Value, blank: Value) -> Signal:
    """Bytes ``value`` with zeros in the lanes ``blank``, `_front` clocks later."""
    lanes = len(blank)
    value = delay(m, value, _front(lanes) - 1)
    blank = delay(m, blank, _front(lanes) - 1)
    result = Signal(len(value), reset_less=True)
    for lane in range(lanes):
        # Written so that it becomes the registers' synchronous reset, not a LUT a bit.
        byte = slice(8 * lane, 8 * lane + 8)
        m.d.sync += result[byte].eq(value[byte])
        with m.If(blank[lane]):
            m.d.sync += result[byte].eq(0)
    return result


def _advance(m: Module, o: wiring.PureInterface, queue: ReleaseQueue, valid: Value) -> Value:
    """Take from the queue when the output register ``o`` moves; returns that register's enable for the payload.

    ``valid`` is loaded into ``o.valid``. The payload's enable has hundreds of loads, and the logic in front of it
    has to stand in their middle. So it has a copy of ``o.valid`` of its own, the inverted one, which synthesis does
    not merge with the other.
    """
    advance = Signal()
    free = Signal(init=1)
    m.d.comb += [advance.eq(~o.valid | o.ready), queue.pop.eq(advance & queue.valid)]
    with m.If(advance):
        m.d.sync += [o.valid.eq(valid), free.eq(~valid)]
    return free | o.ready


class FcsInsert(wiring.Component):
    """Append the FCS to every frame.

    Any frame of at least one byte. A frame marked ``error`` keeps its mark and gets every bit of its FCS
    inverted, so that a receiver that knows nothing of the mark drops it too. One beat a clock leaves as long as
    the input keeps up: no bubble within a frame or between frames. A frame whose FCS needs a beat of its own
    holds up the input for that clock. ``i.ready`` comes from registers alone. Reset in the middle of a frame
    forgets the frame: the next beat is the first of a new one.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    pad : bool
        Extend frames shorter than 60 bytes with zeros to 60 bytes first.
    levels : int
        LUT levels between the registers of the CRC, 1 .. 8: fewer give a higher clock rate and a longer latency.

    Attributes
    ----------
    latency : int
        Clocks from an accepted beat to the beat at the output, when that is ready and nothing is in between.

    Members
    -------
    i : In(packet_signature(data_width))
        Frames without FCS.
    o : Out(packet_signature(data_width))
        Frames with FCS.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int, *, pad: bool = False, levels: int = 2) -> None:
        check_data_width(data_width)
        check_range("levels", levels, 1, 8)
        self._accumulator = CrcAccumulator(data_width, levels)
        self._unpadder = CrcUnpadder(data_width, levels)
        self._crc_latency = self._accumulator.latency + self._unpadder.latency
        self._data_width = data_width
        self._lanes = data_width // 8
        self._pad = pad
        # Registers in front of the CRC, one behind its rotation, the queue and the output; a wide beat has another
        # between the queue's RAM and the multiplexers of its lanes, where it is mostly on its way.
        inside = _front(self._lanes) + self._crc_latency + 3
        self._queue_depth = _queue_depth(inside)
        self._wide_output = self._lanes > 8
        self.latency = inside + self._wide_output
        super().__init__({"i": In(packet_signature(data_width)), "o": Out(packet_signature(data_width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._lanes
        bits = (lanes - 1).bit_length()
        m.submodules.queue = queue = ReleaseQueue(
            data.StructLayout({"data": self._data_width, "from_fcs": lanes, "empty": bits, "last": 1, "error": 1}),
            data.ArrayLayout(8, FCS_LENGTH),
            self._queue_depth,
            reserve=0,
        )

        # Input: a beat from outside, one of padding, or one for the part of an FCS that the last beat cannot hold.
        fire = Signal()
        first = Signal(init=1)
        rest = Signal(max(1, FCS_LENGTH // lanes))  # thermometer code of the beats of FCS alone that are due
        padding, last, empty, error = self._padder(m, fire & ~rest[0]) if self._pad else self._no_padder()
        fits = empty[2:].any() if bits > 2 else C(0, 1)  # the FCS into the last beat
        m.d.comb += [
            self.i.ready.eq(queue.room & ~padding & ~rest[0]),
            fire.eq(queue.room & (padding | rest[0] | self.i.valid)),
            queue.book.eq(fire),
        ]
        beat_layout = data.StructLayout(
            {"first": 1, "last": 1, "empty": bits, "error": 1, "turn": 2, "rest": 1, "ends": 1}
        )
        beat = Signal(beat_layout, reset_less=True)
        with m.If(fire):
            m.d.sync += beat.rest.eq(rest[0])
            with m.If(rest[0]):
                # The CRC's state, the count and the mark stand, so the same FCS comes once more, turned on.
                m.d.sync += [
                    rest.eq(rest[1:]),
                    beat.turn.eq(beat.turn + lanes),
                    beat.ends.eq(~rest[1:].any()),
                ]
            with m.Else():
                m.d.sync += [
                    first.eq(last),
                    rest.eq((last & ~fits).replicate(len(rest))),
                    beat.first.eq(first),
                    beat.last.eq(last),
                    beat.empty.eq(empty),
                    beat.error.eq(error),
                    beat.turn.eq(empty - lanes),
                    beat.ends.eq(last & fits),
                ]
        # Empty lanes are zero, for the CRC and as padding.
        blank = _empty_lanes(lanes, self.i.payload.empty) | padding.replicate(lanes)
        beat_data = _blanked(m, self.i.payload.data, blank)
        beat_valid = delay(m, fire, _front(lanes), reset_less=False)
        from_fcs = (_empty_lanes(lanes, beat.empty) | beat.rest.replicate(lanes)) & beat.last.replicate(lanes)
        from_fcs = delay(m, from_fcs, _front(lanes) - 1)
        beat = beat_layout(delay(m, beat.as_value(), _front(lanes) - 1))

        m.d.comb += [
            queue.write.eq(beat_valid),
            queue.write_entry.data.eq(beat_data),
            queue.write_entry.from_fcs.eq(from_fcs),
            # Behind the FCS; where that needs more beats, the same figure is right by wrapping around.
            queue.write_entry.empty.eq(Mux(beat.ends, beat.empty - FCS_LENGTH, 0)),
            queue.write_entry.last.eq(beat.ends),
            queue.write_entry.error.eq(beat.error & beat.ends),
            queue.release.eq(delay(m, beat_valid, self._crc_latency + 1, reset_less=False)),
            queue.release_note.eq(self._fcs(m, beat, beat_data, beat_valid & ~beat.rest)),
        ]

        o = self.o
        entry, note, valid = queue.read_entry, queue.read_note, queue.valid
        if self._wide_output:
            entry = Signal.like(queue.read_entry, reset_less=True)
            note = Signal.like(queue.read_note, reset_less=True)
            valid = Signal()
        with m.If(_advance(m, o, queue, valid)):
            if self._wide_output:
                m.d.sync += [entry.eq(queue.read_entry), note.eq(queue.read_note), valid.eq(queue.valid)]
            m.d.sync += [
                o.payload.empty.eq(entry.empty),
                o.payload.last.eq(entry.last),
                o.payload.error.eq(entry.error),
            ]
            for lane in range(lanes):
                byte = slice(8 * lane, 8 * lane + 8)
                m.d.sync += o.payload.data[byte].eq(
                    Mux(entry.from_fcs[lane], note[lane % FCS_LENGTH], entry.data[byte])
                )
        return m

    def _fcs(self, m: Module, beat: data.View, beat_data: Value, beat_valid: Value) -> Value:
        """The FCS, turned so that its bytes stand in their lanes, one clock later than the CRC."""
        m.submodules.accumulator = accumulator = self._accumulator
        m.submodules.unpadder = unpadder = self._unpadder
        m.d.comb += [
            accumulator.valid.eq(beat_valid),
            accumulator.first.eq(beat.first),
            accumulator.data.eq(beat_data),
            unpadder.state.eq(accumulator.state),
            unpadder.empty.eq(delay(m, beat.empty, accumulator.latency)),
        ]
        turn = delay(m, beat.turn, self._crc_latency)
        error = delay(m, beat.error, self._crc_latency)
        turned: Value = unpadder.crc
        for i in range(2):
            turned = Mux(turn[i], turned.rotate_right(8 << i), turned)
        fcs = Signal(32, reset_less=True)
        m.d.sync += fcs.eq(turned ^ error.replicate(32))
        return fcs

    def _no_padder(self) -> tuple[Value, Value, Value, Value]:
        payload = self.i.payload
        return C(0, 1), payload.last, payload.empty, payload.error

    def _padder(self, m: Module, fire: Value) -> tuple[Value, Value, Value, Value]:
        """Let a short frame go on with beats of zeros; returns padding, last, empty and error of the beat."""
        payload = self.i.payload
        lanes = self._lanes
        beats = -(-MIN_LENGTH // lanes)
        limit = beats * lanes - MIN_LENGTH  # empty lanes of a frame of the minimum length
        padding = Signal()
        marked = Signal()
        index = Signal(range(max(2, beats)))  # of the beat, as long as it is short
        short = Signal(init=beats > 1)  # the beat is in front of the one that reaches the minimum length
        reaching = Signal(init=beats == 1)  # the beat is that one
        ends = Signal()
        last = Signal()
        error = Signal()
        empty = Signal.like(payload.empty)
        m.d.comb += [
            ends.eq(padding | payload.last),
            last.eq(ends & ~short),
            error.eq(Mux(padding, marked, payload.error)),
            empty.eq(payload.empty),
        ]
        with m.If(short):
            m.d.comb += empty.eq(0)
        with m.Elif(reaching & (padding | (payload.empty > limit))):
            m.d.comb += empty.eq(limit)
        with m.If(fire):
            m.d.sync += [padding.eq(ends & short), marked.eq(error)]
            with m.If(last):
                m.d.sync += [index.eq(0), short.eq(beats > 1), reaching.eq(beats == 1)]
            with m.Else():
                nearly = index == beats - 2
                m.d.sync += [index.eq(index + 1), short.eq(short & ~nearly), reaching.eq(short & nearly)]
        return padding, last, empty, error


class FcsCheck(wiring.Component):
    """Check the FCS of every frame and remove it.

    ``error`` is set on the last beat of a frame whose FCS is wrong or which came marked. A frame of fewer than 5
    bytes holds no FCS and a byte to go in front of it: it leaves as its last beat alone, as it came (with up to 4
    bytes), and marked. The CRC is not compared with the received one but with its residue, which here is one
    constant for each count of empty lanes, so that nothing has to be undone.

    A beat is taken every clock while the output is ready. ``i.ready`` comes from registers alone. Reset in the
    middle of a frame forgets the frame: the next beat is the first of a new one.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    levels : int
        LUT levels between the registers of the CRC, 1 .. 8: fewer give a higher clock rate and a longer latency.

    Attributes
    ----------
    latency : int
        Clocks from an accepted beat to the beat at the output, when that is ready, nothing is in between, and the
        beats behind it that may hold the FCS follow without a pause.

    Members
    -------
    i : In(packet_signature(data_width))
        Frames with FCS.
    o : Out(packet_signature(data_width))
        Frames without FCS.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int, *, levels: int = 2) -> None:
        check_data_width(data_width)
        check_range("levels", levels, 1, 8)
        self._accumulator = CrcAccumulator(data_width, levels)
        self._data_width = data_width
        self._lanes = data_width // 8
        self._levels = levels
        self._held = max(1, FCS_LENGTH // self._lanes)
        compare = -(-_COMPARE_DEPTH // levels)
        self._verdict = self._accumulator.latency + compare
        # Registers in front, the beats that may hold the FCS, the queue and the output.
        self._front = _front(self._lanes)
        self.latency = self._front + self._held + self._verdict + 2
        self._queue_depth = _queue_depth(self._front + self._held + self._verdict + 2)
        super().__init__({"i": In(packet_signature(data_width)), "o": Out(packet_signature(data_width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._lanes
        bits = (lanes - 1).bit_length()
        entry_layout = data.StructLayout({"data": self._data_width, "empty": bits, "last": 1})
        m.submodules.queue = queue = ReleaseQueue(
            entry_layout,
            unsigned(1),
            self._queue_depth,
            # When ``room`` falls, the registers in front and the beats held back are still to come.
            reserve=self._front + self._held,
        )
        i = self.i
        first = Signal(init=1)
        fire = Signal()
        m.d.comb += [i.ready.eq(queue.room), fire.eq(i.valid & i.ready)]
        with m.If(fire):
            m.d.sync += first.eq(i.payload.last)
        beat_layout = data.StructLayout({"first": 1, "empty": bits, "last": 1, "error": 1})
        fields = Cat(first, i.payload.empty, i.payload.last, i.payload.error)
        beat = beat_layout(delay(m, fields, self._front))
        beat_valid = delay(m, fire, self._front, reset_less=False)
        beat_data = _blanked(m, i.payload.data, _empty_lanes(lanes, i.payload.empty))

        # Beats are held back until it is known that they are not all FCS, and how much of them is.
        strip = self._strip_narrow if lanes <= FCS_LENGTH else self._strip_wide
        late, short = strip(m, beat, beat_data, beat_valid, queue)
        m.d.comb += queue.book.eq(queue.write)

        bad = self._judge(m, beat, beat_data, beat_valid, short)
        bad_before = Signal(reset_less=True)
        m.d.sync += bad_before.eq(bad)
        m.d.comb += [
            queue.release.eq(delay(m, queue.write, self._verdict, reset_less=False)),
            queue.release_note.eq(Mux(delay(m, late, self._verdict), bad_before, bad)),
        ]

        o = self.o
        with m.If(_advance(m, o, queue, queue.valid)):
            m.d.sync += [
                o.payload.data.eq(queue.read_entry.data),
                o.payload.empty.eq(queue.read_entry.empty),
                o.payload.last.eq(queue.read_entry.last),
                o.payload.error.eq(queue.read_note & queue.read_entry.last),
            ]
        return m

    def _strip_narrow(
        self, m: Module, beat: data.View, beat_data: Value, beat_valid: Value, queue: ReleaseQueue
    ) -> tuple[Value, Value]:
        """The FCS fills whole beats' worth of bytes: the beat that is that far ahead becomes the last one."""
        held_data = beat_data
        held = Signal(self._held)  # thermometer code of this frame's beats held
        with m.If(beat_valid):
            m.d.sync += held.eq(Mux(beat.last, 0, Cat(1, held)))
            for _ in range(self._held):
                stage = Signal(self._data_width, reset_less=True)
                m.d.sync += stage.eq(held_data)
                held_data = stage
        full = held[-1]
        m.d.comb += [
            queue.write.eq(beat_valid & (full | beat.last)),
            queue.write_entry.data.eq(Mux(full, held_data, beat_data)),
            queue.write_entry.empty.eq(beat.empty),
            queue.write_entry.last.eq(beat.last),
        ]
        return C(0, 1), ~full

    def _strip_wide(
        self, m: Module, beat: data.View, beat_data: Value, beat_valid: Value, queue: ReleaseQueue
    ) -> tuple[Value, Value]:
        """The FCS ends in the last beat and may begin in the one before."""
        lanes = self._lanes
        bits = (lanes - 1).bit_length()
        held_data = Signal(self._data_width, reset_less=True)
        held_empty = Signal(bits, reset_less=True)
        held = Signal()  # a beat whose successor is not known yet
        held_last = Signal()  # a frame's last beat, which leaves at once
        all_fcs = Signal()  # the beat holds nothing but FCS
        shorter = (beat.empty + FCS_LENGTH)[:bits]
        m.d.comb += all_fcs.eq(beat.last & (beat.empty >= lanes - FCS_LENGTH))
        m.d.sync += held_last.eq(beat_valid & beat.last & ~(all_fcs & held))
        with m.If(beat_valid):
            m.d.sync += [
                held.eq(~beat.last),
                held_data.eq(beat_data),
                held_empty.eq(Mux(all_fcs, beat.empty, shorter)),
            ]
        m.d.comb += [
            queue.write.eq(held_last | (held & beat_valid)),
            queue.write_entry.data.eq(held_data),
            queue.write_entry.empty.eq(Mux(held_last, held_empty, Mux(all_fcs, shorter, 0))),
            queue.write_entry.last.eq(held_last | all_fcs),
        ]
        return held_last, all_fcs & ~held

    def _judge(self, m: Module, beat: data.View, beat_data: Value, beat_valid: Value, short: Value) -> Value:
        """Whether the frame is bad, `_verdict` clocks after its last beat."""
        m.submodules.accumulator = accumulator = self._accumulator
        m.d.comb += [
            accumulator.valid.eq(beat_valid),
            accumulator.first.eq(beat.first),
            accumulator.data.eq(beat_data),
        ]
        # The state that a good frame leaves, zeros in its empty lanes included.
        good = state_coordinates(
            self._data_width, [multiply(RESIDUE, power_of_x(8 * empty)) for empty in range(self._lanes)]
        )
        expected = Signal(32, reset_less=True)
        empty = delay(m, beat.empty, accumulator.latency - 1)
        for j in range(32):
            table = C(sum((state >> j & 1) << i for i, state in enumerate(good)), self._lanes)
            m.d.sync += expected[j].eq(table.bit_select(empty, 1))
        otherwise = delay(m, beat.error | short, accumulator.latency)

        line = LevelPipeline(m, Cat(accumulator.state[:32] ^ expected, otherwise), self._levels)
        for _ in range(_COMPARE_DEPTH):
            # Two bits of the state or four of anything else are a LUT.
            size = 2 if len(line.value) == 33 else 4
            line.step([line.value[k : k + size].any() for k in range(0, len(line.value), size)])
        line.finish()
        assert accumulator.latency + line.clocks == self._verdict
        return line.value


_COMPARE_DEPTH = 4
"""LUT levels from the state to the verdict: 33 bits to 17, to 5, to 2, to 1."""
