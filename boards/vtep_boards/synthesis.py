"""The core synthesised for families of other vendors, without place and route: figures only."""

from collections.abc import Callable
from pathlib import Path

from amaranth.lib import wiring

from vtep_sim.synth.netlist import Netlist
from vtep_sim.synth.tools import run_yosys
from vtep_sim.synth.wrapper import RegisterWrapper

__all__ = ["FAMILIES", "synthesise"]

FAMILIES = {
    "ecp5": "synth_ecp5 -top top",
    "nexus": "synth_nexus -top top",
    "xcup": "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top top",
    "xcu": "synth_xilinx -family xcu -flatten -noiopad -noclkbuf -top top",
    "xc7": "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top top",
    "cyclonev": "synth_intel_alm -family cyclonev -top top",
}
"""Yosys' command for each family."""


def synthesise(
    component: wiring.Component, family: str, folder: Path, progress: Callable[[str], None] = lambda message: None
) -> dict[str, int]:
    """Synthesise ``component`` behind flip-flops and count the family's cells, the wrapper's flip-flops among them.

    Raises
    ------
    vtep_sim.synth.ToolError
        Yosys failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress("Amaranth: netlist")
    (folder / f"{family}.il").write_text(RegisterWrapper(component).rtlil())
    progress(f"Yosys: synthesis for {family}")
    script = [
        f"read_rtlil {family}.il",
        FAMILIES[family],
        f"write_json {family}.json",
    ]
    run_yosys(script, folder, f"{family}.log")
    counts = Netlist(folder / f"{family}.json").count()
    return {kind: count for kind, count in sorted(counts.items()) if not kind.startswith("$")}
