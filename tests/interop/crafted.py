"""Frames with every header field at its edges, each with a name that says what is odd about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from helpers.octets import ones_sum, tag

VTEP_MAC, PEER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
OURS, PEER = {4: "10.0.0.1", 6: "fd00::1"}, {4: "10.0.0.2", 6: "fd00::2"}
LOCAL, REMOTE = "52:54:00:00:00:01", "52:54:00:00:01:01"
"""MACs of a tenant on the VTEP's side, and of one behind the peer."""
DEVICE_MAC = "02:00:00:00:00:64"
"""Of the kernel's VXLAN device."""
VNI = 100
HEADERS = {4: 14 + 20 + 8 + 8, 6: 14 + 40 + 8 + 8}
"""Bytes in front of the inner frame."""
INNER: dict[int, dict[str, str]] = {
    4: {"src": "192.0.2.1", "dst": "192.0.2.2"},
    6: {"src": "fd01::1", "dst": "fd01::2"},
}
"""Addresses of what a tenant sends."""
UNDERLAY_MTU = 1700
ETHERTYPES = (0x0000, 0x002E, 0x05DC, 0x0600, 0x0800, 0x0806, 0x8100, 0x86DD, 0x8847, 0x88A8, 0x88CC, 0x9100, 0xFFFF)
IPV4_OPTIONS = {
    "end of list": bytes(4),
    "a length of 0": bytes([7, 0, 0, 0]),
    "a length of 1": bytes([7, 1, 0, 0]),
    "a length beyond the header": bytes([7, 44, 4, 0]),
    "record route": bytes([7, 7, 4, 0, 0, 0, 0, 0]),
    "timestamp": bytes([68, 8, 5, 0, 0, 0, 0, 0]),
    "router alert": bytes([148, 4, 0, 0]),
    "loose source route": bytes([131, 7, 4, 10, 0, 0, 9, 0]),
    "strict source route": bytes([137, 7, 4, 10, 0, 0, 9, 0]),
    "an unknown one": bytes([30, 4, 0, 0]),
}
TPIDS = {"Dot1Q": 0x8100, "Dot1AD": 0x88A8}
"""By the names that Scapy has for them."""
MARKS = range(4)
RIGHT = ("nothing", "odd")


EXTENSIONS: dict[str, list[Packet]] = {
    "hop-by-hop": [IPv6ExtHdrHopByHop()],
    "destination options": [IPv6ExtHdrDestOpt()],
    "routing": [IPv6ExtHdrRouting()],
    "fragment that is whole": [IPv6ExtHdrFragment()],
    "first fragment": [IPv6ExtHdrFragment(m=1)],
    "all": [IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt(), IPv6ExtHdrRouting(), IPv6ExtHdrFragment(offset=8)],
}


@dataclass(frozen=True)
class Case:
    """A frame: ``group`` is the field, ``value`` what it holds."""

    group: str
    value: str
    frame: bytes

    @property
    def name(self) -> str:
        """Both."""
        return f"{self.group}: {self.value}"


def inner(*, to_remote: bool = False, length: int = 100, mark: int = 0) -> Packet:
    """An inner frame with IPv4 and UDP."""
    source, target = (LOCAL, REMOTE) if to_remote else (REMOTE, LOCAL)
    head = Ether(src=source, dst=target) / IP(src="192.0.2.2", dst="192.0.2.1", tos=mark) / UDP(sport=4000, dport=9)
    return head / Raw(bytes(length - 42))


def outer(family: int, **fields: Any) -> Packet:
    """Ethernet and IP of a packet from the peer."""
    ip = IP if family == 4 else IPv6
    return Ether(src=PEER_MAC, dst=VTEP_MAC) / ip(**{"src": PEER[family], "dst": OURS[family], **fields})


def packet(family: int, content: Packet | None = None, **fields: Any) -> bytes:
    """A VXLAN packet that is right but for ``fields`` of its IP header."""
    head = outer(family, **fields) / UDP(sport=50000, dport=4789) / VXLAN(flags=8, vni=VNI)
    # As bytes: Scapy marks the VXLAN header of an Ethernet frame as that of the protocol extension.
    return bytes(head / Raw(bytes(content or inner())))


def _mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def _poke(frame: bytes, offset: int, value: int, size: int = 1) -> bytes:
    return frame[:offset] + value.to_bytes(size) + frame[offset + size :]


def _mended(frame: bytes) -> bytes:
    """With the checksum of an IPv4 header of 20 bytes or of what its IHL says."""
    length = max((frame[14] & 15) * 4, 20)
    return _poke(frame, 24, ones_sum(_poke(frame, 24, 0, 2)[14 : 14 + length]) ^ 0xFFFF, 2)


def decapsulation(family: int) -> Iterator[Case]:
    """Frames of the underlay, one field wrong or odd in each; the first is right."""
    yield Case(*RIGHT, packet(family))
    yield from _ethernet(family)
    yield from _ipv4() if family == 4 else _ipv6()
    yield from _udp(family)
    yield from _vxlan(family)
    yield from _inner_frames(family)
    yield from _ends(family)


def _ethernet(family: int) -> Iterator[Case]:
    good = packet(family)
    for address in (VTEP_MAC, "02:00:00:00:00:99", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01"):
        yield Case("outer destination MAC", address, _mac(address) + good[6:])
    for source in ("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", VTEP_MAC):
        yield Case("outer source MAC", source, good[:6] + _mac(source) + good[12:])
    for kind in ETHERTYPES:
        yield Case("EtherType", f"{kind:#06x}", _poke(good, 12, kind, 2))
    for name, tpid in TPIDS.items():
        for vlan in (0, 1, 4095):
            once = tag(good, vlan, tpid)
            yield Case("one outer tag", f"{name} VID {vlan}", once)
            yield Case("two outer tags", f"{name} VID {vlan}", tag(once, vlan, tpid))


def _with_options(frame: bytes, options: bytes) -> bytes:
    """Put options behind an IPv4 header without."""
    longer = frame[:34] + options + frame[34:]
    return _mended(_poke(_poke(longer, 14, 4 << 4 | 5 + len(options) // 4), 16, len(longer) - 14, 2))


def _ipv4_fields(good: bytes, whose: str = "") -> Iterator[Case]:
    """Fields of an IPv4 header, of the underlay's or of a tenant's packet: groups begin with ``whose``."""
    for version in range(16):
        yield Case(f"{whose}IPv4 version", f"{version}", _mended(_poke(good, 14, version << 4 | 5)))
    for words in range(16):
        yield Case(f"{whose}IHL without options", f"{words}", _mended(_poke(good, 14, 4 << 4 | words)))
    for words in range(6, 16):
        made = _with_options(good, b"\x01" * (4 * (words - 5)))
        yield Case(f"{whose}IPv4 options, no operation", f"{words} words", made)
    for number in (1, 0x7FFF, 0xFFFF):
        yield Case(f"{whose}identification", f"{number:#x}", _mended(_poke(good, 18, number, 2)))
    for bit in range(16):
        yield Case(f"{whose}flags and offset", f"bit {bit}", _mended(_poke(good, 20, 1 << bit, 2)))
    for protocol in range(256):
        yield Case(f"{whose}protocol", f"{protocol}", _mended(_poke(good, 23, protocol)))
    for bit in range(16):
        wrong = int.from_bytes(good[24:26]) ^ 1 << bit
        yield Case(f"{whose}header checksum", f"bit {bit} wrong", _poke(good, 24, wrong, 2))


def _ipv6_fields(good: bytes, whose: str = "") -> Iterator[Case]:
    """The same of an IPv6 header."""
    for version in range(16):
        yield Case(f"{whose}IPv6 version", f"{version}", _poke(good, 14, version << 4 | good[14] & 15))
    for number in range(256):
        yield Case(f"{whose}next header", f"{number}", _poke(good, 20, number))


def _ipv4() -> Iterator[Case]:
    good = packet(4)
    yield from _ipv4_fields(good)
    for name, options in IPV4_OPTIONS.items():
        yield Case("IPv4 options", name, _with_options(good, options))
    for mark in range(256):
        yield Case("ToS", f"{mark:#04x}", _mended(_poke(good, 15, mark)))
    for wrong in (0, 1, 19, 20, 27, 28, 35, 36, 49, 50, len(good) - 15, len(good) - 13, 0xFFFF):
        yield Case("total length", f"{wrong} of {len(good) - 14}", _mended(_poke(good, 16, wrong, 2)))
    for ttl in (0, 1, 2, 255):
        yield Case("TTL", f"{ttl}", _mended(_poke(good, 22, ttl)))
    for address in ("10.0.0.3", "10.0.0.255", "255.255.255.255", "224.0.0.1", "239.9.9.9", "0.0.0.0", "127.0.0.1"):
        yield Case("IPv4 destination", address, packet(4, dst=address))
    for address in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "10.0.0.1", "10.0.0.255", "203.0.113.9"):
        yield Case("IPv4 source", address, packet(4, src=address))


def _ipv6() -> Iterator[Case]:
    good = packet(6)
    yield from _ipv6_fields(good)
    for mark in range(256):
        yield Case("traffic class", f"{mark:#04x}", _poke(good, 14, 0x6000 | mark << 4, 2))
    for label in (1, 0xFFFFF):
        yield Case("flow label", f"{label:#x}", packet(6, fl=label))
    length = len(good) - 54
    for wrong in (0, 1, 7, 8, 15, 16, 29, 30, length - 1, length + 1, 0xFFFF):
        yield Case("payload length", f"{wrong} of {length}", _poke(good, 18, wrong, 2))
    for name, headers in EXTENSIONS.items():
        yield Case("extension headers", name, _with_headers(good, headers))
    for limit in (0, 1, 255):
        yield Case("hop limit", f"{limit}", _poke(good, 21, limit))
    for address in ("fd00::3", "ff02::1", "ff0e::9", "::", "::1"):
        yield Case("IPv6 destination", address, packet(6, dst=address))
    for address in ("::", "::1", "ff02::1", "fd00::1", "2001:db8::9"):
        yield Case("IPv6 source", address, packet(6, src=address))


def _with_headers(frame: bytes, headers: list[Packet]) -> bytes:
    """Put extension headers between IPv6 and UDP."""
    made: Packet = IPv6(src=PEER[6], dst=OURS[6])
    for header in headers:
        made /= header.copy()
    made.lastlayer().nh = 17
    return frame[:14] + bytes(made / Raw(frame[54:]))


def _udp(family: int) -> Iterator[Case]:
    good = packet(family)
    start = HEADERS[family] - 16
    bare = _poke(good, start + 6, 0, 2) if family == 4 else good
    for port in (0, 53, 4788, 4790, 8472, 65535):
        yield Case("UDP destination port", f"{port}", _repaired(family, _poke(good, start + 2, port, 2)))
    for port in (0, 1, 4789, 65535):
        yield Case("UDP source port", f"{port}", _repaired(family, _poke(good, start, port, 2)))
    length = len(good) - start
    for wrong in (0, 1, 7, 8, 9, 15, 16, 17, 29, 30, length - 1, length + 1, 0xFFFF):
        changed = _poke(bare, start + 4, wrong, 2)
        yield Case("UDP length", f"{wrong} of {length}", changed)
        if family == 6 and 8 <= wrong <= length:
            yield Case("UDP length, its checksum right", f"{wrong} of {length}", _repaired(6, changed))
    yield Case("UDP checksum", "zero", _poke(good, start + 6, 0, 2))
    for bit in range(16):
        right = int.from_bytes(good[start + 6 : start + 8])
        yield Case("UDP checksum", f"bit {bit} wrong", _poke(good, start + 6, right ^ 1 << bit, 2))


def _repaired(family: int, frame: bytes) -> bytes:
    """With the UDP checksum that its length field says."""
    start = HEADERS[family] - 16
    length = int.from_bytes(frame[start + 4 : start + 6])
    addresses = frame[26:34] if family == 4 else frame[22:54]
    body = _poke(frame, start + 6, 0, 2)[start : start + length]
    total = ones_sum(addresses + length.to_bytes(4) + (17).to_bytes(4) + body)
    return _poke(frame, start + 6, (total ^ 0xFFFF) or 0xFFFF, 2)


def _vxlan(family: int) -> Iterator[Case]:
    good = packet(family)
    start = HEADERS[family] - 8
    for flags in range(256):
        yield Case("VXLAN flags", f"{flags:#04x}", _repaired(family, _poke(good, start, flags)))
    for bit in range(24):
        yield Case("VXLAN reserved, 24 bits", f"bit {bit}", _repaired(family, _poke(good, start + 1, 1 << bit, 3)))
    for bit in range(8):
        yield Case("VXLAN reserved, 8 bits", f"bit {bit}", _repaired(family, _poke(good, start + 7, 1 << bit)))
    for number in (0, 1, 99, 101, 0x64000, 0x640000, 0xFFFFFF):
        yield Case("VNI", f"{number:#x}", _repaired(family, _poke(good, start + 4, number, 3)))


def _inner_frames(family: int) -> Iterator[Case]:
    whole = bytes(inner(length=128))
    for length in range(80):
        yield Case("inner length", f"{length}", packet(family, Raw(whole[:length])))
    for layer in (Dot1Q, Dot1AD):
        tpid = TPIDS[layer.__name__]
        for vlan in (0, 5, 4095):
            head = Ether(src=REMOTE, dst=LOCAL) / layer(vlan=vlan)
            content = head / IP(src="192.0.2.2", dst="192.0.2.1") / UDP() / Raw(bytes(60))
            value = f"{layer.__name__} VID {vlan}"
            yield Case("inner tag", value, packet(family, content))
            yield Case("two inner tags", value, packet(family, Raw(tag(tag(whole, vlan, tpid), 7, tpid))))
    for kind in ETHERTYPES:
        frame = _poke(whole, 12, kind, 2)
        yield Case("inner EtherType", f"{kind:#06x}", packet(family, Raw(frame)))
    for address in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00", REMOTE, DEVICE_MAC):
        raw = _mac(address)
        yield Case("inner destination MAC", address, packet(family, Raw(raw + whole[6:])))
        yield Case("inner source MAC", address, packet(family, Raw(whole[:6] + raw + whole[12:])))
    field = "tos" if family == 4 else "tc"
    heads: dict[str, Packet] = {
        "IPv4": IP(src="192.0.2.2", dst="192.0.2.1"),
        "IPv6": IPv6(src="fd01::2", dst="fd01::1"),
    }
    for kind, head in heads.items():
        for mine in MARKS:
            for theirs in MARKS:
                marked = head.copy()
                setattr(marked, "tos" if kind == "IPv4" else "tc", 0xB8 | theirs)
                content = Ether(src=REMOTE, dst=LOCAL) / marked / UDP(sport=1, dport=2) / Raw(bytes(50))
                yield Case(f"ECN, {kind} inside", f"{mine} over {theirs}", packet(family, content, **{field: mine}))
    for words in range(16):
        short = _mended(_poke(_poke(whole, 14, 4 << 4 | words), 15, 2))
        yield Case("ECN, IHL inside", f"3 over 2, {words}", packet(family, Raw(short), **{field: 3}))
    inner6 = bytes(Ether(src=REMOTE, dst=LOCAL) / IPv6(**INNER[6], tc=2) / UDP() / Raw(bytes(60)))
    for version in range(16):
        other = _poke(inner6, 14, version << 4)
        yield Case("ECN, IPv6 version inside", f"3 over {version}", packet(family, Raw(other), **{field: 3}))
    for mine in MARKS:
        plain = Ether(src=REMOTE, dst=LOCAL, type=0x88B5) / Raw(bytes(60))
        yield Case("ECN, no IP inside", f"{mine}", packet(family, plain, **{field: mine}))
        for version in (0, 5, 15):
            bad = _poke(whole, 14, version << 4 | 5)
            value = f"{mine} over version {version}"
            yield Case("ECN, bad version inside", value, packet(family, Raw(bad), **{field: mine}))
        for cut in range(14, 36):
            yield Case("ECN, cut inside", f"{mine}, {cut} bytes", packet(family, Raw(whole[:cut]), **{field: mine}))


def _ends(family: int) -> Iterator[Case]:
    good = packet(family)
    for length in range(14, len(good)):
        yield Case("cut", f"after {length}", good[:length])
    for more in (1, 2, 4, 6, 18, 46, 1000):
        yield Case("bytes behind", f"{more}", good + bytes(more))


def encapsulation() -> Iterator[Case]:
    """Frames of a tenant, one field odd in each; the first has nothing odd."""
    yield Case(*RIGHT, bytes(inner(to_remote=True)))
    yield from _tenant_ethernet()
    yield from _tenant_ipv4()
    yield from _tenant_ipv6()
    yield from _tenant_lengths()


def _tenant(*layers: Packet) -> bytes:
    made: Packet = Ether(src=LOCAL, dst=REMOTE)
    for layer in layers:
        made /= layer
    return bytes(made / Raw(bytes(40)))


def _tenant_telling() -> bytes:
    """Make a frame whose IPv4 header has in no field what an outer header has by default."""
    return _tenant(IP(**INNER[4], tos=0xBA, ttl=9, flags="DF"), UDP(sport=4000, dport=9))


def _tenant_ethernet() -> Iterator[Case]:
    whole = _tenant_telling()
    for kind in ETHERTYPES:
        yield Case("tenant EtherType", f"{kind:#06x}", _poke(whole, 12, kind, 2))
    odd = ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01", "00:00:00:00:00:00")
    for address in (*odd, "01:80:c2:00:00:00", "52:54:00:00:77:77", LOCAL):
        yield Case("tenant destination MAC", address, _mac(address) + whole[6:])
    for address in (*odd, VTEP_MAC, REMOTE):
        source = _mac(address)
        yield Case("tenant source MAC", address, whole[:6] + source + whole[12:])
    packets = {
        "IPv4": whole,
        "IPv6": _tenant(IPv6(**INNER[6], tc=0xBA, hlim=9), UDP()),
    }
    for name, tpid in TPIDS.items():
        for kind, frame in packets.items():
            for vlan in (0, 5, 4095):
                value = f"{name} VID {vlan}, {kind}"
                once, twice = tag(frame, vlan, tpid), tag(tag(frame, vlan, tpid), 7, tpid)
                yield Case("tenant tag", value, once)
                yield Case("two tenant tags", value, twice)
                yield Case("three tenant tags", value, tag(tag(once, vlan, tpid), 7, tpid))


def _tenant_ipv4() -> Iterator[Case]:
    whole = _tenant_telling()
    yield from _ipv4_fields(whole, "tenant ")
    for mark in range(256):
        yield Case("tenant ToS", f"{mark:#04x}", _tenant(IP(**INNER[4], tos=mark), UDP(sport=1, dport=2)))
    for wrong in (0, 1, 19, 20, 27, 28, len(whole) - 15, len(whole) - 13, 0xFFFF):
        yield Case("tenant total length", f"{wrong} of {len(whole) - 14}", _mended(_poke(whole, 16, wrong, 2)))
    for flags in ("", "DF", "MF", "evil", "DF+MF"):
        yield Case("tenant flags", flags or "none", _tenant(IP(**INNER[4], flags=flags), UDP()))
    for ttl in (0, 1, 2, 64, 255):
        yield Case("tenant TTL", f"{ttl}", _tenant(IP(**INNER[4], ttl=ttl), UDP()))
    for address in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", OURS[4], PEER[4]):
        yield Case("tenant IPv4 destination", address, _tenant(IP(**{**INNER[4], "dst": address}), UDP()))
        yield Case("tenant IPv4 source", address, _tenant(IP(**{**INNER[4], "src": address}), UDP()))


def _tenant_ipv6() -> Iterator[Case]:
    whole = _tenant(IPv6(**INNER[6], tc=0xBA, hlim=9), UDP(sport=1, dport=2))
    yield from _ipv6_fields(whole, "tenant ")
    for mark in range(256):
        yield Case("tenant traffic class", f"{mark:#04x}", _tenant(IPv6(**INNER[6], tc=mark), TCP(sport=1, dport=2)))
    for label in (1, 0xFFFFF):
        yield Case("tenant flow label", f"{label:#x}", _tenant(IPv6(**INNER[6], fl=label), UDP()))
    length = len(whole) - 54
    for wrong in (0, 1, 7, 8, length - 1, length + 1, 0xFFFF):
        yield Case("tenant payload length", f"{wrong} of {length}", _poke(whole, 18, wrong, 2))
    for limit in (0, 1, 2, 64, 255):
        yield Case("tenant hop limit", f"{limit}", _tenant(IPv6(**INNER[6], hlim=limit), UDP()))
    for name, headers in EXTENSIONS.items():
        made = _tenant(IPv6(**INNER[6], tc=0xBA, hlim=7), *headers, UDP(sport=1, dport=2))
        yield Case("tenant extension headers", name, made)
    for address in ("::", "::1", "ff02::1", OURS[6], PEER[6]):
        yield Case("tenant IPv6 destination", address, _tenant(IPv6(**{**INNER[6], "dst": address}), UDP()))
        yield Case("tenant IPv6 source", address, _tenant(IPv6(**{**INNER[6], "src": address}), UDP()))


def _tenant_lengths() -> Iterator[Case]:
    whole = _tenant_telling()
    for length in range(14, 100):
        yield Case("tenant length", f"{length}", whole[:length])
    whole = _tenant(IPv6(**INNER[6], tc=0xBA, hlim=7), TCP())
    for length in range(14, 100):
        yield Case("tenant length, IPv6", f"{length}", whole[:length])
    tagged = tag(whole, 5)
    for length in range(14, 64):
        yield Case("tenant length, a tag", f"{length}", tagged[:length])
    for length in (1500, 1513, 1514):
        yield Case("tenant length", f"{length}", bytes(inner(to_remote=True, length=length)))
    for family, headers in HEADERS.items():
        for more in (-1, 0, 1, 2, 8, 300, 1000):
            for df in (0, 2):
                length = 14 + UNDERLAY_MTU - headers + more
                made = _poke(bytes(inner(to_remote=True, length=length)), 20, df << 13, 2)
                value = f"that of IPv{family} {more:+d}, DF {df >> 1}"
                yield Case("tenant length, the MTU", value, _mended(made))
