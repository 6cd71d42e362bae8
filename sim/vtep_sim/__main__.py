"""``python -m vtep_sim``: the command `vtep-sim`."""

from .cli import main

main()
