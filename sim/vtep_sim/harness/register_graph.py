"""Which registers of a Verilog text depend on which: read off the text that Yosys writes, refused where it is other.

The graph may say too much, since it takes a vector for one thing, but never too little: every name in a statement
counts as read, and a statement of another form than those known here is an error.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "NAME",
    "TOKEN",
    "GraphError",
    "Instance",
    "Module",
    "Process",
    "RegisterGraph",
    "by_register",
    "read_modules",
]

NAME = r"(?:\\\S+(?= )|[A-Za-z_][\w$]*)"
"""Pattern of a name in Verilog, an escaped one without the space behind it."""

TOKEN = re.compile(r"\\\S+(?= )|(?<![\w'$])[A-Za-z_][\w$]*")
"""A name or a word of the language in a text, but no part of a number."""

_LITERAL = re.compile(r"\d*'s?[hdb][0-9a-fxz?]+", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/|//.*")
_WORDS = frozenset(("always", "assign", "begin", "case", "casez", "default", "else", "end", "endcase", "if", "posedge"))

_DECLARATION = re.compile(rf"  (input|output|wire|reg) (?:\[(\d+):(\d+)\] )?({NAME}) *(\[\d+:\d+\])? *(?:= 0)?;$")
_ASSIGN = re.compile(r"  assign (.*?) = (.*);$")
_ALWAYS = re.compile(rf"  always @(?:\*|\(posedge ({NAME}) ?\))( begin)?$")
_STATEMENT = re.compile(rf"\s+({NAME}) *(\[.*?\])? *(?:<=|=) .*;$")
_INSTANCE = re.compile(rf"  ({NAME}) +({NAME}) +\($")
_PORT = re.compile(rf"    \.({NAME}) ?\((.*)\),?$")
_PASSED_OVER = re.compile(
    r"  (?:initial .*;|initial for \(.*\)|integer .*;|\(\*.*\*\)|//.*|/\*.*\*/)$|    \S*\[.*\] = .*;$|\s*$"
)

Signal = tuple[str, str]
"""Module and name."""


class GraphError(ValueError):
    """The text has a statement that is not understood, or a clock that is not the one of the top module."""


@dataclass(frozen=True)
class Process:
    """A clocked process: the lines from ``first`` to before ``end`` of its module, and what it assigns."""

    module: str
    first: int
    end: int
    clock: str
    targets: frozenset[str]


@dataclass(frozen=True)
class Instance:
    """A module inside another one, which begins in line ``first``."""

    name: str
    module: str
    first: int


@dataclass
class Module:
    """A module's lines, its head being line 0, and what was found in them."""

    name: str
    lines: list[str]
    inputs: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    widths: dict[str, int] = field(default_factory=dict)
    memories: set[str] = field(default_factory=set)
    processes: list[Process] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)


def by_register(groups: Iterable[Iterable[Process]], values: Iterable[int]) -> dict[Signal, int]:
    """For each register and memory, the one of ``values`` that its group has."""
    return {
        (process.module, name): value
        for group, value in zip(groups, values, strict=True)
        for process in group
        for name in process.targets
    }


def _names(text: str) -> set[str]:
    return set(TOKEN.findall(_LITERAL.sub(" ", _COMMENT.sub(" ", text)))) - _WORDS


def _count(text: str) -> int:
    return len(TOKEN.findall(text + " "))


def read_modules(verilog: str) -> tuple[list[str], list[Module]]:
    """Cut a text into the lines before the first module, and the modules."""
    before: list[str] = []
    modules: list[Module] = []
    inside = False
    for line in verilog.split("\n"):
        if match := re.match(rf"module ({NAME})", line):
            modules.append(Module(match[1].lstrip("\\"), []))
            inside = True
        (modules[-1].lines if inside or modules else before).append(line)
        inside = inside and line != "endmodule"
    return before, modules


class RegisterGraph:
    """The registers of a design, and for each those that its next value depends on.

    Parameters
    ----------
    verilog : str
        The text, in which each module has one instance.
    top : str
        Name of the top module.
    reset : str
        Its reset. It counts as no source.

    Attributes
    ----------
    before : list of str
        The lines before the first module.
    modules : dict of str to Module
        The modules, in their order.
    groups : list of list of Process
        Processes that assign the same registers belong together.
    sources : list of set of Signal
        For each group, the registers and memories that it reads or assigns.
    outside : list of bool
        For each group, whether it depends on an input of the top module other than ``reset``.
    costs : list of int
        For each group, the names in its processes and in what is worked out for it alone: about twice the instructions
        that a simulation takes for it.
    behind : list of int
        For each group, the names in all that depends on its registers in the same clock.
    clock : str
        The clock, an input of the top module.
    through : list of str
        The outputs of the top module that depend on such an input in the same clock.

    Raises
    ------
    GraphError
        See there.
    """

    def __init__(self, verilog: str, top: str, reset: str = "rst") -> None:
        self.before, modules = read_modules(verilog)
        self.modules = {module.name: module for module in modules}
        self._feeds: defaultdict[Signal, set[Signal]] = defaultdict(set)
        self._reads: dict[Process, set[str]] = {}
        self._costs: Counter[Signal] = Counter()  # names in what is assigned to a signal, but by clocked processes
        for module in modules:
            self._read(module)
        self._check()
        self.clock = self._clock(top)
        self.groups = self._groups()
        registers = [
            (process.module, name) for group in self.groups for process in group for name in sorted(process.targets)
        ]
        bits = {signal: 1 << number for number, signal in enumerate(dict.fromkeys(registers))}
        named = list(bits)
        free = [(top, name) for name in sorted(self.modules[top].inputs - {reset, self.clock})]
        bits |= {signal: 1 << number for number, signal in enumerate(free, len(named))}
        leaves = self._leaves(bits)
        self.sources: list[set[Signal]] = []
        self.outside: list[bool] = []
        for group in self.groups:
            found = 0
            for process in group:
                for name in self._reads[process] - {process.clock}:
                    found |= leaves.get((process.module, name), 0)
            self.sources.append({signal for number, signal in enumerate(named) if found >> number & 1})
            self.outside.append(found >> len(named) != 0)
        self.costs = self._group_costs(bits)
        self.behind = self._costs_behind(leaves, named)
        outputs = sorted(self.modules[top].outputs)
        self.through = [name for name in outputs if leaves.get((top, name), 0) >> len(named)]

    def _read(self, module: Module) -> None:
        lines = iter(enumerate(module.lines))
        for _, line in lines:
            if line.endswith(");"):
                break  # of the list of ports
        for number, line in lines:
            if match := _DECLARATION.match(line):
                kind, high, low, name, depth = match.groups()
                if kind == "input":
                    module.inputs.add(name)
                if kind == "output":
                    module.outputs.add(name)
                module.widths[name] = int(high) - int(low) + 1 if high else 1
                if depth:
                    module.memories.add(name)
            elif match := _ASSIGN.match(line):
                targets = _names(re.sub(r"\[.*?\]", " ", match[1] + " "))
                self._feed(module.name, targets, _names(match[2] + " "), _count(match[2]))
            elif match := _ALWAYS.match(line):
                self._always(module, number, match[1], _body(lines, bool(match[2])))
            elif match := _INSTANCE.match(line):
                module.instances.append(Instance(match[2], match[1].lstrip("\\"), number))
                self._connect(module.name, module.instances[-1], lines)
            elif line.endswith("initial begin"):
                for _, text in lines:
                    if text == "  end":
                        break
            elif not _PASSED_OVER.match(line) and line != "endmodule":
                raise GraphError(f"{module.name}: not understood: {line.strip()}")

    def _feed(self, module: str, targets: Iterable[str], reads: Iterable[str], cost: int) -> None:
        for target in targets:
            self._feeds[module, target].update((module, name) for name in reads)
            self._costs[module, target] += cost

    def _always(self, module: Module, first: int, clock: str | None, body: list[str]) -> None:
        targets = set()
        for line in body:
            if match := _STATEMENT.match(line):
                targets.add(match[1])
            elif " <= " in line and not line.lstrip().startswith(("if (", "casez (", "case (")):
                raise GraphError(f"{module.name}: not understood: {line.strip()}")
        reads = _names("\n".join(body) + " ") - {"_start_"}
        if clock is None:
            self._feed(module.name, targets, reads, sum(map(_count, body)) // max(1, len(targets)))
        else:
            process = Process(module.name, first, first + 1 + len(body), clock, frozenset(targets))
            module.processes.append(process)
            self._reads[process] = reads

    def _connect(self, outer: str, instance: Instance, lines: Iterator[tuple[int, str]]) -> None:
        inner = self.modules[instance.module]
        inputs = {m[4] for line in inner.lines if (m := _DECLARATION.match(line)) and m[1] == "input"}
        for _, line in lines:
            if line == "  );":
                return
            match = _PORT.match(line)
            if match is None:
                raise GraphError(f"{outer}: not understood: {line.strip()}")
            port, names = match[1], _names(match[2] + " ")
            if port in inputs:
                self._feeds[inner.name, port].update((outer, name) for name in names)
            else:
                for name in names:
                    self._feeds[outer, name].add((inner.name, port))

    def _check(self) -> None:
        instances = [instance.module for module in self.modules.values() for instance in module.instances]
        if len(instances) != len(set(instances)):
            raise GraphError("a module has more than one instance")
        assigned = Counter((process.module, name) for process in self._reads for name in process.targets)
        for (module, name), count in assigned.items():
            if count > 1 and name not in self.modules[module].memories:
                raise GraphError(f"{module}: {name} is assigned by {count} processes")

    def _clock(self, top: str) -> str:
        """Name of the one clock, which has to come from one input of the top module unchanged."""
        clocks = set()
        for process in self._reads:
            signal = (process.module, process.clock)
            while self._feeds[signal]:
                if len(self._feeds[signal]) > 1:
                    raise GraphError(f"{process.module}: {process.clock} is not a clock of the top module")
                (signal,) = self._feeds[signal]
            clocks.add(signal)
        if len(clocks) != 1 or {module for module, _ in clocks} != {top}:
            raise GraphError(f"wanted one clock of {top}, not {sorted(clocks)}")
        return clocks.pop()[1]

    def _groups(self) -> list[list[Process]]:
        of: dict[Signal, list[Process]] = {}
        groups: dict[int, list[Process]] = {}
        for process in self._reads:
            group = [process]
            for name in process.targets:
                other = of.get((process.module, name), group)
                if other is not group:
                    groups.pop(id(other))
                    group = other + group
            groups[id(group)] = group
            for member in group:
                of.update(dict.fromkeys(((member.module, name) for name in member.targets), group))
        return list(groups.values())

    def _group_costs(self, leaves: Collection[Signal]) -> list[int]:
        nobody = len(self.groups)
        owner: dict[Signal, int] = {}  # of a signal that is no leaf: the one group that needs it, or nobody
        for number, group in enumerate(self.groups):
            waiting = [(process.module, name) for process in group for name in self._reads[process]]
            while waiting:
                signal = waiting.pop()
                before = owner.get(signal)
                if signal in leaves or before in (number, nobody):
                    continue
                owner[signal] = number if before is None else nobody
                waiting.extend(self._feeds.get(signal, ()))
        costs = [
            sum(_count("\n".join(self.modules[p.module].lines[p.first + 1 : p.end])) for p in group)
            for group in self.groups
        ]
        for signal, number in owner.items():
            if number != nobody:
                costs[number] += self._costs[signal]
        return costs

    def _costs_behind(self, leaves: Mapping[Signal, int], named: Sequence[Signal]) -> list[int]:
        number_of = by_register(self.groups, range(len(self.groups)))
        numbers = [number_of[signal] for signal in named]
        behind = [0] * len(self.groups)
        for signal, cost in self._costs.items():
            found = leaves.get(signal, 0) & (1 << len(named)) - 1
            users = set()
            while found:
                users.add(numbers[(found & -found).bit_length() - 1])
                found &= found - 1
            for number in users:
                behind[number] += cost
        return behind

    def _leaves(self, bits: dict[Signal, int]) -> dict[Signal, int]:
        """For every signal, the bits of those in ``bits`` that it depends on in the same clock."""
        leaves = dict(bits)
        users: defaultdict[Signal, list[Signal]] = defaultdict(list)
        for target, reads in self._feeds.items():
            for read in reads:
                users[read].append(target)
        waiting = list(bits)
        while waiting:
            signal = waiting.pop()
            found = leaves[signal]
            for user in users[signal]:
                before = leaves.get(user, 0)
                if user not in bits and before | found != before:
                    leaves[user] = before | found
                    waiting.append(user)
        return leaves


def _body(lines: Iterator[tuple[int, str]], block: bool) -> list[str]:
    """Lines of a process behind its first one, the ``end`` of a block included."""
    if not block:
        return [next(lines)[1]]
    body = []
    for _, line in lines:
        body.append(line)
        if line == "  end":
            break
    return body
