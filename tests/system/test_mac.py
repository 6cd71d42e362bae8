"""The MAC on Verilator, between cocotbext-eth's PHYs: it sends back what it receives, and says what that was."""

import pytest
from vtep_cases.collected import FULL, check, collect
from vtep_cases.mac_designs import ALL
from vtep_cases.ten_gigabit_design import TEN_GIGABIT


def cases(module: str, *lines: str) -> list:
    """Every test of ``module`` that this run has, on every build with one of ``lines``."""
    return collect(
        ALL,
        module,
        lambda build, case: build.line in lines and case.when(build) and (FULL or build.deep or not case.deep),
    )


@pytest.mark.parametrize(("build", "module", "name"), cases("mac_gigabit", "gmii", "rgmii"))
def test_gigabit(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("mac_speeds", "gmii", "rgmii"))
def test_speeds(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("mac_xgmii", "xgmii"))
def test_xgmii(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.full
@pytest.mark.parametrize(
    ("build", "module", "name"), collect([TEN_GIGABIT], "ten_gigabit", lambda build, case: case.when(build))
)
def test_ten_gigabit(simulations, build, module, name):
    """The core with an XGMII at either side."""
    check(simulations, build, module, name)
