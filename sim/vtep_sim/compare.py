"""What left the core against what the golden model predicts, and the first difference field by field."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .golden import Prediction

__all__ = ["Candidate", "Difference", "compare_counters", "compare_frames", "field_lines"]


class FrameLike(Protocol):
    """Anything with the bytes and the error mark of a frame."""

    @property
    def data(self) -> bytes: ...
    @property
    def error(self) -> bool: ...


@dataclass(frozen=True)
class Candidate:
    """A frame that was expected: its bytes and where it came from, as (input port, index)."""

    data: bytes
    error: bool
    origin: tuple[str, int]


@dataclass(frozen=True)
class Difference:
    """The first difference of one output port.

    ``index`` is that of the frame among those of the port. ``got`` is None where a frame is missing, ``expected``
    None where one is too many.
    """

    port: str
    index: int
    got: FrameLike | None
    expected: Candidate | None

    def lines(self, udp_port: int, name_input: Callable[[str, int], str]) -> list[str]:
        """Show the difference, one line a field; ``name_input`` gives an input frame's place in its capture."""
        head = f"{self.port} out, frame {self.index + 1}"
        if self.expected is None:
            assert self.got is not None
            lines = [f"{head}: a frame of {len(self.got.data)} bytes that nothing accounts for"]
            return lines + [f"  {line}" for line in field_lines(self.got.data, None, udp_port)]
        source = name_input(*self.expected.origin)
        if self.got is None:
            lines = [f"{head}: missing, {len(self.expected.data)} bytes expected, from {source}"]
            return lines + [f"  {line}" for line in field_lines(None, self.expected.data, udp_port)]
        lines = [f"{head}, from {source}: differs from the golden model"]
        if bool(self.got.error) != self.expected.error:
            lines.append(f"  error mark: expected {self.expected.error:d}, got {bool(self.got.error):d}")
        return lines + [f"  {line}" for line in field_lines(self.got.data, self.expected.data, udp_port)]


def _same(got: FrameLike, expected: Candidate) -> bool:
    return got.data == expected.data and bool(got.error) == expected.error


def _alikeness(got: FrameLike, expected: Candidate) -> int:
    return sum(a == b for a, b in zip(got.data, expected.data, strict=False))


def _merge(
    port: str, got: Sequence[FrameLike], expected: Sequence[Sequence[Candidate]], *, skip_marked: bool
) -> Difference | None:
    """Explain ``got`` as an interleaving of the lists ``expected``, each in its order.

    A marked frame may be left aside with ``skip_marked``. Equal frames in several lists leave a choice, so all
    positions that explain the frames so far are carried along.
    """
    ends = tuple(map(len, expected))
    positions = {(0,) * len(expected)}
    for index, frame in enumerate(got):
        following = set()
        for position in positions:
            for number, at in enumerate(position):
                if at < ends[number] and _same(frame, expected[number][at]):
                    following.add((*position[:number], at + 1, *position[number + 1 :]))
            if skip_marked and frame.error:
                following.add(position)
        if not following:
            due = [expected[n][at] for n, at in enumerate(max(positions)) if at < ends[n]]
            nearest = max(due, key=lambda candidate: _alikeness(frame, candidate), default=None)
            return Difference(port, index, frame, nearest)
        positions = following
    if ends in positions:
        return None
    missing = next(expected[n][at] for n, at in enumerate(max(positions)) if at < ends[n])
    return Difference(port, len(got), None, missing)


def _candidates(prediction: Prediction, output: str) -> list[Candidate]:
    frames = getattr(prediction, output)
    return [
        Candidate(frame.data, bool(frame.error), origin)
        for frame, origin in zip(frames, prediction.origins[output], strict=True)
    ]


def compare_frames(
    outputs: Mapping[str, Sequence[FrameLike]],
    prediction: Prediction,
    *,
    encap_cut_through: bool,
    decap_cut_through: bool,
) -> list[Difference]:
    """Find the first difference of each output port; an empty list: there is none.

    In cut-through operation a frame that failed a late check leaves marked, its content unspecified: there, marked
    frames that were not predicted are left aside. The drop counters still have to be right.
    """
    lists = {
        "tenant": [_candidates(prediction, "tenant")],
        "underlay": [_candidates(prediction, "underlay_encap"), _candidates(prediction, "underlay_host")],
        "host": [_candidates(prediction, "host")],
    }
    marked = {"tenant": decap_cut_through, "underlay": encap_cut_through, "host": decap_cut_through}
    differences = (_merge(port, outputs[port], lists[port], skip_marked=marked[port]) for port in lists)
    return [difference for difference in differences if difference is not None]


def compare_counters(
    got: Mapping[str, int], predicted: Mapping[str, int], outputs: Mapping[str, Sequence[FrameLike]]
) -> list[str]:
    """Find the counters that differ from the prediction, one message each.

    What a port sent is counted from ``outputs``, so that frames which cut-through operation marks are accounted
    for whatever their content; all else is the golden model's.
    """
    expected = dict(predicted)
    for port, frames in outputs.items():
        expected[f"{port}_tx_frames"] = len(frames)
        expected[f"{port}_tx_bytes"] = sum(len(frame.data) for frame in frames)
    return [
        f"counter {name}: expected {expected.get(name, 'none')}, got {got.get(name, 'none')}"
        for name in {**expected, **got}
        if expected.get(name) != got.get(name)
    ]


def field_lines(got: bytes | None, expected: bytes | None, udp_port: int) -> list[str]:
    """Set a frame and the expected one side by side, as fields where Scapy can name them, else as bytes.

    Where both frames are there, fields that agree are left out, and so is what Scapy has no fields for. ``udp_port``
    is the one VXLAN is expected at.
    """
    if got is None or expected is None:
        frame = got if got is not None else expected
        assert frame is not None
        return [f"{name} = {value}" for name, value in _fields(frame, udp_port)]
    lines = []
    if len(got) != len(expected):
        lines.append(f"length: expected {len(expected)}, got {len(got)}")
    mine, theirs = dict(_fields(got, udp_port)), dict(_fields(expected, udp_port))
    lines += [
        f"{name}: expected {theirs.get(name, 'none')}, got {mine.get(name, 'none')}"
        for name in {**theirs, **mine}
        if mine.get(name) != theirs.get(name) and not name.endswith(".load")
    ]
    return lines + _hex_lines(got, expected)


def _fields(frame: bytes, udp_port: int) -> Iterator[tuple[str, str]]:
    """Fields of a frame by their names, the layers numbered where one comes again."""
    # Scapy takes most of a second to load, which only a difference needs.
    from scapy.layers.inet import UDP
    from scapy.layers.l2 import Ether
    from scapy.layers.vxlan import VXLAN
    from scapy.packet import Raw, bind_layers

    bind_layers(UDP, VXLAN, dport=udp_port)
    seen: dict[str, int] = {}
    layer: Any = Ether(frame)
    while layer:
        name = layer.name
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name} {seen[name]}"
        for field in layer.fields_desc:
            value = layer.getfieldval(field.name)
            text = value.hex(" ") if isinstance(value, bytes) else str(layer.get_field(field.name).i2repr(layer, value))
            if isinstance(layer, Raw) and len(text) > 120:
                text = f"{text[:120]} ..."
            yield f"{name}.{field.name}", text
        layer = layer.payload


def _hex_lines(got: bytes, expected: bytes) -> list[str]:
    """Show the 16-byte row with the first byte that differs, and the next one."""
    if got == expected:
        return []
    pairs = enumerate(zip(got, expected, strict=False))
    first = next((i for i, (a, b) in pairs if a != b), min(len(got), len(expected)))
    rows = (first // 16 * 16, first // 16 * 16 + 16)
    return [f"first different byte: {first}"] + [
        f"  {name:8} {row:5}  {frame[row : row + 16].hex(' ')}"
        for name, frame in (("expected", expected), ("got", got))
        for row in rows
        if frame[row:]
    ]
