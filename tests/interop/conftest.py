"""Tests against the kernel's VXLAN device; without root, ``ip`` or that device they are skipped, with the reason."""

import sys
from contextlib import closing
from pathlib import Path

import pytest

from vtep_sim.live.lab import what_is_missing
from vtep_sim.live.namespace import CommandError, Namespace

# Where the modules of this folder, and those of the laboratory that makes the captures, are found.
TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(TESTS / "vectors")]


@pytest.fixture(scope="session", autouse=True)
def machine() -> None:
    """Skip where this machine cannot run them."""
    missing = what_is_missing() or _without_veth()
    if missing:
        pytest.skip(f"interop tests: {missing}")


def _without_veth() -> str:
    with closing(Namespace()) as space:
        try:
            space.run("ip link add name probe type veth peer name other")
        except CommandError:
            return "the kernel has no veth devices (module veth)"
    return ""
