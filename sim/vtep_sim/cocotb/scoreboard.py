"""What came out against what the golden model says: frames of every port in order, and every counter.

No simulator is needed here. Frames are anything with ``data`` and ``error``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["LATE_REASONS", "Outputs", "compare_counters", "compare_frames", "first_difference", "unpredicted_marked"]

LATE_REASONS = (
    "underlay_oversize",
    "underlay_error",
    "ip_length",
    "udp_length",
    "udp_checksum",
)
"""Drop counters of decapsulation whose check may be final only at a frame's last beat."""


@dataclass
class Outputs:
    """Frames received at the three output ports, in order."""

    tenant: list = field(default_factory=list)
    underlay: list = field(default_factory=list)
    host: list = field(default_factory=list)


def show(frame) -> str:
    """A frame in a message: length, mark, hexadecimal bytes."""
    if frame is None:
        return "nothing"
    text = frame.data.hex() if len(frame.data) <= 400 else f"{frame.data[:200].hex()}...{frame.data[-50:].hex()}"
    return f"{len(frame.data)} bytes{' marked' if frame.error else ''} {text}"


def first_difference(got, expected) -> str:
    """Where two frames differ first."""
    if got is None or expected is None:
        return ""
    for i, (a, b) in enumerate(zip(got.data, expected.data, strict=False)):
        if a != b:
            return f"byte {i} is {a:02x}, should be {b:02x}"
    if len(got.data) != len(expected.data):
        return f"length {len(got.data)}, should be {len(expected.data)}"
    return "the error mark differs" if got.error != expected.error else "equal"


def _same(a, b) -> bool:
    return a.data == b.data and bool(a.error) == bool(b.error)


def _in_order(port: str, got: Sequence, expected: Sequence) -> list[str]:
    for i in range(max(len(got), len(expected))):
        g = got[i] if i < len(got) else None
        e = expected[i] if i < len(expected) else None
        if g is None or e is None or not _same(g, e):
            return [
                f"{port} frame {i} of {len(got)} (expected {len(expected)}): {first_difference(g, e)}\n"
                f"  got      {show(g)}\n  expected {show(e)}"
            ]
    return []


def _interleaved(port: str, got: Sequence, encap: Sequence, host: Sequence, *, skip_marked: bool) -> list[str]:
    """Is ``got`` an interleaving of ``encap`` and ``host``, each in order? Marked frames may be skipped.

    Equal frames in both make the choice ambiguous, so all pairs of positions that explain the frames so far
    are carried along.
    """
    states = {(0, 0)}
    for n, frame in enumerate(got):
        following = set()
        for i, j in states:
            if i < len(encap) and _same(frame, encap[i]):
                following.add((i + 1, j))
            if j < len(host) and _same(frame, host[j]):
                following.add((i, j + 1))
            if skip_marked and frame.error:
                following.add((i, j))
        if not following:
            i, j = max(states)
            e = encap[i] if i < len(encap) else None
            h = host[j] if j < len(host) else None
            return [
                f"{port} frame {n} of {len(got)} (expected {len(encap)} encapsulated, {len(host)} of the host) is"
                f" neither the next encapsulated ({first_difference(frame, e)}) nor the next of the host\n"
                f"  got      {show(frame)}\n  expected {show(e)}\n  or       {show(h)}"
            ]
        states = following
    if (len(encap), len(host)) in states:
        return []
    i, j = max(states)
    e = encap[i] if i < len(encap) else None
    h = host[j] if j < len(host) else None
    return [
        f"{port}: {len(got)} frames came; {i} of {len(encap)} encapsulated and {j} of {len(host)} of the host"
        " explain them\n"
        f"  missing  {show(e)}\n  or       {show(h)}"
    ]


def compare_frames(outputs: Outputs, prediction, *, encap_cut_through: bool, decap_cut_through: bool) -> list[str]:
    """Differences between the frames that came and a golden prediction, as messages; empty: none.

    In cut-through operation a frame that failed a late check may have left, marked and with any content: marked
    frames of that direction are left aside (how many are allowed is for `compare_counters`). In store-and-forward
    operation a marked frame is a difference, but for those that the host port itself marked.
    """
    decap = {
        port: [f for f in frames if not (decap_cut_through and f.error)]
        for port, frames in (("tenant", outputs.tenant), ("host", outputs.host))
    }
    return [
        *_in_order("m_axis_tenant", decap["tenant"], prediction.tenant),
        *_in_order("m_axis_host", decap["host"], prediction.host),
        *_interleaved(
            "m_axis_underlay",
            outputs.underlay,
            prediction.underlay_encap,
            prediction.underlay_host,
            skip_marked=encap_cut_through,
        ),
    ]


def unpredicted_marked(outputs: Outputs, prediction) -> dict[str, list]:
    """Marked frames of each output port that are not in the prediction (those of the host may be)."""
    host = Counter(frame.data for frame in prediction.underlay_host if frame.error)
    marked: dict[str, list] = {"tenant": [], "underlay": [], "host": []}
    for port, frames in marked.items():
        for frame in getattr(outputs, port):
            if not frame.error:
                continue
            if port == "underlay" and host[frame.data]:
                host[frame.data] -= 1
            else:
                frames.append(frame)
    return marked


def compare_counters(got: Mapping[str, int], predicted: Mapping[str, int], marked: Mapping[str, Sequence]) -> list[str]:
    """Differences between counters read and predicted, as messages; empty: none.

    Parameters
    ----------
    got, predicted : mapping
        Counters by their SPEC.md names. Those that the prediction does not name must be 0.
    marked : mapping
        Output port to the marked frames that left there since reset without being predicted: they count as sent
        by the port.
    """
    expected = dict.fromkeys(got, 0) | dict(predicted)
    for port, frames in marked.items():
        expected[f"{port}_tx_frames"] += len(frames)
        expected[f"{port}_tx_bytes"] += sum(len(frame.data) for frame in frames)
    differences = [
        f"counter {name} is {got.get(name, 'missing')}, should be {expected[name]}"
        for name in expected
        if got.get(name) != expected[name]
    ]
    late = sum(predicted.get(name, 0) for name in LATE_REASONS)
    left = len(marked.get("tenant", ())) + len(marked.get("host", ()))
    if left > late:
        differences.append(f"{left} marked frames left decapsulation, only {late} failed a late check")
    return differences
