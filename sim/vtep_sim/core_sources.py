"""What tells the core of one figure from that of another."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .harness import BuildError
from .harness.cache import digest_of

__all__ = ["core_digest"]


NOT_THE_CORE = ("mac", "local", "cli.py")
"""What vtep.vxlan knows nothing of."""


@cache
def core_digest() -> str:
    """Digest of the sources of the core: two simulations with the same one ran the same core.

    Taken once: a figure is of the sources that were there when the program asked first.
    """
    package = find_spec("vtep")
    if package is None or package.origin is None:
        raise BuildError("the package vtep is not installed")
    root = Path(package.origin).parent
    return digest_of(
        part
        for source in sorted(root.rglob("*.py"))
        if source.relative_to(root).parts[0] not in NOT_THE_CORE
        for part in (source.relative_to(root).as_posix(), source.read_bytes())
    )
