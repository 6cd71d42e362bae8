"""The golden model's decapsulation of frames put together by hand: SPEC.md section 4, rule by rule."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtep_host.config import Config
from vtep_sim.golden import Frame, GoldenModel, Prediction
from vtep_sim.golden.ecn import update_checksum

from .wire import (
    BROADCAST,
    CONFIG,
    GROUP4,
    GROUP6,
    INNER,
    LEAF4,
    LEAF6,
    OWN4,
    OWN6,
    ethernet,
    ipv4,
    ipv6,
    ones_sum,
    summed,
    tag,
    udp,
    underlay4,
    underlay6,
    vxlan,
    with_vtep,
)

GOOD4 = underlay4(udp(vxlan(INNER)))
GOOD6 = underlay6(summed(udp(vxlan(INNER)), LEAF6, OWN6))


def decap(frame: bytes, config: Config = CONFIG, error: bool = False, **options: Any) -> Prediction:
    return GoldenModel(config, **options).run(underlay=[Frame(frame, error)])


def fate(frame: bytes, config: Config = CONFIG, error: bool = False, **options: Any) -> str | bytes:
    """Return the reason of a drop, "host", "fragment" for a fragment to the host, or the frame that was delivered.

    Exactly one of these happens, and nothing else is counted.
    """
    prediction = decap(frame, config, error, **options)
    counters = prediction.counters
    assert counters["underlay_rx_frames"] == 1
    assert counters["underlay_rx_bytes"] == len(frame)
    owners = ("vni.", "tunnel.")
    risen = {name for name, value in counters.items() if value and not name.startswith(owners) and "_rx_" not in name}
    if prediction.drops:
        ((port, index, reason),) = prediction.drops
        assert (port, index) == ("underlay", 0)
        assert risen == {reason}
        assert counters[reason] == 1
        assert not prediction.tenant + prediction.host
        assert not any(value for name, value in counters.items() if name.startswith(owners))
        return reason
    if prediction.host:
        assert prediction.host == [Frame(frame)]
        assert prediction.origins["host"] == [("underlay", 0)]
        assert counters["host_tx_bytes"] == len(frame)
        assert not prediction.tenant
        assert risen - {"fragment"} == {"host_tx_frames", "host_tx_bytes"}
        return "fragment" if "fragment" in risen else "host"
    (delivered,) = prediction.tenant
    assert not delivered.error
    assert prediction.origins["tenant"] == [("underlay", 0)]
    assert counters["tenant_tx_bytes"] == len(delivered.data)
    assert risen == {"tenant_tx_frames", "tenant_tx_bytes"}
    return delivered.data


def both(payload: bytes, ipv6_sum: bool = True, **fields: Any) -> list[bytes]:
    """Return the same UDP payload over both families; ``fields`` go to the UDP header."""
    datagram = udp(payload, **fields)
    over6 = summed(datagram, LEAF6, OWN6) if ipv6_sum else datagram
    return [underlay4(datagram), underlay6(over6)]


def test_a_whole_frame() -> None:
    """Written down byte by byte; the IPv4 header's other words make 0xd962, hence the checksum 0x269d."""
    inner = "52540000000a 52540000000b 0806 0001 0800 06 04 0001 52540000000b 0a010102 000000000000 0a010101"
    outer = (
        "020000000001 020000000002 0800"
        "45 00 004e 0000 4000 40 11 269d 0a000002 0a000001"
        "c000 12b5 003a 0000"
        "08 000000 000064 00"
    )
    assert fate(bytes.fromhex(outer + inner)) == bytes.fromhex(inner)


@pytest.mark.parametrize("good", [GOOD4, GOOD6])
def test_good(good: bytes) -> None:
    assert fate(good) == INNER
    # Padding behind the IP packet is cut off.
    assert fate(good + b"\xff") == INNER
    assert fate(good.ljust(200, b"\0")) == INNER


class TestRule1:
    @pytest.mark.parametrize("length", range(14))
    def test_runt(self, length: int) -> None:
        assert fate(GOOD4[:length]) == "underlay_runt"

    @pytest.mark.parametrize("limit", [128, 9600])
    def test_oversize(self, limit: int) -> None:
        assert fate(GOOD4.ljust(limit, b"\0"), max_frame_length=limit) == INNER
        assert fate(GOOD4.ljust(limit + 1, b"\0"), max_frame_length=limit) == "underlay_oversize"

    @pytest.mark.parametrize("cut_through", [False, True])
    def test_error(self, cut_through: bool) -> None:
        for frame in (GOOD4, GOOD6, ethernet(0x0806, bytes(46), destination=BROADCAST), underlay4(b"", flags=1)):
            assert fate(frame, error=True, decap_cut_through=cut_through) == "underlay_error"

    def test_order(self) -> None:
        assert fate(GOOD4[:13], error=True) == "underlay_runt"
        assert fate(bytes(129), error=True, max_frame_length=128) == "underlay_oversize"


class TestRule2:
    def test_not_mine(self) -> None:
        assert fate(underlay4(udp(vxlan(INNER)), destination_mac=bytes.fromhex("020000000009"))) == "not_mine"
        assert fate(bytes.fromhex("020000000009") + GOOD6[6:]) == "not_mine"
        assert fate(bytes(60)) == "not_mine"

    def test_group(self) -> None:
        for mac in (BROADCAST, bytes.fromhex("01005e010101"), bytes.fromhex("030000000001")):
            assert fate(underlay4(udp(vxlan(INNER)), destination_mac=mac)) == INNER

    def test_promiscuous(self) -> None:
        config = with_vtep(promiscuous=True)
        assert fate(bytes.fromhex("020000000009") + GOOD4[6:], config) == INNER
        assert fate(bytes.fromhex("020000000009") + ethernet(0x0806, bytes(46))[6:], config) == "host"


class TestRules3And4:
    @pytest.mark.parametrize("tpid", [0x8100, 0x88A8])
    @pytest.mark.parametrize("good", [GOOD4, GOOD6])
    def test_one_tag_is_skipped(self, tpid: int, good: bytes) -> None:
        assert fate(good[:12] + tag(4095, tpid, pcp=7) + good[12:]) == INNER

    @pytest.mark.parametrize(("first", "second"), list(product((0x8100, 0x88A8), repeat=2)))
    def test_a_second_goes_to_the_host(self, first: int, second: int) -> None:
        frame = GOOD4[:12] + tag(1, first) + tag(2, second) + GOOD4[12:]
        for length in range(18, len(frame) + 1):
            assert fate(frame[:length]) == "host"

    @pytest.mark.parametrize("ethertype", [0x0806, 0x88CC, 0x9100, 0x05DC, 0x0801, 0x86DC, 0])
    def test_other_ethertypes(self, ethertype: int) -> None:
        payload = GOOD4[14:]
        assert fate(ethernet(ethertype, payload, destination=GOOD4[:6])) == "host"
        assert fate(ethernet(ethertype, payload, destination=GOOD4[:6], tags=tag(5))) == "host"

    def test_cut_tag(self) -> None:
        """A tag is a tag only when the EtherType behind it is inside the frame; otherwise it is an EtherType."""
        frame = GOOD4[:12] + tag(5) + GOOD4[12:]
        for length in range(14, 18):
            assert fate(frame[:length]) == "host"
        assert fate(frame[:18]) == "ip_header"

    def test_build_without_ipv6(self) -> None:
        assert fate(GOOD6, ipv6=False) == "host"
        assert fate(GOOD6[:54], ipv6=False) == "host"
        assert fate(GOOD4, ipv6=False) == INNER


class TestRule5:
    @pytest.mark.parametrize("version", [0, 3, 5, 6, 12, 15])
    def test_ipv4_version(self, version: int) -> None:
        assert fate(underlay4(udp(vxlan(INNER)), version=version)) == "ip_header"

    @pytest.mark.parametrize("ihl", range(5))
    def test_ipv4_header_length(self, ihl: int) -> None:
        assert fate(underlay4(udp(vxlan(INNER)), ihl=ihl)) == "ip_header"

    @pytest.mark.parametrize("words", range(11))
    def test_ipv4_options_are_skipped(self, words: int) -> None:
        assert fate(underlay4(udp(vxlan(INNER)), options=b"\1" * 4 * words)) == INNER

    @pytest.mark.parametrize("words", [0, 1, 10])
    def test_ipv4_cut_at_every_byte(self, words: int) -> None:
        frame = underlay4(udp(vxlan(INNER)), options=b"\1" * 4 * words)
        for length in range(14, len(frame)):
            expected = "ip_header" if length < 14 + 20 + 4 * words else "ip_length"
            assert fate(frame[:length]) == expected

    def test_every_wrong_bit_of_an_ipv4_header(self) -> None:
        """Any is seen, in options too; a wrong version, or an IHL of 2 or 4 for 6, as a wrong header."""
        for bit in range(8 * 24):
            frame = bytearray(underlay4(udp(vxlan(INNER)), options=b"\1\2\3\4"))
            frame[14 + bit // 8] ^= 0x80 >> bit % 8
            assert fate(bytes(frame)) == ("ip_header" if bit in (0, 1, 2, 3, 5, 6) else "ip_checksum")

    def test_ipv4_checksum_of_either_zero(self) -> None:
        """RFC 1071 has two zeros: where one is the right checksum, so is the other."""
        frame = bytearray(GOOD4)
        frame[24:26] = b"\0\0"
        frame[18:20] = (0xFFFF - ones_sum(bytes(frame[14:34]))).to_bytes(2, "big")
        assert fate(bytes(frame)) == INNER
        frame[24:26] = b"\xff\xff"
        assert fate(bytes(frame)) == INNER
        frame[24:26] = b"\0\1"
        assert fate(bytes(frame)) == "ip_checksum"

    @pytest.mark.parametrize("options", [b"", b"\1" * 8])
    def test_ipv4_total_length(self, options: bytes) -> None:
        datagram = udp(vxlan(INNER))
        header = 20 + len(options)
        whole = header + len(datagram)
        for length in (0, 19, header - 1, whole + 1, 0xFFFF):
            assert fate(underlay4(datagram, options=options, length=length)) == "ip_length"
        for length in range(header, header + 8):
            assert fate(underlay4(datagram, options=options, length=length)) == "udp_length"
        assert fate(underlay4(datagram, options=options, length=whole - 1)) == "udp_length"
        # Padding may make a length right that is beyond what was sent.
        assert fate(underlay4(datagram, options=options, length=whole + 5) + bytes(5)) == INNER
        assert fate(underlay4(datagram, options=options, length=whole + 5) + bytes(4)) == "ip_length"

    @pytest.mark.parametrize("version", [0, 4, 5, 7, 14])
    def test_ipv6_version(self, version: int) -> None:
        assert fate(underlay6(GOOD6[54:], version=version)) == "ip_header"

    def test_ipv6_cut_at_every_byte(self) -> None:
        for length in range(14, len(GOOD6)):
            assert fate(GOOD6[:length]) == ("ip_header" if length < 54 else "ip_length")

    def test_ipv6_payload_length(self) -> None:
        datagram = GOOD6[54:]
        for length in (len(datagram) + 1, 0xFFFF):
            assert fate(underlay6(datagram, length=length)) == "ip_length"
        for length in (*range(8), len(datagram) - 1):
            assert fate(underlay6(datagram, length=length)) == "udp_length"
        assert fate(underlay6(datagram, length=len(datagram) + 3) + bytes(3)) == INNER

    def test_order(self) -> None:
        """Header before checksum, checksum before length, all before the address."""
        assert fate(underlay4(b"", version=5, checksum=0)) == "ip_header"
        assert fate(underlay4(b"", length=19, checksum=0)) == "ip_checksum"
        assert fate(underlay4(b"", length=19, destination="10.9.9.9")) == "ip_length"
        assert fate(underlay4(b"", length=21, protocol=1)) == "ip_length"


class TestRule6:
    @pytest.mark.parametrize("destination", ["10.0.0.2", "10.0.0.255", "224.0.0.1", "239.1.1.2", "255.255.255.255"])
    def test_ipv4_not_ours(self, destination: str) -> None:
        frame = underlay4(udp(vxlan(INNER)), destination=destination)
        assert fate(frame) == "host"
        assert fate(frame, with_vtep(promiscuous=True)) == INNER

    @pytest.mark.parametrize("destination", ["fd00::2", "ff02::1", "ff05::101", "::ffff:10.0.0.1"])
    def test_ipv6_not_ours(self, destination: str) -> None:
        frame = underlay6(summed(udp(vxlan(INNER)), LEAF6, destination), destination=destination)
        assert fate(frame) == "host"
        assert fate(frame, with_vtep(promiscuous=True)) == INNER

    def test_groups_of_our_tunnels(self) -> None:
        assert fate(underlay4(udp(vxlan(INNER)), destination=GROUP4)) == INNER
        assert fate(underlay6(summed(udp(vxlan(INNER)), LEAF6, GROUP6), destination=GROUP6)) == INNER

    def test_no_own_ipv6_address(self) -> None:
        config = replace(with_vtep(ipv6=None), tunnels=CONFIG.tunnels[::2], vnis=CONFIG.vnis[1:], fdb=())
        for destination in (OWN6, "::"):
            frame = underlay6(summed(udp(vxlan(INNER, vni=200)), LEAF6, destination), destination=destination)
            assert fate(frame, config) == "host"


class TestRules7And8:
    @pytest.mark.parametrize("protocol", [0, 1, 2, 6, 16, 18, 89, 136, 255])
    def test_not_udp(self, protocol: int) -> None:
        assert fate(underlay4(udp(vxlan(INNER)), protocol=protocol)) == "host"
        assert fate(underlay6(GOOD6[54:], next_header=protocol)) == "host"
        # Its fragments are not counted.
        assert fate(underlay4(udp(vxlan(INNER)), protocol=protocol, flags=0x2000)) == "host"

    def test_ipv6_extension_headers_are_not_walked(self) -> None:
        for next_header in (0, 43, 44, 60):
            assert fate(underlay6(b"\x11\0\0\0\0\0\0\0" + GOOD6[54:], next_header=next_header)) == "host"

    @pytest.mark.parametrize("flags", [0x2000, 0x0001, 0x1000, 0x1FFF, 0x3000, 0xFFFF])
    def test_fragment(self, flags: int) -> None:
        assert fate(underlay4(udp(vxlan(INNER)), flags=flags)) == "fragment"
        assert fate(underlay4(b"", flags=flags)) == "fragment"

    @pytest.mark.parametrize("flags", [0x4000, 0x8000, 0xC000])
    def test_no_fragment(self, flags: int) -> None:
        assert fate(underlay4(udp(vxlan(INNER)), flags=flags)) == INNER


class TestRule9:
    @pytest.mark.parametrize("length", range(8))
    def test_no_whole_udp_header(self, length: int) -> None:
        assert fate(underlay4(udp()[:length])) == "udp_length"
        assert fate(underlay6(udp()[:length])) == "udp_length"

    @pytest.mark.parametrize("port", [0, 4788, 4790, 8472, 0xB512])
    def test_another_port(self, port: int) -> None:
        for frame in both(vxlan(INNER), destination=port):
            assert fate(frame) == "host"
        # Whatever else is wrong with such a datagram is the host's business.
        for frame in both(b"", ipv6_sum=False, destination=port, length=3, checksum=5):
            assert fate(frame) == "host"

    def test_configured_port(self) -> None:
        for frame in both(vxlan(INNER), destination=8472):
            assert fate(frame, with_vtep(udp_port=8472)) == INNER
        for frame in both(vxlan(INNER)):
            assert fate(frame, with_vtep(udp_port=8472)) == "host"

    @pytest.mark.parametrize("length", [*range(16), -1, 0xFFFF])
    def test_length(self, length: int) -> None:
        payload = vxlan(INNER)
        wrong = len(payload) + 9 if length == -1 else length
        for frame in both(payload, ipv6_sum=False, length=wrong):
            assert fate(frame) == "udp_length"

    def test_bytes_behind_the_datagram_are_cut_off(self) -> None:
        datagram = udp(vxlan(INNER))
        assert fate(underlay4(datagram + b"behind")) == INNER
        assert fate(underlay4(summed(datagram, LEAF4, OWN4) + b"behind")) == INNER
        assert fate(underlay6(summed(datagram, LEAF6, OWN6) + b"behind")) == INNER

    def test_least_length(self) -> None:
        for frame in both(vxlan(b"")):
            assert fate(frame) == "inner_runt"


class TestRule10:
    def test_right(self) -> None:
        for inner in (INNER, INNER + b"odd"):
            assert fate(underlay4(summed(udp(vxlan(inner)), LEAF4, OWN4))) == inner
            assert fate(underlay6(summed(udp(vxlan(inner)), LEAF6, OWN6))) == inner

    @pytest.mark.parametrize("at", [0, 6, 8, 15, 16, 30, -1])
    def test_wrong(self, at: int) -> None:
        for make, source, own in ((underlay4, LEAF4, OWN4), (underlay6, LEAF6, OWN6)):
            datagram = bytearray(summed(udp(vxlan(INNER, reserved2=1)), source, own))
            assert fate(make(bytes(datagram))) == INNER
            datagram[at] ^= 0x01
            wrong = make(bytes(datagram))
            assert fate(wrong) == "udp_checksum"
            assert fate(wrong, with_vtep(udp_checksum_rx="ignore")) != "udp_checksum"

    def test_pseudo_header_counts(self) -> None:
        assert fate(underlay4(summed(udp(vxlan(INNER)), LEAF4, OWN4), source="10.0.0.3")) == "udp_checksum"
        assert fate(underlay6(summed(udp(vxlan(INNER)), LEAF6, OWN6), source="fd00::3")) == "udp_checksum"
        over_group = underlay4(summed(udp(vxlan(INNER)), LEAF4, OWN4), destination=GROUP4)
        assert fate(over_group) == "udp_checksum"

    def test_zero(self) -> None:
        zero = underlay6(udp(vxlan(INNER)))
        assert fate(underlay4(udp(vxlan(INNER)))) == INNER
        assert fate(zero) == "udp_checksum"
        assert fate(zero, with_vtep(udp_checksum_rx="ignore")) == "udp_checksum"
        assert fate(zero, with_vtep(udp6_zero_checksum_rx=True)) == INNER

    @pytest.mark.parametrize(("make", "source", "own"), [(underlay4, LEAF4, OWN4), (underlay6, LEAF6, OWN6)])
    def test_all_ones(self, make: Any, source: Any, own: Any) -> None:
        """0xFFFF stands for a computed zero."""
        payload = vxlan(INNER + b"\0\0")
        word = int.from_bytes(summed(udp(payload), source, own)[6:8], "big")
        datagram = summed(udp(payload[:-2] + word.to_bytes(2, "big")), source, own)
        assert datagram[6:8] == b"\xff\xff"
        assert fate(make(datagram)) == INNER + word.to_bytes(2, "big")


class TestRule11:
    @pytest.mark.parametrize("flags", [0x00, 0xF7, 0x04, 0x10])
    def test_no_i_flag(self, flags: int) -> None:
        for frame, mode in product(both(vxlan(INNER, flags=flags)), ("ignore", "strict")):
            assert fate(frame, with_vtep(reserved_bits=mode)) == "vxlan_flags"

    @pytest.mark.parametrize("bit", [i for i in range(64) if i != 4 and not 32 <= i < 56])
    def test_every_reserved_bit(self, bit: int) -> None:
        payload = bytearray(vxlan(INNER))
        payload[bit // 8] ^= 0x80 >> bit % 8
        for frame in both(bytes(payload)):
            assert fate(frame) == INNER
            assert fate(frame, with_vtep(reserved_bits="strict")) == "vxlan_reserved"

    def test_strict_and_clean(self) -> None:
        assert fate(GOOD4, with_vtep(reserved_bits="strict")) == INNER


class TestRules12To14:
    @pytest.mark.parametrize("vni", [0, 99, 101, 0x640000, 0xFFFFFF])
    def test_unknown_vni(self, vni: int) -> None:
        for frame in both(vxlan(INNER, vni=vni)):
            assert fate(frame) == "unknown_vni"
            assert fate(frame, with_vtep(promiscuous=True)) == "unknown_vni"
        for frame in both(vxlan(b"", vni=vni)):
            assert fate(frame) == "unknown_vni"

    @pytest.mark.parametrize("length", range(14))
    def test_inner_runt(self, length: int) -> None:
        for frame in both(vxlan(INNER[:length])):
            assert fate(frame) == "inner_runt"
            assert fate(frame + bytes(60)) == "inner_runt"

    def test_least_inner_frame(self) -> None:
        for frame in both(vxlan(INNER[:14])):
            assert fate(frame) == INNER[:14]

    @pytest.mark.parametrize(("tpid", "vid"), [(0x8100, 9), (0x8100, 0), (0x88A8, 9)])
    def test_inner_vlan(self, tpid: int, vid: int) -> None:
        inner = ethernet(0x88B5, b"tagged", tags=tag(vid, tpid))
        for passes, discards in zip(both(vxlan(inner)), both(vxlan(inner, vni=300)), strict=True):
            assert fate(passes) == inner
            assert fate(discards) == "inner_vlan"
        for length in range(14, 18):  # a cut tag is no tag
            for frame in both(vxlan(inner[:length], vni=300)):
                assert fate(frame) == inner[:12] + tag(30) + inner[12:length]


FIGURE_4 = {
    # Outer ECN: what becomes of inner Not-ECT, ECT(1), ECT(0), CE (None: dropped). RFC 6040 figure 4.
    0b00: (0b00, 0b01, 0b10, 0b11),
    0b01: (0b00, 0b01, 0b01, 0b11),
    0b10: (0b00, 0b01, 0b10, 0b11),
    0b11: (None, 0b11, 0b11, 0b11),
}


class TestRule15:
    @pytest.mark.parametrize("tags", [b"", tag(9), tag(9, 0x88A8) + tag(0), tag(9) * 3])
    @pytest.mark.parametrize(("outer", "ecn"), list(product(range(4), repeat=2)))
    def test_figure_4(self, tags: bytes, outer: int, ecn: int) -> None:
        expected = ecn if len(tags) > 8 else FIGURE_4[outer][ecn]  # behind three tags, nothing is read
        for dscp in (0, 63):
            inner4 = ethernet(0x0800, ipv4(b"data", tos=dscp << 2 | ecn), tags=tags)
            inner6 = ethernet(0x86DD, ipv6(b"data", traffic_class=dscp << 2 | ecn, flow_label=0xABCDE), tags=tags)
            if expected is None:
                out4 = out6 = None
            else:
                out4 = ethernet(0x0800, ipv4(b"data", tos=dscp << 2 | expected), tags=tags)
                out6 = ethernet(
                    0x86DD, ipv6(b"data", traffic_class=dscp << 2 | expected, flow_label=0xABCDE), tags=tags
                )
            for inner, out in ((inner4, out4), (inner6, out6)):
                datagram = udp(vxlan(inner))
                over6 = summed(datagram, LEAF6, OWN6)
                for tos in (outer, 0xFC | outer):
                    assert fate(underlay4(datagram, tos=tos)) == (out or "ecn")
                    assert fate(underlay6(over6, traffic_class=tos)) == (out or "ecn")

    def test_not_ip_has_no_ecn(self) -> None:
        for inner in (INNER, ethernet(0x0800, ipv4(version=6)), ethernet(0x86DD, ipv6(version=4)), INNER[:14]):
            assert fate(underlay4(udp(vxlan(inner)), tos=3)) == inner

    @pytest.mark.parametrize(
        ("inner", "whole"),
        [(ethernet(0x0800, ipv4(b"12")), 34), (ethernet(0x86DD, ipv6(b"12"), tags=tag(5)), 58)],
    )
    def test_inner_header_cut_at_every_byte(self, inner: bytes, whole: int) -> None:
        for length in range(14, len(inner) + 1):
            expected = "ecn" if length >= whole else inner[:length]
            assert fate(underlay4(udp(vxlan(inner[:length])), tos=3)) == expected

    def test_a_wrong_inner_checksum_stays_wrong(self) -> None:
        for checksum in (0, 1, 0xFFFE, 0xFFFF, 0x1234):
            inner = ethernet(0x0800, ipv4(b"data", tos=2, checksum=checksum))
            out = fate(underlay4(udp(vxlan(inner)), tos=3))
            assert isinstance(out, bytes)
            assert out[15] == 3
            # The header is as far from right as before.
            before, after = ones_sum(inner[14:34]), ones_sum(out[14:34])
            assert before % 0xFFFF == after % 0xFFFF
            assert out[16:24] + out[26:] == inner[16:24] + inner[26:]

    def test_example_of_rfc_1624(self) -> None:
        """Section 4: the header checksum 0xDD2F, and a field 0x5555 becomes 0x3285: the new checksum is 0x0000."""
        assert update_checksum(0xDD2F, 0x5555, 0x3285) == 0x0000

    def test_checksums_at_the_edges(self) -> None:
        """RFC 1624 equation 3 at the two zeros, by hand, for ToS 2 becoming 3 and 1."""
        assert update_checksum(0x0000, 0x4502, 0x4503) == 0xFFFE
        assert update_checksum(0xFFFF, 0x4502, 0x4503) == 0xFFFE
        assert update_checksum(0x0001, 0x4502, 0x4503) == 0x0000
        assert update_checksum(0xFFFE, 0x4502, 0x4501) == 0x0000
        assert update_checksum(0xFFFF, 0x4502, 0x4501) == 0x0001
        assert update_checksum(0x0000, 0x4502, 0x4501) == 0x0001


class TestRule16:
    def test_tag_is_pushed(self) -> None:
        for frame in both(vxlan(INNER, vni=200)):
            assert fate(frame) == INNER[:12] + bytes.fromhex("81000014") + INNER[12:]
        tagged = ethernet(0x88B5, b"x", tags=tag(20, pcp=3))
        for frame in both(vxlan(tagged, vni=200)):
            assert fate(frame) == tagged[:12] + bytes.fromhex("81000014") + tagged[12:]

    def test_counters(self) -> None:
        counters = decap(underlay4(udp(vxlan(INNER, vni=200)))).counters
        expected = {
            "underlay_rx_frames": 1,
            "underlay_rx_bytes": 50 + len(INNER),
            "tenant_tx_frames": 1,
            "tenant_tx_bytes": len(INNER) + 4,
            "vni.200.decap_frames": 1,
            "vni.200.decap_bytes": len(INNER),
            "tunnel.leaf4.decap_frames": 1,
            "tunnel.leaf4.decap_bytes": len(INNER),
        }
        assert {name: value for name, value in counters.items() if value} == expected

    def test_tunnel_is_the_first_with_that_remote(self) -> None:
        twin = replace(CONFIG.tunnels[0], name="twin")
        config = replace(CONFIG, tunnels=(*CONFIG.tunnels, twin))
        counters = decap(GOOD4, config).counters
        assert (counters["tunnel.leaf4.decap_frames"], counters["tunnel.twin.decap_frames"]) == (1, 0)
        config = replace(CONFIG, tunnels=(twin, *CONFIG.tunnels))
        counters = decap(GOOD4, config).counters
        assert (counters["tunnel.leaf4.decap_frames"], counters["tunnel.twin.decap_frames"]) == (0, 1)

    def test_source_without_tunnel(self) -> None:
        counters = decap(underlay4(udp(vxlan(INNER)), source="10.0.0.77")).counters
        assert counters["vni.100.decap_frames"] == 1
        assert not any(value for name, value in counters.items() if name.startswith("tunnel."))


@given(st.binary(max_size=120), st.sampled_from(["02", "ff"]), st.sampled_from(["0800", "86dd", "81000001", ""]))
def test_garbage_has_exactly_one_fate(data: bytes, first: str, ethertype: str) -> None:
    fate(bytes.fromhex(first + "0000000001" + "020000000002" + ethertype) + data)


@given(
    st.sampled_from([GOOD4, GOOD6]), st.lists(st.tuples(st.integers(0, 69), st.integers(0, 255)), max_size=3), st.data()
)
def test_spoiled_headers_have_exactly_one_fate(
    good: bytes, changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    frame = bytearray(good)
    for at, value in changes:
        frame[at] = value
    fate(bytes(frame[: data.draw(st.integers(0, len(frame)))]))
