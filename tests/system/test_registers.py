"""The registers of the core over AXI4-Lite on Verilator: what they hold is what the SystemRDL says."""

import os
import random

import pytest
from vtep_cases import registers
from vtep_cases.builds import ALL
from vtep_cases.cases import CASES

from helpers.seeds import seed_of
from vtep.config import VtepParameters
from vtep.control.registers import vtep_registers
from vtep.control.systemrdl import to_systemrdl
from vtep.control.tables import settings_layout
from vtep.verilog import to_verilog
from vtep.vxlan.axi import VtepAxi
from vtep_sim.cocotb.build import prepare, simulate

OTHER = VtepParameters(data_width=8, vnis=64, tunnels=3, fdb_entries=1, flood_entries=256, ipv6=False)
FULL = bool(os.environ.get("VTEP_FULL"))
BUILDS = {build.name: build.parameters for build in ALL if FULL or build.name == "w64-small"} | {"registers": OTHER}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(f"system-{name}")) for name in BUILDS]
)
def test_registers(name, system_root, here, pytestconfig):
    parameters = BUILDS[name]
    settings = None
    if parameters is OTHER:
        # Settings that are there from the start, the same in every run: the simulator is built once.
        rng = random.Random(name)
        settings = {one: rng.getrandbits(field.width) for one, field in settings_layout()}
    # No frame passes the other build: what it does not reach says nothing.
    coverage = pytestconfig.option.coverage and parameters is not OTHER
    verilog = None if settings is None else to_verilog(VtepAxi(parameters, settings), "vtep", notes=coverage)
    folder = prepare(parameters, system_root, name=name, verilog=verilog, coverage=coverage)
    rdl = folder / "vtep.rdl"
    rdl.write_text(to_systemrdl(vtep_registers(parameters, settings)))
    results = simulate(
        parameters,
        folder,
        [registers.__name__],
        CASES[registers.__name__],
        tag="registers",
        seed=seed_of(name, pytestconfig.option.seed),
        python_path=[here],
        environment={"VTEP_RDL": str(rdl)},
        coverage=coverage,
    )
    assert len(results) == 6
    for case, result in results.items():
        assert result.failure is None, f"{case}: {result.failure}"
