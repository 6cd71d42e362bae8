"""Gives the registers of a Verilog text clocks of their own, for the simulation only, that rise where they are needed.

Verilator evaluates what hangs on a clock only when it rises. In the text that `gate` writes, the registers of a domain
have a bit of the new input ``gate_clk`` for their clock, and the new outputs ``gate_from_N`` say, a bit for each
domain, where a source changed with the last edge. So whoever clocks it copies the outputs' union to ``gate_clk`` with
the next edge, and clocks all domains around a reset. The values of the registers are the same in every clock.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from .domains import MAX_DOMAINS
from .register_graph import Process, RegisterGraph, Signal, read_modules

__all__ = ["MAX_CLOCKS", "census", "gate", "gate_outputs", "read_census", "read_graph"]

TOP = "vtep"

MAX_CLOCKS = 8192
"""Clocks of a census that are enough to know the habits of registers."""


def read_graph(verilog: str) -> RegisterGraph:
    """Read the graph of a core's text.

    Raises
    ------
    vtep_sim.harness.register_graph.GraphError
        The text has another form than Yosys writes.
    """
    _, modules = read_modules(verilog)
    return RegisterGraph(modules, TOP)


class _Rewriter:
    """A text under change; ``clock_of`` gives the clock of a process in its module."""

    def __init__(self, verilog: str, graph: RegisterGraph, clock_of: Callable[[Process], str]) -> None:
        self.before, self.modules = read_modules(verilog)
        self.graph = graph
        self.clock_of = clock_of
        self.processes: defaultdict[Signal, list[Process]] = defaultdict(list)
        for group in graph.groups:
            for process in group:
                for name in process.targets:
                    self.processes[process.module, name].append(process)
        self.paths: dict[str, list[str]] = {}
        self._walk(TOP, [])
        self.lines = {module.name: list(module.lines) for module in self.modules}
        self.added: defaultdict[str, list[str]] = defaultdict(list)
        for process in (process for group in graph.groups for process in group):
            head = self.lines[process.module][process.first]
            begin = head.index("(posedge")
            rest = " begin" if head.endswith(" begin") else ""
            self.lines[process.module][process.first] = f"{head[:begin]}(posedge {clock_of(process)} ){rest}"

    def _walk(self, module: str, path: list[str]) -> None:
        self.paths[module] = path
        for instance in self.graph.modules[module].instances:
            self._walk(instance.module, [*path, instance.name.lstrip("\\")])

    def watch(self, signal: Signal) -> str:
        """Add what finds out whether ``signal`` changed with its clock's last edge; return the bit's expression."""
        module, name = signal
        place = len(self.added[module])
        if name in self.graph.modules[module].memories:
            return self._watch_memory(signal, f"\\changed${place} ")
        (process,) = self.processes[signal]
        before, width = f"\\before${place} ", self.graph.modules[module].widths[name]
        self.added[module] += [
            f"  reg [{width - 1}:0] {before};",
            f"  always @(posedge {self.clock_of(process)} ) {before}<= {name} ;",
        ]
        return f"({name} != {before})"

    def _watch_memory(self, signal: Signal, flag: str) -> str:
        """Compare at each write: many memories are written what stands there already."""
        module, name = signal
        flags = []
        for number, process in enumerate(self.processes[signal]):
            own = f"{flag.rstrip()}${number} "
            flags.append(own)
            self.added[module].append(f"  reg {own};")
            body = self.lines[module][process.first + 1 : process.end]
            changed = [self.lines[module][process.first].removesuffix(" begin"), "  begin", f"    {own}<= 1'h0;"]
            for line in body:
                text = line.strip()
                if text.startswith(name) and text[len(name) :].lstrip().startswith("["):
                    place, _, value = text.removesuffix(";").partition(" <= ")
                    changed.append(f"    if ({place} != ({value})) {own}<= 1'h1;")
                else:
                    changed.append(line)
            self.added[module] += changed if body[-1] == "  end" else [*changed, "  end"]
        return "(" + " | ".join(flags) + ")"

    def reference(self, module: str, name: str) -> str:
        """Name of a signal in ``module`` as seen from the top."""
        return "".join(f"\\{part} ." for part in self.paths[module]) + name

    def text(self, ports: Iterable[str], lines: Sequence[str], passed: str | None = None) -> str:
        """Write the text: the top with more ``ports`` and ``lines``, and input ``passed`` handed to all modules."""
        result = list(self.before)
        for module in self.modules:
            own = self.lines[module.name]
            if passed:
                for instance in self.graph.modules[module.name].instances:
                    own[instance.first] += f"\n    .{passed}({passed}),"
            more = [*ports] if module.name == TOP else [passed] if passed else []
            end = next(number for number, line in enumerate(own) if line.endswith(");"))
            own[end] = own[end].removesuffix(");") + "".join(f", {port}" for port in more) + ");"
            if passed:
                own[end] += f"\n  input [{MAX_DOMAINS - 1}:0] {passed};"
            declared = [line for line in self.added[module.name] if line.startswith("  reg ")]
            own[end] += "".join(f"\n{line}" for line in declared)
            rest = [line for line in self.added[module.name] if not line.startswith("  reg ")]
            last = own.index("endmodule")
            result += [*own[:last], *rest, *(lines if module.name == TOP else ()), *own[last:]]
        return "\n".join(result)


def census(verilog: str, graph: RegisterGraph) -> tuple[str, list[Signal]]:
    """Write a text with a new output ``changed``: a bit for each register and memory that changed with the last edge.

    Returns
    -------
    tuple of str and list of Signal
        The text, and what the bits stand for.
    """
    rewriter = _Rewriter(verilog, graph, lambda process: process.clock)
    watched: defaultdict[str, list[str]] = defaultdict(list)
    signals: list[Signal] = []
    for signal in sorted({signal for sources in graph.sources for signal in sources}):
        watched[signal[0]].append(rewriter.watch(signal))
        signals.append(signal)
    parts = []
    for module, bits in watched.items():
        rewriter.added[module] += [
            f"  wire [{len(bits) - 1}:0] \\changed ;",
            f"  assign \\changed = {{{', '.join(reversed(bits))}}};",
        ]
        parts.append(rewriter.reference(module, "\\changed "))
    lines = [
        f"  output [{_census_width(signals) - 1}:0] changed_all;",
        f"  assign changed_all = {{{', '.join(reversed(parts))}}};",
    ]
    return rewriter.text(["changed_all"], lines), signals


def read_census(path: Path, signals: Sequence[Signal]) -> tuple[dict[Signal, int], int]:
    """Read what a model of a `census` text wrote: for each signal a bit for each clock, and the number of clocks."""
    size = _census_width(signals) // 8
    content = path.read_bytes()
    clocks = len(content) // size
    words = (int.from_bytes(content[size * clock : size * (clock + 1)], "little") for clock in reversed(range(clocks)))
    # A row of digits for each clock, the first clock at the bottom, turned into a column for each signal.
    rows = [f"{word:0{8 * size}b}"[::-1] for word in words]
    columns = ["".join(column) for column in zip(*rows, strict=True)]
    return {signal: int(column, 2) for signal, column in zip(signals, columns, strict=False)}, clocks


def _census_width(signals: Sequence[Signal]) -> int:
    """Whole words, and so many that Verilator has an array of them."""
    return 32 * max(3, -(-len(signals) // 32))


def gate_outputs(domains: Sequence[int]) -> list[str]:
    """Names of the outputs that `gate` adds, one for each domain."""
    return [f"gate_from_{domain}" for domain in range(max(domains) + 1)]


def gate(verilog: str, graph: RegisterGraph, domains: Sequence[int]) -> str:
    """Write a text whose registers hang on the clocks of their ``domains``, one of each of ``graph.groups``."""
    domain_of: dict[Signal, int] = {}
    of_process: dict[Process, int] = {}
    for group, domain in zip(graph.groups, domains, strict=True):
        of_process.update(dict.fromkeys(group, domain))
        domain_of.update(((process.module, name), domain) for process in group for name in process.targets)
    rewriter = _Rewriter(
        verilog,
        graph,
        lambda process: f"gate_clk[{of_process[process]}]" if of_process[process] else process.clock,
    )
    parts = _parts(rewriter, graph, domains, domain_of)
    outputs = gate_outputs(domains)
    lines = []
    for domain, output in enumerate(outputs):
        found = [rewriter.reference(module, f"\\gate_from${domain} ") for module in parts if domain in parts[module]]
        lines += [
            f"  output [{MAX_DOMAINS - 1}:0] {output};",
            f"  assign {output} = {' | '.join(found) or _word(0)};",
        ]
    return rewriter.text([*outputs, "gate_clk"], lines, passed="gate_clk")


def _word(value: int) -> str:
    return f"{MAX_DOMAINS}'h{value:x}"


def _parts(
    rewriter: _Rewriter, graph: RegisterGraph, domains: Sequence[int], domain_of: Mapping[Signal, int]
) -> dict[str, set[int]]:
    """Add to each module the words of what changed in it, one for each domain; return which there are."""
    wanted: defaultdict[Signal, int] = defaultdict(int)
    for sources, domain in zip(graph.sources, domains, strict=True):
        for source in sources:
            wanted[source] |= 1 << domain & ~1
    # Registers of one domain that the same domains read have one bit.
    alike: defaultdict[tuple[str, int, int], list[Signal]] = defaultdict(list)
    for source, readers in sorted(wanted.items()):
        if readers:
            alike[source[0], domain_of[source], readers].append(source)
    terms: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for (module, domain, readers), signals in alike.items():
        bits = " | ".join(rewriter.watch(signal) for signal in signals)
        terms[module, domain].append(f"({{{MAX_DOMAINS}{{{bits}}}}} & {_word(readers)})")
    parts: defaultdict[str, set[int]] = defaultdict(set)
    for (module, domain), words in terms.items():
        name = f"\\gate_from${domain} "
        rewriter.added[module] += [
            f"  wire [{MAX_DOMAINS - 1}:0] {name};",
            f"  assign {name} = {' | '.join(words)};",
        ]
        parts[module].add(domain)
    return parts
