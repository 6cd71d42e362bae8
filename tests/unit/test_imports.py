"""The imports run one way: the direction rules of the house, held by walking the sources."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"vtep": "hdl", "vtep_sim": "sim", "vtep_host": "host", "vtep_boards": "boards"}

# hdl/vtep: a part may import parts of lower rank and itself; those of one rank do not know each other.
RANKS = {
    "vtep.config": 0,
    "vtep.data_register": 0,
    "vtep.ram_read": 0,
    "vtep.output_file": 0,
    "vtep.source_notes": 0,
    "vtep.headers": 1,
    "vtep.hashing": 1,
    "vtep.stream": 2,
    "vtep.packet": 3,
    "vtep.integrity": 3,
    "vtep.lookup": 3,
    "vtep.control": 3,
    "vtep.vxlan": 4,
    "vtep.mac": 4,
    "vtep.local": 4,
    "vtep.verilog": 5,
    "vtep.cli": 6,
}
# A program of its own that is run, not imported: nothing of the house may be in it.
ALONE = "vtep.rtlil_to_verilog"

DECLARATIONS = {
    "vtep.config",
    "vtep.headers",
    "vtep.stream.packet",
    "vtep.control.bone_frame",
    "vtep.control.tables",
    "vtep.control.counters",
    "vtep.control.register_map",
    "vtep.control.registers",
    "vtep.control.initial",
    "vtep.control.gateway_registers",
    "vtep.hashing",
    "vtep.local.neighbors",
}
# What turns the core into the Verilog that is simulated: its one top, and the converter.
CONVERSION = {"vtep.verilog", "vtep.vxlan.axi"}
# What all commands do alike; nothing of the gateware is in it.
COMMANDS = {"vtep.output_file"}
# What the area bench synthesises by itself; it drives and judges nothing.
MEASURED = {"vtep_sim.bench.area": {"vtep.integrity.fcs"}}

Sources = dict[str, str]
"""Source text of each module by its absolute name; a package's ends in ``.__init__``."""


def read_sources() -> Sources:
    sources = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
            sources[name] = path.read_text(encoding="utf-8")
    return sources


def within(module: str, part: str) -> bool:
    """Whether ``module`` is ``part`` or inside it."""
    return module == part or module.startswith(part + ".")


@cache
def import_nodes(text: str) -> tuple[ast.AST, ...]:
    """What may import something; sources are walked again and again."""
    return tuple(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom | ast.Call))


def imported(sources: Sources, module: str) -> Iterator[str]:
    """Every module of the house that ``module`` imports, wherever in its text, by absolute name."""
    package = module.rsplit(".", 1)[0]
    for node in import_nodes(sources[module]):
        names: list[str] = []
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom():
                base = node.module or ""
                if node.level:
                    parents = package.split(".")
                    base = ".".join(parents[: len(parents) - node.level + 1] + [base] * bool(base))
                # `from package import name` means a module or something in the package.
                names = [f"{base}.{alias.name}" for alias in node.names]
                names = [name if is_module(sources, name) else base for name in names]
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__")):
                names = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
        yield from (name for name in names if name.split(".")[0] in FOLDERS)


def is_module(sources: Sources, name: str) -> bool:
    return name in sources or f"{name}.__init__" in sources


def closure(sources: Sources, start: str) -> dict[str, str]:
    """Every module that importing ``start`` may bring in, with the one that asked for it; packages on the way too."""
    found: dict[str, str] = {}
    todo = [(start, "")]
    while todo:
        module, by = todo.pop()
        parts = module.split(".")
        for name in [".".join(parts[:i]) for i in range(1, len(parts) + 1)]:
            file = name if name in sources else f"{name}.__init__"
            if name in found or file not in sources:
                continue
            found[name] = by
            todo += [(target, name) for target in imported(sources, file)]
    return found


def part_of(module: str) -> str:
    """The part of hdl/vtep that ``module`` belongs to."""
    return ".".join(module.removesuffix(".__init__").split(".")[:2])


def violations(sources: Sources) -> list[str]:
    """Each import that breaks a rule, as one line."""
    wrong = [
        f"{module} imports {target}: {reason}"
        for module in sources
        for target in imported(sources, module)
        if (reason := judge(module, target))
    ]
    for start in ("vtep_sim.golden", "vtep_host.config"):
        wrong += [
            f"{by} imports {name}: {start} must work without vtep"
            for name, by in closure(sources, start).items()
            if within(name, "vtep")
        ]
    return wrong


def judge(module: str, target: str) -> str | None:
    """Why ``module`` must not import ``target``, or None."""
    if within(module, ALONE):
        return "it is a program of its own"
    match module.split(".")[0]:
        case "vtep":
            return judge_hdl(module, target)
        case "vtep_sim" if within(module, "vtep_sim.golden"):
            if not (within(target, "vtep_sim.golden") or target == "vtep_host.config"):
                return "the golden model may share nothing with what it judges"
        case "vtep_sim":
            if within(target, "vtep") and target not in DECLARATIONS | CONVERSION | MEASURED.get(module, set()):
                return "sim may import only declarations of hdl"
            if within(target, "vtep_boards"):
                return "sim does not know boards"
        case "vtep_host":
            if not (within(target, "vtep_host") or target in DECLARATIONS | COMMANDS):
                return "host may import only declarations of hdl"
    return None


def judge_hdl(module: str, target: str) -> str | None:
    if not within(target, "vtep"):
        return "hdl imports nothing of the other folders"
    here, there = part_of(module), part_of(target)
    if module == "vtep.__init__":
        return "the package itself imports nothing, so that a declaration costs no gateware"
    if here not in RANKS or there not in RANKS:
        return f"{here if here not in RANKS else there} has no rank in this test"
    if here != there and RANKS[here] <= RANKS[there]:
        return f"{there} is not below {here}"
    return None


def test_imports_run_one_way() -> None:
    assert violations(read_sources()) == []


def test_sees_the_sources() -> None:
    sources = read_sources()
    assert {f"{package}.__init__" for package in FOLDERS} <= set(sources)
    assert "vtep.config" in set(imported(sources, "vtep.stream.packet"))
    assert "vtep_host.config" in set(closure(sources, "vtep_sim.golden"))


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        ("vtep.stream.new", "from ..packet import store", "vtep.packet is not below vtep.stream"),
        ("vtep.packet.new", "from ..vxlan.axi import VtepAxi", "vtep.vxlan is not below vtep.packet"),
        ("vtep.lookup.new", "import vtep.integrity.crc", "vtep.integrity is not below vtep.lookup"),
        ("vtep.mac.new", "def f():\n    from vtep import vxlan", "vtep.vxlan is not below vtep.mac"),
        ("vtep.local.new", "from ..vxlan.core import VtepCore", "vtep.vxlan is not below vtep.local"),
        ("vtep.config", "from .stream.packet import packet_layout", "vtep.stream is not below vtep.config"),
        ("vtep.stream.new", "import importlib\nimportlib.import_module('vtep_sim')", "nothing of the other folders"),
        ("vtep.stream.new", "if True:\n    from vtep_host.config import load", "nothing of the other folders"),
        ("vtep.new.part", "from ..config import Mode", "vtep.new has no rank"),
        ("vtep.__init__", "from .config import Mode", "the package itself imports nothing"),
        ("vtep.rtlil_to_verilog", "from .config import Mode", "a program of its own"),
        ("vtep_sim.new", "from vtep.packet.store import FrameStore", "only declarations"),
        ("vtep_sim.new", "from vtep import vxlan", "only declarations"),
        ("vtep_sim.golden.new", "from vtep.config import Mode", "share nothing"),
        ("vtep_sim.golden.new", "from ..captures import read", "share nothing"),
        ("vtep_sim.golden.new", "from vtep_host.tables import encode", "share nothing"),
        ("vtep_sim.__init__", "from vtep.config import Mode", "vtep_sim.golden must work without vtep"),
        ("vtep_host.__init__", "from .tables import encode", "vtep_host.config must work without vtep"),
        ("vtep_host.config", "from .tables import encode", "vtep_host.config must work without vtep"),
        ("vtep_host.new", "from vtep_sim import captures", "host may import only declarations"),
        ("vtep_host.new", "from vtep.vxlan.axi import VtepAxi", "host may import only declarations"),
        ("vtep_host.new", "from vtep.lookup.hashed import HashedMatch", "host may import only declarations"),
    ],
)
def test_sees_what_is_forbidden(module: str, text: str, complaint: str) -> None:
    sources = read_sources()
    sources[module] = f"{sources.get(module, '')}\n{text}\n"
    assert any(complaint in line for line in violations(sources)), violations(sources)
