"""Synthesis for other families: each of them counts a small component's cells."""

import os
from pathlib import Path

import pytest

from vtep.mac.led import LinkLed
from vtep_boards.synthesis import FAMILIES, synthesise

FLIP_FLOPS = {
    "ecp5": {"TRELLIS_FF"},
    "nexus": {"FD1P3IX", "FD1P3DX", "FD1P3JX"},
    "xcup": {"FDRE", "FDSE"},
    "xcu": {"FDRE", "FDSE"},
    "xc7": {"FDRE", "FDSE"},
    "cyclonev": {"MISTRAL_FF"},
}
BRIEF = ["ecp5", "xcup"]


@pytest.mark.parametrize("family", FAMILIES if os.environ.get("VTEP_FULL") else BRIEF)
def test_counts_cells(family: str, tmp_path: Path) -> None:
    steps: list[str] = []
    counts = synthesise(LinkLed(1_000_000), family, tmp_path, steps.append)
    # The light's register and its timer of 17 bits, and the wrapper's: twice three inputs with the reset, one output.
    assert sum(counts.get(kind, 0) for kind in FLIP_FLOPS[family]) == 1 + 17 + 6 + 1
    assert len(steps) == 2
