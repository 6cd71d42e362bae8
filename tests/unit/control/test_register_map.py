import pytest

from vtep.control.register_map import Access, Choice, Field, Register, RegisterMap


def field(name="f", low=0, width=8, **more):
    return Field(name=name, low=low, width=width, description="", **more)


def register(name="R", address=0, fields=None, **more):
    return Register(name=name, address=address, fields=fields or (field(),), description="", **more)


def registers(*members, size=64):
    return RegisterMap(name="m", title="", description="", size=size, registers=members)


def test_fields():
    one = field(low=4, width=6, reset=5)
    assert one.mask == 0x3F0
    assert one.of(0xFFFF) == 0x3F
    assert one.place(0x21) == 0x210
    for value in (-1, 64):
        with pytest.raises(ValueError, match=r"f must be an integer within 0 \.\. 63, not"):
            one.place(value)


@pytest.mark.parametrize(
    ("access", "readable", "writable"),
    [
        (Access.READ_ONLY, True, False),
        (Access.READ_WRITE, True, True),
        (Access.WRITE_ONLY, False, True),
        (Access.WRITE_ONE_TO_CLEAR, True, True),
    ],
)
def test_access(access, readable, writable):
    one = field(access=access, volatile=access is Access.WRITE_ONE_TO_CLEAR)
    assert (one.readable, one.writable) == (readable, writable)
    whole = register(fields=(one,))
    assert (whole.readable, whole.writable, whole.is_command) == (readable, writable, not readable)


def test_a_register_packs_and_unpacks_and_knows_its_reset_value():
    status = field("s", 31, 1, access=Access.READ_ONLY, volatile=True, reset=None)
    one = register(fields=(field("a", 0, 4, reset=3), field("b", 8, 8, reset=0xAB), status))
    assert one.pack(a=5, b=0x11) == 0x1105
    assert one.unpack(0x80001105) == {"a": 5, "b": 0x11, "s": 1}
    assert one.reset == 0xAB03
    assert one.reset_mask == 0x7FFFFFFF
    assert one["b"].low == 8
    with pytest.raises(KeyError, match="register R has no field 'c', but a, b, s"):
        one["c"]


def test_words_and_names():
    both = registers(register("A", 4), register("B", 8, count=3), size=32)
    assert [(address, one.name, index) for address, one, index in both.words()] == [
        (4, "A", 0),
        (8, "B", 0),
        (12, "B", 1),
        (16, "B", 2),
    ]
    assert both.address_bits == 5
    assert both["B"].count == 3
    assert [one.name for one in both] == ["A", "B"]
    with pytest.raises(KeyError, match="there is no register 'C', but A, B"):
        both["C"]


def test_guards():
    busy = field("busy", 0, 1, access=Access.READ_ONLY, volatile=True)
    status = register("STATUS", 0, (busy,))
    assert registers(status, register("R", 4, guard="STATUS.busy")).guard_of(register("R", 4, guard="STATUS.busy")) == (
        status,
        busy,
    )
    for guard in ("STATUS", "STATUS.idle", "OTHER.busy"):
        with pytest.raises(ValueError, match="R: its guard must be a field, not"):
            registers(status, register("R", 4, guard=guard))
    for wrong in (field("busy", 0, 1), field("busy", 0, 1, access=Access.READ_ONLY)):
        with pytest.raises(ValueError, match=r"R: its guard S\.busy must be one volatile read-only bit"):
            registers(register("S", 0, (wrong,)), register("R", 4, guard="S.busy"))


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([register("r")], "r: the name of a register must be an upper-case identifier"),
        ([register("A"), register("A", 4)], "A: there is another register of this name"),
        ([register(address=2)], "R: its address must be a multiple of 4, not 0x2"),
        ([register(address=-4)], "R: its address must be a multiple of 4, not -0x4"),
        ([register("A", 4), register("B", 4)], "B: its address must be 0x8 or above, not 0x4"),
        ([register("A", 0, count=2), register("B", 4)], "B: its address must be 0x8 or above, not 0x4"),
        ([register(address=64)], "R: it must end within the 64 bytes"),
        ([register(address=60, count=2)], "R: it must end within the 64 bytes"),
        ([register(count=0)], "R: its count must be 1 or more, not 0"),
        ([Register(name="R", address=0, fields=(), description="")], "R: it must have a field"),
        ([register(fields=(field("F"),))], "R.F: the name of a field must be a lower-case identifier"),
        ([register(fields=(field(width=0),))], r"R.f: its bits must lie within 0 \.\. 31"),
        ([register(fields=(field(low=25),))], r"R.f: its bits must lie within 0 \.\. 31"),
        ([register(fields=(field("a"), field("b", 7)))], r"R.b: its bits must lie within 8 \.\. 31"),
        ([register(fields=(field("a"), field("a", 8)))], "R: two fields have the same name"),
        ([register(fields=(field(reset=256),))], r"R.f: its values must lie within 0 \.\. 255"),
        ([register(fields=(field(choices={"X": Choice(256, "")}),))], r"R.f: its values must lie within 0 \.\. 255"),
        ([register(fields=(field(reset=None),))], "R.f: only what is volatile and read-only may have no reset value"),
        ([register(fields=(field(access=Access.WRITE_ONE_TO_CLEAR),))], "R.f: what is cleared by writing must be"),
        ([register(fields=(field(access=Access.WRITE_ONLY, reset=1),))], "R.f: what is write-only must not be"),
        ([register(fields=(field(access=Access.WRITE_ONLY, volatile=True),))], "R.f: what is write-only must not be"),
        (
            [register(fields=(field("a"), field("b", 8, access=Access.WRITE_ONLY)))],
            "R: fields that are write-only must not stand beside others",
        ),
    ],
)
def test_refuses(members, complaint):
    with pytest.raises(ValueError, match=complaint):
        registers(*members)


@pytest.mark.parametrize("size", [0, 2, 48, 1 << 17])
def test_refuses_sizes(size):
    with pytest.raises(ValueError, match=rf"size must be a power of two within 4 \.\. 65536, not {size}"):
        registers(size=size)
