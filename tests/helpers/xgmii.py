"""The line of an XGMII written out: lanes one behind the other, each a byte and whether it is a control character."""

import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

IDLE, START, TERMINATE, ERROR = (0x07, 1), (0xFB, 1), (0xFD, 1), (0xFE, 1)
LOCAL_FAULT = [(0x9C, 1), (0, 0), (0, 0), (1, 0)]
REMOTE_FAULT = [(0x9C, 1), (0, 0), (0, 0), (2, 0)]

Lane = tuple[int, int]


class Seen(NamedTuple):
    """A frame on the line: its bytes, FCS included, whether it is whole, and the lane of its start character."""

    content: bytes
    whole: bool
    start: int


def plain(data: bytes) -> list[Lane]:
    return [(byte, 0) for byte in data]


def frame(data: bytes, *, spoil: int = 0, error: bool = False) -> list[Lane]:
    """``data`` with what belongs around it; the FCS xored with ``spoil``, and with ``error`` inverted."""
    fcs = zlib.crc32(data) ^ spoil ^ (0xFFFFFFFF if error else 0)
    head = [START, *plain(b"\x55" * 6 + b"\xd5")]
    return [*head, *plain(data + fcs.to_bytes(4, "little")), TERMINATE]


def put(line: list[Lane], lanes: Sequence[Lane], gap: int) -> None:
    """Append ``lanes`` behind at least ``gap`` lanes (a terminate character counted) so that they begin a column."""
    line += [IDLE] * (gap - 1)
    line += [IDLE] * (-len(line) % 4)
    line += lanes


def to_words(line: Sequence[Lane]) -> list[tuple[int, int]]:
    """Data and control of each clock; the last one is filled up with idles."""
    filled = [*line, *[IDLE] * (-len(line) % 8)]
    words = []
    for place in range(0, len(filled), 8):
        lanes = filled[place : place + 8]
        words.append(
            (
                int.from_bytes(bytes(byte for byte, _ in lanes), "little"),
                sum(control << lane for lane, (_, control) in enumerate(lanes)),
            )
        )
    return words


def to_lanes(words: Iterable[tuple[int, int]]) -> list[Lane]:
    return [(data >> 8 * lane & 0xFF, control >> lane & 1) for data, control in words for lane in range(8)]


def frames_of(line: Sequence[Lane]) -> tuple[list[Seen], int]:
    """Frames of a line, and the count of start characters, where one may stand, that begin none."""
    seen, false = [], 0
    for start in range(0, len(line), 4):
        if line[start] != START:
            continue
        place = start + 8
        good = line[start + 1 : place] == plain(b"\x55" * 6 + b"\xd5")
        while place < len(line) and (not line[place][1] or line[place] == ERROR):
            place += 1
        content = line[start + 8 : place]
        if not good or not content:
            false += 1
            continue
        whole = line[place : place + 1] == [TERMINATE] and ERROR not in content
        seen.append(Seen(bytes(byte for byte, _ in content), whole, start % 8))
    return seen, false


def gaps_of(line: Sequence[Lane]) -> list[int]:
    """Lanes from each terminate character, that one counted, to the next start character."""
    gaps, end = [], None
    for place, lane in enumerate(line):
        if lane == TERMINATE:
            end = place
        elif lane == START and end is not None:
            gaps.append(place - end)
            end = None
    return gaps
