"""``vtep-hdl``: its options are the core's parameters, and what it refuses it refuses in one line, with code 2."""

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vtep import cli
from vtep.config import Mode, VtepParameters
from vtep.control.initial import Initial, dumps
from vtep.control.registers import vtep_registers
from vtep.control.systemrdl import to_systemrdl
from vtep.control.tables import Table, TableEntry


class Stand(wiring.Component):
    """In the core's place: what the command does must not take the core's minutes."""

    made_with: VtepParameters
    initial: tuple[object, object]
    _MustUse__silence = True  # refused requests leave it unused, and that is right

    def __init__(self, parameters: VtepParameters, settings: object = None, entries: object = ()) -> None:
        Stand.made_with = parameters
        Stand.initial = settings, entries
        super().__init__({"s_axis_tenant_tdata": In(parameters.data_width), "m_axis_tenant_tdata": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.m_axis_tenant_tdata.eq(self.s_axis_tenant_tdata)
        return m


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    axi = ModuleType("vtep.vxlan.axi")
    axi.VtepAxi = Stand
    monkeypatch.setitem(sys.modules, "vtep.vxlan.axi", axi)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vtep-hdl", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


def test_every_parameter_is_an_option(run: Run) -> None:
    names = [field.name for field in fields(VtepParameters)]
    assert list(cli.PARAMETER_HELP) == names
    assert [option.name for option in cli.parameter_options()] == names


def test_defaults_are_those_of_the_parameters(run: Run, tmp_path: Path) -> None:
    assert run("verilog", "-o", tmp_path / "vtep.v")[0] == 0
    assert Stand.made_with == VtepParameters()


def test_options_reach_the_core_and_the_head_of_the_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "made.v"
    options = "--data-width 512 --mode cut-through --tenant-length --no-udp-checksum --no-ipv6 --vnis 3 --tunnels 4"
    options += " --fdb-entries 5 --flood-entries 6 --max-frame-length 2000 --encap-queue-bytes 10000"
    options += " --decap-queue-bytes 20000 --host-queue-bytes 30000 --name my_vtep"
    assert run("verilog", *options.split(), "-o", file) == (0, "", "")
    assert Stand.made_with == VtepParameters(
        data_width=512,
        encap_mode=Mode.CUT_THROUGH,
        decap_mode=Mode.CUT_THROUGH,
        tenant_length=True,
        udp_checksum=False,
        ipv6=False,
        vnis=3,
        tunnels=4,
        fdb_entries=5,
        flood_entries=6,
        max_frame_length=2000,
        encap_queue_bytes=10000,
        decap_queue_bytes=20000,
        host_queue_bytes=30000,
    )
    text = file.read_text()
    assert "module my_vtep(clk, rst, s_axis_tenant_tdata, m_axis_tenant_tdata);" in text
    assert "//   data_width = 512\n//   encap_mode = cut-through\n" in text


def test_one_direction_may_differ_from_mode(run: Run, tmp_path: Path) -> None:
    run("verilog", "--mode", "cut-through", "--encap-mode", "store-and-forward", "-o", tmp_path / "vtep.v")
    assert (Stand.made_with.encap_mode, Stand.made_with.decap_mode) == (Mode.STORE_AND_FORWARD, Mode.CUT_THROUGH)


def test_registers_are_those_of_the_parameters(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    assert run("regs", "--vnis", 33, "--mode", "cut-through", "--tenant-length", "--no-udp-checksum", "-o", folder) == (
        0,
        "",
        "",
    )
    text = (folder / "vtep.rdl").read_text()
    assert text == to_systemrdl(
        vtep_registers(
            VtepParameters(
                vnis=33,
                encap_mode=Mode.CUT_THROUGH,
                decap_mode=Mode.CUT_THROUGH,
                tenant_length=True,
                udp_checksum=False,
            )
        )
    )
    assert {path.name for path in folder.iterdir()} == {"vtep.rdl", "vtep.h", "vtep.md", "html"}


def test_registers_need_their_packages(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "vtep.control.register_files", None)
    code, _, err = run("regs", "-o", tmp_path)
    assert code == 2
    assert err.startswith("vtep-hdl: regs needs packages that are not installed: ")


def test_initial_contents_reach_the_core(run: Run, tmp_path: Path) -> None:
    parameters = VtepParameters(vnis=3)
    initial = Initial({"udp_port": 8472}, (TableEntry(Table.VNI, 2, 5), TableEntry(Table.TUNNEL, 0, 1 << 200)))
    file, output = tmp_path / "vtep.json", tmp_path / "vtep.v"
    file.write_text(dumps(initial, parameters))
    assert run("verilog", "--vnis", 3, "--initial", file, "-o", output) == (0, "", "")
    assert Stand.initial == initial
    assert f"Initial contents: {file}" in output.read_text()
    assert run("verilog", "--vnis", 3, "-o", output)[0] == 0
    assert Stand.initial == ({}, ())
    for text, complaint in (
        ("{}", "is no file of initial contents"),
        (dumps(initial, VtepParameters()), "was made for other parameters"),
    ):
        file.write_text(text)
        code, _, err = run("verilog", "--vnis", 3, "--initial", file, "-o", tmp_path / "new.v")
        assert code == 2
        assert complaint in err
        assert str(file) in err
        assert not (tmp_path / "new.v").exists()


def test_standard_output(run: Run) -> None:
    code, out, err = run("verilog", "-o", "-")
    assert (code, err) == (0, "")
    assert out.startswith("// vtep: written by OpenVTEP")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("verilog --data-width 48", "--data-width must be one of (8, 16, 32, 64, 128, 256, 512), not 48"),
        ("verilog --data-width wide", "--data-width"),
        ("verilog --vnis 65537", "--vnis must be an integer within 1 .. 65536, not 65537"),
        ("verilog --mode fast", "'store-and-forward', 'cut-through'"),
        ("verilog --mode cut-through", "--encap-mode cut-through needs --tenant-length"),
        ("verilog --mode cut-through --tenant-length", "needs --no-udp-checksum"),
        ("verilog --name 8bit", "name must be a Verilog identifier"),
        ("regs --vnis 65537", "--vnis must be an integer within 1 .. 65536, not 65537"),
        ("regs -o /dev/null", "cannot write to /dev/null: File exists"),
        ("regs -o /proc/regs", "cannot write to /proc/regs: No such file or directory"),
        ("verilog --bogus", "--bogus"),
        ("verilog --initial no.json", "cannot read no.json: No such file or directory"),
        ("verilog --initial /dev/zero/x", "cannot read /dev/zero/x: Not a directory"),
        ("veriolg", "veriolg"),
        ("verilog -o no/such/folder/vtep.v", "cannot write no/such/folder/vtep.v: No such file or directory"),
        ("verilog -o .", "cannot write .: it is a folder"),
        ("verilog -o /dev/full", "cannot write /dev/full: No space left on device"),
    ],
)
def test_refuses_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: str, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith("vtep-hdl: ")
    assert err.count("\n") == 1
    assert complaint in err
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "vtep.v"
    file.write_text("old")
    assert run("verilog", "--name", "a.b", "-o", file)[0] == 2
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_help_names_every_option(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run("verilog", "--help")
    assert code == 0
    for field in fields(VtepParameters):
        assert f"--{field.name.replace('_', '-')} " in out
    assert "tuser[0]" in out
    assert "\\" not in out
