"""The harness: frames, clocks and marks through a core that passes all on, and every fault of a core told apart."""

import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from helpers.loopback import FAULTS, loopback
from vtep.config import Mode, VtepParameters
from vtep.control.registers import vtep_registers
from vtep_host.config import loads
from vtep_sim.golden import Frame
from vtep_sim.harness import BuildError, OutputFrame, Result, SimulationError, Simulator, Span, Training
from vtep_sim.harness.library import READ, WRITE

Maker = Callable[[], Simulator]

CONFIG = """
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "10.0.0.1"
"""

SCRATCH = vtep_registers(VtepParameters())["SCRATCH"].address

PASSES = {"tenant": "underlay", "underlay": "tenant", "host": "host"}


def parameters_of(width: int) -> VtepParameters:
    return VtepParameters(data_width=width)


def made(width: int, **options) -> Simulator:
    return Simulator(parameters_of(width), verilog=loopback(parameters_of(width)), **options)


@pytest.fixture(params=[8, 64, pytest.param(512, marks=pytest.mark.full)])
def simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    with made(request.param) as simulator:
        yield simulator


@pytest.fixture
def faulty() -> Iterator[Simulator]:
    with made(64, watchdog=500) as simulator:
        yield simulator


def traffic(rng: random.Random, count: int) -> dict[str, list[Frame]]:
    lengths = [1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 300]
    return {
        port: [Frame(rng.randbytes(rng.choice(lengths)), rng.random() < 0.2) for _ in range(count + n)]
        for n, port in enumerate(PASSES)
    }


def check(result: Result, frames: dict[str, list[Frame]], lanes: int) -> None:
    for source, sink in PASSES.items():
        assert [(f.data, f.error) for f in result.frames(sink)] == [(f.data, f.error) for f in frames[source]]
        spans = result.inputs[source]
        assert len(spans) == len(frames[source])
        after = -1
        for frame, span, out in zip(frames[source], spans, result.frames(sink), strict=True):
            beats = -(-len(frame.data) // lanes)
            assert after < span.first <= span.last < out.last
            assert span.last - span.first >= beats - 1
            assert out.last - out.first >= beats - 1
            after = span.last


def test_frames_pass_unchanged(simulator: Simulator, rng: random.Random) -> None:
    lanes = simulator.parameters.lanes
    frames = traffic(rng, 300)
    result = simulator.run(**frames)
    check(result, frames, lanes)
    for source, sink in PASSES.items():
        beats = sum(-(-len(frame.data) // lanes) for frame in frames[source])
        assert simulator.statistics(source, "in") == (beats, 0)
        assert simulator.statistics(sink, "out") == (beats, 0)
        # Nothing in the harness costs a clock: beat behind beat, the output one clock behind.
        first = result.inputs[source][0].first
        assert result.inputs[source][-1] == Span(result.inputs[source][-1].first, first + beats - 1)
        assert result.frames(sink)[0].first == first + 1
        assert result.frames(sink)[-1].last == first + beats
    assert result.busy_clocks == max(sum(-(-len(f.data) // lanes) for f in frames[p]) for p in PASSES) + 1


def test_gaps_and_back_pressure(simulator: Simulator, rng: random.Random, seed: int) -> None:
    for number, port in enumerate(PASSES):
        simulator.pace(port, "in", idle=rng.choice([0, 0.5, 0.9]), gap=rng.choice([0, 3]), seed=seed + number)
        simulator.pace(port, "out", idle=rng.choice([0, 0.5, 0.9]), seed=seed - number)
    frames = traffic(rng, 60)
    check(simulator.run(**frames), frames, simulator.parameters.lanes)


@pytest.mark.slow
def test_a_trained_model_does_the_same(rng: random.Random) -> None:
    frames = traffic(rng, 50)
    training = Training(loads(CONFIG), **frames)
    with made(64) as plain, made(64, training=training) as trained:
        assert trained.run(**frames) == plain.run(**frames)


def test_a_training_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("VTEP_CACHE", str(tmp_path))  # or a model trained before would do
    with pytest.raises(BuildError, match="a frame without bytes"):
        made(64, training=Training(loads(CONFIG), tenant=[Frame(b"")]))
    assert not list(tmp_path.glob("*.so"))


def test_gap_and_hold(rng: random.Random) -> None:
    with made(64) as simulator:
        start = simulator.clock
        simulator.pace("tenant", "in", gap=7)
        simulator.pace("host", "in", hold=start + 100)
        simulator.pace("tenant", "out", hold=start + 200)
        frames = {port: [Frame(rng.randbytes(17)) for _ in range(4)] for port in PASSES}
        result = simulator.run(**frames)
        spans = result.inputs["tenant"]
        assert [b.first - a.last for a, b in pairwise(spans)] == [8] * 3
        assert result.inputs["host"][0].first == start + 100
        assert result.tenant[0].first == start + 200
        assert simulator.statistics("tenant", "out").waits > 150


def test_frames_of_a_schedule_arrive_at_their_clocks(rng: random.Random) -> None:
    with made(64) as simulator:
        frames = [Frame(rng.randbytes(17)) for _ in range(9)]  # three beats
        start = simulator.clock + 50
        arrivals = [start + clock for clock in (0, 3, 7, 8, 9, 40, 43)]
        simulator.schedule("tenant", arrivals, ring=3)
        result = simulator.run(tenant=frames, underlay=frames)
        # One behind the other where they come too fast; the two behind the schedule follow at once.
        firsts = [span.first - start for span in result.inputs["tenant"]]
        assert firsts == [0, 3, 7, 10, 13, 40, 43, 46, 49]
        assert result.lost == {port: [] for port in PASSES}
        assert [frame.data for frame in result.underlay] == [frame.data for frame in frames]
        assert result.inputs["underlay"][-1].last - result.inputs["underlay"][0].first == 9 * 3 - 1


@pytest.mark.parametrize("ring", [1, 2, 5])
def test_a_frame_that_finds_the_ring_full_is_lost(ring: int, rng: random.Random) -> None:
    """In several batches, against a queue in Python: three beats a frame, and a schedule that is too fast for that."""
    with made(64) as simulator:
        start = simulator.clock + 10
        frames = [Frame(number.to_bytes(4) + bytes(13)) for number in range(3 * 4096 + 100)]
        arrivals = [start]
        for _ in frames[1:]:
            arrivals.append(arrivals[-1] + rng.choice((1, 2, 3, 4)))
        ends: list[int] = []
        kept: list[int] = []
        for number, clock in enumerate(arrivals):
            if sum(end >= clock for end in ends[-ring:]) < ring:
                ends.append(max([clock, *(end + 1 for end in ends[-1:])]) + 2)
                kept.append(number)
        simulator.schedule("tenant", arrivals, ring=ring)
        result = simulator.run(tenant=iter(frames))
        assert result.lost["tenant"] == sorted(set(range(len(frames))) - set(kept))
        assert [frame.data for frame in result.underlay] == [frames[number].data for number in kept]
        assert [span.last for span in result.inputs["tenant"]] == ends
        assert len(frames) / 20 < len(kept) < len(frames) * 19 / 20


def test_lost_frames_are_not_waiting_any_more() -> None:
    with made(64) as simulator:
        simulator.pace("underlay", "out", hold=simulator.clock + 200)
        simulator.schedule("tenant", [simulator.clock + clock for clock in range(20)], ring=4)
        simulator.queue(tenant=[Frame(bytes(16))] * 20)
        assert simulator.waiting("tenant") == 20
        result, idle = simulator.step(100)
        assert not idle
        assert result.told("tenant") == 20 - simulator.waiting("tenant")
        assert simulator.waiting("tenant") == 4
        assert len(result.lost["tenant"]) + len(result.inputs["tenant"]) == 16
        assert simulator.step(1000)[1]
        assert simulator.waiting("tenant") == 0


def test_a_reset_ends_a_schedule() -> None:
    with made(64) as simulator:
        simulator.schedule("tenant", [simulator.clock + 5000], ring=1)
        simulator.reset()
        start = simulator.clock
        assert simulator.run(tenant=[Frame(bytes(16))]).inputs["tenant"][0].first == start


def test_an_output_as_a_wire_takes_it(rng: random.Random) -> None:
    with made(64) as simulator:
        simulator.pace("underlay", "out", overhead=24, shortest=60)
        for length, wire in ((60, 84), (16, 84), (110, 134), (64, 88)):
            result = simulator.run(tenant=[Frame(rng.randbytes(length)) for _ in range(33)])
            first = result.underlay[0].first
            # Two beats are taken before the wire is free for them.
            assert [frame.first - first for frame in result.underlay] == [
                0,
                *(-(-n * wire // 8) - 2 for n in range(1, 33)),
            ]
        # A wire that was idle begins anew with a clock, and its last frame counts also from call to call.
        short, long = Frame(bytes(60)), Frame(bytes(800))
        assert simulator.run(tenant=[short]).underlay[0].first >= result.last_clock
        simulator.pace("underlay", "out", overhead=24, shortest=60, idle=0.5)
        result = simulator.run(tenant=[long, short] * 3)
        for before, after in pairwise(result.underlay):
            assert after.first - before.first >= (len(before.data) + 24) // 8 - 2
            assert after.first - before.last >= 24 // 8 - 2
        simulator.pace("underlay", "out")
        result = simulator.run(tenant=[short] * 5)
        assert [after.first - before.first for before, after in pairwise(result.underlay)] == [8] * 4


@pytest.mark.parametrize(
    ("arrivals", "ring", "message"),
    [
        ([5, 5], 1, "a clock of its own"),
        ([6, 5], 1, "a clock of its own"),
        ([1], 0, "ring must"),
        ([], 1025, "ring must"),
    ],
)
def test_schedule_refuses(arrivals: list[int], ring: int, message: str) -> None:
    with made(64) as simulator, pytest.raises(ValueError, match=message):
        simulator.schedule("tenant", arrivals, ring=ring)


def test_state_lives_on_from_run_to_run(rng: random.Random) -> None:
    with made(64) as simulator:
        for count in (1, 5, 0, 9):
            frames = traffic(rng, count)
            check(simulator.run(**frames), frames, 8)
        accesses = [(READ, address, 0) for address in (0x400, 0x404, 0xFFC)]
        assert simulator.access(accesses) == [(3 * address + 15, 0) for _, address, _ in accesses]
        simulator.reset()
        assert simulator.access([(READ, 0x404, 0)]) == [(3 * 0x404, 0)]


def test_batches_leave_no_gap(rng: random.Random) -> None:
    """More frames than one push holds, as an iterator that is asked for them late."""
    with made(64) as simulator:
        frames = [Frame(rng.randbytes(16)) for _ in range(3 * 4096 + 5)]
        result = simulator.run(tenant=iter(frames))
        assert [frame.data for frame in result.underlay] == [frame.data for frame in frames]
        spans = result.inputs["tenant"]
        assert spans[-1].last - spans[0].first == 2 * len(frames) - 1
        seen = []
        simulator.run(tenant=frames, progress=lambda taken, clocks: seen.append((taken, clocks)))
        assert seen[-1][0] == len(frames)
        assert seen == sorted(seen)


def test_waves_do_not_change_the_run(tmp_path, rng: random.Random) -> None:
    frames = traffic(rng, 20)
    path = tmp_path / "waves.fst"
    with made(8) as plain, made(8, waves=path) as traced:
        plain_result, traced_result = plain.run(**frames), traced.run(**frames)
    assert traced_result == plain_result
    # An FST file starts with a header block (type 0, 329 bytes); its writer fills in the end time when it is complete.
    content = path.read_bytes()
    assert content[:9] == bytes([0]) + (329).to_bytes(8)
    assert int.from_bytes(content[17:25]) // 6400 in range(traced.parameters.lanes, plain_result.last_clock + 1)
    assert len(content) > 1000


def test_waves_that_cannot_be_written(tmp_path) -> None:
    with pytest.raises(OSError, match="No such file"):
        made(8, waves=tmp_path / "no" / "waves.fst")


def test_length_travels_with_the_first_beat() -> None:
    """Seen through tuser[0] of a loopback whose tlast and tuser come with the same beat."""
    parameters = VtepParameters(data_width=8, encap_mode=Mode.CUT_THROUGH, tenant_length=True, udp_checksum=False)
    verilog = loopback(parameters).replace(
        "s_axis_tenant_tuser[0] && s_axis_tenant_tlast", "s_axis_tenant_tlast && length == count + 1"
    )
    verilog = verilog.replace(
        "reg [3:0] fault;",
        """reg [3:0] fault; reg [13:0] count, kept;
        wire [13:0] length = count == 0 ? s_axis_tenant_tuser[14:1] : kept;
        always @(posedge clk) if (rst) count <= 0; else if (s_axis_tenant_tvalid && s_axis_tenant_tready) begin
          count <= s_axis_tenant_tlast ? 0 : count + 1; kept <= length; end""",
    )
    with Simulator(parameters, verilog=verilog) as simulator:
        result = simulator.run(tenant=[Frame(bytes(n)) for n in (1, 2, 60, 1514, 9014)])
        assert [frame.error for frame in result.underlay] == [True] * 5


def test_frames_without_bytes_are_refused() -> None:
    with made(64) as simulator, pytest.raises(ValueError, match="tenant: a frame without bytes"):
        simulator.run(tenant=[Frame(b"")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"direction": "up"}, "direction must be"),
        ({"direction": "in", "idle": 1.0}, "idle must be within 0 .. 1"),
        ({"direction": "in", "idle": -0.1}, "idle must be within 0 .. 1"),
        ({"direction": "out", "gap": 1}, "gap is for inputs"),
        ({"direction": "in", "overhead": 24}, "overhead and shortest are for outputs"),
        ({"direction": "in", "shortest": 60}, "overhead and shortest are for outputs"),
    ],
)
def test_pace_refuses(arguments, message: str) -> None:
    with made(64) as simulator, pytest.raises(ValueError, match=message):
        simulator.pace("tenant", **arguments)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("never ready", r"no beat on any port for 500 clocks .* s_axis_tenant tvalid 1 tready 0, 3 frames left"),
        ("valid falls", r"m_axis_underlay: tvalid fell at clock \d+ before tready"),
        ("hole", r"m_axis_underlay: tkeep 0xfe with tlast 0"),
        ("partial", r"m_axis_underlay: tkeep 0x7f with tlast 0"),
        ("unstable", r"m_axis_underlay: the beat changed at clock \d+"),
        ("no last", r"more than 131072 bytes without tlast"),
        ("swallows last", r"idle in the middle of a frame on m_axis_underlay"),
        ("endless", r"\d+ frames left the core for 3 that went in"),
        ("endless from the start", r"not idle after \d+ clocks without a frame"),
        ("never idle", r"no beat on any port for 500 clocks .* idle 0"),
        ("unasked response", r"s_axil: a response nobody waits for"),
        ("fatal", r"Verilator: "),
    ],
)
def test_every_fault_is_told(faulty: Simulator, fault: str, message: str, rng: random.Random) -> None:
    frames = [Frame(rng.randbytes(70000 if fault == "no last" else 100)) for _ in range(3)]
    faulty.pace("underlay", "out", idle=0.5)
    with pytest.raises(SimulationError, match=message):
        run_with_fault(faulty, fault, frames)


def run_with_fault(simulator: Simulator, fault: str, frames: list[Frame]) -> None:
    simulator.access([(WRITE, SCRATCH, FAULTS[fault])])
    if fault == "endless from the start":
        simulator.configure(loads(CONFIG))
    simulator.run(tenant=frames)


def test_the_message_of_a_hang_says_how_far_it_came(faulty: Simulator) -> None:
    frames = [Frame(bytes(16))] * 5
    faulty.pace("tenant", "in", gap=600)
    with pytest.raises(SimulationError, match=r"\(frames taken: tenant: 1 of 5\)"):
        faulty.run(tenant=frames)


def test_max_clocks() -> None:
    with made(64) as simulator:
        simulator.pace("tenant", "in", gap=50_000)
        with pytest.raises(SimulationError, match="not done after 200000 clocks"):
            simulator.run(tenant=[Frame(bytes(16))] * 9, max_clocks=1)


def test_a_simulator_is_whole_again_after_a_reset(faulty: Simulator, rng: random.Random) -> None:
    with pytest.raises(SimulationError):
        run_with_fault(faulty, "never ready", [Frame(b"x" * 30)])
    faulty.reset()
    frames = traffic(rng, 5)
    check(faulty.run(**frames), frames, 8)


def test_a_pushed_frame_has_its_clocks() -> None:
    with made(64) as simulator:
        result = simulator.run(tenant=[Frame(b"x" * 17)])
        first = result.inputs["tenant"][0].first
        assert result.inputs["tenant"] == [Span(first, first + 2)]
        assert result.underlay == [OutputFrame(b"x" * 17, error=False, first=first + 1, last=first + 3)]
