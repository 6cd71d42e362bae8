"""The flow hash: SPEC.md section 3, "Flow hash".

The vectors are those of "Verifying the RSS Hash Calculation" in Microsoft's Windows driver documentation
(https://learn.microsoft.com/windows-hardware/drivers/network/verifying-the-rss-hash-calculation).
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtep_sim.golden import flow_hash, toeplitz
from vtep_sim.golden.inner import parse_inner

from .wire import HOST_A, HOST_B, ethernet, ipv4, ipv6, tag

KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")

# Destination and port, source and port, hash of the addresses, hash with the ports.
VECTORS = [
    ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x323E8FC2, 0x51CCC178),
    ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xD718262A, 0xC626B0EA),
    ("12.22.207.184", 38024, "24.19.198.95", 12898, 0xD2D0A5DE, 0x5C2B394A),
    ("209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xAFC7327F),
    ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x5D1809C5, 0x10E828A2),
    ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2CC18CD5, 0x40207D3D),
    ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0F0C461C, 0xDDE51BBF),
    ("fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4B61E985, 0x02D1FEEF),
]


def hash_of(frame: bytes) -> int:
    return flow_hash(parse_inner(frame))


def toeplitz_bitwise(data: bytes) -> int:
    """Microsoft's definition: for each set bit of the input, from the left, the 32 bits of the key from there on."""
    key = "".join(f"{byte:08b}" for byte in KEY)
    bits = "".join(f"{byte:08b}" for byte in data)
    result = 0
    for i, bit in enumerate(bits):
        if bit == "1":
            result ^= int(key[i : i + 32], 2)
    return result


def packet(destination: str, source: str, payload: bytes, protocol: int, **fields: Any) -> bytes:
    if ":" in source:
        return ethernet(0x86DD, ipv6(payload, source=source, destination=destination, next_header=protocol, **fields))
    return ethernet(0x0800, ipv4(payload, source=source, destination=destination, protocol=protocol, **fields))


@pytest.mark.parametrize(("destination", "to", "source", "port", "addresses_only", "with_ports"), VECTORS)
@pytest.mark.parametrize("protocol", [6, 17, 132])
def test_microsoft_vectors(
    destination: str, to: int, source: str, port: int, addresses_only: int, with_ports: int, protocol: int
) -> None:
    ports = port.to_bytes(2, "big") + to.to_bytes(2, "big")
    assert hash_of(packet(destination, source, ports, protocol)) == with_ports
    assert hash_of(packet(destination, source, ports + b"more", protocol)) == with_ports
    # The ports not present, or another protocol: the addresses alone.
    assert hash_of(packet(destination, source, ports[:3], protocol)) == addresses_only
    assert hash_of(packet(destination, source, ports, 1)) == addresses_only


@given(st.binary(max_size=36))
def test_toeplitz_by_its_definition(data: bytes) -> None:
    assert toeplitz(data) == toeplitz_bitwise(data)


def test_toeplitz_takes_no_more_than_the_key_covers() -> None:
    with pytest.raises(ValueError, match=r"0 \.\. 36 bytes, not 37"):
        toeplitz(bytes(37))


@pytest.mark.parametrize(
    "tags", [b"", tag(5), tag(0, 0x88A8), tag(5) + tag(6), tag(5, 0x88A8) + tag(6), tag(5) + tag(6, 0x88A8)]
)
def test_behind_at_most_two_tags(tags: bytes) -> None:
    destination, to, source, port, _, with_ports = VECTORS[0]
    plain = packet(destination, source, port.to_bytes(2, "big") + to.to_bytes(2, "big"), 6)
    assert hash_of(plain[:12] + tags + plain[12:]) == with_ports
    third = plain[:12] + tag(1) + tag(2) + tag(3, 0x88A8) + plain[12:]
    assert hash_of(third) == toeplitz_bitwise(third[:12] + b"\x88\xa8")


@pytest.mark.parametrize("flags", [0x2000, 0x0001, 0x1000, 0x3FFF])
def test_fragments_have_no_ports(flags: int) -> None:
    destination, to, source, port, addresses_only, _ = VECTORS[0]
    ports = port.to_bytes(2, "big") + to.to_bytes(2, "big")
    assert hash_of(packet(destination, source, ports, 17, flags=flags)) == addresses_only


@pytest.mark.parametrize("flags", [0x4000, 0x8000])
def test_other_flags_make_no_fragment(flags: int) -> None:
    destination, to, source, port, _, with_ports = VECTORS[0]
    ports = port.to_bytes(2, "big") + to.to_bytes(2, "big")
    assert hash_of(packet(destination, source, ports, 17, flags=flags)) == with_ports


def test_ports_are_behind_the_options() -> None:
    destination, to, source, port, addresses_only, with_ports = VECTORS[0]
    ports = port.to_bytes(2, "big") + to.to_bytes(2, "big")
    assert hash_of(packet(destination, source, ports, 6, options=b"\1" * 40)) == with_ports
    # A header that claims more options than the frame has: no ports, but IP all the same.
    assert hash_of(packet(destination, source, ports, 6, ihl=15)) == addresses_only


def test_ipv6_extension_headers_are_not_walked() -> None:
    destination, to, source, port, addresses_only, _ = VECTORS[5]
    ports = port.to_bytes(2, "big") + to.to_bytes(2, "big")
    for next_header in (0, 43, 44, 60):
        assert hash_of(packet(destination, source, b"\x06\0\0\0\0\0\0\0" + ports, next_header)) == addresses_only


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(0x0806, bytes(28)),
        ethernet(0x0800, ipv4(b"1234", version=5)),
        ethernet(0x0800, ipv4(b"1234", ihl=4)),
        ethernet(0x0800, ipv4()[:19]),
        ethernet(0x86DD, ipv6(b"1234", version=4)),
        ethernet(0x86DD, ipv6()[:39]),
        ethernet(0x86DD, ipv4(bytes(30))),
        ethernet(0x0800, ipv6(bytes(30))),
        ethernet(0x8100, b""),
        ethernet(0x8100, b"\0\1\x08"),
        ethernet(0x88A8, b"\0\1\x81"),
        ethernet(0x05DC, bytes(46)),
    ],
)
def test_not_ip(frame: bytes) -> None:
    assert hash_of(frame) == toeplitz_bitwise(HOST_A + HOST_B + frame[12:14])


def test_not_ip_behind_tags() -> None:
    frame = ethernet(0x0806, bytes(28), tags=tag(1) + tag(2))
    assert hash_of(frame) == toeplitz_bitwise(HOST_A + HOST_B + b"\x08\x06")
    # The second tag is cut: it is no tag, and its TPID is the EtherType.
    assert hash_of(frame[:21]) == toeplitz_bitwise(HOST_A + HOST_B + b"\x81\x00")
    assert hash_of(frame[:22]) == toeplitz_bitwise(HOST_A + HOST_B + b"\x08\x06")


@pytest.mark.parametrize(("whole", "ports_at"), [(20, 20), (40, 40)])
def test_ip_cut_at_every_byte(whole: int, ports_at: int) -> None:
    destination, to, source, port, addresses_only, with_ports = VECTORS[0 if whole == 20 else 5]
    frame = packet(destination, source, port.to_bytes(2, "big") + to.to_bytes(2, "big") + b"rest", 17)
    for length in range(14, len(frame) + 1):
        if length < 14 + whole:
            expected = toeplitz_bitwise(frame[:14])
        else:
            expected = with_ports if length >= 14 + ports_at + 4 else addresses_only
        assert hash_of(frame[:length]) == expected
