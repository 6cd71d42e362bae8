import random

import pytest

from vtep.integrity.gf2 import POLYNOMIAL, coordinates, multiply, power_of_x, rows


def test_multiplication_reduces_by_the_generator():
    assert multiply(1 << 31, 2) == POLYNOMIAL & 0xFFFF_FFFF
    assert multiply(0x1234_5678, 1) == 0x1234_5678


def test_powers_of_x(rng):
    assert [power_of_x(i) for i in (0, 1, 31)] == [1, 2, 1 << 31]
    assert power_of_x(32) == POLYNOMIAL & 0xFFFF_FFFF
    for _ in range(20):
        a, b = rng.randrange(10_000), rng.randrange(-10_000, 10_000)
        assert multiply(power_of_x(a), power_of_x(b)) == power_of_x(a + b)


def test_generator_is_primitive():
    # x has the order 2^32 - 1 and none of its proper divisors, which are these primes' cofactors.
    order = (1 << 32) - 1
    assert power_of_x(order) == 1
    for prime in (3, 5, 17, 257, 65537):
        assert power_of_x(order // prime) != 1


@pytest.mark.parametrize("power", [1, 8, 256])
def test_coordinates_give_the_value_back(rng, power):
    basis = [power_of_x(i * power) for i in range(32)]
    values = [rng.getrandbits(32) for _ in range(20)]
    for value, found in zip(values, coordinates(basis, values), strict=True):
        total = 0
        for i in range(32):
            if found >> i & 1:
                total ^= basis[i]
        assert total == value


def test_dependent_basis_is_refused():
    with pytest.raises(ValueError, match="dependent"):
        coordinates([1, 2, 3], [1])


def test_rows_transpose():
    generator = random.Random(1)
    columns = [generator.getrandbits(5) for _ in range(9)]
    matrix = rows(columns, 5)
    assert all(matrix[i] >> j & 1 == columns[j] >> i & 1 for i in range(5) for j in range(9))
