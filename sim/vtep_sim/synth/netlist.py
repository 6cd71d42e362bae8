"""What Yosys's JSON netlist of a flattened design holds: cells, flip-flops of the wrapper, LUT levels."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .wrapper import REGISTERS

__all__ = ["LongestPath", "Netlist"]

_LUT = re.compile(r"LUT[1-6](_2)?$|INV$")
_WIDE_MUX = re.compile(r"MUXF[789]$")
_CARRY = re.compile(r"CARRY[48]$")
_DISTRIBUTED_RAM = re.compile(r"RAM\d+(M|X\d+[SD]|M16|X16DR8|X8SW)\w*$")
_WIRE = re.compile(r"(BUFG|IBUF|OBUF|BUFGCTRL)$")
_SEQUENTIAL = re.compile(r"(FD[CPRS]E(_1)?|LD[CP]E|SRLC?(16|32)E|(RAMB|FIFO|DSP48|URAM)\w+)$")
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
    start, end : str
        The registers at its two ends, by the net that they drive; behind the end's name its input port.
    cells : tuple of str
        Types of the cells between, from the start on.
    """

    luts: int
    carries: int
    wide_muxes: int
    start: str
    end: str
    cells: tuple[str, ...]


class Netlist:
    """A flattened, mapped design as written by ``write_json``."""

    def __init__(self, path: Path, top: str = "top") -> None:
        module = json.loads(path.read_text())["modules"][top]
        self._cells: dict[str, dict[str, Any]] = module["cells"]
        self._nets: dict[str, dict[str, Any]] = module["netnames"]

    def count(self) -> Counter[str]:
        """How many cells of each type."""
        return Counter(cell["type"] for cell in self._cells.values())

    def wrapper_flip_flops(self, output: str = "Q") -> int:
        """Flip-flops that belong to `RegisterWrapper`, found by the names of the nets they drive."""
        bits: set[int] = set()
        for name, net in self._nets.items():
            if name in REGISTERS:
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

        Raises
        ------
        ValueError
            A cell of an unknown type, or a combinational loop.
        """
        self._connect()
        before = self._longest_to_each()
        worst: tuple[_Weight, str | None, tuple[str, str]] = ((0, 0, 0), None, ("", ""))
        for end, bit in self._ends:
            source = self._driver.get(bit)
            if source is not None and before[source][0] > worst[0]:
                worst = (before[source][0], source, end)
        (luts, carries, muxes), name, (register, port) = worst
        if name is None:
            return LongestPath(0, 0, 0, "", "", ())
        names = self._names()
        cells = []
        while name is not None:
            first = name
            cells.append(self._cells[name]["type"])
            name = before[name][1]
        start = next((names[bit] for bit in self._reads[first] if bit in names), first)
        driven = [bit for bit in self._outputs(register) if bit in names]
        end_name = names[driven[0]] if driven else register
        return LongestPath(luts, carries, muxes, start, f"{end_name}.{port}", tuple(reversed(cells)))

    def _outputs(self, name: str) -> list[int]:
        cell = self._cells[name]
        ports = (port for port, direction in cell["port_directions"].items() if direction == "output")
        return [bit for port in ports for bit in cell["connections"].get(port, ()) if isinstance(bit, int)]

    def _names(self) -> dict[int, str]:
        """The shortest name that the source gives to each bit; none for what only the tools have named."""
        names: dict[int, str] = {}
        for name, net in self._nets.items():
            if not name.startswith("$"):
                for i, bit in enumerate(net["bits"]):
                    if isinstance(bit, int) and (bit not in names or len(name) < len(names[bit].split("[")[0])):
                        names[bit] = f"{name}[{i}]" if len(net["bits"]) > 1 else name
        return names

    def _connect(self) -> None:
        """Sort pins: what drives a net by logic, what logic reads, and where paths end."""
        self._driver: dict[int, str] = {}
        self._reads: dict[str, list[int]] = {}
        self._ends: list[tuple[tuple[str, str], int]] = []
        for name, cell in self._cells.items():
            kind = cell["type"]
            sequential = bool(_SEQUENTIAL.match(kind))
            if not sequential:
                self._reads[name] = []
            for port, bits in cell["connections"].items():
                wires = [bit for bit in bits if isinstance(bit, int)]
                ends = sequential or (_DISTRIBUTED_RAM.match(kind) and _RAM_WRITE_PORTS.match(port))
                if cell["port_directions"][port] == "output":
                    if not sequential:
                        self._driver.update((bit, name) for bit in wires)
                elif ends:
                    self._ends += [((name, port), bit) for bit in wires]
                else:
                    self._reads[name] += wires

    def _longest_to_each(self) -> dict[str, tuple["_Weight", str | None]]:
        """For each cell of logic the heaviest path that ends in it, and the cell in front of it there."""
        best: dict[str, tuple[_Weight, str | None]] = {}
        entered: set[str] = set()
        for root in self._reads:
            stack = [(root, False)]
            while stack:
                name, returning = stack.pop()
                if name in best:
                    continue
                sources = {self._driver[bit] for bit in self._reads[name] if bit in self._driver}
                if not returning:
                    if name in entered:
                        raise ValueError(f"combinational loop through {name}")
                    entered.add(name)
                    stack.append((name, True))
                    stack += [(source, False) for source in sources if source not in best]
                else:
                    previous = max(sources, key=lambda source: best[source][0], default=None)
                    base = best[previous][0] if previous is not None else (0, 0, 0)
                    own = _weight(self._cells[name]["type"])
                    best[name] = ((base[0] + own[0], base[1] + own[1], base[2] + own[2]), previous)
        return best


_Weight = tuple[int, int, int]
"""LUTs, carry cells, wide multiplexers."""


def _weight(kind: str) -> _Weight:
    if _LUT.match(kind) or _DISTRIBUTED_RAM.match(kind):
        return (1, 0, 0)
    if _CARRY.match(kind):
        return (0, 1, 0)
    if _WIDE_MUX.match(kind):
        return (0, 0, 1)
    if _WIRE.match(kind) or kind == "$scopeinfo":
        return (0, 0, 0)
    raise ValueError(f"cells of the unknown type {kind}")
