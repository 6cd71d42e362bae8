"""Tests against the kernel's VXLAN device; without root, ``ip`` or that device they are skipped, with the reason."""

import sys
from pathlib import Path

import pytest

from vtep_sim.live.lab import what_is_missing

# Where the modules of this folder, the helpers, and those of the laboratory that makes the captures, are found.
TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(TESTS), str(TESTS / "vectors")]


@pytest.fixture(scope="session", autouse=True)
def machine() -> None:
    """Skip where this machine cannot run them."""
    missing = what_is_missing()
    if missing:
        pytest.skip(f"interop tests: {missing}")
