"""Reading and writing Ethernet captures: pcap and pcapng.

The reader is strict where ready-made ones are lenient: a file that is cut off, or damaged in the middle, is an
error that names the byte offset and the frame. (Scapy 2.8's raw readers take both for the end of the file, leave
out pcapng's time stamp offset and keep the interfaces of an earlier section.) Formats: draft-ietf-opsawg-pcap
and draft-ietf-opsawg-pcapng.
"""

import errno
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "Capture",
    "CaptureError",
    "CapturedFrame",
    "OutputFiles",
    "capture_bytes",
    "file_header",
    "frame_record",
    "read_capture",
]

LINKTYPE_ETHERNET = 1
LINKTYPE_NAMES = {
    0: "NULL (BSD loopback)",
    1: "ETHERNET",
    101: "RAW (IP)",
    105: "IEEE802_11",
    113: "LINUX_SLL",
    127: "IEEE802_11_RADIOTAP",
    228: "IPV4",
    229: "IPV6",
    276: "LINUX_SLL2",
}

PCAP_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""First bytes of a pcap file: byte order, nanoseconds in a unit of the second stamp word."""

PCAPNG_SECTION = b"\x0a\x0d\x0d\x0a"
COMPRESSED_MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}

MAX_FRAME_BYTES = 1 << 20
"""A longer captured frame is taken for damage: no Ethernet capture holds one (offloads stop at 256 KiB)."""

SNAPLEN = 262144
"""Snap length written into captures, the largest that libpcap accepts."""


class CaptureError(Exception):
    """A capture cannot be read; the message names the file and the place in it."""


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """One frame of a capture.

    Parameters
    ----------
    data : bytes
        The captured bytes, from the destination MAC on, without FCS.
    stamp : int
        Nanoseconds since 1970-01-01 UTC; 0 where the file has none.
    original_length : int
        Length of the frame on the wire, without FCS; above ``len(data)`` where the capture snapped it.
    number : int
        Number of the frame in its file, from 1 as Wireshark counts.
    """

    data: bytes
    stamp: int = 0
    original_length: int = -1
    number: int = 0

    @property
    def error(self) -> bool:
        """The MAC's error mark, which captures do not carry."""
        return False

    @property
    def snapped(self) -> bool:
        """Whether bytes of the frame are missing."""
        return self.original_length > len(self.data)


@dataclass
class Capture:
    """The frames of one file, in file order.

    ``snapped`` counts the frames that were captured with fewer bytes than they had: left out of ``frames``, or
    padded with zero bytes to their length.
    """

    path: Path
    frames: list[CapturedFrame] = field(default_factory=list)
    snapped: int = 0


def read_capture(path: Path, *, pad_snapped: bool = False) -> Capture:
    """Read a whole pcap or pcapng file.

    Parameters
    ----------
    path : Path
        The file; its kind is told by its first bytes, not by its name.
    pad_snapped : bool
        Fill snapped frames with zero bytes up to their original length instead of leaving them out.

    Raises
    ------
    CaptureError
        The file cannot be opened, is no capture, is damaged or cut off, or holds a frame of another link type
        than Ethernet. Nothing of a damaged file is returned.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {error.strerror or error}") from None
    capture = Capture(path)
    for frame in _frames(path, content):
        if frame.snapped:
            capture.snapped += 1
            if not pad_snapped:
                continue
            padded = frame.data.ljust(frame.original_length, b"\0")
            frame = CapturedFrame(padded, frame.stamp, frame.original_length, frame.number)
        capture.frames.append(frame)
    return capture


def _frames(path: Path, content: bytes) -> Iterator[CapturedFrame]:
    magic = content[:4]
    if magic in PCAP_MAGICS:
        return _pcap_frames(path, content)
    if magic == PCAPNG_SECTION:
        return _pcapng_frames(path, content)
    if not content:
        raise CaptureError(f"{path}: not a pcap or pcapng file: it is empty")
    for start, name in COMPRESSED_MAGICS.items():
        if content.startswith(start):
            raise CaptureError(f"{path}: is compressed with {name}: decompress it first")
    raise CaptureError(f"{path}: not a pcap or pcapng file: it begins with {magic.hex(' ')} (byte offset 0)")


def _check_link_type(path: Path, link_type: int, where: str) -> None:
    if link_type != LINKTYPE_ETHERNET:
        name = LINKTYPE_NAMES.get(link_type, "unknown")
        raise CaptureError(f"{path}: {where} has link type {link_type}, {name}; only 1, ETHERNET, is supported")


def _check_length(path: Path, captured: int, number: int, offset: int) -> None:
    if captured > MAX_FRAME_BYTES:
        raise CaptureError(
            f"{path}: frame {number} at byte offset {offset} claims {captured} captured bytes, more than any "
            f"Ethernet frame: the file is damaged"
        )


def _without_fcs(data: bytes, original: int, fcs_length: int) -> tuple[bytes, int]:
    """Take the FCS off, where the file says that its frames carry one."""
    original = max(original, len(data))
    length = max(original - fcs_length, 0)
    return data[:length], length


def _pcap_frames(path: Path, content: bytes) -> Iterator[CapturedFrame]:
    order, unit = PCAP_MAGICS[content[:4]]
    if len(content) < 24:
        raise CaptureError(f"{path}: cut off inside the file header: {len(content)} of 24 bytes")
    major, minor, _, _, _, link = struct.unpack(order + "HHiIII", content[4:24])
    if (major, minor) != (2, 4):
        raise CaptureError(f"{path}: pcap version {major}.{minor} at byte offset 4; only 2.4 is supported")
    _check_link_type(path, link & 0xFFFF, "the file")
    # The upper half of the link type word may say that each frame ends in an FCS, in 16-bit words.
    fcs_length = (link >> 28) * 2 if link & 1 << 26 else 0
    header = struct.Struct(order + "IIII")
    offset, number = 24, 0
    while offset < len(content):
        number += 1
        if offset + 16 > len(content):
            raise CaptureError(
                f"{path}: cut off at byte offset {len(content)}, inside the header of frame {number} "
                f"(at byte offset {offset}): {len(content) - offset} of 16 bytes"
            )
        seconds, fraction, captured, original = header.unpack_from(content, offset)
        _check_length(path, captured, number, offset)
        end = offset + 16 + captured
        if end > len(content):
            raise CaptureError(
                f"{path}: cut off at byte offset {len(content)}, inside frame {number} (at byte offset {offset}): "
                f"{len(content) - offset - 16} of {captured} bytes"
            )
        data, original = _without_fcs(content[offset + 16 : end], original, fcs_length)
        yield CapturedFrame(data, seconds * 1_000_000_000 + fraction * unit, original, number)
        offset = end


@dataclass
class _Interface:
    link_type: int
    snaplen: int
    fcs_length: int = 0
    ticks: int = 1_000_000
    offset: int = 0

    def stamp(self, high: int, low: int) -> int:
        return (high << 32 | low) * 1_000_000_000 // self.ticks + self.offset * 1_000_000_000


class _PcapNg:
    """Walks the blocks of a pcapng file."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.content = content
        self.order = "<"
        self.offset = 0
        self.number = 0
        self.interfaces: list[_Interface] = []

    def error(self, what: str) -> CaptureError:
        return CaptureError(f"{self.path}: {what} (block at byte offset {self.offset}, after frame {self.number})")

    def fields(self, layout: str, body: bytes) -> tuple[int, ...]:
        size = struct.calcsize(self.order + layout)
        if len(body) < size:
            raise self.error(f"block too short: {len(body)} of {size} bytes")
        return struct.unpack(self.order + layout, body[:size])

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Type and body of each block, lengths checked."""
        content = self.content
        while self.offset < len(content):
            left = len(content) - self.offset
            if left < 12:
                raise self.error(f"cut off inside a block header: {left} bytes left")
            if content[self.offset : self.offset + 4] == PCAPNG_SECTION:
                self.begin_section()
            block, length = struct.unpack_from(self.order + "II", content, self.offset)
            if length < 12 or length % 4:
                raise self.error(f"block length {length} is not a multiple of 4 from 12 on: the file is damaged")
            if length > left:
                raise self.error(f"cut off at byte offset {len(content)}: {left} of the block's {length} bytes")
            (tail,) = struct.unpack_from(self.order + "I", content, self.offset + length - 4)
            if tail != length:
                raise self.error(f"block length {length} in front and {tail} behind differ: the file is damaged")
            yield block, content[self.offset + 8 : self.offset + length - 4]
            self.offset += length

    def begin_section(self) -> None:
        magic = self.content[self.offset + 8 : self.offset + 12]
        if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
            raise self.error(f"byte-order magic {magic.hex(' ')}")
        self.order = "<" if magic[0] == 0x4D else ">"
        self.interfaces = []

    def options(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        offset = 0
        while offset < len(body):
            code, length = self.fields("HH", body[offset:])
            if code == 0:
                return
            offset += 4
            if offset + length > len(body):
                raise self.error(f"option {code} reaches beyond its block")
            yield code, body[offset : offset + length]
            offset += -(-length // 4) * 4

    def add_interface(self, body: bytes) -> None:
        link_type, _, snaplen = self.fields("HHI", body)
        interface = _Interface(link_type, snaplen)
        for code, value in self.options(body[8:]):
            if code == 9 and len(value) == 1:  # if_tsresol
                base = 2 if value[0] & 0x80 else 10
                interface.ticks = base ** (value[0] & 0x7F)
            elif code == 14 and len(value) == 8:  # if_tsoffset
                (interface.offset,) = struct.unpack(self.order + "q", value)
            elif code == 13 and len(value) == 1:  # if_fcslen
                interface.fcs_length = value[0]
        self.interfaces.append(interface)

    def interface(self, index: int) -> _Interface:
        if index >= len(self.interfaces):
            raise self.error(f"frame {self.number} names interface {index}, but the section has {len(self.interfaces)}")
        _check_link_type(self.path, self.interfaces[index].link_type, f"frame {self.number} (interface {index})")
        return self.interfaces[index]

    def frame(self, interface: _Interface, stamp: int, captured: int, original: int, body: bytes) -> CapturedFrame:
        _check_length(self.path, captured, self.number, self.offset)
        if captured > len(body):
            raise self.error(f"frame {self.number} of {captured} bytes reaches beyond its block: the file is damaged")
        data, original = _without_fcs(body[:captured], original, interface.fcs_length)
        return CapturedFrame(data, stamp, original, self.number)

    def frames(self) -> Iterator[CapturedFrame]:
        for block, body in self.blocks():
            if block == 0x0A0D0D0A:
                _, major, minor = self.fields("IHH", body)
                if major != 1:
                    raise self.error(f"pcapng version {major}.{minor}; only 1 is supported")
            elif block == 1:
                self.add_interface(body)
            elif block in (2, 6):  # Packet (obsolete) and Enhanced Packet
                self.number += 1
                if block == 6:
                    index, high, low, captured, original = self.fields("IIIII", body)
                else:
                    index, _, high, low, captured, original = self.fields("HHIIII", body)
                interface = self.interface(index)
                yield self.frame(interface, interface.stamp(high, low), captured, original, body[20:])
            elif block == 3:  # Simple Packet: no stamp, and its captured length follows from the snap length
                self.number += 1
                (original,) = self.fields("I", body)
                interface = self.interface(0)
                captured = min(original, interface.snaplen) if interface.snaplen else original
                yield self.frame(interface, 0, captured, original, body[4:])


def _pcapng_frames(path: Path, content: bytes) -> Iterator[CapturedFrame]:
    return _PcapNg(path, content).frames()


def capture_bytes(frames: Iterable[CapturedFrame], *, pcapng: bool = False) -> bytes:
    """Make the content of a capture file with ``frames``, in order, stamps in nanoseconds.

    ``pcapng`` chooses pcapng (one interface, its resolution 10^-9 s) instead of pcap with the nanosecond magic.

    Raises
    ------
    CaptureError
        A stamp does not fit (pcap holds seconds in 32 bits).
    """
    parts = [file_header(pcapng=pcapng)]
    for number, frame in enumerate(frames, 1):
        try:
            parts.append(frame_record(frame, pcapng=pcapng))
        except CaptureError as error:
            raise CaptureError(f"frame {number}: {error}") from None
    return b"".join(parts)


def file_header(*, pcapng: bool = False) -> bytes:
    """Make what a capture file begins with; `frame_record` of each frame follows."""
    if not pcapng:
        return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, SNAPLEN, LINKTYPE_ETHERNET)
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    option = struct.pack("<HHBxxxHH", 9, 1, 9, 0, 0)
    interface = struct.pack("<IIHHI", 1, 20 + len(option), LINKTYPE_ETHERNET, 0, SNAPLEN)
    return section + interface + option + struct.pack("<I", 20 + len(option))


def frame_record(frame: CapturedFrame, *, pcapng: bool = False) -> bytes:
    """Make what a capture file holds of one frame.

    Raises
    ------
    CaptureError
        The stamp does not fit.
    """
    captured, original = len(frame.data), max(frame.original_length, len(frame.data))
    if pcapng:
        if not 0 <= frame.stamp < 1 << 64:
            raise CaptureError(f"time stamp {frame.stamp} ns does not fit a pcapng file")
        pad = -captured % 4
        length = 32 + captured + pad
        head = (6, length, 0, frame.stamp >> 32, frame.stamp & 0xFFFFFFFF, captured, original)
        return struct.pack("<7I", *head) + frame.data + bytes(pad) + struct.pack("<I", length)
    seconds, nanoseconds = divmod(frame.stamp, 1_000_000_000)
    if not 0 <= seconds < 1 << 32:
        raise CaptureError(f"time stamp {frame.stamp} ns does not fit a pcap file")
    return struct.pack("<4I", seconds, nanoseconds, captured, original) + frame.data


class OutputFiles:
    """Files that appear all together and whole, or not at all.

    Each is written under a temporary name beside its target and renamed by `commit`; leaving the ``with`` block
    without `commit` removes the temporary ones and leaves what was at the targets as it was.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[Path, Path]] = []

    def __enter__(self) -> "OutputFiles":
        return self

    def __exit__(self, *_: object) -> None:
        for temporary, _target in self._pending:
            with suppress(OSError):
                temporary.unlink()
        self._pending = []

    def reserve(self, target: Path) -> Path:
        """Make the temporary file for ``target`` and return its path; OSError where that is not possible."""
        target = target.resolve()  # a symbolic link stays one
        if target.exists() and not target.is_file():
            raise OSError(errno.EINVAL, "exists and is not a regular file", str(target))
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        self._pending.append((temporary, target))
        # mkstemp makes private files; a capture gets what any new file would get.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        return temporary

    def commit(self) -> None:
        """Rename every file to its target."""
        while self._pending:
            temporary, target = self._pending[0]
            temporary.replace(target)
            del self._pending[0]
