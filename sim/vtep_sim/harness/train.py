"""Runs traffic through a model that watches itself, for `Training`: started by the simulator, not by hand."""

import pickle
import sys

from .gating import MAX_CLOCKS
from .simulator import Simulator


def main() -> None:
    """Read the order from stdin and carry it out."""
    parameters, training, model, record = pickle.load(sys.stdin.buffer)
    with Simulator(parameters, model=model) as simulator:
        simulator.configure(training.config)
        if record:
            simulator.census(record)
            simulator.queue(training.tenant, training.underlay, training.host)
            simulator.step(MAX_CLOCKS)
            simulator.census(None)
        else:
            simulator.run(training.tenant, training.underlay, training.host)


if __name__ == "__main__":
    main()
