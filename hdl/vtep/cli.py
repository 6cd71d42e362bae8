"""``vtep-hdl``: the gateware's command line."""

import re
import sys
import typing
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any

import typer

from .config import Mode, VtepParameters
from .output_file import write_output

__all__ = ["PARAMETER_HELP", "app", "main", "parameter_options", "with_parameters"]

app = typer.Typer(
    help="The VTEP core as hardware, and its registers. [bold]vtep-hdl verilog --help[/] lists what can be built.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


PARAMETER_HELP = {
    "data_width": "Width of the datapath in bits: 8, 16, 32, 64, 128, 256 or 512. Bits times clock is the line rate.",
    "encap_mode": "When an encapsulated frame may start to leave: once it is whole and good, or at once. Cut-through "
    "needs --tenant-length and --no-udp-checksum: headers in front of the frame hold its length and its sum.",
    "decap_mode": "When a decapsulated frame may start to leave. With cut-through one that proves bad at its end "
    "leaves with tuser\\[0] set.",
    "tenant_length": "The tenant input gives each frame's length with its first beat, on tuser\\[14:1].",
    "encap_queue_bytes": "Depth of the encapsulator's frame store in bytes. Unless given: two of the longest frames.",
    "decap_queue_bytes": "Depth of the decapsulator's frame store in bytes. Unless given: two of the longest frames, "
    "with cut-through a few beats.",
    "host_queue_bytes": "Depth of the queue behind the host input in bytes. Unless given: two of the longest frames.",
    "vnis": "How many VNIs fit, 1 to 65536.",
    "tunnels": "How many tunnels (remote endpoints) fit, 1 to 4096.",
    "fdb_entries": "How many MAC addresses with a tunnel of their own fit, 1 to 1048576.",
    "flood_entries": "Sum of the lengths of all flood lists, 1 to 4096.",
    "ipv6": "Build the IPv6 underlay. Without it, IPv6 packets of the underlay go to the host port.",
    "udp_checksum": "Build the units that compute and verify the outer UDP checksum.",
    "max_frame_length": "Longest frame in bytes without FCS, 128 to 16383.",
}
"""What each field of `VtepParameters` means to somebody who builds a core."""


def _spell(text: str) -> str:
    """Replace names of parameters by the options that set them."""
    names = "|".join(field.name for field in fields(VtepParameters))
    text = re.sub(rf"\b({names})=False\b", lambda match: f"--no-{match[1].replace('_', '-')}", text)
    return re.sub(rf"(?<!-)\b({names})\b", lambda match: f"--{match[1].replace('_', '-')}", text)


def parameter_options(panel: str = "Parameters of the core") -> list[Parameter]:
    """Command line options for all fields of `VtepParameters`, for `Typer` to read from a signature."""
    hints = typing.get_type_hints(VtepParameters)
    options = []
    for field in fields(VtepParameters):
        name = field.name.replace("_", "-")
        flags = [f"--{name}/--no-{name}"] if hints[field.name] is bool else [f"--{name}"]
        hint, default = hints[field.name], field.default
        assert default is not MISSING
        if hint is Mode:
            hint, default = Mode | None, None  # so that --mode speaks where it does not
        option = typer.Option(*flags, help=PARAMETER_HELP[field.name], rich_help_panel=panel)
        options.append(
            Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, option])
        )
    return options


def with_parameters(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command(own options, **values)`` the options of `parameter_options` in place of ``values``."""
    own = [p for p in Signature.from_callable(command).parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    parameters = [*own, *parameter_options()]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # Typer reads it
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


class RefusedError(Exception):
    """What the user asked for cannot be done; the message is one line."""


_VERILOG_HELP = """Write the core as one self-contained Verilog file.

The module speaks AXI4-Stream: [bold]s_axis_*[/] in, [bold]m_axis_*[/] out, each with tdata, tkeep, tvalid, tready,
tlast and tuser, where tuser\\[0] marks a bad frame. Its ports are [bold]tenant[/] (frames of the overlay),
[bold]underlay[/] (VXLAN packets) and [bold]host[/] (everything else for this endpoint, such as ARP).

[bold]s_axil[/] is AXI4-Lite with the registers: settings, tables, counters ([bold]vtep-hdl regs[/] describes them).
There is one clock, [bold]clk[/], and a synchronous reset, [bold]rst[/], active high.

Examples:

[bold]vtep-hdl verilog -o vtep.v[/]

[bold]vtep-hdl verilog --data-width 512 --decap-mode cut-through -o vtep_512.v[/]

[bold]vtep-hdl verilog --mode cut-through --tenant-length --no-udp-checksum -o vtep_fast.v[/]

[bold]vtep-hdl verilog --initial vtep.json -o vtep.v[/]   (contents made by vtep-ctl compile)
"""


def _flowing(text: str) -> str:
    """Take out single line breaks, which Typer would keep."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


_MODE = typer.Option(help="Sets --encap-mode and --decap-mode where they are not given.")


@app.command(help=_flowing(_VERILOG_HELP))
@with_parameters
def verilog(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write; - is standard output.")] = Path(
        "vtep.v"
    ),
    name: Annotated[str, typer.Option(help="Name of the top module.")] = "vtep",
    mode: Annotated[Mode, _MODE] = Mode.STORE_AND_FORWARD,
    initial: Annotated[
        Path | None, typer.Option(help="What the core holds after reset: a file of vtep-ctl compile.")
    ] = None,
    **values: Any,
) -> None:
    """Write the core as one Verilog file: refuse, or convert and write."""
    parameters = _parameters(mode, values)
    text = None if initial is None else _read(initial)
    _write(output, lambda: _core(parameters, name, initial, text))


_REGS_HELP = """Write the register map for programmers and programs.

Four forms of the same: [bold]vtep.rdl[/] (SystemRDL), [bold]vtep.h[/] (C), [bold]vtep.md[/] (Markdown) and
[bold]html/index.html[/]. Give the parameters of the core that is meant: constants and the length of an entry depend on
them; addresses do not.

Example:

[bold]vtep-hdl regs --vnis 64 --output build/regs[/]
"""


@app.command(help=_flowing(_REGS_HELP))
@with_parameters
def regs(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to; made if need be.")] = Path("regs"),
    mode: Annotated[Mode, _MODE] = Mode.STORE_AND_FORWARD,
    **values: Any,
) -> None:
    """Write the register map in all its forms."""
    parameters = _parameters(mode, values)
    try:
        from .control.register_files import write_register_files
    except ImportError as error:
        raise RefusedError(f"regs needs packages that are not installed: {error}") from error
    from .control.registers import vtep_registers

    try:
        write_register_files(vtep_registers(parameters), output)
    except OSError as error:
        raise RefusedError(f"cannot write to {output}: {error.strerror or error}") from error


def _parameters(mode: Mode, values: dict[str, Any]) -> VtepParameters:
    """Parameters from the options' values; ``mode`` stands for the modes that were not given."""
    for direction in ("encap_mode", "decap_mode"):
        values[direction] = values[direction] or mode
    try:
        return VtepParameters(**values)
    except ValueError as error:
        raise RefusedError(_spell(str(error))) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise RefusedError(f"cannot read {path}: {reason}") from error


def _core(parameters: VtepParameters, name: str, path: Path | None, text: str | None) -> str:
    # Amaranth and the core are loaded only now, so that help and refusals come at once.
    from .control.initial import Initial, loads
    from .verilog import to_verilog
    from .vxlan.axi import VtepAxi

    listing = [
        f"  {key} = {value.value if isinstance(value, Mode) else value}" for key, value in asdict(parameters).items()
    ]
    initial = Initial({}, ())
    if text is not None:
        listing.append(f"Initial contents: {path}")
        try:
            initial = loads(text, parameters)
        except ValueError as error:
            raise RefusedError(f"{path} {error}") from error
    try:
        return to_verilog(VtepAxi(parameters, *initial), name, comment="\n".join(["Parameters:", *listing]))
    except ValueError as error:
        raise RefusedError(str(error)) from error


def _write(output: Path, make: Callable[[], str]) -> None:
    try:
        write_output(output, make)
    except OSError as error:
        raise RefusedError(f"cannot write {output}: {error.strerror or error}") from error


def main() -> None:
    """Run ``vtep-hdl``: exit code 0, or 2 and one line on standard error where the request is refused."""
    try:
        status = app(prog_name="vtep-hdl", standalone_mode=False)
    except RefusedError as error:
        status = _refuse(str(error))
    except typer.TyperException as error:
        status = _refuse(error.format_message())
    except typer.Abort:
        status = 130
    sys.exit(status)


def _refuse(message: str) -> int:
    if message:  # none where the help was shown instead
        print(f"vtep-hdl: {' '.join(message.split())}", file=sys.stderr)
    return 2
