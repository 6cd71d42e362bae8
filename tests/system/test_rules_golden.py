"""The directed tests of SPEC.md, held against the golden model alone: two readings of one text must agree."""

import pytest
from vtep_cases.builds import ALL
from vtep_cases.configs import cut_through
from vtep_cases.rules import RULES
from vtep_cases.scenario import judge

from vtep.config import DATA_WIDTHS
from vtep_sim.cocotb.bench import as_frames
from vtep_sim.cocotb.scoreboard import Outputs
from vtep_sim.golden import GoldenModel

SAME = {f"w{width}{mode}" for width in DATA_WIDTHS if width != 64 for mode in ("", "-ct")}
"""Builds that differ from another one in nothing but their width, which the model does not know."""

KINDS = {build.name: build.parameters for build in ALL if build.name not in SAME}


CASES = [(name, kind) for kind, p in KINDS.items() for name, rule in RULES.items() if rule.when(p)]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_golden(name, kind):
    p = KINDS[kind]
    scenario = RULES[name].make(p)
    encap, decap = cut_through(p)
    model = GoldenModel(
        scenario.config,
        encap_cut_through=encap,
        decap_cut_through=decap,
        max_frame_length=p.max_frame_length,
        ipv6=p.ipv6,
    )
    prediction = model.run(as_frames(scenario.tenant), as_frames(scenario.underlay), as_frames(scenario.host))
    outputs = Outputs(prediction.tenant, prediction.underlay_encap + prediction.underlay_host, prediction.host)
    judge(scenario, outputs, prediction.counters)
