"""What is left of a sequence."""

from collections.abc import Iterable

__all__ = ["is_part"]


def is_part(some: Iterable[object], whole: Iterable[object]) -> bool:
    """Whether ``some`` is all or a part of ``whole``, in its order."""
    rest = iter(whole)
    return all(one in rest for one in some)
