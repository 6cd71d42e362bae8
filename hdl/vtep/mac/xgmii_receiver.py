"""Frames out of an XGMII: from the start character to a packet stream whose bad frames are marked."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_FRAME_LENGTH_LIMIT, MIN_FRAME_LENGTH_LIMIT, check_range
from ..headers import ETHERNET
from ..integrity.fcs import FCS_LENGTH, MIN_LENGTH, FcsCheck
from ..stream.fifo import TokenQueue
from ..stream.packet import packet_signature
from .receiver import RECEPTIONS, deliver, reception_layout
from .xgmii import COLUMN, ERROR, FIRST_HALF, LANES, SECOND_HALF, START, TERMINATE, XgmiiRx

__all__ = ["XgmiiReceiver"]

_ADDRESS = ETHERNET.offset("source")  # bytes of the destination address


def _word_layout() -> data.StructLayout:
    """Eight lanes and what they are.

    ``first``: the first half of a preamble, by column; ``second``: its second half; ``start``: a start character, which
    may begin one. ``stop``: by lane, a control character that ends a frame: all but the error character. ``error``,
    ``terminate``, ``ones``: by lane, those characters, and bytes of ones.
    """
    return data.StructLayout(
        {
            "data": 8 * LANES,
            "start": 2,
            "first": 2,
            "second": 2,
            "stop": LANES,
            "error": LANES,
            "terminate": LANES,
            "ones": LANES,
        }
    )


class XgmiiReceiver(wiring.Component):
    """Receive from an XGMII (IEEE 802.3 clauses 46.2 and 46.3.3).

    A frame begins with a start character in lane 0 or 4, seven bytes of preamble and start frame delimiter behind it,
    and ends with the terminate character. The FCS is checked and removed. A frame leaves marked with ``error`` if its
    FCS is wrong, an error character is within it, another control character ends it, it has fewer than 64 bytes, or
    more than the longest. A start character with anything else behind it than a preamble, or with a preamble and
    nothing behind that, begins no frame.

    Parameters
    ----------
    max_frame_length : int
        Longest frame in bytes without FCS, 128 .. 16383.

    Attributes
    ----------
    xgmii : In(`XgmiiRx`)
    o : packet stream of 64 bits, out
        Frames without preamble and FCS; of a frame of up to 4 bytes, those. ``ready`` has to be high always: a line
        does not wait.
    received : Signal(), out
        High with the last beat of a frame: ``reception`` tells of it.
    reception : `vtep.mac.receiver.reception_layout`, out
        ``length`` of a frame of 32,760 bytes and more is 32,767.
    false_carrier : Signal(), out
        High for a clock behind a start character without a frame; both of a word's two count as one.
    latency : int
        Clocks from the word that a frame's first byte is in to the beat at ``o``.

    Notes
    -----
    Throughput: a word a clock, with any gap between frames. Reset in the middle of a frame forgets it, what is still
    to come of it too.

    Raises
    ------
    ValueError
        ``max_frame_length`` is out of its range.
    """

    def __init__(self, max_frame_length: int = 1518) -> None:
        check_range("max_frame_length", max_frame_length, MIN_FRAME_LENGTH_LIMIT, MAX_FRAME_LENGTH_LIMIT)
        self._longest = max_frame_length + FCS_LENGTH
        self._check = FcsCheck(8 * LANES)
        self.latency = 5 + self._check.latency
        super().__init__(
            {
                "xgmii": In(XgmiiRx),
                "o": Out(packet_signature(8 * LANES)),
                "received": Out(1),
                "reception": Out(reception_layout()),
                "false_carrier": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.check = check = self._check
        m.submodules.receptions = receptions = TokenQueue(reception_layout(), RECEPTIONS, register_output=True)

        word = _decoded(m, self.xgmii.rxd, self.xgmii.rxc)
        before = Signal.like(word, name="before")
        m.d.sync += before.eq(word)

        # A preamble that begins with the word before ends in that, or in this one.
        begins, upper, wrong = Signal(), Signal(), Signal()
        low, high = before.first[0] & before.second[1], before.first[1] & word.second[0]
        m.d.sync += [
            begins.eq(low | high),
            wrong.eq((before.start[0] & ~low) | (before.start[1] & ~high)),
        ]
        with m.If(low | high):
            m.d.sync += upper.eq(high)

        first, inside, line = self._aligned(m, before, word, begins, upper)
        nothing = inside & line.stop[0]  # of the frame is in this word
        ends = inside & line.stops
        m.d.sync += self.false_carrier.eq(wrong | (first & nothing))

        # The last word with something in it is known a clock later.
        beat, bad = check.i, Signal()
        held, held_ends = Signal(), Signal()
        empty = Signal.like(beat.payload.empty, reset_less=True)
        content = Signal(8 * LANES, reset_less=True)
        m.d.sync += [
            held.eq(inside & ~nothing),
            held_ends.eq(ends),
            content.eq(line.data),
            empty.eq(line.empty),
            bad.eq((bad & ~first) | line.error | (line.stops & ~line.proper)),
        ]
        m.d.comb += [
            beat.valid.eq(held),
            beat.payload.data.eq(content),
            beat.payload.empty.eq(empty),
            beat.payload.last.eq(held_ends | nothing),
            beat.payload.error.eq(bad | (~held_ends & ~line.proper)),
        ]

        ended, token = Signal(), receptions.i
        m.d.sync += [ended.eq(ends & ~(first & nothing)), token.valid.eq(ended)]
        self._describe(m, first & ~nothing, inside & ~nothing, line, token.payload)

        deliver(m, self, check, receptions)
        return m

    def _aligned(
        self, m: Module, before: data.View, word: data.View, begins: Value, upper: Value
    ) -> tuple[Value, Value, data.View]:
        """Return whether a frame's first word, and any of it, is at hand; and the word, its first byte in lane 0."""
        layout = data.StructLayout(
            {
                "data": 8 * LANES,
                "stop": LANES,
                "stops": 1,
                "empty": range(LANES),  # lanes from the first stop on, if there is one
                "proper": 1,  # that is a terminate character
                "error": 1,
                "ones": 1,  # the frame's bytes of the destination address are
            }
        )
        line = Signal(layout, reset_less=True)

        def lanes(name: str) -> Value:
            width = len(before[name]) // 2
            return Mux(upper, Cat(before[name][width:], word[name][:width]), before[name])

        stop, error, terminate, ones = lanes("stop"), lanes("error"), lanes("terminate"), lanes("ones")
        # Lanes in front of the first stop.
        content = [~stop[: lane + 1].any() for lane in range(LANES)]
        m.d.sync += [
            line.data.eq(lanes("data")),
            line.stop.eq(stop),
            line.stops.eq(stop.any()),
            line.empty.eq(0),
            line.proper.eq(0),
            line.error.eq((Cat(*content) & error).any()),
            line.ones.eq((Cat(*(~one for one in content[:_ADDRESS])) | ones[:_ADDRESS]).all()),
        ]
        for lane in reversed(range(LANES)):
            with m.If(stop[lane]):
                m.d.sync += [line.empty.eq(LANES - lane), line.proper.eq(terminate[lane])]

        first, inside = Signal(), Signal()
        m.d.sync += [first.eq(begins), inside.eq(begins | (inside & ~line.stops))]
        return first, inside, line

    def _describe(self, m: Module, first: Value, counts: Value, line: data.View, token: data.View) -> None:
        """Describe the frame, a clock after the one in which its end is known."""
        words = Signal(len(token.length) - 3)
        rest = Signal(3)
        group, ones = Signal(reset_less=True), Signal(reset_less=True)
        whole = counts & (line.empty == 0)
        with m.If(counts):
            counted = Mux(first, 0, words)
            m.d.sync += [words.eq(counted + (whole & ~counted.all())), rest.eq(LANES - line.empty)]
        with m.If(first):
            m.d.sync += [group.eq(line.data[0]), ones.eq(line.ones)]
        length = Cat(rest | words.all().replicate(len(rest)), words)
        m.d.sync += [
            token.length.eq(length),
            token.too_short.eq(length < MIN_LENGTH + FCS_LENGTH),
            token.too_long.eq(length > self._longest),
            token.multicast.eq(group & ~ones),
            token.broadcast.eq(ones),
        ]


def _decoded(m: Module, rxd: Value, rxc: Value) -> data.View:
    """The word from the line with what its lanes are, two clocks later."""
    lanes, control = Signal(8 * LANES, reset_less=True), Signal(LANES)
    m.d.sync += [lanes.eq(rxd), control.eq(rxc)]
    word = Signal(_word_layout())
    m.d.sync += word.data.eq(lanes)
    for lane in range(LANES):
        byte = lanes.word_select(lane, 8)
        m.d.sync += [
            word.stop[lane].eq(control[lane] & (byte != ERROR)),
            word.error[lane].eq(control[lane] & (byte == ERROR)),
            word.terminate[lane].eq(control[lane] & (byte == TERMINATE)),
            word.ones[lane].eq(byte.all()),
        ]
    for half in range(2):
        column, characters = lanes.word_select(half, 8 * COLUMN), control.word_select(half, COLUMN)
        m.d.sync += [
            word.start[half].eq(characters[0] & (column[:8] == START)),
            word.first[half].eq((characters == 1) & (column == FIRST_HALF)),
            word.second[half].eq((characters == 0) & (column == SECOND_HALF)),
        ]
    return word
