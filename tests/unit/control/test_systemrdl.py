"""The SystemRDL, compiled, says what the declaration says."""

import pytest
from systemrdl import RDLCompiler
from systemrdl.rdltypes import OnWriteType

from vtep.config import Mode, VtepParameters
from vtep.control.register_map import Access, Choice, Field, Register, RegisterMap
from vtep.control.registers import vtep_registers
from vtep.control.systemrdl import to_systemrdl
from vtep.control.tables import settings_layout

BUILDS = (
    VtepParameters(),
    VtepParameters(vnis=1, tunnels=64, fdb_entries=1, flood_entries=256, ipv6=False),
    VtepParameters(data_width=512, decap_mode=Mode.CUT_THROUGH, max_frame_length=1600),
)


def compiled(registers, tmp_path):
    file = tmp_path / "map.rdl"
    file.write_text(to_systemrdl(registers))
    compiler = RDLCompiler()
    compiler.compile_file(str(file))
    return compiler.elaborate().top


def access_of(node):
    if not node.is_sw_writable:
        return Access.READ_ONLY
    if not node.is_sw_readable:
        return Access.WRITE_ONLY
    return Access.WRITE_ONE_TO_CLEAR if node.get_property("onwrite") is OnWriteType.woclr else Access.READ_WRITE


def read_back(node):
    """A field's declaration from the compiled one."""
    encode = node.get_property("encode")
    return Field(
        name=node.inst_name,
        low=node.low,
        width=node.width,
        description=node.get_property("desc"),
        access=access_of(node),
        reset=node.get_property("reset"),
        volatile=node.is_hw_writable,
        choices={one.name: Choice(one.value, one.rdl_desc) for one in encode or ()},
    )


def check(registers, tmp_path):
    top = compiled(registers, tmp_path)
    assert (top.inst_name, top.get_property("name")) == (registers.name, registers.title)
    assert top.get_property("desc") == " ".join(registers.description.split())
    nodes = list(top.registers(unroll=True))
    assert [node.absolute_address for node in nodes] == [address for address, _, _ in registers.words()]
    for node, (_, register, index) in zip(nodes, registers.words(), strict=True):
        assert node.get_property("regwidth") == node.get_property("accesswidth") == 32
        assert node.inst_name == register.name
        assert (node.current_idx or [0]) == [index]
        assert node.is_array == (register.count is not None)
        assert node.get_property("desc") == register.description
        assert tuple(read_back(field) for field in node.fields()) == register.fields, register.name
        assert node.has_sw_readable == register.readable
        assert node.has_sw_writable == register.writable


@pytest.mark.parametrize("parameters", BUILDS)
def test_the_vteps_registers(rng, parameters, tmp_path):
    check(vtep_registers(parameters), tmp_path)
    settings = {name: rng.getrandbits(field.width) for name, field in settings_layout()}
    check(vtep_registers(parameters, settings), tmp_path)


def test_texts_with_marks_of_the_language(tmp_path):
    odd = 'a "quoted" back\\slash, /* no comment */ // none, [b]no tag of ours[/b], \\" and; };'
    registers = RegisterMap(
        name="odd",
        title=odd,
        description=odd,
        size=64,
        registers=(
            Register(
                name="R",
                address=0x20,
                description=odd,
                count=2,
                fields=(
                    Field(name="f", low=3, width=4, description=odd, choices={"A": Choice(5, odd)}),
                    Field(name="g", low=30, width=2, description=odd, access=Access.READ_ONLY, reset=3),
                ),
            ),
        ),
    )
    check(registers, tmp_path)
