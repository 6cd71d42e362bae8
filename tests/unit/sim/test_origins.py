"""Stamps by content: the frames traced back are those that the golden model made them of."""

import random

import pytest

from helpers.vxlan_traffic import CONFIG, inner, outer
from vtep_sim.golden import Frame, GoldenModel
from vtep_sim.origins import trace_origins


def test_as_the_golden_model_knows_it(rng: random.Random, full: bool) -> None:
    for _ in range(30 if full else 5):
        inners = [inner(rng) for _ in range(40)]
        tenant = [Frame(rng.choice(inners)) for _ in range(150)]
        # Few enough different frames that most come several times, and some of those are dropped.
        outers = [outer(rng, frame) for frame in inners for _ in range(3)]
        underlay = [Frame(rng.choice(outers) + rng.choice([b"", b"", b"padding"])) for _ in range(300)]
        host = [Frame(rng.choice([rng.randbytes(60), rng.choice(outers)])) for _ in range(40)]
        prediction = GoldenModel(CONFIG).run(tenant, underlay, host)
        mixed = [*zip(prediction.underlay_encap, prediction.origins["underlay_encap"], strict=True)]
        passed = [*zip(prediction.underlay_host, prediction.origins["underlay_host"], strict=True)]
        for place, item in zip(sorted(rng.sample(range(len(mixed) + len(passed)), len(passed))), passed, strict=True):
            mixed.insert(place, item)

        def delivers(indices: list[int], underlay: list[Frame] = underlay) -> list[int]:
            made = GoldenModel(CONFIG).run(underlay=[underlay[index] for index in indices])
            return [indices[index] for _, index in made.origins["tenant"]]

        inputs = {"tenant": tenant, "underlay": underlay, "host": host}
        outputs = {"tenant": prediction.tenant, "underlay": [frame for frame, _ in mixed], "host": prediction.host}
        origins = trace_origins(CONFIG, inputs, outputs, delivers)
        assert prediction.tenant
        assert prediction.host
        assert origins["tenant"] == prediction.origins["tenant"]
        assert origins["host"] == prediction.origins["host"]
        assert origins["underlay"] == [origin for _, origin in mixed]


@pytest.mark.parametrize("port", ["tenant", "underlay", "host"])
def test_a_frame_from_nowhere(port: str) -> None:
    none = {"tenant": [], "underlay": [], "host": []}
    outputs = none | {port: [Frame(bytes(n)) for n in (1, 13, 14, 60)]}
    assert trace_origins(CONFIG, none, outputs, list)[port] == [None] * 4


def test_any_input_can_be_read(rng: random.Random) -> None:
    outers = [outer(rng, inner(rng)) for _ in range(20)]
    cut = [Frame(frame[:length]) for frame in outers for length in range(1, min(len(frame), 120))]
    frames = {"tenant": cut, "underlay": cut, "host": cut}
    assert trace_origins(CONFIG, frames, frames, list)["host"] == [("underlay", n) for n in range(len(cut))]
