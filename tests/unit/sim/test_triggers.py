"""Triggers of a Verilated model: read where it schedules as is known, and left alone in every other case."""

import pytest

from vtep_sim.harness.triggers import read_triggers

CLOCKS = ["clk", "gate_clk[1]", "gate_clk[2]"]

DUMP = """
VL_ATTR_COLD void Vvtep___024root___dump_triggers__{region}(const VlUnpacked<QData/*63:0*/, 1> &triggers);

#ifdef VL_DEBUG
VL_ATTR_COLD void Vvtep___024root___dump_triggers__{region}(const VlUnpacked<QData/*63:0*/, 1> &triggers) {{
    // Body
{lines}}}
#endif  // VL_DEBUG
"""

LINE = """    if ((1U & (IData)(triggers[0U]))) {{
        VL_DBG_MSGS("         '" + tag + "' region trigger index {number} is active: {event}\\n");
    }}
"""


def model(folder, act, *, ico=("Internal 'ico' trigger - first iteration",), called=("ico", "nba"), regions=()):
    text = ""
    for region, events in {"stl": ["x"], "ico": ico, "act": act, **{region: ["x"] for region in regions}}.items():
        lines = "".join(LINE.format(number=number, event=event) for number, event in enumerate(events))
        text += DUMP.format(region=region, lines=lines)
    (folder / "Vvtep__0.cpp").write_text(text)
    functions = (f"void Vvtep___024root___eval_{name}(Vvtep___024root* vlSelf) {{\n}}\n" for name in called)
    (folder / "Vvtep__1.cpp").write_text("\n" + "\n".join(functions))
    return folder


EDGES = ["@(edge gate_clk[2])", "@(edge clk)", "@(edge gate_clk[1])"]


def test_each_clock_has_its_bit(tmp_path):
    assert read_triggers(model(tmp_path, EDGES), CLOCKS) == [1, 2, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {"act": EDGES[:2]},
        {"act": [*EDGES, "@([hybrid] o)"]},
        {"act": ["@(posedge clk)", *EDGES[::2]]},
        {"act": [f"@(edge gate_clk[{number}])" for number in range(33)]},
        {"ico": ["Internal 'ico' trigger - first iteration", "@([hybrid] i)"]},
        {"ico": ["@(i)"]},
        {"called": ["nba"]},
        {"called": ["ico"]},
        {"regions": ["obs"]},
    ],
    ids=str,
)
def test_anything_else_is_left_alone(tmp_path, changes):
    clocks = CLOCKS if len(changes.get("act", ())) < 33 else [f"gate_clk[{number}]" for number in range(33)]
    assert read_triggers(model(tmp_path, **{"act": EDGES, **changes}), clocks) is None


def test_another_form_is_left_alone(tmp_path):
    (tmp_path / "Vvtep__0.cpp").write_text("int main() { return 0; }")
    assert read_triggers(tmp_path, CLOCKS) is None
