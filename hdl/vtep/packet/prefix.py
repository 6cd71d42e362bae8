"""A job's prefix, beat by beat."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width

__all__ = ["PrefixBeats"]


class PrefixBeats(wiring.Component):
    """Shows the bytes that a job lays over a frame's beginning, those of one beat at a time.

    Parameters
    ----------
    data_width : int
        Width of a beat's data in bits: 8, 16, 32, 64, 128, 256 or 512.
    length : int
        Bytes of the longest prefix, 1 or more.
    late : bool
        Take all but the first two beats a clock behind ``load``, and move them a clock behind ``step``, so that what
        decides on these reaches few flip-flops. Then ``prefix`` and ``mask`` must stay for the clock behind ``load``,
        and ``load`` may be high every second clock at most, unless what it loaded is of no use.

    Attributes
    ----------
    load : In(1)
        Begin with ``prefix`` and ``mask``, in the next clock.
    step : In(1)
        Show the next beat's bytes, in the next clock; ``load`` wins.
    prefix, mask : In(8 * length), In(length)
        Bytes from the first outgoing one on, and which of them replace the frame's.
    zero : In(1)
        0 in every clock with ``step``; not with ``late``. A bit that is not constant keeps ``mask`` from being cleared
        by a line of its own, which would be another long way.
    data, lanes : Out(data_width), Out(data_width // 8)
        The bytes of the beat, and which of them replace the frame's. All lanes are low behind the prefix.

    Notes
    -----
    ``data`` and ``lanes`` are registers. A reset is not needed: it is loaded before it is used.
    """

    def __init__(self, data_width: int, length: int, *, late: bool = False) -> None:
        self._lanes = check_data_width(data_width) // 8
        if length < 1:
            raise ValueError(f"length must be 1 or more, not {length}")
        self._length = length
        self._late = late
        super().__init__(
            {
                "load": In(1),
                "step": In(1),
                "prefix": In(8 * length),
                "mask": In(length),
                "zero": In(1),
                "data": Out(data_width),
                "lanes": Out(data_width // 8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beats = -(-self._length // self._lanes)
        if self._late and beats > 2:
            self._shift_late(m, beats)
        else:
            self._shift(m)
        return m

    def _shift(self, m: Module) -> None:
        lanes = self._lanes
        prefix = Signal(8 * self._length, reset_less=True)
        mask = Signal(self._length, reset_less=True)
        with m.If(self.load):
            m.d.sync += [prefix.eq(self.prefix), mask.eq(self.mask)]
        with m.Elif(self.step):
            m.d.sync += [
                # The bytes may keep their end, since the mask tells.
                prefix.eq(Cat(prefix[8 * lanes :], prefix[-8 * lanes :])),
                mask.eq(Cat(mask[lanes:], self.zero.replicate(min(lanes, self._length)))),
            ]
        m.d.comb += [self.data.eq(prefix), self.lanes.eq(mask)]

    def _shift_late(self, m: Module, beats: int) -> None:
        lanes = self._lanes
        here, following = Signal(9 * lanes, reset_less=True), Signal(9 * lanes, reset_less=True)
        rest = Signal(9 * lanes * (beats - 2), reset_less=True)
        loaded, stepped, moved = Signal(), Signal(), Signal()
        # Behind the end of the prefix nothing is replaced.
        prefix = Cat(self.prefix, Const(0, 8 * (lanes * beats - self._length)))
        mask = Cat(self.mask, Const(0, lanes * beats - self._length))
        given = [Cat(prefix.word_select(i, 8 * lanes), mask.word_select(i, lanes)) for i in range(beats)]
        shifted = Cat(rest[9 * lanes :], Const(0, 9 * lanes))
        third, fourth = rest[: 9 * lanes], shifted[: 9 * lanes]
        m.d.sync += [loaded.eq(self.load), stepped.eq(self.step), moved.eq(self.load | self.step)]
        with m.If(self.load):
            m.d.sync += [here.eq(given[0]), following.eq(given[1])]
        with m.Elif(self.step):
            m.d.sync += [here.eq(following), following.eq(Mux(loaded, given[2], Mux(stepped, fourth, third)))]
        with m.If(moved):
            m.d.sync += rest.eq(Mux(loaded, Cat(given[2:]), shifted))
        m.d.comb += [self.data.eq(here), self.lanes.eq(here[8 * lanes :])]
