"""Runs traffic through a model that watches itself, for `Training`: started by the simulator, not by hand."""

import pickle
import sys

from .gating import CENSUS_CLOCKS, CENSUS_STARTS
from .simulator import Simulator


def main() -> None:
    """Read the order from stdin and carry it out."""
    parameters, training, model, record = pickle.load(sys.stdin.buffer)
    with Simulator(parameters, model=model) as simulator:
        simulator.configure(training.config)
        if record:
            simulator.queue(training.tenant, training.underlay, training.host)
            passed = 0
            for start in CENSUS_STARTS:
                simulator.step(start - passed)
                simulator.census(record)
                simulator.step(CENSUS_CLOCKS)
                simulator.census(None)
                passed = start + CENSUS_CLOCKS
        else:
            simulator.run(training.tenant, training.underlay, training.host)


if __name__ == "__main__":
    main()
