"""``python -m vtep_sim.synth module:Class name=value ...`` measures a component."""

import typer

from .cli import synth

typer.run(synth)
