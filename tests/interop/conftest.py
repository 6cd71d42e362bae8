"""Tests against the kernel's VXLAN device; without root, ``ip`` or that device they are skipped, with the reason."""

import sys
from pathlib import Path

import pytest

from vtep_sim.live.lab import what_is_missing

sys.path.insert(0, str(Path(__file__).parent))  # where the modules of this folder find each other


@pytest.fixture(scope="session", autouse=True)
def machine() -> None:
    """Skip where this machine cannot run them."""
    missing = what_is_missing()
    if missing:
        pytest.skip(f"interop tests: {missing}")
