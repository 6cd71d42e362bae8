"""Write RTLIL as Verilog with Yosys: ``python rtlil_to_verilog.py IN.il OUT.v [notes]``.

With ``notes`` every case keeps its attributes, as comments.

A process of its own for each design, started by `vtep.verilog`: Yosys numbers what it names from a counter that
lives as long as its process, and ends the process when it meets an error.
"""

import re
import sys
from pathlib import Path

from pyosys import libyosys as ys

ARITHMETIC = {"$add", "$sub", "$mul", "$neg", "$not", "$and", "$or", "$xor", "$xnor", "$pos"}
COMPARISON = {"$eq", "$ne", "$lt", "$le", "$gt", "$ge", "$eqx", "$nex"}
SHIFT = {"$shl", "$shr", "$sshl", "$sshr", "$shift", "$shiftx"}


def port_name(name):
    """Yosys's form of a port's or parameter's name."""
    return ys.IdString("\\" + name)


def is_signed(cell, port):
    """Whether the operand at ``port`` is signed."""
    name = port_name(port + "_SIGNED")
    return cell.hasParam(name) and cell.getParam(name).as_bool()


def resize(cell, port, width):
    """Extend by the operand's own sign, or cut, what is connected to ``port``."""
    operand = cell.getPort(port_name(port))
    if operand.size() > width:
        operand = operand.extract(0, width)
    else:
        operand.extend_u0(width, is_signed(cell, port))
    cell.setPort(port_name(port), operand)


def match_widths(module, cell):
    """Give the operands of ``cell`` the widths that its result asks for.

    RTLIL extends and cuts them silently, and so does Verilog, but there every linter asks whether that was meant.
    """
    kind = cell.type.str()
    operands = [port for port in ("A", "B") if cell.hasPort(port_name(port))]
    if kind in ARITHMETIC:
        width = cell.getPort(port_name("Y")).size()
        for port in operands:
            resize(cell, port, width)
            cell.setParam(port_name(port + "_SIGNED"), ys.Const(0, 1))
    elif kind in COMPARISON:
        width = max(cell.getPort(port_name(port)).size() for port in operands)
        for port in operands:
            resize(cell, port, width)
    elif kind in SHIFT:
        result = cell.getPort(port_name("Y"))
        width = max(cell.getPort(port_name("A")).size(), result.size())
        resize(cell, "A", width)
        if width > result.size():
            whole = ys.SigSpec(module.addWire(module.uniquify(ys.IdString("$shifted")), width))
            module.connect(result, whole.extract(0, result.size()))
            cell.setPort(port_name("Y"), whole)
    else:
        return
    cell.fixup_parameters(is_signed(cell, "A"), is_signed(cell, "B"))


def foregone(cell):
    """The result of a comparison with the least or the greatest number there is, where that is sure; or None."""
    kind = cell.type.str()
    if kind not in ("$lt", "$le", "$gt", "$ge") or is_signed(cell, "A"):
        return None
    left, right = (cell.getPort(port_name(port)) for port in ("A", "B"))
    if kind in ("$gt", "$ge"):
        left, right = right, left
    # Now it is left < right or left <= right.
    if kind in ("$lt", "$gt"):
        return False if left.is_fully_ones() or right.is_fully_zero() else None
    return True if left.is_fully_zero() or right.is_fully_ones() else None


def without_ifs(design):
    """The design such that Yosys writes each switch as a case statement: an if has no place for attributes.

    It writes an if where each case asks for one bit; a case that names its pattern twice is none of these.
    """
    ys.run_pass("write_rtlil switches.il", design)
    file = Path("switches.il")
    text = re.sub(r"^( *case (\d+'-*1-*)) *$", r"\1 , \2", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")
    twice = ys.Design()
    ys.run_pass("read_rtlil switches.il", twice)
    return twice


def main(source, target, notes=""):
    """Convert file ``source`` to file ``target``."""
    design = ys.Design()
    ys.run_pass(f"read_rtlil {source}", design)
    # Amaranth emits only such processes as Verilog can say; they stay, since a case is easier to read than its gates.
    ys.run_pass("proc -nomux -norom -noopt", design)
    for module in design.all_selected_modules():
        for cell in module.selected_cells():
            match_widths(module, cell)
            result = foregone(cell)
            if result is not None:
                result_bits = ys.SigSpec(ys.Const(int(result), cell.getPort(port_name("Y")).size()))
                module.connect(cell.getPort(port_name("Y")), result_bits)
                module.remove(cell)
    ys.run_pass("check -assert", design)
    for kind in ("", "-modattr "):
        ys.run_pass(f"attrmap {kind}-remove generator -remove top -remove src -remove amaranth.*", design)
    if notes:
        design = without_ifs(design)
    ys.run_pass(f"write_verilog {target}", design)


if __name__ == "__main__":
    main(*sys.argv[1:])
