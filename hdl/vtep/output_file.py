"""Writes what a command made to where its user wants it, whole or not at all."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["write_output"]


def write_output(output: Path, make: Callable[[], str]) -> None:
    """Write what ``make`` returns, whole or not at all; an unwritable place is found before the work.

    Parameters
    ----------
    output : Path
        "-" is standard output; a pipe or a device is written to, a file replaced. Behind a symbolic link it is what the
        link names.
    make : callable
        Called once; its text is written as UTF-8. What it raises leaves ``output`` as it was.

    Raises
    ------
    OSError
        ``output`` is a folder or cannot be written.
    """
    if str(output) == "-":
        sys.stdout.write(make())
        return
    output = output.resolve()  # a symbolic link stays one
    if output.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    if output.exists() and not output.is_file():  # a pipe or a device: nothing to replace
        output.write_text(make(), encoding="utf-8")
        return
    name, suffix = f".{output.name}.", f".part{output.suffix}"
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=output.parent, prefix=name, suffix=suffix, delete=False
    ) as file:
        try:
            file.write(make())
            file.close()
            umask = os.umask(0)
            os.umask(umask)
            Path(file.name).chmod(0o666 & ~umask)
            Path(file.name).replace(output)
        except BaseException:
            Path(file.name).unlink()
            raise
