"""The counters of a MAC by the definitions of RFC 2819, written out."""

from collections import Counter

__all__ = ["SIZE_CLASSES", "counted"]

SIZE_CLASSES = {64: (64, 64), 65: (65, 127), 128: (128, 255), 256: (256, 511), 512: (512, 1023), 1024: (1024, 1518)}
"""Least and most bytes of each class, FCS included."""


def counted(frame: dict[str, int], longest: int) -> Counter[str]:
    """The counters that a received frame raises; ``longest``: bytes of the longest one that is none too long."""
    size = frame["length"]
    out = Counter({"etherStatsPkts": 1, "etherStatsOctets": size})
    bad, short, long = frame["fcs_error"], size < 64, size > longest
    if short:
        out["etherStatsFragments" if bad else "etherStatsUndersizePkts"] += 1
    elif long:
        out["etherStatsJabbers" if bad else "etherStatsOversizePkts"] += 1
    elif bad:
        out["etherStatsCRCAlignErrors"] += 1
    else:
        for kind in ("broadcast", "multicast"):
            out[f"etherStats{kind.title()}Pkts"] += frame[kind]
    for low, high in SIZE_CLASSES.values():
        if low <= size <= high:
            out[f"etherStatsPkts{low}Octets" if low == high else f"etherStatsPkts{low}to{high}Octets"] += 1
    out["etherStatsDropEvents"] += frame["dropped"]
    return +out
