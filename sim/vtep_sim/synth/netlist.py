"""What Yosys's JSON netlist of a flattened design holds: cells, flip-flops of the wrapper, LUT levels."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .wrapper import IN_PREFIX, OUT_PREFIX

__all__ = ["LongestPath", "Netlist"]

_LUT = re.compile(r"LUT[1-6](_2)?$|INV$")
_WIDE_MUX = re.compile(r"MUXF[789]$")
_CARRY = re.compile(r"CARRY[48]$")
_DISTRIBUTED_RAM = re.compile(r"RAM\d+(M|X\d+[SD]|M16|X16DR8|X8SW)\w*$")
_WIRE = re.compile(r"(BUFG|IBUF|OBUF|BUFGCTRL)$")
_SEQUENTIAL = re.compile(r"FD[CPRS]E(_1)?$|LD[CP]E$|SRL(C?16|C?32)E$|RAMB\w+$|FIFO\w+$|DSP48\w+$|URAM\w+$|SRLC32E$")
# Inputs of a distributed RAM that write it: paths end there. Its read addresses lead through.
_RAM_WRITE_PORTS = re.compile(r"(DI\w*|D|WE\d?|WCLK|WA\d*)$")


@dataclass(frozen=True)
class LongestPath:
    """The path with the most LUTs between two registers; carry cells break ties.

    Attributes
    ----------
    luts : int
        LUTs on the path, an inverter and the read of a distributed RAM counted as one each.
    carries, wide_muxes : int
        Carry cells and MUXF cells on the same path, which are not LUTs.
    cells : tuple of str
        ``type name`` of the path's cells, from its start.
    """

    luts: int
    carries: int
    wide_muxes: int
    cells: tuple[str, ...]


class Netlist:
    """A flattened, mapped design as written by ``write_json``."""

    def __init__(self, path: Path, top: str = "top") -> None:
        module = json.loads(path.read_text())["modules"][top]
        self._cells: dict[str, dict] = module["cells"]
        self._nets: dict[str, dict] = module["netnames"]

    def count(self) -> Counter[str]:
        """How many cells of each type."""
        return Counter(cell["type"] for cell in self._cells.values())

    def wrapper_flip_flops(self, output: str = "Q") -> int:
        """Flip-flops that belong to `RegisterWrapper`, found by the names of the nets they drive."""
        bits: set[int] = set()
        for name, net in self._nets.items():
            if name.split(".")[-1] in (IN_PREFIX, OUT_PREFIX):
                bits.update(bit for bit in net["bits"] if isinstance(bit, int))
        drivers = 0
        for cell in self._cells.values():
            if cell["type"].startswith(("FD", "TRELLIS_FF")):
                drivers += any(bit in bits for bit in cell["connections"].get(output, ()))
        return drivers

    def longest_path(self) -> LongestPath:
        """Longest path between registers of a netlist of Xilinx cells, in LUTs.

        Flip-flops, shift registers, block RAMs and DSP blocks cut paths. A distributed RAM's read is a path
        from its address to its output, its write ports end paths.
        """
        driver: dict[int, str] = {}
        inputs: dict[str, list[int]] = {}
        weight: dict[str, tuple[int, int, int]] = {}
        ends: list[tuple[str, int]] = []
        for name, cell in self._cells.items():
            kind = cell["type"]
            directions = cell.get("port_directions", {})
            feeds: list[int] = []
            for port, bits in cell["connections"].items():
                wires = [bit for bit in bits if isinstance(bit, int)]
                if directions.get(port) == "output":
                    if not _SEQUENTIAL.match(kind):
                        driver.update((bit, name) for bit in wires)
                elif _SEQUENTIAL.match(kind) or (_DISTRIBUTED_RAM.match(kind) and _RAM_WRITE_PORTS.match(port)):
                    ends += [(f"{kind} {name}.{port}", bit) for bit in wires]
                else:
                    feeds += wires
            if _SEQUENTIAL.match(kind) or kind.startswith("$"):
                continue
            inputs[name] = feeds
            if _LUT.match(kind) or _DISTRIBUTED_RAM.match(kind):
                weight[name] = (1, 0, 0)
            elif _CARRY.match(kind):
                weight[name] = (0, 1, 0)
            elif _WIDE_MUX.match(kind):
                weight[name] = (0, 0, 1)
            elif _WIRE.match(kind):
                weight[name] = (0, 0, 0)
            else:
                raise ValueError(f"cell {name} is of an unknown type {kind}")

        best: dict[str, tuple[int, int, int]] = {}
        before: dict[str, str | None] = {}
        for root in inputs:
            stack = [(root, False)]
            while stack:
                name, ready = stack.pop()
                if name in best:
                    continue
                sources = {driver[bit] for bit in inputs[name] if bit in driver}
                if not ready:
                    stack.append((name, True))
                    stack += [(source, False) for source in sources if source not in best]
                    continue
                missing = sources - best.keys()
                if missing:
                    raise ValueError(f"combinational loop through {name} and {missing.pop()}")
                previous = max(sources, key=best.__getitem__, default=None)
                base = best[previous] if previous is not None else (0, 0, 0)
                best[name] = tuple(a + b for a, b in zip(base, weight[name], strict=True))  # type: ignore[assignment]
                before[name] = previous

        worst: tuple[tuple[int, int, int], str | None, str] = ((0, 0, 0), None, "")
        for end, bit in ends:
            source = driver.get(bit)
            if source is not None and best[source] > worst[0]:
                worst = (best[source], source, end)
        (luts, carries, muxes), name, end = worst
        cells = [end] if end else []
        while name is not None:
            cells.append(f"{self._cells[name]['type']} {name}")
            name = before[name]
        return LongestPath(luts, carries, muxes, tuple(reversed(cells)))
