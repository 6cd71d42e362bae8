"""The core against the kernel's VXLAN device: nothing is lost or altered, and all is as the golden model says."""

import random
import socket
from itertools import product
from pathlib import Path

import pytest
from frames import frame, mixed
from kernel_peer import (
    INNER_MTU,
    LOCAL_MACS,
    OURS,
    PEER,
    PEER_MAC,
    REMOTE_MACS,
    VTEP_MAC,
    WAIT,
    Bench,
    Segment,
    Setting,
    carried,
    kernel_bench,
    local_mac,
    remote_mac,
    taken,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from vtep_sim.captures import read_capture

pytestmark = pytest.mark.slow

BROADCAST = b"\xff" * 6


def both_ways(bench: Bench, rng: random.Random, count: int, longest: int, *, segment: Segment | None = None) -> None:
    """Send ``count`` frames each way and find every one at the other end, unchanged and in order."""
    segment = segment or Segment()
    ours, theirs = bench.tenant, bench.remote[segment.vni]
    # The tag of the VNI is on our side only; the kernel drops what has less than two bytes behind one.
    shortest = 16 if segment.vlan else 14
    there = mixed(rng, count, local_mac(1), remote_mac(1), shortest=shortest, longest=longest)
    sent = [tagged(data, segment.vlan) for data in there]
    assert carried(ours, theirs, sent, begins=LOCAL_MACS) == there
    back = mixed(rng, count, remote_mac(1), local_mac(1), shortest=shortest, longest=longest)
    assert carried(theirs, ours, back, begins=REMOTE_MACS) == [tagged(data, segment.vlan) for data in back]


def tagged(data: bytes, vlan: int) -> bytes:
    return data[:12] + b"\x81\x00" + vlan.to_bytes(2) + data[12:] if vlan else data


BRIEF = {(4, False, 4789), (6, True, 8472)}


@pytest.mark.parametrize(
    ("family", "udp_checksum", "port"),
    [
        pytest.param(*values, marks=[] if values in BRIEF else pytest.mark.full)
        for values in product((4, 6), (False, True), (4789, 8472))
    ],
)
def test_underlays_checksums_and_ports(
    family: int, udp_checksum: bool, port: int, tmp_path: Path, rng: random.Random
) -> None:
    setting = Setting(family=family, udp_checksum=udp_checksum, port=port)
    with kernel_bench(setting, tmp_path) as bench:
        both_ways(bench, rng, 100, INNER_MTU[family] + 14)


def test_two_vnis_one_with_a_vlan(tmp_path: Path, rng: random.Random) -> None:
    segments = (Segment(100), Segment(0xFFFFFF, 7))
    with kernel_bench(Setting(segments=segments), tmp_path) as bench:
        for segment in segments:
            both_ways(bench, rng, 60, 1514, segment=segment)


@pytest.mark.full
def test_a_hundred_vnis(tmp_path: Path, rng: random.Random) -> None:
    segments = [Segment(1000 + number, number) for number in range(1, 101)]
    sizes = ("vnis=128", "flood_entries=128", "fdb_entries=1024")
    options = [part for size in sizes for part in ("--parameter", size)]
    with kernel_bench(Setting(segments=segments, options=options), tmp_path) as bench:
        for segment in segments:
            both_ways(bench, rng, 6, 1514, segment=segment)


def test_a_tag_inside(tmp_path: Path, rng: random.Random) -> None:
    """A tag of the tenants that is no VNI's passes, both ways."""
    with kernel_bench(Setting(), tmp_path) as bench:
        there = mixed(rng, 40, local_mac(1), remote_mac(1), vlan=33)
        assert carried(bench.tenant, bench.remote[100], there, begins=LOCAL_MACS) == there
        back = mixed(rng, 40, remote_mac(1), local_mac(1), vlan=34)
        assert carried(bench.remote[100], bench.tenant, back, begins=REMOTE_MACS) == back


@pytest.mark.parametrize("family", [4, 6])
def test_ttl_dscp_and_df_inherited(family: int, tmp_path: Path) -> None:
    """The outer header is that which the kernel makes of the same inner packet."""
    tunnel = 'ttl = "inherit"\ndscp = "inherit"\ndf = "inherit"\necn = "linux"'
    device = "ttl inherit tos inherit" + (" df inherit" if family == 4 else "")
    with kernel_bench(Setting(family=family, tunnel=tunnel, device=device), tmp_path) as bench:
        for mark, ttl, df in [(0xB8, 3, 1), (0x02, 255, 0), (0x01, 1, 1), (0xFF, 64, 0), (0x00, 2, 1)]:
            for packet in (
                IP(src="192.0.2.1", dst="192.0.2.2", tos=mark, ttl=ttl, flags="DF" if df else 0),
                IPv6(src="2001:db8::1", dst="2001:db8::2", tc=mark, hlim=ttl),
            ):
                body = bytes(Ether() / packet / UDP(sport=5000, dport=9) / Raw(b"inherit"))[12:]
                there, back = (remote_mac(1) + local_mac(1) + body, local_mac(1) + remote_mac(1) + body)
                assert carried(bench.tenant, bench.remote[100], [there], begins=LOCAL_MACS) == [there]
                assert carried(bench.remote[100], bench.tenant, [back], begins=REMOTE_MACS) == [back]
    outer = [Ether(captured.data) for captured in read_capture(tmp_path / "underlay.pcap").frames]
    outer = [packet for packet in outer if packet.haslayer(VXLAN)]
    made = {mac: [marks(packet) for packet in outer if packet.src == mac] for mac in (VTEP_MAC, PEER_MAC)}
    assert len(made[VTEP_MAC]) == 10
    assert made[VTEP_MAC] == made[PEER_MAC]


def marks(packet: Packet) -> tuple[int, int, int]:
    """DSCP and ECN, TTL, and DF of an outer header."""
    if packet.haslayer(IP):
        return packet[IP].tos, packet[IP].ttl, int(packet[IP].flags.DF)
    return packet[IPv6].tc, packet[IPv6].hlim, 0


@pytest.mark.parametrize("mode", ["copy", "linux"])
def test_ecn_marks(mode: str, tmp_path: Path) -> None:
    """Every mark into the kernel, and every outer mark with every inner one out of the wire: judged in the end."""
    with kernel_bench(Setting(tunnel=f'ecn = "{mode}"'), tmp_path) as bench:
        for ecn in range(4):
            head = Ether(src=local_mac(1).hex(":"), dst=remote_mac(1).hex(":"))
            frames = [
                bytes(head / packet / UDP(sport=1, dport=2) / Raw(b"mark" * 10))
                for packet in (
                    IP(src="192.0.2.1", dst="192.0.2.2", tos=ecn),
                    IPv6(src="fd01::1", dst="fd01::2", tc=ecn),
                )
            ]
            assert carried(bench.tenant, bench.remote[100], frames, begins=LOCAL_MACS) == frames
        delivered = 0
        for outer in range(4):
            for inner in range(4):
                for packet in (
                    IP(src="192.0.2.2", dst="192.0.2.1", tos=inner),
                    IPv6(src="fd01::2", dst="fd01::1", tc=inner),
                ):
                    head = Ether(src=remote_mac(1).hex(":"), dst=local_mac(1).hex(":"))
                    made = head / packet / UDP(sport=1, dport=2) / Raw(b"mark" * 10)
                    bench.wire.send(bytes(vxlan(tos=outer) / made))
                    delivered += (outer, inner) != (3, 0)
        assert len(taken(bench.tenant, delivered, begins=REMOTE_MACS)) == delivered


def vxlan(vni: int = 100, **fields: int) -> Ether:
    """Headers of a packet from the peer."""
    outer = IP(src=PEER[4], dst=OURS[4], **fields) / UDP(sport=50000, dport=4789, chksum=0)
    return Ether(src=PEER_MAC, dst=VTEP_MAC) / outer / VXLAN(vni=vni)


def test_multicast_group(tmp_path: Path, rng: random.Random) -> None:
    group = "239.1.1.1"
    setting = Setting(remote=group, tunnel_mac="01:00:5e:01:01:01", ports=("tenant", "underlay", "host"))
    with kernel_bench(setting, tmp_path) as bench:
        bench.lab.peer.run("ip link del vx100")
        bench.lab.peer.run(
            f"ip link add vx100 type vxlan id 100 dstport 4789 local {PEER[4]} group {group} dev underlay"
        )
        bench.lab.peer.run("ip link set vx100 up")
        bench.remote[100] = bench.opened(bench.lab.peer, "vx100")
        both_ways(bench, rng, 40, 1514)


def test_head_end_replication(tmp_path: Path, rng: random.Random) -> None:
    """Two copies, to two ports of the peer; what the FDB knows goes to one alone."""
    more = f"""
[[tunnel]]
name = "other"
remote = "{PEER[4]}"
remote_mac = "{PEER_MAC}"
udp_port = 8472
[[fdb]]
vni = 100
mac = "{remote_mac(9).hex(":")}"
tunnel = "other"
"""
    with kernel_bench(Setting(flood=("peer", "other"), more=more), tmp_path) as bench:
        peer = bench.lab.peer
        peer.run(f"ip link add vxo type vxlan id 100 dstport 8472 local {PEER[4]} remote {OURS[4]} dev underlay")
        peer.run("ip link set vxo up")
        other = bench.opened(peer, "vxo")
        flooded = [frame(rng, local_mac(1), target, 100) for target in (BROADCAST, remote_mac(1), b"\x01" * 6)]
        assert carried(bench.tenant, bench.remote[100], flooded, begins=LOCAL_MACS) == flooded
        assert taken(other, len(flooded), begins=LOCAL_MACS) == flooded
        known = [frame(rng, local_mac(1), remote_mac(9), 100)]
        assert carried(bench.tenant, other, known, begins=LOCAL_MACS) == known
        assert taken(bench.remote[100], 1, begins=LOCAL_MACS, wait=0.3) == []


def test_a_kernel_device_that_learns(tmp_path: Path, rng: random.Random) -> None:
    with kernel_bench(Setting(), tmp_path) as bench:
        peer = bench.lab.peer
        peer.run("ip link del vx100")
        peer.run(f"ip link add vx100 type vxlan id 100 dstport 4789 local {PEER[4]} dev underlay learning")
        peer.run("ip link set vx100 up")
        bench.remote[100] = bench.opened(bench.lab.peer, "vx100")
        unknown = [frame(rng, remote_mac(1), local_mac(5), 90)]
        bench.remote[100].send(unknown[0])
        hello = [frame(rng, local_mac(5), BROADCAST, 90)]
        assert carried(bench.tenant, bench.remote[100], hello, begins=LOCAL_MACS) == hello
        assert f"{local_mac(5).hex(':')} dst {OURS[4]}" in peer.run("bridge fdb show dev vx100")
        answer = [frame(rng, remote_mac(1), local_mac(5), 91)]
        assert carried(bench.remote[100], bench.tenant, answer, begins=REMOTE_MACS) == answer, "not the unknown one"


@pytest.mark.parametrize("family", [4, 6])
def test_mtu_edges(family: int, tmp_path: Path, rng: random.Random) -> None:
    with kernel_bench(Setting(family=family), tmp_path) as bench:
        bench.lab.tenant.run(f"ip link set tenant mtu {INNER_MTU[family] + 10}")
        longest = INNER_MTU[family] + 14
        fits = [frame(rng, local_mac(1), remote_mac(1), size) for size in (longest - 1, longest)]
        for size in (longest + 1, longest + 2):
            assert bench.tenant.send(frame(rng, local_mac(1), remote_mac(1), size))
        assert carried(bench.tenant, bench.remote[100], fits, begins=LOCAL_MACS) == fits
        back = [frame(rng, remote_mac(1), local_mac(1), longest)]
        assert carried(bench.remote[100], bench.tenant, back, begins=REMOTE_MACS) == back
    assert bench.report["counters"]["mtu"] == 2


def test_fragments_go_to_the_host_port(tmp_path: Path, rng: random.Random) -> None:
    """The kernel cuts a VXLAN packet in two; the host's stack puts it together again."""
    setting = Setting(ports=("tenant", "underlay", "host"))
    with kernel_bench(setting, tmp_path) as bench:
        peer = bench.lab.peer
        peer.run("ip link del vx100")
        peer.run(f"ip link add vx100 mtu 3000 type vxlan id 100 dstport 4789 local {PEER[4]} remote {OURS[4]} df unset")
        peer.run("ip link set vx100 up")
        bench.remote[100] = bench.opened(bench.lab.peer, "vx100")
        with bench.lab.host:
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with line:
            line.bind((OURS[4], 4789))
            line.settimeout(WAIT)
            long = frame(rng, remote_mac(1), local_mac(1), 2500)
            assert bench.remote[100].send(long)
            assert line.recv(1 << 16)[8:] == long
    assert bench.report["counters"]["fragment"] == 2


@pytest.mark.parametrize("family", [4, pytest.param(6, marks=pytest.mark.full)])
def test_ten_thousand_frames_each_way(family: int, tmp_path: Path, rng: random.Random, full: bool) -> None:
    """A few hundred in brief."""
    count = 10_000 if full else 300
    with kernel_bench(Setting(family=family), tmp_path) as bench:
        both_ways(bench, rng, count, INNER_MTU[family] + 14)
    assert bench.report["counters"]["tenant_rx_frames"] == count
