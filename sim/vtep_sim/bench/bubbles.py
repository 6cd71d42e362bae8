"""Bubbles: clocks without a beat at the saturated side of each direction, both directions at once.

The encapsulator makes frames longer, so its output is what a saturated input saturates; of the decapsulator it is the
input. Each is measured over the middle half of a run's frames, from a frame's first beat to another's first beat: every
beat in between is counted, and so is every clock. Outside of this window, queues fill and drain. A queue that fills
inside the window hides nothing: of the decapsulator, the clocks are those in which the window's frames went in or those
in which they came out, whichever are more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from vtep.config import VtepParameters

from ..harness import Result, Simulator
from .traffic import INNER_LENGTHS, BenchFrame, config_for, inner_frame, outer_frame

__all__ = ["MIX", "Rate", "beats_of", "check_nothing_lost", "frames_of", "measure_bubbles", "rates_of", "window_of"]

WINDOW_CLOCKS = 20_000
MIN_FRAMES, MIN_MIXED_FRAMES, MAX_FRAMES = 32, 400, 4000
MIX = 0
"""Stands for inner frames of all lengths but the jumbo one, in random order."""
MIXED_LENGTHS = INNER_LENGTHS[:-1]


@dataclass(frozen=True)
class Rate:
    """One measurement: beats and clocks of the window, and its frames.

    ``inner_length`` `MIX` means all lengths mixed. ``direction`` is "encap" (beats that leave) or "decap" (beats
    taken).
    """

    data_width: int
    mode: str
    underlay: str
    inner_length: int
    direction: str
    frames: int
    beats: int
    clocks: int

    @property
    def ratio(self) -> float:
        """Beats per clock, at most 1."""
        return self.beats / self.clocks

    @property
    def idle_clocks_per_frame(self) -> float:
        """Clocks without a beat for each frame of the window."""
        return (self.clocks - self.beats) / self.frames


def beats_of(length: int, lanes: int) -> int:
    """Beats of a frame."""
    return -(-length // lanes)


def window_of(lengths: Sequence[int]) -> tuple[int, int]:
    """First frame of the window and the one behind it: about the middle half.

    In store-and-forward operation the time that a frame spends inside depends on its length and on the frame in front
    of it, so that these are the same at both ends.
    """
    count = len(lengths)
    for first in range(count // 4, count // 2):
        for last in range(3 * count // 4, count // 2, -1):
            if lengths[last] == lengths[first] and lengths[last - 1] == lengths[first - 1]:
                return first, last
    raise ValueError(f"{count} frames are too few for a window")


def frames_of(inner_length: int, underlay: str, lanes: int, seed: int) -> tuple[list[BenchFrame], list[BenchFrame]]:
    """Make frames for the tenant's and the underlay's input, as many as a window wants."""
    lengths = MIXED_LENGTHS if inner_length == MIX else (inner_length,)
    inner = {length: inner_frame(length) for length in lengths}
    outer = {length: outer_frame(length, underlay) for length in lengths}
    mean = sum(beats_of(len(frame.data), lanes) for frame in outer.values()) / len(outer)
    least = MIN_MIXED_FRAMES if inner_length == MIX else MIN_FRAMES
    count = max(least, min(MAX_FRAMES, round(2 * WINDOW_CLOCKS / mean)))
    rng = Random(seed)
    order = [rng.choice(lengths) for _ in range(count)]
    return [inner[length] for length in order], [outer[length] for length in order]


def check_nothing_lost(result: Result, counters: dict[str, int], count: int) -> None:
    """Raise an AssertionError if frames are missing: a bench that loses frames measures nothing."""
    sent = {"tenant": len(result.tenant), "underlay": len(result.underlay)}
    if sent != {"tenant": count, "underlay": count} or counters["tunnel.peer.decap_frames"] != count:
        raise AssertionError(f"{count} frames went in each way, {sent} came out")


def rates_of(
    result: Result,
    tenant: Sequence[BenchFrame],
    outer: Sequence[BenchFrame],
    parameters: VtepParameters,
    underlay: str,
    inner_length: int,
) -> Iterator[Rate]:
    """Count beats and clocks of both directions in a run with these frames."""
    lanes, mode = parameters.lanes, parameters.decap_mode.value
    first, last = window_of([len(frame.data) for frame in tenant])
    for direction in ("encap", "decap"):
        if direction == "encap":
            lengths = [len(frame.data) for frame in result.underlay]
            clocks = result.underlay[last].first - result.underlay[first].first
        else:
            lengths = [len(frame.data) for frame in outer]
            spans = result.inputs["underlay"]
            clocks = spans[last].first - spans[first].first
            clocks = max(clocks, result.tenant[last].first - result.tenant[first].first)
        beats = sum(beats_of(size, lanes) for size in lengths[first:last])
        yield Rate(parameters.data_width, mode, underlay, inner_length, direction, last - first, beats, clocks)


def measure_bubbles(
    simulator: Simulator, underlay: str, lengths: Sequence[int], *, seed: int, done: Callable[[], None]
) -> Iterator[Rate]:
    """Measure both directions at once for each of the inner ``lengths``; ``done`` is called after each.

    Raises
    ------
    AssertionError
        Frames were lost.
    """
    parameters = simulator.parameters
    lanes = parameters.lanes
    config = config_for(underlay, udp_checksum=parameters.udp_checksum)
    for length in lengths:
        simulator.reset()
        simulator.configure(config)
        tenant, outer = frames_of(length, underlay, lanes, seed)
        result = simulator.run(tenant=tenant, underlay=outer)
        check_nothing_lost(result, simulator.counters(), len(tenant))
        yield from rates_of(result, tenant, outer, parameters, underlay, length)
        done()
