"""SPEC.md section 3: what becomes of a frame from the tenant port."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from vtep_host.config import Config, Tunnel, Vni

from .ecn import outer_ecn
from .flow import flow_hash
from .inner import DOT1Q, Inner, is_tagged, parse_inner
from .outer import Outer, outer_length
from .results import Dropped, Sent

__all__ = ["Encapsulator"]

DEFAULT_TTL = 64


class Encapsulator:
    """The rules of section 3 for one configuration; keeps the IPv4 identification of each tunnel.

    Parameters
    ----------
    config : Config
        The configuration.
    cut_through : bool
        A frame that its MAC marks bad at its end has passed the other rules by then, and its marked copies have
        taken an IPv4 identification each.
    max_frame_length : int
        Longest frame that is no oversize, in bytes.
    """

    def __init__(self, config: Config, *, cut_through: bool, max_frame_length: int) -> None:
        self.config = config
        self.cut_through = cut_through
        self.max_frame_length = max_frame_length
        self.vni_of_vlan = {vni.vlan: vni for vni in config.vnis}
        self.tunnels = {tunnel.name: tunnel for tunnel in config.tunnels}
        self.fdb = {(entry.vni, entry.mac): entry.tunnel for entry in config.fdb}
        self.identification = dict.fromkeys(self.tunnels, 0)

    def run(self, frame: bytes, error: bool) -> list[Sent | Dropped]:
        """Return what becomes of one frame, marked bad or not: one result a copy, in order."""
        # Rule 1
        if len(frame) < 14:
            return [Dropped("tenant_runt")]
        if len(frame) > self.max_frame_length:
            return [Dropped("tenant_oversize")]
        if error:
            if self.cut_through:
                list(self.copies(frame))
            return [Dropped("tenant_error")]
        return list(self.copies(frame))

    def copies(self, frame: bytes) -> Iterator[Sent | Dropped]:
        """Apply rules 2 to 5."""
        vni, inner = self.classify(frame)
        if vni is None:
            yield Dropped("no_vni")
            return
        # Rule 3
        known = None if inner[0] & 1 else self.fdb.get((vni.id, inner[:6]))
        names = vni.flood if known is None else (known,)
        if not names:
            yield Dropped("no_tunnel")
            return
        parsed = parse_inner(inner)
        for name in names:
            tunnel = self.tunnels[name]
            # Rule 4
            if outer_length(tunnel.remote.version, len(inner)) > self.config.vtep.underlay_mtu:
                yield Dropped("mtu")
            else:
                yield Sent(self.outer(tunnel, vni, parsed).wrap(inner), inner, vni, tunnel)

    def classify(self, frame: bytes) -> tuple[Vni | None, bytes]:
        """Rule 2: the frame's VNI, and the frame without that VNI's tag."""
        vid = int.from_bytes(frame[14:16]) & 0xFFF if is_tagged(frame, DOT1Q) else 0
        if vid and vid in self.vni_of_vlan:
            return self.vni_of_vlan[vid], frame[:12] + frame[16:]
        untagged = self.vni_of_vlan.get(0)
        if vid and untagged is not None and untagged.inner_vlan != "pass":
            return None, frame
        return untagged, frame

    def outer(self, tunnel: Tunnel, vni: Vni, inner: Inner) -> Outer:
        """Rule 5: the fields of the outer headers."""
        vtep = self.config.vtep
        ipv4 = isinstance(tunnel.remote, IPv4Address)
        source = vtep.ipv4 if ipv4 else vtep.ipv6
        if source is None:
            raise ValueError(f"tunnel {tunnel.name!r} is IPv6 and the VTEP has no IPv6 address")
        if tunnel.remote_mac is None:
            raise ValueError(f"tunnel {tunnel.name!r} has no remote_mac, and the model does not resolve next hops")
        dont_fragment = {"set": True, "unset": False, "inherit": inner.dont_fragment}[tunnel.df]
        identification = 0
        if ipv4 and not dont_fragment:
            identification = self.identification[tunnel.name]
            self.identification[tunnel.name] = (identification + 1) % 0x10000
        ttl = inner.ttl if tunnel.ttl == "inherit" else tunnel.ttl
        flow = flow_hash(inner)
        return Outer(
            source_mac=vtep.mac,
            destination_mac=tunnel.remote_mac,
            vlan=tunnel.vlan,
            source=source,
            destination=tunnel.remote,
            traffic_class=traffic_class(tunnel, inner),
            ttl=DEFAULT_TTL if ttl is None else ttl,
            identification=identification,
            dont_fragment=dont_fragment,
            flow_label=flow % (1 << 20),
            source_port=vtep.source_port_base + flow % (1 << vtep.source_port_bits),
            destination_port=tunnel.udp_port,
            udp_checksum=tunnel.udp_checksum,
            vni=vni.id,
        )


def traffic_class(tunnel: Tunnel, inner: Inner) -> int:
    """Outer ToS or traffic class: DSCP and ECN by the tunnel's modes."""
    inner_dscp, inner_ecn = divmod(inner.traffic_class, 4)
    dscp = inner_dscp if tunnel.dscp == "inherit" else tunnel.dscp
    return dscp << 2 | outer_ecn(tunnel.ecn, inner_ecn)
