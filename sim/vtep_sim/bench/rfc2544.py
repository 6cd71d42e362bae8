"""Throughput, latency and frame loss in the terms of RFC 2544, with its frame sizes and with IMIX (RFC 6985).

The medium is the wire at each port of `tester`. A frame takes its own bytes there and `OVERHEAD` more (preamble, FCS,
gap), so that the port has clocks to spare behind each frame. A size is that of the tenant's frame with FCS; the
underlay's frame has 50 bytes more (IPv4, no UDP checksum, untagged). Load is the share of the input's wire that is
taken up. Encapsulated frames are longer than what they are made of, hence the output's wire bounds the load that can
pass: the theoretical maximum is a full wire on the underlay's side, whichever way frames go.

Latency is taken from the clock in which a frame arrives, and could go in, to its first beat out; and from its last beat
in, as RFC 1242 does for store-and-forward devices.

A trial cannot last a minute, so a rate has to pass two that are stricter than the RFC's. One starts with all buffers
full, so that frames are lost at once, not only when 32 KiB of buffers have filled up. The other starts empty, as in the
RFC, and latency must not grow from its first half to its second by more than a clock: what grows ends in loss. So a
rate passes that is too high by a clock or two in half a trial at most. Latency is that of the second trial, frame loss
that of trials of the first kind.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean, median

from ..harness import Simulator
from .bubbles import beats_of, rates_of
from .tester import PORTS_OF, TRIAL_CLOCKS, TRIAL_FRAMES, UNDERLAY, Outcome, Stream, Tester
from .traffic import config_for
from .wire import FCS, IMIX, JUMBO, SIZES, line_rate, sizes_of, wire_bytes

__all__ = ["IMIX_NAME", "PATTERNS", "TRAFFICS", "Benchmark", "measure_rfc2544"]

STEPS = 1024
"""Of the search for the throughput: shares of the theoretical maximum."""

LOADS = tuple(Fraction(percent, 100) for percent in range(100, 0, -10))
"""RFC 2544, section 26.3: down from the maximum of the medium."""

IMIX_NAME = "IMIX"
PATTERNS = {**{str(size): (size,) for size in (*SIZES, JUMBO)}, IMIX_NAME: sizes_of(IMIX)}
"""Sizes of frames that are offered again and again."""

TRAFFICS = {"encap": ("encap",), "decap": ("decap",), "both": ("encap", "decap")}
"""Directions that are offered at once."""


@dataclass(frozen=True)
class Benchmark:
    """What one direction does with one pattern of frames, alone or with the other direction at once.

    Attributes
    ----------
    traffic : str
        "encap", "decap" or "both".
    frames : str
        A name of `PATTERNS`.
    mean_size, mean_wire : float
        Bytes of the tenant's frames with FCS, and of the underlay's frames from preamble to gap, on average.
    share : float
        Throughput: highest rate without a lost frame, as a share of the theoretical maximum.
    trial_frames, trial_clocks : int
        That counted in the trial of the throughput; the trials of frame loss last as many clocks.
    least, median, most : float
        Latency at that rate in clocks, from the first beat in to the first beat out.
    stored_least, stored_median, stored_most : float
        The same from the last beat in; below zero where a frame leaves before it is all in.
    losses : tuple
        Pairs of load, as a share of the input's wire, and the share of frames that were lost.
    core_ratio : float
        Beats per clock without a wire: a beat is there in every clock, and every beat is taken.
    core_beats : float
        Beats of a frame on the underlay's side, on average.
    """

    data_width: int
    mode: str
    traffic: str
    direction: str
    frames: str
    clock_mhz: float
    mean_size: float
    mean_wire: float
    share: float
    trial_frames: int
    trial_clocks: int
    least: float
    median: float
    most: float
    stored_least: float
    stored_median: float
    stored_most: float
    losses: tuple[tuple[float, float], ...]
    core_ratio: float
    core_beats: float

    @property
    def line_gbps(self) -> float:
        """Bits of the wire, in Gb/s."""
        return line_rate(self.data_width, self.clock_mhz) / 1e9

    @property
    def theoretical_mpps(self) -> float:
        """Most frames that the underlay's wire carries, in millions a second."""
        return self.line_gbps * 1e3 / (8 * self.mean_wire)

    @property
    def mpps(self) -> float:
        """Throughput in millions of frames a second."""
        return self.share * self.theoretical_mpps

    @property
    def gbps(self) -> float:
        """Throughput in Gb/s of tenant frames with FCS."""
        return self.mpps * 8 * self.mean_size / 1e3

    @property
    def core_mpps(self) -> float:
        """What the core's ports do without a wire, in millions of frames a second."""
        return self.clock_mhz * self.core_ratio / self.core_beats

    @property
    def median_ns(self) -> float:
        """Median latency in nanoseconds."""
        return self.median * 1e3 / self.clock_mhz


def _throughput(tester: Tester) -> tuple[Fraction, dict[str, Outcome]]:
    """Search the highest rate that passes, the same share of the theoretical maximum in all directions.

    Returns
    -------
    tuple
        The share, and the outcomes at that rate with empty buffers at the start.
    """
    best: dict[str, Outcome] = {}
    step, least, most = STEPS, 0, STEPS + 1
    while most - least > 1:
        loads = {stream.direction: stream.ceiling * Fraction(step, STEPS) for stream in tester.streams}
        lossless = not any(outcome.lost for outcome in tester.trial(loads, full=True).values())
        outcomes = tester.trial(loads, full=False) if lossless else {}
        if lossless and all(outcomes[s.direction].steady(len(s.frames)) for s in tester.streams):
            least, best = step, outcomes
        else:
            most = step
        step = (least + most) // 2
    if not least:
        raise AssertionError(f"frames are lost down to 1 / {STEPS} of the theoretical maximum")
    return Fraction(least, STEPS), best


def _losses(tester: Tester) -> dict[str, list[tuple[float, float]]]:
    """Share of frames lost at each load, until nothing is lost at two in a row."""
    found: dict[str, list[tuple[float, float]]] = {stream.direction: [] for stream in tester.streams}
    lossless = 0
    for load in LOADS:
        outcomes = tester.trial(dict.fromkeys(found, load), full=True)
        for direction, outcome in outcomes.items():
            found[direction].append((float(load), outcome.lost / outcome.offered))
        lossless = 0 if any(outcome.lost for outcome in outcomes.values()) else lossless + 1
        if lossless == 2:
            break
    return found


def _core_ratios(simulator: Simulator, sizes: Sequence[int]) -> dict[str, float]:
    """Beats per clock of each direction without wires, both at once."""
    lanes, parameters = simulator.parameters.lanes, simulator.parameters
    streams = [Stream(direction, sizes, lanes) for direction in PORTS_OF]
    for port in ("tenant", "underlay"):
        simulator.pace(port, "out")
    least = max(beats_of(len(frame.data), lanes) for stream in streams for frame in stream.frames)
    count = len(sizes) * -(-max(TRIAL_FRAMES, TRIAL_CLOCKS // least) // len(sizes))
    tenant, outer = (stream.offered(count) for stream in streams)
    result = simulator.run(tenant=tenant, underlay=outer)
    if len(result.underlay) != count or len(result.tenant) != count:
        raise AssertionError("frames were lost")
    rates = rates_of(result, tenant, outer, parameters, UNDERLAY, sizes[0] - FCS)
    return {rate.direction: rate.ratio for rate in rates}


def measure_rfc2544(
    simulator: Simulator,
    patterns: Sequence[str],
    *,
    traffics: Sequence[str] = tuple(TRAFFICS),
    done: Callable[[], None] = lambda: None,
) -> Iterator[Benchmark]:
    """Measure each of ``traffics`` with each of ``patterns``; ``done`` is called after each pair.

    Raises
    ------
    AssertionError
        The core lost or changed frames, or the buffers cannot be filled.
    """
    parameters = simulator.parameters
    simulator.reset()
    simulator.configure(config_for(UNDERLAY, udp_checksum=parameters.udp_checksum))
    try:
        for pattern in patterns:
            ratios = _core_ratios(simulator, PATTERNS[pattern])
            for traffic in traffics:
                yield from _benchmarks(simulator, pattern, traffic, ratios)
                done()
    finally:
        for port in ("tenant", "underlay"):
            simulator.pace(port, "out")


def _benchmarks(simulator: Simulator, pattern: str, traffic: str, ratios: Mapping[str, float]) -> Iterator[Benchmark]:
    parameters, sizes = simulator.parameters, PATTERNS[pattern]
    streams = [Stream(direction, sizes, parameters.lanes) for direction in TRAFFICS[traffic]]
    tester = Tester(simulator, streams)
    share, outcomes = _throughput(tester)
    losses = _losses(tester)
    for stream in streams:
        way = stream.direction
        delays, stored = outcomes[way].delays, outcomes[way].stored
        yield Benchmark(
            data_width=parameters.data_width,
            mode=(parameters.encap_mode if way == "encap" else parameters.decap_mode).value,
            traffic=traffic,
            direction=way,
            frames=pattern,
            clock_mhz=simulator.clock_mhz,
            mean_size=fmean(sizes),
            mean_wire=fmean(map(wire_bytes, stream.on_underlay)),
            share=float(share),
            trial_frames=outcomes[way].offered,
            trial_clocks=tester.clocks,
            least=min(delays),
            median=median(delays),
            most=max(delays),
            stored_least=min(stored),
            stored_median=median(stored),
            stored_most=max(stored),
            losses=tuple(losses[way]),
            core_ratio=ratios[way],
            core_beats=fmean(beats_of(length, parameters.lanes) for length in stream.on_underlay),
        )
