"""The cases as pytest sees them: parameters of tests, each of which tells the outcome of one."""

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import pytest

from .cases import CASES, Case

__all__ = ["FULL", "check", "collect"]

FULL = bool(os.environ.get("VTEP_FULL"))


def collect(builds: Iterable[Any], module: str, wanted: Callable[[Any, Case], bool]) -> list:
    """Cases of ``module`` on those builds for which they are ``wanted``: (build, module, name).

    Those of one build stay together, for they share its simulation.
    """
    import_module(f"vtep_cases.{module}")
    out = []
    for build in builds:
        group = pytest.mark.xdist_group(f"system-{build.name}")
        out += [
            pytest.param(build, module, case.name, id=f"{case.name}-{build.name}", marks=group)
            for case in CASES[f"vtep_cases.{module}"].values()
            if wanted(build, case)
        ]
    return out


def check(simulations, build, module: str, name: str) -> None:
    """Fail as the case did in the simulator."""
    result = simulations.outcome(build, module, name)
    if result.failure:
        pytest.fail(result.failure, pytrace=False)
