"""The flow hash of SPEC.md section 3: Toeplitz, as receive-side scaling computes it."""

from .inner import Inner

__all__ = ["RSS_KEY", "flow_hash", "flow_hash_input", "toeplitz"]

RSS_KEY = bytes.fromhex(
    "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa",
)
"""Key of Microsoft's RSS verification suite ("Verifying the RSS Hash Calculation", Windows driver documentation)."""

MAX_INPUT = len(RSS_KEY) - 4
PORT_PROTOCOLS = (6, 17, 132)
"""IANA protocol numbers of TCP, UDP and SCTP, whose first four bytes are the ports."""


def _byte_hashes(position: int) -> list[int]:
    """Hash contributions of all values of the input byte at ``position``."""
    key = int.from_bytes(RSS_KEY)
    width = 8 * len(RSS_KEY)
    hashes = []
    for value in range(256):
        result = 0
        for bit in range(8):
            if value & 0x80 >> bit:
                result ^= key >> width - 32 - 8 * position - bit & 0xFFFFFFFF
        hashes.append(result)
    return hashes


# The hash is linear over GF(2), so it is the XOR of what each byte brings.
_HASHES = [_byte_hashes(position) for position in range(MAX_INPUT)]


def toeplitz(data: bytes) -> int:
    """Toeplitz hash, 32 bits, of at most 36 bytes, with `RSS_KEY`."""
    if len(data) > MAX_INPUT:
        raise ValueError(f"data must hold 0 .. {MAX_INPUT} bytes, not {len(data)}")
    result = 0
    for hashes, byte in zip(_HASHES, data, strict=False):
        result ^= hashes[byte]
    return result


def flow_hash_input(inner: Inner) -> bytes:
    """Return the bytes of an inner frame that its flow hash covers."""
    frame, offset = inner.frame, inner.offset
    if inner.version == 4:
        addresses = frame[offset + 12 : offset + 20]
        protocol = frame[offset + 9]
        fragment = int.from_bytes(frame[offset + 6 : offset + 8]) & 0x3FFF  # MF and the fragment offset
        transport = offset + 4 * (frame[offset] & 0xF)
    elif inner.version == 6:
        addresses = frame[offset + 8 : offset + 40]
        protocol = frame[offset + 6]
        fragment = 0  # stands in an extension header, and those are not walked
        transport = offset + 40
    else:
        return frame[:12] + inner.ethertype.to_bytes(2)
    ports = frame[transport : transport + 4]
    if protocol in PORT_PROTOCOLS and not fragment and len(ports) == 4:
        return addresses + ports
    return addresses


def flow_hash(inner: Inner) -> int:
    """Flow hash, 32 bits, of an inner frame."""
    return toeplitz(flow_hash_input(inner))
