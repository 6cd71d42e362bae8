"""Files that are made once and kept: Verilog, object files and models, each under a digest of all it depends on."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .tools import BuildError

__all__ = ["cache_folder", "cached", "digest_of"]

KEEP = 120
"""Files kept; the longest unused go first."""


def cache_folder() -> Path:
    """Where the files are: ``VTEP_CACHE``, or ``openvtep`` in the user's cache folder."""
    named = os.environ.get("VTEP_CACHE")
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "openvtep"


def digest_of(parts: Iterable[str | bytes]) -> str:
    """Digest of a list of parts, their borders included."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:32]


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return the file ``name`` of the cache, made by ``make`` at a temporary path if it is not there.

    Of several processes that want it, one makes it and the others wait; it appears whole or not at all.

    Raises
    ------
    BuildError
        The cache folder cannot be written. What ``make`` raises passes through.
    """
    folder = cache_folder()
    target = folder / name
    if not target.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder / f"{name}.lock"):
                if not target.exists():
                    _make(target, make)
                    _prune(folder)
        except OSError as error:
            raise BuildError(f"cache folder {folder}: {error.strerror or error} (VTEP_CACHE names another)") from None
    with suppress(OSError):
        os.utime(target)
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make(target: Path, make: Callable[[Path], None]) -> None:
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        make(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _prune(folder: Path) -> None:
    files = []
    for path in folder.iterdir():
        if path.suffix in (".so", ".v", ".o"):
            with suppress(OSError):
                files.append((path.stat().st_mtime, path))
    for _, path in sorted(files)[:-KEEP]:
        with suppress(OSError):
            path.unlink()
            path.with_name(f"{path.name}.lock").unlink()
