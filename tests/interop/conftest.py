"""Tests against the kernel's VXLAN device; without root, ``ip`` or that device they are skipped, with the reason."""

import pytest

from vtep_sim.live.lab import what_is_missing


@pytest.fixture(scope="session", autouse=True)
def machine() -> None:
    """Skip where this machine cannot run them."""
    missing = what_is_missing()
    if missing:
        pytest.skip(f"interop tests: {missing}")
