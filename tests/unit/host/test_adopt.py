from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.fake_device import FakeDevice
from vtep.control.tables import Table, table_plan
from vtep_host.adopt import read_state
from vtep_host.config import Config
from vtep_host.controller import Controller
from vtep_host.device import Device, DeviceError
from vtep_host.difference import State

from .test_difference import CONFIG, WIDE, Tables, configs, expected, plain, walk


class Real(FakeDevice):
    """As the gateware answers: without the bits of a hashed key that are in its location."""

    def read(self, address: int) -> int:
        value = super().read(address)
        select = self.words["TABLE_SELECT", 0]
        if address == self.map["TABLE_DATA"].address and select in {t.value for t in Table}:
            plan = table_plan(Table(select), self.parameters)
            if plan is not None:
                value &= ~((1 << plan.bucket_bits) - 1 << 1)
        return value


def device_with(config: Config) -> tuple[Real, Device, Controller]:
    fake = Real(WIDE)
    fake.words["STATUS", 0] |= fake.map["STATUS"].pack(idle=1)
    device = Device(fake)
    controller = Controller(device)
    controller.apply(config)
    return fake, device, controller


def nameless(config: Config) -> tuple[Any, ...]:
    """What of a configuration is on the device: tunnels without names, in no order, and only those in use."""
    groups = {tunnel.name: replace(tunnel, name="") for tunnel in config.tunnels}
    vnis = {(vni.id, vni.vlan, vni.inner_vlan, tuple(groups[name] for name in vni.flood)) for vni in config.vnis}
    return config.vtep, vnis, {(entry.vni, entry.mac, groups[entry.tunnel]) for entry in config.fdb}


@given(config=configs(WIDE))
def test_what_was_applied_is_read(config: Config) -> None:
    fake, device, controller = device_with(config)
    state = read_state(device)
    assert nameless(state.config) == nameless(config)
    assert state.vnis == controller.state.vnis
    fake.log.clear()
    again = Controller(device, state)
    assert again.verify() == []
    again.apply(config)
    assert again.verify() == []
    assert nameless(read_state(device).config) == nameless(config)


@given(data=st.data())
def test_no_frame_goes_astray_from_there(data: Any) -> None:
    old, new = data.draw(configs(WIDE)), data.draw(configs(WIDE))
    fake, device, _ = device_with(old)
    state = read_state(device)
    tables = Tables(WIDE)
    tables.settings = fake.settings
    for entry in state.image.entries():
        tables.do(entry)
    assert plain(tables.results()) == expected(old)
    walk(state, tables, new)


def test_a_device_after_reset_has_nothing() -> None:
    device = Device(Real(WIDE))
    state = read_state(device)
    assert list(state.image.entries()) == []
    assert (state.config.vnis, state.config.tunnels, state.config.fdb) == ((), (), ())
    assert State.after_reset(WIDE).vnis == {}


def test_an_interrupted_move_is_mended() -> None:
    fake, device, controller = device_with(CONFIG)
    image = controller.state.image
    (key, *_), plan = image.placed[Table.FDB], image.placed[Table.FDB].plan
    first, *_ = (at for at in plan.locations(key) if (Table.FDB.value, at) not in fake.tables)
    (bits, *_) = (
        entry.bits for entry in image.entries() if entry.table is Table.FDB and entry.location in plan.locations(key)
    )
    device.write_entry(Table.FDB, first, bits)
    state = read_state(device)
    assert len(state.image.placed[Table.FDB]) == len(CONFIG.fdb)
    held = [at for (table, at), bits in fake.tables.items() if table == Table.FDB.value and bits & 1]
    assert len(held) == len(CONFIG.fdb)
    assert Controller(device, state).verify() == []


def test_tables_that_no_driver_wrote_are_refused() -> None:
    _, device, _ = device_with(CONFIG)
    device.write_entry(Table.VNI, 7, {"used": 1, "vni": CONFIG.vnis[0].id, "vlan": 99})
    with pytest.raises(DeviceError, match=r"VNI 1 or VID 99 stands in two entries of VNI"):
        read_state(device)
    device.write_entry(Table.VNI, 7, {"used": 1, "vni": 77, "vlan": 99, "flood_used": 1, "flood": 15})
    device.write_entry(Table.FLOOD, 15, {"tunnel": 1})
    with pytest.raises(DeviceError, match="the flood list of VNI 77 has no end"):
        read_state(device)
