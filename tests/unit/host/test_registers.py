import pytest

from helpers.fake_device import FakeDevice
from vtep.config import VtepParameters
from vtep_host.registers import Registers
from vtep_host.transport import AccessRefusedError

PARAMETERS = VtepParameters()
BASE = 0x4000_0000


@pytest.fixture
def device():
    return FakeDevice(PARAMETERS, base=BASE)


@pytest.fixture
def registers(device):
    return Registers(device, device.map, BASE)


def test_words_and_fields_by_name(device, registers):
    registers["SOURCE_PORT"].write_fields(source_port_base=0x1234, source_port_bits=9)
    assert registers["SOURCE_PORT"].read() == 0x91234
    assert registers["SOURCE_PORT"].read_fields() == {"source_port_base": 0x1234, "source_port_bits": 9}
    assert registers["SOURCE_PORT"].read_field("source_port_bits") == 9
    registers["SOURCE_PORT"].update(source_port_bits=3)
    assert registers["SOURCE_PORT"].read() == 0x31234
    registers["SCRATCH"].write(0xFFFFFFFF)
    assert registers["SCRATCH"].read() == 0xFFFFFFFF
    registers["SOURCE_PORT"].write_fields()
    assert registers["SOURCE_PORT"].read() == 0
    assert registers["SCRATCH"].address == BASE + device.map["SCRATCH"].address


def test_arrays(device, registers):
    data = registers["TABLE_DATA"]
    assert len(data) == device.map["TABLE_DATA"].count
    for index in range(len(data)):
        data[index].write(index + 1)
    assert [device.words["TABLE_DATA", index] for index in range(len(data))] == [*range(1, len(data) + 1)]
    assert (data[3].name, data[3].read(), data[3].address) == ("TABLE_DATA[3]", 4, data.address + 12)
    for index in (-1, len(data)):
        with pytest.raises(IndexError, match=rf"the index of TABLE_DATA must be within 0 \.\. 7, not {index}"):
            data[index]
    for access in (data.read, data.read_fields, lambda: data.write(1), lambda: data.write_fields(data=1)):
        with pytest.raises(TypeError, match="TABLE_DATA is an array: say which word"):
            access()
    for handle in (registers["SCRATCH"], data[1]):
        with pytest.raises(TypeError, match="is no array"):
            handle[0]


def test_mistakes_do_not_reach_the_device(device, registers):
    with pytest.raises(KeyError, match="there is no register 'STATE', but MAGIC, VERSION"):
        registers["STATE"]
    scratch = registers["SCRATCH"]
    for value in (-1, 1 << 32):
        with pytest.raises(ValueError, match=rf"SCRATCH must be an integer within 0 \.\. 0xffffffff, not {value}"):
            scratch.write(value)
    with pytest.raises(ValueError, match=r"source_port_bits must be an integer within 0 \.\. 31, not 32"):
        registers["SOURCE_PORT"].update(source_port_bits=32)
    with pytest.raises(KeyError, match="register SCRATCH has no field 'x'"):
        scratch.write_fields(x=1)
    with pytest.raises(KeyError, match="register SCRATCH has no field 'x'"):
        scratch.update(x=1)
    assert device.log == []
    with pytest.raises(KeyError):
        scratch.read_field("x")


def test_what_the_device_refuses_is_told(registers):
    with pytest.raises(AccessRefusedError):
        registers["MAGIC"].write(0)
    with pytest.raises(AccessRefusedError):
        registers["CONTROL"].read()
