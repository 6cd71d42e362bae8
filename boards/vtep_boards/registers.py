"""What tells bitstreams apart."""

import hashlib

__all__ = ["configuration_hash"]


def configuration_hash(board: str, initial: str) -> int:
    """Tell bitstreams apart: the first 32 bits of the SHA-256 of the board's name and the power-on contents."""
    return int.from_bytes(hashlib.sha256(f"{board}\n{initial}".encode()).digest()[:4])
