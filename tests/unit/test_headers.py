"""`vtep.headers` against the drawings of the RFCs, by numbers written here by hand."""

import pytest
from amaranth.hdl import Cat, Module, Signal

from helpers.packet_bench import simulate
from vtep.headers import (
    ETHERNET,
    ETHERTYPE_CTAG,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_STAG,
    IPV4,
    IPV6,
    MAC_BYTES,
    PROTOCOL_SCTP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    TAG_BYTES,
    UDP,
    VLAN_TAG,
    VXLAN,
    VXLAN_FLAG_I,
    Header,
)


def packed(header, values):
    """The bytes that `Header.pack` makes."""
    m = Module()
    octets = header.pack(values)
    result = Signal(8 * len(octets))
    m.d.comb += result.eq(Cat(*octets))
    seen = []

    async def bench(ctx):
        seen.append(ctx.get(result).to_bytes(len(octets), "little"))

    simulate(m, bench)
    return seen[0]


def test_numbers():
    assert (ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_CTAG, ETHERTYPE_STAG) == (0x0800, 0x86DD, 0x8100, 0x88A8)
    assert (PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP) == (6, 17, 132)
    assert (MAC_BYTES, TAG_BYTES, VXLAN_FLAG_I) == (12, 4, 8)


@pytest.mark.parametrize(
    ("header", "length", "offsets"),
    [
        (ETHERNET, 14, {"destination": 0, "source": 6, "ethertype": 12}),
        (VLAN_TAG, 4, {"tpid": 0, "pcp": 2, "dei": 2, "vid": 2}),
        (
            IPV4,
            20,
            {
                "version": 0,
                "ihl": 0,
                "tos": 1,
                "total_length": 2,
                "identification": 4,
                "df": 6,
                "mf": 6,
                "ttl": 8,
                "protocol": 9,
                "header_checksum": 10,
                "source": 12,
                "destination": 16,
            },
        ),
        (
            IPV6,
            40,
            {"version": 0, "payload_length": 4, "next_header": 6, "hop_limit": 7, "source": 8, "destination": 24},
        ),
        (UDP, 8, {"source_port": 0, "destination_port": 2, "length": 4, "checksum": 6}),
        (VXLAN, 8, {"flags": 0, "reserved1": 1, "vni": 4, "reserved2": 7}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_lengths_and_offsets(header, length, offsets):
    assert header.length == length
    assert {field: header.offset(field) for field in offsets} == offsets


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        (
            ETHERNET,
            {"destination": 0x020000000002, "source": 0x525400000001, "ethertype": 0x0800},
            "020000000002 525400000001 0800",
        ),
        (VLAN_TAG, {"tpid": 0x8100, "pcp": 5, "dei": 1, "vid": 0x123}, "8100 b123"),
        (
            IPV4,
            {
                "version": 4,
                "ihl": 5,
                "tos": 0xB8,
                "total_length": 0x73,
                "identification": 0x1234,
                "df": 1,
                "fragment_offset": 0x102,
                "ttl": 64,
                "protocol": 17,
                "header_checksum": 0xB861,
                "source": 0xC0A80001,
                "destination": 0xC0A800C7,
            },
            "45b80073 12344102 4011b861 c0a80001 c0a800c7",
        ),
        (
            IPV6,
            {
                "version": 6,
                "traffic_class": 0xAB,
                "flow_label": 0x12345,
                "payload_length": 0x100,
                "next_header": 17,
                "hop_limit": 3,
                "source": 0xFD000000000000000000000000000001,
                "destination": 2,
            },
            "6ab12345 01001103 fd000000000000000000000000000001 00000000000000000000000000000002",
        ),
        (
            UDP,
            {"source_port": 0xC000, "destination_port": 4789, "length": 0x102, "checksum": 0xFFFE},
            "c000 12b5 0102 fffe",
        ),
        (VXLAN, {"flags": 8, "vni": 0x123456}, "08000000 12345600"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_packs_in_network_order(header, values, expected):
    assert packed(header, values).hex() == expected.replace(" ", "")


def test_packing_cuts_wide_values_and_widens_narrow_ones():
    header = Header("test", (("a", 4), ("b", 12)))
    assert packed(header, {"a": 0x15, "b": Signal(3, init=7)}).hex() == "5007"


def test_unknown_fields_are_refused():
    with pytest.raises(KeyError, match="IPv4 has no field 'tag'"):
        IPV4.offset("tag")
    with pytest.raises(KeyError, match="UDP has no field a, b"):
        UDP.pack({"b": 1, "a": 2, "length": 3})
