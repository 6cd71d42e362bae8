"""How a cocotb test of this folder is written and found.

`case` makes a cocotb test of a coroutine function of (dut, rng) and notes for which builds it is and in which depth.
Outside the simulator, `CASES` tells pytest what there is.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import cocotb

from helpers.seeds import seed_of
from vtep.config import VtepParameters
from vtep_sim.cocotb.build import parameters_from_json

__all__ = ["CASES", "Case", "case", "full", "parameters", "scale"]


@dataclass(frozen=True)
class Case:
    """A cocotb test. ``deep``: left out of builds that are tested briefly."""

    module: str
    name: str
    when: Callable[[Any], bool]  # of a build: of its parameters, where it is one of the core
    deep: bool


LIMIT = 30
"""Simulated milliseconds, at 100,000 clocks each, after which a test has failed."""

CASES: dict[str, dict[str, Case]] = {}


def parameters() -> VtepParameters:
    """Parameters of the build under test."""
    return parameters_from_json(os.environ["VTEP_PARAMETERS"])


def full() -> bool:
    """Whether this run tests in depth everywhere."""
    return bool(os.environ.get("VTEP_FULL"))


def scale(brief: int, deep: int) -> int:
    """An amount of work: ``deep`` where this build is tested in depth, else ``brief``."""
    return deep if os.environ.get("VTEP_DEEP") else brief


def case(function=None, *, when: Callable[[Any], bool] = lambda p: True, deep: bool = False, name=None):
    """Register a cocotb test. Its seed comes from ``VTEP_SEED`` and its name, and is logged."""

    def register(function):
        label = name or function.__name__
        cases = CASES.setdefault(function.__module__, {})
        if label in cases:
            raise ValueError(f"two cases are called {label}")
        cases[label] = Case(function.__module__, label, when, deep)

        @functools.wraps(function)
        async def run(dut):
            base = int(os.environ.get("VTEP_SEED", "0"), 0)
            seed = seed_of(label, base)
            dut._log.warning("VTEP_SEED=%d %s: seed %d", base, label, seed)
            await function(dut, Random(seed))

        return cocotb.test(name=label, timeout_time=LIMIT, timeout_unit="ms")(run)

    return register(function) if function else register
