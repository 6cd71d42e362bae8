"""The directed tests of SPEC.md on the Verilog: one cocotb test for each of `rules.RULES`."""

from vtep_sim.cocotb.bench import Bench
from vtep_sim.cocotb.scoreboard import Outputs

from .cases import case, parameters
from .rules import RULES
from .scenario import Rule, judge


def _directed(rule: Rule):
    async def run(dut, rng):
        p = parameters()
        scenario = rule.make(p)
        pauses = rng.choice([(0, 0), (0, 0.3), (0.3, 0), (0.2, 0.2)])
        bench = Bench(dut, p, rng.getrandbits(32), idle=pauses[0], stall=pauses[1], burst=3)
        await bench.start(scenario.config)
        _, prediction = await bench.exchange(scenario.tenant, scenario.underlay, scenario.host)
        # What came out equals the prediction here, but for marked frames of cut-through operation.
        outputs = Outputs(prediction.tenant, prediction.underlay_encap + prediction.underlay_host, prediction.host)
        judge(scenario, outputs, prediction.counters)
        await bench.finish()

    return case(run, when=rule.when, name=rule.name)


for _rule in RULES.values():
    globals()[_rule.name] = _directed(_rule)
