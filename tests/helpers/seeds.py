"""One seed for a run, and others made of it."""

import zlib

__all__ = ["seed_of"]


def seed_of(name: str, base: int) -> int:
    """Seed of what is called ``name``, from that of the run or of what it is part of, whatever else runs."""
    return zlib.crc32(name.encode(), base)
