"""The golden model's encapsulation against frames put together by hand: SPEC.md section 3, rule by rule."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtep_host.config import Config, FdbEntry, Vni
from vtep_sim.golden import Frame, GoldenModel, Prediction, flow_hash
from vtep_sim.golden.inner import parse_inner

from .wire import (
    BROADCAST,
    CONFIG,
    GROUP4,
    HOST_A,
    HOST_B,
    LEAF4,
    LEAF6,
    OWN4,
    OWN6,
    REMOTE_MAC,
    VTEP_MAC,
    ethernet,
    ipv4,
    ipv6,
    ones_sum,
    tag,
    udp,
    udp_sum,
    vxlan,
    with_tunnels,
    with_vtep,
)

HOST_C = bytes.fromhex("52540000000c")


def encap(*frames: bytes, config: Config = CONFIG, **options: Any) -> Prediction:
    return GoldenModel(config, **options).run(tenant=[Frame(frame) for frame in frames])


def sent(*frames: bytes, config: Config = CONFIG, **options: Any) -> list[bytes]:
    prediction = encap(*frames, config=config, **options)
    assert not prediction.drops
    return [frame.data for frame in prediction.underlay_encap]


def dropped(frame: bytes, config: Config = CONFIG, **options: Any) -> str:
    """Return the one reason that a frame is dropped for, having seen that nothing else happens."""
    prediction = encap(frame, config=config, **options)
    ((port, index, reason),) = prediction.drops
    assert (port, index) == ("tenant", 0)
    assert not prediction.underlay_encap
    risen = {name: value for name, value in prediction.counters.items() if value}
    assert risen == {reason: 1, "tenant_rx_frames": 1, **({"tenant_rx_bytes": len(frame)} if frame else {})}
    return reason


def port_of(inner: bytes) -> int:
    return 49152 + flow_hash(parse_inner(inner)) % 16384


def outer4(inner: bytes, **fields: Any) -> bytes:
    """Return what leaf4 sends in VNI 100, by default without regard to the inner frame."""
    datagram = udp(vxlan(inner, vni=fields.pop("vni", 100)), source=fields.pop("port", port_of(inner)))
    packet = ipv4(datagram, **({"source": OWN4, "destination": LEAF4, "flags": 0x4000} | fields))
    return ethernet(0x0800, packet, destination=REMOTE_MAC, source=VTEP_MAC)


# The whole frame, written down: ARP request from 10.1.1.2 in VNI 100 to leaf4.
ARP = bytes.fromhex(
    "52540000000a 52540000000b 0806"  # to a known MAC, so that there is one copy
    "0001 0800 06 04 0001 52540000000b 0a010102 000000000000 0a010101"
)
# The Toeplitz hash of 52540000000a52540000000b0806, bit by bit, is 0x31ed327b; 49152 + (that mod 2^14) is 0xf27b. The
# words of the IPv4 header but for its checksum, 0x4500 + 0x004e + 0x4000 + 0x4011 + 0x0a00 + 0x0001 + 0x0a00 + 0x0002,
# make 0xd962, hence the checksum 0x269d.
ARP_OUTER = bytes.fromhex(
    "020000000002 020000000001 0800"
    "45 00 004e 0000 4000 40 11 269d 0a000001 0a000002"
    "f27b 12b5 003a 0000"
    "08 000000 000064 00"
)


def test_a_whole_frame() -> None:
    assert sent(ARP) == [ARP_OUTER + ARP]


def test_trailing_padding_is_carried() -> None:
    padded = ARP.ljust(60, b"\0")
    assert sent(padded) == [outer4(padded)]


class TestRule1:
    @pytest.mark.parametrize("length", range(14))
    def test_runt(self, length: int) -> None:
        assert dropped(ARP[:length]) == "tenant_runt"

    def test_least_frame(self) -> None:
        assert sent(ARP[:14]) == [outer4(ARP[:14])]

    @pytest.mark.parametrize("limit", [128, 9600])
    def test_oversize(self, limit: int) -> None:
        config = with_vtep(underlay_mtu=65535)
        longest = ARP.ljust(limit, b"\1")
        assert sent(longest, config=config, max_frame_length=limit) == [outer4(longest)]
        assert dropped(longest + b"\1", config=config, max_frame_length=limit) == "tenant_oversize"

    def test_error(self) -> None:
        prediction = GoldenModel(CONFIG).run(tenant=[Frame(ARP, error=True), Frame(ARP)])
        assert prediction.drops == [("tenant", 0, "tenant_error")]
        assert prediction.origins["underlay_encap"] == [("tenant", 1)]

    def test_runt_and_oversize_win_over_error(self) -> None:
        prediction = GoldenModel(CONFIG, max_frame_length=128).run(
            tenant=[Frame(ARP[:13], error=True), Frame(bytes(129), error=True)]
        )
        assert [reason for _, _, reason in prediction.drops] == ["tenant_runt", "tenant_oversize"]


class TestRule2:
    """Which VNI a frame belongs to, and what becomes of its tag. VNI 100 is untagged and passes tags on."""

    def test_tag_of_a_vni_is_removed(self) -> None:
        frame = ethernet(0x0806, ARP[14:], tags=tag(20, pcp=5))
        assert sent(frame) == [outer4(ARP, vni=200)]

    def test_only_one_tag_is_removed(self) -> None:
        frame = ethernet(0x0806, ARP[14:], tags=tag(20) + tag(20) + tag(30))
        inner = ethernet(0x0806, ARP[14:], tags=tag(20) + tag(30))
        assert sent(frame) == [outer4(inner, vni=200)]

    def test_priority_tag_stays(self) -> None:
        frame = ethernet(0x0806, ARP[14:], tags=tag(0, pcp=7))
        assert sent(frame) == [outer4(frame)]

    def test_service_tag_is_no_8021q_tag(self) -> None:
        frame = ethernet(0x0806, ARP[14:], tags=tag(20, tpid=0x88A8))
        assert sent(frame) == [outer4(frame)]

    def test_unknown_vid_falls_to_the_untagged_vni_that_passes(self) -> None:
        for vid in (21, 20 + 256, 20 + 2048, 4095):
            frame = ethernet(0x0806, ARP[14:], tags=tag(vid))
            assert sent(frame) == [outer4(frame)]

    def test_unknown_vid_and_the_untagged_vni_discards(self) -> None:
        config = replace(CONFIG, vnis=(Vni(id=100, inner_vlan="discard"), *CONFIG.vnis[1:]))
        assert dropped(ethernet(0x0806, ARP[14:], tags=tag(21)), config) == "no_vni"
        # That policy is for frames with a VID of their own.
        assert sent(ARP, config=config) == [outer4(ARP)]
        priority = ethernet(0x0806, ARP[14:], tags=tag(0))
        assert sent(priority, config=config) == [outer4(priority)]

    def test_no_untagged_vni(self) -> None:
        config = replace(CONFIG, vnis=CONFIG.vnis[1:], fdb=CONFIG.fdb[2:])
        for frame in (ARP, ethernet(0x0806, ARP[14:], tags=tag(0)), ethernet(0x0806, ARP[14:], tags=tag(21))):
            assert dropped(frame, config) == "no_vni"
        assert sent(ethernet(0x0806, ARP[14:], tags=tag(20)), config=config) == [outer4(ARP, vni=200)]

    @pytest.mark.parametrize("length", range(14, 18))
    def test_cut_tag_is_no_tag(self, length: int) -> None:
        frame = ethernet(0x0806, tags=tag(20))[:length]
        assert sent(frame) == [outer4(frame)]
        assert sent(ethernet(0x0806, tags=tag(20))) == [outer4(ARP[:14], vni=200)]

    def test_inner_vlan_policy_is_no_matter_of_encapsulation(self) -> None:
        frame = ethernet(0x0806, ARP[14:], tags=tag(30) + tag(9))
        assert sent(frame) == [outer4(ethernet(0x0806, ARP[14:], tags=tag(9)), vni=300)]


class TestRule3:
    def test_known_unicast(self) -> None:
        for mac, tunnel in ((HOST_A, "leaf4"), (HOST_B, "leaf6")):
            counters = encap(ethernet(0x88B5, destination=mac)).counters
            assert counters[f"tunnel.{tunnel}.encap_frames"] == counters["underlay_tx_frames"] == 1

    @pytest.mark.parametrize("destination", [BROADCAST, bytes.fromhex("01005e000001"), HOST_C])
    def test_flood_in_order(self, destination: bytes) -> None:
        frame = ethernet(0x88B5, b"x", destination=destination)
        first, second = sent(frame)
        assert first == outer4(frame)
        assert second[14] >> 4 == 6
        counters = encap(frame).counters
        assert counters["tunnel.leaf4.encap_frames"] == counters["tunnel.leaf6.encap_frames"] == 1
        assert counters["vni.100.encap_frames"] == 2
        assert counters["vni.100.encap_bytes"] == 30

    def test_group_is_never_looked_up(self) -> None:
        config = replace(CONFIG, fdb=(FdbEntry(vni=100, mac=BROADCAST, tunnel="leaf6"),))
        assert len(sent(ethernet(0x88B5, destination=BROADCAST), config=config)) == 2

    def test_only_the_group_bit_makes_a_group(self) -> None:
        mac = b"\xfe" + bytes.fromhex("ffffffffff")
        config = replace(CONFIG, fdb=(FdbEntry(vni=100, mac=mac, tunnel="leaf6"),))
        assert len(sent(ethernet(0x88B5, destination=mac), config=config)) == 1

    def test_entry_of_another_vni(self) -> None:
        """HOST_B is known in VNI 100 only."""
        frame = ethernet(0x88B5, destination=HOST_B, source=HOST_A, tags=tag(20))
        assert encap(frame).counters["tunnel.group4.encap_frames"] == 1

    def test_no_tunnel(self) -> None:
        for destination in (BROADCAST, HOST_C):
            assert dropped(ethernet(0x88B5, destination=destination, tags=tag(30))) == "no_tunnel"


class TestRule4:
    @pytest.mark.parametrize(("known", "headers"), [(HOST_A, 36), (HOST_B, 56)])
    @pytest.mark.parametrize("mtu", [100, 1500])
    def test_mtu(self, known: bytes, headers: int, mtu: int) -> None:
        config = with_vtep(underlay_mtu=mtu)
        longest = ethernet(0x88B5, destination=known).ljust(mtu - headers, b"x")
        (frame,) = sent(longest, config=config)
        assert len(frame) == 14 + mtu
        assert dropped(longest + b"x", config) == "mtu"

    def test_tag_does_not_count(self) -> None:
        """The outer tag is no part of the IP packet, and the removed one none of the inner frame."""
        inner = ethernet(0x88B5, destination=BROADCAST).ljust(64, b"x")
        (frame,) = sent(inner[:12] + tag(20) + inner[12:], config=with_vtep(underlay_mtu=100))
        assert len(frame) == 14 + 4 + 100

    def test_each_copy_is_judged_alone(self) -> None:
        config = with_vtep(underlay_mtu=100)
        frame = ethernet(0x88B5, destination=BROADCAST).ljust(64, b"x")
        prediction = encap(frame, config=config)
        assert [copy.data for copy in prediction.underlay_encap] == [outer4(frame)]
        assert prediction.drops == [("tenant", 0, "mtu")]
        prediction = encap(frame + b"x", config=config)
        assert prediction.counters["mtu"] == 2


IPV4_INNER = ethernet(0x0800, ipv4(b"ABCDEFGH", tos=0xB9, ttl=17, flags=0x4000, protocol=6))
IPV6_INNER = ethernet(0x86DD, ipv6(b"ABCDEFGH", traffic_class=0xB9, hop_limit=17))


def header_of(inner: bytes, **fields: Any) -> bytes:
    """Return the outer IPv4 header of an inner frame sent through leaf4 with other fields."""
    (frame,) = sent(inner, config=with_tunnels(**fields))
    header = frame[14:34]
    assert ones_sum(header) == 0xFFFF
    return header


class TestRule5:
    def test_ipv4_with_all_fields_default(self) -> None:
        inner = ethernet(0x0800, ipv4(b"ABCDEFGH", protocol=6))
        assert sent(inner) == [outer4(inner)]

    def test_ipv6(self) -> None:
        # A dozen flows, so that the bits of the label are 0 here and 1 there.
        for ethertype in range(0x88B5, 0x88C1):
            inner = ethernet(ethertype, b"odd", destination=HOST_B, source=HOST_A)
            (frame,) = sent(inner)
            flow = flow_hash(parse_inner(inner))
            datagram = frame[54:]
            payload = vxlan(inner)
            expected = ipv6(datagram, source=OWN6, destination=LEAF6, flow_label=flow & 0xFFFFF)
            assert frame == ethernet(0x86DD, expected, destination=REMOTE_MAC, source=VTEP_MAC)
            assert datagram == udp(payload, source=49152 + flow % 16384, checksum=int.from_bytes(datagram[6:8], "big"))
            assert udp_sum(datagram, OWN6, LEAF6) == 0xFFFF

    def test_outer_tag_and_group(self) -> None:
        inner = ethernet(0x88B5, b"group", destination=BROADCAST)
        (frame,) = sent(inner[:12] + tag(20) + inner[12:])
        datagram = udp(vxlan(inner, vni=200), source=port_of(inner))
        packet = ipv4(datagram, source=OWN4, destination=GROUP4, flags=0x4000)
        assert frame == bytes.fromhex("01005e010101 020000000001 8100 0007 0800") + packet

    @pytest.mark.parametrize("vni", [0, 1, 0xABCDEF, 0xFFFFFF])
    def test_vni(self, vni: int) -> None:
        config = replace(CONFIG, vnis=(Vni(id=vni, flood=("leaf4",)),), fdb=())
        assert sent(ARP, config=config) == [outer4(ARP, vni=vni)]

    @pytest.mark.parametrize(("base", "bits"), [(49152, 14), (0, 16), (65535, 0), (1000, 1), (40000, 10)])
    def test_source_port(self, base: int, bits: int) -> None:
        config = with_vtep(source_port_base=base, source_port_bits=bits)
        port = base + flow_hash(parse_inner(ARP)) % 2**bits
        assert sent(ARP, config=config) == [outer4(ARP, port=port)]

    def test_destination_port(self) -> None:
        (frame,) = sent(ARP, config=with_tunnels(udp_port=8472))
        assert frame[36:38] == (8472).to_bytes(2, "big")

    @pytest.mark.parametrize("inner", [IPV4_INNER, IPV6_INNER])
    @pytest.mark.parametrize(("dscp", "expected"), [(0, 0), (63, 63), (10, 10), ("inherit", 0xB9 >> 2)])
    def test_dscp(self, inner: bytes, dscp: Any, expected: int) -> None:
        assert header_of(inner, dscp=dscp)[1] >> 2 == expected

    @pytest.mark.parametrize(
        ("mode", "expected"), [("copy", (0, 1, 2, 3)), ("zero", (0, 0, 0, 0)), ("linux", (0, 1, 2, 2))]
    )
    @pytest.mark.parametrize("version", [4, 6])
    def test_ecn(self, mode: str, expected: tuple[int, ...], version: int) -> None:
        for ecn in range(4):
            if version == 4:
                inner = ethernet(0x0800, ipv4(tos=0xFC | ecn))
            else:
                inner = ethernet(0x86DD, ipv6(traffic_class=0xFC | ecn))
            assert header_of(inner, ecn=mode)[1] == expected[ecn]
            assert header_of(inner, ecn=mode, dscp="inherit")[1] == 0xFC | expected[ecn]

    @pytest.mark.parametrize("inner", [IPV4_INNER, IPV6_INNER])
    @pytest.mark.parametrize(("ttl", "expected"), [(1, 1), (255, 255), ("inherit", 17)])
    def test_ttl(self, inner: bytes, ttl: Any, expected: int) -> None:
        assert header_of(inner, ttl=ttl)[8] == expected

    @pytest.mark.parametrize(
        ("inner", "bit"),
        [
            (ethernet(0x0800, ipv4(flags=0x4000)), 1),
            (ethernet(0x0800, ipv4(flags=0xBFFF)), 0),
            (IPV6_INNER, 1),
            (ARP, 0),
        ],
    )
    def test_df(self, inner: bytes, bit: int) -> None:
        assert header_of(inner, df="set")[6:8] == b"\x40\0"
        assert header_of(inner, df="unset")[6:8] == b"\0\0"
        assert header_of(inner, df="inherit")[6:8] == bytes([bit << 6, 0])

    def test_inherited_from_a_frame_that_is_not_ip(self) -> None:
        header = header_of(ARP, ttl="inherit", dscp="inherit", ecn="copy", df="inherit")
        assert (header[1], header[8], header[6:8]) == (0, 64, b"\0\0")
        # What is fixed stays.
        header = header_of(ARP, ttl=9, dscp=46)
        assert (header[1], header[8]) == (46 << 2, 9)

    def test_inherited_over_ipv6(self) -> None:
        config = with_tunnels(ttl="inherit", dscp="inherit", ecn="linux")
        (frame,) = sent(
            IPV4_INNER.replace(HOST_A, HOST_C).replace(HOST_B, HOST_A).replace(HOST_C, HOST_B), config=config
        )
        assert frame[14:16].hex()[:3] == "6b9"
        assert frame[21] == 17

    @pytest.mark.parametrize("tags", [b"", tag(9), tag(9, 0x88A8) + tag(9), tag(9) + tag(9, 0x88A8)])
    @pytest.mark.parametrize("version", [4, 6])
    def test_fields_behind_tags(self, tags: bytes, version: int) -> None:
        inner = IPV4_INNER if version == 4 else IPV6_INNER
        header = header_of(inner[:12] + tags + inner[12:], ttl="inherit", dscp="inherit", df="inherit")
        assert (header[1], header[8], header[6]) == (0xB9, 17, 0x40)

    def test_fields_behind_three_tags_are_not_read(self) -> None:
        header = header_of(IPV4_INNER[:12] + tag(9) * 3 + IPV4_INNER[12:], ttl="inherit", dscp="inherit", df="inherit")
        assert (header[1], header[8], header[6]) == (0, 64, 0)

    @pytest.mark.parametrize(("inner", "whole"), [(IPV4_INNER, 34), (IPV6_INNER, 54)])
    def test_inner_header_cut_at_every_byte(self, inner: bytes, whole: int) -> None:
        for length in range(14, len(inner) + 1):
            header = header_of(inner[:length], ttl="inherit", dscp="inherit", df="inherit")
            expected = (0xB9, 17, 0x40) if length >= whole else (0, 64, 0)
            assert (header[1], header[8], header[6]) == expected

    def test_identification(self) -> None:
        """It counts per tunnel, and only the packets that have DF clear."""
        tunnels = (
            replace(CONFIG.tunnels[0], df="inherit"),
            CONFIG.tunnels[1],
            replace(CONFIG.tunnels[2], df="unset", vlan=0),
        )
        config = replace(CONFIG, tunnels=tunnels)
        model = GoldenModel(config)
        flood = ethernet(0x88B5, destination=BROADCAST, tags=tag(20))
        frames = [Frame(frame) for frame in (ARP, IPV4_INNER, flood, ARP, ARP, flood)]
        first = [frame.data[18:20].hex() for frame in model.run(tenant=frames).underlay_encap]
        assert first == ["0000", "0000", "0000", "0001", "0002", "0001"]
        again = [frame.data[18:20].hex() for frame in model.run(tenant=frames).underlay_encap]
        assert again == ["0003", "0000", "0002", "0004", "0005", "0003"]

    def test_identification_wraps(self) -> None:
        model = GoldenModel(with_tunnels(df="unset"))
        model.encapsulator.identification["leaf4"] = 0xFFFF
        frames = model.run(tenant=[Frame(ARP)] * 2).underlay_encap
        assert [frame.data[18:20].hex() for frame in frames] == ["ffff", "0000"]

    def test_dropped_copies_take_no_identification(self) -> None:
        model = GoldenModel(with_tunnels(df="unset"))
        frames = [Frame(ARP, error=True), Frame(ARP.ljust(1465, b"x")), Frame(ARP)]
        assert [frame.data[18:20].hex() for frame in model.run(tenant=frames).underlay_encap] == ["0000"]

    def test_marked_frames_take_an_identification_in_cut_through(self) -> None:
        model = GoldenModel(with_tunnels(df="unset"), encap_cut_through=True)
        frames = [Frame(ARP, error=True), Frame(ARP.ljust(1465, b"x"), error=True), Frame(ARP)]
        prediction = model.run(tenant=frames)
        assert [frame.data[18:20].hex() for frame in prediction.underlay_encap] == ["0001"]
        assert [reason for _, _, reason in prediction.drops] == ["tenant_error", "tenant_error"]

    @pytest.mark.parametrize(("destination", "own", "remote"), [(HOST_A, OWN4, LEAF4), (HOST_B, OWN6, LEAF6)])
    def test_udp_checksum(self, destination: bytes, own: Any, remote: Any) -> None:
        for wanted, length in product((False, True), (14, 15, 60, 61, 1400)):
            inner = ethernet(0x88B5, destination=destination).ljust(length, b"\xab")
            (frame,) = sent(inner, config=with_tunnels(udp_checksum=wanted))
            datagram = frame[14 + (20 if own == OWN4 else 40) :]
            if wanted:
                assert datagram[6:8] != b"\0\0"
                assert udp_sum(datagram, own, remote) == 0xFFFF
            else:
                assert datagram[6:8] == b"\0\0"

    @pytest.mark.parametrize(("destination", "at"), [(HOST_A, 34), (HOST_B, 54)])
    def test_computed_zero_is_sent_as_all_ones(self, destination: bytes, at: int) -> None:
        inner = ethernet(0x88B5, b"\0\0", destination=destination)
        config = with_tunnels(udp_checksum=True)
        (frame,) = sent(inner, config=config)
        # The checksum of the frame with a zero word is what that word must hold to make the sum all ones.
        (frame,) = sent(inner[:-2] + frame[at + 6 : at + 8], config=config)
        assert frame[at + 6 : at + 8] == b"\xff\xff"


@given(st.binary(min_size=14, max_size=200), st.sampled_from(["set", "unset", "inherit"]), st.booleans())
def test_headers_of_any_frame_are_right(inner: bytes, df: str, udp_checksum: bool) -> None:
    """Whatever the inner frame, every outer length and checksum is consistent, and the inner frame is inside."""
    config = with_tunnels(df=df, udp_checksum=udp_checksum, ttl="inherit", dscp="inherit")
    for frame in encap(inner, config=config).underlay_encap:
        data = frame.data
        offset = 18 if data[12:14] == b"\x81\0" else 14
        if data[offset] >> 4 == 4:
            header, rest = data[offset : offset + 20], data[offset + 20 :]
            assert ones_sum(header) == 0xFFFF
            assert int.from_bytes(header[2:4], "big") == 20 + len(rest)
            own, remote = header[12:16], header[16:20]
        else:
            header, rest = data[offset : offset + 40], data[offset + 40 :]
            assert int.from_bytes(header[4:6], "big") == len(rest)
            own, remote = header[8:24], header[24:40]
        assert int.from_bytes(rest[4:6], "big") == len(rest)
        if udp_checksum:
            assert udp_sum(rest, own, remote) == 0xFFFF
        assert rest[8:12] == b"\x08\0\0\0"
        assert rest[15] == 0
        assert rest[16:] in (inner, inner[:12] + inner[16:])
