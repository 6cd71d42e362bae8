"""What the VTEP reads of an Ethernet frame of the overlay (SPEC.md section 3)."""

from dataclasses import dataclass

__all__ = ["Inner", "is_tagged", "parse_inner"]

DOT1Q = 0x8100
DOT1AD = 0x88A8
IPV4 = 0x0800
IPV6 = 0x86DD

MAX_TAGS = 2


@dataclass(frozen=True)
class Inner:
    """Where things are in an inner frame.

    ``ethertype`` is the one behind the tags read; ``offset`` that of the byte behind it. ``version`` is 4 or 6
    where the inner packet is IP by SPEC.md's definition, else 0.
    """

    frame: bytes
    ethertype: int
    offset: int
    version: int

    @property
    def traffic_class(self) -> int:
        """IPv4 ToS or IPv6 traffic class; 0 where the inner packet is not IP."""
        first, second = self.frame[self.offset : self.offset + 2] if self.version else (0, 0)
        return second if self.version != 6 else (first & 0xF) << 4 | second >> 4

    @property
    def ttl(self) -> int | None:
        """TTL or hop limit; None where the inner packet is not IP."""
        return self.frame[self.offset + (8 if self.version == 4 else 7)] if self.version else None

    @property
    def dont_fragment(self) -> bool:
        """The IPv4 DF bit; set for IPv6, which never fragments on the way; clear for anything else."""
        if self.version == 4:
            return bool(self.frame[self.offset + 6] & 0x40)
        return self.version == 6


def is_tagged(frame: bytes, *ethertypes: int, offset: int = 12) -> bool:
    """Whether a VLAN tag with one of ``ethertypes`` is at ``offset``, the EtherType behind it inside the frame."""
    return len(frame) >= offset + 6 and int.from_bytes(frame[offset : offset + 2]) in ethertypes


def parse_inner(frame: bytes) -> Inner:
    """Read a frame of at least 14 bytes, behind at most two VLAN tags."""
    offset = 12
    for _ in range(MAX_TAGS):
        if is_tagged(frame, DOT1Q, DOT1AD, offset=offset):
            offset += 4
    ethertype = int.from_bytes(frame[offset : offset + 2])
    offset += 2
    rest = len(frame) - offset
    version = 0
    if ethertype == IPV4 and rest >= 20 and frame[offset] >> 4 == 4 and frame[offset] & 0xF >= 5:
        version = 4
    elif ethertype == IPV6 and rest >= 40 and frame[offset] >> 4 == 6:
        version = 6
    return Inner(frame, ethertype, offset, version)
