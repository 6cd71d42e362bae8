import hashlib
from dataclasses import fields, replace

import pytest

from vtep.config import Mode, VtepParameters
from vtep.control.registers import (
    MAGIC,
    SETTINGS_PLACES,
    VERSION,
    build_hash,
    pack_settings,
    unpack_settings,
    vtep_registers,
)
from vtep.control.tables import Table, entry_layout, settings_layout, table_capacity, write_layout

SMALL = VtepParameters(vnis=1, tunnels=1, fdb_entries=1, flood_entries=1)
OTHER = VtepParameters(
    data_width=512,
    encap_mode=Mode.CUT_THROUGH,
    decap_mode=Mode.CUT_THROUGH,
    tenant_length=True,
    udp_checksum=False,
    ipv6=False,
    vnis=64,
    tunnels=63,
    fdb_entries=62,
    flood_entries=256,
    max_frame_length=1600,
)
BUILDS = (VtepParameters(), SMALL, OTHER)


def test_identification():
    def constants(parameters):
        return {one.name: one.unpack(one.reset) for one in vtep_registers(parameters) if not one.writable}

    for parameters in BUILDS:
        found = constants(parameters)
        assert found["MAGIC"] == {"magic": MAGIC}
        assert (found["VERSION"]["major"], found["VERSION"]["minor"]) == VERSION
        assert found["BUILD_HASH"] == {"hash": build_hash(parameters)}
        assert found["BUILD"] == {
            "data_width": parameters.data_width,
            "encap_mode": parameters.encap_mode is Mode.CUT_THROUGH,
            "decap_mode": parameters.decap_mode is Mode.CUT_THROUGH,
            "tenant_length": parameters.tenant_length,
            "ipv6": parameters.ipv6,
            "udp_checksum": parameters.udp_checksum,
        }
        assert found["FRAME_LENGTH"] == {"max_frame_length": parameters.max_frame_length}
        assert found["VNI_ENTRIES"] == {"entries": parameters.vnis}
        assert found["TUNNEL_ENTRIES"] == {"entries": parameters.tunnels}
        assert found["FDB_ENTRIES"] == {"entries": parameters.fdb_entries}
        assert found["FLOOD_ENTRIES"] == {"entries": parameters.flood_entries}
    assert MAGIC.to_bytes(4) == b"VTEP"


def test_the_hash_depends_on_every_parameter():
    base = VtepParameters(tenant_length=True, udp_checksum=False)
    text = (
        "data_width=64\ndecap_mode=store-and-forward\ndecap_queue_bytes=None\nencap_mode=store-and-forward\n"
        "encap_queue_bytes=None\nfdb_entries=64\nflood_entries=64\nhost_queue_bytes=None\nipv6=True\n"
        "max_frame_length=9600\ntenant_length=True\ntunnels=16\nudp_checksum=False\nvnis=16\n"
    )
    assert build_hash(base) == int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
    seen = {build_hash(base)}
    for field in fields(VtepParameters):
        value = getattr(base, field.name)
        match value:
            case bool():
                new = not value
            case Mode():
                new = Mode.CUT_THROUGH
            case None:
                new = 1 << 16
            case _:
                new = value // 2
        seen.add(build_hash(replace(base, **{field.name: new})))
    assert len(seen) == 1 + len(fields(VtepParameters))


def test_addresses_do_not_depend_on_the_build():
    def places(parameters):
        return [(one.name, one.address) for one in vtep_registers(parameters)]

    assert places(VtepParameters()) == places(SMALL) == places(OTHER)
    expected = {
        "MAGIC": 0,
        "VERSION": 4,
        "CONTROL": 0x80,
        "MAC_LOW": 0xC0,
        "TABLE_DATA": 0x140,
        "COUNTER_COMMAND": 0x180,
    }
    assert {name: address for name, address in places(SMALL) if name in expected} == expected


@pytest.mark.parametrize("parameters", BUILDS)
def test_an_entry_fits_its_words_and_a_table_its_index(parameters):
    registers = vtep_registers(parameters)
    tables = [table for table in Table if table is not Table.SETTINGS]
    width = max(entry_layout(table, parameters).size for table in tables)
    assert 0 <= 32 * registers["TABLE_DATA"].count - width < 32
    choices = registers["TABLE_SELECT"]["table"].choices
    assert {name: choice.value for name, choice in choices.items()} == {table.name: table.value for table in tables}
    for table in tables:
        assert 0 < table_capacity(table, parameters) <= 1 << write_layout(parameters)["index"].width
    assert table_capacity(Table.SETTINGS, parameters) == 0


def test_every_bit_of_every_setting_has_one_place():
    registers = vtep_registers(SMALL)
    assert set(SETTINGS_PLACES) == {name for name, _ in settings_layout()}
    taken = set()
    for name, places in SETTINGS_PLACES.items():
        parts = [registers[register][field] for register, field in places]
        assert sum(part.width for part in parts) == settings_layout()[name].width
        assert all(part.width == 32 for part in parts[:-1])
        taken |= {(register, field) for register, field in places}
    settings = {name for name, _ in taken}
    assert {(one.name, field.name) for one in registers for field in one.fields if one.name in settings} == taken
    assert set(pack_settings(registers, {})) == settings


def test_settings_pack_and_unpack(rng):
    registers = vtep_registers(SMALL)
    for _ in range(20):
        settings = {name: rng.getrandbits(field.width) for name, field in settings_layout()}
        words = pack_settings(registers, settings)
        assert unpack_settings(registers, words) == settings
        # They are also the reset values of a build that starts with them.
        built = vtep_registers(SMALL, settings)
        assert {name: built[name].reset for name in words} == words
    words = pack_settings(registers, {"mac": 0x020304050607, "ipv6": 0xFD00 << 112 | 5, "source_port_bits": 14})
    expected = {"MAC_LOW": 0x04050607, "MAC_HIGH": 0x0203, "IPV6_0": 5, "IPV6_3": 0xFD000000, "SOURCE_PORT": 14 << 16}
    assert {name: value for name, value in words.items() if value} == expected


def test_refuses_settings():
    registers = vtep_registers(SMALL)
    for make in (lambda settings: pack_settings(registers, settings), lambda settings: vtep_registers(SMALL, settings)):
        with pytest.raises(ValueError, match="there is no setting 'mca'; allowed: mac, ipv4"):
            make({"mca": 1})
        with pytest.raises(ValueError, match=r"udp_port must be an integer within 0 \.\. 65535, not 65536"):
            make({"udp_port": 65536})
        with pytest.raises(ValueError, match=r"promiscuous must be an integer within 0 \.\. 1, not -1"):
            make({"promiscuous": -1})


def test_refuses_entries_without_room(monkeypatch):
    monkeypatch.setattr("vtep.control.registers.MAX_TABLE_DATA", 7)
    with pytest.raises(ValueError, match=r"entries must be within 1 \.\. 224 bits, not 227"):
        vtep_registers(SMALL)


def test_everything_is_described():
    for one in vtep_registers(VtepParameters()):
        for text in (one.description, *(field.description for field in one.fields)):
            assert text.endswith("."), (one.name, text)
            assert text[0].isupper() or text[0].isdigit(), (one.name, text)
