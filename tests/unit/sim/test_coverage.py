"""Functional coverage counts what a frame is and what became of it, and nothing that the scoreboard did not see."""

import json
from pathlib import Path

import pytest

from vtep.config import Mode, VtepParameters
from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS
from vtep_host.config import loads
from vtep_sim.cocotb.frames import (
    CTAG,
    IPV4,
    IPV6,
    SCTP,
    STAG,
    TCP,
    UDP,
    Underlay,
    ethernet,
    inner_tcp4,
    ipv4,
    ipv6,
    l4,
    mac,
)
from vtep_sim.coverage.observer import Observer
from vtep_sim.coverage.plan import PACES, PLAN, RULES
from vtep_sim.coverage.points import CoverageError, Hits, Point, cross, plan_of
from vtep_sim.coverage.reading import read_inner, tag_form, walk_underlay
from vtep_sim.coverage.sampler import Sampler, pace_of
from vtep_sim.golden import Frame, GoldenModel
from vtep_sim.golden.results import Dropped, Punted

TOML = """
[vtep]
mac = "02:00:00:00:00:01"
ipv4 = "10.0.0.1"
ipv6 = "fd00::1"
reserved_bits = "strict"
underlay_mtu = 200

[[vni]]
id = 100
vlan = 10
inner_vlan = "discard"
flood = ["a", "b"]

[[vni]]
id = 200
flood = ["b"]

[[vni]]
id = 300
vlan = 30

[[tunnel]]
name = "a"
remote = "10.0.0.2"
remote_mac = "02:00:00:00:00:02"
ttl = "inherit"
ecn = "linux"
df = "inherit"

[[tunnel]]
name = "b"
remote = "fd00::2"
remote_mac = "02:00:00:00:00:03"
vlan = 7
dscp = "inherit"
udp_port = 8472

[[fdb]]
vni = 100
mac = "52:54:00:00:00:0b"
tunnel = "a"
"""
CONFIG = loads(TOML)
HOST_A, HOST_B = mac("52:54:00:00:00:0a"), mac("52:54:00:00:00:0b")
PARAMETERS = VtepParameters()


def inner(*tags, dst=HOST_B, **fields) -> bytes:
    return inner_tcp4(dst, HOST_A, tags=tags, **fields)


def observed(tenant=(), underlay=(), host=(), *, confirm=True, parameters=PARAMETERS) -> Hits:
    """Hits of frames of which the scoreboard found everything right."""
    hits = Hits(PLAN)
    model = GoldenModel(CONFIG, encap_cut_through=False, max_frame_length=parameters.max_frame_length)
    observer = Observer(parameters, PACES[0], hits)
    observer.watch(model, CONFIG)
    frames = (
        [one if isinstance(one, Frame) else Frame(bytes(one)) for one in some] for some in (tenant, underlay, host)
    )
    model.run(*frames)
    if confirm:
        observer.confirm()
    return hits


def bins(hits: Hits, point: str) -> set[str]:
    return {name for name, count in hits.by_point()[point].items() if count}


# Points and bins


def test_a_cross_has_every_combination() -> None:
    point = cross("both", ("a", "b"), (1, 2), impossible={("b", None): "b is alone"})
    assert point.bins == ("a, 1", "a, 2", "b, 1", "b, 2")
    assert point.wanted == ("a, 1", "a, 2")
    assert point.impossible == {"b, 1": "b is alone", "b, 2": "b is alone"}


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Point("p", ("a", "a")), "twice"),
        (lambda: Point("p", ("a",), {"b": "why"}), "no bin"),
        (lambda: Point("p", ("a",), {"a": " "}), "without a reason"),
        (lambda: cross("p", ("a", "b"), (1, 2), impossible={("c", None): "why"}), "fits no bin"),
        (lambda: cross("p", ("a", "b"), (1, 2), impossible={("a",): "why"}), "fits no bin"),
        (lambda: plan_of([Point("p", ("a",)), Point("p", ("b",))]), "two points"),
    ],
)
def test_a_wrong_declaration_is_refused(make, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        make()


def test_a_hit_without_a_bin_is_an_error() -> None:
    hits = Hits(plan_of([cross("p", ("a", "b"), (1, 2), impossible={("b", 2): "b has no 2"})]))
    hits.hit("p", "a", 1, times=3)
    assert hits.by_point() == {"p": {"a, 1": 3, "a, 2": 0, "b, 1": 0}}
    with pytest.raises(CoverageError, match="c, 1 is no bin"):
        hits.hit("p", "c", 1)
    with pytest.raises(CoverageError, match="declared impossible: b has no 2"):
        hits.hit("p", "b", 2)


def test_every_counter_is_asked_for_by_a_rule() -> None:
    for reason in (*ENCAP_REASONS, *DECAP_REASONS):
        assert any(rule.endswith(f": drop {reason}") for rule in RULES) or reason == "fragment", reason
        for mode in Mode:
            assert f"{reason}, {mode.value}" in PLAN["counter, mode"].wanted


# Reading


def plain6(next_header: int, body: bytes, **fields) -> bytes:
    return ethernet(HOST_B, HOST_A, IPV6, ipv6("::1", "::2", next_header, body, **fields))


@pytest.mark.parametrize(
    ("frame", "tag", "tags", "ip", "ecn", "df", "flow"),
    [
        (inner(tos=3, flags=2), "none", 0, "IPv4", 3, True, "TCP"),
        (inner((STAG, 5), (CTAG, 6), flags=0), "802.1ad", 2, "IPv4", 0, False, "TCP"),
        (inner((STAG, 5), (CTAG, 6), (CTAG, 7)), "802.1ad", 3, "not IP", 0, False, "not IP"),
        (inner(flags=1), "none", 0, "IPv4", 0, False, "fragment"),
        (inner(offset=9), "none", 0, "IPv4", 0, True, "fragment"),
        (inner(version=5), "none", 0, "not IP", 0, False, "not IP"),
        (inner(ihl=4), "none", 0, "not IP", 0, False, "not IP"),
        (inner()[: 14 + 19], "none", 0, "not IP", 0, False, "not IP"),
        (inner()[: 14 + 23], "none", 0, "IPv4", 0, True, "ports cut off"),
        (ethernet(HOST_B, HOST_A, 0x806, bytes(46)), "none", 0, "not IP", 0, False, "not IP"),
        (ethernet(HOST_B, HOST_A, IPV4, ipv4("1.2.3.4", "5.6.7.8", 1, b"")), "none", 0, "IPv4", 0, True, "other"),
        (plain6(UDP, l4(UDP, 1, 2), traffic_class=2), "none", 0, "IPv6", 2, False, "UDP"),
        (plain6(SCTP, l4(SCTP, 1, 2)), "none", 0, "IPv6", 0, False, "SCTP"),
        (plain6(44, bytes(8)), "none", 0, "IPv6", 0, False, "extension header"),
    ],
)
def test_inner_frames_are_read(frame, tag, tags, ip, ecn, df, flow) -> None:
    read = read_inner(frame)
    assert (read.tag, read.tags, read.ip, read.ecn, read.dont_fragment, read.flow) == (tag, tags, ip, ecn, df, flow)


@pytest.mark.parametrize(
    ("frame", "form"),
    [
        (inner(), "untagged"),
        (inner((CTAG, 0xE000)), "priority tag"),
        (inner((CTAG, 1)), "VID"),
        (inner((STAG, 1)), "802.1ad tag"),
        (inner((CTAG, 1))[:17], "tag cut off"),
        (inner((STAG, 1))[:14], "tag cut off"),
    ],
)
def test_tags_are_read(frame, form) -> None:
    assert tag_form(frame) == form


OUTER4 = Underlay(inner=inner(), vni=200)
OUTER6 = OUTER4.but(src_ip="fd00::2", dst_ip="fd00::1", udp_checksum="right")


@pytest.mark.parametrize(
    ("frame", "rule"),
    [
        (bytes(13), "4.1 short frame: drop underlay_runt"),
        (bytes(9601), "4.1 long frame: drop underlay_oversize"),
        (Frame(bytes(OUTER4), error=True), "4.1 marked frame: drop underlay_error"),
        (OUTER4.but(dst=HOST_B), "4.2 another's MAC address: drop not_mine"),
        (OUTER4.but(tags=((CTAG, 1), (STAG, 1))), "4.3 second tag: to host"),
        (OUTER4.but(ethertype=0x806), "4.4 other EtherType: to host"),
        (OUTER4.but(ip={"ihl": 4}), "4.5 IPv4 header: drop ip_header"),
        (OUTER4.but(ip={"checksum_delta": 1}), "4.5 IPv4 header checksum: drop ip_checksum"),
        (OUTER4.but(ip={"total_length": 2000}), "4.5 IPv4 length beyond the frame: drop ip_length"),
        (OUTER4.but(ip={"total_length": 19}), "4.5 IPv4 length below the header: drop ip_length"),
        (OUTER4.but(ip={"options": bytes(4)}), "4.5 IPv4 options skipped"),
        (OUTER4.but(trailer=b"x"), "4.5 padding behind IPv4 cut off"),
        (OUTER6.but(ip={"version": 5}), "4.5 IPv6 header: drop ip_header"),
        (OUTER6.but(ip={"payload_length": 2000}), "4.5 IPv6 length beyond the frame: drop ip_length"),
        (OUTER6.but(trailer=b"x"), "4.5 padding behind IPv6 cut off"),
        (OUTER4.but(dst_ip="10.0.0.9"), "4.6 another's IP address: to host"),
        (OUTER4.but(protocol=TCP), "4.7 not UDP: to host"),
        (OUTER6.but(protocol=44), "4.7 IPv6 extension header: to host"),
        (OUTER4.but(ip={"flags": 1}), "4.8 fragment: to host"),
        (OUTER4.but(body=bytes(7)), "4.9 no room for a UDP header: drop udp_length"),
        (OUTER4.but(dport=53), "4.9 other port: to host"),
        (OUTER4.but(udp_length=15), "4.9 UDP length below 16: drop udp_length"),
        (OUTER4.but(udp_length=2000), "4.9 UDP length beyond the IP payload: drop udp_length"),
        (OUTER4.but(ip_trailer=b"x"), "4.9 bytes behind the datagram cut off"),
        (OUTER4, "4.10 zero over IPv4 accepted"),
        (OUTER4.but(udp_checksum="right"), "4.10 right sum over IPv4"),
        (OUTER4.but(udp_checksum="right", checksum_delta=1), "4.10 wrong sum over IPv4: drop udp_checksum"),
        (OUTER6, "4.10 right sum over IPv6"),
        (OUTER6.but(checksum_delta=1), "4.10 wrong sum over IPv6: drop udp_checksum"),
        (OUTER6.but(udp_checksum=0), "4.10 zero over IPv6: drop udp_checksum"),
        (OUTER4.but(flags=0), "4.11 I flag not set: drop vxlan_flags"),
        (OUTER4.but(reserved2=1), "4.11 reserved bits, strict: drop vxlan_reserved"),
        (OUTER4.but(vni=7), "4.12 VNI not configured: drop unknown_vni"),
        (OUTER4.but(inner=bytes(13)), "4.13 short inner frame: drop inner_runt"),
        (OUTER4.but(inner=inner((CTAG, 1)), vni=100), "4.14 inner tag: drop inner_vlan"),
        (OUTER4.but(inner=inner((CTAG, 1))), "4.14 inner tag passed"),
        (OUTER4.ecn(3), "4.15 outer CE, inner Not-ECT: drop ecn"),
        (OUTER4.ecn(3).but(inner=inner(tos=1)), "4.15 IPv4 becomes CE"),
        (OUTER6.ecn(1).but(inner=inner(tos=2)), "4.15 IPv4 becomes ECT(1)"),
        (OUTER4.ecn(1), "4.15 IPv4 unchanged"),
        (OUTER4.ecn(3).but(inner=bytes(20)), "4.15 not IP: unchanged"),
        (OUTER4, "4.16 delivered as it is"),
        (OUTER4.but(vni=100), "4.16 delivered, tag pushed"),
    ],
)
def test_rules_of_section_4(frame, rule) -> None:
    hits = observed(underlay=[frame])
    assert rule in bins(hits, "rules")
    ends = {end: rule.endswith(f": {end}") or f": {end} " in rule for end in ("drop", "to host")}
    assert ("4.16" in "".join(bins(hits, "rules"))) == (not any(ends.values()))


@pytest.mark.parametrize(
    ("frame", "rule", "form"),
    [
        (bytes(13), "3.1 short frame: drop tenant_runt", None),
        (bytes(9601), "3.1 long frame: drop tenant_oversize", None),
        (Frame(inner(), error=True), "3.1 marked frame: drop tenant_error", None),
        (inner((CTAG, 10)), "3.2 VID of a VNI: tag removed", "VID, tag removed"),
        (inner(), "3.2 untagged", "untagged, untagged VNI"),
        (inner((CTAG, 0)), "3.2 priority tag stays", "priority tag, untagged VNI"),
        (inner((STAG, 10)), "3.2 802.1ad tag stays", "802.1ad tag, untagged VNI"),
        (inner((CTAG, 11)), "3.2 VID of no VNI: passed to the untagged VNI", "VID, untagged VNI"),
        (inner((CTAG, 10)), "3.3 tunnel of the FDB", "VID, tag removed"),
        (inner((CTAG, 10), dst=HOST_A), "3.3 flood list", "VID, tag removed"),
        (inner((CTAG, 30)), "3.3 empty flood list: drop no_tunnel", "VID, tag removed"),
        (inner(payload=bytes(200)), "3.4 outer packet too long: drop mtu", "untagged, untagged VNI"),
        (inner((CTAG, 10)), "3.5 sent over IPv4", "VID, tag removed"),
        (inner(), "3.5 sent over IPv6", "untagged, untagged VNI"),
    ],
)
def test_rules_of_section_3(frame, rule, form) -> None:
    hits = observed([frame])
    assert rule in bins(hits, "rules")
    assert bins(hits, "tag form and VNI") == ({form} if form else set())


def test_each_copy_counts_for_itself() -> None:
    length = 200 - 36  # fits over IPv4, not over IPv6
    hits = observed([inner((CTAG, 10), dst=HOST_A, payload=bytes(length - 54))])
    assert bins(hits, "copies longer than the MTU") == {"some of many"}
    assert bins(hits, "destination and copies") == {"unknown unicast, 2 or more"}
    assert hits.by_point()["end, pace"]["sent, saturated"] == 1
    assert hits.by_point()["end, pace"]["dropped of the tenant, saturated"] == 1
    assert bins(hits, "lengths at an edge") == {"outer IPv4 packet, the MTU"}
    assert bins(hits, "ecn, inner, underlay") == {"linux, IPv4 ECN 00, IPv4"}


def test_policies_count_with_what_they_met() -> None:
    hits = observed([inner(tos=2, flags=0)], [OUTER6.ecn(1).but(tags=((STAG, 5),), inner=inner(tos=2))], [bytes(61)])
    assert bins(hits, "dscp, inner, underlay") == {"inherit, IPv4, IPv6"}
    assert bins(hits, "underlay, outer tag") == {"IPv6, 802.1Q"}
    assert bins(hits, "underlay, UDP port") == {"IPv6, of the tunnel"}
    assert bins(hits, "underlay, UDP checksum, mode") == {"IPv6, computed, store-and-forward"}
    assert bins(hits, "df, inner") == set()  # it is a matter of IPv4 underlays
    assert bins(hits, "outer ECN, inner, underlay") == {"01, IPv4 ECN 10, IPv6"}
    assert bins(hits, "underlay, received tag, end") == {"IPv6, 802.1ad, delivered"}
    assert bins(hits, "length modulo byte lanes, of the host") == {"8 lanes, 5"}


# What counts


def test_nothing_counts_before_the_scoreboard_agrees() -> None:
    hits = observed([inner()], [OUTER4], [bytes(60)], confirm=False)
    assert not any(hits.counts.values())


def test_what_was_spoiled_does_not_count() -> None:
    hits = Hits(PLAN)
    observer = Observer(PARAMETERS, PACES[0], hits)
    model = GoldenModel(CONFIG)
    observer.watch(model, CONFIG)
    model.run([Frame(inner())])
    observer.discard()
    observer.confirm()
    assert not any(hits.counts.values())


def test_the_model_says_the_same_under_observation() -> None:
    frames = [Frame(inner()), Frame(inner((CTAG, 10), dst=HOST_A))], [Frame(bytes(OUTER4))], [Frame(bytes(60))]
    watched = GoldenModel(CONFIG)
    Observer(PARAMETERS, PACES[0], Hits(PLAN)).watch(watched, CONFIG)
    assert watched.run(*frames) == GoldenModel(CONFIG).run(*frames)


def test_another_end_than_the_frame_reads_as_is_an_error() -> None:
    sampler = Sampler(Hits(PLAN), CONFIG, PARAMETERS, PACES[0])
    with pytest.raises(CoverageError, match="reads as"):
        sampler.underlay(bytes(OUTER4), False, Punted())
    with pytest.raises(CoverageError, match="reads as"):
        sampler.underlay(bytes(13), False, Dropped("underlay_error"))
    with pytest.raises(CoverageError, match="reads as"):
        sampler.tenant(bytes(13), False, [Dropped("no_vni")])
    (sent,) = GoldenModel(CONFIG).encapsulator.run(inner((CTAG, 10)), False)
    with pytest.raises(CoverageError, match="reads as"):
        sampler.tenant(inner((CTAG, 10), ttl=9), False, [sent])


def test_hits_are_written_for_the_merge(tmp_path: Path) -> None:
    path = tmp_path / "results.hits"
    observer = Observer(PARAMETERS, pace_of(0.3, 0.2), Hits(PLAN), path)
    model = GoldenModel(CONFIG)
    observer.watch(model, CONFIG)
    model.run([Frame(inner())])
    observer.confirm()
    points = json.loads(path.read_text())["points"]
    assert points["end, pace"] == {"sent, idle clocks and back-pressure": 1}


def test_an_empty_way_of_a_frame_without_an_end_is_seen() -> None:
    walk = walk_underlay(bytes(OUTER4), False, CONFIG, longest=9600, ipv6=True)
    assert (walk.end, walk.counter) == ("delivered", None)
    without = walk_underlay(bytes(OUTER6), False, CONFIG, longest=9600, ipv6=False)
    assert without.rules[-1] == "4.4 IPv6 in a build without it: to host"
