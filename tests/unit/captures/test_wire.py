"""The captures of tests/vectors hold what a wire carries: whole frames, and every length and checksum right."""

from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet
from scapy.utils import RawPcapReader

from vtep_host.config import load

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
PORTS = ("underlay-in", "underlay-out", "tenant-in", "tenant-out")
NAMES = sorted(path.parent.name for path in VECTORS.glob("*/vtep.toml"))
MADE_WRONG = ("checks", "checks-ipv6")


def path_of(name: str, port: str) -> Path:
    (path,) = (VECTORS / name).glob(f"{port}.pcap*")
    return path


def read(name: str, port: str) -> list[bytes]:
    with RawPcapReader(str(path_of(name, port))) as reader:
        return [frame for frame, _ in reader]


def cleared(packet: Packet) -> Packet:
    """Take every computed field out, for Scapy to fill in anew; a UDP checksum of 0, which is none, stays."""
    layer = packet
    while layer:
        computed = {"cksum"}
        if isinstance(layer, (IP, IPv6, UDP, TCP, ICMP)):
            computed |= {"len", "plen", "chksum", "ihl", "dataofs"}
        if isinstance(layer, UDP) and layer.chksum == 0:
            computed.remove("chksum")
        for field in layer.fields_desc:
            if field.name in computed:
                layer.delfieldval(field.name)
        layer = layer.payload
    return packet


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in MADE_WRONG])
def test_lengths_and_checksums(name: str, port: str) -> None:
    frames = read(name, port)
    assert frames
    seen = 0
    for frame in frames:
        packet = Ether(frame)
        seen += VXLAN in packet
        assert bytes(cleared(packet)) == frame
    assert (seen > 0) == port.startswith("underlay")


@pytest.mark.parametrize("name", NAMES)
def test_no_frame_is_longer_than_the_wire_takes(name: str) -> None:
    mtu = load(VECTORS / name / "vtep.toml").vtep.underlay_mtu
    lengths = [len(frame) for port in PORTS for frame in read(name, port)]
    assert max(lengths) <= 14 + mtu


@pytest.mark.parametrize(("name", "inner"), [("jumbo", 14 + 8950), ("jumbo-ipv6", 14 + 8930)])
def test_jumbo_fills_the_mtu(name: str, inner: int) -> None:
    for port in ("tenant-in", "tenant-out"):
        assert max(len(frame) for frame in read(name, port)) == inner
    for port in ("underlay-in", "underlay-out"):
        assert max(len(frame) for frame in read(name, port)) == 14 + 9000


def test_every_length_modulo_64() -> None:
    """The capture ``ipv4`` is there for this: tails of every length at a width of 512 bits."""
    for port in ("tenant-in", "underlay-in"):
        assert {len(frame) % 64 for frame in read("ipv4", port)} == set(range(64))


def test_file_formats() -> None:
    """Readers meet pcap with micro- and nanoseconds, and pcapng."""
    magics = {path_of(name, "underlay-in").read_bytes()[:4].hex() for name in NAMES}
    assert magics == {"d4c3b2a1", "4d3cb2a1", "0a0d0d0a"}
