"""The scoreboard notices every kind of difference, and nothing else."""

import pytest

from vtep_sim.cocotb.scoreboard import Outputs, compare_counters, compare_frames, unpredicted_marked
from vtep_sim.golden import Frame, Prediction

A, B, C = (Frame(bytes([i]) * (60 + i)) for i in range(3))
BAD = Frame(b"broken", error=True)


def differences(outputs, prediction, *, encap=False, decap=False):
    return compare_frames(outputs, prediction, encap_cut_through=encap, decap_cut_through=decap)


@pytest.mark.parametrize("port", ["tenant", "host"])
@pytest.mark.parametrize(
    "got",
    [
        [],
        [A],
        [B, A],
        [A, B, B],
        [A, Frame(B.data[:-1])],
        [A, Frame(B.data + b"\0")],
        [A, Frame(B.data, error=True)],
        [A, Frame(B.data[:-1] + b"\xff")],
    ],
)
def test_a_wrong_frame_is_noticed(port, got):
    wanted = Prediction(**{port: [A, B]})
    assert not differences(Outputs(**{port: [A, B]}), wanted)
    found = differences(Outputs(**{port: got}), wanted)
    assert len(found) == 1
    assert f"m_axis_{port}" in found[0]


def test_the_first_difference_is_said():
    broken = bytearray(B.data)
    broken[7] ^= 1
    (message,) = differences(Outputs(tenant=[A, Frame(bytes(broken))]), Prediction(tenant=[A, B]))
    assert "frame 1" in message
    assert "byte 7 is 00, should be 01" in message


@pytest.mark.parametrize("got", [[A, B, C], [C, A, B], [A, C, B]])
def test_underlay_frames_may_be_interleaved(got):
    assert not differences(Outputs(underlay=got), Prediction(underlay_encap=[A, B], underlay_host=[C]))


@pytest.mark.parametrize("got", [[B, A, C], [A, B], [A, B, C, C], [A, C, C], [C, B], []])
def test_but_each_stays_in_its_order(got):
    assert differences(Outputs(underlay=got), Prediction(underlay_encap=[A, B], underlay_host=[C]))


def test_equal_frames_from_both_sides_are_told_apart_by_what_follows():
    prediction = Prediction(underlay_encap=[A, B, A], underlay_host=[A, C, A])
    assert not differences(Outputs(underlay=[A, A, C, B, A, A]), prediction)
    assert not differences(Outputs(underlay=[A, C, A, B, A, A]), prediction)
    assert differences(Outputs(underlay=[C, A, A, B, A, A]), prediction)


def test_marked_frames_are_left_aside_in_cut_through_only():
    prediction = Prediction(tenant=[A], host=[B], underlay_encap=[C])
    outputs = Outputs([BAD, A], [BAD, C, BAD], [B, BAD])
    assert not differences(outputs, prediction, encap=True, decap=True)
    assert len(differences(outputs, prediction)) == 3
    assert len(differences(outputs, prediction, encap=True)) == 2
    assert len(differences(outputs, prediction, decap=True)) == 1


def test_a_marked_frame_of_the_host_must_come():
    prediction = Prediction(underlay_host=[BAD, A])
    for encap in (False, True):
        assert not differences(Outputs(underlay=[BAD, A]), prediction, encap=encap)
        assert differences(Outputs(underlay=[A]), prediction, encap=encap)
    marked = unpredicted_marked(Outputs(underlay=[BAD, A, BAD]), prediction)
    assert marked == {"tenant": [], "underlay": [BAD], "host": []}


GOT = {"tenant_tx_frames": 3, "tenant_tx_bytes": 180, "mtu": 1, "vni[3].encap_frames": 0}


def test_counters():
    predicted = {"tenant_tx_frames": 3, "tenant_tx_bytes": 180, "mtu": 1}
    assert not compare_counters(GOT, predicted, {})
    for name in predicted:
        assert compare_counters(GOT, predicted | {name: predicted[name] + 1}, {})
    assert compare_counters(GOT | {"vni[3].encap_frames": 1}, predicted, {}), "a counter of an unused entry"
    assert compare_counters(GOT, predicted | {"ecn": 0}, {}), "a counter that cannot be read"


def test_marked_frames_count_as_sent_but_not_more_of_them_than_failed():
    predicted = {"tenant_tx_frames": 2, "tenant_tx_bytes": 174, "mtu": 1}
    assert compare_counters(GOT, predicted, {"tenant": [BAD]}) == [
        "1 marked frames left decapsulation, only 0 failed a late check"
    ]
    got = GOT | {"underlay_error": 1}
    assert not compare_counters(got, predicted | {"underlay_error": 1}, {"tenant": [BAD]})
