"""Captures and regions of `BeatPipe`, at every width, from frames that follow each other at once or with gaps."""

import pytest
from amaranth.hdl import Module, Signal

from helpers.beats import Beats, some_frames
from helpers.packet_bench import simulate
from vtep.packet.pipe import Staged, Stages, first_stage

WIDTHS = [8, 16, 32, 64, 128, 256, 512]


def test_first_stage():
    assert first_stage(64, []) == 0
    assert first_stage(64, [(1, 13, 14)]) == 1  # the same beat
    assert first_stage(8, [(1, 13, 14)]) == 1
    assert first_stage(8, [(1, 13, 16)]) == 0  # the next beat
    assert first_stage(8, [(3, 13, 16), (1, 13, 14), (9, 0, 80)]) == 2
    assert first_stage(1, [(4, 0, 1)]) == 3


@pytest.mark.parametrize("data_width", WIDTHS)
@pytest.mark.parametrize("idle", [0.0, 0.4])
def test_captures_at_places_that_earlier_bytes_decide(rng, data_width, idle):
    """A byte decides where a field is, and that field where the next one is, all at random."""
    lanes = data_width // 8
    for _ in range(3):
        window = 100
        decider = rng.randrange(8)
        first = sorted(rng.sample(range(decider + 1, 40), 3))
        first_length = rng.randint(1, 4)
        least = max(first) + first_length
        second = sorted(rng.sample(range(least, least + 40), 4))
        second_length = rng.randint(1, 6)
        beats = Beats(lanes, window)
        pipe = beats.pipe

        one = pipe.capture(0, [(decider, 1)], 1, name="one")
        stage = first_stage(lanes, [(one.stage, decider, place) for place in first])
        kind = pipe.at(one, stage)
        places = [(first[0], kind[:2] == 0), (first[1], kind[:2] == 1), (first[2], kind[1])]
        two = pipe.capture(stage, places, first_length, name="two")
        needs = [(two.stage, place + first_length - 1, far) for place in first for far in second]
        stage = first_stage(lanes, needs)
        choice = pipe.at(two, stage)[:2]
        three = pipe.capture(stage, [(far, choice == i) for i, far in enumerate(second)], second_length, name="three")
        for name, staged in (("one", one), ("two", two), ("three", three)):
            beats.watch(name, staged)
            beats.watch(f"{name} later", Staged(pipe.at(staged, staged.stage + 3), staged.stage + 3))
        frames = some_frames(rng, lanes, window)
        accepted, values = beats.run(frames, rng, idle)
        checked = 0
        for frame, clocks in zip(frames, accepted, strict=True):
            start, expected = decider, 1
            for name in ("one", "two", "three"):
                length = {"one": 1, "two": first_length, "three": second_length}[name]
                if name == "two":
                    start = first[min(2, expected & 3)]
                elif name == "three":
                    start = second[expected & 3]
                if start + length > len(frame):
                    break
                expected = int.from_bytes(frame[start : start + length], "big")
                for which in (name, f"{name} later"):
                    assert beats.value(clocks, values, which, start + length - 1) == expected, (which, len(frame))
                checked += name == "three"
        assert checked >= 2


@pytest.mark.parametrize("data_width", WIDTHS)
def test_captures_are_there_long_behind_the_frame(rng, data_width):
    """At every stage asked for, of a frame that ends with the field or later, with the next one right behind it."""
    lanes = data_width // 8
    beats = Beats(lanes, 80)
    fields = {"early": 3, "late": 37}
    clocks_later = range(14)
    for name, start in fields.items():
        field = beats.pipe.capture(0, [(start, 1)], 2, name=name)
        assert field.stands == start // lanes
        for later in clocks_later:
            stage = field.stage + later
            beats.watch(f"{name} {later}", Staged(beats.pipe.at(field, stage), stage))
    frames = [rng.randbytes(rng.choice((5, 6, 39, 39, 40, rng.randint(1, 90)))) for _ in range(60)]
    accepted, values = beats.run(frames, rng, 0.0)
    for name, start in fields.items():
        held = [(frame, clocks) for frame, clocks in zip(frames, accepted, strict=True) if len(frame) >= start + 2]
        assert len(held) > 10
        for frame, clocks in held:
            for later in clocks_later:
                found = beats.value(clocks, values, f"{name} {later}", len(frame) - 1)
                assert found == int.from_bytes(frame[start : start + 2], "big"), (name, later, len(frame))


@pytest.mark.parametrize("data_width", [8, 64, 512])
@pytest.mark.parametrize("idle", [0.0, 0.4])
@pytest.mark.parametrize("deep", [False, True])
def test_regions(rng, data_width, idle, deep):
    lanes = data_width // 8
    begins, ends = [5, 9, 33], [40, 41, 64, 70]
    beats = Beats(lanes, 80, deep=deep)
    pipe = beats.pipe
    decision = pipe.capture(0, [(0, 1)], 1, name="decision")
    stage = pipe.first_stage([(decision.stage, 0, begin) for begin in begins])
    region = pipe.region(
        stage,
        lambda stage: [(begin, pipe.at(decision, stage)[:2] == i) for i, begin in enumerate(begins)],
        lambda stage: [(end, pipe.at(decision, stage)[2:4] == i) for i, end in enumerate(ends)],
        name="region",
    )
    open_end = pipe.region(stage, lambda stage: [(begins[1], 1)], name="open_end")
    beats.watch("region", Staged(region, stage))
    beats.watch("open end", Staged(open_end, stage))
    for name in ("valid", "data", "last", "index"):
        beats.watch(name, Staged(pipe.view(stage)[name], stage))
    frames = some_frames(rng, lanes, 80)
    accepted, values = beats.run(frames, rng, idle)
    for frame, clocks in zip(frames, accepted, strict=True):
        begin = [*begins, len(frame)][frame[0] & 3]
        end = ends[frame[0] >> 2 & 3]
        for number, start in enumerate(range(0, len(frame), lanes)):
            here = min(lanes, len(frame) - start)
            mask = beats.value(clocks, values, "region", start)
            inside = [begin <= start + lane < end for lane in range(here)]
            assert [bool(mask >> lane & 1) for lane in range(here)] == inside
            mask = beats.value(clocks, values, "open end", start)
            assert [bool(mask >> lane & 1) for lane in range(here)] == [start + lane >= 9 for lane in range(here)]
            assert beats.value(clocks, values, "valid", start)
            assert beats.value(clocks, values, "last", start) == (start + lanes >= len(frame))
            assert beats.value(clocks, values, "index", start) == min(number, -(-80 // lanes))
            data = beats.value(clocks, values, "data", start).to_bytes(lanes, "little")
            assert data[:here] == frame[start : start + lanes]


def test_stages_delay_each_value_once():
    m = Module()
    stages = Stages(m)
    count = Signal(8)
    m.d.sync += count.eq(count + 1)
    staged = Staged(count + 1, 2)
    assert stages.at(staged, 0) is stages.at(staged, 2)
    late = stages.at(staged, 5)
    assert stages.at(staged, 5) is late
    register = stages.register(staged)
    assert register.stage == 3
    assert register.value is stages.at(staged, 3)
    assert register.value is not late

    async def bench(ctx):
        await ctx.tick().repeat(10)
        assert ctx.get(late) == ctx.get(count) + 1 - 3

    simulate(m, bench)
