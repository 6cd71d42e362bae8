"""The frames of a serial line to the registers, which LiteX calls UARTBone, so that its tools work on them.

A command is a code, a number of words (1 .. 255), the address of the first word (four bytes, in words) and, for a
write, the words; every number has its high byte first. A read is answered by the words. (LiteX,
``litex/tools/remote/comm_uart.py``.)
"""

from enum import IntEnum

__all__ = ["ADDRESS_BYTES", "HEAD_BYTES", "MAX_WORDS", "SILENCE", "Command"]

MAX_WORDS = 255
ADDRESS_BYTES = 4
HEAD_BYTES = 2 + ADDRESS_BYTES
SILENCE = 0.1
"""Seconds without a byte after which a command that has begun is forgotten."""


class Command(IntEnum):
    """Codes of commands: of consecutive words, or of one word (``FIXED``) again and again."""

    WRITE = 1
    READ = 2
    WRITE_FIXED = 3
    READ_FIXED = 4
