"""What tells bitstreams apart."""

import hashlib

__all__ = ["configuration_hash"]


def configuration_hash(board: str, design: str, initial: str) -> int:
    """Tell bitstreams of a release apart: the first 32 bits of a SHA-256 of board, design and power-on contents."""
    return int.from_bytes(hashlib.sha256(f"{board}\n{design}\n{initial}".encode()).digest()[:4])
