"""docs/integration.md: its tables are those of the gateware, its Python runs, its Verilog lints and fits the core."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from vtep.config import VtepParameters
from vtep.control.tables import write_layout
from vtep.vxlan.axi import VtepAxi
from vtep_host.config import load
from vtep_host.tables import encode
from vtep_sim.harness import find_verilator

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "integration.md"
CONFIG = ROOT / "tests" / "vectors" / "ipv4" / "vtep.toml"
TEXT = DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def integration() -> ModuleType:
    spec = importlib.util.spec_from_file_location("integration", ROOT / "docs" / "integration.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    return found


@pytest.fixture(autouse=True)
def _unused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only the signature of the core is looked at here; it is never elaborated.
    monkeypatch.setattr(VtepAxi, "_MustUse__silence", True)


def test_document_is_up_to_date(integration: ModuleType) -> None:
    assert integration.refresh(TEXT) == TEXT


def test_every_block_is_in_the_document(integration: ModuleType) -> None:
    assert {mark[1] for mark in integration.MARK.finditer(TEXT)} == set(integration.BLOCKS)


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("`tdata[280:0]`", "`tdata[279:0]`"),
        ("| 14:3 | `index`", "| 13:3 | `index`"),
        ("| 79:48 | `ipv4`", "| 79:47 | `ipv4`"),
        ("| 0x200002 |", "| 0x200003 |"),
        ("281'h", "281'h1"),
        ("0: settings, 1: vni", "0: vni, 1: settings"),
    ],
)
def test_a_wrong_place_is_found(integration: ModuleType, true: str, false: str) -> None:
    assert true in TEXT
    assert integration.refresh(TEXT.replace(true, false, 1)) == TEXT


@pytest.mark.parametrize(
    "parameters",
    [
        VtepParameters(data_width=512, vnis=64, tunnels=64, flood_entries=256),
        VtepParameters(data_width=8, vnis=1, tunnels=1, flood_entries=1, tenant_length=True),
    ],
    ids=["large", "small"],
)
def test_other_builds_have_tables(integration: ModuleType, parameters: VtepParameters) -> None:
    lines = [line for block in integration.BLOCKS.values() for line in block(parameters)]
    width = parameters.data_width
    assert sum(f"`tdata[{width - 1}:0]` " in line for line in lines) >= 6
    assert any("`tuser[14:0]`" in line for line in lines) == parameters.tenant_length


def test_a_port_without_a_row_is_refused(integration: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(integration.BUSES, "m_axis_counter")
    with pytest.raises(ValueError, match="m_axis_counter_tdata"):
        integration.refresh(TEXT)


def test_the_entry_is_what_the_encoder_writes(integration: ModuleType) -> None:
    """The concatenation, evaluated here by hand, is the word of the same entry in the configuration of a capture."""
    (example,) = [block for block in blocks("verilog") if "FDB_ENTRY" in block]
    values: dict[str, tuple[int, int]] = {}

    def literal(text: str) -> tuple[int, int]:
        if text in values:
            return values[text]
        width, base, digits = re.fullmatch(r"(\d+)'([bdh])([0-9a-f_]+)", text).groups()
        return int(width), int(digits.replace("_", ""), {"b": 2, "d": 10, "h": 16}[base])

    for high, name, parts in re.findall(r"localparam \[(\d+):0\] (\w+) = \{(.*)\};", example):
        total = value = 0
        for part in parts.split(", "):
            width, number = literal(part)
            assert number < 1 << width
            total, value = total + width, value << width | number
        assert total == int(high) + 1
        values[name] = total, value
    width, word = values["FDB_WRITE"]
    assert width == write_layout(VtepParameters()).size
    assert f"{width}'h{word:x}\n" in example
    assert word in encode(load(CONFIG), VtepParameters())


def test_the_python_writes_the_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (code,) = blocks("python")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    exec(compile(code, str(DOCUMENT), "exec"), {})  # noqa: S102 - what the document shows
    words = encode(load(CONFIG), VtepParameters())
    assert [int(line, 16) for line in (tmp_path / "vtep.hex").read_text().split()] == words
    # The instances in the Verilog have these figures.
    shell = "".join(blocks("verilog"))
    assert f".WIDTH({write_layout(VtepParameters()).size}), .WORDS({len(words)})" in shell


def _black_box() -> str:
    """The core's ports without the core."""
    lines = ["module vtep (", "    input wire clk,", "    input wire rst"]
    undriven = []
    for name, member in VtepAxi(VtepParameters()).signature.members.items():
        width = Shape.cast(member.shape).width
        vector = f"[{width - 1}:0] " if width > 1 else ""
        lines[-1] += ","
        lines.append(f"    {'input' if member.flow is In else 'output'} wire {vector}{name}")
        if member.flow is not In:
            undriven.append(f"    assign {name} = 0;")
    return "\n".join([*lines, ");", *undriven, "endmodule"])


@pytest.mark.parametrize("broken", [None, (".s_axis_host_tlast(", ".s_axis_host_last("), ("8'd0", "7'd0")])
def test_the_verilog_lints(tmp_path: Path, broken: tuple[str, str] | None) -> None:
    modules = "\n".join(block for block in blocks("verilog") if block.startswith("module"))
    if broken:
        assert broken[0] in modules
        modules = modules.replace(*broken)
    source = tmp_path / "shell.v"
    source.write_text(modules)
    core = tmp_path / "vtep.v"
    core.write_text(f"/* verilator lint_off UNUSED */\n/* verilator lint_off WIDTH */\n{_black_box()}\n")
    verilator = find_verilator()
    # Ports left open on purpose, and two modules in one file.
    command = [verilator.command, "--lint-only", "-Wall", "-Wno-PINCONNECTEMPTY", "-Wno-DECLFILENAME"]
    done = subprocess.run(
        [*command, "--top-module", "vtep_in_shell", source, core],
        env=verilator.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (broken is None), done.stderr
