"""The gateway on Verilator, from PHY to PHY: both MACs, the core, the local stack or a host, registers."""

import pytest
from vtep_cases.cases import Case
from vtep_cases.collected import FULL, check, collect
from vtep_cases.gateway_designs import GATEWAY, JUMBO, PORT_HOST, SERIAL_HOST, GatewayBuild


def cases(*modules: str, build: GatewayBuild = GATEWAY) -> list:
    """Every test of ``modules`` that this run has."""

    def wanted(build: GatewayBuild, case: Case) -> bool:
        return case.when(build) and (FULL or not case.deep)

    return [param for module in modules for param in collect([build], module, wanted)]


@pytest.mark.parametrize(("build", "module", "name"), cases("gateway_traffic", "gateway_speeds"))
def test_traffic(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.full
@pytest.mark.parametrize(("build", "module", "name"), cases("gateway_jumbo", build=JUMBO))
def test_jumbo(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("gateway_local"))
def test_local(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(("build", "module", "name"), cases("gateway_rate"))
def test_rate(simulations, build, module, name):
    check(simulations, build, module, name)


@pytest.mark.parametrize(
    ("build", "module", "name"), [*cases("gateway_host", build=SERIAL_HOST), *cases("gateway_host", build=PORT_HOST)]
)
def test_host(simulations, build, module, name):
    check(simulations, build, module, name)
