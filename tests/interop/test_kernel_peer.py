"""The core against the kernel's VXLAN device: nothing is lost or altered, and all is as the golden model says."""

import random
import socket
from contextlib import ExitStack, closing
from dataclasses import dataclass
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
    WINDOW,
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
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from vtep_sim.captures import read_capture
from vtep_sim.live.namespace import Namespace

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


def both_at_once(bench: Bench, rng: random.Random, count: int, longest: int) -> None:
    """Send ``count`` frames each way at the same time, a window of each before any is taken."""
    ours, theirs = bench.tenant, bench.remote[100]
    there = mixed(rng, count, local_mac(1), remote_mac(1), longest=longest)
    back = mixed(rng, count, remote_mac(1), local_mac(1), longest=longest)
    for start in range(0, count, WINDOW):
        outward, homeward = there[start : start + WINDOW], back[start : start + WINDOW]
        for out, home in zip(outward, homeward, strict=True):
            assert ours.send(out)
            assert theirs.send(home)
        assert taken(theirs, len(outward), begins=LOCAL_MACS) == outward
        assert taken(ours, len(homeward), begins=REMOTE_MACS) == homeward


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
    outer = vxlan_packets(tmp_path, port)
    for mac in (VTEP_MAC, PEER_MAC):
        summed = {packet[UDP].chksum != 0 for packet in outer if packet.src == mac}
        assert summed == {udp_checksum}, f"of {mac}"


def vxlan_packets(folder: Path, port: int = 4789) -> list[Packet]:
    """All VXLAN packets that passed the underlay, both ways."""
    outer = [Ether(captured.data) for captured in read_capture(folder / "underlay.pcap").frames]
    return [packet for packet in outer if packet.haslayer(UDP) and packet[UDP].dport == port]


@pytest.mark.parametrize("family", [4, 6])
def test_two_vnis_one_with_a_vlan(family: int, tmp_path: Path, rng: random.Random) -> None:
    segments = (Segment(100), Segment(0xFFFFFF, 7))
    with kernel_bench(Setting(family=family, segments=segments), tmp_path) as bench:
        for segment in segments:
            both_ways(bench, rng, 60, 1514, segment=segment)


@pytest.mark.full
@pytest.mark.parametrize("family", [4, 6])
def test_a_hundred_vnis(family: int, tmp_path: Path, rng: random.Random) -> None:
    segments = [Segment(1000 + number, number) for number in range(1, 101)]
    sizes = ("vnis=128", "flood_entries=128", "fdb_entries=1024")
    options = [part for size in sizes for part in ("--parameter", size)]
    with kernel_bench(Setting(family=family, segments=segments, options=options), tmp_path) as bench:
        for segment in segments:
            both_ways(bench, rng, 6, 1514, segment=segment)


@pytest.mark.parametrize("family", [4, 6])
def test_a_tag_inside(family: int, tmp_path: Path, rng: random.Random) -> None:
    """A tag of the tenants that is no VNI's passes, both ways."""
    with kernel_bench(Setting(family=family), tmp_path) as bench:
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
                head = Ether(src=local_mac(1).hex(":"), dst=remote_mac(1).hex(":"))
                there = bytes(head / packet / UDP(sport=5000, dport=9) / Raw(b"inherit"))
                back = local_mac(1) + remote_mac(1) + there[12:]
                assert carried(bench.tenant, bench.remote[100], [there], begins=LOCAL_MACS) == [there]
                assert carried(bench.remote[100], bench.tenant, [back], begins=REMOTE_MACS) == [back]
    outer = vxlan_packets(tmp_path)
    made = {mac: [marks(packet) for packet in outer if packet.src == mac] for mac in (VTEP_MAC, PEER_MAC)}
    assert len(made[VTEP_MAC]) == 10
    assert made[VTEP_MAC] == made[PEER_MAC]


def marks(packet: Packet) -> tuple[int, int, int]:
    """DSCP and ECN, TTL, and DF of an outer header."""
    if packet.haslayer(IP):
        return packet[IP].tos, packet[IP].ttl, int(packet[IP].flags.DF)
    return packet[IPv6].tc, packet[IPv6].hlim, 0


@pytest.mark.parametrize("mode", ["copy", "linux"])
@pytest.mark.parametrize("family", [4, 6])
def test_ecn_marks(family: int, mode: str, tmp_path: Path) -> None:
    """Every mark into the kernel, and every outer mark with every inner one out of the wire: judged in the end."""
    with kernel_bench(Setting(family=family, tunnel=f'ecn = "{mode}"'), tmp_path) as bench:
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
                    bench.wire.send(bytes(vxlan(family, outer) / made))
                    delivered += (outer, inner) != (3, 0)
        assert len(taken(bench.tenant, delivered, begins=REMOTE_MACS)) == delivered


def vxlan(family: int, mark: int) -> Ether:
    """Headers of a packet from the peer; no UDP checksum."""
    ends = {"src": PEER[family], "dst": OURS[family]}
    outer = IP(**ends, tos=mark) if family == 4 else IPv6(**ends, tc=mark)
    return Ether(src=PEER_MAC, dst=VTEP_MAC) / outer / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=100)


@pytest.mark.parametrize("family", [4, 6])
def test_multicast_group(family: int, tmp_path: Path, rng: random.Random) -> None:
    group, mac = {4: ("239.1.1.1", "01:00:5e:01:01:01"), 6: ("ff0e::101", "33:33:00:00:01:01")}[family]
    setting = Setting(family=family, remote=group, tunnel_mac=mac, ports=("tenant", "underlay", "host"))
    with kernel_bench(setting, tmp_path) as bench:
        bench.replace_device(f"group {group} dev underlay nolearning")
        both_ways(bench, rng, 40, 1514)
    outer = vxlan_packets(tmp_path)
    assert {(packet.src, packet.dst, packet[1].dst) for packet in outer} == {
        (source, mac, group) for source in (VTEP_MAC, PEER_MAC)
    }


@dataclass(frozen=True)
class Other:
    """A second remote VTEP: its address, how the kernel there makes its device, and what the tunnel has beside them."""

    remote: str
    device: str
    tunnel: str = ""
    behind_a_router: bool = False


OTHERS = {
    "another port": Other(PEER[4], f"dstport 8472 local {PEER[4]} remote {OURS[4]}", "udp_port = 8472"),
    "an IPv6 underlay": Other(PEER[6], f"dstport 4789 local {PEER[6]} remote {OURS[6]}"),
    "behind a router": Other("10.9.0.2", f"dstport 4789 local 10.9.0.2 remote {OURS[4]}", behind_a_router=True),
}


@pytest.mark.parametrize("kind", list(OTHERS))
def test_head_end_replication(kind: str, tmp_path: Path, rng: random.Random) -> None:
    """Two copies, to two remote VTEPs; what the FDB knows goes to one alone, and both answer."""
    other = OTHERS[kind]
    more = f"""
[[tunnel]]
name = "other"
remote = "{other.remote}"
remote_mac = "{PEER_MAC}"
{other.tunnel}
[[fdb]]
vni = 100
mac = "{remote_mac(9).hex(":")}"
tunnel = "other"
"""
    with ExitStack() as stack:
        bench = stack.enter_context(kernel_bench(Setting(flood=("peer", "other"), more=more), tmp_path))
        space = routed_space(bench.lab.peer, other.remote, stack) if other.behind_a_router else bench.lab.peer
        space.run(f"ip link add vxo type vxlan id 100 {other.device} nolearning")
        space.run("ip link set vxo up")
        there = bench.opened(space, "vxo")
        flooded = [frame(rng, local_mac(1), target, 100) for target in (BROADCAST, remote_mac(1), b"\x01" * 6)]
        assert carried(bench.tenant, bench.remote[100], flooded, begins=LOCAL_MACS) == flooded
        assert taken(there, len(flooded), begins=LOCAL_MACS) == flooded
        known = [frame(rng, local_mac(1), remote_mac(9), 100)]
        assert carried(bench.tenant, there, known, begins=LOCAL_MACS) == known
        assert taken(bench.remote[100], 1, begins=LOCAL_MACS, wait=0.3) == []
        if "udp_port" not in other.tunnel:  # received is one port
            answer = [frame(rng, remote_mac(9), local_mac(1), 100)]
            assert carried(there, bench.tenant, answer, begins=REMOTE_MACS) == answer


def routed_space(router: Namespace, address: str, stack: ExitStack) -> Namespace:
    """Make a namespace with that address behind a namespace that routes to it."""
    space = stack.enter_context(closing(Namespace()))
    for side in (space, router):
        side.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    router.run(f"ip link add name towards type veth peer name home netns {space.path}")
    router.sysctl("net/ipv4/ip_forward", 1)
    router.run("ip address add 10.9.0.1/24 dev towards")
    router.run("ip link set towards up")
    space.run(f"ip address add {address}/24 dev home")
    space.run("ip link set home up")
    space.run("ip route add default via 10.9.0.1")
    return space


@pytest.mark.parametrize("family", [4, 6])
def test_a_kernel_device_that_learns(family: int, tmp_path: Path, rng: random.Random) -> None:
    with kernel_bench(Setting(family=family), tmp_path) as bench:
        bench.replace_device("dev underlay learning")
        unknown = [frame(rng, remote_mac(1), local_mac(5), 90)]
        bench.remote[100].send(unknown[0])
        hello = [frame(rng, local_mac(5), BROADCAST, 90)]
        assert carried(bench.tenant, bench.remote[100], hello, begins=LOCAL_MACS) == hello
        assert f"{local_mac(5).hex(':')} dst {OURS[family]}" in bench.lab.peer.run("bridge fdb show dev vx100")
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
        bench.replace_device(f"remote {OURS[4]} df unset")  # of no device, so that its MTU may be above that
        bench.lab.peer.run("ip link set vx100 mtu 3000")
        with bench.lab.host:
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with line:
            line.bind((OURS[4], 4789))
            line.settimeout(WAIT)
            long = frame(rng, remote_mac(1), local_mac(1), 2500)
            assert bench.remote[100].send(long)
            assert line.recv(1 << 16)[8:] == long
    assert bench.report["counters"]["fragment"] == 2


def test_fragments_of_ipv6_go_to_the_host_port(tmp_path: Path, rng: random.Random) -> None:
    """The kernel sends no VXLAN packet over IPv6 in fragments, so they are made here; the host's stack joins them."""
    setting = Setting(family=6, ports=("tenant", "underlay", "host"))
    long = frame(rng, remote_mac(1), local_mac(1), 2500)
    whole = IPv6(src=PEER[6], dst=OURS[6]) / UDP(sport=50000, dport=4789) / VXLAN(vni=100) / Raw(long)
    whole = IPv6(bytes(whole))  # the checksum is that of the whole
    split = IPv6(src=PEER[6], dst=OURS[6]) / IPv6ExtHdrFragment(id=7) / Raw(bytes(whole)[40:])
    split[IPv6ExtHdrFragment].nh = 17
    pieces = fragment6(split, 1280)
    assert len(pieces) == 3
    with kernel_bench(setting, tmp_path) as bench:
        with bench.lab.host:
            line = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        with line:
            line.bind((OURS[6], 4789))
            line.settimeout(WAIT)
            for piece in pieces:
                assert bench.wire.send(bytes(Ether(src=PEER_MAC, dst=VTEP_MAC) / piece))
            assert line.recv(1 << 16)[8:] == long
    assert bench.report["counters"]["fragment"] == 0, "that is IPv4's (SPEC.md, section 4, rule 8)"


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("family", [4, pytest.param(6, marks=pytest.mark.full)])
def test_ten_thousand_frames_each_way(
    family: int, at_once: bool, tmp_path: Path, rng: random.Random, full: bool
) -> None:
    """A few hundred in brief."""
    count = 10_000 if full else 300
    with kernel_bench(Setting(family=family), tmp_path) as bench:
        exchange = both_at_once if at_once else both_ways
        exchange(bench, rng, count, INNER_MTU[family] + 14)
    assert bench.report["counters"]["tenant_rx_frames"] == count
