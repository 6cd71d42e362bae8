"""Which bins a frame hits: from its bytes, the configuration, and what became of it.

What became of it is what the scoreboard found right: frames at the core's ports and its counters. `reading` says on its
own what SPEC.md makes of the frame; where the two do not agree, nothing is counted and `CoverageError` is raised.
"""

from collections.abc import Sequence
from ipaddress import ip_address

from vtep.config import Mode, VtepParameters
from vtep_host.config import Config, Tunnel, Vni

from ..cocotb.frames import Encapsulated, read_encapsulated
from ..golden.results import Delivered, Dropped, Punted, Sent
from .plan import PACES
from .points import CoverageError, Hits
from .reading import Inner, Walk, read_inner, tag_form, walk_underlay, word

__all__ = ["Sampler", "pace_of"]

RUNT = 14
HEAD = {"IPv4": 36, "IPv6": 56}
"""Bytes of an outer packet in front of the inner frame."""


def pace_of(idle: float, stall: float) -> str:
    """Name of a pace: chances of a pause at the inputs and at the outputs."""
    return PACES[bool(idle) + 2 * bool(stall)]


def _range(value: int, least: int, most: int) -> str:
    """Whether a value is at one of its bounds."""
    return str(value) if value in (least, most) else f"{least + 1} to {most - 1}"


def _amount(count: int) -> str:
    return str(count) if count < 2 else "2 or more"


class Sampler:
    """Counts the frames of one configuration.

    Parameters
    ----------
    hits : Hits
        Where hits are counted.
    config : Config
        The configuration that the core runs.
    parameters : VtepParameters
        What the core was built with.
    pace : str
        One of `plan.PACES`.
    """

    def __init__(self, hits: Hits, config: Config, parameters: VtepParameters, pace: str) -> None:
        self.hits = hits
        self.config = config
        self.parameters = parameters
        self.pace = pace
        self.tunnels = {tunnel.name: tunnel for tunnel in config.tunnels}
        self.fdb = {(entry.vni, entry.mac): entry.tunnel for entry in config.fdb}

    # Encapsulation

    def tenant(self, frame: bytes, error: bool, results: Sequence[Sent | Dropped]) -> None:
        """Count a frame of the tenant port and what became of each of its copies."""
        hit, longest = self.hits.hit, self.parameters.max_frame_length
        for result in results:
            sent = isinstance(result, Sent)
            hit("end, pace", "sent" if sent else "dropped of the tenant", self.pace)
            if isinstance(result, Dropped):
                self._counter(result.reason, self.parameters.encap_mode)
        drops = [result.reason if isinstance(result, Dropped) else None for result in results]
        kind = _bad(frame, error, longest)
        self._edges("tenant", len(frame), kind)
        if kind:
            counter = {"short": "tenant_runt", "long": "tenant_oversize", "marked": "tenant_error"}[kind]
            self._agree(frame, drops, [counter])
            hit("rules", f"3.1 {kind} frame: drop {counter}")
            return
        vni, inner = self._classify(frame, drops)
        if vni is None:
            return
        tunnels = self._tunnels(vni, inner, drops)
        if not tunnels:
            return
        read = read_inner(inner)
        fits = []
        for tunnel, result in zip(tunnels, results, strict=True):
            fits.append(isinstance(result, Sent))
            self._copy(vni, inner, read, tunnel, result)
        many = "many" if len(tunnels) > 1 else "1"
        long = fits.count(False)
        share = "none" if not long else "some" if long < len(fits) else "1" if many == "1" else "all"
        hit("copies longer than the MTU", f"{share} of {many}")

    def _agree(self, frame: bytes, seen: object, read: object) -> None:
        if seen != read:
            raise CoverageError(f"the core made {seen} of a frame that reads as {read}: {frame.hex()}")

    def _counter(self, reason: str, mode: Mode) -> None:
        self.hits.hit("counter, mode", reason, mode.value)

    def _classify(self, frame: bytes, drops: list[str | None]) -> tuple[Vni | None, bytes]:
        """Rule 2: the VNI, and the frame without its tag."""
        hit, form = self.hits.hit, tag_form(frame)
        untagged = next((vni for vni in self.config.vnis if not vni.vlan), None)
        if form != "VID":
            hit("tag form and VNI", form, "untagged VNI" if untagged else "no_vni")
            if untagged:
                stays = {"priority tag": "priority tag stays", "802.1ad tag": "802.1ad tag stays"}.get(form, "untagged")
                hit("rules", f"3.2 {stays}")
                return untagged, frame
        else:
            vid = word(frame, 14) & 0xFFF
            named = next((vni for vni in self.config.vnis if vni.vlan == vid), None)
            if named:
                hit("tag form and VNI", "VID", "tag removed")
                hit("rules", "3.2 VID of a VNI: tag removed")
                return named, frame[:12] + frame[16:]
            if untagged and untagged.inner_vlan == "pass":
                hit("tag form and VNI", "VID", "untagged VNI")
                hit("rules", "3.2 VID of no VNI: passed to the untagged VNI")
                return untagged, frame
            why = "the untagged VNI discards" if untagged else "there is no untagged VNI"
            hit("tag form and VNI", "VID", f"no_vni: {why}")
        self._agree(frame, drops, ["no_vni"])
        hit("rules", "3.2 untagged VNI discards: drop no_vni" if untagged else "3.2 no VNI: drop no_vni")
        return None, frame

    def _tunnels(self, vni: Vni, inner: bytes, drops: list[str | None]) -> list[Tunnel]:
        """Rule 3: the tunnels that get a copy."""
        hit = self.hits.hit
        known = None if inner[0] & 1 else self.fdb.get((vni.id, inner[:6]))
        names = (known,) if known is not None else vni.flood
        where = "in the FDB" if known is not None else "group" if inner[0] & 1 else "unknown unicast"
        hit("destination and copies", where, _amount(len(names)))
        if not names:
            self._agree(inner, drops, ["no_tunnel"])
            hit("rules", "3.3 empty flood list: drop no_tunnel")
        else:
            hit("rules", "3.3 tunnel of the FDB" if known is not None else "3.3 flood list")
        return [self.tunnels[name] for name in names]

    def _copy(self, vni: Vni, inner: bytes, read: Inner, tunnel: Tunnel, result: Sent | Dropped) -> None:
        """Rules 4 and 5 for one copy."""
        hit = self.hits.hit
        family = f"IPv{tunnel.remote.version}"
        over = HEAD[family] + len(inner) - self.config.vtep.underlay_mtu
        if over in (0, 1):
            hit("lengths at an edge", f"outer {family} packet", ("the MTU", "one longer: mtu")[over])
        if isinstance(result, Dropped):
            self._agree(inner, (result.reason, over > 0), ("mtu", True))
            hit("rules", "3.4 outer packet too long: drop mtu")
            return
        sent = read_encapsulated(result.data)
        remote = ip_address(sent.dst_ip)
        self._agree(result.data, (sent.vni, remote, sent.inner), (vni.id, tunnel.remote, inner))
        hit("rules", f"3.5 sent over {family}")
        hit("VNI of a sent frame", _range(sent.vni, 0, 0xFFFFFF))
        self._modulo("sent", len(result.data))
        self._outer(family, tunnel, sent)
        self._inherited(family, tunnel, read)

    def _outer(self, family: str, tunnel: Tunnel, sent: Encapsulated) -> None:
        """What the outer headers show."""
        hit, vtep = self.hits.hit, self.config.vtep
        checksum = "computed" if sent.udp_checksum else "zero"
        hit("underlay, UDP checksum, mode", family, checksum, self.parameters.encap_mode.value)
        hit("underlay, outer tag", family, "none" if sent.tci is None else "802.1Q")
        hit("underlay, remote", family, "multicast" if tunnel.remote.is_multicast else "unicast")
        hit("underlay, UDP port", family, "of the VTEP" if sent.dport == vtep.udp_port else "of the tunnel")
        bits = str(vtep.source_port_bits) if vtep.source_port_bits in (0, 16) else "1 to 15"
        hit("underlay, bits of the source port", family, bits)

    def _inherited(self, family: str, tunnel: Tunnel, read: Inner) -> None:
        """What the tunnel's policies met in the inner frame."""
        hit = self.hits.hit
        for name, value in (("ttl", tunnel.ttl), ("dscp", tunnel.dscp)):
            hit(f"{name}, inner, underlay", "inherit" if value == "inherit" else "fixed", read.ip, family)
        if family == "IPv4":
            hit("df, inner", tunnel.df, read.fragmenting)
        hit("ecn, inner, underlay", tunnel.ecn, read.marks, family)
        hit("flow hash, underlay", read.flow if read.ip == "not IP" else f"{read.ip} {read.flow}", family)
        hit("inner tags read, inner", _tags(read), read.ip)

    # Decapsulation

    def underlay(self, frame: bytes, error: bool, result: Delivered | Punted | Dropped) -> None:
        """Count a frame of the underlay port and what became of it."""
        hit, parameters = self.hits.hit, self.parameters
        walk = walk_underlay(frame, error, self.config, longest=parameters.max_frame_length, ipv6=parameters.ipv6)
        seen: tuple[str, str | None] = ("delivered", None)
        if isinstance(result, Punted):
            seen = ("punted", result.counter)
        elif isinstance(result, Dropped):
            seen = ("dropped", result.reason)
        self._agree(frame, seen, (walk.end, walk.counter))
        for rule in walk.rules:
            hit("rules", rule)
        if walk.counter:
            self._counter(walk.counter, parameters.decap_mode)
        end = {"delivered": "delivered", "punted": "to host", "dropped": "dropped of the underlay"}[walk.end]
        hit("end, pace", end, self.pace)
        self._edges("underlay", len(frame), _bad(frame, error, parameters.max_frame_length))
        self._outside(walk)
        self._datagram(walk)
        if isinstance(result, Delivered):
            self._modulo("delivered", len(result.data))
        elif isinstance(result, Punted):
            self._modulo("to host", len(frame))

    def _outside(self, walk: Walk) -> None:
        """Ethernet and IP, as far as the frame's way went."""
        hit, promiscuous = self.hits.hit, self.config.vtep.promiscuous
        if walk.mac is None:
            return
        hit("MAC address, promiscuous", walk.mac, promiscuous)
        if walk.family is None:
            return
        hit("underlay, received tag, end", walk.family, walk.tag, walk.end)
        if walk.address is None:
            return
        hit("IP address, promiscuous, underlay", walk.address, promiscuous, walk.family)
        if walk.options is not None:
            hit("bytes of IPv4 options", walk.options)

    def _datagram(self, walk: Walk) -> None:
        """UDP, VXLAN and the inner frame, as far as the frame's way went."""
        hit, vtep = self.hits.hit, self.config.vtep
        if walk.udp_length == 15:
            hit("lengths at an edge", "UDP length 15: udp_length")
        if walk.checksum is None:
            return
        hit("underlay, received checksum, policy", walk.family, walk.checksum, vtep.udp_checksum_rx)
        if (walk.family, walk.checksum) == ("IPv6", "zero"):
            hit(
                "zero checksum over IPv6", "accepted" if vtep.udp6_zero_checksum_rx else "refused", vtep.udp_checksum_rx
            )
        hit("UDP port of the VTEP", "4789" if vtep.udp_port == 4789 else "other")
        if walk.reserved is not None:
            hit("reserved bits, policy", walk.reserved, vtep.reserved_bits)
        if walk.inner is not None and len(walk.inner) in (0, 13, 14):
            edges = {0: "UDP length 16: inner_runt", 13: "inner 13: inner_runt", 14: "inner 14"}
            hit("lengths at an edge", edges[len(walk.inner)])
        if walk.vni is None or walk.inner_read is None:
            return
        read = walk.inner_read
        hit("inner tag, policy", read.tag, walk.vni.inner_vlan)
        if read.tag != "none" and walk.vni.inner_vlan == "discard":
            return
        hit("outer ECN, inner, underlay", f"{walk.ecn:02b}", read.marks, walk.family)
        if walk.end == "delivered":
            padding = ["some" if found else "none" for found in (walk.packet_padding, walk.datagram_padding)]
            hit("underlay, padding behind IP, behind UDP", walk.family, *padding)
            hit("inner tags behind the outer header, inner", _tags(read), read.ip)
            hit("VNI of a delivered frame", _range(walk.vni.id, 0, 0xFFFFFF))
            hit("VLAN of the VNI, inner tag", "pushed" if walk.vni.vlan else "none", read.tag)

    # Both

    def host(self, frame: bytes) -> None:
        """Count a frame of the host port."""
        self.hits.hit("rules", "1 host frame sent unchanged")
        self.hits.hit("end, pace", "of the host", self.pace)
        self._modulo("of the host", len(frame))

    def _modulo(self, what: str, length: int) -> None:
        lanes = self.parameters.lanes
        self.hits.hit(f"length modulo byte lanes, {what}", f"{lanes} lanes", length % lanes)

    def _edges(self, port: str, length: int, kind: str | None) -> None:
        longest = self.parameters.max_frame_length
        edges = {
            RUNT - 1: f"{port} 13: {port}_runt",
            RUNT: f"{port} 14",
            longest: f"{port}, the longest",
            longest + 1: f"{port}, one longer: {port}_oversize",
        }
        if length in edges and kind != "marked":
            self.hits.hit("lengths at an edge", edges[length])


def _tags(read: Inner) -> str:
    return "3 or more" if read.tags == 3 else str(read.tags)


def _bad(frame: bytes, error: bool, longest: int) -> str | None:
    """Rule 1 of both directions."""
    if len(frame) < RUNT:
        return "short"
    if len(frame) > longest:
        return "long"
    return "marked" if error else None
