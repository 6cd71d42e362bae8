"""The Internet checksum (RFC 1071): the ones' complement sum over bytes of a packet, and the check of a header's.

Numbers are added modulo 2**16 - 1, where a carry out of bit 15 has the weight of bit 0, so carry-save adders
stay 16 bits wide and no carry travels before the very end. As in RFC 1071, zero comes out as 0x0000 only if all
addends are zero, and as 0xFFFF otherwise.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add, or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width, check_range
from ..data_register import data_register

__all__ = ["ChecksumAccumulator", "HeaderChecksumCheck", "SerialWordSum", "WordSum"]

LEVELS_PER_STAGE = 4
"""Carry-save adders one behind the other between two registers."""


def _save_carry(m: Module, a: Value, b: Value, c: Value) -> tuple[Value, Value]:
    """Two numbers whose sum is that of three, modulo 2**16 - 1; they are both 0 only if all three are."""
    # Signals, since an expression is written out anew wherever it is used.
    partial, carry = Signal(16), Signal(16)
    m.d.comb += [partial.eq(a ^ b ^ c), carry.eq(((a & b) | (a & c) | (b & c)).rotate_left(1))]
    return partial, carry


def _reduce_level(m: Module, rows: list[Value]) -> list[Value]:
    """One level of carry-save adders."""
    reduced: list[Value] = []
    whole = len(rows) - len(rows) % 3
    for i in range(0, whole, 3):
        reduced += _save_carry(m, *rows[i : i + 3])
    return reduced + rows[whole:]


def _levels(rows: int) -> int:
    """Levels of carry-save adders that bring ``rows`` numbers down to two."""
    levels = 0
    while rows > 2:
        rows -= rows // 3
        levels += 1
    return levels


def _stages(data_width: int) -> int:
    """Count the registers that the words of one beat pass before they are added to those of earlier beats."""
    return max(1, -(-_levels(max(1, data_width // 16)) // LEVELS_PER_STAGE))


class _Sum:
    """The part both components share: sums from the first beat up to each, as two numbers.

    After `elaborate`, ``a + b`` (modulo 2**16 - 1) is the sum up to and including the beat that entered
    ``stages`` clocks earlier, before the register that keeps it, and ``end`` tells that the beat ended the sum.
    ``a`` and ``b`` are never both 0xFFFF: a carry-save adder makes that only of three such, and the sum
    begins with zeros.
    """

    def __init__(
        self, m: Module, *, data_width: int, valid: Value, first: Value, end: Value, data: Value, mask: Value
    ) -> None:
        active = Signal()
        with m.If(valid):
            m.d.sync += active.eq((active | first) & ~end)

        rows = self._words(m, data_width, valid, first, data, mask)
        control = Cat(valid, valid & first, valid & end & (active | first))
        for stage in range(_stages(data_width)):
            for _ in range(LEVELS_PER_STAGE):
                rows = _reduce_level(m, rows) if len(rows) > 2 else rows
            registers: list[Value] = []
            for i, row in enumerate(rows):
                register = Signal(16, name=f"sum_{stage}_{i}", reset_less=True)
                m.d.sync += register.eq(row)
                registers.append(register)
            rows = registers
            start = control[1]
            delayed = Signal(3, name=f"control_{stage}")
            m.d.sync += delayed.eq(control)
            control = delayed

        # The sum so far is cleared in the clock before a first beat is added, which costs no logic in the loop.
        kept = [Signal(16, name=f"kept_{i}") for i in range(2)]
        rows += kept
        while len(rows) > 2:
            rows = _reduce_level(m, rows)
        self.a, self.b = rows
        self.end = control[2]
        with m.If(start):
            m.d.sync += [row.eq(0) for row in kept]
        with m.Elif(control[0]):
            m.d.sync += [kept[0].eq(self.a), kept[1].eq(self.b)]

    @staticmethod
    def _words(m: Module, data_width: int, valid: Value, first: Value, data: Value, mask: Value) -> list[Value]:
        """Form the 16-bit words of one beat, the first byte of each in the high half."""
        kept = [data.word_select(lane, 8) & mask.bit_select(lane, 1).replicate(8) for lane in range(data_width // 8)]
        if data_width > 8:
            return [Cat(low, high) for high, low in zip(kept[0::2], kept[1::2], strict=True)]
        odd = Signal()
        with m.If(valid):
            m.d.sync += odd.eq(first | ~odd)
        low = odd & ~first
        return [Mux(low, kept[0], Cat(Const(0, 8), kept[0]))]


def _end_around_add(m: Module, a: Value, b: Value) -> Value:
    """Their ones' complement sum."""
    # Both outcomes of the end-around carry at once, so that only one carry chain is passed.
    plain = Signal(17)
    carried = Signal(16)
    m.d.comb += [plain.eq(a + b), carried.eq(a + b + 1)]
    return Mux(plain[16], carried, plain[:16])


class WordSum(wiring.Component):
    """Ones' complement sum of a fixed number of 16-bit words, for headers that are being made.

    Parameters
    ----------
    words : int
        How many words, 2 .. 64.

    Attributes
    ----------
    words : Signal(16 * words), in
    sum : Signal(16), out
        Their sum (not complemented), ``latency`` clocks later. 0 only if all words are.
    latency : int
        2 clocks up to 9 words, 3 up to 42, 4 up to 64. One sum per clock.

    The pipeline holds no state beyond ``latency`` clocks; reset is not needed.
    """

    def __init__(self, words: int) -> None:
        self.count = check_range("words", words, 2, 64)
        self.latency = max(1, -(-_levels(words) // LEVELS_PER_STAGE)) + 1
        super().__init__({"words": In(16 * words), "sum": Out(16)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rows: list[Value] = [self.words.word_select(i, 16) for i in range(self.count)]
        for stage in range(self.latency - 1):
            for _ in range(LEVELS_PER_STAGE):
                rows = _reduce_level(m, rows) if len(rows) > 2 else rows
            registers: list[Value] = []
            for i, row in enumerate(rows):
                register = Signal(16, name=f"sum_{stage}_{i}", reset_less=True)
                m.d.sync += register.eq(row)
                registers.append(register)
            rows = registers
        data_register(m, self.sum, _end_around_add(m, *rows))
        return m


def _tree(words: Sequence[Value]) -> Value:
    """Their sum, by as few additions one behind the other as there can be."""
    level = list(words)
    while len(level) > 1:
        level = [reduce(add, level[i : i + 2]) for i in range(0, len(level), 2)]
    return level[0]


class SerialWordSum(wiring.Component):
    """Ones' complement sum of a fixed number of 16-bit words, a few in a clock: less of everything than `WordSum`.

    Parameters
    ----------
    words : int
        How many words, 2 .. 64.
    step : int
        Words that are added in a clock, 1 .. ``words``.

    Attributes
    ----------
    start : Signal(), in
        Begin a sum; what is under way is forgotten.
    words : Signal(16 * words), in
        The first ``step`` are taken the clock behind ``start``, and so on. A word of 0 needs no clock.
    sum : Signal(16), out
        Their sum (not complemented), `after` clocks behind ``start``; it stands still until the next one's first words.
        0 only if all words are.

    A reset is not needed.
    """

    def __init__(self, words: int, step: int) -> None:
        self.count = check_range("words", words, 2, 64)
        self.step = check_range("step", step, 1, words)
        super().__init__({"start": In(1), "words": In(16 * words), "sum": Out(16)})

    @staticmethod
    def after(words: int, step: int) -> int:
        """Clocks from ``start`` to the sum of the first ``words``, where the others are 0."""
        return -(-words // step) + 4

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        turns = Signal(-(-self.count // self.step))
        m.d.sync += turns.eq(Mux(self.start, 1, turns << 1))
        chosen = Signal(16 * self.step, reset_less=True)
        for i in range(self.step):
            terms = [
                Mux(turns[turn], self.words.word_select(turn * self.step + i, 16), 0)
                for turn in range(len(turns))
                if turn * self.step + i < self.count
            ]
            m.d.sync += chosen.word_select(i, 16).eq(reduce(or_, terms))
        # Together they pass one register, and then are added to the others: two short ways instead of a long one.
        together = Signal(16 + (self.step - 1).bit_length(), reset_less=True)
        total = Signal(16 + self.count.bit_length(), reset_less=True)
        first, adds = Signal(2), Signal(2)
        m.d.sync += [
            first.eq(Cat(turns[0], first[0])),
            adds.eq(Cat(turns.any(), adds[0])),
            together.eq(_tree([chosen.word_select(i, 16) for i in range(self.step)])),
        ]
        with m.If(adds[1]):
            m.d.sync += total.eq(Mux(first[1], 0, total) + together)
        data_register(m, self.sum, _end_around_add(m, total[:16], total[16:]))
        return m


class ChecksumAccumulator(wiring.Component):
    """Ones' complement sum over chosen bytes of a packet.

    Byte lane 0 is the first byte on the wire. The packet's bytes of even number, counted from its first beat, are
    the high halves of the 16-bit words; a byte that is masked out counts as zero and keeps its place.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.

    Attributes
    ----------
    valid : Signal(), in
        The other inputs hold a beat. There may be any number of clocks without one inside a packet, and none
        between packets.
    first, last : Signal(), in
        The beat begins, ends the packet. Beats between a last and the next first are ignored.
    data : Signal(data_width), in
    mask : Signal(data_width // 8), in
        The bytes to be added.
    done : Signal(), out
        High for one clock, ``latency`` clocks after a beat with ``valid & last``.
    sum : Signal(16), out
        The sum (not complemented), valid with ``done``. 0 only if all bytes are zero.
    latency : int
        3 clocks up to 128 bits, 4 at 256 and 512 bits. One beat per clock.

    Reset forgets the packet.
    """

    def __init__(self, data_width: int) -> None:
        self.data_width = check_data_width(data_width)
        self.latency = _stages(data_width) + 2
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "data": In(data_width),
                "mask": In(data_width // 8),
                "done": Out(1),
                "sum": Out(16),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        total = _Sum(
            m,
            data_width=self.data_width,
            valid=self.valid,
            first=self.first,
            end=self.last,
            data=self.data,
            mask=self.mask,
        )
        a = Signal(16, reset_less=True)
        b = Signal(16, reset_less=True)
        end = Signal()
        m.d.sync += [a.eq(total.a), b.eq(total.b), end.eq(total.end)]

        data_register(m, self.sum, _end_around_add(m, a, b))
        m.d.sync += self.done.eq(end)
        return m


class HeaderChecksumCheck(wiring.Component):
    """Whether the ones' complement sum over chosen bytes of a packet is 0xFFFF, as that of an intact IPv4 header is.

    Bytes and words are those of `ChecksumAccumulator`. There is no adder with a carry chain: two numbers that are
    neither both zero nor both 0xFFFF add up to a multiple of 2**16 - 1 just when each is the other's complement.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    deep : bool
        One clock more, for a shorter one.

    Attributes
    ----------
    valid : Signal(), in
        The other inputs hold a beat. There may be any number of clocks without one inside a packet, and none
        between packets.
    first : Signal(), in
        The beat begins the packet.
    end : Signal(), in
        The beat holds the last byte to be added. The packet's beats after it are ignored.
    data : Signal(data_width), in
    mask : Signal(data_width // 8), in
        The bytes to be added.
    done : Signal(), out
        High for one clock, ``latency`` clocks after a beat with ``valid & end``.
    ok : Signal(), out
        The sum is 0xFFFF; valid with ``done``.
    latency : int
        2 clocks up to 128 bits, 3 at 256 and 512 bits, and another if ``deep``. One beat per clock.

    Reset forgets the packet.
    """

    def __init__(self, data_width: int, *, deep: bool = False) -> None:
        self.data_width = check_data_width(data_width)
        self.deep = deep
        self.latency = _stages(data_width) + 1 + deep
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "end": In(1),
                "data": In(data_width),
                "mask": In(data_width // 8),
                "done": Out(1),
                "ok": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        total = _Sum(
            m,
            data_width=self.data_width,
            valid=self.valid,
            first=self.first,
            end=self.end,
            data=self.data,
            mask=self.mask,
        )
        a, b, end = Signal.like(total.a), Signal.like(total.b), Signal()
        m.d["sync" if self.deep else "comb"] += [a.eq(total.a), b.eq(total.b), end.eq(total.end)]
        m.d.sync += [self.ok.eq((a ^ b).all()), self.done.eq(end)]
        return m
