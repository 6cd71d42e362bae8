"""`VtepParameters`: what is refused, with the allowed range in the message, and what follows from the parameters."""

import re

import pytest

from vtep.config import DATA_WIDTHS, LENGTH_BITS, Mode, VtepParameters, check_data_width, check_range


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            ({"data_width": width}, "data_width must be one of (8, 16, 32, 64, 128, 256, 512)")
            for width in (0, 4, 24, 1024)
        ),
        ({"encap_mode": "cut-through"}, "encap_mode must be one of Mode.STORE_AND_FORWARD, Mode.CUT_THROUGH"),
        ({"decap_mode": None}, "decap_mode must be one of Mode.STORE_AND_FORWARD, Mode.CUT_THROUGH"),
        *(
            ({name: value}, f"{name} must be an integer within 1 .. {most}, not {value!r}")
            for name, most in (("vnis", 65536), ("tunnels", 4096), ("fdb_entries", 1048576), ("flood_entries", 4096))
            for value in (0, most + 1, -1, 2.0, True, "4")
        ),
        ({"max_frame_length": 127}, "max_frame_length must be an integer within 128 .. 16383, not 127"),
        ({"max_frame_length": 16384}, "max_frame_length must be an integer within 128 .. 16383, not 16384"),
        *(
            ({name: 9855}, f"{name} must be an integer within 9856 .. 16777216, not 9855")
            for name in ("encap_queue_bytes", "decap_queue_bytes", "host_queue_bytes")
        ),
        (
            {"encap_queue_bytes": (1 << 24) + 1},
            "encap_queue_bytes must be an integer within 9856 .. 16777216, not 16777217",
        ),
        (
            {"decap_mode": Mode.CUT_THROUGH, "decap_queue_bytes": 255},
            "decap_queue_bytes must be an integer within 256 .. 16777216, not 255",
        ),
        (
            {"decap_mode": Mode.CUT_THROUGH, "decap_queue_bytes": 2047, "data_width": 512},
            "decap_queue_bytes must be an integer within 2048 .. 16777216, not 2047",
        ),
        ({"encap_mode": Mode.CUT_THROUGH, "udp_checksum": False}, "encap_mode cut-through needs tenant_length"),
        ({"encap_mode": Mode.CUT_THROUGH, "tenant_length": True}, "encap_mode cut-through needs udp_checksum=False"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(f"{name}={of}" for name, of in value.items()),
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        VtepParameters(**options)


@pytest.mark.parametrize("width", DATA_WIDTHS)
def test_accepts_every_width_and_both_modes(width):
    parameters = VtepParameters(
        data_width=width,
        encap_mode=Mode.CUT_THROUGH,
        decap_mode=Mode.CUT_THROUGH,
        tenant_length=True,
        udp_checksum=False,
        vnis=1,
        tunnels=64,
        fdb_entries=1,
        flood_entries=256,
        max_frame_length=16383,
    )
    assert parameters.lanes == width // 8
    assert parameters.max_frame_length < 1 << LENGTH_BITS


@pytest.mark.parametrize(("entries", "bits"), [(1, 1), (2, 1), (3, 2), (256, 8), (257, 9)])
def test_an_index_has_a_bit_at_least(entries, bits):
    assert VtepParameters(vnis=entries).index_bits("vnis") == bits
    assert VtepParameters(tunnels=entries).index_bits("tunnels") == bits


@pytest.mark.parametrize(
    ("options", "name", "beats"),
    [
        ({}, "encap_queue_bytes", 4096),  # 2 * 9600 / 8 = 2400
        ({"data_width": 8}, "host_queue_bytes", 32768),
        ({"data_width": 512}, "decap_queue_bytes", 512),  # 300
        ({"encap_queue_bytes": 16384}, "encap_queue_bytes", 2048),
        ({"encap_queue_bytes": 16385}, "encap_queue_bytes", 4096),
        ({"data_width": 512, "max_frame_length": 128}, "host_queue_bytes", 64),  # room for 32 beats above a frame
        ({"decap_mode": Mode.CUT_THROUGH}, "decap_queue_bytes", 32),
        ({"decap_mode": Mode.CUT_THROUGH, "data_width": 8}, "decap_queue_bytes", 256),
        ({"decap_mode": Mode.CUT_THROUGH, "data_width": 512}, "decap_queue_bytes", 32),
        ({"decap_mode": Mode.CUT_THROUGH, "decap_queue_bytes": 1024}, "decap_queue_bytes", 128),
        ({"decap_mode": Mode.CUT_THROUGH}, "encap_queue_bytes", 4096),
    ],
)
def test_queue_beats(options, name, beats):
    assert VtepParameters(**options).queue_beats(name) == beats


def test_checks_return_what_they_accept():
    assert check_data_width(512) == 512
    assert check_range("x", 1, 1, 1) == 1
    with pytest.raises(ValueError, match=r"x must be an integer within 1 \.\. 3, not 4"):
        check_range("x", 4, 1, 3)
