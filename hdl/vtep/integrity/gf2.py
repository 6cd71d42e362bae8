"""The field in which CRC-32 counts: polynomials over GF(2) modulo the generator of IEEE 802.3.

A polynomial is an int, the coefficient of x^i in bit i.
"""

from collections.abc import Sequence
from functools import cache

__all__ = ["POLYNOMIAL", "coordinates", "multiply", "power_of_x", "rows"]

POLYNOMIAL = 0x1_04C1_1DB7
"""Generator polynomial of the frame check sequence (IEEE 802.3 clause 3.2.9), x^32 included."""

_ORDER = (1 << 32) - 1  # of x: the polynomial is primitive


def multiply(a: int, b: int) -> int:
    """Product of two field elements."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        b >>= 1
        a <<= 1
        if a >> 32:
            a ^= POLYNOMIAL
    return product


@cache
def power_of_x(exponent: int) -> int:
    """X to any integer power, negative ones included."""
    result, base, exponent = 1, 2, exponent % _ORDER
    while exponent:
        if exponent & 1:
            result = multiply(result, base)
        base = multiply(base, base)
        exponent >>= 1
    return result


def coordinates(basis: Sequence[int], values: Sequence[int]) -> list[int]:
    """Coordinates of ``values`` in a basis of the field.

    Parameters
    ----------
    basis : sequence of int
        32 linearly independent field elements.
    values : sequence of int
        Field elements.

    Returns
    -------
    list of int
        For each value, an int whose bit i is the coordinate at ``basis[i]``.

    Raises
    ------
    ValueError
        The basis elements depend on each other.
    """
    pivots: dict[int, tuple[int, int]] = {}
    for i, element in enumerate(basis):
        value, combination = element, 1 << i
        for top in sorted(pivots, reverse=True):
            if value >> top & 1:
                value ^= pivots[top][0]
                combination ^= pivots[top][1]
        if not value:
            raise ValueError("the basis elements are linearly dependent")
        pivots[value.bit_length() - 1] = (value, combination)
    order = sorted(pivots.items(), reverse=True)
    found = []
    for value in values:
        combination = 0
        for top, (element, part) in order:
            if value >> top & 1:
                value ^= element
                combination ^= part
        found.append(combination)
    return found


def rows(columns: Sequence[int], height: int = 32) -> list[int]:
    """Transpose a bit matrix: ints that are its columns to ints that are its ``height`` rows."""
    return [sum((column >> i & 1) << j for j, column in enumerate(columns)) for i in range(height)]
