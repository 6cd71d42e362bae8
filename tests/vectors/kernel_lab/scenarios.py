"""What happens in each capture. The folder of the capture has the same name, and holds its ``vtep.toml``."""

from collections.abc import Callable
from dataclasses import dataclass

from . import checks, ecn, tagged
from .lab import Lab
from .traffic import FEW, ping, standard, tcp_transfer, udp_echo

# Payload lengths whose frames have every remainder modulo 64 lanes.
EVERY_REMAINDER = list(range(64))


@dataclass(frozen=True)
class Scenario:
    """A capture: its folder, file format, what is inside in words, and the function that makes the traffic."""

    name: str
    form: str
    text: str
    play: Callable[[Lab], None]


def _ipv4(lab: Lab) -> None:
    # To the VTEP itself: ARP and ICMP on the underlay, for the host port.
    ping(lab.remote, lab.config["vtep"]["ipv4"], count=2)
    standard(lab, lab.segments[0], udp_lengths=[*EVERY_REMAINDER, 1000, 1422], tcp_length=5000)


def _ipv6(lab: Lab) -> None:
    ping(lab.remote, lab.config["vtep"]["ipv6"], count=2)
    standard(lab, lab.segments[0], udp_lengths=[*EVERY_REMAINDER, 1000, 1382], tcp_length=5000)


def _short(lab: Lab) -> None:
    standard(lab, lab.segments[0], udp_lengths=FEW, tcp_length=2000)


def _vnis(lab: Lab) -> None:
    for segment in lab.segments:
        standard(lab, segment, udp_lengths=FEW, tcp_length=1500)


def _jumbo(lab: Lab) -> None:
    segment = lab.segments[0]
    inner_mtu = lab.config["vtep"]["underlay_mtu"] - (50 if segment.family == 4 else 70)
    ping(lab.local, segment.remote4, length=inner_mtu - 28, count=1)
    ping(lab.local, segment.remote6, length=inner_mtu - 48, count=1)
    udp_echo(lab, segment.local4, segment.remote4, [inner_mtu - 29, 100])
    if segment.family == 4:
        tcp_transfer(lab, segment.local4, segment.remote4, inner_mtu)


SCENARIOS = [
    Scenario(
        "ipv4", "pcap", "IPv4 underlay, no UDP checksum; UDP payloads of 0 to 63 bytes: every length modulo 64", _ipv4
    ),
    Scenario("ipv4-checksum", "pcap", "IPv4 underlay with UDP checksum, port 8472, DF not set", _short),
    Scenario("ipv6", "pcapng", "IPv6 underlay with UDP checksum; UDP payloads of 0 to 63 bytes", _ipv6),
    Scenario("ipv6-zero-checksum", "pcap-ns", "IPv6 underlay with zero UDP checksums (RFC 6935)", _short),
    Scenario(
        "vnis",
        "pcapng",
        "three VNIs, two of them on VLANs of the tenant port, both address families, flooding to two tunnels",
        _vnis,
    ),
    Scenario("multicast", "pcap", "flooding to a multicast group instead of head-end replication", _short),
    Scenario("inner-vlan", "pcap", "802.1Q and 802.1ad tags inside the tunnel", tagged.play),
    Scenario("jumbo", "pcap-ns", "inner MTU 8950 over an IPv4 underlay of MTU 9000", _jumbo),
    Scenario("jumbo-ipv6", "pcap", "inner MTU 8930 over an IPv6 underlay of MTU 9000", _jumbo),
    Scenario(
        "ecn", "pcap", "DSCP, ECN, TTL and DF inherited; every outer with every inner ECN; IPv4 underlay", ecn.play
    ),
    Scenario("ecn-ipv6", "pcap", "the same over an IPv6 underlay", ecn.play),
    Scenario("ecn-inner-vlan", "pcap", "the same behind VLAN tags inside the tunnel; IPv4 underlay", ecn.play_tagged),
    Scenario(
        "checks",
        "pcap",
        "frames made by hand, right and wrong, for each check of decapsulation; IPv4 underlay",
        checks.play,
    ),
    Scenario("checks-ipv6", "pcap", "the same over an IPv6 underlay", checks.play),
]
