"""Area and clock of the blocks that have a bar to reach, each behind flip-flops, and the whole core."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vtep.config import VtepParameters

from ..synth import measure_ecp5, measure_levels

__all__ = ["BLOCKS", "Area", "Block", "measure_area"]


@dataclass(frozen=True)
class Block:
    """A block to measure: how to make it, on which device, and what it must reach.

    ``max_lut4``, ``min_mhz`` and ``max_levels`` are the bars; None: there is none.
    """

    name: str
    make: Callable[[], Any]
    device: str
    max_lut4: int | None = None
    min_mhz: float | None = None
    max_levels: int | None = None

    @property
    def title(self) -> str:
        """Name and device."""
        return f"{self.name}, {self.device}"


@dataclass(frozen=True)
class Area:
    """Figures of one block on one device; those that the device's flow does not give are None.

    ``device`` is "ecp5" (LFE5UM5G-85F, speed 8: placed and routed) or "xcup" (UltraScale+: LUT levels after
    synthesis). ``mhz`` is the median of the seeds' ``runs``.
    """

    block: str
    device: str
    luts: int
    flip_flops: int
    rams: int
    mhz: float | None
    runs: tuple[float, ...]
    levels: int | None
    path: str
    bars: str
    reached: bool


def _fcs(name: str, data_width: int) -> Callable[[], Any]:
    def make() -> Any:
        from vtep.integrity import fcs

        return getattr(fcs, name)(data_width)

    return make


LARGE = VtepParameters(fdb_entries=4096, vnis=1024, tunnels=256)
"""Tables that serve a rack."""


def _core(parameters: VtepParameters) -> Callable[[], Any]:
    def make() -> Any:
        from vtep.vxlan.axi import VtepAxi

        return VtepAxi(parameters)

    return make


BLOCKS = (
    Block("FCS insert, 64 bits", _fcs("FcsInsert", 64), "ecp5", max_lut4=1200, min_mhz=300),
    Block("FCS check, 64 bits", _fcs("FcsCheck", 64), "ecp5", max_lut4=900, min_mhz=300),
    Block("FCS insert, 512 bits", _fcs("FcsInsert", 512), "ecp5", min_mhz=250),
    Block("FCS insert, 512 bits", _fcs("FcsInsert", 512), "xcup", max_levels=4),
    Block("whole core, 64 bits", _core(VtepParameters(data_width=64)), "ecp5", min_mhz=156.25),
    Block("whole core, 512 bits", _core(VtepParameters(data_width=512)), "xcup", max_levels=6),
    Block("core with large tables, 64 bits", _core(replace(LARGE, data_width=64)), "ecp5", min_mhz=156.25),
    Block("core with large tables, 512 bits", _core(replace(LARGE, data_width=512)), "xcup", max_levels=6),
)


def measure_area(folder: Path, message: Callable[[str], None], blocks: Iterable[Block] = BLOCKS) -> Iterator[Area]:
    """Measure each block; its netlists, reports and logs go into a folder of its own in ``folder``.

    Raises
    ------
    vtep_sim.synth.ToolError
        A tool is missing or failed.
    """
    for block in blocks:
        message(f"{block.title} ...")
        place = folder / f"{block.name.replace(', ', '-').replace(' ', '-')}-{block.device}"
        yield _on_ecp5(block, place, message) if block.device == "ecp5" else _on_xcup(block, place)


def _on_ecp5(block: Block, place: Path, message: Callable[[str], None]) -> Area:
    figures = measure_ecp5(block.make(), place, progress=message)
    path = figures.critical
    bars, reached = [], True
    if block.max_lut4 is not None:
        bars.append(f"at most {block.max_lut4} LUT4")
        reached = reached and figures.lut4 <= block.max_lut4
    if block.min_mhz is not None:
        bars.append(f"at least {block.min_mhz:g} MHz")
        reached = reached and figures.fmax >= block.min_mhz
    return Area(
        block.name,
        block.device,
        figures.lut4,
        figures.flip_flops,
        figures.block_rams,
        figures.fmax,
        tuple(run.fmax for run in figures.runs),
        path.path_luts,
        f"{path.path_from} to {path.path_to}: {path.path_luts} LUT, logic {path.path_logic:.2f} ns, "
        f"routing {path.path_routing:.2f} ns",
        ", ".join(bars),
        reached,
    )


def _on_xcup(block: Block, place: Path) -> Area:
    figures = measure_levels(block.make(), place)
    levels = figures.path.luts
    return Area(
        block.name,
        block.device,
        figures.luts,
        figures.flip_flops,
        figures.ram_cells,
        None,
        (),
        levels,
        f"{figures.path.start} to {figures.path.end}",
        f"at most {block.max_levels} LUT levels",
        block.max_levels is None or levels <= block.max_levels,
    )
