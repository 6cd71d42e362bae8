"""A tester in the sense of RFC 2544: offers frames to the core at a rate, on wires, and counts those that come back.

There is an Ethernet wire at each port, which carries as many bits as the port: data width times clock. Frames arrive
on the input's wire at an exact rate, in front of a ring of `RING` frames, as in the buffer of a MAC; the output's wire
takes them. The core loses nothing when its output has to wait: it makes its input wait, the ring fills, and a frame
that finds it full is lost there and counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from ..harness import OutputFrame, Result, Simulator
from .bubbles import beats_of
from .traffic import BenchFrame, inner_frame, outer_frame
from .wire import FCS, OVERHEAD, SHORTEST, wire_bytes

__all__ = ["PORTS_OF", "UNDERLAY", "Outcome", "Stream", "Tester"]

UNDERLAY = "ipv4"

RING = 8
"""Frames that wait in front of a port at most, with the one that is going in."""

TRIAL_CLOCKS = 16_000
TRIAL_FRAMES = 100
"""The frames of a trial that count arrive in so many clocks, or in those that so many frames take at a full wire."""

PASSES, MIXED_PASSES = 1, 4
"""How often full buffers could empty before the frames of a trial count, those of one length and those of several."""

PORTS_OF = {"encap": ("tenant", "underlay"), "decap": ("underlay", "tenant")}
"""Input and output of each direction."""


class Stream:
    """One direction's frames, of given sizes in turn, and the wires on which they come and go.

    ``ceiling`` is the highest load of the input's wire that the output's wire can carry on: 1, or less where frames
    become longer.
    """

    def __init__(self, direction: str, sizes: Sequence[int], lanes: int) -> None:
        self.direction = direction
        self.source, self.sink = PORTS_OF[direction]
        self.lanes = lanes
        inner = [inner_frame(size - FCS) for size in sizes]
        outer = [outer_frame(size - FCS, UNDERLAY) for size in sizes]
        self.frames, leaving = (inner, outer) if direction == "encap" else (outer, inner)
        self.on_underlay = [len(frame.data) for frame in outer]
        self.wire_in = [wire_bytes(len(frame.data)) for frame in self.frames]
        self.growth = len(leaving[0].data) - len(self.frames[0].data)
        wire_out = sum(wire_bytes(len(frame.data)) for frame in leaving)
        self.ceiling = min(Fraction(1), Fraction(sum(self.wire_in), wire_out))

    def beats(self, number: int) -> int:
        """Clocks in which a frame goes in at best."""
        return beats_of(len(self.frames[number % len(self.frames)].data), self.lanes)

    def count(self, load: Fraction, clocks: int) -> int:
        """Frames that arrive in so many clocks: all sizes equally often, and at least twice."""
        return max(2, int(clocks * self.lanes * load / sum(self.wire_in))) * len(self.frames)

    def carries(self, came: bytes, left: OutputFrame) -> bool:
        """Whether what left is what came, unmarked: with headers in front, or with the content behind these alone."""
        longer, shorter = (left.data, came) if self.growth > 0 else (came, left.data)
        return not left.error and len(longer) - len(shorter) == abs(self.growth) and longer.endswith(shorter)

    def times(self, load: Fraction) -> Iterator[int]:
        """Clocks, from 0 on, at which frames arrive: to the next one it takes a frame's time on the wire / load."""
        total = number = 0
        while True:
            yield -(-total * load.denominator // (self.lanes * load.numerator))
            total += self.wire_in[number % len(self.wire_in)]
            number += 1

    def offered(self, count: int) -> list[BenchFrame]:
        """The first frames."""
        return [self.frames[number % len(self.frames)] for number in range(count)]


@dataclass(frozen=True)
class Outcome:
    """What became of a stream's frames, of those that count.

    ``delays`` are the latencies from a frame's arrival to its first beat out, ``stored`` those from its last beat in.
    """

    offered: int
    lost: int
    delays: list[int]
    stored: list[int]

    def steady(self, period: int) -> bool:
        """Whether no frame is lost, and latency is not higher in the second half than in the first, but for a clock.

        ``period``: frames after which their lengths come again; there are at least two of these.
        """
        half = len(self.delays) // (2 * period) * period
        return not self.lost and max(self.delays[-half:]) <= max(self.delays[:half]) + 1


@dataclass(frozen=True)
class _Plan:
    """What is offered to one input, and when; frames up to ``first`` do not count."""

    stream: Stream
    frames: list[BenchFrame]
    arrivals: list[int]
    first: int

    def outcome(self, result: Result) -> Outcome:
        stream = self.stream
        lost = set(result.lost[stream.source])
        kept = [number for number in range(len(self.frames)) if number not in lost]
        left = result.frames(stream.sink)
        expected = [self.frames[number].data for number in kept]
        if len(left) != len(expected) or not all(map(stream.carries, expected, left)):
            raise AssertionError(
                f"{stream.direction}: for {len(kept)} frames {len(left)} came out, or not as they should"
            )
        passed = zip(kept, result.inputs[stream.source], left, strict=True)
        counted = [entry for entry in passed if entry[0] >= self.first]
        return Outcome(
            len(self.frames) - self.first,
            sum(number >= self.first for number in lost),
            [frame.first - self.arrivals[number] for number, _, frame in counted],
            [frame.first - span.last for _, span, frame in counted],
        )


class Tester:
    """Offers streams to a configured core that is idle, one in each direction at most."""

    def __init__(self, simulator: Simulator, streams: Sequence[Stream]) -> None:
        self.simulator = simulator
        self.streams = streams
        slots = (sum(s.wire_in) / (s.lanes * s.ceiling * len(s.frames)) for s in streams)
        self.clocks = max(TRIAL_CLOCKS, int(TRIAL_FRAMES * max(slots)))
        """Of a trial."""
        parameters = simulator.parameters
        self.depth = max(parameters.queue_beats(f"{direction}_queue_bytes") for direction in PORTS_OF)
        # While buffers fill, nothing moves for longer than a core should stand still otherwise.
        simulator.watchdog = max(simulator.watchdog, 2 * self._filling())
        self._done: dict[tuple[object, ...], dict[str, Outcome]] = {}

    def trial(self, loads: Mapping[str, Fraction], *, full: bool) -> dict[str, Outcome]:
        """Offer each direction at its load of the input's wire; what was tried before is not tried again.

        With ``full``, all buffers are full at the start: outputs stand still until frames have been lost.

        Raises
        ------
        AssertionError
            The core lost or spoilt frames, or its buffers did not become full.
        """
        key = (full, *(loads[stream.direction] for stream in self.streams))
        if key not in self._done:
            self._done[key] = self._trial(loads, full=full)
        return self._done[key]

    def _trial(self, loads: Mapping[str, Fraction], *, full: bool) -> dict[str, Outcome]:
        simulator, start = self.simulator, self.simulator.clock + 1
        hold = self._filling() if full else 0
        plans = {stream.source: self._plan(stream, loads[stream.direction], start, hold) for stream in self.streams}
        for port, plan in plans.items():
            simulator.schedule(port, plan.arrivals, ring=RING)
            simulator.pace(plan.stream.sink, "out", hold=start + hold, overhead=OVERHEAD, shortest=SHORTEST)
        tenant, underlay = (plans[port].frames if port in plans else [] for port in ("tenant", "underlay"))
        result = simulator.run(tenant=tenant, underlay=underlay)
        for port, plan in plans.items():
            if full and not any(number < plan.first for number in result.lost[port]):
                raise AssertionError(f"{plan.stream.direction}: the buffers did not become full")
        return {plan.stream.direction: plan.outcome(result) for plan in plans.values()}

    def _plan(self, stream: Stream, load: Fraction, start: int, hold: int) -> _Plan:
        filling, clock = [], 0
        while clock < hold:
            filling.append(clock)
            clock += stream.beats(len(filling) - 1)
        settling = self._settling(stream, load)
        count = settling + stream.count(load, self.clocks)
        arrivals = [start + clock for clock in filling]
        arrivals += [start + hold + clock for clock in islice(stream.times(load), count)]
        frames = stream.offered(len(filling)) + stream.offered(count)
        return _Plan(stream, frames, arrivals, len(filling) + settling)

    def _filling(self) -> int:
        """Clocks in which all buffers become full, when frames come beat behind beat."""
        longest = max(stream.beats(number) for stream in self.streams for number in range(len(stream.frames)))
        return self.depth + self.depth // 4 + 4 * RING * longest

    def _settling(self, stream: Stream, load: Fraction) -> int:
        """Frames behind the start that do not count, since then a frame may be lost at any rate.

        The first ones make room. Of frames of several lengths, how many fit changes with those that are inside, until
        what filled the buffers has left them, and what came behind that.
        """
        return stream.count(load, (PASSES if len(stream.frames) == 1 else MIXED_PASSES) * self.depth)
