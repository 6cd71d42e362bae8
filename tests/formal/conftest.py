"""Puts the folder of the shared benches (``helpers``) where the proofs can import it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
