"""Reads from a Verilated model which of its triggers stands for which clock domain.

Verilator finds out by itself which clocks have an edge, twice in each evaluation. The harness knows it before, for it
makes the edges (`vtep_sim.harness.gating`): with what is read here, it sets the triggers itself and calls what they
start. That rests on how this Verilator schedules, so a model that has anything else is left to `eval`.
"""

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["read_triggers"]

_DUMP = re.compile(r"^VL_ATTR_COLD void \w+___dump_triggers__(\w+)\([^;{]*\) \{.*?^\}", re.MULTILINE | re.DOTALL)
_TRIGGER = re.compile(r"region trigger index (\d+) is active: (.*?)\\n")
_FIRST = [("0", "Internal 'ico' trigger - first iteration")]
_CALLED = ("eval_ico", "eval_nba")


def read_triggers(model: Path, clocks: Sequence[str]) -> list[int] | None:
    """Find the triggers of a model.

    Parameters
    ----------
    model : Path
        Folder of its C++.
    clocks : sequence of str
        Every clock in the Verilog, as written there.

    Returns
    -------
    list of int or None
        For each clock the bit of its trigger. None if there are other triggers than one for both edges of each clock
        and one for the inputs, or too many of them, or what these start is not where it is expected.
    """
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(model.glob("*.cpp")))
    found = {match[1]: _TRIGGER.findall(match[0]) for match in _DUMP.finditer(text)}
    if set(found) != {"stl", "ico", "act"} or found["ico"] != _FIRST:
        return None
    if not all(f"\nvoid Vvtep___024root___{name}(Vvtep___024root* vlSelf) {{\n" in text for name in _CALLED):
        return None
    bits = {event: int(bit) for bit, event in found["act"]}
    wanted = [f"@(edge {clock})" for clock in clocks]
    if set(bits) != set(wanted) or len(bits) > 32:
        return None
    return [bits[event] for event in wanted]
