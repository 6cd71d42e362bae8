"""What Verilator counted, read back: executions of lines and toggles of bits, by the Python sources of the core."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .points import CoverageError
from .structure import Places

__all__ = ["Bit", "Counts", "read_counts"]

HEAD = "# SystemC::Coverage-3"
_POINT = re.compile(r"C '(.*)' (\d+)")
_BIT = re.compile(r"(.*?)(?:\[(\d+)\])?:(0->1|1->0)")
_NUMBER = re.compile(r"\$\d+")
_ENCODED = re.compile(r"__0([0-9A-F]{2})")
"""What Verilator makes of a character that C++ has in no name, and of the second of two underscores."""
BOTH = 3
"""Both edges: the bit has been 0 and 1, and left each for the other."""


@dataclass(frozen=True)
class Bit:
    """A bit of a signal: the file its module was made of, path of the instance, signal, place."""

    file: str
    instance: str
    signal: str
    index: int

    @property
    def name(self) -> str:
        """The signal's name as Amaranth has it, without the number that keeps it apart from others."""
        return _NUMBER.sub("", self.signal)


@dataclass
class Counts:
    """What was counted in simulations of one build.

    ``lines``: executions of each statement under a condition, by ``file:line``; ``edges`` of each bit: 1 rose, 2 fell,
    `BOTH`.
    """

    lines: Counter[str] = field(default_factory=Counter)
    edges: dict[Bit, int] = field(default_factory=dict)

    def add(self, other: "Counts") -> None:
        """Add another simulation of the same build."""
        self.lines.update(other.lines)  # keeps counts of 0, which + would lose
        for bit, edges in other.edges.items():
            self.edges[bit] = self.edges.get(bit, 0) | edges


def _points(text: str) -> Iterator[tuple[dict[str, str], int]]:
    """Keys and count of every point of a file of Verilator's."""
    head, _, rest = text.partition("\n")
    if head != HEAD:
        raise CoverageError(f"Verilator's coverage begins with {head!r}, not {HEAD!r}")
    for line in rest.splitlines():
        match = _POINT.fullmatch(line)
        if not match:
            raise CoverageError(f"no point of coverage: {line!r}")
        yield dict(pair.split("\2", 1) for pair in match[1].split("\1") if pair), int(match[2])


def read_counts(path: Path, places: Places) -> Counts:
    """Read what one simulation left; ``places`` are those of its Verilog."""
    counts = Counts()
    for keys, count in _points(path.read_text(encoding="utf-8")):
        line = int(keys["l"])
        if keys["t"] == "toggle":
            match = _BIT.fullmatch(keys["o"])
            if not match:
                raise CoverageError(f"no toggle of a bit: {keys['o']!r}")
            signal, index, edge = match.groups()
            if int(index or 0) in places.constants.get(line, ()):
                continue
            signal = _ENCODED.sub(lambda code: chr(int(code[1], 16)), signal)
            bit = Bit(places.files.get(line, ""), keys["h"].partition("vtep_bench.")[2], signal, int(index or 0))
            seen = (1 if edge == "0->1" else 2) if count else 0
            counts.edges[bit] = counts.edges.get(bit, 0) | seen
        else:
            # A count of 0 is kept: it says that there is something to execute.
            for source in places.sources.get(line, ()):
                counts.lines[source] += count
    return counts
