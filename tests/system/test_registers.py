"""The register block behind AXI4-Lite on Verilator: what it holds is what the SystemRDL says."""

import random

import pytest
from vtep_cases import registers
from vtep_cases.cases import CASES
from vtep_cases.register_top import RegisterTop

from vtep.config import VtepParameters
from vtep.control.registers import vtep_registers
from vtep.control.systemrdl import to_systemrdl
from vtep.control.tables import settings_layout
from vtep.verilog import to_verilog
from vtep_sim.cocotb import build

TOP = "vtep_registers"
BUILDS = {
    "default": VtepParameters(),
    "other": VtepParameters(data_width=512, vnis=64, tunnels=3, fdb_entries=1, flood_entries=256, ipv6=False),
}


@pytest.mark.parametrize("name", BUILDS)
def test_registers(name, system_root, here, monkeypatch, pytestconfig):
    parameters = BUILDS[name]
    # Settings that are there from the start, the same in every run: the simulator is built once.
    rng = random.Random(name)
    settings = {one: rng.getrandbits(field.width) for one, field in settings_layout()} if name == "other" else None
    folder = system_root / f"registers-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    rdl = folder / "vtep.rdl"
    build._environment()
    with build._locked(folder):
        rdl.write_text(to_systemrdl(vtep_registers(parameters, settings)))
        verilog = folder / "registers.v"
        verilog.write_text(to_verilog(RegisterTop(parameters, settings), TOP))
        build._build(system_root, folder, [verilog], TOP, {}, public=True)
    monkeypatch.setattr(build, "MONITOR", TOP)  # the top that `simulate` takes where there is no core
    results = build.simulate(
        None,
        folder,
        [registers.__name__],
        CASES[registers.__name__],
        seed=pytestconfig.option.seed,
        python_path=[here],
        environment={"VTEP_RDL": str(rdl)},
    )
    assert len(results) == 5
    for case, result in results.items():
        assert result.failure is None, f"{case}: {result.failure}"
