"""The frame check sequence of the golden model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtep_sim.golden import append_fcs, fcs, strip_fcs


def crc32_bitwise(data: bytes) -> int:
    """IEEE 802.3 clause 3.2.9 step by step: x^32 + ... shifted bit by bit, lowest bit of a byte first."""
    state = 0xFFFFFFFF
    for byte in data:
        for i in range(8):
            feedback = (state >> 31) ^ (byte >> i & 1)
            state = (state << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if feedback else 0)
    return state ^ 0xFFFFFFFF


def test_published_check_value() -> None:
    """CRC-32/ISO-HDLC of "123456789" is 0xCBF43926; its bits leave highest first, and a byte lowest first."""
    assert fcs(b"123456789") == bytes.fromhex("2639f4cb")


@given(st.binary(max_size=80))
def test_against_the_polynomial(frame: bytes) -> None:
    bits = f"{crc32_bitwise(frame):032b}"
    wire = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, 32, 8))
    assert fcs(frame) == wire
    assert strip_fcs(frame + wire) == (frame, True)


@pytest.mark.parametrize("length", [0, 1, 59, 60, 61, 1514])
def test_padding(length: int) -> None:
    frame = bytes(range(256)) * 6
    sent = append_fcs(frame[:length], pad=True)
    assert len(sent) == max(60, length) + 4
    assert strip_fcs(sent) == (frame[:length] + bytes(max(0, 60 - length)), True)
    assert len(append_fcs(frame[:length])) == length + 4


def test_spoiled_and_short() -> None:
    sent = append_fcs(b"frame", spoil=True)
    assert sent[-4:] == bytes(byte ^ 0xFF for byte in fcs(b"frame"))
    assert strip_fcs(sent) == (b"frame", False)
    assert strip_fcs(b"abc") == (b"", False)


@given(st.binary(min_size=1, max_size=80), st.data())
def test_one_wrong_bit(frame: bytes, data: st.DataObject) -> None:
    sent = bytearray(append_fcs(frame))
    bit = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[bit // 8] ^= 1 << bit % 8
    assert not strip_fcs(bytes(sent))[1]
