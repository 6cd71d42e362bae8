"""What passes a port, written to a capture file as it passes."""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ..captures import CapturedFrame, file_header, frame_record

__all__ = ["Recording"]

BUFFER_BYTES = 1 << 16


class Recording:
    """A capture file that grows; readable up to the last `flush` at any time. A context manager.

    Parameters
    ----------
    path : Path
        pcapng where so named, else pcap; stamps in nanoseconds. What is there is overwritten.

    Raises
    ------
    OSError
        It cannot be written: also in `write` and `flush`.
    """

    def __init__(self, path: Path) -> None:
        self._pcapng = path.suffix.lower() == ".pcapng"
        self._file = path.open("wb", buffering=BUFFER_BYTES)
        self._file.write(file_header(pcapng=self._pcapng))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, frame: bytes) -> None:
        """Add a frame that passes now."""
        self._file.write(frame_record(CapturedFrame(frame, time.time_ns()), pcapng=self._pcapng))

    def flush(self) -> None:
        """Bring everything into the file."""
        self._file.flush()
