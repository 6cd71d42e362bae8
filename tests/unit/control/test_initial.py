import json

import pytest

from vtep.config import VtepParameters
from vtep.control.initial import Initial, dumps, loads
from vtep.control.tables import Table, TableEntry, entry_layout, settings_layout, table_capacity

PARAMETERS = VtepParameters(vnis=5, tunnels=9, fdb_entries=64, flood_entries=256)
TABLES = [table for table in Table if table is not Table.SETTINGS]


def some(rng) -> Initial:
    entries = []
    for _ in range(50):
        table = rng.choice(TABLES)
        location = rng.randrange(table_capacity(table, PARAMETERS))
        entries.append(TableEntry(table, location, rng.getrandbits(entry_layout(table, PARAMETERS).size)))
    return Initial({name: rng.getrandbits(field.width) for name, field in settings_layout()}, tuple(entries))


def test_what_is_written_is_read(rng):
    initial = some(rng)
    assert loads(dumps(initial, PARAMETERS), PARAMETERS) == initial
    assert loads(dumps(Initial({}, ()), PARAMETERS), PARAMETERS) == Initial({}, ())


def test_other_parameters_are_refused(rng):
    with pytest.raises(ValueError, match=r"was made for other parameters \(build_hash '0x[0-9a-f]{8}'\)"):
        loads(dumps(some(rng), PARAMETERS), VtepParameters())


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\0"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match="is not JSON"):
        loads(text, PARAMETERS)


@pytest.mark.parametrize("text", ["[]", "1", "{}", '{"format": "openvtep-initial-2"}'])
def test_another_format_is_refused(text):
    with pytest.raises(ValueError, match="is no file of initial contents"):
        loads(text, PARAMETERS)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("settings", None, "is damaged"),
        ("settings", {"mac": 1}, "is damaged"),
        ("settings", {"mac": "x"}, "is damaged"),
        ("settings", {"colour": "0x1"}, "there is no setting 'colour'"),
        ("settings", {"udp_port": "0x10000"}, "udp_port must be an integer within"),
        ("entries", {}, None),
        ("entries", 1, "is damaged"),
        ("entries", [["VNI", 1]], "is damaged"),
        ("entries", [["VIN", 1, "0x0"]], "is damaged"),
        ("entries", [["VNI", "1", "0x0"]], "is damaged"),
        ("entries", [["VNI", 1, 0]], "is damaged"),
        ("entries", [["VNI", 5, "0x0"]], "the index of VNI must be within"),
        ("entries", [["SETTINGS", 0, "0x0"]], "the index of SETTINGS must be within"),
    ],
)
def test_a_damaged_file_is_refused(name, value, complaint):
    document = json.loads(dumps(Initial({}, ()), PARAMETERS))
    document[name] = value
    if complaint is None:
        assert loads(json.dumps(document), PARAMETERS) == Initial({}, ())
        return
    with pytest.raises(ValueError, match=complaint):
        loads(json.dumps(document), PARAMETERS)


def test_a_missing_part_is_damage():
    for name in ("settings", "entries"):
        document = json.loads(dumps(Initial({}, ()), PARAMETERS))
        del document[name]
        with pytest.raises(ValueError, match=f"is damaged: KeyError\\('{name}'\\)"):
            loads(json.dumps(document), PARAMETERS)
