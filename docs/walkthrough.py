"""Write the bytes of walkthrough.md afresh from the captures and the golden model, or check them.

The prose is written by hand; what stands behind a mark is not:

``<!-- dump: FRAME -->``
    a block of code: the frame in hexadecimal.
``<!-- fields: FRAME FIRST END -->``
    a table whose first column is an offset: the second column, the bytes up to the next row's offset.
``<!-- hash: FRAME -->``, ``<!-- sum: FRAME -->``
    a block of code: the flow hash, and the IPv4 header checksum, step by step.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from scapy.utils import RawPcapReader

from vtep_host.config import Config, load
from vtep_sim.golden import Frame, GoldenModel, toeplitz

DOCS = Path(__file__).resolve().parent
DOCUMENT = DOCS / "walkthrough.md"
CAPTURE = DOCS.parent / "tests" / "vectors" / "ipv4"

# The UDP datagrams of five bytes that the two tenants exchange.
INNER_LENGTH = 14 + 20 + 8 + 5
OUTER_LENGTH = 50


def _capture(port: str, length: int) -> bytes:
    with RawPcapReader(str(CAPTURE / f"{port}.pcap")) as reader:
        return next(frame for frame, _ in reader if len(frame) == length)


def frames(config: Config) -> dict[str, bytes]:
    """Frames of the document: two captured ones, and what the model makes of them.

    Raises
    ------
    ValueError
        The kernel decapsulated something else than the model.
    """
    arriving, leaving = _capture("underlay-in", OUTER_LENGTH + INNER_LENGTH), _capture("tenant-in", INNER_LENGTH)
    prediction = GoldenModel(config).run(underlay=[Frame(arriving)], tenant=[Frame(leaving)])
    (delivered,), (sent,) = prediction.tenant, prediction.underlay_encap
    if delivered.data != _capture("tenant-out", INNER_LENGTH):
        raise ValueError("the kernel delivered another frame than the golden model")
    return {"decap-in": arriving, "decap-out": delivered.data, "encap-in": leaving, "encap-out": sent.data}


def _dump(frame: bytes) -> list[str]:
    return [f"{at:4}  {frame[at : at + 16].hex(' ')}" for at in range(0, len(frame), 16)]


def _hash(inner: bytes, config: Config) -> list[str]:
    fields = (inner[26:30], inner[30:34], inner[34:36], inner[36:38])
    value, base, bits = toeplitz(b"".join(fields)), config.vtep.source_port_base, config.vtep.source_port_bits
    low = value % 2**bits
    return [
        f"input  {'  '.join(field.hex(' ') for field in fields)}",
        f"hash   0x{value:08x}",
        f"port   {base} + (0x{value:08x} mod {2**bits}) = {base} + {low} = {base + low} = 0x{base + low:04x}",
    ]


def _sum(frame: bytes) -> list[str]:
    words = [int.from_bytes(frame[at : at + 2], "big") for at in range(14, 34, 2)]
    words[5] = 0
    total = sum(words)
    folded = (total & 0xFFFF) + (total >> 16)
    return [
        " + ".join(f"{word:04x}" for word in words) + f" = {total:x}",
        f"carries added in:  {total & 0xFFFF:04x} + {total >> 16:x} = {folded:04x}",
        f"inverted:          {folded ^ 0xFFFF:04x}",
    ]


def _table(rows: list[str], frame: bytes, end: int) -> list[str]:
    """Fill the second column of a table whose first two lines are its head."""
    offsets = [int(row.split("|")[1]) for row in rows[2:]]
    filled = rows[:2]
    for row, at, after in zip(rows[2:], offsets, [*offsets[1:], end], strict=True):
        cells = row.split("|")
        cells[2] = f" `{frame[at:after].hex(' ')}` "
        filled.append("|".join(cells))
    return filled


MARK = re.compile(r"<!-- (dump|fields|hash|sum): (\S+)(?: (\d+) (\d+))? -->\n\n?")


def refresh(text: str) -> str:
    """Return the document with every block behind a mark made afresh.

    Raises
    ------
    ValueError
        A table does not begin at the offset that its mark says.
    """
    config = load(CAPTURE / "vtep.toml")
    known = frames(config)
    blocks: dict[str, Callable[[bytes], list[str]]] = {
        "dump": _dump,
        "hash": lambda frame: _hash(frame, config),
        "sum": _sum,
    }
    parts = []
    at = 0
    for mark in MARK.finditer(text):
        kind, frame = mark[1], known[mark[2]]
        parts.append(text[at : mark.end()])
        end = text.find("\n\n", mark.end())
        end = len(text.rstrip("\n")) if end < 0 else end
        lines = text[mark.end() : end].split("\n")
        if kind == "fields":
            if int(lines[2].split("|")[1]) != int(mark[3]):
                raise ValueError(f"the table of {mark[2]} does not begin at offset {mark[3]}")
            lines = _table(lines, frame, int(mark[4]))
        else:
            lines = ["```", *blocks[kind](frame), "```"]
        parts.append("\n".join(lines))
        at = end
    return "".join(parts) + text[at:]


def main() -> None:
    """Rewrite walkthrough.md, or with ``--check`` say whether it is true."""
    parser = argparse.ArgumentParser(description="Write the bytes of walkthrough.md afresh.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the document is not up to date")
    options = parser.parse_args()
    text = DOCUMENT.read_text(encoding="utf-8")
    fresh = refresh(text)
    if options.check:
        sys.exit(0 if fresh == text else "walkthrough.md is not up to date: run docs/walkthrough.py")
    DOCUMENT.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
