"""Faults planted into the Verilog: the directed tests must catch every one, or they would not catch a real one."""

import pytest
from vtep_cases import directed  # noqa: F401 - registers its cases
from vtep_cases.builds import ALL
from vtep_cases.cases import CASES

from vtep_sim.cocotb.build import core_verilog, prepare, simulate

MUTANTS = {
    "the EtherType of IPv6": ("16'h86dd", "16'h86df"),
    "the EtherType of IPv4": ("16'h0800", "16'h0801"),
    "the customer tag": ("16'h8100", "16'h8101"),
    "the service tag": ("16'h88a8", "16'h88aa"),
    "the protocol number of UDP": ("8'h11", "8'h12"),
    "the protocol number of SCTP": ("8'h84", "8'h85"),
    "the longest frame": ("16'h2580", "16'h2581"),
}

pytestmark = [pytest.mark.full, pytest.mark.slow]


@pytest.mark.parametrize("what", MUTANTS)
def test_the_directed_tests_catch(what, system_root, here):
    (build,) = [build for build in ALL if build.name == "w64"]
    right, wrong = MUTANTS[what]
    verilog = core_verilog(build.parameters)
    assert right in verilog, f"{right} is not in the Verilog any more: choose another literal for {what}"
    name = f"mutant-{right[-4:].strip(chr(39))}"
    folder = prepare(build.parameters, system_root, verilog=verilog.replace(right, wrong), name=name)
    cases = [case.name for case in CASES["vtep_cases.directed"].values() if case.when(build.parameters)]
    results = simulate(build.parameters, folder, ["vtep_cases.directed"], cases, seed=0, python_path=[here])
    caught = [name for name, result in results.items() if result.failure]
    print(f"{what}: caught by {len(caught)} of {len(results)} tests")
    assert caught
    assert len(caught) < len(results), "every test failed: the mutant does not run at all"
