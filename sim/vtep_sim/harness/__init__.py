"""The Verilated core behind a small Python interface: frames in, frames and clocks out."""

from .build import BuildError, find_verilator
from .simulator import PORTS, FrameLike, OutputFrame, Result, SimulationError, Simulator, Span

__all__ = [
    "PORTS",
    "BuildError",
    "FrameLike",
    "OutputFrame",
    "Result",
    "SimulationError",
    "Simulator",
    "Span",
    "find_verilator",
]
