"""The MAC on Verilator, between cocotbext-eth's PHYs: it sends back what it receives, and says what that was."""

import os
from importlib import import_module

import pytest
from vtep_cases.cases import CASES
from vtep_cases.mac_designs import ALL

FULL = bool(os.environ.get("VTEP_FULL"))


def cases(module: str, *lines: str) -> list:
    """Every test of ``module`` that this run has, on every build with one of ``lines``."""
    import_module(f"vtep_cases.{module}")
    out = []
    for build in ALL:
        for case in CASES[f"vtep_cases.{module}"].values():
            if build.line in lines and case.when(build) and (FULL or build.deep or not case.deep):
                group = pytest.mark.xdist_group(f"system-{build.name}")
                out.append(pytest.param(build, module, case.name, id=f"{case.name}-{build.name}", marks=group))
    return out


def check(simulations, build, module: str, name: str) -> None:
    result = simulations.outcome(build, module, name)
    if result.failure:
        pytest.fail(result.failure, pytrace=False)


@pytest.mark.parametrize(("build", "module", "name"), cases("mac_gigabit", "gmii", "rgmii"))
def test_gigabit(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("mac_speeds", "rgmii"))
def test_speeds(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("mac_xgmii", "xgmii"))
def test_xgmii(simulations, build, module, name):
    check(simulations, build, module, name)
