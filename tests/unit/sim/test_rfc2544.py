"""The RFC 2544 bench: its rates are exact, and it finds out what a core does not keep up with."""

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from vtep.config import Mode, VtepParameters
from vtep_sim.bench import run, tester
from vtep_sim.bench.results import load_parts, markdown, save_part, summary
from vtep_sim.bench.rfc2544 import PATTERNS, Benchmark, measure_rfc2544
from vtep_sim.bench.rfc2544_tables import rfc2544_tables
from vtep_sim.bench.tester import Outcome, Stream
from vtep_sim.bench.traffic import config_for, inner_frame
from vtep_sim.harness import OutputFrame, SimulationError, Simulator
from vtep_sim.runner import make_parameters

PARAMETERS = make_parameters(64, Mode.STORE_AND_FORWARD, Mode.STORE_AND_FORWARD)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(PARAMETERS) as simulator:
        simulator.configure(config_for("ipv4", udp_checksum=True))
        yield simulator


def test_a_stream_arrives_at_its_exact_rate() -> None:
    stream = Stream("encap", [64], lanes=8)
    # 84 bytes on the wire, 8 in a clock; what it becomes takes 134.
    assert list(islice(stream.times(Fraction(1)), 5)) == [0, 11, 21, 32, 42]
    assert list(islice(stream.times(Fraction(1, 2)), 5)) == [0, 21, 42, 63, 84]
    assert stream.ceiling == Fraction(84, 134)
    assert list(islice(stream.times(stream.ceiling), 5)) == [0, 17, 34, 51, 67]
    assert stream.count(stream.ceiling, 16750) == 1000
    assert Stream("decap", [64], lanes=8).ceiling == 1


def test_a_stream_of_a_mixture() -> None:
    stream = Stream("decap", [64, 1518], lanes=1)
    assert [len(frame.data) for frame in stream.offered(3)] == [110, 1564, 110]
    assert list(islice(stream.times(Fraction(1)), 4)) == [0, 134, 134 + 1588, 2 * 134 + 1588]
    assert stream.count(Fraction(1), 10 * (134 + 1588)) == 20
    assert stream.count(Fraction(1), 1) == 4


def test_latency_that_grows_is_seen() -> None:
    assert Outcome(8, 0, [40, 41, 40, 41, 42, 41, 40, 41], []).steady(1)
    assert not Outcome(8, 0, [40, 41, 40, 41, 42, 41, 43, 41], []).steady(1)
    assert not Outcome(8, 1, [40] * 7, []).steady(1)
    # Whole patterns: of three frames, the last is the slow one.
    assert Outcome(9, 0, [40, 40, 50] * 3, []).steady(3)
    assert not Outcome(6, 0, [40, 40, 50, 40, 40, 52], []).steady(3)


@pytest.mark.slow
def test_a_full_rate(simulator: Simulator) -> None:
    rows = list(measure_rfc2544(simulator, ["64"]))
    assert [(row.traffic, row.direction) for row in rows] == [
        ("encap", "encap"),
        ("decap", "decap"),
        ("both", "encap"),
        ("both", "decap"),
    ]
    for row in rows:
        assert row.share == 1
        assert int(row.mpps * 1e6) == 9_328_358  # 10 Gb/s / (8 * 134 bytes)
        assert row.gbps == pytest.approx(9.328358 * 64 * 8 / 1000)
        assert row.core_ratio == 1
        assert row.core_mpps == pytest.approx(156.25 / 14)
        assert row.least == row.median == row.most
        beats = 8 if row.direction == "encap" else 14
        assert row.stored_median == row.median - (beats - 1)
        lost = dict(row.losses)
        loads = [1, 0.9] if row.traffic == "decap" else [1, 0.9, 0.8, 0.7, 0.6, 0.5]
        assert list(lost) == loads
        for load, share in lost.items():
            expected = max(0, 1 - 84 / 134 / load) if row.direction == "encap" else 0
            assert share == pytest.approx(expected, abs=3 / row.trial_frames)
        assert list(lost.values())[-2:] == [0, 0]


@pytest.mark.slow
def test_a_port_that_is_too_slow(simulator: Simulator) -> None:
    """With a pause behind each frame it takes one in 8 + 10 clocks; the wire brings one in 16.75."""
    simulator.pace("tenant", "in", gap=10)
    (row,) = measure_rfc2544(simulator, ["64"], traffics=["encap"])
    # 952.9, and the next rate is too high by less than a clock in half a trial.
    assert row.share * 1024 in (952, 953)
    assert dict(row.losses)[1] == pytest.approx(1 - 10.5 / 18, abs=0.003)
    assert row.core_ratio == pytest.approx(14 / 18, abs=0.001)


@pytest.mark.slow
def test_a_tester_refuses_what_it_cannot_count(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream("decap", [128], lanes=8)
    loads = {"decap": Fraction(1, 2)}
    stream.growth += 1
    with pytest.raises(AssertionError, match="not as they should"):
        tester.Tester(simulator, [stream]).trial(loads, full=False)
    monkeypatch.setattr(tester.Tester, "_filling", lambda _: 100)
    with pytest.raises(AssertionError, match="did not become full"):
        tester.Tester(simulator, [stream]).trial(loads, full=True)


@pytest.mark.parametrize("direction", ["encap", "decap"])
def test_content_that_changes_is_seen(direction: str) -> None:
    stream, tenant = Stream(direction, [128], lanes=8), inner_frame(124).data
    underlay = bytes(50) + tenant
    came, left = (tenant, underlay) if direction == "encap" else (underlay, tenant)
    assert stream.carries(came, OutputFrame(left, False, 0, 9))
    changed = left[:-1] + bytes([left[-1] ^ 1])
    for data, error in ((left, True), (changed, False), (left[1:], False), (left + b"\0", False)):
        assert not stream.carries(came, OutputFrame(data, error, 0, 9))


@pytest.mark.slow
def test_outputs_that_stand_still_are_no_hang(simulator: Simulator) -> None:
    """As long frames on narrow ports have it: longer than the watchdog waits."""
    simulator.watchdog = 1000
    stream = Stream("encap", [9018], lanes=8)
    outcome = tester.Tester(simulator, [stream]).trial({"encap": stream.ceiling}, full=True)["encap"]
    assert (outcome.offered, outcome.lost) == (100, 0)


ROW = Benchmark(
    data_width=64,
    mode="store-and-forward",
    traffic="encap",
    direction="encap",
    frames="64",
    clock_mhz=156.25,
    mean_size=64.0,
    mean_wire=134.0,
    share=1.0,
    trial_frames=955,
    trial_clocks=16000,
    least=40,
    median=40.5,
    most=41,
    stored_least=33,
    stored_median=33,
    stored_most=34,
    losses=((1.0, 0.3736), (0.6, 0.0)),
    core_ratio=1.0,
    core_beats=14.0,
)
ROWS = [
    ROW,
    replace(ROW, traffic="decap", direction="decap", share=0.925),
    replace(ROW, frames="128", mean_size=128.0, mean_wire=198.0),
    replace(ROW, frames="128", mean_size=128.0, mean_wire=198.0, traffic="decap", direction="decap"),
]


def test_tables_and_summary(tmp_path: Path) -> None:
    save_part(tmp_path, "rfc2544", ROWS, "vtep-sim bench --only rfc2544")
    parts = load_parts(tmp_path)
    assert summary(parts) == [
        "rfc2544: 3 of 4 throughputs are the theoretical maximum",
        "  64 bits, 64: 92.5 % or more in 1 of 2, 1.000 beats a clock without a wire",
    ]
    text = markdown(parts)
    assert "### store-and-forward, 64 bits at 156.25 MHz: 10 Gb/s" in text
    assert "| frames | encap | decap | maximum | encap, no wire | decap, no wire |" in text
    assert "| 64 | 9.328 (100 %), 4.776 | 8.629 (92.5 %), 4.418 | 9.328 | 11.161 | 11.161 |" in text
    assert "| 64 | 40 / 40.5 / 41 (33 / 33 / 34) | 40 / 40.5 / 41 (33 / 33 / 34) |" in text
    assert "| 128 | 100: 37.36, 60: 0.00 | 100: 37.36, 60: 0.00 |" in text
    assert "IMIX is aaaaaaaAAAAg with A = 570 bytes" in text


def test_tables_do_not_depend_on_what_was_measured_first() -> None:
    rows = [
        {**vars(replace(row, data_width=width, mode=mode)), **dict.fromkeys(("mpps", "gbps", "core_mpps"), 1.0)}
        | {"theoretical_mpps": 1.0, "line_gbps": 1.0}
        for width in (64, 8)
        for mode in ("cut-through", "store-and-forward")
        for row in ROWS
    ]
    assert [line for line in rfc2544_tables(rows) if line.startswith("###")] == [
        f"### {mode}, {width} bits at 156.25 MHz: 1 Gb/s"
        for mode in ("store-and-forward", "cut-through")
        for width in (8, 64)
    ]


class Core:
    """In the place of a simulator."""

    def __init__(self, parameters: VtepParameters, *, clock_mhz: float, message: object) -> None:
        self.parameters, self.clock_mhz, self.clock = parameters, clock_mhz, 0

    def __enter__(self) -> "Core":
        return self

    def __exit__(self, *_: object) -> None: ...


def bench_with(
    folder: Path, widths: list[int], failing: int, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> list[int]:
    """Run the bench in store-and-forward; the widths that were measured. It fails at ``failing`` bits."""
    measured = []

    def measure(core: Core, patterns: list[str], *, done: object) -> Iterator[Benchmark]:
        assert patterns == list(PATTERNS)
        if core.parameters.data_width == failing:
            raise SimulationError("hung")
        measured.append(core.parameters.data_width)
        yield replace(ROW, clock_mhz=core.clock_mhz, data_width=core.parameters.data_width)

    monkeypatch.setattr(run, "Simulator", Core)
    monkeypatch.setattr(run, "measure_rfc2544", measure)
    run.run_bench(
        folder,
        ["rfc2544"],
        widths,
        [Mode.STORE_AND_FORWARD],
        clock_mhz=200.0,
        command="vtep-sim bench",
        message=lambda _: None,
        progress=lambda *_: None,
        **options,
    )
    return measured


def test_what_was_measured_before_a_failure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SimulationError, match="hung"):
        bench_with(tmp_path, [64, 128], 128, monkeypatch)
    (row,) = load_parts(tmp_path)["rfc2544"]["entries"]
    assert (row["clock_mhz"], row["line_gbps"]) == (200, 12.8)
    assert "at 200 MHz: 12.8 Gb/s" in (tmp_path / "bench.md").read_text()


def test_a_run_that_was_ended_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SimulationError, match="hung"):
        bench_with(tmp_path, [64, 128], 128, monkeypatch)
    assert bench_with(tmp_path, [64, 128, 256], 0, monkeypatch, resume=True) == [128, 256]
    assert bench_with(tmp_path, [64, 128, 256], 0, monkeypatch, resume=True) == []
    assert bench_with(tmp_path, [64], 0, monkeypatch) == [64]
    assert sorted(row["data_width"] for row in load_parts(tmp_path)["rfc2544"]["entries"]) == [64, 128, 256]


def test_figures_of_another_core_are_marked_and_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench_with(tmp_path, [64, 128], 0, monkeypatch)
    assert "other sources of the core" not in markdown(load_parts(tmp_path))
    path = tmp_path / "rfc2544.json"
    content = json.loads(path.read_text())
    content["entries"][0]["sources"] = "of another"
    path.write_text(json.dumps(content))
    assert "**1 of 2 of these figures are of other sources of the core" in markdown(load_parts(tmp_path))
    del content["entries"][1]["sources"]
    path.write_text(json.dumps(content))
    assert "**All of these figures are of other sources of the core" in markdown(load_parts(tmp_path))
    assert bench_with(tmp_path, [64, 128], 0, monkeypatch, resume=True) == [64, 128]
