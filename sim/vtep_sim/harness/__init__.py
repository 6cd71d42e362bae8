"""The Verilated core behind a small Python interface: frames in, frames and clocks out."""

from .recorder import Recorder
from .simulator import PORTS, FrameLike, OutputFrame, Result, SimulationError, Simulator, Span, Training
from .tools import BuildError, find_verilator

__all__ = [
    "PORTS",
    "BuildError",
    "FrameLike",
    "OutputFrame",
    "Recorder",
    "Result",
    "SimulationError",
    "Simulator",
    "Span",
    "Training",
    "find_verilator",
]
