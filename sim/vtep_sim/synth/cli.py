"""Command line of the measuring flow; `synth` is a plain Typer command that another application can mount."""

import ast
import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from amaranth.lib import wiring

from .ecp5 import SEEDS, measure_ecp5
from .levels import measure_levels
from .tools import ToolError

__all__ = ["load", "synth"]


def load(spec: str, parameters: list[str]) -> wiring.Component:
    """Build the component ``module:Class`` with ``name=value`` parameters (values as Python literals).

    Raises
    ------
    typer.BadParameter
        There is no such component, or it refuses the parameters.
    """
    module, _, name = spec.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise typer.BadParameter(f"no component {spec!r} (wanted module:Class): {error}") from error
    arguments = {}
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        try:
            arguments[key] = ast.literal_eval(value)
        except (SyntaxError, ValueError) as error:
            raise typer.BadParameter(f"{parameter!r} is not name=value with a Python literal") from error
    try:
        return factory(**arguments)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(f"{spec}: {error}") from error


def synth(
    component: Annotated[str, typer.Argument(help="module:Class, for instance vtep.integrity.fcs:FcsInsert")],
    parameters: Annotated[list[str] | None, typer.Argument(help="name=value, for instance data_width=64")] = None,
    ecp5: Annotated[bool, typer.Option(help="Place and route on LFE5UM5G-85F, speed 8.")] = True,
    levels: Annotated[bool, typer.Option(help="Count LUT levels on UltraScale+.")] = True,
    seeds: Annotated[str, typer.Option(help="nextpnr seeds, comma separated.")] = ",".join(map(str, SEEDS)),
    folder: Annotated[Path, typer.Option(help="Working folder for netlists, reports and logs.")] = Path("build/synth"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure a component's area and timing with every port behind a flip-flop."""
    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"seeds must be integers separated by commas, not {seeds!r}") from error
    arguments = parameters or []
    place = folder / "-".join([component.partition(":")[2], *arguments])
    figures: dict[str, dict[str, Any]] = {}
    try:
        if ecp5:
            result = measure_ecp5(
                load(component, arguments), place, numbers, lambda message: typer.echo(message, err=True)
            )
            figures["ecp5"] = asdict(result) | {"fmax": result.fmax}
            path = result.critical
            lines = [
                f"LFE5UM5G-85F speed 8: {result.lut4} LUT4 (logic {result.logic_lut4}, carry {result.carry_lut4}, "
                f"RAM {result.ram_lut4}), {result.flip_flops} FF, {result.block_rams} block RAM, "
                f"{result.multipliers} multipliers",
                f"  median {result.fmax:.1f} MHz of "
                + ", ".join(
                    f"{f'{run.fmax:.1f}' if run.fmax else 'not routed'} (seed {run.seed})" for run in result.runs
                ),
                f"  critical path: {path.path_from} to {path.path_to}, {path.path_luts} LUT, "
                f"logic {path.path_logic:.2f} ns, routing {path.path_routing:.2f} ns",
                f"  the wrapper's {result.wrapper_flip_flops} FF are subtracted; Yosys {result.yosys}, "
                f"nextpnr {result.nextpnr}",
            ]
            if not as_json:
                typer.echo("\n".join(lines))
        if levels:
            depth = measure_levels(load(component, arguments), place)
            figures["xcup"] = asdict(depth)
            if not as_json:
                typer.echo(
                    f"UltraScale+: {depth.path.luts} LUT on the longest register-to-register path "
                    f"(and {depth.path.carries} carry, {depth.path.wide_muxes} MUXF cells there); {depth.luts} LUT, "
                    f"{depth.flip_flops} FF, {depth.ram_cells} RAM cells\n"
                    f"  path: {depth.path.start} to {depth.path.end}, through {', '.join(depth.path.cells)}"
                )
    except ToolError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
