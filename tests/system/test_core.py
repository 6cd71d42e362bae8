"""The Verilog core on Verilator, judged by SPEC.md: directed, random, malformed, and reset in between.

One test body for all widths and build parameters. A failure prints the seed; run it again with ``--seed``, or with
``VTEP_SEED`` in the environment.
"""

import pytest
from vtep_cases.builds import ALL
from vtep_cases.collected import FULL, check, collect


def cases(module: str) -> list:
    """Every test of ``module`` on every build that this run has and the test is for."""
    builds = [build for build in ALL if FULL or (build.brief and (module != "selftest" or build.name == "w64"))]
    return collect(
        builds, module, lambda build, case: case.when(build.parameters) and (FULL or build.deep or not case.deep)
    )


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
