"""A prefix that leaves beat by beat, put together from sections that several formats share."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width

__all__ = ["PrefixStream", "prefix_beat"]


def prefix_beat(data_width: int) -> data.StructLayout:
    """A beat of a prefix: ``lanes`` has a bit for each byte of ``data`` that is part of it; ``last`` ends it."""
    return data.StructLayout({"data": unsigned(data_width), "lanes": unsigned(data_width // 8), "last": unsigned(1)})


class PrefixStream(wiring.Component):
    """Gives out the bytes of a prefix one beat a clock, so that only one beat of it needs to be queued or shifted.

    Each different beat of all formats is a word of a multiplexer, selected by a flip-flop of its own. Which word comes
    behind which is wired: a prefix is a walk through the words.

    Parameters
    ----------
    data_width : int
        Width of a beat's data in bits: 8, 16, 32, 64, 128, 256 or 512.
    sections : dict of int
        Names of the parts of a prefix, and their bytes, 1 or more.
    formats : sequence of sequence of str
        The sections of each format in their order. All begin with the same beat, and fill more than that.

    Attributes
    ----------
    begin : In(1)
        Begin a prefix; more than ``longest`` clocks apart.
    format : In
        Its format. From ``begin`` on it stands still for ``longest`` clocks more, as do ``sections``; but a byte that
        comes later is not looked at before `clock`.
    sections : In
        Bytes of the sections, the first of each in its low bits.
    valid, beat : Out
        A beat, of `prefix_beat`; the first 2 clocks behind ``begin``, then one a clock.
    longest : int
        Beats of the longest format.

    Notes
    -----
    Reset: a prefix under way is forgotten.

    Raises
    ------
    ValueError
        A format has a section that is not known or only one beat, or another first beat than the others.
    """

    def __init__(self, data_width: int, sections: Mapping[str, int], formats: Sequence[Sequence[str]]) -> None:
        lanes = check_data_width(data_width) // 8
        self._data_width = data_width
        walks: list[list[tuple[tuple[str, int], ...]]] = []
        for names in formats:
            unknown = [name for name in names if name not in sections]
            if unknown:
                raise ValueError(f"formats must have sections of {sorted(sections)}, not {unknown[0]!r}")
            octets = [(name, place) for name in names for place in range(sections[name])]
            walks.append([tuple(octets[start : start + lanes]) for start in range(0, len(octets), lanes)])
        if not walks or any(len(walk) < 2 or walk[0] != walks[0][0] for walk in walks):
            raise ValueError("formats must be one or more of two beats or more, of which they share the first")
        self._walks = walks
        self.longest = max(len(walk) for walk in walks)
        super().__init__(
            {
                "begin": In(1),
                "format": In(range(len(formats))),
                "sections": In(data.StructLayout({name: unsigned(8 * length) for name, length in sections.items()})),
                "valid": Out(1),
                "beat": Out(prefix_beat(data_width)),
            }
        )

    def clock(self, number: int, section: str, place: int) -> int:
        """Clocks from ``begin`` until a byte of a section is taken, in a format by its number."""
        return 1 + next(beat for beat, word in enumerate(self._walks[number]) if (section, place) in word)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._data_width // 8
        words = list(dict.fromkeys(word for walk in self._walks for word in walk))
        chosen = {word: Signal(name=f"word_{i}") for i, word in enumerate(words)}
        formats = [self.format == number for number in range(len(self._walks))]

        # Who comes behind whom, and in which formats.
        behind: dict[tuple[tuple[str, int], ...], list[Value]] = {word: [] for word in words}
        ends: list[Value] = []
        for word in words:
            followers: dict[tuple[tuple[str, int], ...] | None, list[int]] = {}
            for number, walk in enumerate(self._walks):
                if word in walk:
                    place = walk.index(word) + 1
                    followers.setdefault(walk[place] if place < len(walk) else None, []).append(number)
            for follower, numbers in followers.items():
                # A word of one follower only needs no look at the format.
                one = len(followers) == 1
                condition = chosen[word] if one else chosen[word] & Cat(formats[i] for i in numbers).any()
                (ends if follower is None else behind[follower]).append(condition)
        for i, word in enumerate(words):
            m.d.sync += chosen[word].eq(self.begin if i == 0 else Cat(behind[word]).any())

        octets: list[Value] = []
        for lane in range(lanes):
            byte: Value = Value.cast(0)
            for word in words:
                if lane < len(word):
                    name, place = word[lane]
                    byte = byte | Mux(chosen[word], self.sections[name].word_select(place, 8), 0)
            octets.append(byte[:8])
        beat = Signal(self.beat.shape(), reset_less=True)
        m.d.sync += [
            self.valid.eq(Cat(*chosen.values()).any()),
            beat.data.eq(Cat(octets)),
            beat.lanes.eq(Cat(Cat(chosen[word] for word in words if lane < len(word)).any() for lane in range(lanes))),
            beat.last.eq(Cat(ends).any()),
        ]
        m.d.comb += self.beat.eq(beat)
        return m
