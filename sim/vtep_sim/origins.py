"""Which input frame an output frame was made of: for the time stamps of output captures.

The core carries no stamps, and the golden model would cost more time than the simulation. So frames are matched
by content: what comes out holds what went in, whole, and in order. Frames with the same content meet the same rules,
so that n of them give a multiple of n outputs in the same order; where they do not (their outer headers differed
in what decapsulation checks), the golden model is asked about those few.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from vtep_host.config import Config

__all__ = ["Origin", "trace_origins"]

Origin = tuple[str, int]
"""Input port and index among its frames."""

DOT1Q, DOT1AD, IPV4, IPV6 = 0x8100, 0x88A8, 0x0800, 0x86DD


class FrameLike(Protocol):
    """Anything with the bytes of a frame."""

    @property
    def data(self) -> bytes: ...


Delivers = Callable[[list[int]], list[int]]
"""Of these frames of underlay rx, those that are delivered to the tenant."""


def _ethertype(data: bytes, offset: int = 12) -> int:
    return int.from_bytes(data[offset : offset + 2])


def _outer_length(data: bytes) -> int:
    """Bytes in front of the inner frame, the frame being VXLAN."""
    offset = 18 if _ethertype(data) in (DOT1Q, DOT1AD) else 14
    if _ethertype(data, offset - 2) == IPV6:
        return offset + 40 + 16
    return offset + 4 * (data[offset] & 0xF if offset < len(data) else 5) + 16


def _without_ecn(inner: bytes) -> bytes:
    """Clear what decapsulation may change in an inner frame: ECN and the IPv4 checksum."""
    offset = 12
    for _ in range(2):
        if _ethertype(inner, offset) in (DOT1Q, DOT1AD):
            offset += 4
    start = offset + 2
    kind = _ethertype(inner, offset)
    if kind == IPV4 and len(inner) >= start + 20:
        masked = bytearray(inner)
        masked[start + 1] &= 0xFC
        masked[start + 10 : start + 12] = b"\0\0"
        return bytes(masked)
    if kind == IPV6 and len(inner) >= start + 40:
        masked = bytearray(inner)
        masked[start + 1] &= 0xCF
        return bytes(masked)
    return inner


class _Matcher:
    """Frames of one input port by a key of their content, and outputs that have the same key."""

    def __init__(self, port: str) -> None:
        self.port = port
        self.inputs: dict[object, list[int]] = defaultdict(list)
        self.outputs: dict[tuple[object, object], list[int]] = defaultdict(list)

    def add_output(self, key: object, variant: object, index: int) -> bool:
        """Note an output; ``variant`` tells copies apart. False: no input has this key."""
        if key not in self.inputs:
            return False
        self.outputs[key, variant].append(index)
        return True

    def assign(self, origins: list[Origin | None], only: Delivers | None = None) -> None:
        for (key, _), outputs in self.outputs.items():
            inputs = self.inputs[key]
            if len(inputs) > 1 and len(outputs) % len(inputs) and only is not None:
                inputs = only(inputs) or inputs
            for position, index in enumerate(outputs):
                origins[index] = (self.port, inputs[position * len(inputs) // len(outputs)])


def _underlay(
    config: Config, tenant: Sequence[FrameLike], host: Sequence[FrameLike], outputs: Sequence[FrameLike]
) -> list[Origin | None]:
    vlans = {vni.id: vni.vlan for vni in config.vnis}
    encapsulated, passed = _Matcher("tenant"), _Matcher("host")
    for index, frame in enumerate(host):
        passed.inputs[frame.data].append(index)
    for index, frame in enumerate(tenant):
        data = frame.data
        encapsulated.inputs[0, data].append(index)
        vid = int.from_bytes(data[14:16]) & 0xFFF
        if vid and len(data) >= 18 and _ethertype(data) == DOT1Q:
            encapsulated.inputs[vid, data[:12] + data[16:]].append(index)
    origins: list[Origin | None] = [None] * len(outputs)
    for index, frame in enumerate(outputs):
        data = frame.data
        if passed.add_output(data, None, index):
            continue
        offset = _outer_length(data)
        vni = int.from_bytes(data[offset - 4 : offset - 1])
        # What the tunnel alone decides; lengths, sums, the IPv4 ID and hash values differ from frame to frame.
        address = 16 if _ethertype(data, offset - 58) == IPV6 else 4
        variant = (data[:6], data[12:18], data[offset - 16 - address : offset - 16], data[offset - 14 : offset - 12])
        encapsulated.add_output((vlans.get(vni, 0), data[offset:]), (vni, *variant), index)
    passed.assign(origins)
    encapsulated.assign(origins)
    return origins


def _tenant(
    config: Config, underlay: Sequence[FrameLike], outputs: Sequence[FrameLike], delivers: Delivers
) -> list[Origin | None]:
    vlans = {vni.id: vni.vlan for vni in config.vnis}
    matcher = _Matcher("underlay")
    for index, frame in enumerate(underlay):
        data = frame.data
        offset = _outer_length(data)
        if offset < len(data):
            length = int.from_bytes(data[offset - 12 : offset - 10]) - 16
            vlan = vlans.get(int.from_bytes(data[offset - 4 : offset - 1]))
            if vlan is not None and length > 0:
                matcher.inputs[vlan, _without_ecn(data[offset : offset + length])].append(index)
    tagged = {vlan for vlan in vlans.values() if vlan}
    origins: list[Origin | None] = [None] * len(outputs)
    for index, frame in enumerate(outputs):
        data = frame.data
        vid = int.from_bytes(data[14:16])
        if not (
            vid in tagged
            and _ethertype(data) == DOT1Q
            and matcher.add_output((vid, _without_ecn(data[:12] + data[16:])), None, index)
        ):
            matcher.add_output((0, _without_ecn(data)), None, index)
    matcher.assign(origins, delivers)
    return origins


def _host(underlay: Sequence[FrameLike], outputs: Sequence[FrameLike]) -> list[Origin | None]:
    matcher = _Matcher("underlay")
    for index, frame in enumerate(underlay):
        matcher.inputs[frame.data].append(index)
    origins: list[Origin | None] = [None] * len(outputs)
    for index, frame in enumerate(outputs):
        matcher.add_output(frame.data, None, index)
    matcher.assign(origins)
    return origins


def trace_origins(
    config: Config,
    inputs: Mapping[str, Sequence[FrameLike]],
    outputs: Mapping[str, Sequence[FrameLike]],
    delivers: Delivers,
) -> dict[str, list[Origin | None]]:
    """Find the input frame of every output frame of one run.

    Parameters
    ----------
    config : Config
        The configuration of the run.
    inputs, outputs : mapping
        Frames by port ("tenant", "underlay", "host"), in order; none with an error mark.
    delivers : callable
        Given indices of underlay frames, says which of them SPEC.md has delivered to the tenant.

    Returns
    -------
    dict
        Of each output port, the origin of each frame; None where there is none to be found.
    """
    return {
        "tenant": _tenant(config, inputs["underlay"], outputs["tenant"], delivers),
        "underlay": _underlay(config, inputs["tenant"], inputs["host"], outputs["underlay"]),
        "host": _host(inputs["underlay"], outputs["host"]),
    }
