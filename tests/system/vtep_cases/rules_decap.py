"""Directed tests of SPEC.md section 4, underlay rx to tenant tx, and of the host port.

A name says the rule and, for a drop or punt, its counter.
"""

import struct

from vtep.config import VtepParameters
from vtep_sim.cocotb.frames import (
    ARP,
    CTAG,
    ICMP,
    IPV4,
    IPV6,
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
    ones_sum,
)

from .configs import BROADCAST, HOST_A, HOST_B, make, tunnel, vni
from .scenario import Scenario, has_both, has_ipv6, has_udp_checksum, rule

INNER = inner_tcp4(HOST_A, HOST_B, payload=b"some payload")
TAGGED = inner_tcp4(HOST_A, HOST_B, payload=b"some payload", tags=((CTAG, 10),))
"""`INNER` as it comes out for VNI 100, whose VLAN is 10."""

U4 = Underlay(inner=INNER)
U6 = Underlay(inner=INNER, src_ip="fd00::2", dst_ip="fd00::1", udp_checksum="right")
OTHER_MAC = mac("02:00:00:00:00:99")
EOF4 = len(bytes(U4))
"""Length of the plain IPv4 frame."""


def base(p: VtepParameters, **vtep):
    tunnels = [tunnel(p, "leaf2", "10.0.0.2")]
    if p.ipv6:
        tunnels.append(tunnel(p, "leaf6", "fd00::2"))
    return make(p, vtep=vtep, tunnels=tunnels)


def decap(p, frames, *, tenant=(), host=(), vtep=None, **counters) -> Scenario:
    return Scenario(
        config=base(p, **(vtep or {})),
        underlay=list(frames),
        tenant_out=list(tenant),
        host_out=list(host),
        counters=counters,
    )


def dropped(p, frames, reason: str, *, vtep=None, good: Underlay = U4) -> Scenario:
    """Each of ``frames`` is dropped for ``reason``; good frames between them are not."""
    mixed = [good]
    for frame in frames:
        mixed += [frame, good]
    return decap(p, mixed, tenant=[TAGGED] * (len(frames) + 1), vtep=vtep, **{reason: len(frames)})


def punted(p, frames, *, fragments: int = 0, vtep=None) -> Scenario:
    """Each of ``frames`` goes to the host as it came."""
    counters = {"fragment": fragments} if fragments else {}
    return decap(p, [U4, *frames, U4], tenant=[TAGGED] * 2, host=frames, vtep=vtep, **counters)


def delivered(p, frames, *, vtep=None) -> Scenario:
    """Each of ``frames`` delivers the plain inner frame."""
    return decap(p, frames, tenant=[TAGGED] * len(frames), vtep=vtep)


# Rule 1: length and mark.


@rule
def decap_1_underlay_runt(p):
    scenario = dropped(p, [bytes(U4)[:n] for n in range(1, 14)], "underlay_runt")
    scenario.counters |= {"underlay_rx_frames": 27, "underlay_rx_bytes": 14 * EOF4 + 91}
    return scenario


@rule
def decap_1_underlay_runt_goes_before_underlay_error(p):
    return dropped(p, [(bytes(U4)[:13], True)], "underlay_runt")


def padded(length: int, good: Underlay = U4) -> Underlay:
    """The good frame with padding behind the IP packet up to ``length``."""
    return good.but(trailer=bytes(length - len(bytes(good))))


@rule
def decap_1_underlay_oversize(p):
    n = p.max_frame_length
    frames = [padded(n + 1), padded(n + 2), padded(n + p.lanes), padded(4 * n), (bytes(padded(n + 1)), True)]
    scenario = dropped(p, frames, "underlay_oversize")
    scenario.underlay.append(padded(n))
    scenario.tenant_out.append(TAGGED)
    return scenario


@rule
def decap_1_longest_frame(p):
    n = p.max_frame_length
    payload = bytes(i * 7 & 0xFF for i in range(n - EOF4 + len(INNER)))
    frame = U4.but(inner=payload)
    scenario = decap(p, [frame], tenant=[payload[:12] + b"\x81\x00\x00\x0a" + payload[12:]])
    scenario.counters = {"underlay_rx_bytes": n, "tenant_tx_bytes": len(payload) + 4}
    return scenario


@rule
def decap_1_underlay_error(p):
    return dropped(p, [(bytes(U4), True), (bytes(U4)[:14], True), (bytes(padded(1000)), True)], "underlay_error")


@rule
def decap_1_underlay_error_goes_before_what_follows(p):
    frames = [
        U4.but(dst=OTHER_MAC),
        U4.but(ethertype=ARP),
        U4.but(ip={"version": 5}),
        U4.but(ip={"checksum_delta": 1}),
        U4.but(truncate=40),
        U4.but(dst_ip="10.0.0.9"),
        U4.but(protocol=TCP),
        U4.but(ip={"flags": 1}),
        U4.but(dport=53),
        U4.but(udp_length=15),
        U4.but(flags=0),
        U4.but(vni=101),
        U4.but(inner=b""),
    ]
    return dropped(p, [(bytes(frame), True) for frame in frames], "underlay_error")


@rule
def decap_1_underlay_oversize_goes_before_what_follows(p):
    n = p.max_frame_length + 1
    frames = [padded(n, U4.but(dst=OTHER_MAC)), padded(n, U4.but(protocol=TCP)), padded(n, U4.but(ip={"flags": 1}))]
    return dropped(p, frames, "underlay_oversize")


# Rule 2: destination MAC.


@rule
def decap_2_not_mine(p):
    others = [OTHER_MAC, mac("02:00:00:00:00:00"), mac("82:00:00:00:00:01"), mac("00:00:00:00:00:01"), bytes(6)]
    return dropped(p, [U4.but(dst=other) for other in others], "not_mine")


@rule
def decap_2_not_mine_whatever_follows(p):
    frames = [
        ethernet(OTHER_MAC, HOST_A, ARP, bytes(46)),
        bytes(U4.but(dst=OTHER_MAC))[:14],
        U4.but(dst=OTHER_MAC, flags=0),
    ]
    return dropped(p, frames, "not_mine")


@rule
def decap_2_group_destinations_are_taken(p):
    groups = [BROADCAST, mac("01:00:5e:00:00:01"), mac("33:33:00:00:00:01"), mac("03:00:00:00:00:01")]
    return delivered(p, [U4.but(dst=group) for group in groups])


@rule
def decap_2_promiscuous_takes_any_mac(p):
    macs = [OTHER_MAC, bytes(6), BROADCAST]
    return delivered(p, [*(U4.but(dst=address) for address in macs), U4], vtep={"promiscuous": True})


# Rule 3: one outer tag.


@rule
def decap_3_one_outer_tag_is_skipped(p):
    tags = [(CTAG, 0), (CTAG, 10), (CTAG, 0xFFFF), (STAG, 7), (STAG, 0)]
    return delivered(p, [U4.but(tags=(tag,)) for tag in tags])


@rule(when=has_both)
def decap_3_one_outer_tag_is_skipped_over_ipv6(p):
    return delivered(p, [U6.but(tags=(tag,)) for tag in [(CTAG, 10), (STAG, 7)]])


@rule
def decap_3_second_tag_goes_to_the_host(p):
    pairs = [(a, b) for a in ((CTAG, 1), (STAG, 2)) for b in ((CTAG, 3), (STAG, 0))]
    return punted(p, [U4.but(tags=pair) for pair in pairs])


@rule
def decap_3_behind_one_tag_the_rules_are_the_same(p):
    """Of every kind of tag: to the host for its port, dropped for its VNI."""
    outers = [U4] + ([U6] if p.ipv6 else [])
    tagged = [outer.but(tags=(tag,)) for outer in outers for tag in ((CTAG, 10), (STAG, 7))]
    away = [frame.but(dport=53) for frame in tagged]
    unknown = [frame.but(vni=7) for frame in tagged]
    return decap(p, [*away, *unknown], host=away, unknown_vni=len(unknown))


@rule
def decap_3_tag_without_room_for_an_ethertype_goes_to_the_host(p):
    one = bytes(U4.but(tags=((CTAG, 1),)))
    two = bytes(U4.but(tags=((STAG, 1), (CTAG, 1))))
    return punted(p, [one[:n] for n in range(14, 18)] + [two[:n] for n in range(18, 23)])


@rule
def decap_3_tag_then_cut_off_ip_header(p):
    one = bytes(U4.but(tags=((CTAG, 1),)))
    return dropped(p, [one[:n] for n in range(18, 38)], "ip_header")


# Rule 4: EtherType.


@rule
def decap_4_other_ethertypes_go_to_the_host(p):
    own = mac("02:00:00:00:00:01")
    kinds = [ARP, 0x88CC, 0x8035, 0x9100, 0x0801, 0x86DC, 46, 1500, 0]
    frames = [ethernet(own, HOST_A, kind, bytes(46)) for kind in kinds]
    frames += [ethernet(BROADCAST, HOST_A, ARP, bytes(range(28))), ethernet(own, HOST_A, ARP)]
    frames += [ethernet(own, HOST_A, ARP, bytes(46), tags=((CTAG, 5),))]
    return punted(p, frames)


@rule(when=lambda p: not p.ipv6)
def decap_4_ipv6_goes_to_the_host_in_a_build_without_it(p):
    frames = [U6, U6.but(inner=b""), bytes(U6)[:20], U6.but(ip={"version": 4})]
    return punted(p, frames)


@rule
def decap_4_promiscuous_still_sends_other_ethertypes_to_the_host(p):
    frames = [ethernet(OTHER_MAC, HOST_A, ARP, bytes(46))]
    return punted(p, frames, vtep={"promiscuous": True})


# Rule 5: the IP header.


@rule
def decap_5_ip_header_version_and_ihl(p):
    frames = [U4.but(ip={"version": v}) for v in range(16) if v != 4] + [U4.but(ip={"ihl": n}) for n in range(5)]
    return dropped(p, frames, "ip_header")


@rule
def decap_5_ip_header_cut_off(p):
    return dropped(p, [bytes(U4)[:n] for n in range(14, 34)], "ip_header")


@rule
def decap_5_ip_header_cut_off_in_the_options(p):
    whole = bytes(U4.but(ip={"options": b"\x01" * 40}))
    return dropped(p, [whole[:n] for n in range(34, 74)], "ip_header")


@rule
def decap_5_ip_header_ihl_beyond_the_frame(p):
    frames = [U4.but(ip={"ihl": 15}, truncate=14 + n) for n in (20, 28, 36, 59)]
    return dropped(p, frames, "ip_header")


@rule
def decap_5_ip_checksum_every_bit(p):
    return dropped(p, [U4.but(ip={"checksum_delta": 1 << i}) for i in range(16)], "ip_checksum")


@rule
def decap_5_ip_checksum_covers_the_options(p):
    whole = bytearray(bytes(U4.but(ip={"options": bytes(range(1, 41))})))
    frames = []
    for i in range(34, 74):
        broken = bytearray(whole)
        broken[i] ^= 0x10
        frames.append(bytes(broken))
    return dropped(p, frames, "ip_checksum")


@rule
def decap_5_ip_checksum_goes_before_ip_length(p):
    return dropped(p, [U4.but(ip={"checksum_delta": 4, "total_length": 19})], "ip_checksum")


@rule
def decap_5_ip_checksum_zero_and_ones(p):
    """A right checksum that is written as 0x0000 or 0xFFFF sums to minus zero all the same."""
    plain = bytes(U4.but(ip={"ident": 0, "checksum": 0}))[14:34]
    ident = 0xFFFF - ones_sum(plain)
    zero = U4.but(ip={"ident": ident, "checksum": 0})
    assert ones_sum(bytes(zero)[14:34]) == 0xFFFF
    return delivered(p, [zero, U4.but(ip={"ident": ident, "checksum": 0xFFFF})])


@rule
def decap_5_ipv4_options_are_skipped(p):
    return delivered(p, [U4.but(ip={"options": bytes(range(1, 4 * n + 1))}) for n in range(11)])


@rule
def decap_5_ip_length_beyond_the_frame(p):
    right = EOF4 - 14
    return dropped(
        p, [U4.but(ip={"total_length": n}) for n in (right + 1, right + 2, right + p.lanes, 16000, 65535)], "ip_length"
    )


@rule
def decap_5_ip_length_below_the_header(p):
    frames = [U4.but(ip={"total_length": n}) for n in range(20)]
    frames += [U4.but(ip={"total_length": n, "options": b"\x01" * 8}) for n in (19, 20, 24, 27)]
    return dropped(p, frames, "ip_length")


@rule
def decap_5_ip_length_of_truncated_frames(p):
    whole = bytes(U4)
    return dropped(p, [whole[:n] for n in range(34, len(whole))], "ip_length")


@rule
def decap_5_padding_behind_the_ip_packet_is_cut_off(p):
    return delivered(p, [U4.but(trailer=b"\xa5" * n) for n in (1, 2, 3, 7, 8, 9, 63, 64, 65, 200)])


@rule(when=has_ipv6)
def decap_5_ip_header_ipv6(p):
    whole = bytes(U6)
    frames = [U6.but(ip={"version": v}) for v in range(16) if v != 6] + [whole[:n] for n in range(14, 54)]
    return dropped(p, frames, "ip_header")


@rule(when=has_ipv6)
def decap_5_ip_length_ipv6(p):
    right = len(bytes(U6)) - 54
    whole = bytes(U6)
    frames = [U6.but(ip={"payload_length": n}) for n in (right + 1, right + p.lanes, 16000, 65535)]
    return dropped(p, frames + [whole[:n] for n in range(54, len(whole))], "ip_length")


@rule(when=has_both)
def decap_5_padding_behind_the_ipv6_packet_is_cut_off(p):
    return delivered(p, [U6.but(trailer=b"\xa5" * n) for n in (1, 2, 3, 7, 8, 9, 63, 64, 65, 200)])


@rule(when=has_ipv6)
def decap_5_ip_header_of_ipv6_under_the_ipv4_ethertype_and_back(p):
    return dropped(p, [U6.but(ethertype=IPV4), U4.but(ethertype=IPV6)], "ip_header")


# Rule 6: destination address.


@rule
def decap_6_other_destinations_go_to_the_host(p):
    others = ["10.0.0.2", "10.0.0.0", "10.0.1.1", "138.0.0.1", "255.255.255.255", "239.1.2.3", "0.0.0.0"]
    return punted(p, [U4.but(dst_ip=other) for other in others])


@rule(when=has_ipv6)
def decap_6_other_ipv6_destinations_go_to_the_host(p):
    others = ["fd00::2", "fd00::", "fd00::1:0:0:1", "7d00::1", "ff02::1", "::", "::10.0.0.1", "fd00::8000:0:0:1"]
    return punted(p, [U6.but(dst_ip=other) for other in others])


@rule
def decap_6_groups_of_our_tunnels_are_ours(p):
    tunnels = [
        tunnel(p, "leaf2", "10.0.0.2"),
        tunnel(p, "group", "239.1.2.3", remote_mac="01:00:5e:01:02:03"),
        tunnel(p, "other", "224.0.0.251", remote_mac="01:00:5e:00:00:fb"),
    ]
    good = [U4.but(dst_ip="239.1.2.3", dst=mac("01:00:5e:01:02:03")), U4.but(dst_ip="224.0.0.251")]
    strange = [U4.but(dst_ip="239.1.2.4", dst=mac("01:00:5e:01:02:04")), U4.but(dst_ip="10.0.0.2")]
    return Scenario(
        config=make(p, tunnels=tunnels),
        underlay=[*good, *strange],
        tenant_out=[TAGGED] * 2,
        host_out=strange,
        counters={"tunnel.leaf2.decap_frames": 2, "tunnel.group.decap_frames": 0},
    )


@rule(when=has_both)
def decap_6_ipv6_groups_of_our_tunnels_are_ours(p):
    tunnels = [tunnel(p, "leaf6", "fd00::2"), tunnel(p, "group", "ff05::1:2", remote_mac="33:33:00:01:00:02")]
    good = [U6.but(dst_ip="ff05::1:2", dst=mac("33:33:00:01:00:02"))]
    strange = [U6.but(dst_ip="ff05::1:3"), U6.but(dst_ip="ff02::1:2")]
    return Scenario(
        config=make(p, tunnels=tunnels, vnis=[vni(100, 10, ["leaf6"])]),
        underlay=[*good, *strange],
        tenant_out=[TAGGED],
        host_out=strange,
        counters={"tunnel.leaf6.decap_frames": 1},
    )


@rule
def decap_6_promiscuous_takes_our_own_addresses_and_groups(p):
    tunnels = [tunnel(p, "group", "239.1.1.1")]
    frames = [U4, U4.but(dst_ip="239.1.1.1", dst=mac("01:00:5e:01:01:01"))]
    if p.ipv6:
        tunnels.append(tunnel(p, "group6", "ff05::1:2"))
        frames += [U6, U6.but(dst_ip="ff05::1:2", dst=mac("33:33:00:01:00:02"))]
    config = make(p, vtep={"promiscuous": True}, tunnels=tunnels, vnis=[vni(100, 10, ["group"])])
    return Scenario(config=config, underlay=frames, tenant_out=[TAGGED] * len(frames))


@rule
def decap_6_promiscuous_takes_any_address(p):
    frames = [U4.but(dst_ip=other) for other in ("10.0.0.2", "1.2.3.4", "239.9.9.9")]
    if p.ipv6 and p.udp_checksum:
        frames += [U6.but(dst_ip=other) for other in ("fd00::2", "ff02::1")]
    return delivered(p, frames, vtep={"promiscuous": True})


@rule(when=has_ipv6)
def decap_6_without_an_ipv6_address_all_ipv6_goes_to_the_host(p):
    frames = [U6, U6.but(dst_ip="::")]
    return Scenario(
        config=make(p, vtep={"ipv6": None}), underlay=[U4, *frames, U4], tenant_out=[TAGGED] * 2, host_out=frames
    )


# Rule 7: protocol.


@rule
def decap_7_other_protocols_go_to_the_host(p):
    return punted(p, [U4.but(protocol=n) for n in (0, ICMP, 2, TCP, 16, 18, 47, 58, 89, 136, 255)])


@rule(when=has_ipv6)
def decap_7_other_next_headers_go_to_the_host(p):
    ext = bytes([UDP, 0, 1, 4, 0, 0, 0, 0])
    frames = [U6.but(protocol=n) for n in (ICMP, TCP, 58, 59, 136)]
    frames += [U6.but(protocol=n, body=ext + U6.datagram()) for n in (0, 43, 60)]
    return punted(p, frames)


@rule
def decap_7_promiscuous_still_sends_other_protocols_to_the_host(p):
    return punted(p, [U4.but(protocol=TCP, dst_ip="1.1.1.1", dst=OTHER_MAC)], vtep={"promiscuous": True})


# Rule 8: fragments.


@rule
def decap_8_fragment(p):
    offsets = [1, 2, 4, 16, 185, 0x1000, 0x1FFF]
    frames = [U4.but(ip={"flags": 1}), U4.but(ip={"flags": 3}), U4.but(ip={"flags": 5, "offset": 9})]
    frames += [U4.but(ip={"flags": 0, "offset": n}) for n in offsets]
    return punted(p, frames, fragments=len(frames))


@rule
def decap_8_df_and_the_reserved_flag_make_no_fragment(p):
    return delivered(p, [U4.but(ip={"flags": n}) for n in (0, 2, 4, 6)])


@rule
def decap_8_fragment_counts_only_for_udp_to_us(p):
    frames = [U4.but(protocol=ICMP, ip={"flags": 1}), U4.but(dst_ip="10.0.0.9", ip={"flags": 1})]
    return punted(p, frames, fragments=0)


@rule
def decap_8_fragment_goes_before_udp_length(p):
    frames = [
        U4.but(body=b"", ip={"flags": 1}),
        U4.but(body=b"1234567", ip={"flags": 0, "offset": 3}),
        U4.but(udp_length=3, ip={"flags": 1}),
    ]
    return punted(p, frames, fragments=3)


@rule(when=has_ipv6)
def decap_8_ipv6_fragment_header_is_no_udp(p):
    header = bytes([UDP, 0, 0, 1, 0, 0, 0, 9])
    return punted(p, [U6.but(protocol=44, body=header + U6.datagram())], fragments=0)


# Rule 9: UDP.


@rule
def decap_9_udp_length_of_payload_below_8(p):
    frames = [U4.but(body=bytes(U4.datagram()[:n])) for n in range(8)]
    frames += [U4.but(body=bytes(U4.datagram()[:n]), trailer=bytes(64)) for n in range(8)]
    return dropped(p, frames, "udp_length")


@rule(when=has_ipv6)
def decap_9_udp_length_of_ipv6_payload_below_8(p):
    frames = [U6.but(body=bytes(U6.datagram()[:n]), trailer=bytes(20)) for n in range(8)]
    return dropped(p, frames, "udp_length")


@rule
def decap_9_other_ports_go_to_the_host(p):
    frames = [U4.but(dport=n) for n in (0, 53, 4788, 4790, 8472, 4789 ^ 0x8000, 65535)]
    return punted(p, frames)


@rule
def decap_9_other_port_goes_before_udp_length_and_checksum(p):
    frames = [U4.but(dport=53, udp_length=n) for n in (0, 7, 8, 15, 65535)]
    frames += [U4.but(dport=53, body=struct.pack(">HHHH", 1, 53, 8, 0))]
    frames += [U4.but(dport=53, udp_checksum="right", checksum_delta=1)]
    return punted(p, frames)


@rule
def decap_9_configured_port(p):
    frames = [U4.but(dport=8472)]
    other = [U4.but(dport=4789)]
    return decap(p, [*frames, *other], tenant=[TAGGED], host=other, vtep={"udp_port": 8472})


@rule
def decap_9_a_tunnels_own_port_is_for_transmit_only(p):
    config = make(p, tunnels=[tunnel(p, "leaf2", "10.0.0.2", udp_port=8472)])
    other = U4.but(dport=8472)
    return Scenario(config=config, underlay=[U4, other], tenant_out=[TAGGED], host_out=[other])


@rule
def decap_9_udp_length_below_16(p):
    return dropped(p, [U4.but(udp_length=n) for n in range(16)], "udp_length")


@rule
def decap_9_udp_length_beyond_the_ip_payload(p):
    right = len(U4.datagram())
    frames = [U4.but(udp_length=n) for n in (right + 1, right + 2, right + 64, 65535)]
    frames += [U4.but(udp_length=right + 1, trailer=bytes(64))]
    frames += [U4.but(body=struct.pack(">HHHH", 1, 4789, 16, 0))]
    return dropped(p, frames, "udp_length")


@rule
def decap_9_bytes_behind_the_datagram_are_cut_off(p):
    return delivered(p, [U4.but(ip_trailer=b"\x5a" * n, trailer=b"\xa5" * m) for n in (1, 2, 9, 64) for m in (0, 5)])


@rule(when=has_both)
def decap_9_bytes_behind_the_datagram_are_cut_off_over_ipv6(p):
    return delivered(p, [U6.but(ip_trailer=b"\x5a" * n, trailer=b"\xa5" * m) for n in (1, 2, 9, 64) for m in (0, 5)])


@rule(when=has_ipv6)
def decap_9_udp_length_over_ipv6(p):
    right = len(U6.datagram())
    return dropped(p, [U6.but(udp_length=n) for n in (0, 8, 15, right + 1, 65535)], "udp_length")


# Rule 10: UDP checksum.


@rule
def decap_10_zero_over_ipv4_is_accepted(p):
    return delivered(p, [U4])


@rule(when=has_both)
def decap_10_right_checksums_are_accepted(p):
    return decap(
        p,
        [U4.but(udp_checksum="right", inner=INNER + bytes(range(n))) for n in range(40)]
        + [U6.but(inner=INNER + bytes(range(n))) for n in range(40)],
        tenant=[TAGGED + bytes(range(n)) for n in range(40)] * 2,
    )


@rule(when=has_udp_checksum)
def decap_10_udp_checksum_wrong(p):
    frames = [U4.but(udp_checksum="right", checksum_delta=1 << i) for i in range(16)]
    whole = bytes(U4.but(udp_checksum="right"))
    for i in (26, 29, 34, 35, 42, 43, 44, 46, 48, 49, 50, len(whole) - 2, len(whole) - 1):
        broken = bytearray(whole)
        broken[i] ^= 0x80
        if i < 34:  # keep the IPv4 header right: the pseudo-header is what breaks
            broken[24:26] = b"\0\0"
            broken[24:26] = struct.pack(">H", ones_sum(bytes(broken[14:34])) ^ 0xFFFF)
        frames.append(bytes(broken))
    return dropped(p, frames, "udp_checksum")


@rule(when=has_both)
def decap_10_udp_checksum_wrong_over_ipv6(p):
    frames = [U6.but(checksum_delta=1 << i) for i in range(16)]
    whole = bytes(U6)
    for i in (22, 30, 37, 54, 55, 62, 63, 66, 70, len(whole) - 2, len(whole) - 1):
        broken = bytearray(whole)
        broken[i] ^= 0x04
        frames.append(bytes(broken))
    return dropped(p, frames, "udp_checksum")


@rule(when=has_udp_checksum)
def decap_10_udp_checksum_goes_before_vxlan_flags(p):
    return dropped(p, [U4.but(flags=0, vni=101, udp_checksum="right", checksum_delta=1)], "udp_checksum")


@rule(when=has_udp_checksum)
def decap_10_udp_checksum_does_not_cover_what_is_cut_off(p):
    frames = [U4.but(udp_checksum="right", ip_trailer=b"\x5a" * n, trailer=b"\xa5" * m) for n in (0, 3) for m in (0, 5)]
    return delivered(p, frames)


@rule(when=has_udp_checksum)
def decap_10_udp_checksum_that_comes_to_ffff(p):
    """The inner frame's end is chosen so that the computed sum is 0, sent as 0xFFFF."""
    near = U4.but(inner=INNER + b"\0\0", udp_checksum="right")
    (sum_now,) = struct.unpack_from(">H", near.datagram(), 6)
    frame = near.but(inner=INNER + struct.pack(">H", sum_now))
    assert frame.datagram()[6:8] == b"\xff\xff"
    return decap(p, [frame], tenant=[TAGGED + struct.pack(">H", sum_now)])


@rule
def decap_10_ignore_takes_wrong_checksums(p):
    frames = [U4.but(udp_checksum=n) for n in (1, 0x1234, 0xFFFF)]
    if p.ipv6:
        frames += [U6.but(udp_checksum=n) for n in (1, 0x1234, 0xFFFF)]
    return delivered(p, frames, vtep={"udp_checksum_rx": "ignore"})


@rule
def decap_10_ignore_takes_right_checksums(p):
    return delivered(p, [U4.but(udp_checksum="right")] + ([U6] if p.ipv6 else []), vtep={"udp_checksum_rx": "ignore"})


@rule(when=has_ipv6)
def decap_10_udp_checksum_zero_over_ipv6(p):
    return dropped(p, [U6.but(udp_checksum=0), U6.but(udp_checksum=0, flags=0, vni=7)], "udp_checksum")


@rule(when=has_ipv6)
def decap_10_udp_checksum_zero_over_ipv6_is_dropped_under_ignore_too(p):
    return dropped(p, [U6.but(udp_checksum=0)], "udp_checksum", vtep={"udp_checksum_rx": "ignore"})


@rule(when=has_ipv6)
def decap_10_zero_over_ipv6_where_accepted(p):
    return delivered(p, [U6.but(udp_checksum=0)], vtep={"udp6_zero_checksum_rx": True})


@rule(when=has_ipv6)
def decap_10_zero_over_ipv6_where_accepted_under_ignore(p):
    return delivered(p, [U6.but(udp_checksum=0)], vtep={"udp6_zero_checksum_rx": True, "udp_checksum_rx": "ignore"})


# Rule 11: VXLAN flags and reserved bits.


@rule
def decap_11_vxlan_flags(p):
    return dropped(p, [U4.but(flags=n) for n in (0, 0xF7, 0x80, 0x04, 0x10)], "vxlan_flags")


@rule
def decap_11_vxlan_flags_go_before_vxlan_reserved(p):
    return dropped(p, [U4.but(flags=0xF7, reserved1=1, reserved2=1)], "vxlan_flags", vtep={"reserved_bits": "strict"})


@rule
def decap_11_vxlan_reserved_every_bit_under_strict(p):
    frames = [U4.but(flags=8 | 1 << i) for i in range(8) if i != 3]
    frames += [U4.but(reserved1=1 << i) for i in range(24)]
    frames += [U4.but(reserved2=1 << i) for i in range(8)]
    return dropped(p, frames, "vxlan_reserved", vtep={"reserved_bits": "strict"})


@rule
def decap_11_reserved_bits_are_ignored_under_ignore(p):
    frames = [U4.but(flags=8 | 1 << i) for i in range(8)]
    frames += [U4.but(reserved1=1 << i) for i in range(24)]
    frames += [U4.but(reserved2=1 << i) for i in range(8)]
    frames += [U4.but(flags=0xFF, reserved1=0xFFFFFF, reserved2=0xFF)]
    return delivered(p, frames)


@rule
def decap_11_vxlan_reserved_goes_before_unknown_vni(p):
    return dropped(p, [U4.but(reserved2=1, vni=5, inner=b"")], "vxlan_reserved", vtep={"reserved_bits": "strict"})


# Rules 12 to 14: the VNI and the inner frame.


@rule
def decap_12_unknown_vni(p):
    return dropped(p, [U4.but(vni=100 ^ 1 << i) for i in range(24)] + [U4.but(vni=0)], "unknown_vni")


@rule
def decap_12_unknown_vni_goes_before_inner_runt(p):
    return dropped(p, [U4.but(vni=101, inner=b"")], "unknown_vni")


@rule
def decap_12_vnis_at_the_ends_of_the_range(p):
    config = make(p, vnis=[vni(0, 0, []), vni(0xFFFFFF, 1, [])])
    tag = INNER[:12] + b"\x81\x00\x00\x01" + INNER[12:]
    return Scenario(config=config, underlay=[U4.but(vni=0), U4.but(vni=0xFFFFFF)], tenant_out=[INNER, tag])


@rule
def decap_12_full_vni_table(p):
    config = make(p, vnis=[vni(7000 + i, i, []) for i in range(p.vnis)])
    tags = [b"" if i == 0 else b"\x81\x00" + struct.pack(">H", i) for i in range(p.vnis)]
    return Scenario(
        config=config,
        underlay=[U4.but(vni=7000 + i) for i in range(p.vnis)],
        tenant_out=[INNER[:12] + tag + INNER[12:] for tag in tags],
        counters={f"vni.{7000 + i}.decap_frames": 1 for i in range(p.vnis)},
    )


@rule
def decap_13_inner_runt(p):
    frames = [U4.but(inner=INNER[:n]) for n in range(14)]
    frames += [U4.but(inner=INNER[:n], ip_trailer=bytes(9), trailer=bytes(40)) for n in range(14)]
    return dropped(p, frames, "inner_runt")


@rule
def decap_13_inner_frames_from_14_bytes_on(p):
    frames = [U4.but(inner=INNER[:n]) for n in range(14, len(INNER))]
    return decap(p, frames, tenant=[TAGGED[: n + 4] for n in range(14, len(INNER))])


@rule
def decap_13_inner_runt_goes_before_inner_vlan(p):
    config = make(p, vnis=[vni(100, 10, [], inner_vlan="discard")])
    short = (HOST_A + HOST_B + b"\x81\x00")[:13]
    return Scenario(config=config, underlay=[U4.but(inner=short)], counters={"inner_runt": 1})


def inner_tagged(*tags, **ip) -> bytes:
    return inner_tcp4(HOST_A, HOST_B, payload=b"some payload", tags=tags, **ip)


@rule
def decap_14_inner_vlan(p):
    config = make(p, vnis=[vni(100, 10, [], inner_vlan="discard"), vni(200, 0, [], inner_vlan="discard")])
    tags = [(CTAG, 5), (STAG, 5), (CTAG, 0), (STAG, 0), (CTAG, 0xFFFF)]
    frames = [U4.but(inner=inner_tagged(tag), vni=number) for tag in tags for number in (100, 200)]
    return Scenario(
        config=config,
        underlay=[*frames, U4, U4.but(vni=200)],
        tenant_out=[TAGGED, INNER],
        counters={"inner_vlan": 10},
    )


@rule
def decap_14_a_tag_without_room_for_an_ethertype_is_no_tag(p):
    config = make(p, vnis=[vni(200, 0, [], inner_vlan="discard")])
    inner = [inner_tagged((CTAG, 5))[:n] for n in range(14, 19)]
    return Scenario(
        config=config,
        underlay=[U4.but(inner=i, vni=200) for i in inner],
        tenant_out=inner[:4],
        counters={"inner_vlan": 1},
    )


@rule
def decap_14_inner_tags_pass_where_configured(p):
    tags = [((CTAG, 5),), ((STAG, 5),), ((CTAG, 0),), ((CTAG, 5), (STAG, 6)), ((CTAG, 10),)]
    frames = [U4.but(inner=inner_tagged(*stack)) for stack in tags]
    return decap(p, frames, tenant=[inner_tagged((CTAG, 10), *stack) for stack in tags])


@rule
def decap_14_inner_vlan_goes_before_ecn(p):
    config = make(p, vnis=[vni(100, 10, [], inner_vlan="discard")])
    frame = U4.but(inner=inner_tagged((CTAG, 5), tos=0)).ecn(3)
    return Scenario(config=config, underlay=[frame], counters={"inner_vlan": 1})


# Rule 15: ECN, RFC 6040 figure 4. Rows: inner Not-ECT, ECT(1), ECT(0), CE by their bits; columns: outer.

FIGURE_4 = {
    # inner: {outer: resulting inner, or None for a drop}
    0: {0: 0, 1: 0, 2: 0, 3: None},
    1: {0: 1, 1: 1, 2: 1, 3: 3},
    2: {0: 2, 1: 1, 2: 2, 3: 3},
    3: {0: 3, 1: 3, 2: 3, 3: 3},
}


def inner4(ecn: int, *, tags=(), **ip) -> bytes:
    packet = ipv4("192.168.7.1", "192.168.7.2", TCP, l4(TCP, 1, 2), tos=0xB8 | ecn, **ip)
    return ethernet(HOST_A, HOST_B, IPV4, packet, tags=tags)


def inner6(ecn: int, *, tags=(), **ip) -> bytes:
    packet = ipv6("fd01::1", "fd01::2", TCP, l4(TCP, 1, 2), traffic_class=0xB8 | ecn, flow_label=0xABCDE, **ip)
    return ethernet(HOST_A, HOST_B, IPV6, packet, tags=tags)


def _ecn(p, outer: Underlay, inner, **kinds) -> Scenario:
    frames, out = [], []
    for before, row in FIGURE_4.items():
        for mark, after in row.items():
            frames.append(outer.but(inner=inner(before, **kinds), vni=200).ecn(0x54 | mark))
            if after is not None:
                out.append(inner(after, **kinds))
    return decap(p, frames, tenant=out, ecn=1)


@rule
def decap_15_ecn_inner_ipv4(p):
    return _ecn(p, U4, inner4)


@rule
def decap_15_ecn_inner_ipv6(p):
    return _ecn(p, U4, inner6)


@rule(when=has_both)
def decap_15_ecn_inner_ipv4_over_ipv6(p):
    return _ecn(p, U6, inner4)


@rule(when=has_both)
def decap_15_ecn_inner_ipv6_over_ipv6(p):
    return _ecn(p, U6, inner6)


@rule
def decap_15_ecn_behind_tags(p):
    frames, out = [], []
    stacks = [((CTAG, 5),), ((STAG, 5),), ((CTAG, 5), (STAG, 6)), ((STAG, 5), (STAG, 6))]
    for stack in stacks:
        for inner in (inner4, inner6):
            for before, row in FIGURE_4.items():
                for mark, after in row.items():
                    frames.append(U4.but(inner=inner(before, tags=stack), vni=200).ecn(mark))
                    if after is not None:
                        out.append(inner(after, tags=stack))
    return decap(p, frames, tenant=out, ecn=8)


@rule
def decap_15_ecn_does_not_look_behind_three_tags(p):
    stack = ((CTAG, 5), (STAG, 6), (CTAG, 7))
    inner = [inner4(0, tags=stack), inner6(0, tags=stack), inner4(2, tags=stack)]
    return decap(p, [U4.but(inner=i, vni=200).ecn(3) for i in inner], tenant=inner)


@rule
def decap_15_ecn_leaves_other_frames_alone(p):
    inner = [
        ethernet(HOST_A, HOST_B, ARP, bytes(46)),
        ethernet(HOST_A, HOST_B, 0x88CC),
        inner4(0, version=6),
        inner4(2, ihl=4),
        inner4(0)[: 14 + 19],
        inner4(2)[: 14 + 19],
        inner6(0, version=4),
        inner6(2)[: 14 + 39],
        inner4(0)[:14],
        inner6(0)[:14],
    ]
    return decap(
        p, [U4.but(inner=i, vni=200).ecn(e) for i in inner for e in (1, 3)], tenant=[i for i in inner for _ in "12"]
    )


@rule
def decap_15_every_outer_ecn_leaves_what_is_no_ip_alone(p):
    inner = [
        ethernet(HOST_A, HOST_B, ARP, bytes(46), tags=stack) for stack in ((), ((STAG, 5),), ((STAG, 5), (CTAG, 6)))
    ]
    outers = [U4] + ([U6] if p.ipv6 else [])
    frames = [outer.but(inner=i, vni=200).ecn(e) for outer in outers for i in inner for e in range(4)]
    return decap(p, frames, tenant=[i for _ in outers for i in inner for _ in range(4)])


@rule
def decap_15_ecn_of_the_shortest_ip_packets(p):
    frames = [inner4(2)[: 14 + 20], inner6(2)[: 14 + 40]]
    out = [inner4(2, checksum=None)[: 14 + 20], inner6(3)[: 14 + 40]]
    length = {"total_length": 20 + 20}
    out[0] = inner4(3, **length)[: 14 + 20]
    frames[0] = inner4(2, **length)[: 14 + 20]
    return decap(p, [U4.but(inner=i, vni=200).ecn(3) for i in frames], tenant=out)


@rule
def decap_15_ecn_keeps_a_wrong_inner_checksum_wrong(p):
    frames, out = [], []
    for delta in (1, 0x80, 0x0100, 0x8000):
        for before, mark, after in ((1, 3, 3), (2, 3, 3), (2, 1, 1)):
            frames.append(U4.but(inner=inner4(before, checksum_delta=delta), vni=200).ecn(mark))
            # RFC 1624, equation 3; the field is the one that held ToS, at the start of the header.
            old_sum = struct.unpack_from(">H", inner4(before, checksum_delta=delta), 24)[0]
            old, new = 0x4500 | 0xB8 | before, 0x4500 | 0xB8 | after
            total = (~old_sum & 0xFFFF) + (~old & 0xFFFF) + new
            total = (total & 0xFFFF) + (total >> 16)
            total = (total & 0xFFFF) + (total >> 16)
            out.append(inner4(after, checksum=~total & 0xFFFF))
    return decap(p, frames, tenant=out)


@rule
def decap_15_ecn_inner_checksums_at_the_ends_of_the_range(p):
    frames, out = [], []
    for checksum in (0x0000, 0x0001, 0x0002, 0xFFFD, 0xFFFE, 0xFFFF):
        for before, mark, after in ((1, 3, 3), (2, 3, 3), (2, 1, 1)):
            frames.append(U4.but(inner=inner4(before, checksum=checksum), vni=200).ecn(mark))
            total = (~checksum & 0xFFFF) + (~(0x45B8 | before) & 0xFFFF) + (0x45B8 | after)
            total = (total & 0xFFFF) + (total >> 16)
            total = (total & 0xFFFF) + (total >> 16)
            out.append(inner4(after, checksum=~total & 0xFFFF))
    return decap(p, frames, tenant=out)


# Rule 16: delivery.


@rule
def decap_16_vlan_tag_is_pushed_with_priority_0(p):
    config = make(p, vnis=[vni(100, 4094, []), vni(200, 0, []), vni(300, 1, [])])
    inner = inner4(0)
    pushed = {v: inner[:12] + b"\x81\x00" + struct.pack(">H", v) + inner[12:] for v in (4094, 1)}
    return Scenario(
        config=config,
        underlay=[U4.but(inner=inner, vni=n) for n in (100, 200, 300)],
        tenant_out=[pushed[4094], inner, pushed[1]],
        counters={
            "vni.100.decap_frames": 1,
            "vni.100.decap_bytes": len(inner),
            "tenant_tx_bytes": 3 * len(inner) + 8,
        },
    )


@rule
def decap_16_source_without_a_tunnel_is_delivered_all_the_same(p):
    scenario = decap(p, [U4.but(src_ip="10.9.9.9"), U4], tenant=[TAGGED] * 2)
    scenario.counters = {"tunnel.leaf2.decap_frames": 1, "vni.100.decap_frames": 2}
    return scenario


@rule
def decap_16_first_tunnel_with_the_source_counts(p):
    tunnels = [tunnel(p, "other", "10.0.0.3"), tunnel(p, "first", "10.0.0.2"), tunnel(p, "second", "10.0.0.2", ttl=9)]
    return Scenario(
        config=make(p, tunnels=tunnels, vnis=[vni(100, 10, ["first"])]),
        underlay=[U4, U4],
        tenant_out=[TAGGED] * 2,
        counters={
            "tunnel.first.decap_frames": 2,
            "tunnel.first.decap_bytes": 2 * len(INNER),
            "tunnel.second.decap_frames": 0,
        },
    )


@rule(when=has_both)
def decap_16_ipv6_source_counts_for_its_tunnel(p):
    scenario = decap(p, [U6, U4, U6.but(src_ip="::10.0.0.2")], tenant=[TAGGED] * 3)
    scenario.counters = {"tunnel.leaf6.decap_frames": 1, "tunnel.leaf2.decap_frames": 1}
    return scenario


# The host port, both ways (section 1).


@rule
def host_frames_leave_on_underlay_unchanged(p):
    frames = [bytes(range(n)) for n in (1, 2, 13, 14, 15, 60, 61, 64, 65)]
    frames += [bytes(U4), bytes(i * 5 & 0xFF for i in range(1514)), bytes(p.max_frame_length)]
    return Scenario(
        config=base(p),
        host=frames,
        underlay_out=frames,
        counters={"host_rx_frames": 12, "underlay_tx_frames": 12, "underlay_tx_bytes": sum(map(len, frames))},
    )


@rule
def host_frames_keep_their_error_mark(p):
    frames = [(bytes(100), True), bytes(100), (b"\x01", True), (bytes(p.lanes + 1), True), bytes(64)]
    return Scenario(config=base(p), host=frames, underlay_out=frames)


@rule
def host_frames_pass_before_any_configuration_of_tables(p):
    config = make(p, vnis=[], tunnels=[])
    return Scenario(config=config, host=[bytes(U4)], underlay_out=[bytes(U4)])


@rule
def host_receives_frames_whole_with_padding(p):
    own = mac("02:00:00:00:00:01")
    arp = ethernet(own, HOST_A, ARP, bytes(46) + b"\x5a" * 30)
    echo = ethernet(own, HOST_A, IPV4, ipv4("10.0.0.2", "10.0.0.1", ICMP, b"\x08\0" + bytes(6)) + b"\xa5" * 18)
    long = ethernet(own, HOST_A, 0x88B5, bytes(i * 3 & 0xFF for i in range(p.max_frame_length - 14)))
    scenario = punted(p, [arp, echo, long])
    scenario.counters |= {"host_tx_frames": 3, "host_tx_bytes": len(arp) + len(echo) + len(long)}
    return scenario


@rule
def all_three_ports_at_once(p):
    encap = [inner_tcp4(HOST_B, HOST_A, payload=bytes(n)) for n in range(30)]
    return Scenario(
        config=base(p),
        tenant=encap,
        underlay=[frame for _ in range(15) for frame in (U4, U4.but(protocol=TCP))],
        host=[bytes(range(20 + n)) for n in range(20)],
        tenant_out=[TAGGED] * 15,
        host_out=[U4.but(protocol=TCP)] * 15,
        underlay_out=None,
        counters={"vni.200.encap_frames": 30, "host_rx_frames": 20, "underlay_tx_frames": 50},
    )
