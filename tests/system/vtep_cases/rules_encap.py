"""Directed tests of SPEC.md section 3, tenant rx to underlay tx. A name says the rule and, for a drop, its counter."""

import struct
from dataclasses import replace

from vtep.config import VtepParameters
from vtep_sim.cocotb.frames import (
    ARP,
    CTAG,
    ICMP,
    IPV4,
    IPV6,
    SCTP,
    STAG,
    TCP,
    UDP,
    Encapsulated,
    ethernet,
    inner_tcp4,
    ipv4,
    ipv6,
    l4,
    mac,
    ones_sum,
    read_encapsulated,
    toeplitz,
)
from vtep_sim.cocotb.scoreboard import Outputs

from .configs import BROADCAST, HOST_A, HOST_B, HOST_C, OWN_IPV4, OWN_MAC, fdb, make, tunnel, vni
from .scenario import Scenario, has_both, has_ipv6, has_udp_checksum, rule

V10 = ((CTAG, 10),)


def inner(*, tags=(), payload=b"payload", **ip) -> bytes:
    return inner_tcp4(HOST_B, HOST_A, tags=tags, payload=payload, **ip)


def of_length(length: int, tags=()) -> bytes:
    """A broadcast frame of exactly ``length`` bytes that is no IP."""
    frame = ethernet(BROADCAST, HOST_A, 0x88B5, bytes(i & 0xFF for i in range(max(length, 0))), tags=tags)
    return frame[:length]


def sent(outputs: Outputs) -> list[Encapsulated]:
    return [read_encapsulated(frame.data) for frame in outputs.underlay]


def encapsulates(frames: list[bytes], **fields):
    """A check: these inner frames left in this order, and each outer field named has this value."""

    def check(outputs: Outputs) -> None:
        got = sent(outputs)
        assert [e.inner.hex() for e in got] == [f.hex() for f in frames]
        for e in got:
            for name, value in fields.items():
                assert getattr(e, name) == value, f"{name} is {getattr(e, name)}, should be {value}"

    return check


def through(p: VtepParameters, frames: list[bytes], fields: list[dict], *, vtep=None, **policy) -> Scenario:
    """Untagged frames through one IPv4 tunnel with ``policy``; ``fields`` are those of each outer frame."""
    config = make(p, vtep=vtep, tunnels=[tunnel(p, "leaf2", "10.0.0.2", **policy)], vnis=[vni(200, 0, ["leaf2"])])
    return _each(config, frames, fields)


def through6(p: VtepParameters, frames: list[bytes], fields: list[dict], *, vtep=None, **policy) -> Scenario:
    """The same through an IPv6 tunnel."""
    config = make(p, vtep=vtep, tunnels=[tunnel(p, "leaf6", "fd00::2", **policy)], vnis=[vni(200, 0, ["leaf6"])])
    return _each(config, frames, fields)


def _each(config, frames, fields) -> Scenario:
    def check(outputs: Outputs) -> None:
        got = sent(outputs)
        assert [e.inner.hex() for e in got] == [f.hex() for f in frames]
        for i, (e, wanted) in enumerate(zip(got, fields, strict=True)):
            for name, value in wanted.items():
                assert getattr(e, name) == value, f"frame {i}: {name} is {getattr(e, name)}, should be {value}"

    return Scenario(config=config, tenant=frames, underlay_out=None, check=check)


# Rule 1: length and mark.


@rule
def encap_1_tenant_runt(p):
    frames = [of_length(n) for n in range(1, 14)]
    good = of_length(14)
    return Scenario(
        config=make(p),
        tenant=[*frames, good, *frames],
        counters={"tenant_runt": 26, "tenant_rx_frames": 27, "tenant_rx_bytes": 2 * 91 + 14, "vni.200.encap_bytes": 14},
        underlay_out=None,
        check=encapsulates([good], vni=200),
    )


@rule
def encap_1_tenant_runt_goes_before_tenant_error(p):
    return Scenario(config=make(p), tenant=[(of_length(13), True)], counters={"tenant_runt": 1})


@rule
def encap_1_tenant_oversize(p):
    n = p.max_frame_length
    good = of_length(n)
    return Scenario(
        config=make(p, vtep={"underlay_mtu": 65535}),
        tenant=[of_length(n + 1), good, of_length(n + 2), of_length(n + p.lanes), good],
        counters={"tenant_oversize": 3, "tenant_rx_bytes": 5 * n + 3 + p.lanes},
        underlay_out=None,
        check=encapsulates([good, good]),
    )


@rule
def encap_1_tenant_oversize_goes_before_tenant_error(p):
    return Scenario(config=make(p), tenant=[(of_length(p.max_frame_length + 1), True)], counters={"tenant_oversize": 1})


@rule
def encap_1_tenant_oversize_goes_before_no_vni_and_mtu(p):
    long = of_length(p.max_frame_length + 1, ((CTAG, 77),))
    return Scenario(
        config=make(p, vnis=[vni(100, 10, ["leaf2"])]),
        tenant=[long],
        counters={"tenant_oversize": 1},
    )


@rule
def encap_1_tenant_oversize_far_beyond_every_queue(p):
    long = of_length(4 * p.max_frame_length + 3)
    good = inner()
    return Scenario(
        config=make(p),
        tenant=[good, long, good, (long, True), good],
        counters={"tenant_oversize": 2},
        underlay_out=None,
        check=encapsulates([good] * 3),
    )


@rule
def encap_1_tenant_error(p):
    good = inner()
    return Scenario(
        config=make(p),
        tenant=[(good, True), good, (of_length(14), True), (of_length(1000), True), good],
        counters={"tenant_error": 3, "tenant_rx_frames": 5},
        underlay_out=None,
        check=encapsulates([good, good]),
    )


@rule
def encap_1_tenant_error_goes_before_no_vni_no_tunnel_and_mtu(p):
    config = make(p, vnis=[vni(100, 10, []), vni(101, 11, ["leaf2"])])
    return Scenario(
        config=config,
        tenant=[
            (inner(), True),
            (inner(tags=V10), True),
            (of_length(1500, ((CTAG, 11),)), True),
        ],
        counters={"tenant_error": 3},
    )


# Rule 2: the VNI.


@rule
def encap_2_vid_chooses_the_vni_and_its_tag_is_removed(p):
    config = make(p, vnis=[vni(100, 10, ["leaf2"]), vni(0xFFFFFF, 4094, ["leaf2"]), vni(0, 1, ["leaf2"])])

    def check(outputs):
        got = sent(outputs)
        assert [e.vni for e in got] == [100, 0xFFFFFF, 0]
        assert all(e.inner == inner() for e in got)

    return Scenario(
        config=config,
        tenant=[inner(tags=((CTAG, vid),)) for vid in (10, 4094, 1)],
        counters={"vni.100.encap_frames": 1, "vni.0.encap_frames": 1, "vni.16777215.encap_bytes": len(inner())},
        underlay_out=None,
        check=check,
    )


@rule
def encap_2_priority_and_dei_do_not_matter(p):
    tags = [((CTAG, bits << 13 | dei << 12 | 10),) for bits in range(8) for dei in range(2)]
    return Scenario(
        config=make(p),
        tenant=[inner(tags=tag) for tag in tags],
        underlay_out=None,
        check=encapsulates([inner()] * 16, vni=100),
    )


@rule
def encap_2_untagged_frame_goes_to_the_untagged_vni(p):
    return Scenario(config=make(p), tenant=[inner()], underlay_out=None, check=encapsulates([inner()], vni=200))


@rule
def encap_2_priority_tagged_frame_is_left_as_it_is(p):
    frames = [inner(tags=((CTAG, bits << 13 | dei << 12),)) for bits in (0, 7) for dei in (0, 1)]
    return Scenario(config=make(p), tenant=frames, underlay_out=None, check=encapsulates(frames, vni=200))


@rule
def encap_2_priority_tagged_frame_goes_to_an_untagged_vni_that_discards(p):
    # "discard" is about unknown VIDs here; a priority tag names no VLAN.
    config = make(p, vnis=[vni(200, 0, ["leaf2"], inner_vlan="discard")])
    frames = [inner(tags=((CTAG, 0),)), inner()]
    return Scenario(config=config, tenant=frames, underlay_out=None, check=encapsulates(frames, vni=200))


@rule
def encap_2_no_vni_untagged_and_priority_tagged(p):
    config = make(p, vnis=[vni(100, 10, ["leaf2"])])
    return Scenario(
        config=config,
        tenant=[inner(), inner(tags=((CTAG, 0),)), inner(tags=((CTAG, 0xE000),))],
        counters={"no_vni": 3},
    )


@rule
def encap_2_no_vni_unknown_vid(p):
    config = make(p, vnis=[vni(100, 10, ["leaf2"]), vni(101, 11, ["leaf2"])])
    vids = [9, 12, 1, 0x80A, 0x40A, 0x00B ^ 0x100, 4094, 4095]
    return Scenario(config=config, tenant=[inner(tags=((CTAG, vid),)) for vid in vids], counters={"no_vni": len(vids)})


@rule
def encap_2_unknown_vid_falls_back_to_an_untagged_vni_that_passes_tag_and_all(p):
    config = make(p, vnis=[vni(100, 10, ["leaf2"]), vni(200, 0, ["leaf2"], inner_vlan="pass")])
    frames = [inner(tags=((CTAG, vid),)) for vid in (11, 4095, 0xE00B)]
    return Scenario(config=config, tenant=frames, underlay_out=None, check=encapsulates(frames, vni=200))


@rule
def encap_2_no_vni_unknown_vid_with_an_untagged_vni_that_discards(p):
    config = make(p, vnis=[vni(100, 10, ["leaf2"]), vni(200, 0, ["leaf2"], inner_vlan="discard")])
    return Scenario(config=config, tenant=[inner(tags=((CTAG, 11),))], counters={"no_vni": 1})


@rule
def encap_2_service_tag_is_no_8021q_tag(p):
    frames = [inner(tags=((STAG, 10),)), inner(tags=((STAG, 10), (CTAG, 10)))]
    return Scenario(config=make(p), tenant=frames, underlay_out=None, check=encapsulates(frames, vni=200))


@rule
def encap_2_no_vni_service_tag_without_untagged_vni(p):
    config = make(p, vnis=[vni(100, 10, ["leaf2"])])
    return Scenario(config=config, tenant=[inner(tags=((STAG, 10),))], counters={"no_vni": 1})


@rule
def encap_2_no_vni_cut_off_tag_without_untagged_vni(p):
    config = make(p, vnis=[vni(100, 10, ["leaf2"])])
    cut = inner(tags=V10)
    return Scenario(config=config, tenant=[cut[:n] for n in range(14, 18)], counters={"no_vni": 4})


@rule
def encap_2_only_the_outermost_tag_is_removed(p):
    stacks = [((CTAG, 10), (CTAG, 20)), ((CTAG, 10), (STAG, 10)), ((CTAG, 10), (CTAG, 10), (CTAG, 0))]
    return Scenario(
        config=make(p),
        tenant=[inner(tags=stack) for stack in stacks],
        underlay_out=None,
        check=encapsulates([inner(tags=stack[1:]) for stack in stacks], vni=100),
    )


@rule
def encap_2_tag_is_a_tag_only_with_the_ethertype_behind_it_inside_the_frame(p):
    whole = ethernet(BROADCAST, HOST_A, 0x88B5, tags=V10)
    frames = [whole[:n] for n in range(14, 19)]

    def check(outputs):
        got = sent(outputs)
        assert [e.vni for e in got] == [200, 200, 200, 200, 100]
        assert [e.inner for e in got] == [*frames[:4], whole[:12] + whole[16:]]

    return Scenario(config=make(p), tenant=frames, underlay_out=None, check=check)


# Rule 3: the tunnels.


def several(p: VtepParameters) -> list[dict]:
    return [tunnel(p, f"leaf{i}", f"10.0.0.{i}") for i in range(2, 6)]


def destinations(wanted: list[str]):
    def check(outputs):
        assert [e.dst_ip for e in sent(outputs)] == wanted

    return check


@rule
def encap_3_known_unicast_takes_its_tunnel_alone(p):
    config = make(
        p,
        tunnels=several(p),
        vnis=[vni(100, 10, ["leaf2", "leaf3"]), vni(200, 0, ["leaf2"]), vni(300, 30, [])],
        entries=[fdb(100, HOST_B, "leaf4"), fdb(200, HOST_B, "leaf5"), fdb(300, HOST_C, "leaf3")],
    )
    return Scenario(
        config=config,
        tenant=[inner(tags=V10), inner(), inner_tcp4(HOST_C, HOST_A, tags=((CTAG, 30),))],
        counters={"tunnel.leaf4.encap_frames": 1, "tunnel.leaf5.encap_frames": 1, "tunnel.leaf2.encap_frames": 0},
        underlay_out=None,
        check=destinations(["10.0.0.4", "10.0.0.5", "10.0.0.3"]),
    )


@rule
def encap_3_flood_list_in_order(p):
    config = make(
        p,
        tunnels=several(p),
        vnis=[vni(100, 10, ["leaf5", "leaf2", "leaf4", "leaf3"]), vni(200, 0, ["leaf3"])],
        entries=[fdb(200, HOST_B, "leaf4")],
    )
    group = mac("01:00:5e:01:02:03")
    frames = [
        inner_tcp4(BROADCAST, HOST_A, tags=V10),
        inner_tcp4(group, HOST_A, tags=V10),
        inner_tcp4(HOST_B, HOST_A, tags=V10),  # known, but in another VNI
        inner_tcp4(HOST_C, HOST_A),
    ]
    order = ["10.0.0.5", "10.0.0.2", "10.0.0.4", "10.0.0.3"]
    size = len(inner())
    return Scenario(
        config=config,
        tenant=frames,
        counters={"vni.100.encap_frames": 12, "tunnel.leaf3.encap_frames": 4, "vni.100.encap_bytes": 12 * size},
        underlay_out=None,
        check=destinations([*order, *order, *order, "10.0.0.3"]),
    )


@rule
def encap_3_flood_list_as_long_as_the_tunnel_table(p):
    tunnels = [tunnel(p, f"t{i}", f"10.0.1.{i + 1}") for i in range(p.tunnels)]
    names = [t["name"] for t in tunnels]
    frame = inner_tcp4(BROADCAST, HOST_A, payload=bytes(100))
    return Scenario(
        config=make(p, tunnels=tunnels, vnis=[vni(200, 0, names[::-1])]),
        tenant=[frame, frame],
        counters={"vni.200.encap_frames": 2 * p.tunnels},
        underlay_out=None,
        check=destinations([f"10.0.1.{i}" for i in range(p.tunnels, 0, -1)] * 2),
    )


@rule
def encap_3_no_tunnel(p):
    config = make(p, vnis=[vni(100, 10, []), vni(200, 0, ["leaf2"])], entries=[fdb(100, HOST_B, "leaf2")])
    return Scenario(
        config=config,
        tenant=[
            inner_tcp4(HOST_C, HOST_A, tags=V10),
            inner_tcp4(BROADCAST, HOST_A, tags=V10),
            inner_tcp4(HOST_B, HOST_A, tags=V10),
        ],
        counters={"no_tunnel": 2},
        underlay_out=None,
        check=encapsulates([inner()], vni=100),
    )


@rule
def encap_3_full_tables_and_their_last_entries(p):
    tunnels = [tunnel(p, f"t{i}", f"10.0.1.{i + 1}") for i in range(p.tunnels)]
    vnis = [vni(1000 + i, i + 1, [f"t{i % p.tunnels}"]) for i in range(p.vnis)]
    macs = [struct.pack(">HI", 0x0200, 1 << 24 | i) for i in range(p.fdb_entries)]
    entries = [fdb(1000 + i % p.vnis, address, f"t{i % p.tunnels}") for i, address in enumerate(macs)]
    frames = [inner_tcp4(a, HOST_A, tags=((CTAG, i % p.vnis + 1),)) for i, a in enumerate(macs)]
    frames += [inner_tcp4(BROADCAST, HOST_A, tags=((CTAG, i + 1),)) for i in range(p.vnis)]
    wanted = [f"10.0.1.{i % p.tunnels + 1}" for i in range(p.fdb_entries)]
    wanted += [f"10.0.1.{i % p.tunnels + 1}" for i in range(p.vnis)]
    return Scenario(
        config=make(p, tunnels=tunnels, vnis=vnis, entries=entries),
        tenant=frames,
        underlay_out=None,
        check=destinations(wanted),
    )


# Rule 4: the MTU.


@rule
def encap_4_mtu(p):
    # 20 + 8 + 8 + 1464 = 1500: the outer Ethernet header is not in it.
    at = [of_length(1464), of_length(1464 + 4, V10)]
    over = [of_length(1465), of_length(1465 + 4, V10)]
    return Scenario(
        config=make(p),
        tenant=[over[0], at[0], over[1], at[1]],
        counters={"mtu": 2, "vni.100.encap_frames": 1, "vni.200.encap_bytes": 1464},
        underlay_out=None,
        check=encapsulates([at[0], at[1][:12] + at[1][16:]], ip_length=1500),
    )


@rule
def encap_4_mtu_does_not_count_an_outer_vlan_tag(p):
    frame = of_length(1464)
    return through(p, [frame], [{"tci": 100, "ip_length": 1500}], vlan=100)


@rule
def encap_4_mtu_smallest_and_largest(p):
    small = of_length(68 - 36)
    scenario = through(p, [small], [{"ip_length": 68}], vtep={"underlay_mtu": 68})
    scenario.tenant = [of_length(68 - 35), small, of_length(p.max_frame_length)]
    scenario.counters = {"mtu": 2}
    return scenario


@rule(when=has_ipv6)
def encap_4_mtu_each_copy_judged_on_its_own(p):
    tunnels = [
        tunnel(p, "a6", "fd00::2"),
        tunnel(p, "b4", "10.0.0.2"),
        tunnel(p, "c6", "fd00::3"),
        tunnel(p, "d4", "10.0.0.3"),
    ]
    config = make(p, tunnels=tunnels, vnis=[vni(200, 0, ["a6", "b4", "c6", "d4"])])

    def check(outputs):
        assert [e.dst_ip for e in sent(outputs)] == [
            "fd00::2",
            "10.0.0.2",
            "fd00::3",
            "10.0.0.3",
            "10.0.0.2",
            "10.0.0.3",
        ]

    return Scenario(
        config=config,
        tenant=[of_length(1444), of_length(1445), of_length(1465)],
        counters={"mtu": 2 + 4, "vni.200.encap_frames": 6, "tunnel.a6.encap_frames": 1},
        underlay_out=None,
        check=check,
    )


# Rule 5: the outer headers.


@rule
def encap_5_ethernet_addresses_and_no_tag(p):
    return through(
        p,
        [inner()],
        [{"dst": mac("02:aa:00:00:00:02"), "src": mac(OWN_MAC), "tci": None, "version": 4}],
        remote_mac="02:aa:00:00:00:02",
    )


@rule
def encap_5_whole_frame_byte_by_byte(p):
    frame = ethernet(BROADCAST, HOST_A, 0x88B5, b"abc")
    port = 49152 + toeplitz(BROADCAST + HOST_A + b"\x88\xb5") % (1 << 14)
    packet = ipv4(
        OWN_IPV4,
        "10.0.0.2",
        UDP,
        struct.pack(">HHHHII", port, 4789, 16 + len(frame), 0, 0x08000000, 200 << 8) + frame,
    )
    outer = ethernet(mac("02:00:00:00:01:d8"), mac(OWN_MAC), IPV4, packet)
    return Scenario(
        config=make(p, tunnels=[tunnel(p, "leaf2", "10.0.0.2", remote_mac="02:00:00:00:01:d8")]),
        tenant=[frame],
        underlay_out=[outer],
    )


@rule
def encap_5_outer_vlan_has_priority_0(p):
    return through(p, [inner(tos=0xFF)], [{"tci": 4094}], vlan=4094, dscp="inherit")


@rule(when=has_ipv6)
def encap_5_outer_vlan_over_ipv6(p):
    return through6(p, [inner(), of_length(14)], [{"tci": 1, "version": 6}] * 2, vlan=1)


@rule(when=has_ipv6)
def encap_5_multicast_remotes(p):
    tunnels = [
        tunnel(p, "g4", "239.1.2.3", remote_mac="01:00:5e:01:02:03"),
        tunnel(p, "g6", "ff05::1:2", remote_mac="33:33:00:01:00:02"),
    ]

    def check(outputs):
        got = sent(outputs)
        assert [(e.dst_ip, e.dst.hex()) for e in got] == [("239.1.2.3", "01005e010203"), ("ff05::1:2", "333300010002")]

    return Scenario(
        config=make(p, tunnels=tunnels, vnis=[vni(200, 0, ["g4", "g6"])]),
        tenant=[inner()],
        underlay_out=None,
        check=check,
    )


@rule
def encap_5_trailing_padding_is_part_of_the_inner_frame(p):
    frame = ethernet(HOST_B, HOST_A, IPV4, ipv4("192.168.7.1", "192.168.7.2", ICMP, b"") + bytes(26))
    return through(p, [frame], [{"inner": frame}])


def v6(*, tags=(), next_header=TCP, body=None, **ip) -> bytes:
    body = l4(TCP, 1025, 80) if body is None else body
    return ethernet(HOST_B, HOST_A, IPV6, ipv6("fd01::1", "fd01::2", next_header, body, **ip), tags=tags)


@rule
def encap_5_dscp_fixed(p):
    frames = [inner(), inner(tos=46 << 2), v6(traffic_class=10 << 2), of_length(60)]
    return through(p, frames, [{"dscp": 63}] * 4, dscp=63)


@rule
def encap_5_dscp_inherit(p):
    codes = [0, 1, 8, 46, 63]
    frames = [inner(tos=c << 2) for c in codes] + [v6(traffic_class=c << 2) for c in codes] + [of_length(60)]
    return through(p, frames, [{"dscp": c} for c in [*codes, *codes, 0]], dscp="inherit")


@rule(when=has_ipv6)
def encap_5_dscp_inherit_over_ipv6(p):
    codes = [0, 1, 8, 46, 63]
    frames = [inner(tos=c << 2) for c in codes] + [v6(traffic_class=c << 2) for c in codes] + [of_length(60)]
    return through6(p, frames, [{"dscp": c} for c in [*codes, *codes, 0]], dscp="inherit")


def _ecn(p, mode: str, wanted: list[int], make_scenario=through):
    frames = [inner(tos=0x50 | e) for e in range(4)] + [v6(traffic_class=0x50 | e) for e in range(4)] + [of_length(60)]
    return make_scenario(p, frames, [{"ecn": e, "dscp": 5} for e in [*wanted, *wanted, 0]], ecn=mode, dscp=5)


@rule
def encap_5_ecn_copy(p):
    return _ecn(p, "copy", [0, 1, 2, 3])


@rule
def encap_5_ecn_zero(p):
    return _ecn(p, "zero", [0, 0, 0, 0])


@rule
def encap_5_ecn_linux_ce_becomes_ect0(p):
    return _ecn(p, "linux", [0, 1, 2, 2])


@rule(when=has_ipv6)
def encap_5_ecn_copy_over_ipv6(p):
    return _ecn(p, "copy", [0, 1, 2, 3], through6)


@rule(when=has_ipv6)
def encap_5_ecn_zero_over_ipv6(p):
    return _ecn(p, "zero", [0, 0, 0, 0], through6)


@rule(when=has_ipv6)
def encap_5_ecn_linux_over_ipv6(p):
    return _ecn(p, "linux", [0, 1, 2, 2], through6)


@rule
def encap_5_df_set_and_id_0(p):
    frames = [inner(flags=0, ident=7), inner(flags=2), v6(), of_length(60)]
    return through(p, frames, [{"df": 1, "ident": 0}] * 4, df="set")


def _rising(outputs: Outputs, wanted: list[int | None]) -> None:
    """IDs rise by one from packet to packet where ``wanted`` counts, and are 0 where it is None."""
    ids = [e.ident for e in sent(outputs)]
    first = next(i for i, n in zip(ids, wanted, strict=True) if n is not None)
    assert ids == [0 if n is None else (first + n) & 0xFFFF for n in wanted], ids


@rule
def encap_5_df_unset_and_id_counts_per_tunnel(p):
    config = make(
        p,
        tunnels=[tunnel(p, f"leaf{i}", f"10.0.0.{i}", df="unset") for i in (2, 3)],
        vnis=[vni(100, 10, ["leaf2"]), vni(200, 0, ["leaf3"])],
    )
    frames = [inner(tags=V10), inner(), inner(tags=V10), v6(tags=V10), of_length(60), inner(flags=2, tags=V10)]

    def check(outputs):
        got = sent(outputs)
        assert all(e.df == 0 for e in got)
        for name, count in (("10.0.0.2", 4), ("10.0.0.3", 2)):
            ids = [e.ident for e in got if e.dst_ip == name]
            assert ids == [(ids[0] + n) & 0xFFFF for n in range(count)]

    return Scenario(config=config, tenant=frames, underlay_out=None, check=check)


@rule
def encap_5_df_inherit(p):
    frames = [
        inner(flags=2),
        inner(flags=0),
        v6(),
        of_length(60),
        inner(flags=1),
        inner(flags=4),
        inner(flags=6),
        inner(flags=0, offset=8),
    ]
    scenario = through(p, frames, [{"df": d} for d in (1, 0, 1, 0, 0, 0, 1, 0)], df="inherit")
    fields_hold = scenario.check

    def check(outputs):
        fields_hold(outputs)
        _rising(outputs, [None, 0, None, 1, 2, 3, None, 4])

    return replace(scenario, check=check)


@rule
def encap_5_id_does_not_count_dropped_copies(p):
    frames = [inner(), of_length(1465), inner(), of_length(1464), inner()]
    config = make(p, tunnels=[tunnel(p, "leaf2", "10.0.0.2", df="unset")])
    return Scenario(
        config=config,
        tenant=frames,
        counters={"mtu": 1},
        underlay_out=None,
        check=lambda outputs: _rising(outputs, [0, 1, 2, 3]),
    )


@rule
def encap_5_ttl_fixed(p):
    frames = [inner(ttl=3), v6(hop_limit=4), of_length(60)]
    return through(p, frames, [{"ttl": 255}] * 3, ttl=255)


@rule
def encap_5_ttl_inherit(p):
    frames = [inner(ttl=t) for t in (1, 64, 255, 0)] + [v6(hop_limit=t) for t in (1, 64, 255, 0)] + [of_length(60)]
    return through(p, frames, [{"ttl": t} for t in (1, 64, 255, 0, 1, 64, 255, 0, 64)], ttl="inherit")


@rule(when=has_ipv6)
def encap_5_hop_limit_inherit_over_ipv6(p):
    frames = [inner(ttl=9), v6(hop_limit=8), of_length(60)]
    return through6(p, frames, [{"ttl": 9}, {"ttl": 8}, {"ttl": 64}], ttl="inherit")


@rule(when=has_ipv6)
def encap_5_hop_limit_fixed_over_ipv6(p):
    return through6(p, [inner(ttl=9), of_length(60)], [{"ttl": 1}] * 2, ttl=1)


@rule
def encap_5_udp_port_of_vtep_and_of_tunnel(p):
    tunnels = [tunnel(p, "a", "10.0.0.2"), tunnel(p, "b", "10.0.0.3", udp_port=8472)]
    config = make(p, vtep={"udp_port": 4790}, tunnels=tunnels, vnis=[vni(200, 0, ["a", "b"])])

    def check(outputs):
        assert [e.dport for e in sent(outputs)] == [4790, 8472]

    return Scenario(config=config, tenant=[inner()], underlay_out=None, check=check)


@rule
def encap_5_df_unset_whatever_the_inner_packet_says(p):
    frames = [inner(flags=0), inner(flags=2), v6(), of_length(60)]
    return through(p, frames, [{"df": 0}] * 4, df="unset")


@rule(when=has_ipv6)
def encap_5_udp_port_of_a_tunnel_over_ipv6(p):
    return through6(p, [inner(), of_length(60)], [{"dport": 4790}] * 2, udp_port=4790)


@rule
def encap_5_ipv4_header_checksum_over_many_values(p):
    # read_encapsulated holds it; lengths, TTLs and ToS values make the sum carry in many ways.
    frames = [inner(ttl=i * 37 & 0xFF, tos=i * 53 & 0xFC, payload=bytes(i)) for i in range(40)]
    return through(p, frames, [{"ttl": i * 37 & 0xFF} for i in range(40)], ttl="inherit", dscp="inherit", df="unset")


@rule
def encap_5_udp_checksum_zero_by_default_over_ipv4(p):
    return through(p, [inner(), of_length(60)], [{"udp_checksum": 0}] * 2)


@rule(when=has_udp_checksum)
def encap_5_udp_checksum_computed_over_ipv4(p):
    frames = [inner(payload=bytes(range(n))) for n in range(70)] + [of_length(14), of_length(1001)]
    scenario = through(p, frames, [{}] * 72, udp_checksum=True)
    fields_hold = scenario.check

    def check(outputs):
        fields_hold(outputs)  # read_encapsulated holds those that are not zero
        assert all(e.udp_checksum for e in sent(outputs))

    return replace(scenario, check=check)


@rule(when=has_both)
def encap_5_udp_checksum_computed_over_ipv6_by_default(p):
    frames = [inner(payload=bytes(range(n))) for n in range(70)] + [of_length(14), of_length(1001)]
    scenario = through6(p, frames, [{}] * 72)
    fields_hold = scenario.check

    def check(outputs):
        fields_hold(outputs)
        assert all(e.udp_checksum for e in sent(outputs))

    return replace(scenario, check=check)


@rule(when=has_ipv6)
def encap_5_udp_checksum_zero_over_ipv6_where_configured(p):
    return through6(p, [inner(), of_length(15)], [{"udp_checksum": 0}] * 2, udp_checksum=False)


@rule(when=has_udp_checksum)
def encap_5_computed_udp_checksum_of_zero_is_sent_as_ffff(p):
    """The last two bytes of an even frame are chosen so that the sum comes out as zero."""
    head = ethernet(BROADCAST, HOST_A, 0x88B5, b"")
    port = 49152 + toeplitz(head) % (1 << 14)
    length = 8 + 8 + len(head) + 2
    covered = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(
        ">HHHHHHII", 17, length, port, 4789, length, 0, 0x08000000, 200 << 8
    )
    word = 0xFFFF - ones_sum(covered + head)
    frame = head + struct.pack(">H", word)
    near = head + struct.pack(">H", (word - 1) & 0xFFFF)
    return through(p, [frame, near], [{"udp_checksum": 0xFFFF}, {"udp_checksum": 1}], udp_checksum=True)


# The flow hash, against the vectors that Microsoft published for RSS, and by the rules of what it covers.

RSS_IPV4 = [
    # destination, destination port, source, source port, hash of addresses, hash with ports
    ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x323E8FC2, 0x51CCC178),
    ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xD718262A, 0xC626B0EA),
    ("12.22.207.184", 38024, "24.19.198.95", 12898, 0xD2D0A5DE, 0x5C2B394A),
    ("209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xAFC7327F),
    ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x5D1809C5, 0x10E828A2),
]
RSS_IPV6 = [
    ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2CC18CD5, 0x40207D3D),
    ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0F0C461C, 0xDDE51BBF),
    ("fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4B61E985, 0x02D1FEEF),
]


def hashed(frames_and_hashes, *, base=0, bits=16):
    frames_and_hashes = list(frames_and_hashes)
    frames = [frame for frame, _ in frames_and_hashes]
    return frames, [{"sport": base + value % (1 << bits)} for _, value in frames_and_hashes]


def rss_frames():
    for dst, dport, src, sport, plain, ported in RSS_IPV4:
        for protocol in (TCP, UDP, SCTP):
            yield ethernet(HOST_B, HOST_A, IPV4, ipv4(src, dst, protocol, l4(protocol, sport, dport))), ported
        yield ethernet(HOST_B, HOST_A, IPV4, ipv4(src, dst, ICMP, l4(TCP, sport, dport))), plain
    for dst, dport, src, sport, plain, ported in RSS_IPV6:
        for protocol in (TCP, UDP, SCTP):
            yield ethernet(HOST_B, HOST_A, IPV6, ipv6(src, dst, protocol, l4(protocol, sport, dport))), ported
        yield ethernet(HOST_B, HOST_A, IPV6, ipv6(src, dst, 58, l4(TCP, sport, dport))), plain


@rule
def encap_5_source_port_by_published_rss_vectors(p):
    frames, fields = hashed(rss_frames())
    return through(p, frames, fields, vtep={"source_port_base": 0, "source_port_bits": 16})


@rule
def encap_5_source_port_in_the_default_range(p):
    frames, fields = hashed(rss_frames(), base=49152, bits=14)
    return through(p, frames, fields)


@rule
def encap_5_source_port_base_and_bits(p):
    frames, fields = hashed(rss_frames(), base=1000, bits=3)
    return through(p, frames, fields, vtep={"source_port_base": 1000, "source_port_bits": 3})


@rule
def encap_5_source_port_of_0_bits_is_the_base(p):
    frames, fields = hashed(rss_frames(), base=65535, bits=0)
    return through(p, frames, fields, vtep={"source_port_base": 65535, "source_port_bits": 0})


@rule(when=has_ipv6)
def encap_5_ipv6_flow_label_is_the_low_20_bits_of_the_hash(p):
    frames = [frame for frame, _ in rss_frames()]
    return through6(p, frames, [{"flow_label": value & 0xFFFFF, "tos": 0} for _, value in rss_frames()])


@rule(when=has_ipv6)
def encap_5_source_port_over_ipv6_of_16_bits(p):
    frames, fields = hashed(rss_frames())
    return through6(p, frames, fields, vtep={"source_port_base": 0, "source_port_bits": 16})


@rule(when=has_ipv6)
def encap_5_source_port_over_ipv6_of_0_bits_is_the_base(p):
    frames, fields = hashed(rss_frames(), base=1, bits=0)
    return through6(p, frames, fields, vtep={"source_port_base": 1, "source_port_bits": 0})


def addresses4(dst="161.142.100.80", src="66.9.149.187"):
    return src, dst


PLAIN4, PORTED4 = 0x323E8FC2, 0x51CCC178
PLAIN6, PORTED6 = 0x2CC18CD5, 0x40207D3D
WIDE = {"source_port_base": 0, "source_port_bits": 16}


def ip4(protocol=TCP, body=None, tags=(), **ip):
    src, dst = addresses4()
    body = l4(TCP, 2794, 1766) if body is None else body
    return ethernet(HOST_B, HOST_A, IPV4, ipv4(src, dst, protocol, body, **ip), tags=tags)


def ip6(next_header=TCP, body=None, tags=(), **ip):
    body = l4(TCP, 2794, 1766) if body is None else body
    packet = ipv6("3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", next_header, body, **ip)
    return ethernet(HOST_B, HOST_A, IPV6, packet, tags=tags)


def ports(p, *frames_and_hashes):
    frames, fields = hashed(frames_and_hashes)
    return through(p, frames, fields, vtep=WIDE)


@rule
def encap_5_hash_of_fragments_has_no_ports(p):
    return ports(
        p,
        (ip4(flags=1), PLAIN4),
        (ip4(flags=0, offset=1), PLAIN4),
        (ip4(flags=1, offset=0x1FFF), PLAIN4),
        (ip4(flags=3), PLAIN4),
        (ip4(flags=4), PORTED4),
        (ip4(flags=0), PORTED4),
    )


@rule(when=has_ipv6)
def encap_5_flow_label_of_fragments_extension_headers_and_cut_off_ports(p):
    cases = [
        (ip4(flags=1), PLAIN4),
        (ip4(flags=0, offset=1), PLAIN4),
        (ip4()[: 34 + 3], PLAIN4),
        (ip6(next_header=44, body=bytes(8)), PLAIN6),
        (ip6()[: 54 + 3], PLAIN6),
    ]
    return through6(p, [frame for frame, _ in cases], [{"flow_label": value & 0xFFFFF} for _, value in cases])


@rule
def encap_5_hash_finds_ports_behind_ipv4_options(p):
    return ports(p, *((ip4(options=b"\x01" * 4 * n), PORTED4) for n in range(11)))


@rule
def encap_5_hash_of_ports_that_are_cut_off(p):
    whole = ip4()
    return ports(p, *((whole[: 34 + n], PLAIN4 if n < 4 else PORTED4) for n in range(6)))


@rule
def encap_5_hash_of_ports_cut_off_behind_options(p):
    whole = ip4(options=b"\x01" * 40)
    return ports(p, *((whole[: 34 + n], PLAIN4 if n < 44 else PORTED4) for n in (0, 1, 20, 39, 40, 42, 43, 44, 45)))


@rule
def encap_5_hash_of_ipv6_extension_headers_is_of_addresses_alone(p):
    ext = bytes([TCP, 0, 1, 4, 0, 0, 0, 0]) + l4(TCP, 2794, 1766)
    return ports(p, *((ip6(next_header=n, body=ext), PLAIN6) for n in (0, 43, 44, 60, 50, 51)), (ip6(), PORTED6))


@rule
def encap_5_hash_of_ipv6_ports_that_are_cut_off(p):
    whole = ip6()
    return ports(p, *((whole[: 54 + n], PLAIN6 if n < 4 else PORTED6) for n in range(6)))


@rule
def encap_5_hash_behind_up_to_two_tags_in_any_order(p):
    stacks = [(), ((STAG, 5),), ((CTAG, 0),)]
    stacks += [(a, b) for a in ((STAG, 5), (CTAG, 0)) for b in ((STAG, 6), (CTAG, 7))]
    cases = [(ip4(tags=stack), PORTED4) for stack in stacks] + [(ip6(tags=stack), PORTED6) for stack in stacks]
    return ports(p, *cases)


@rule
def encap_5_hash_behind_three_tags_is_not_ip(p):
    macs = HOST_B + HOST_A
    return ports(
        p,
        (ip4(tags=((STAG, 1), (CTAG, 2), (CTAG, 3))), toeplitz(macs + b"\x81\x00")),
        (ip6(tags=((STAG, 1), (CTAG, 2), (STAG, 3))), toeplitz(macs + b"\x88\xa8")),
    )


@rule
def encap_5_hash_of_tagged_frames_after_the_vni_tag_is_removed(p):
    """Two tags may stand behind the one that chose the VNI."""
    config = make(p, vtep=WIDE)
    frames = [ip4(tags=((CTAG, 10), (CTAG, 1), (STAG, 2))), ip6(tags=((CTAG, 10), (STAG, 1), (STAG, 2)))]

    def check(outputs):
        assert [e.sport for e in sent(outputs)] == [PORTED4 & 0xFFFF, PORTED6 & 0xFFFF]
        assert [e.vni for e in sent(outputs)] == [100, 100]

    return Scenario(config=config, tenant=frames, underlay_out=None, check=check)


@rule
def encap_5_hash_of_other_frames(p):
    macs = HOST_B + HOST_A
    arp = ethernet(HOST_B, HOST_A, ARP, bytes(46))
    tagged = ethernet(HOST_B, HOST_A, ARP, bytes(46), tags=((STAG, 9), (CTAG, 8)))
    return ports(
        p,
        (arp, toeplitz(macs + b"\x08\x06")),
        (tagged, toeplitz(macs + b"\x08\x06")),
        (ethernet(HOST_B, HOST_A, 0x88CC), toeplitz(macs + b"\x88\xcc")),
        (ethernet(HOST_B, HOST_A, 46, bytes(46)), toeplitz(macs + b"\x00\x2e")),
    )


@rule
def encap_5_what_only_looks_like_ip_is_not(p):
    """Wrong version, IHL below 5, or a fixed header that is not whole: no DSCP, TTL or DF to inherit."""
    macs = HOST_B + HOST_A
    four, six = toeplitz(macs + b"\x08\x00"), toeplitz(macs + b"\x86\xdd")
    cases = [
        (ip4(version=5), four),
        (ip4(version=6), four),
        (ip4(ihl=4), four),
        (ip4(ihl=0), four),
        (ip4()[: 14 + 19], four),
        (ip6(version=4), six),
        (ip6(version=7), six),
        (ip6()[: 14 + 39], six),
        (ip4()[:14], four),
        (ip6()[:14], six),
    ]
    frames, fields = hashed(cases)
    wanted = [f | {"ttl": 64, "tos": 0, "df": 0} for f in fields]
    return through(p, frames, wanted, vtep=WIDE, ttl="inherit", dscp="inherit", ecn="copy", df="inherit")


@rule
def encap_5_what_is_ip_needs_no_right_length_or_checksum(p):
    cases = [
        (ip4(total_length=0, ttl=7, tos=0x54, flags=2), PORTED4),
        (ip4(total_length=65535, ttl=7, tos=0x54, flags=2), PORTED4),
        (ip4(checksum=0, ttl=7, tos=0x54, flags=2), PORTED4),
        (ip6(payload_length=65535, hop_limit=7, traffic_class=0x54), PORTED6),
        (ip4(ttl=7, tos=0x54, flags=2)[: 14 + 20], PLAIN4),
        (ip6(hop_limit=7, traffic_class=0x54)[: 14 + 40], PLAIN6),
    ]
    frames, fields = hashed(cases)
    wanted = [f | {"ttl": 7, "tos": 0x54, "df": 1} for f in fields]
    return through(p, frames, wanted, vtep=WIDE, ttl="inherit", dscp="inherit", ecn="copy", df="inherit")


@rule
def encap_5_inherits_behind_tags(p):
    stacks = [((STAG, 5),), ((STAG, 5), (CTAG, 6)), ((CTAG, 0), (STAG, 5))]
    frames = [inner(ttl=9, tos=0xB9, flags=2, tags=s) for s in stacks] + [
        v6(hop_limit=9, traffic_class=0xB9, tags=s) for s in stacks
    ]
    wanted = [{"ttl": 9, "tos": 0xB9, "df": 1}] * 6
    return through(p, frames, wanted, ttl="inherit", dscp="inherit", ecn="copy", df="inherit")


@rule
def encap_5_tags_without_room_for_an_ethertype_are_no_tags(p):
    """The hash then covers the tag's own EtherType."""
    macs = HOST_B + HOST_A
    one = ethernet(HOST_B, HOST_A, IPV4, tags=((STAG, 5),))
    two = ethernet(HOST_B, HOST_A, IPV4, tags=((STAG, 5), (CTAG, 5)))
    cases = [(one[:n], toeplitz(macs + (b"\x88\xa8" if n < 18 else b"\x08\x00"))) for n in range(14, 19)]
    cases += [(two[:n], toeplitz(macs + (b"\x81\x00" if n < 22 else b"\x08\x00"))) for n in range(18, 23)]
    return ports(p, *cases)
