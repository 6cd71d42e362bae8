"""All directed tests: importing this registers them."""

from . import rules_decap, rules_encap
from .scenario import RULES

__all__ = ["RULES", "rules_decap", "rules_encap"]
