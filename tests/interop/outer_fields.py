"""The fields of a VXLAN packet in which two VTEPs have to agree."""

from typing import Any

from helpers.octets import ones_sum


def fields(frame: bytes) -> dict[str, Any]:
    """Fields of a VXLAN packet that have to agree: all but those that each VTEP chooses.

    Chosen are the source port (its hash), the identification and with it the header checksum, and the flow label. Of
    checksums it is told whether they are there and right.
    """
    family = frame[14] >> 4
    made: dict[str, Any] = {"ethernet": frame[:14]}
    if family == 4:
        head, start = frame[14:34], 34
        made |= {"first": head[0], "traffic class": head[1], "length": head[2:4], "flags": head[6:8], "ttl": head[8]}
        made |= {"protocol": head[9], "header checksum right": ones_sum(head) == 0xFFFF, "addresses": head[12:20]}
        pseudo = head[12:20]
    else:
        head, start = frame[14:54], 54
        made |= {"traffic class": (head[0] << 8 | head[1]) >> 4 & 0xFF, "length": head[4:6], "next": head[6]}
        made |= {"ttl": head[7], "addresses": head[8:40]}
        pseudo = head[8:40]
    udp = frame[start:]
    made |= {"port": udp[2:4], "udp length": udp[4:6], "source port in range": int.from_bytes(udp[:2]) >= 49152}
    length = int.from_bytes(udp[4:6])
    summed = ones_sum(pseudo + length.to_bytes(4) + (17).to_bytes(4) + udp[:length])
    made["udp checksum"] = "none" if udp[6:8] == b"\0\0" else "right" if summed == 0xFFFF else "wrong"
    return made | {"vxlan": udp[8:16], "inner": udp[16:]}


def differing(one: bytes, other: bytes) -> set[str]:
    """Names of the fields in which two packets do not agree."""
    mine, theirs = fields(one), fields(other)
    return {name for name in mine | theirs if mine.get(name) != theirs.get(name)}
