"""``python -m vtep_sim.synth module:Class name=value ...``"""

import typer

from .cli import synth

typer.run(synth)
