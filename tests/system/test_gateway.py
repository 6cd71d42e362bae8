"""The gateway on Verilator, from PHY to PHY: both MACs, the core, the local stack, and registers on the serial line."""

import os
from importlib import import_module

import pytest
from vtep_cases.cases import CASES
from vtep_cases.gateway_designs import GATEWAY

FULL = bool(os.environ.get("VTEP_FULL"))


def cases(*modules: str) -> list:
    """Every test of ``modules`` that this run has."""
    out = []
    for module in modules:
        import_module(f"vtep_cases.{module}")
        for case in CASES[f"vtep_cases.{module}"].values():
            if FULL or not case.deep:
                group = pytest.mark.xdist_group(f"system-{GATEWAY.name}")
                out.append(pytest.param(GATEWAY, module, case.name, id=case.name, marks=group))
    return out


def check(simulations, build, module: str, name: str) -> None:
    result = simulations.outcome(build, module, name)
    if result.failure:
        pytest.fail(result.failure, pytrace=False)


@pytest.mark.parametrize(("build", "module", "name"), cases("gateway_traffic", "gateway_speeds"))
def test_traffic(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("gateway_local"))
def test_local(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("gateway_rate"))
def test_rate(simulations, build, module, name):
    check(simulations, build, module, name)
