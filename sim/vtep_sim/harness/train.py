"""Runs traffic through a model that counts its branches, for `Training`: started by the simulator, not by hand."""

import pickle
import sys

from .simulator import Simulator


def main() -> None:
    """Read the order from stdin and carry it out."""
    parameters, training, model = pickle.load(sys.stdin.buffer)
    with Simulator(parameters, model=model) as simulator:
        simulator.configure(training.config)
        simulator.run(training.tenant, training.underlay, training.host)


if __name__ == "__main__":
    main()
