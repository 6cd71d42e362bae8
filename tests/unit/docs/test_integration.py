"""docs/integration.md: its tables are those of the gateware, its Python and commands run, its Verilog fits the core."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from helpers.fake_device import FakeDevice
from vtep.config import VtepParameters
from vtep.control.initial import loads
from vtep.control.tables import Table, entry_layout
from vtep.vxlan.axi import VtepAxi
from vtep_host.cli import main as ctl_main
from vtep_host.config import load
from vtep_host.device import Device
from vtep_host.difference import contents
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
        ("`wdata[31:0]`", "`wdata[30:0]`"),
        ("0x140 + 4·i | `TABLE_DATA", "0x144 + 4·i | `TABLE_DATA"),
        ("| 128:1 | `remote`", "| 127:1 | `remote`"),
        ("| 0x200002 |", "| 0x200003 |"),
        ("| 0x104 `TABLE_INDEX` | 0x", "| 0x104 `TABLE_INDEX` | 0x1"),
        ("0: copy, 1: zero", "0: zero, 1: copy"),
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
    monkeypatch.delitem(integration.BUSES, "s_axil")
    with pytest.raises(ValueError, match="s_axil_awaddr"):
        integration.refresh(TEXT)


def test_the_entry_is_what_the_driver_writes() -> None:
    """The accesses are those of the same entry in the configuration of a capture."""
    rows = re.findall(r"^\| (0x[0-9a-f]+) `(?:TABLE_\w+)(?:\[\d\])?` \| (0x[0-9a-f]+) \|", TEXT, re.MULTILINE)
    shown = [(int(address, 16), int(value, 16)) for address, value in rows]
    fake = FakeDevice(VtepParameters())
    device = Device(fake)
    writes = []
    for entry in contents(load(CONFIG), VtepParameters()).entries:
        fake.log.clear()
        device.write_entry(*entry)
        words = [(fake.map[name].address + 4 * i, value) for name, i, value in fake.log if value is not None]
        writes.append(words)
    assert shown in writes


def test_the_python_configures() -> None:
    (code,) = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)  # noqa: S102 - what the document shows
    fake = FakeDevice(VtepParameters())
    names["configure"](fake, CONFIG)
    wanted = contents(load(CONFIG), VtepParameters())
    assert fake.settings == wanted.settings
    widths = {table.value: entry_layout(table, VtepParameters()).size for table in Table}
    held = {(table, at): bits & (1 << widths[table]) - 1 for (table, at), bits in fake.tables.items()}
    assert held == {(table.value, at): bits for table, at, bits in wanted.entries}


def test_the_commands_build_it_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    commands = [line for block in blocks("") for line in block.splitlines() if line.startswith("vtep-ctl")]
    (command,) = commands
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "build").mkdir()
    monkeypatch.setattr(sys, "argv", command.split())
    with pytest.raises(SystemExit) as stop:
        ctl_main()
    assert not stop.value.code, capsys.readouterr().err
    made = loads((tmp_path / "build" / "vtep.json").read_text(), VtepParameters())
    wanted = contents(load(CONFIG), VtepParameters())
    assert (made.settings, list(made.entries)) == (wanted.settings, list(wanted.entries))
    assert 'make verilog ARGS="--initial build/vtep.json"' in TEXT


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
