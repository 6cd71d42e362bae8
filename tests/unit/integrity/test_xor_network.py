import pytest

from vtep.integrity.gf2 import coordinates, power_of_x, rows
from vtep.integrity.xor_network import FAN_IN, plan


def evaluate(levels, value):
    bits = value
    for level in levels:
        bits = sum((sum(bits >> i & 1 for i in gate) & 1) << n for n, gate in enumerate(level))
    return bits


@pytest.mark.parametrize(("height", "width", "density"), [(1, 1, 1.0), (5, 3, 0.5), (32, 64, 0.5), (20, 100, 0.1)])
def test_network_computes_the_product(rng, height, width, density):
    matrix = [sum((rng.random() < density) << j for j in range(width)) for _ in range(height)]
    matrix[0] = matrix[0] or 1
    levels = plan(matrix)
    for _ in range(50):
        value = rng.getrandbits(width)
        expected = sum(((row & value).bit_count() & 1) << i for i, row in enumerate(matrix))
        assert evaluate(levels, value) == expected


@pytest.mark.parametrize(("weight", "depth"), [(1, 1), (4, 1), (5, 2), (16, 2), (17, 3), (64, 3)])
def test_depth_is_the_least_possible(rng, weight, depth):
    matrix = [sum(1 << i for i in rng.sample(range(70), weight)) for _ in range(16)]
    levels = plan(matrix)
    assert len(levels) == depth
    assert all(len(gate) <= FAN_IN for level in levels for gate in level)


def test_row_of_zeros():
    assert evaluate(plan([0, 0b11]), 0b01) == 0b10


def test_sharing_saves_gates():
    # The matrix that a 64-bit beat of CRC-32 is multiplied by: unshared trees would take 333 gates.
    basis = [power_of_x(32 * i) for i in range(32)]
    matrix = rows(coordinates(basis, [power_of_x(32 + 63 - j) for j in range(64)]))
    unshared = sum(-(-(row.bit_count() - 1) // 3) for row in matrix)
    shared = sum(len(gate) > 1 for level in plan(matrix) for gate in level)
    assert unshared > 320
    assert shared <= 205
