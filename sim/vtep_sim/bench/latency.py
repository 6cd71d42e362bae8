"""Latency: clocks from a frame's first beat in to its first beat out, the core idle before."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..harness import Result, Simulator
from .traffic import config_for, inner_frame, outer_frame

__all__ = ["Latency", "measure_latency"]

GAP_CLOCKS = 2000
REPEATS = 4
PHASES = 4
"""Runs, each with another pause in front, so that a latency that depends on the clock would show."""


@dataclass(frozen=True)
class Latency:
    """Least and most clocks seen for one length; frames ``GAP_CLOCKS`` apart behind the end of the one before."""

    data_width: int
    mode: str
    underlay: str
    inner_length: int
    direction: str
    least: int
    most: int


def _differences(result: Result, source: str, sink: str) -> list[int]:
    pairs = zip(result.inputs[source], result.frames(sink), strict=True)
    return [frame.first - span.first for span, frame in pairs]


def measure_latency(simulator: Simulator, underlay: str, lengths: Sequence[int]) -> list[Latency]:
    """Measure each direction alone, for each of the inner ``lengths``."""
    parameters = simulator.parameters
    config = config_for(underlay, udp_checksum=parameters.udp_checksum)
    found = []
    for length in lengths:
        for direction, source, sink in (("encap", "tenant", "underlay"), ("decap", "underlay", "tenant")):
            frame = inner_frame(length) if direction == "encap" else outer_frame(length, underlay)
            clocks: list[int] = []
            for phase in range(PHASES):
                simulator.reset()
                simulator.configure(config)
                simulator.pace(source, "in", gap=GAP_CLOCKS + phase, hold=simulator.clock + phase)
                frames = [frame] * REPEATS
                result = simulator.run(frames if source == "tenant" else (), frames if source == "underlay" else ())
                simulator.pace(source, "in")
                clocks += _differences(result, source, sink)
            mode = (parameters.encap_mode if direction == "encap" else parameters.decap_mode).value
            entry = Latency(parameters.data_width, mode, underlay, length, direction, min(clocks), max(clocks))
            found.append(entry)
    return found
