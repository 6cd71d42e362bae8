import pytest
from amaranth.hdl import Signal

from helpers.beats import Beats, some_frames
from vtep.packet.length import head_event, measure
from vtep.packet.pipe import Staged

LIMIT = 1 << 14


def measured(lanes, window, max_frame_length):
    beats = Beats(lanes, window)
    end = measure(beats.m, beats.pipe, empty=beats.empty, error=beats.error, max_frame_length=max_frame_length)
    for name in ("length", "oversize", "error", "number"):
        beats.watch(name, getattr(end, name))
    assert (end.number.stage, end.length.stage, end.error.stage, end.oversize.stage) == (0, 1, 1, 2)
    return beats


@pytest.mark.parametrize("data_width", [8, 16, 32, 64, 128, 256, 512])
@pytest.mark.parametrize("idle", [0.0, 0.3])
def test_measures(rng, data_width, idle):
    lanes = data_width // 8
    longest = 130
    beats = measured(lanes, 30, longest)
    frames = [*some_frames(rng, lanes, 150), bytes(longest), bytes(longest + 1), bytes(longest), bytes(1)]
    errors = [rng.random() < 0.5 for _ in frames]
    accepted, values = beats.run(frames, rng, idle, errors)
    for frame, clocks, error in zip(frames, accepted, errors, strict=True):
        for number, start in enumerate(range(0, len(frame), lanes)):
            passed = min(len(frame), start + lanes)
            assert beats.value(clocks, values, "number", start) == number
            assert beats.value(clocks, values, "length", start) == passed
            assert beats.value(clocks, values, "oversize", start) == (passed > longest)
        assert beats.value(clocks, values, "error", len(frame) - 1) == error


@pytest.mark.parametrize("data_width", [64, 512])
def test_a_frame_beyond_all_counters_stays_oversize(rng, data_width):
    lanes = data_width // 8
    beats = measured(lanes, 30, LIMIT - 1)
    frames = [rng.randbytes(length) for length in (LIMIT - 1, LIMIT, 2 * LIMIT + 3, 60)]
    accepted, values = beats.run(frames, rng, 0.0)
    for frame, clocks in zip(frames, accepted, strict=True):
        end = len(frame) - 1
        assert beats.value(clocks, values, "oversize", end) == (len(frame) >= LIMIT)
        length = beats.value(clocks, values, "length", end)
        assert length == len(frame) if len(frame) < LIMIT else length >= LIMIT
    long = accepted[2]
    for clock in long[LIMIT // lanes :]:
        assert values["oversize"][clock + 2]
        assert values["number"][clock] == LIMIT // lanes


@pytest.mark.parametrize("data_width", [8, 64, 512])
@pytest.mark.parametrize("idle", [0.0, 0.3])
@pytest.mark.parametrize("stage", [0, 3])
def test_head_and_tail(rng, data_width, idle, stage):
    """The strobes come once a frame: for the beat with byte 20, or the frame's last if that comes first."""
    lanes = data_width // 8
    beats = Beats(lanes, 60)
    complete = Signal()
    # A second beat that is complete must not strobe again.
    beats.m.d.comb += complete.eq(beats.pipe.hits(stage, 20) | beats.pipe.hits(stage, 50))
    head, tail = head_event(beats.m, beats.pipe, stage, complete)
    assert head.stage == tail.stage == stage + 1
    beats.watch("head", head)
    beats.watch("tail", tail)
    beats.watch("one", Staged(complete, stage))
    frames = some_frames(rng, lanes, 100)
    accepted, values = beats.run(frames, rng, idle)
    heads = [
        clocks[min(20, len(frame) - 1) // lanes] + head.stage for frame, clocks in zip(frames, accepted, strict=True)
    ]
    assert [clock for clock, value in enumerate(values["head"]) if value] == heads
    tails = [clocks[-1] + tail.stage for clocks in accepted]
    assert [clock for clock, value in enumerate(values["tail"]) if value] == tails
