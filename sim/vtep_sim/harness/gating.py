"""Gives the registers of a Verilog text other clocks, for the simulation only: on both edges, and where needed.

Verilator evaluates what hangs on a clock only at its edges, and one evaluation for each clock of the core is enough if
registers hang on both of them and no output depends on an input in the same clock. In the text that `gate` writes, the
registers of a domain have a bit of the new input ``gate_clk`` for their clock, and the new outputs ``gate_from_N`` say,
a bit for each domain, where a source changed with the last edge. So whoever clocks it turns over the bits of
``gate_clk`` that are in the outputs' union with the next edge, and all around a reset. The values of the registers are
the same in every clock.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from .domains import MAX_DOMAINS
from .register_graph import GraphError, Process, RegisterGraph, Signal, by_register

__all__ = [
    "CENSUS_CLOCKS",
    "CENSUS_STARTS",
    "both_edges",
    "census",
    "gate",
    "gate_clocks",
    "gate_outputs",
    "read_census",
    "read_graph",
]

TOP = "vtep"

_ROW = 64
"""Bits."""

CENSUS_STARTS = (0, 50_000)
CENSUS_CLOCKS = 4096
"""Clocks, from each of these on, that are enough to know the habits of registers: while queues fill up, and once they
are full and what comes in has to wait."""


def read_graph(verilog: str) -> RegisterGraph:
    """Read the graph of a core's text.

    Raises
    ------
    GraphError
        The text has another form than Yosys writes, or an output depends on an input in the same clock.
    """
    graph = RegisterGraph(verilog, TOP)
    if graph.through:
        raise GraphError(f"in one clock, inputs reach {', '.join(graph.through)}")
    return graph


class _Rewriter:
    """A text under change; ``clock_of`` gives the clock of a process in its module."""

    def __init__(self, graph: RegisterGraph, clock_of: Callable[[Process], str]) -> None:
        self.graph = graph
        self.clock_of = clock_of
        self.processes: defaultdict[Signal, list[Process]] = defaultdict(list)
        for group in graph.groups:
            for process in group:
                for name in process.targets:
                    self.processes[process.module, name].append(process)
        self.paths: dict[str, list[str]] = {}
        self._walk(TOP, [])
        self.lines = {module.name: list(module.lines) for module in graph.modules.values()}
        self.added: defaultdict[str, list[str]] = defaultdict(list)
        for process in (process for group in graph.groups for process in group):
            head = self.lines[process.module][process.first]
            begin = head.index("(posedge")
            rest = " begin" if head.endswith(" begin") else ""
            self.lines[process.module][process.first] = f"{head[:begin]}(edge {clock_of(process)} ){rest}"

    def _walk(self, module: str, path: list[str]) -> None:
        self.paths[module] = path
        for instance in self.graph.modules[module].instances:
            self._walk(instance.module, [*path, instance.name.lstrip("\\")])

    def watch(self, signal: Signal) -> str:
        """Add what finds out whether ``signal`` changed with its clock's last edge; return the bit's expression."""
        module, name = signal
        if name in self.graph.modules[module].memories:
            return f"({' | '.join(self.watch_memory(signal))})"
        place = len(self.added[module])
        (process,) = self.processes[signal]
        before, width = f"\\before${place} ", self.graph.modules[module].widths[name]
        self.added[module] += [
            f"  reg [{width - 1}:0] {before};",
            f"  always @(edge {self.clock_of(process)} ) {before}<= {name} ;",
        ]
        return f"({name} != {before})"

    def watch_memory(self, signal: Signal) -> list[str]:
        """Compare at each write: many memories are written what stands there already. Return a flag for each port."""
        module, name = signal
        flags = []
        for process in self.processes[signal]:
            own = f"\\changed${len(self.added[module])} "
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
        return flags

    def reference(self, module: str, name: str) -> str:
        """Name of a signal in ``module`` as seen from the top."""
        return "".join(f"\\{part} ." for part in self.paths[module]) + name

    def text(self, ports: Iterable[str], lines: Sequence[str], passed: str | None = None) -> str:
        """Write the text: the top with more ``ports`` and ``lines``, and input ``passed`` handed to all modules."""
        result = list(self.graph.before)
        for module in self.graph.modules.values():
            own = self.lines[module.name]
            if passed:
                for instance in module.instances:
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


def both_edges(graph: RegisterGraph) -> str:
    """Write the text of ``graph`` with registers on both edges of the clock."""
    return _Rewriter(graph, lambda process: process.clock).text([], [])


def census(graph: RegisterGraph) -> tuple[str, list[Signal]]:
    """Write a text with a new output ``changed_all``: a bit for each register and memory that the last edge changed.

    Returns
    -------
    tuple of str and list of Signal
        The text, and what the bits stand for.
    """
    rewriter = _Rewriter(graph, lambda process: process.clock)
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


def gate_clocks(graph: RegisterGraph, domains: Sequence[int]) -> list[str]:
    """Clock of each domain in the top module of what `gate` writes."""
    return [graph.clock, *(f"gate_clk[{domain}]" for domain in range(1, max(domains) + 1))]


def gate(graph: RegisterGraph, domains: Sequence[int]) -> str:
    """Write the text with registers that hang on the clocks of their ``domains``, one of each of ``graph.groups``."""
    domain_of = by_register(graph.groups, domains)
    of_process = {process: domain for group, domain in zip(graph.groups, domains, strict=True) for process in group}
    clocks = gate_clocks(graph, domains)
    rewriter = _Rewriter(graph, lambda process: clocks[of_process[process]] if of_process[process] else process.clock)
    lines = []
    outputs = gate_outputs(domains)
    readers = _readers(graph, domains)
    for domain, (output, clock) in enumerate(zip(outputs, clocks, strict=True)):
        watched = {source: word for source, word in readers.items() if domain_of[source] == domain}
        added, terms = _notice(rewriter, domain, clock, watched)
        lines += [
            *added,
            f"  output [{MAX_DOMAINS - 1}:0] {output};",
            f"  assign {output} = {' | '.join(terms) or _word(0)};",
        ]
    return rewriter.text([*outputs, "gate_clk"], lines, passed="gate_clk")


def _word(value: int) -> str:
    return f"{MAX_DOMAINS}'h{value:x}"


def _readers(graph: RegisterGraph, domains: Sequence[int]) -> dict[Signal, int]:
    """For each register and memory that a domain other than the first reads, a bit for each of those."""
    readers: defaultdict[Signal, int] = defaultdict(int)
    for sources, domain in zip(graph.sources, domains, strict=True):
        if domain:
            for source in sources:
                readers[source] |= 1 << domain
    return readers


def _rows(signals: Iterable[Signal], graph: RegisterGraph) -> Iterator[list[tuple[str, str, int]]]:
    """Cut registers into rows of no more bits than a word of the machine, if they are no wider: module, name, width."""
    row: list[tuple[str, str, int]] = []
    for module, name in signals:
        width = graph.modules[module].widths[name]
        if row and sum(other for *_, other in row) + width > _ROW:
            yield row
            row = []
        row.append((module, name, width))
    if row:
        yield row


def _notice(rewriter: _Rewriter, domain: int, clock: str, readers: Mapping[Signal, int]) -> tuple[list[str], list[str]]:
    """Lines of the top that find out which registers of a domain changed, and words of the domains that read them.

    Registers are looked at in rows, so that one comparison does for many.
    """
    graph = rewriter.graph
    lines: list[str] = []
    terms: list[str] = []
    ordered = sorted(readers, key=lambda signal: (readers[signal], signal))
    memories = [(module, name) for module, name in ordered if name in graph.modules[module].memories]
    for memory in memories:
        flags = [rewriter.reference(memory[0], flag) for flag in rewriter.watch_memory(memory)]
        terms.append(_term(" | ".join(flags), readers[memory]))
    for number, row in enumerate(_rows((signal for signal in ordered if signal not in memories), graph)):
        now, before, moved = (f"\\gate_{name}${domain}${number} " for name in ("now", "before", "moved"))
        values: list[str] = []
        masks: defaultdict[int, int] = defaultdict(int)
        width = 0
        for module, name, own in row:
            values.append(rewriter.reference(module, f"{name} "))
            masks[readers[module, name]] |= (1 << own) - 1 << width
            width += own
        lines += [
            f"  wire [{width - 1}:0] {now};",
            f"  assign {now}= {{{', '.join(reversed(values))}}};",
            f"  reg [{width - 1}:0] {before};",
            f"  always @(edge {clock} ) {before}<= {now};",
            f"  wire [{width - 1}:0] {moved};",
            f"  assign {moved}= {now}^ {before};",
        ]
        terms += (_term(f"|({moved}& {width}'h{mask:x})", word) for word, mask in masks.items())
    return lines, terms


def _term(bit: str, word: int) -> str:
    return f"({{{MAX_DOMAINS}{{{bit}}}}} & {_word(word)})"
