"""What is left of a sequence."""

from collections.abc import Collection, Iterable

__all__ = ["is_part"]


def is_part(some: Collection[object], *wholes: Iterable[object]) -> bool:
    """Whether ``some`` is all or a part of one of ``wholes``, in its order."""
    return any(all(one in rest for one in some) for rest in map(iter, wholes))
