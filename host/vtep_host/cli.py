"""``vtep-ctl``: the control plane's command line."""

import ast
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from vtep.config import Mode, VtepParameters
from vtep.control.initial import dumps
from vtep.output_file import write_output

from .config import ConfigError, load
from .device import DeviceError
from .difference import contents
from .lines import FORMS, ViaError
from .remote import add_commands
from .tables import limits_of
from .transport import TransportError

__all__ = ["app", "main"]

REFUSED, BROKEN = 2, 3
EXIT_CODES = "Exit code 2: options or configuration refused; nothing was changed and no file touched."

app = typer.Typer(
    help="The VTEP's control plane: brings a TOML configuration into a core, and tells what the core does.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback()
def _common(
    context: typer.Context,
    via: Annotated[
        str | None,
        typer.Option(
            help=f"The way to a device: {FORMS}. [bold]vtep-sim serve[/] and [bold]vtep-sim live[/] give the last one.",
            envvar="VTEP_VIA",
            show_default=False,
            metavar="WAY",
        ),
    ] = None,
) -> None:
    context.obj = via


class RefusedError(Exception):
    """What the user asked for cannot be done; one line a finding."""


@app.command("compile", epilog=EXIT_CODES)
def compile_(
    config: Annotated[Path, typer.Argument(help="TOML configuration.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write; - is standard output.")] = Path(
        "vtep.json"
    ),
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE, a build parameter such as data_width=512; repeatable.", show_default=False),
    ] = None,
) -> None:
    """Turn a configuration into what a core holds after reset, for [bold]vtep-hdl verilog --initial[/].

    The parameters must be those of the core: its tables' sizes decide where entries stand.
    """
    parameters = _parameters(parameter or [])
    text = dumps(contents(load(config, limits_of(parameters)), parameters), parameters)
    try:
        write_output(output, lambda: text)
    except OSError as error:
        raise RefusedError(f"cannot write {output}: {error.strerror or error}") from error


def _parameters(settings: list[str]) -> VtepParameters:
    """Parameters from NAME=VALUE texts."""
    known = {field.name for field in fields(VtepParameters)}
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in known:
            raise RefusedError(f"--parameter {setting}: must be NAME=VALUE with one of {', '.join(sorted(known))}")
        try:
            values[name] = Mode(text.strip()) if name.endswith("_mode") else ast.literal_eval(text.strip())
        except (SyntaxError, ValueError) as error:
            raise RefusedError(f"--parameter {setting}: {text.strip()!r} is no value of it") from error
    try:
        return VtepParameters(**values)
    except (TypeError, ValueError) as error:
        raise RefusedError(str(error)) from error


add_commands(app)


def main() -> None:
    """Run ``vtep-ctl``; findings go to standard error, and exit codes are as the commands' help has them."""
    try:
        status = app(prog_name="vtep-ctl", standalone_mode=False)
    except (RefusedError, ConfigError, ViaError) as error:
        status = _refuse(str(error))
    except (TransportError, DeviceError) as error:
        status = _refuse(str(error), BROKEN)
    except typer.TyperException as error:
        status = _refuse(error.format_message())
    except (typer.Abort, KeyboardInterrupt):
        status = 130
    sys.exit(status)


def _refuse(message: str, status: int = REFUSED) -> int:
    if message:  # none where the help was shown instead
        lines = message.splitlines()
        print("\n".join(f"vtep-ctl: {line}" for line in lines), file=sys.stderr)
    return status
