"""The Verilog core on Verilator, judged by SPEC.md: directed, random, malformed, and reset in between.

One test body for all widths and build parameters. A failure prints the seed; run it again with ``--seed``, or with
``VTEP_SEED`` in the environment.
"""

import os
from importlib import import_module

import pytest
from vtep_cases.builds import ALL
from vtep_cases.cases import CASES

FULL = bool(os.environ.get("VTEP_FULL"))


def cases(module: str) -> list:
    """Every test of ``module`` on every build that this run has and the test is for."""
    import_module(f"vtep_cases.{module}")
    out = []
    for build in ALL:
        if not (FULL or build.brief):
            continue
        if module == "selftest" and not (FULL or build.name == "w64"):
            continue
        for case in CASES[f"vtep_cases.{module}"].values():
            if case.when(build.parameters) and (FULL or build.deep or not case.deep):
                group = pytest.mark.xdist_group(f"system-{build.name}")
                out.append(pytest.param(build, module, case.name, id=f"{case.name}-{build.name}", marks=group))
    return out


def check(simulations, build, module: str, name: str) -> None:
    result = simulations.outcome(build, module, name)
    if result.failure:
        pytest.fail(result.failure, pytrace=False)


@pytest.mark.parametrize(("build", "module", "name"), cases("directed"))
def test_rule(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("traffic"))
def test_traffic(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("floods"))
def test_flood(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("robust"))
def test_robust(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("selftest"))
def test_bench(simulations, build, module, name):
    check(simulations, build, module, name)
