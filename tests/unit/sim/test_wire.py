"""Frames on a wire, against numbers of the RFCs and of IEEE 802.3 that are written out here."""

import pytest

from vtep_sim.bench.wire import IMIX, SIZES, frame_rate, line_rate, sizes_of, wire_bytes

# RFC 2544, appendix B: frames a second on an Ethernet of 10 Mb/s.
MAXIMUM_RATES = {64: 14880, 128: 8445, 256: 4528, 512: 2349, 768: 1586, 1024: 1197, 1280: 961, 1518: 812}


@pytest.mark.parametrize(("size", "rate"), MAXIMUM_RATES.items())
def test_frame_rates_of_the_rfc(size: int, rate: int) -> None:
    assert int(frame_rate(10e6, size - 4)) == rate


def test_ten_gigabits() -> None:
    assert line_rate(64, 156.25) == 10e9
    assert int(frame_rate(line_rate(64, 156.25), 60)) == 14_880_952
    assert int(frame_rate(10e9, 1514)) == 812_743


def test_short_frames_are_filled_up() -> None:
    assert [wire_bytes(length) for length in (1, 59, 60, 61, 110)] == [84, 84, 84, 85, 134]


def test_genomes() -> None:
    assert sizes_of("abcdefg") == SIZES == (64, 128, 256, 512, 1024, 1280, 1518)
    assert sizes_of("aaafg") == (64, 64, 64, 1280, 1518)
    sizes = sizes_of(IMIX)
    assert {size: sizes.count(size) for size in set(sizes)} == {64: 7, 570: 4, 1518: 1}
    with pytest.raises(KeyError):
        sizes_of("ay")
