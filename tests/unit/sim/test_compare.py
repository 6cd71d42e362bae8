"""The comparison finds every kind of difference, names its place, and accepts what is right."""

import random
from dataclasses import replace

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from helpers.vxlan_traffic import CONFIG, inner, outer
from vtep_sim.compare import Candidate, Difference, compare_counters, compare_frames, field_lines
from vtep_sim.golden import Frame, GoldenModel, Prediction

NO_CUT_THROUGH = {"encap_cut_through": False, "decap_cut_through": False}


@pytest.fixture
def prediction(rng: random.Random) -> Prediction:
    tenant = [Frame(inner(rng)) for _ in range(40)]
    underlay = [Frame(outer(rng, inner(rng))) for _ in range(80)]
    return GoldenModel(CONFIG).run(tenant, underlay, [Frame(rng.randbytes(60)) for _ in range(20)])


def outputs_of(prediction: Prediction, rng: random.Random) -> dict[str, list[Frame]]:
    """What a right core sends: the two lists of underlay interleaved at random."""
    lists = [list(prediction.underlay_encap), list(prediction.underlay_host)]
    underlay = []
    while any(lists):
        underlay.append(rng.choice([frames for frames in lists if frames]).pop(0))
    return {"tenant": list(prediction.tenant), "underlay": underlay, "host": list(prediction.host)}


def test_a_right_core(prediction: Prediction, rng: random.Random) -> None:
    for _ in range(10):
        assert compare_frames(outputs_of(prediction, rng), prediction, **NO_CUT_THROUGH) == []


def test_equal_frames_in_both_lists_of_underlay() -> None:
    a, b = Frame(b"a" * 20), Frame(b"b" * 20)
    origins = {"underlay_encap": [("tenant", n) for n in range(3)], "underlay_host": [("host", n) for n in range(2)]}
    prediction = Prediction(underlay_encap=[a, a, b], underlay_host=[a, b])
    prediction.origins |= origins
    for order in ([a, a, b, a, b], [a, b, a, a, b], [a, a, a, b, b]):
        outputs = {"tenant": [], "underlay": order, "host": []}
        assert compare_frames(outputs, prediction, **NO_CUT_THROUGH) == []
    outputs = {"tenant": [], "underlay": [b, a, a, a, b], "host": []}
    assert compare_frames(outputs, prediction, **NO_CUT_THROUGH)[0].index == 0


@pytest.mark.parametrize("port", ["tenant", "underlay", "host"])
def test_every_kind_of_difference(port: str, prediction: Prediction, rng: random.Random) -> None:
    right = outputs_of(prediction, rng)
    frames = right[port]
    place = rng.randrange(len(frames) - 1)
    flipped = bytearray(frames[place].data)
    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    other = Frame(frames[place].data[:-1] + bytes([frames[place].data[-1] ^ 1]))
    wrong = {
        "bit": [*frames[:place], Frame(bytes(flipped)), *frames[place + 1 :]],
        "short": [*frames[:place], Frame(frames[place].data[:-1]), *frames[place + 1 :]],
        "marked": [*frames[:place], replace(frames[place], error=True), *frames[place + 1 :]],
        "extra": [*frames[:place], other, *frames[place:]],
    }
    for kind, changed in wrong.items():
        found = compare_frames(right | {port: changed}, prediction, **NO_CUT_THROUGH)
        assert [(difference.port, difference.index) for difference in found] == [(port, place)], kind
    found = compare_frames(right | {port: frames[:-1]}, prediction, **NO_CUT_THROUGH)
    assert [(difference.index, difference.got) for difference in found] == [(len(frames) - 1, None)]
    found = compare_frames(right | {port: [*frames, other]}, prediction, **NO_CUT_THROUGH)
    assert [(difference.index, difference.expected) for difference in found] == [(len(frames), None)]


def test_marked_frames_of_cut_through(prediction: Prediction, rng: random.Random) -> None:
    outputs = outputs_of(prediction, rng)
    for port in outputs:
        outputs[port].insert(3, Frame(b"spoiled" * 4, error=True))
    ports = {d.port for d in compare_frames(outputs, prediction, **NO_CUT_THROUGH)}
    assert ports == {"tenant", "underlay", "host"}
    encap = compare_frames(outputs, prediction, encap_cut_through=True, decap_cut_through=False)
    assert {difference.port for difference in encap} == {"tenant", "host"}
    assert compare_frames(outputs, prediction, encap_cut_through=True, decap_cut_through=True) == []


def test_counters(prediction: Prediction, rng: random.Random) -> None:
    outputs = outputs_of(prediction, rng)
    assert compare_counters(prediction.counters, prediction.counters, outputs) == []
    for name in prediction.counters:
        wrong = prediction.counters | {name: prediction.counters[name] + 1}
        assert compare_counters(wrong, prediction.counters, outputs) == [
            f"counter {name}: expected {prediction.counters[name]}, got {wrong[name]}"
        ]
    lost = {name: value for name, value in prediction.counters.items() if name != "mtu"}
    assert compare_counters(lost, prediction.counters, outputs)[0].endswith("got none")


def test_marked_frames_count_as_sent(prediction: Prediction, rng: random.Random) -> None:
    outputs = outputs_of(prediction, rng)
    outputs["tenant"].append(Frame(b"spoiled" * 4, error=True))
    got = dict(prediction.counters)
    got["tenant_tx_frames"] += 1
    got["tenant_tx_bytes"] += 28
    assert compare_counters(got, prediction.counters, outputs) == []


def test_fields_are_named() -> None:
    frame = bytes(Ether(dst="02:00:00:00:00:01") / IP() / UDP(dport=4789) / VXLAN(vni=100) / Raw(bytes(range(60))))
    for offset, count in ((0, 1), (len(frame) - 1, 0)):
        changed = bytearray(frame)
        changed[offset] ^= 1
        lines = field_lines(bytes(changed), frame, 4789)
        assert lines[:count] == ["Ethernet.dst: expected 02:00:00:00:00:01, got 03:00:00:00:00:01"][:count]
        assert lines[count] == f"first different byte: {offset}"
    vni = 14 + 20 + 8 + 6
    changed = bytearray(frame)
    changed[vni] ^= 1
    assert any(line.startswith("VXLAN.vni: expected") for line in field_lines(bytes(changed), frame, 4789))


def test_lines_name_port_frame_and_input() -> None:
    frame, wrong = Frame(bytes(range(60))), Frame(bytes(range(1, 61)))
    expected = Candidate(frame.data, error=False, origin=("tenant", 4))

    def name_input(port: str, index: int) -> str:
        return f"{port} in, frame {index + 1} of a.pcap"

    lines = Difference("underlay", 7, wrong, expected).lines(4789, name_input)
    assert lines[0] == "underlay out, frame 8, from tenant in, frame 5 of a.pcap: differs from the golden model"
    assert any("Ethernet.dst: expected 00:01:02:03:04:05, got 01:02:03:04:05:06" in line for line in lines)
    lines = Difference("underlay", 7, None, expected).lines(4789, name_input)
    assert lines[0].endswith("missing, 60 bytes expected, from tenant in, frame 5 of a.pcap")
    lines = Difference("host", 0, wrong, None).lines(4789, name_input)
    assert lines[0] == "host out, frame 1: a frame of 60 bytes that nothing accounts for"
    lines = Difference("host", 0, replace(frame, error=True), expected).lines(4789, name_input)
    assert "  error mark: expected 0, got 1" in lines
