"""The bench can see what it is for: pauses as bubbles, and bars that are missed."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from vtep.config import Mode
from vtep_sim.bench import results, run
from vtep_sim.bench.area import Area
from vtep_sim.bench.bubbles import MIX, Rate, measure_bubbles, window_of
from vtep_sim.bench.fill import Fill
from vtep_sim.bench.latency import Latency, measure_latency
from vtep_sim.bench.plot import plot
from vtep_sim.bench.speed import Speed, measure_harness
from vtep_sim.bench.traffic import INNER_LENGTHS, config_for, inner_frame, outer_frame
from vtep_sim.bench.updates import UpdateRate, measure_updates
from vtep_sim.cli import app
from vtep_sim.golden import Frame, GoldenModel
from vtep_sim.harness import Simulator
from vtep_sim.runner import UsageError, make_parameters
from vtep_sim.synth import ToolError

PARAMETERS = make_parameters(64, Mode.STORE_AND_FORWARD, Mode.STORE_AND_FORWARD)


@pytest.mark.parametrize("underlay", ["ipv4", "ipv6"])
def test_the_frames_of_the_bench_pass(underlay: str) -> None:
    tenant = [Frame(inner_frame(length).data) for length in INNER_LENGTHS]
    outer = [Frame(outer_frame(length, underlay).data) for length in INNER_LENGTHS]
    assert [len(frame.data) for frame in tenant] == list(INNER_LENGTHS)
    prediction = GoldenModel(config_for(underlay, udp_checksum=True)).run(tenant, outer)
    assert prediction.drops == []
    head = 50 if underlay == "ipv4" else 70
    assert [len(frame.data) for frame in prediction.underlay_encap] == [length + head for length in INNER_LENGTHS]
    assert [len(frame.data) for frame in prediction.tenant] == list(INNER_LENGTHS)


def test_the_window_is_the_middle_half_between_like_frames() -> None:
    assert window_of([60] * 40) == (10, 30)
    lengths = [60, 61, 62, 63] * 30
    first, last = window_of(lengths)
    assert (first, last) == (30, 90)
    assert lengths[first - 1 : first + 1] == lengths[last - 1 : last + 1]
    with pytest.raises(ValueError, match="too few"):
        window_of(list(range(60, 100)))


@pytest.mark.slow
def test_bubbles_are_seen() -> None:
    with Simulator(PARAMETERS) as simulator:
        lengths = (60, 512, MIX)
        saturated = list(measure_bubbles(simulator, "ipv4", lengths, seed=1, done=lambda: None))
        assert [rate.inner_length for rate in saturated] == [60, 60, 512, 512, MIX, MIX]
        assert all(rate.clocks > 10_000 for rate in saturated)
        assert all(rate.ratio == 1 for rate in saturated if rate.inner_length != MIX)
        # Pauses at an output are bubbles of that direction only; queues hide none of them.
        simulator.pace("underlay", "out", idle=0.1)
        encap, decap = measure_bubbles(simulator, "ipv4", (60,), seed=1, done=lambda: None)
        assert encap.ratio == pytest.approx(0.9, abs=0.02)
        assert decap.ratio == 1
        simulator.pace("underlay", "out")
        simulator.pace("tenant", "out", idle=0.5)
        encap, decap = measure_bubbles(simulator, "ipv4", (512,), seed=1, done=lambda: None)
        assert encap.ratio == 1
        assert decap.ratio == pytest.approx(0.5 * (512 + 50) / 512, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
def test_short_frames_at_full_width_leave_no_bubble(mode: Mode) -> None:
    """The hardest case: two beats a frame, so a decision is due every other clock."""
    with Simulator(make_parameters(512, mode, mode)) as simulator:
        rates = list(measure_bubbles(simulator, "ipv4", (60, 64, 65, 128, MIX), seed=1, done=lambda: None))
    assert [rate for rate in rates if rate.ratio != 1] == []


@pytest.mark.slow
def test_updates_of_a_full_table_leave_no_bubble() -> None:
    with Simulator(PARAMETERS) as simulator:
        rates = list(measure_updates(simulator, seed=1))
    assert [rate.direction for rate in rates] == ["encap", "decap"]
    for rate in rates:
        assert rate.ratio == 1
        assert rate.fill > 0.9
        assert rate.moves > 20
        assert rate.writes > 2 * rate.moves


@pytest.mark.slow
def test_latency_grows_with_the_frame_in_store_and_forward() -> None:
    with Simulator(PARAMETERS) as simulator:
        found = measure_latency(simulator, "ipv4", (64, 512))
    short, long = ([entry for entry in found if entry.inner_length == length] for length in (64, 512))
    for before, after in zip(short, long, strict=True):
        assert before.least == before.most
        assert after.most - before.most == (512 - 64) // 8


@pytest.mark.slow
def test_speed_counts_frames_and_clocks() -> None:
    with Simulator(PARAMETERS) as simulator:
        speed = measure_harness(simulator, 400)
        alone = measure_harness(simulator, 400, traffic="decap")
    assert speed.frames == 800
    assert speed.clocks > 400 * 32
    assert speed.frames_per_second > 0
    assert alone.frames == 400
    assert 400 * 32 < alone.clocks < speed.clocks + 100


RATES = [
    Rate(64, "store-and-forward", "ipv4", length, direction, 100, 1400, clocks)
    for length in (60, MIX)
    for direction, clocks in (("encap", 1400), ("decap", 1750 if length == 60 else 1400))
]
LATENCIES = [
    Latency(width, mode, "ipv4", 60, direction, clocks, clocks + 1)
    for width, clocks in ((64, 15), (512, 12))
    for mode in ("store-and-forward", "cut-through")
    for direction in ("encap", "decap")
]
SPEEDS = [
    Speed(64, "harness", 60_000, 2_000_000, 2.0),
    Speed(64, "harness, optimized", 60_000, 2_000_000, 1.0),
    Speed(64, "harness, optimized", 30_000, 990_000, 1.0, "encap"),
    Speed(64, "a bench", 800, 30_000, 2.0),
    Speed(64, "another", 400, 20_000, 0.5),
]
AREAS = [
    Area("a block", "ecp5", 700, 800, 0, 310.0, (300.0, 310.0, 320.0), 3, "here to there", "at least 300 MHz", True),
    Area("a block", "xcup", 500, 800, 0, None, (), 7, "LUT6 x", "at most 6 LUT levels", False),
]
FILLS = [
    Fill(16384, 8, 1, 1000, 0.99951, 0.998, 1.0, 2.5, 17.26, 0.999),
    Fill(1 << 20, 8, 1, 1, 0.9996, 0.9996, 0.9996, 2.5, 30.0, 0.9997),
]
UPDATES = [
    UpdateRate(512, "store-and-forward", "ipv4", 60, direction, 900, beats, 20_000, 4096, 0.9995, 700, 80, 35_000)
    for direction, beats in (("encap", 20_000), ("decap", 19_000))
]
PARTS = {
    "bubbles": RATES,
    "latency": LATENCIES,
    "speed": SPEEDS,
    "area": AREAS,
    "fill": FILLS,
    "updates": UPDATES,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, entries in PARTS.items():
        results.save_part(tmp_path, part, entries, f"vtep-sim bench --only {part}")
    return tmp_path


SILENT: dict[str, Any] = {
    "command": "vtep-sim bench",
    "message": lambda text: None,
    "progress": lambda *counts: None,
}


def test_what_was_measured_before_a_failure_is_kept(tmp_path, monkeypatch) -> None:
    def measure(*_: object) -> Iterator[Area]:
        yield AREAS[0]
        raise ToolError("no BELs remaining")

    monkeypatch.setattr(run, "measure_area", measure)
    with pytest.raises(ToolError, match="no BELs"):
        run.run_bench(tmp_path, ["area", "updates"], (64,), list(Mode), **SILENT)
    assert [row["luts"] for row in results.load_parts(tmp_path)["area"]["entries"]] == [AREAS[0].luts]
    assert "a block" in (tmp_path / "bench.md").read_text()
    assert (tmp_path / "bench.svg").exists()


def test_a_block_that_there_is_not_is_refused_before_anything_runs(tmp_path) -> None:
    with pytest.raises(UsageError, match="FCS check, 64 bits"):
        run.run_bench(tmp_path / "new", ["bubbles", "area"], (64,), list(Mode), blocks=["no such"], **SILENT)
    assert not (tmp_path / "new").exists()


def test_rates_at_another_clock_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rfc2544.json").write_text(json.dumps({"entries": [{"clock_mhz": 322.0}, {"clock_mhz": 322.0}]}))
    monkeypatch.setattr(run, "_rfc2544", lambda *_: iter(()))
    with pytest.raises(UsageError, match=r"--clock-mhz 156\.25: .* has figures at 322 MHz"):
        run.run_bench(tmp_path, ["rfc2544"], (64,), list(Mode), **SILENT)


@pytest.mark.parametrize(("options", "clock"), [(["--resume"], 322.0), ([], 156.25), (["--clock-mhz", "200"], 200.0)])
def test_a_run_is_resumed_at_its_clock(
    options: list[str], clock: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rfc2544.json").write_text(json.dumps({"entries": [{"clock_mhz": 322.0}]}))
    asked = []
    monkeypatch.setattr(run, "run_bench", lambda *_, **rest: asked.append(rest) or [])
    command = ["bench", "--only", "rfc2544", "--folder", str(tmp_path), *options]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert [rest["clock_mhz"] for rest in asked] == [clock]
    assert ("--clock-mhz" in asked[0]["command"]) == (clock != 156.25)


def test_summary_says_what_is_missed(folder) -> None:
    lines = results.summary(results.load_parts(folder))
    assert lines == [
        "bubbles: 3 of 4 measurements at 1.000 beats a clock",
        "  64 bits, store-and-forward, ipv4, inner 60, decap: 0.8000",
        "latency: cut-through decapsulation, 64 bits: 15 to 16 clocks, bar 16: reached",
        "latency: cut-through decapsulation, 512 bits: 12 to 13 clocks, bar 12: missed",
        "speed: harness 75 times a bench, bar 50: reached",
        "speed: harness 38 times another, bar 50: missed",
        "speed: harness, optimized 150 times a bench, bar 50: reached",
        "speed: harness, optimized 75 times another, bar 50: reached",
        "speed: harness, optimized, both: 2,000,000 clocks a second, bar 1,000,000: reached",
        "speed: harness, optimized, encap: 990,000 clocks a second, bar 1,000,000: missed",
        "area: a block, ecp5: 700 LUT, 310 MHz; at least 300 MHz: reached",
        "area: a block, xcup: 500 LUT, 7 LUT levels; at most 6 LUT levels: missed",
        "fill: 16384 locations, 1000 fills: 99.951 % on average, 17.3 microseconds an insertion; "
        "at least 99.900 %: reached",
        "fill: 1048576 locations, 1 fills: 99.960 % on average, 30.0 microseconds an insertion; "
        "at least 99.970 %: missed",
        "updates: 512 bits, encap: 1.000 beats a clock with 700 entries written; 1.000: reached",
        "updates: 512 bits, decap: 0.950 beats a clock with 700 entries written; 1.000: missed",
    ]


def test_tables(folder) -> None:
    text = results.markdown(results.load_parts(folder))
    assert "| 60 | 1.000 | 0.800 |" in text
    assert "Least ratio: 0.8000. Most clocks without a beat per frame: 3.500." in text
    assert "| decap | cut-through | 512 | 12 to 13 | 12 or fewer |" in text
    assert "| 64 | a bench | both | 400 | 15000 | 75 | 150 |" in text
    assert "310 MHz (300, 310, 320)" in text
    assert "at most 6 LUT levels: missed" in text
    assert "| 16384 | 8 x 1 | 1000 | 99.951 % | 99.800 % | 100.000 % | 2.50 | 17.3 | 99.900 %: reached |" in text
    assert "| 512 | decap | 4096, 99.950 % | 700 | 80 | 50 | 0.950 |" in text
    for part in PARTS:
        assert f"with `vtep-sim bench --only {part}`" in text


def test_a_part_measured_alone(folder) -> None:
    (folder / "area.json").unlink()
    parts = results.load_parts(folder)
    assert list(parts) == ["bubbles", "latency", "speed", "fill", "updates"]
    assert "Area" not in results.markdown(parts)
    assert json.loads((folder / "bubbles.json").read_text())["entries"][1]["ratio"] == 0.8


def test_plot(folder, tmp_path) -> None:
    for parts in (results.load_parts(folder), {}):
        plot(parts, tmp_path / "bench.svg")
        assert ElementTree.parse(tmp_path / "bench.svg").getroot().tag.endswith("svg")


def test_blocks_measured_before_stay(tmp_path: Path) -> None:
    for luts, command in ((700, "first"), (650, "again")):
        results.save_part(tmp_path, "area", [replace(AREAS[0], luts=luts)], command, key=("block", "device"))
        results.save_part(tmp_path, "area", AREAS[1:], command, key=("block", "device"))
    part = results.load_parts(tmp_path)["area"]
    assert sorted(entry["luts"] for entry in part["entries"]) == sorted([650, *(area.luts for area in AREAS[1:])])
    assert part["command"] == "again"


def test_each_entry_keeps_its_date_and_command(tmp_path: Path) -> None:
    results.save_part(tmp_path, "area", AREAS, "first", key=("block", "device"))
    part = results.load_parts(tmp_path)["area"]
    for row in part["entries"]:
        row["date"] = "2026-11-20"
    (tmp_path / "area.json").write_text(json.dumps(part))
    results.save_part(tmp_path, "area", AREAS[1:], "again", key=("block", "device"))
    part = results.load_parts(tmp_path)["area"]
    assert part["command"] == "first; again"
    assert re.fullmatch(r"2026-11-20 to \d{4}-\d\d-\d\d", part["date"])
    assert [row["command"] for row in part["entries"]] == ["first", "again"]
    results.save_part(tmp_path, "area", AREAS[:1], "again", key=("block", "device"))
    part = results.load_parts(tmp_path)["area"]
    assert (part["command"], len(part["date"])) == ("again", 10)


def test_entries_without_a_date_have_that_of_their_part(tmp_path: Path) -> None:
    results.save_part(tmp_path, "area", AREAS[:1], "first")
    results.save_part(tmp_path, "area", AREAS[1:], "again", key=("block", "device"))
    assert results.load_parts(tmp_path)["area"]["command"] == "first; again"
