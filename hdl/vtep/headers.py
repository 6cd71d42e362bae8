"""Every header once: its fields in network order, as data.

A `Header` names its fields with their widths; offsets follow from the order. Nothing here is logic: parsers ask for
offsets, and builders ask for the byte list of a header whose fields are given.

Sources: IEEE 802.3 clause 3 and 802.1Q (Ethernet, VLAN tag), RFC 791 (IPv4), RFC 8200 (IPv6), RFC 768 (UDP),
RFC 7348 section 5 (VXLAN).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Value, ValueLike

__all__ = [
    "ETHERNET",
    "ETHERTYPE_CTAG",
    "ETHERTYPE_IPV4",
    "ETHERTYPE_IPV6",
    "ETHERTYPE_STAG",
    "IPV4",
    "IPV6",
    "MAC_BYTES",
    "PROTOCOL_SCTP",
    "PROTOCOL_TCP",
    "PROTOCOL_UDP",
    "TAG_BYTES",
    "UDP",
    "VLAN_TAG",
    "VXLAN",
    "VXLAN_FLAG_I",
    "Header",
]

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_CTAG = 0x8100
ETHERTYPE_STAG = 0x88A8
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17
PROTOCOL_SCTP = 132
VXLAN_FLAG_I = 0x08


@dataclass(frozen=True)
class Header:
    """A header as a row of fields.

    Parameters
    ----------
    name : str
        What the header is called.
    fields : tuple of (str, int)
        Names and widths in bits, first on the wire first; whole bytes in sum.
    """

    name: str
    fields: tuple[tuple[str, int], ...]

    @property
    def length(self) -> int:
        """Bytes of the header."""
        return sum(width for _, width in self.fields) // 8

    def offset(self, field: str) -> int:
        """Number of the byte in which ``field`` begins."""
        bits = 0
        for name, width in self.fields:
            if name == field:
                return bits // 8
            bits += width
        raise KeyError(f"{self.name} has no field {field!r}")

    def pack(self, values: Mapping[str, ValueLike]) -> list[Value]:
        """Bytes of the header, first on the wire first, with ``values`` in its fields and 0 in the others."""
        unknown = set(values) - {name for name, _ in self.fields}
        if unknown:
            raise KeyError(f"{self.name} has no field {', '.join(sorted(unknown))}")
        bits = Cat(
            *(Cat(Value.cast(values.get(name, 0)), Const(0, width))[:width] for name, width in self.fields[::-1])
        )
        return [bits[8 * i : 8 * i + 8] for i in reversed(range(self.length))]


ETHERNET = Header("Ethernet", (("destination", 48), ("source", 48), ("ethertype", 16)))
MAC_BYTES = ETHERNET.offset("ethertype")
"""Bytes of the two MAC addresses in front of the EtherType or a tag."""

VLAN_TAG = Header("802.1Q tag", (("tpid", 16), ("pcp", 3), ("dei", 1), ("vid", 12)))
TAG_BYTES = VLAN_TAG.length

IPV4 = Header(
    "IPv4",
    (
        ("version", 4),
        ("ihl", 4),
        ("tos", 8),
        ("total_length", 16),
        ("identification", 16),
        ("reserved_flag", 1),
        ("df", 1),
        ("mf", 1),
        ("fragment_offset", 13),
        ("ttl", 8),
        ("protocol", 8),
        ("header_checksum", 16),
        ("source", 32),
        ("destination", 32),
    ),
)

IPV6 = Header(
    "IPv6",
    (
        ("version", 4),
        ("traffic_class", 8),
        ("flow_label", 20),
        ("payload_length", 16),
        ("next_header", 8),
        ("hop_limit", 8),
        ("source", 128),
        ("destination", 128),
    ),
)

UDP = Header("UDP", (("source_port", 16), ("destination_port", 16), ("length", 16), ("checksum", 16)))

VXLAN = Header("VXLAN", (("flags", 8), ("reserved1", 24), ("vni", 24), ("reserved2", 8)))
