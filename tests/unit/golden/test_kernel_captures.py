"""The golden model against the Linux kernel's VXLAN device: the captures of tests/vectors.

``underlay-in`` and ``tenant-in`` are what the kernel's endpoint was given, ``tenant-out`` and ``underlay-out``
what it made of them. Where the model does something else, SPEC.md says so, and the difference stands below.
"""

import difflib
import ipaddress
import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader

from vtep_host.config import Config, load
from vtep_sim.golden import Frame, GoldenModel, Prediction

VECTORS = Path(__file__).resolve().parents[2] / "vectors"

IPV4_FIELDS = {"IPv4 ID", "IPv4 header checksum", "UDP source port"}
IPV6_FIELDS = {"IPv6 flow label", "UDP source port"}
CHECKSUM = {"UDP checksum"}

# Frames which the kernel delivered and the model does not, and the reverse; the drops of the model.
INNER_CUT = ["inner frame of 14 bytes", "inner frame of 15 bytes", "inner frame of 33 bytes"]
"""The kernel drops an inner frame whose EtherType is IP and whose IP header is not whole; for SPEC.md it is not IP."""
LOOP = ["inner source is the local host"]
"""The kernel takes an inner source MAC which is its own device's for a loop; SPEC.md knows no such rule."""
TAGGED_TEXTS = ["outer CE, inner ECT(1)", "outer CE, inner ECT(0)", "outer ECT(1), inner ECT(0)"]
"""Behind inner tags the kernel leaves ECN alone; SPEC.md reads behind two tags."""
READ_TAG_STACKS, FAMILIES = 4, 2


@dataclass
class Expected:
    """What the model makes otherwise than the kernel, or drops."""

    kernel_only: Counter[str] = field(default_factory=Counter)
    model_only: Counter[str] = field(default_factory=Counter)
    drops: dict[str, int] = field(default_factory=dict)
    fragments: int = 0
    fields: dict[str, int | None] = field(default_factory=dict)
    """Outer fields that differ, and in how many frames (None: in some)."""


def _fields(*names: str) -> dict[str, int | None]:
    return dict.fromkeys(names)


def _times(texts: list[str], times: int) -> Counter[str]:
    return Counter(dict.fromkeys(texts, times))


MALFORMED_DROPS = {
    "not_mine": 1,
    "udp_length": 9,
    "vxlan_flags": 2,
    "vxlan_reserved": 4,
    "unknown_vni": 1,
    "inner_runt": 3,
}

CAPTURES = {
    "ipv4": Expected(fields=_fields(*IPV4_FIELDS)),
    "ipv4-checksum": Expected(fields=_fields(*IPV4_FIELDS, *CHECKSUM)),
    "ipv6": Expected(fields=_fields(*IPV6_FIELDS, *CHECKSUM)),
    "ipv6-zero-checksum": Expected(fields=_fields(*IPV6_FIELDS)),
    "vnis": Expected(fields=_fields(*IPV4_FIELDS, *IPV6_FIELDS, *CHECKSUM)),
    "multicast": Expected(fields=_fields(*IPV4_FIELDS)),
    # A frame which ends in a TPID: the kernel's VLAN code wants the tag whole, SPEC.md sees no tag.
    "inner-vlan": Expected(
        fields=_fields(*IPV4_FIELDS),
        model_only=Counter(f"inner frame of {length} bytes" for length in (14, 15, 16, 17)),
    ),
    "jumbo": Expected(fields=_fields(*IPV4_FIELDS)),
    "jumbo-ipv6": Expected(fields=_fields(*IPV6_FIELDS, *CHECKSUM)),
    "ecn": Expected(fields=_fields(*IPV4_FIELDS, *CHECKSUM), drops={"ecn": 2}),
    "ecn-ipv6": Expected(fields=_fields(*IPV6_FIELDS, *CHECKSUM), drops={"ecn": 2}),
    # Encapsulation, df = "inherit": behind a tag the kernel sends DF 0; SPEC.md reads the inner packet behind up to two
    # tags, where it is IPv4 with DF or IPv6 in 4 x 14 frames. Behind three tags the kernel still inherits ToS and TTL.
    "ecn-inner-vlan": Expected(
        kernel_only=_times([*TAGGED_TEXTS, "outer CE, inner Not-ECT"], READ_TAG_STACKS * FAMILIES),
        model_only=_times(TAGGED_TEXTS, READ_TAG_STACKS * FAMILIES),
        drops={"ecn": READ_TAG_STACKS * FAMILIES},
        fields=_fields(*IPV4_FIELDS, *CHECKSUM) | {"IPv4 flags and offset": 56, "IPv4 ToS": 8, "IPv4 TTL": 6},
    ),
    # The kernel puts fragments together, and refuses sources that no packet from outside may have.
    "checks": Expected(
        kernel_only=Counter(["two fragments, padded to a length that parts at 48".ljust(60, ".")]),
        model_only=Counter([*INNER_CUT, *LOOP, "source 0.0.0.0", "source 127.0.0.1", "source is ourselves"]),
        drops=MALFORMED_DROPS | {"ip_header": 3, "ip_checksum": 2, "ip_length": 2, "udp_checksum": 1},
        fragments=2,
    ),
    # The kernel walks extension headers (SPEC.md: to the host), and takes a UDP length of 0 for that of a jumbogram.
    "checks-ipv6": Expected(
        kernel_only=Counter(["hop-by-hop options", "destination options", "atomic fragment", "UDP length 0"]),
        model_only=Counter([*INNER_CUT, *LOOP]),
        drops=MALFORMED_DROPS | {"ip_header": 2, "ip_length": 1, "udp_checksum": 2},
    ),
}


TEXT_STARTS = ("outer ", "inner ", "source ", "UDP ", "hop-", "destination ", "atomic ", "two ")


def read(name: str, port: str) -> list[bytes]:
    (path,) = (VECTORS / name).glob(f"{port}.pcap*")
    with RawPcapReader(str(path)) as reader:
        return [frame for frame, _ in reader]


def configuration(name: str) -> Config:
    return load(VECTORS / name / "vtep.toml")


def label(frame: bytes) -> str:
    """Say what a hand-made inner frame is: its text, or its length where it was cut before that."""
    text = frame[-64:].decode("ascii", "replace")
    tail = "".join(c if c.isascii() and c.isprintable() else "\0" for c in text).rsplit("\0", 1)[-1]
    # A byte in front of the text, the checksum's, may happen to be a letter too.
    starts = [tail.index(mark) for mark in TEXT_STARTS if mark in tail]
    return tail[min(starts) :] if starts else f"inner frame of {len(frame)} bytes"


def drops(prediction: Prediction) -> dict[str, int]:
    """Give the drop counters that are not 0: those with a plain name that count no port and no punt."""
    return {
        name: value
        for name, value in prediction.counters.items()
        if value and "." not in name and not name.endswith(("_frames", "_bytes")) and name != "fragment"
    }


def test_every_capture_is_judged() -> None:
    assert {path.parent.name for path in VECTORS.glob("*/vtep.toml")} == set(CAPTURES)


@pytest.mark.parametrize("name", CAPTURES)
def test_decapsulation(name: str) -> None:
    expected = CAPTURES[name]
    given, kernel = read(name, "underlay-in"), read(name, "tenant-out")
    assert given
    assert kernel
    prediction = GoldenModel(configuration(name)).run(underlay=[Frame(frame) for frame in given])
    model = [frame.data for frame in prediction.tenant]

    kernel_only: Counter[str] = Counter()
    model_only: Counter[str] = Counter()
    match = difflib.SequenceMatcher(None, kernel, model, autojunk=False)
    for kind, a, b, c, d in match.get_opcodes():
        if kind != "equal":
            kernel_only.update(label(frame) for frame in kernel[a:b])
            model_only.update(label(frame) for frame in model[c:d])
    assert kernel_only == expected.kernel_only
    assert model_only == expected.model_only
    assert drops(prediction) == expected.drops
    assert prediction.counters["fragment"] == expected.fragments
    assert len(given) == len(prediction.tenant) + len(prediction.host) + sum(expected.drops.values())


def checksum(data: bytes) -> int:
    """Checksum of RFC 1071, in the form that needs no carries: the sum modulo 65535."""
    number = int.from_bytes(data + b"\0" * (len(data) % 2), "big")
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))


def outer_fields(frame: bytes) -> dict[str, bytes]:
    """Cut an untagged VXLAN frame into its fields; the IPv6 traffic class and flow label apart."""
    if frame[12:14] == b"\x08\0":
        parts = [("destination MAC", 6), ("source MAC", 6), ("EtherType", 2), ("IPv4 version and IHL", 1)]
        parts += [("IPv4 ToS", 1), ("IPv4 length", 2), ("IPv4 ID", 2), ("IPv4 flags and offset", 2), ("IPv4 TTL", 1)]
        parts += [("protocol", 1), ("IPv4 header checksum", 2), ("source address", 4), ("destination address", 4)]
    else:
        parts = [("destination MAC", 6), ("source MAC", 6), ("EtherType", 2), ("IPv6 word", 4), ("IPv6 length", 2)]
        parts += [("next header", 1), ("hop limit", 1), ("source address", 16), ("destination address", 16)]
    parts += [("UDP source port", 2), ("UDP destination port", 2), ("UDP length", 2), ("UDP checksum", 2)]
    parts += [("VXLAN flags", 1), ("VXLAN reserved", 3), ("VNI", 3), ("VXLAN reserved 2", 1)]
    fields = {}
    at = 0
    for name, size in parts:
        fields[name] = frame[at : at + size]
        at += size
    if "IPv6 word" in fields:
        word = int.from_bytes(fields.pop("IPv6 word"), "big")
        fields["IPv6 version and traffic class"] = bytes([word >> 28, word >> 20 & 0xFF])
        fields["IPv6 flow label"] = (word & 0xFFFFF).to_bytes(3, "big")
    fields["inner frame"] = frame[at:]
    return fields


def check_sums(frame: bytes) -> None:
    """Hold both checksums of a frame that VXLAN made to RFC 1071 (a UDP checksum of 0: there is none)."""
    v4 = frame[12:14] == b"\x08\0"
    if v4:
        assert checksum(frame[14:34]) == 0
    addresses, datagram = (frame[26:34], frame[34:]) if v4 else (frame[22:54], frame[54:])
    if datagram[6:8] != b"\0\0":
        assert checksum(addresses + struct.pack("!II", len(datagram), 17) + datagram) == 0


def own_ports(config: Config) -> range:
    base = config.vtep.source_port_base
    return range(base, base + 2**config.vtep.source_port_bits)


def is_vxlan(frame: bytes, config: Config) -> bool:
    port = config.vtep.udp_port.to_bytes(2, "big")
    if frame[12:14] == b"\x08\0":
        return frame[23] == 17 and frame[36:38] == port
    return frame[12:14] == b"\x86\xdd" and frame[20] == 17 and frame[56:58] == port


@pytest.mark.parametrize("name", CAPTURES)
def test_encapsulation(name: str) -> None:
    config = configuration(name)
    kernel = [frame for frame in read(name, "underlay-out") if is_vxlan(frame, config)]
    given = [Frame(frame) for frame in read(name, "tenant-in")]
    prediction = GoldenModel(config).run(tenant=given)
    model = [frame.data for frame in prediction.underlay_encap]
    assert drops(prediction) == {}
    assert len(model) == len(kernel)

    differing: Counter[str] = Counter()
    for ours, theirs in zip(model, kernel, strict=True):
        check_sums(ours)
        check_sums(theirs)
        one, two = outer_fields(ours), outer_fields(theirs)
        assert list(one) == list(two)
        differing.update(key for key in one if one[key] != two[key])
        # A checksum is either there in both or in neither.
        assert (one["UDP checksum"] == b"\0\0") == (two["UDP checksum"] == b"\0\0")
        for fields in (one, two):
            assert int.from_bytes(fields["UDP source port"], "big") in own_ports(config)
    assert set(differing) == set(CAPTURES[name].fields)
    for key, count in CAPTURES[name].fields.items():
        assert count is None or differing[key] == count, key


def test_ipv4_id_with_df_set() -> None:
    """RFC 6864: with DF set the ID says nothing. The kernel counts all the same, SPEC.md sends 0."""
    config = configuration("ipv4")
    kernel = [frame for frame in read("ipv4", "underlay-out") if is_vxlan(frame, config)]
    given = [Frame(frame) for frame in read("ipv4", "tenant-in")]
    ours = [frame.data[18:20] for frame in GoldenModel(config).run(tenant=given).underlay_encap]
    assert set(ours) == {b"\0\0"}
    assert len({frame[18:20] for frame in kernel}) > len(kernel) // 2


@pytest.mark.parametrize("name", ["ipv4", "ipv6"])
def test_one_source_port_per_flow(name: str) -> None:
    """Both hashes give every flow one port, though not the same one."""
    config = configuration(name)
    kernel = [frame for frame in read(name, "underlay-out") if is_vxlan(frame, config)]
    given = read(name, "tenant-in")
    model = [f.data for f in GoldenModel(config).run(tenant=[Frame(frame) for frame in given]).underlay_encap]
    for frames in (kernel, model):
        ports: dict[bytes, set[bytes]] = {}
        for inner, frame in zip(given, frames, strict=True):
            # Inner IPv4 and TCP or UDP: addresses, protocol and ports.
            if inner[12:14] == b"\x08\0" and inner[23] in (6, 17):
                ports.setdefault(inner[26:38] + inner[23:24], set()).add(outer_fields(frame)["UDP source port"])
        assert len(ports) >= 2
        assert all(len(found) == 1 for found in ports.values())


def test_flooding_order_is_the_configured_one() -> None:
    """The first frame, an ARP request, goes to every tunnel of the flood list, in order."""
    config = configuration("vnis")
    kernel = [frame for frame in read("vnis", "underlay-out") if is_vxlan(frame, config)]
    remotes = {tunnel.name: tunnel.remote.packed for tunnel in config.tunnels}
    first = [frame[30:34] for frame in kernel[:2]]
    assert first == [remotes[name] for name in config.vnis[0].flood]
    assert ipaddress.ip_address(first[0]) != ipaddress.ip_address(first[1])
