"""What a frame is, read from its bytes: the words in which coverage speaks of it.

A reading of SPEC.md of its own. The golden model is not asked, so that what a frame counts for does not follow from
what was predicted of it; `sampler` holds the two against each other.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from vtep_host.config import Config, Vni

from ..cocotb.frames import CTAG, IPV4, IPV6, SCTP, STAG, TCP, UDP, ones_sum, udp_sum

__all__ = ["Inner", "Walk", "read_inner", "tag_at", "tag_form", "walk_underlay"]

TAGS = {CTAG: "802.1Q", STAG: "802.1ad"}
FLOWS = {TCP: "TCP", UDP: "UDP", SCTP: "SCTP"}
EXTENSIONS = (0, 43, 44, 50, 51, 60, 135, 139, 140)
"""IPv6 extension headers, by IANA's registry."""


def word(data: bytes, offset: int) -> int:
    """The 16 bits at ``offset``."""
    return int.from_bytes(data[offset : offset + 2])


def tag_at(frame: bytes, offset: int = 12) -> str:
    """Kind of the VLAN tag at ``offset``, or "none": a tag is one only with an EtherType behind it."""
    return TAGS.get(word(frame, offset), "none") if len(frame) >= offset + 6 else "none"


def tag_form(frame: bytes) -> str:
    """How a tenant frame of at least 14 bytes is tagged, as rule 2 of section 3 asks."""
    if word(frame, 12) in TAGS and len(frame) < 18:
        return "tag cut off"
    kind = tag_at(frame)
    if kind == "802.1Q":
        return "VID" if word(frame, 14) & 0xFFF else "priority tag"
    return {"none": "untagged", "802.1ad": "802.1ad tag"}[kind]


@dataclass(frozen=True)
class Inner:
    """An inner frame. ``ip``: "IPv4", "IPv6" or "not IP"; ``tags`` is 3 where a third stands behind the two read.

    ``ecn`` and ``dont_fragment`` mean something for IP and for IPv4. ``flow`` says what the flow hash covers.
    """

    tag: str
    tags: int
    ip: str
    ecn: int = 0
    dont_fragment: bool = False
    flow: str = "not IP"

    @property
    def marks(self) -> str:
        """Family and ECN field together."""
        return self.ip if self.ip == "not IP" else f"{self.ip} ECN {self.ecn:02b}"

    @property
    def fragmenting(self) -> str:
        """What `df = "inherit"` looks at."""
        return f"IPv4 DF {self.dont_fragment:d}" if self.ip == "IPv4" else self.ip


def read_inner(frame: bytes) -> Inner:
    """Read an inner frame of at least 14 bytes."""
    tag = tag_at(frame)
    tags = 0
    while tags < 3 and tag_at(frame, 12 + 4 * tags) != "none":
        tags += 1
    at = 14 + 4 * min(tags, 2)
    packet = frame[at:]
    kind = word(frame, at - 2)
    if kind == IPV4 and len(packet) >= 20 and packet[0] >> 4 == 4 and packet[0] & 15 >= 5:
        fragment = word(packet, 6) & 0x3FFF
        flow = "fragment" if fragment else _flow(packet, packet[9], 4 * (packet[0] & 15))
        return Inner(tag, tags, "IPv4", packet[1] & 3, bool(packet[6] & 0x40), flow)
    if kind == IPV6 and len(packet) >= 40 and packet[0] >> 4 == 6:
        flow = "extension header" if packet[6] in EXTENSIONS else _flow(packet, packet[6], 40)
        return Inner(tag, tags, "IPv6", packet[1] >> 4 & 3, flow=flow)
    return Inner(tag, tags, "not IP")


def _flow(packet: bytes, protocol: int, header: int) -> str:
    name = FLOWS.get(protocol, "other")
    return name if name == "other" or len(packet) >= header + 4 else "ports cut off"


@dataclass
class Walk:
    """A frame's way through the rules of section 4.

    ``rules`` are those that said something about it, in order, as `plan.RULES` names them. ``end`` is "delivered", or
    "punted" or "dropped" with the counter, where one rises. The rest is what was read on the way, as far as it came.
    """

    rules: list[str] = field(default_factory=list)
    end: str = ""
    counter: str | None = None
    mac: str | None = None
    tag: str | None = None
    family: str | None = None
    options: int | None = None
    packet_padding: bool | None = None
    address: str | None = None
    datagram_padding: bool | None = None
    checksum: str | None = None
    reserved: str | None = None
    ecn: int | None = None
    udp_length: int | None = None
    vni_id: int | None = None
    vni: Vni | None = None
    inner: bytes | None = None
    inner_read: Inner | None = None

    def drop(self, rule: str, counter: str) -> bytes | None:
        """End here, dropped; None, for there is nothing to go on with."""
        self.rules.append(f"{rule}: drop {counter}")
        self.end, self.counter = "dropped", counter
        return None

    def punt(self, rule: str, counter: str | None = None) -> bytes | None:
        """End here, at the host port."""
        self.rules.append(f"{rule}: to host")
        self.end, self.counter = "punted", counter
        return None


def walk_underlay(frame: bytes, error: bool, config: Config, *, longest: int, ipv6: bool) -> Walk:
    """Take a frame from the underlay through section 4."""
    walk = Walk()
    packet = _ethernet(walk, frame, error, config, longest, ipv6)
    if packet is not None:
        packet = _ipv4(walk, packet) if walk.family == "IPv4" else _ipv6(walk, packet)
    if packet is not None:
        packet = _addressed(walk, packet, config)
    if packet is not None:
        packet = _udp(walk, packet, config)
    if packet is not None:
        _vxlan(walk, packet, config)
    return walk


def _ethernet(walk: Walk, frame: bytes, error: bool, config: Config, longest: int, ipv6: bool) -> bytes | None:
    """Apply rules 1 to 4; return what is behind the EtherType."""
    if len(frame) < 14:
        return walk.drop("4.1 short frame", "underlay_runt")
    if len(frame) > longest:
        return walk.drop("4.1 long frame", "underlay_oversize")
    if error:
        return walk.drop("4.1 marked frame", "underlay_error")
    walk.mac = "group" if frame[0] & 1 else "own" if frame[:6] == config.vtep.mac else "other"
    if config.vtep.promiscuous:
        walk.rules.append("4.2 skipped: promiscuous")
    elif walk.mac == "other":
        return walk.drop("4.2 another's MAC address", "not_mine")
    else:
        walk.rules.append(f"4.2 {walk.mac} MAC address")
    walk.tag = tag_at(frame)
    at = 12 if walk.tag == "none" else 16
    if walk.tag != "none":
        if word(frame, at) in TAGS:
            return walk.punt("4.3 second tag")
        walk.rules.append("4.3 tag skipped")
    kind = word(frame, at)
    if kind == IPV6 and not ipv6:
        return walk.punt("4.4 IPv6 in a build without it")
    if kind not in (IPV4, IPV6):
        return walk.punt("4.4 other EtherType")
    walk.family = "IPv4" if kind == IPV4 else "IPv6"
    return frame[at + 2 :]


def _ipv4(walk: Walk, packet: bytes) -> bytes | None:
    """Apply rule 5 to an IPv4 packet; return it without its padding."""
    header = 4 * (packet[0] & 15) if packet else 0
    if len(packet) < 20 or packet[0] >> 4 != 4 or header < 20 or len(packet) < header:
        return walk.drop("4.5 IPv4 header", "ip_header")
    if ones_sum(packet[:header]) != 0xFFFF:
        return walk.drop("4.5 IPv4 header checksum", "ip_checksum")
    total = word(packet, 2)
    if total > len(packet):
        return walk.drop("4.5 IPv4 length beyond the frame", "ip_length")
    if total < header:
        return walk.drop("4.5 IPv4 length below the header", "ip_length")
    walk.options = header - 20
    walk.packet_padding = total < len(packet)
    walk.ecn = packet[1] & 3
    if walk.options:
        walk.rules.append("4.5 IPv4 options skipped")
    if walk.packet_padding:
        walk.rules.append("4.5 padding behind IPv4 cut off")
    return packet[:total]


def _ipv6(walk: Walk, packet: bytes) -> bytes | None:
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return walk.drop("4.5 IPv6 header", "ip_header")
    total = 40 + word(packet, 4)
    if total > len(packet):
        return walk.drop("4.5 IPv6 length beyond the frame", "ip_length")
    walk.packet_padding = total < len(packet)
    walk.ecn = packet[1] >> 4 & 3
    if walk.packet_padding:
        walk.rules.append("4.5 padding behind IPv6 cut off")
    return packet[:total]


def _addresses(walk: Walk, packet: bytes) -> tuple[bytes, bytes]:
    return (packet[12:16], packet[16:20]) if walk.family == "IPv4" else (packet[8:24], packet[24:40])


def _addressed(walk: Walk, packet: bytes, config: Config) -> bytes | None:
    """Apply rules 6 to 8."""
    address: IPv4Address | IPv6Address = ip_address(_addresses(walk, packet)[1])
    groups = {tunnel.remote for tunnel in config.tunnels if tunnel.remote.is_multicast}
    own = (config.vtep.ipv4, config.vtep.ipv6)
    walk.address = "own" if address in own else "tunnel's group" if address in groups else "other"
    if config.vtep.promiscuous:
        walk.rules.append("4.6 skipped: promiscuous")
    elif walk.address == "other":
        return walk.punt("4.6 another's IP address")
    else:
        walk.rules.append(f"4.6 {walk.address} IP address")
    protocol = packet[9] if walk.family == "IPv4" else packet[6]
    if protocol != UDP:
        return walk.punt("4.7 IPv6 extension header" if _extended(walk, protocol) else "4.7 not UDP")
    if walk.family == "IPv4" and word(packet, 6) & 0x3FFF:
        return walk.punt("4.8 fragment", "fragment")
    return packet


def _extended(walk: Walk, protocol: int) -> bool:
    return walk.family == "IPv6" and protocol in EXTENSIONS


def _udp(walk: Walk, packet: bytes, config: Config) -> bytes | None:
    """Apply rules 9 and 10; return what is behind the UDP header."""
    payload = packet[20 + (walk.options or 0) :] if walk.family == "IPv4" else packet[40:]
    if len(payload) < 8:
        return walk.drop("4.9 no room for a UDP header", "udp_length")
    if word(payload, 2) != config.vtep.udp_port:
        return walk.punt("4.9 other port")
    length = walk.udp_length = word(payload, 4)
    if length < 16:
        return walk.drop("4.9 UDP length below 16", "udp_length")
    if length > len(payload):
        return walk.drop("4.9 UDP length beyond the IP payload", "udp_length")
    walk.datagram_padding = length < len(payload)
    if walk.datagram_padding:
        walk.rules.append("4.9 bytes behind the datagram cut off")
    datagram = payload[:length]
    return datagram[8:] if _checksum_passes(walk, packet, datagram, config) else None


def _checksum_passes(walk: Walk, packet: bytes, datagram: bytes, config: Config) -> bool:
    """Apply rule 10."""
    found = word(datagram, 6)
    if not found:
        walk.checksum = "zero"
        if walk.family == "IPv6" and not config.vtep.udp6_zero_checksum_rx:
            walk.drop("4.10 zero over IPv6", "udp_checksum")
            return False
        walk.rules.append(f"4.10 zero over {walk.family} accepted")
        return True
    source, destination = _addresses(walk, packet)
    # A sum with the checksum itself in it is all ones, whichever of the two zeros was sent.
    right = udp_sum(source, destination, datagram) == 0xFFFF
    walk.checksum = "right" if right else "wrong"
    if config.vtep.udp_checksum_rx == "ignore":
        walk.rules.append(f"4.10 {walk.checksum} sum not looked at")
    elif right:
        walk.rules.append(f"4.10 right sum over {walk.family}")
    else:
        walk.drop(f"4.10 wrong sum over {walk.family}", "udp_checksum")
        return False
    return True


def _vxlan(walk: Walk, payload: bytes, config: Config) -> None:
    """Apply rules 11 to 16."""
    header, inner = payload[:8], payload[8:]
    if not header[0] & 8:
        walk.drop("4.11 I flag not set", "vxlan_flags")
        return
    walk.reserved = "set" if header[0] & ~8 or any(header[1:4]) or header[7] else "zero"
    if walk.reserved == "set":
        if config.vtep.reserved_bits == "strict":
            walk.drop("4.11 reserved bits, strict", "vxlan_reserved")
            return
        walk.rules.append("4.11 reserved bits ignored")
    walk.vni_id = int.from_bytes(header[4:7])
    walk.vni = next((vni for vni in config.vnis if vni.id == walk.vni_id), None)
    if walk.vni is None:
        walk.drop("4.12 VNI not configured", "unknown_vni")
        return
    walk.inner = inner
    if len(inner) < 14:
        walk.drop("4.13 short inner frame", "inner_runt")
        return
    read = walk.inner_read = read_inner(inner)
    if read.tag != "none":
        if walk.vni.inner_vlan == "discard":
            walk.drop("4.14 inner tag", "inner_vlan")
            return
        walk.rules.append("4.14 inner tag passed")
    _congestion(walk, read)


def _congestion(walk: Walk, read: Inner) -> None:
    """Apply rules 15 and 16."""
    if read.ip == "not IP":
        walk.rules.append("4.15 not IP: unchanged")
    elif walk.ecn == 3 and read.ecn == 0:
        walk.drop("4.15 outer CE, inner Not-ECT", "ecn")
        return
    elif walk.ecn == 3 and read.ecn != 3:
        walk.rules.append(f"4.15 {read.ip} becomes CE")
    elif walk.ecn == 1 and read.ecn == 2:
        walk.rules.append(f"4.15 {read.ip} becomes ECT(1)")
    else:
        walk.rules.append(f"4.15 {read.ip} unchanged")
    tagged = walk.vni is not None and walk.vni.vlan
    walk.rules.append("4.16 delivered, tag pushed" if tagged else "4.16 delivered as it is")
    walk.end = "delivered"
