"""The instructions of the `Sequencer`, and an assembler for them.

An instruction either passes bytes (`bytes_layout`) or controls (`control_layout`). The first kind works on up to 16
bytes, or on as many as are left of a packet, one a clock; two sources walk forward meanwhile. The second waits until
all bytes before it are done with, so it sees what became of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from amaranth.hdl import unsigned
from amaranth.lib import data

__all__ = [
    "CONSTANT_PAGES",
    "COUNT_REST",
    "MASKS",
    "PLACE_BITS",
    "PROGRAM_WORDS",
    "WORD_BITS",
    "Assembler",
    "Condition",
    "Operation",
    "Page",
    "Program",
    "Source",
    "Value",
    "bytes_layout",
    "control_layout",
]

WORD_BITS = 36
"""Bits of an instruction, as wide as a block RAM of the ECP5 is."""

PROGRAM_WORDS = 512

PLACE_BITS = 5
"""Bits of a place in a page of the memory."""

CONSTANT_PAGES = 4

MASKS = (0xFF, 0x01, 0x02, 0x0F, 0x20, 0x3F, 0x40, 0xC0, 0xE0, 0xF0, 0xFC, 0xFD)
"""What a byte can be masked with, by the code in the instruction."""

COUNT_REST = 15
"""Code of a count: as many bytes as are left of the packet."""
_COUNT_16 = 14


class Page(IntEnum):
    """Which part of the memory a place is in."""

    ENTRY = 0  # of the neighbour that is being worked on
    INITIAL = 1  # what that entry holds after reset; a store goes to ENTRY
    VARIABLES = 2
    TRANSFER = 3  # VARIABLES; a store goes to ENTRY
    CONSTANT = 4  # the immediate is the number of one of `CONSTANT_PAGES`


class Source(IntEnum):
    """Where a byte comes from, if not from the frame."""

    MEMORY = 0
    OWN = 1  # the own addresses: MAC, IPv4, IPv6
    SUM = 2  # complement of the checksum: the high byte at even places, the low one at odd places
    WRITTEN = 3  # data of the table write, and the place is the one it names


class Value(IntEnum):
    """What is emitted, added or stored: the masked byte, the immediate, or the sum of both (of the unmasked)."""

    BYTE = 0
    IMMEDIATE = 1
    SUM = 2


class Condition(IntEnum):
    """When a control instruction jumps. Asking for DIFFERENT or BAD forgets the difference."""

    ALWAYS = 0
    DIFFERENT = 1  # a comparison failed
    BAD = 2  # a comparison failed, or the frame or packet ended too early
    CUT = 3  # the latter
    SUM_RIGHT = 4  # the checksum is 0xFFFF
    MORE = 5  # bytes of the packet are left
    TAGGED = 6
    LAST = 7  # no further neighbour is to be looked at
    USED = 8  # an event was told since the frame began
    FRAME = 9  # a frame is there
    TICK = 10  # a quarter of a second has passed
    WAKE = 11  # a frame found its neighbour unresolved
    WRITE = 12  # a table write waits
    WHOLE = 13  # the table write is of the last byte of an entry
    NEVER = 14


class Operation(IntEnum):
    """What a control instruction does, besides setting the checksum to begin with a high byte again."""

    NONE = 0
    SEEK = 1  # go to the byte of the frame that the immediate names, and forget the packet's length
    SEEK_BEHIND_TAG = 2  # the same, of an untagged frame
    LIMIT = 3  # the last two bytes read are how many are left of the packet
    BEGIN = 4  # a frame: nothing is known of it
    TAG = 5  # the frame is tagged
    CLEAR = 6  # the checksum
    EVENT = 7  # tell the event of which the immediate is the number
    DROP = 8  # the frame
    FIRST = 9  # turn to the first neighbour
    NEXT = 10  # turn to the next neighbour
    WAKE = 11  # turn to the one whose frame found it unresolved, alone
    WRITE = 12  # turn to the one of the table write, alone
    TAKE = 13  # the table write is done
    TICK = 14  # the tick is seen to
    PUBLISH = 15  # tell the next hop what was stored last: a MAC address, usable if the immediate is odd


_JOINED = (Operation.SEEK, Operation.SEEK_BEHIND_TAG, Operation.CLEAR)

bytes_layout = data.StructLayout(
    {
        "control": unsigned(1),
        "frame": unsigned(1),  # the first operand is the frame's next byte, not one of `source`
        "constant": unsigned(1),  # the second is the immediate; else one of `source`, or the first one before
        "value": unsigned(2),
        "source": unsigned(2),
        "page": unsigned(3),
        "place": unsigned(PLACE_BITS),
        "immediate": unsigned(8),
        "mask": unsigned(4),
        "count": unsigned(4),
        "compare": unsigned(1),
        "emit": unsigned(1),
        "last": unsigned(1),
        "add": unsigned(1),
        "store": unsigned(1),
    }
)

control_layout = data.StructLayout(
    {
        "control": unsigned(1),
        "condition": unsigned(4),
        "negate": unsigned(1),
        "target": unsigned((PROGRAM_WORDS - 1).bit_length()),
        "operation": unsigned(4),
        "immediate": unsigned(8),
    }
)


def _count_code(count: int | None) -> int:
    if count is None:
        return COUNT_REST
    if count == 16:
        return _COUNT_16
    if not 1 <= count <= _COUNT_16:
        raise ValueError(f"count must be within 1 .. {_COUNT_16}, 16 or None, not {count!r}")
    return count - 1


def _pack(layout: data.StructLayout, values: Mapping[str, int | str], labels: Mapping[str, int]) -> int:
    word = 0
    for name, member in layout:
        value = values.get(name, 0)
        number = labels[value] if isinstance(value, str) else value
        if not 0 <= number < 1 << member.width:
            raise ValueError(f"{name} must be within 0 .. {(1 << member.width) - 1}, not {number}")
        word |= number << member.offset
    return word


@dataclass(frozen=True)
class Program:
    """What a `Sequencer` carries out: at most `PROGRAM_WORDS` instructions, and what its pages of constants hold."""

    words: tuple[int, ...]
    constants: bytes


@dataclass
class Assembler:
    """Collects instructions; jumps name labels, which may come later."""

    _lines: list[tuple[data.StructLayout, dict[str, int | str]]] = field(default_factory=list)
    _labels: dict[str, int] = field(default_factory=dict)
    _stored: bool = False  # bytes may be on their way to the memory
    _added: bool = False  # or to the checksum
    _pages: list[bytes] = field(default_factory=lambda: [b""] * CONSTANT_PAGES)

    def label(self, name: str) -> None:
        """Name the next instruction."""
        if name in self._labels:
            raise ValueError(f"label {name!r} is there twice")
        self._labels[name] = len(self._lines)

    def octets(
        self,
        count: int | None = 1,
        *,
        frame: bool = False,
        source: Source = Source.MEMORY,
        page: Page = Page.ENTRY,
        place: int = 0,
        immediate: int | None = None,
        value: Value = Value.BYTE,
        mask: int = 0xFF,
        compare: bool = False,
        emit: bool = False,
        last: bool = False,
        add: bool = False,
        store: bool = False,
    ) -> None:
        """Pass ``count`` bytes (None: the rest of the packet).

        A place among the constants is the one that `constant` told.

        ``compare`` sets the first operand against the immediate, if that is given; otherwise the frame's byte against
        that of ``source``, or without ``frame`` that of ``source`` against the operand before it.
        """
        constant_page = place >> PLACE_BITS
        reads = value is not Value.IMMEDIATE and (not frame or (compare and immediate is None))
        if reads and ((self._stored and source is Source.MEMORY) or (self._added and source is Source.SUM)):
            self.control()
        self._lines.append(
            (
                bytes_layout,
                {
                    "frame": frame,
                    "constant": immediate is not None,
                    "value": value,
                    "source": source,
                    "page": page,
                    "place": place % (1 << PLACE_BITS),
                    "immediate": constant_page if page is Page.CONSTANT else immediate or 0,
                    "mask": MASKS.index(mask),
                    "count": _count_code(count),
                    "compare": compare,
                    "emit": emit,
                    "last": last,
                    "add": add,
                    "store": store,
                },
            )
        )
        self._stored = self._stored or store
        self._added = self._added or add

    def control(
        self,
        operation: Operation = Operation.NONE,
        immediate: int = 0,
        *,
        condition: Condition = Condition.NEVER,
        negate: bool = False,
        target: str | int = 0,
    ) -> None:
        """Do ``operation``, and jump to the label ``target`` if ``condition`` holds, or with ``negate`` if not.

        Going to a place, or clearing the checksum, is put into a jump in front of it: that does it in both cases, so
        what it jumps to must not rest on either.
        """
        joined = condition is Condition.NEVER and operation in _JOINED and len(self._lines) not in self._labels.values()
        if joined and self._lines:
            layout, before = self._lines[-1]
            if layout is control_layout and before["operation"] == Operation.NONE:
                before.update(operation=operation, immediate=immediate)
                return
        self._lines.append(
            (
                control_layout,
                {
                    "control": 1,
                    "condition": condition,
                    "negate": negate,
                    "target": target,
                    "operation": operation,
                    "immediate": immediate,
                },
            )
        )
        self._stored = self._added = False

    def constant(self, octets: bytes) -> int:
        """Place of ``octets`` among the constants.

        Raises
        ------
        ValueError
            There is no more room.
        """
        size = 1 << PLACE_BITS
        for number, page in enumerate(self._pages):
            if octets in page:
                return number * size + page.index(octets)
        for number, page in enumerate(self._pages):
            shared = max(i for i in range(len(octets) + 1) if page.endswith(octets[:i]))
            if len(page) + len(octets) - shared <= size:
                self._pages[number] += octets[shared:]
                return number * size + len(page) - shared
        raise ValueError(f"no room for {len(octets)} constants in {CONSTANT_PAGES} pages")

    def program(self) -> Program:
        """All of it.

        Raises
        ------
        ValueError
            It is too long, or a field does not fit.
        KeyError
            A jump names no label.
        """
        if len(self._lines) > PROGRAM_WORDS:
            raise ValueError(f"a program has at most {PROGRAM_WORDS} instructions, not {len(self._lines)}")
        words = tuple(_pack(layout, values, self._labels) for layout, values in self._lines)
        return Program(words, b"".join(page.ljust(1 << PLACE_BITS, b"\0") for page in self._pages))
