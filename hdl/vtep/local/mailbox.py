"""The host port's frames behind registers, for a host at the far end of a serial line."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, MAX_FRAME_LENGTH_LIMIT, MIN_FRAME_LENGTH_LIMIT, check_data_width, check_range
from ..control.gateway_registers import WORD_INDEX_BITS
from ..control.register_map import WORD_BITS, WORD_BYTES
from ..ram_read import ram_read
from ..stream.packet import connect_packets, packet_signature
from ..stream.width import WidthConverter
from .intake import FrameIntake
from .word_read import read_word

__all__ = ["HostMailbox", "mailbox_signature"]


def mailbox_signature() -> wiring.Signature:
    """What registers see of a `HostMailbox`.

    Attributes
    ----------
    received : Signal(), length : Signal(14), in
        A frame waits to be read, and how long it is.
    read : Signal(), word : Signal(12), out
        Fetch this word of it; not while ``reading``.
    reading : Signal(), data : Signal(32), in
        From the clock behind ``read`` until the word is there; what is behind the frame's end is unspecified.
    take : Signal(), out
        Forget that frame. Only with ``received``, and not while ``reading``.
    append : Signal(), append_data : Signal(32), out
        Write the next word of a frame. Not while ``sending``, nor where ``full``.
    send : Signal(), send_length : Signal(14), out
        Send so many bytes, which end in the word that was written last; with 0, forget what was written. Not while
        ``sending``.
    written : Signal(13), in
        Words that were written since the last ``send``.
    full, sending : Signal(), in
        No word can be written, as the longest frame is there; a frame has not left yet.
    """
    return wiring.Signature(
        {
            "received": In(1),
            "length": In(LENGTH_BITS),
            "read": Out(1),
            "word": Out(WORD_INDEX_BITS),
            "reading": In(1),
            "data": In(WORD_BITS),
            "take": Out(1),
            "append": Out(1),
            "append_data": Out(WORD_BITS),
            "send": Out(1),
            "send_length": Out(LENGTH_BITS),
            "written": In(WORD_INDEX_BITS + 1),
            "full": In(1),
            "sending": In(1),
        }
    )


class HostMailbox(wiring.Component):
    """Keeps frames of the host port until somebody has read them, and sends what somebody has written.

    It stands where `LocalStack` does, and like that never holds up whoever sends: frames that find no room are dropped
    and counted. A frame is written word by word, and leaves when all of it is there. The first byte of a word is bits
    7 .. 0.

    Parameters
    ----------
    data_width : int
        Of the packet streams: 8, 16, 32, 64, 128, 256 or 512.
    max_frame_length : int
        Longest frame in bytes that can be written, 128 .. 16383; there is room for two that wait to be read.

    Attributes
    ----------
    i : packet stream, in
        ``ready`` is always high.
    o : packet stream, out
        ``valid`` and ``data`` straight from flip-flops; the frames are not padded.
    host : In(`mailbox_signature`)
    no_room, marked : Signal(), out
        See `FrameIntake`.

    Notes
    -----
    A word is read in 6 clocks, and sent in 3, or 4 where ``data_width`` is 8. Reset forgets all frames.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int, *, max_frame_length: int = 1518) -> None:
        lanes = check_data_width(data_width) // 8
        check_range("max_frame_length", max_frame_length, MIN_FRAME_LENGTH_LIMIT, MAX_FRAME_LENGTH_LIMIT)
        self._data_width = data_width
        # A beat stays free, so that a full buffer does not look like an empty one.
        beats = 2 * -(-max_frame_length // lanes) + 1
        self._intake = FrameIntake(data_width, 1 << (max(8, beats) - 1).bit_length())
        self._words = -(-max_frame_length // WORD_BYTES)
        super().__init__(
            {
                "i": In(packet_signature(data_width)),
                "o": Out(packet_signature(data_width)),
                "host": In(mailbox_signature()),
                "no_room": Out(1),
                "marked": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._receive(m)
        self._send(m)
        return m

    def _receive(self, m: Module) -> None:
        host = self.host
        m.submodules.intake = intake = self._intake
        connect_packets(m, wiring.flipped(self.i), intake.i)
        read = read_word(m, host.read, host.word, intake.byte)
        m.d.comb += [
            intake.place.eq(read.place),
            host.data.eq(read.data),
            intake.take.eq(host.take),
            host.reading.eq(read.reading),
            host.received.eq(intake.valid),
            host.length.eq(intake.last_place + 1),
            self.no_room.eq(intake.no_room),
            self.marked.eq(intake.marked),
        ]

    def _send(self, m: Module) -> None:
        host = self.host
        m.submodules.words = words = Memory(shape=WORD_BITS, depth=self._words, init=[], attrs={"ram_style": "block"})
        m.submodules.converter = converter = WidthConverter(WORD_BITS, self._data_width)
        connect_packets(m, converter.o, wiring.flipped(self.o))
        write, (address, fetched) = words.write_port(), ram_read(m, words)
        index = Signal(range(self._words), reset_less=True)
        rest = Signal.like(host.send_length, reset_less=True)
        word = Signal(WORD_BITS, reset_less=True)
        beat = converter.i
        # One-hot: the address is there, the word is there, it waits to be taken.
        asked, came, valid = Signal(), Signal(), Signal()
        taken, last = Signal(), Signal()
        m.d.comb += [
            write.addr.eq(host.written),
            write.data.eq(host.append_data),
            write.en.eq(host.append),
            address.eq(index),
            host.full.eq(host.written == self._words),
            host.sending.eq(asked | came | valid),
            taken.eq(valid & beat.ready),
            last.eq(rest <= WORD_BYTES),
            beat.valid.eq(valid),
            beat.payload.data.eq(word),
            beat.payload.last.eq(last),
            # None of the last word's lanes, but where the length is no multiple of them.
            beat.payload.empty.eq((-rest)[: len(beat.payload.empty)] & last.replicate(len(beat.payload.empty))),
        ]
        m.d.sync += [came.eq(asked), asked.eq(taken & ~last)]
        with m.If(came):
            m.d.sync += [valid.eq(1), word.eq(fetched)]
        with m.If(taken):
            m.d.sync += [valid.eq(0), index.eq(index + 1), rest.eq(rest - WORD_BYTES)]
        with m.If(host.append):
            m.d.sync += host.written.eq(host.written + 1)
        with m.If(host.send):
            m.d.sync += [
                host.written.eq(0),
                index.eq(0),
                rest.eq(host.send_length),
                asked.eq(host.send_length.any()),
            ]
