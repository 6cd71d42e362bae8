from dataclasses import replace

import pytest

from helpers.fake_device import FakeDevice
from vtep.control.tables import Table, entry_layout
from vtep_host.config import ConfigError
from vtep_host.controller import INSIDE, Controller
from vtep_host.device import Device, DeviceError
from vtep_host.difference import contents

from .test_difference import CONFIG, NAMES, WIDE


class Patient:
    """A device whose frames leave, or do not."""

    def __init__(self, *, idle: bool = True, passing: int = 0, patience: float = 0.05) -> None:
        self.fake = FakeDevice(WIDE)
        if idle:
            self.fake.words["STATUS", 0] |= self.fake.map["STATUS"].pack(idle=1)
        self.passing = passing
        self.controller = Controller(Device(self), patience=patience)

    def read(self, address: int) -> int:
        return self.fake.read(address)

    def write(self, address: int, value: int) -> None:
        if address == self.fake.map["COUNTER_COMMAND"].address:
            self.fake.counters[value] = self.fake.counters.get(value, 0) + self.passing
        self.fake.write(address, value)

    def held(self) -> dict[tuple[Table, int], int]:
        """What counts of the entries."""
        tables = {(Table(code), at): bits for (code, at), bits in self.fake.tables.items()}
        return {key: bits & (1 << entry_layout(key[0], WIDE).size) - 1 for key, bits in tables.items()}


CHANGED = replace(CONFIG, tunnels=CONFIG.tunnels[:1], vnis=(replace(CONFIG.vnis[0], flood=("a",)),), fdb=CONFIG.fdb[:1])


def test_what_is_applied_is_there() -> None:
    device = Patient()
    wanted = contents(CONFIG, WIDE)
    assert device.controller.apply(CONFIG) == len(wanted.entries) + 1
    assert device.fake.settings == wanted.settings
    assert device.held() == {(table, at): bits for table, at, bits in wanted.entries}
    assert device.controller.verify() == []
    device.fake.log.clear()
    assert device.controller.apply(CONFIG) == 0
    assert not [entry for entry in device.fake.log if entry[2] is not None]


def test_indices_are_given_free_when_the_frames_have_left() -> None:
    for device in (Patient(), Patient(idle=False, passing=INSIDE)):
        device.controller.apply(CONFIG)
        device.controller.apply(CHANGED)
        assert not any(device.controller.state.parked.values())
        assert device.held()[Table.TUNNEL, 1] == 0
        assert device.controller.verify() == []


def test_indices_stay_parked_while_frames_stay() -> None:
    device = Patient(idle=False)
    device.controller.apply(CONFIG)
    device.controller.apply(CHANGED)
    assert device.controller.state.parked[Table.TUNNEL] == {1}
    assert device.held()[Table.TUNNEL, 1] != 0
    device.controller.apply(CONFIG)
    assert device.controller.state.tunnels == {"a": 0, "b": 2}
    # A configuration that needs what is parked is not forced in.
    many = replace(
        CONFIG, tunnels=tuple(replace(CONFIG.tunnels[0], name=f"t{i}", ttl=i + 1) for i in range(8)), vnis=()
    )
    with pytest.raises(DeviceError, match="the frames inside do not leave"):
        device.controller.apply(replace(many, fdb=()))


def test_what_does_not_fit_changes_nothing() -> None:
    device = Patient()
    device.controller.apply(CONFIG)
    device.fake.log.clear()
    with pytest.raises(ConfigError, match="holds 9 entries"):
        device.controller.apply(
            replace(CONFIG, tunnels=tuple(replace(CONFIG.tunnels[0], name=f"{i}") for i in range(9)))
        )
    assert not [entry for entry in device.fake.log if entry[2] is not None]
    assert device.controller.state.config == CONFIG
    assert len(NAMES) == 4


def test_verify_tells_every_difference() -> None:
    device = Patient()
    device.controller.apply(CONFIG)
    state = device.controller.state
    device.fake.settings["udp_port"] = 1
    device.fake.words["UDP_PORT", 0] = 1
    device.fake.tables[Table.TUNNEL.value, 0] ^= 1 << 200
    (at,) = [at for (table, at), bits in device.held().items() if table is Table.VNI_MAP and bits >> 1 & 0xFFFFFF == 2]
    del device.fake.tables[Table.VNI_MAP.value, at]
    free = next(at for at in range(16) if (Table.FDB, at) not in device.held())
    device.fake.tables[Table.FDB.value, free] = 1 | 7 << 1
    lines = device.controller.verify()
    assert [line.split(":")[0] for line in lines] == ["setting udp_port", "TUNNEL[0]", f"FDB[{free}]", f"VNI_MAP[{at}]"]
    assert lines[0] == "setting udp_port: 0x1, should be 0x12b5"
    assert "used 0x0, should be 0x1" in lines[3]
    assert device.controller.state is state
