"""LUT levels of a component on UltraScale+, from Yosys's `synth_xilinx -family xcup`."""

from dataclasses import dataclass
from pathlib import Path

from amaranth.lib import wiring

from .netlist import LongestPath, Netlist
from .tools import run_yosys, version
from .wrapper import RegisterWrapper

__all__ = ["LevelMeasurement", "measure_levels"]

WIRE_DELAY = 3000
"""What ABC takes a route between two tables for, in picoseconds: so long that it looks for the fewest levels.

`synth_xilinx` without this takes 300, beside table delays of the older 7 series: then several small tables in a row
pass for faster than one of six inputs, and the levels are not as few as they can be.
"""


@dataclass(frozen=True)
class LevelMeasurement:
    """Figures after `synth_xilinx -family xcup` (see `WIRE_DELAY`); nothing is placed, so there is no frequency.

    Attributes
    ----------
    path : LongestPath
        The register-to-register path with the most LUTs.
    luts, flip_flops, ram_cells : int
        LUT cells, flip-flops without the wrapper's, and distributed or block RAM cells.
    wrapper_flip_flops : int
        Flip-flops of the measuring wrapper, already subtracted.
    yosys : str
        Version of `pyosys`.
    """

    path: LongestPath
    luts: int
    flip_flops: int
    ram_cells: int
    wrapper_flip_flops: int
    yosys: str


def measure_levels(component: wiring.Component, folder: Path) -> LevelMeasurement:
    """Synthesize ``component`` behind flip-flops for UltraScale+ and count LUTs on the longest path.

    Parameters
    ----------
    component : wiring.Component
        A fresh component (one elaboration each).
    folder : Path
        Working folder for the netlist and the log; made if missing.

    Raises
    ------
    ToolError
        Yosys failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "xcup.il").write_text(RegisterWrapper(component).rtlil())
    run_yosys(
        [
            "read_rtlil xcup.il",
            f"scratchpad -set synth_xilinx.abc9.W {WIRE_DELAY}",
            "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top top",
            "write_json xcup.json",
        ],
        folder,
        "xcup.yosys.log",
    )
    netlist = Netlist(folder / "xcup.json")
    counts = netlist.count()
    wrapper = netlist.wrapper_flip_flops()
    return LevelMeasurement(
        path=netlist.longest_path(),
        luts=sum(n for kind, n in counts.items() if kind.startswith(("LUT", "INV"))),
        flip_flops=sum(n for kind, n in counts.items() if kind.startswith("FD")) - wrapper,
        ram_cells=sum(n for kind, n in counts.items() if kind.startswith("RAM")),
        wrapper_flip_flops=wrapper,
        yosys=version("pyosys"),
    )
