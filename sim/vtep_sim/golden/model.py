"""The golden model: from input frames of every port to output frames of every port and all counters."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from vtep_host.config import Config

from .decap import Decapsulator
from .encap import Encapsulator
from .results import Delivered, Dropped, Punted, Sent

__all__ = ["OUTPUTS", "REASONS", "Frame", "GoldenModel", "Prediction"]

PORTS = ("tenant_rx", "tenant_tx", "underlay_rx", "underlay_tx", "host_rx", "host_tx")

REASONS = (
    "tenant_runt",
    "tenant_oversize",
    "tenant_error",
    "no_vni",
    "no_tunnel",
    "mtu",
    "underlay_runt",
    "underlay_oversize",
    "underlay_error",
    "not_mine",
    "ip_header",
    "ip_checksum",
    "ip_length",
    "fragment",
    "udp_length",
    "udp_checksum",
    "vxlan_flags",
    "vxlan_reserved",
    "unknown_vni",
    "inner_runt",
    "inner_vlan",
    "ecn",
)
"""Drop and punt counters, in the order of SPEC.md sections 3 and 4."""

OUTPUTS = ("tenant", "host", "underlay_encap", "underlay_host")


@dataclass(frozen=True)
class Frame:
    """A frame without FCS. ``error``: its MAC marked it bad."""

    data: bytes
    error: bool = False


@dataclass
class Prediction:
    """What one `GoldenModel.run` predicts.

    The frames of underlay tx are those of ``underlay_encap`` and ``underlay_host``, each in its order, interleaved
    in any way. ``origins`` tells of each output frame its input port and the index among that port's frames of
    this run; ``drops`` lists every drop as (input port, index, reason). ``counters`` stand as after the run.
    """

    tenant: list[Frame] = field(default_factory=list)
    host: list[Frame] = field(default_factory=list)
    underlay_encap: list[Frame] = field(default_factory=list)
    underlay_host: list[Frame] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    origins: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: {port: [] for port in OUTPUTS})
    drops: list[tuple[str, int, str]] = field(default_factory=list)


class GoldenModel:
    """Predicts the VTEP by SPEC.md. Counters and IPv4 identifications live on from run to run.

    Parameters
    ----------
    config : Config
        The configuration; it does not change.
    encap_cut_through, decap_cut_through : bool
        Mode of each direction. Frames that fail a late check, which cut-through operation marks, are in no list of
        the prediction in either mode, and their drop counter rises in both. In cut-through encapsulation they take
        an IPv4 identification, though, where their tunnel counts those.
    max_frame_length : int
        Longest frame that is no oversize, in bytes without FCS.
    ipv6 : bool
        The build has the IPv6 underlay.
    """

    def __init__(
        self,
        config: Config,
        *,
        encap_cut_through: bool = False,
        decap_cut_through: bool = False,
        max_frame_length: int = 9600,
        ipv6: bool = True,
    ) -> None:
        self.config = config
        self.decap_cut_through = decap_cut_through
        self.encapsulator = Encapsulator(config, cut_through=encap_cut_through, max_frame_length=max_frame_length)
        self.decapsulator = Decapsulator(config, max_frame_length=max_frame_length, ipv6=ipv6)
        owners = [f"vni.{vni.id}." for vni in config.vnis] + [f"tunnel.{tunnel.name}." for tunnel in config.tunnels]
        counted = [f"{port}_" for port in PORTS] + [owner + way for owner in owners for way in ("encap_", "decap_")]
        self.counters = dict.fromkeys(REASONS, 0)
        self.counters |= dict.fromkeys([name + unit for name in counted for unit in ("frames", "bytes")], 0)

    def run(
        self, tenant: Iterable[Frame] = (), underlay: Iterable[Frame] = (), host: Iterable[Frame] = ()
    ) -> Prediction:
        """Predict what becomes of the frames that enter at each port, in their order."""
        prediction = Prediction()
        for index, frame in enumerate(tenant):
            self._tenant(prediction, index, frame)
        for index, frame in enumerate(underlay):
            self._underlay(prediction, index, frame)
        for index, frame in enumerate(host):
            self._count("host_rx", frame.data)
            self._emit(prediction, "underlay_host", ("host", index), frame)
        prediction.counters = dict(self.counters)
        return prediction

    def _tenant(self, prediction: Prediction, index: int, frame: Frame) -> None:
        self._count("tenant_rx", frame.data)
        for result in self.encapsulator.run(frame.data, frame.error):
            if isinstance(result, Dropped):
                self._drop(prediction, "tenant", index, result.reason)
                continue
            self._emit(prediction, "underlay_encap", ("tenant", index), Frame(result.data))
            self._count_owners(result, "encap")

    def _underlay(self, prediction: Prediction, index: int, frame: Frame) -> None:
        self._count("underlay_rx", frame.data)
        result = self.decapsulator.run(frame.data, frame.error)
        if isinstance(result, Dropped):
            self._drop(prediction, "underlay", index, result.reason)
        elif isinstance(result, Punted):
            if result.counter:
                self.counters[result.counter] += 1
            self._emit(prediction, "host", ("underlay", index), frame)
        else:
            self._emit(prediction, "tenant", ("underlay", index), Frame(result.data))
            self._count_owners(result, "decap")

    def _drop(self, prediction: Prediction, port: str, index: int, reason: str) -> None:
        self.counters[reason] += 1
        prediction.drops.append((port, index, reason))

    def _emit(self, prediction: Prediction, output: str, origin: tuple[str, int], frame: Frame) -> None:
        getattr(prediction, output).append(frame)
        prediction.origins[output].append(origin)
        self._count(output.partition("_")[0] + "_tx", frame.data)

    def _count_owners(self, result: Sent | Delivered, way: str) -> None:
        self._count(f"vni.{result.vni.id}.{way}", result.inner)
        if result.tunnel is not None:
            self._count(f"tunnel.{result.tunnel.name}.{way}", result.inner)

    def _count(self, name: str, data: bytes) -> None:
        self.counters[f"{name}_frames"] += 1
        self.counters[f"{name}_bytes"] += len(data)
