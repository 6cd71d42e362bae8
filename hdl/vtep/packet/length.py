"""The length of a frame as its beats pass, and what follows from its end."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from ..config import LENGTH_BITS
from .pipe import BeatPipe, Staged

__all__ = ["FrameEnd", "head_event", "measure"]


@dataclass
class FrameEnd:
    """What the beats so far tell of a frame's length.

    ``length``: bytes up to and including the beat, at stage 1; it stands still at a number above the longest frame.
    ``oversize``: they are too many already, at stage 2. ``error``: the beat's error mark, at stage 1. ``number``: the
    beat's number in the frame, at stage 0, standing still at the end of its range.

    Where they stand for a while (see `Staged`), they do so behind a frame's end; before, they may tell of later beats.
    """

    length: Staged
    oversize: Staged
    error: Staged
    number: Staged


def measure(m: Module, pipe: BeatPipe, *, empty: Value, error: Value, max_frame_length: int) -> FrameEnd:
    """Count the bytes of each frame on ``pipe`` (whose stage 0 ``empty`` and ``error`` belong to)."""
    beat = pipe.view(0)
    lane_bits = (pipe.lanes - 1).bit_length()
    limit = (1 << LENGTH_BITS) >> lane_bits
    number = Signal(range(limit + 1))
    with m.If(beat["valid"]):
        m.d.sync += number.eq(Mux(beat["last"], 0, Mux(number == limit, limit, number + 1)))
    length = Signal(LENGTH_BITS + 2)
    marked = Signal()
    with m.If(beat["valid"]):
        # number * lanes + (lanes - empty), without an adder for the low part
        full = empty == 0
        high = Mux(full, number + 1, number)
        low = (pipe.lanes - empty)[:lane_bits] if lane_bits else Const(0, 0)
        m.d.sync += length.eq(Cat(low, high))
        m.d.sync += marked.eq(error)
    oversize = Signal()
    m.d.sync += oversize.eq(length > max_frame_length)
    rest = pipe.rest
    return FrameEnd(
        Staged(length, 1, stands=rest),
        Staged(oversize, 2, stands=rest),
        Staged(marked, 1, stands=rest),
        Staged(number, 0),
    )


def head_event(m: Module, pipe: BeatPipe, stage: int, complete: Value) -> tuple[Staged, Staged]:
    """When all that is captured of a frame is there, and when the frame ends, each a strobe at ``stage + 1``.

    ``complete`` is high (at ``stage``) for the beat with the last byte to be captured; a frame that ends earlier is
    complete with its last beat. Both come together for a frame that ends there.
    """
    view = pipe.view(stage)
    done = Signal()
    head = Signal()
    tail = Signal()
    m.d.comb += tail.eq(view["valid"] & view["last"])
    m.d.comb += head.eq(view["valid"] & (complete | view["last"]) & ~done)
    with m.If(view["valid"]):
        m.d.sync += done.eq(~view["last"] & (done | complete))
    return pipe.register(Staged(head, stage, resets=True)), pipe.register(Staged(tail, stage, resets=True))
