"""The table of README.md, from the capture files themselves."""

from collections import Counter
from pathlib import Path

from .capture_file import read_capture
from .scenarios import SCENARIOS

PORTS = ("underlay-in", "tenant-out", "tenant-in", "underlay-out")
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
FORMS = {"pcap": "pcap, µs", "pcap-ns": "pcap, ns", "pcapng": "pcapng, ns"}

IP_NAMES = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
ND_TYPES = range(133, 138)


def _kind(frame: bytes) -> str:
    at = 12
    while frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8") and len(frame) >= at + 6:
        at += 4
    ethertype, rest = frame[at : at + 2], frame[at + 2 :]
    if ethertype == b"\x08\x06":
        return "ARP"
    if ethertype == b"\x08\x00" and len(rest) >= 20:
        return IP_NAMES.get(rest[9], "other")
    if ethertype == b"\x86\xdd" and len(rest) > 40:
        if rest[6] == 58 and rest[40] in ND_TYPES:
            return "ND"
        return IP_NAMES.get(rest[6], "other")
    return "other"


def table(folder: Path) -> str:
    """Markdown table of the captures in a folder: format, frames per port, and what the tenants' frames are."""
    lines = [
        "| capture | format | underlay-in | tenant-out | tenant-in | underlay-out | tenants' frames, both ways |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for scenario in SCENARIOS:
        suffix = "pcapng" if scenario.form == "pcapng" else "pcap"
        frames = {port: read_capture(folder / scenario.name / f"{port}.{suffix}") for port in PORTS}
        kinds = Counter(_kind(packet.data) for port in ("tenant-in", "tenant-out") for packet in frames[port])
        content = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        counts = " | ".join(str(len(frames[port])) for port in PORTS)
        lines.append(f"| `{scenario.name}` | {FORMS[scenario.form]} | {counts} | {content} |")
    return "\n".join(lines)


def update(readme: Path, folder: Path) -> None:
    """Write the table into README.md, between its marks."""
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{table(folder)}\n{END}{after}", encoding="utf-8")
