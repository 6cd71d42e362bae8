"""CRC-32 of IEEE 802.3 over packets of any length, one beat a clock, at clock rates near one LUT a stage.

The maths. Read a packet as a polynomial over GF(2), its first bit on the wire with the highest power. The CRC
register is that polynomial times x^32 modulo the generator P, plus the preset's share; a beat of W bits takes the
state r to ``r * x^W + beat * x^32``. P is primitive, so residues form a field. Three things follow.

* A short last beat is taken as a whole one, its e missing bytes as zeros, and the result divided by x^(8e)
  afterwards. The recurrence is then the same at every beat; the division is outside of it, once a packet.
* W is a power of two, and squaring is linear in this field: y = x^(2^k) is a root of P just as x is. Kept in the
  basis 1, y, y^2, ... y^31, the state is multiplied by y by a shift and P's taps: each bit depends on two bits
  instead of about sixteen. Here y = x^(W/2) and a beat multiplies by y^2, with one redundant bit, the sum of the
  two that are shifted out: still one LUT of four inputs, the beat's contribution and the preset included.
* Division by y is as cheap, and the basis of y = x^(8 * 2^b) is the one that suits bit b of e. From one such basis
  to one of a smaller power leads a squaring (twice: a fourth power), a fixed and rather sparse matrix.

Everything but the recurrence is a pipeline without feedback. The change of basis for CRCs is due to Derby, "High-
speed CRC computation using state-space transformations", GLOBECOM 2001; that squaring gives the basis for W a power
of two is elementary (Frobenius' automorphism). The preset, the bit order and the residue are IEEE 802.3 clause
3.2.9's; `zlib.crc32` computes the same function.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width, check_range
from .gf2 import POLYNOMIAL, coordinates, multiply, power_of_x, rows
from .xor_network import plan

__all__ = ["PRESET", "RESIDUE", "Crc32", "CrcAccumulator", "CrcUnpadder", "LevelPipeline"]

PRESET = 0xFFFF_FFFF
"""State in front of the first bit."""

RESIDUE = 0xC704_DD7B
"""State behind a packet and its right FCS, a polynomial as in `gf2`."""


class LevelPipeline:
    """A pipeline without feedback that is registered after every ``levels`` LUT levels.

    Parameters
    ----------
    m : Module
        Where the logic goes.
    value : Value
        What enters.
    levels : int
        LUT levels between registers.

    Attributes
    ----------
    value : Value
        What has been computed so far.
    clocks : int
        Registers passed.
    """

    def __init__(self, m: Module, value: Value, levels: int) -> None:
        self._m = m
        self._levels = levels
        self._depth = 0
        self._sides: dict[int, list[Value]] = {}
        self.value = value
        self.clocks = 0

    def step(self, bits: Sequence[Value]) -> None:
        """Compute one LUT level: ``bits`` are expressions of `value` and of `side` signals."""
        result = Signal(len(bits), reset_less=True)
        self._depth += 1
        if self._depth == self._levels:
            self._m.d.sync += result.eq(Cat(*bits))
            self._depth = 0
            self.clocks += 1
        else:
            self._m.d.comb += result.eq(Cat(*bits))
        self.value = result

    def multiply(self, matrix: Sequence[int]) -> None:
        """Multiply by a constant bit matrix, given by its rows."""
        for level in plan(matrix):
            self.step([_xor(self.value[i] for i in gate) for gate in level])

    def finish(self) -> None:
        """Register what is not registered yet."""
        if self._depth:
            self._depth = self._levels - 1
            self.step(list(self.value))

    def side(self, signal: Value, *, reset_less: bool = True) -> Value:
        """``signal``, which is valid beside what entered, delayed to where the pipeline now is."""
        line = self._sides.setdefault(id(signal), [signal])
        while len(line) <= self.clocks:
            stage = Signal(len(signal), reset_less=reset_less)
            self._m.d.sync += stage.eq(line[-1])
            line.append(stage)
        return line[self.clocks]


def _xor(terms: Iterable[Value]) -> Value:
    return reduce(xor, terms, C(0, 1))


def _tap(i: int) -> int:
    return POLYNOMIAL >> i & 1


def _basis(power: int) -> list[int]:
    """1, y, ... y^31 with y = x^power."""
    return [power_of_x(i * power) for i in range(32)]


def _count_bits(data_width: int) -> int:
    """Width of a count of missing bytes."""
    return (data_width // 8 - 1).bit_length()


def _is_redundant(data_width: int) -> bool:
    return data_width > 8


def state_power(data_width: int) -> int:
    """The power of x whose powers are the basis of the state of `CrcAccumulator`."""
    return data_width // 2 if _is_redundant(data_width) else data_width


def state_coordinates(data_width: int, values: Sequence[int]) -> list[int]:
    """Polynomials as states of `CrcAccumulator`, its redundant bit included."""
    found = coordinates(_basis(state_power(data_width)), values)
    if _is_redundant(data_width):
        found = [value | ((value >> 31 ^ value >> 30) & 1) << 32 for value in found]
    return found


class CrcAccumulator(wiring.Component):
    """The recurrence: state of the CRC behind each beat, missing bytes taken as zeros.

    One beat a clock; no handshake. ``state`` stands until the next beat's. The loop is one LUT of four inputs.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    levels : int
        LUT levels between registers in front of the loop, 1 .. 8.

    Attributes
    ----------
    latency : int
        Clocks from a beat to the state behind it.

    Members
    -------
    valid, first : In(1)
        There is a beat; it is a packet's first.
    data : In(data_width)
        The beat, lane 0 (the low 8 bits) first on the wire; lanes without a byte are zero.
    state : Out(33), 32 bits at a data width of 8
        Coordinates of the state, see `state_coordinates`. Not reset: meaningless before the first packet.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int, levels: int = 2) -> None:
        check_data_width(data_width)
        check_range("levels", levels, 1, 8)
        self._data_width = data_width
        self._levels = levels
        self._matrix = self._input_matrix()
        self.latency = len(plan(self._matrix)) // levels + 1
        width = 33 if _is_redundant(data_width) else 32
        super().__init__({"valid": In(1), "first": In(1), "data": In(data_width), "state": Out(width)})

    def _input_matrix(self) -> list[int]:
        width = self._data_width
        # Lane 0 bit 0 is the first bit: the beat's highest power.
        columns = state_coordinates(width, [power_of_x(32 + width - 1 - j) for j in range(width)])
        return rows(columns, 33 if _is_redundant(width) else 32)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        (preset,) = state_coordinates(self._data_width, [multiply(PRESET, power_of_x(self._data_width))])
        front = LevelPipeline(m, self.data, self._levels)
        front.multiply(self._matrix)
        valid = front.side(self.valid, reset_less=False)
        first = front.side(self.first)

        old = self.state
        if _is_redundant(self._data_width):
            # y^2: y^32 and y^33 fold back, the latter once more than P's taps say, for P has no tap above 26.
            step = [old[i - 2] if i >= 2 else C(0, 1) for i in range(32)]
            for i in range(32):
                folded = (_tap(i), _tap(i - 1) if i else 0)
                step[i] = step[i] ^ {(0, 0): C(0, 1), (1, 0): old[30], (0, 1): old[31], (1, 1): old[32]}[folded]
            step.append(old[29] ^ old[28])
        else:
            step = [(old[i - 1] if i else C(0, 1)) ^ (old[31] if _tap(i) else C(0, 1)) for i in range(32)]
        with m.If(valid):
            for i, bit in enumerate(step):
                # The preset's share is a constant, so it costs no input.
                m.d.sync += old[i].eq(front.value[i] ^ Mux(first, C(preset >> i & 1, 1), bit))
        return m


@dataclass(frozen=True)
class _Division:
    """Division by y, or by y^2, if a bit of the count of missing bytes is set."""

    bit: int
    twice: bool

    def quotient(self, old: Value) -> list[Value]:
        zero = C(0, 1)
        if not self.twice:
            return [(old[i + 1] if i < 31 else zero) ^ (old[0] if _tap(i + 1) else zero) for i in range(32)]
        # The second division folds in what the first leaves at bit 0, the sum of bits 0 and 1; bit 32 holds it.
        folded = {(0, 0): zero, (1, 0): old[0], (0, 1): old[32], (1, 1): old[1]}
        return [(old[i + 2] if i < 30 else zero) ^ folded[_tap(i + 2), _tap(i + 1)] for i in range(32)]


class CrcUnpadder(wiring.Component):
    """The division: takes the zeros of a packet's last beat back out and gives the CRC.

    One packet a clock; no handshake; a pipeline without feedback or reset.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    levels : int
        LUT levels between registers, 1 .. 8.

    Attributes
    ----------
    latency : int
        Clocks from ``state`` to ``crc``.

    Members
    -------
    state : In(33), 32 bits at a data width of 8
        From `CrcAccumulator`, behind a packet's last beat.
    empty : In
        How many lanes of that beat held no byte.
    crc : Out(32)
        The CRC as `zlib.crc32` gives it: sent low byte first, it is the FCS.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int, levels: int = 2) -> None:
        check_data_width(data_width)
        check_range("levels", levels, 1, 8)
        self._levels = levels
        self._steps = self._plan_steps(data_width)
        depth = sum(len(plan(step)) if isinstance(step, list) else 1 for step in self._steps)
        self.latency = -(-depth // levels)
        super().__init__(
            {
                "state": In(33 if _is_redundant(data_width) else 32),
                "empty": In(_count_bits(data_width)),
                "crc": Out(32),
            }
        )

    @staticmethod
    def _plan_steps(data_width: int) -> list["list[int] | _Division"]:
        """Matrices between bases, and divisions by y or y^2 on behalf of one bit of the count each."""
        power = state_power(data_width)
        bit = _count_bits(data_width) - 1
        steps: list[list[int] | _Division] = []

        def change_basis(to: int) -> list[int]:
            nonlocal power
            matrix = rows(coordinates(_basis(to), _basis(power)))
            power = to
            steps.append(matrix)
            return matrix

        if bit >= 0:
            steps.append(_Division(bit, twice=False))
        while bit >= 2:
            matrix = change_basis(power // 4)
            matrix.append(matrix[0] ^ matrix[1])
            steps += [_Division(bit - 1, twice=True), _Division(bit - 2, twice=False)]
            bit -= 2
        if bit == 1:
            change_basis(power // 2)
            steps.append(_Division(0, twice=False))
        change_basis(1).reverse()  # bit 0 of the CRC is sent first: the highest power
        return steps

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = LevelPipeline(m, self.state[:32], self._levels)
        for step in self._steps:
            if isinstance(step, list):
                line.multiply(step)
            else:
                wanted = line.side(self.empty)[step.bit]
                quotient = step.quotient(line.value)
                line.step([Mux(wanted, quotient[i], line.value[i]) for i in range(32)])
        line.finish()
        assert line.clocks == self.latency
        m.d.comb += self.crc.eq(~line.value)
        return m


class Crc32(wiring.Component):
    """CRC-32 of packets of any length of at least one byte, one beat a clock, a packet behind a packet.

    No handshake: beats enter whenever ``i_valid`` is set, and a packet's CRC leaves `latency` clocks after its
    last beat.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    levels : int
        LUT levels between registers, 1 .. 8: fewer give a higher clock rate and a longer latency.

    Attributes
    ----------
    latency : int
        Clocks from a packet's last beat to its CRC.

    Members
    -------
    i_valid, i_first, i_last : In(1)
        There is a beat; it is its packet's first, last.
    i_data : In(data_width)
        The beat, lane 0 (the low 8 bits) first on the wire; lanes without a byte are zero.
    i_empty : In
        How many of the highest lanes hold no byte; only the last beat's matters.
    o_valid : Out(1)
        ``o_crc`` is the CRC of a packet. Low after reset until a packet that ended after the reset comes out.
    o_crc : Out(32)
        The CRC as `zlib.crc32` gives it: sent low byte first, it is the FCS.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int, levels: int = 2) -> None:
        check_data_width(data_width)
        check_range("levels", levels, 1, 8)
        self._accumulator = CrcAccumulator(data_width, levels)
        self._unpadder = CrcUnpadder(data_width, levels)
        self.latency = self._accumulator.latency + self._unpadder.latency
        super().__init__(
            {
                "i_valid": In(1),
                "i_first": In(1),
                "i_last": In(1),
                "i_data": In(data_width),
                "i_empty": In(_count_bits(data_width)),
                "o_valid": Out(1),
                "o_crc": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.accumulator = accumulator = self._accumulator
        m.submodules.unpadder = unpadder = self._unpadder
        m.d.comb += [
            accumulator.valid.eq(self.i_valid),
            accumulator.first.eq(self.i_first),
            accumulator.data.eq(self.i_data),
            unpadder.state.eq(accumulator.state),
            unpadder.empty.eq(delay(m, self.i_empty, accumulator.latency)),
            self.o_valid.eq(delay(m, self.i_valid & self.i_last, self.latency, reset_less=False)),
            self.o_crc.eq(unpadder.crc),
        ]
        return m


def delay(m: Module, value: Value, clocks: int, *, reset_less: bool = True) -> Value:
    """``value`` some clocks later; with ``reset_less=False`` the delay line is cleared by reset."""
    for _ in range(clocks):
        stage = Signal(len(value), reset_less=reset_less)
        m.d.sync += stage.eq(value)
        value = stage
    return value
