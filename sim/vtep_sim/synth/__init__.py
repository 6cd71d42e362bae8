"""Area and timing of a component: Yosys and nextpnr on an ECP5, LUT levels on an UltraScale+.

`measure_ecp5` and `measure_levels` take any Amaranth component, put every port behind a flip-flop
(`RegisterWrapper`) and return figures; ``python -m vtep_sim.synth --help`` is the same from a shell.
Nothing is cached: each call runs the tools again.
"""

from .ecp5 import Ecp5Measurement, Ecp5Run, measure_ecp5
from .levels import LevelMeasurement, measure_levels
from .tools import ToolError
from .wrapper import RegisterWrapper

__all__ = [
    "Ecp5Measurement",
    "Ecp5Run",
    "LevelMeasurement",
    "RegisterWrapper",
    "ToolError",
    "measure_ecp5",
    "measure_levels",
]
