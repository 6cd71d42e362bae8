"""The driver of a gateway's own registers, and ``vtep-ctl`` on a gateway."""

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from helpers.fake_device import FakeDevice
from helpers.fake_gateway import FakeGateway
from vtep.config import VtepParameters
from vtep.control.gateway_registers import GATEWAY_BASE, GATEWAY_COUNTERS
from vtep.control.tables import Table
from vtep.local.neighbors import Neighbor, Place, State
from vtep_host.device import Device, DeviceTimeoutError, WrongDeviceError
from vtep_host.gateway import Gateway, Link, Resolution, find_gateway
from vtep_host.transport import AccessRefusedError, TransportError

from .test_adopt import Real
from .test_remote import CONFIG, PARAMETERS, Run, run, served

__all__ = ["run"]

FOUR = Neighbor(0x0A000102, 4, 7)
SIX = Neighbor(0xFD00 << 112 | 0x1234, 6)


def idle(core: FakeDevice) -> FakeDevice:
    core.words["STATUS", 0] |= core.map["STATUS"].pack(idle=1)
    return core


@pytest.fixture
def fake() -> FakeGateway:
    """A gateway with 4 neighbours; like a line, it does not tell what it refuses."""
    return FakeGateway(idle(Real(PARAMETERS, tells=False)), neighbors=4, lag=2)


def gateway_of(fake: FakeGateway) -> Gateway:
    found = find_gateway(Device(fake))
    assert found is not None
    return found


def test_a_neighbor_is_written_and_read(fake: FakeGateway) -> None:
    gateway = gateway_of(fake)
    assert gateway.capacity == 4
    gateway.write_neighbor(2, FOUR)
    # By the documented places: the address in network order, VLAN, family.
    assert fake.held() == {2: bytes([10, 0, 1, 2, *bytes(12), 0, 7, 4])}
    gateway.write_neighbor(0, SIX)
    assert fake.held()[0] == bytes([0xFD, 0, *bytes(12), 0x12, 0x34, 0, 0, 6])
    assert gateway.read_neighbors() == (SIX, None, FOUR, None)
    assert gateway.resolutions() == {
        0: Resolution(SIX, State.INCOMPLETE, None),
        2: Resolution(FOUR, State.INCOMPLETE, None),
    }
    for state, known in ((State.REACHABLE, True), (State.PROBE, True), (State.FAILED, False)):
        fake.resolve(2, bytes.fromhex("0200000000a9"), state)
        mac = bytes.fromhex("0200000000a9") if known else None
        assert gateway.resolution(2) == Resolution(FOUR, state, mac)
    fake.log.clear()
    gateway.write_neighbor(2, None)
    assert [value for name, value in fake.log if value is not None] == [2 << 16 | Place.FAMILY << 8]
    assert fake.held().keys() == {0}
    # An entry that is written over is out of use until its family is there.
    gateway.write_neighbor(0, FOUR)
    assert gateway.read_neighbors() == (FOUR, None, None, None)


def test_an_entry_that_no_driver_wrote_is_none(fake: FakeGateway) -> None:
    fake.entries[1][Place.FAMILY] = 4
    fake.entries[1][Place.STATE] = State.INCOMPLETE
    fake.entries[3][:] = bytes([10, 0, 0, 9, *bytes(12), 0, 0, 4, 77, *bytes(12)])
    assert gateway_of(fake).read_neighbors() == (None, None, None, None)


def test_a_mac_that_changes_meanwhile_is_never_half_read(fake: FakeGateway) -> None:
    gateway = gateway_of(fake)
    gateway.write_neighbor(1, FOUR)
    macs = [bytes([2, 0, 0, 0, 0, 1]), bytes([6, 6, 6, 6, 6, 6])]
    fake.resolve(1, macs[0])
    reads = 0

    class Changing(FakeGateway):
        def _neighbor_read(self, index, place):
            nonlocal reads
            reads += 1
            if reads == change:
                self.resolve(1, macs[1])
            super()._neighbor_read(index, place)

    fake.__class__ = Changing
    for change in range(1, 12):
        reads = 0
        fake.resolve(1, macs[0])
        found = gateway.resolution(1)
        assert found is not None
        assert found.mac in macs, f"the MAC changed at read {change}"


def test_links(fake: FakeGateway) -> None:
    fake.words["TENANT_LINK"], fake.words["UNDERLAY_LINK"] = 0b1101, 0b0010
    assert gateway_of(fake).links() == {"tenant": Link(True, 1000, True), "underlay": Link(False, 100, False)}
    fake.words["UNDERLAY_LINK"] = 0b0111
    assert gateway_of(fake).links()["underlay"].speed == 0, "no speed that is known"


def test_counters(fake: FakeGateway) -> None:
    gateway = gateway_of(fake)
    fake.counters = {"tenant.etherStatsOctets": 5_000_000_000, "local.echo_reply": 3}
    gateway.snapshot_counters()
    fake.counters["local.echo_reply"] = 4
    assert gateway.read_counters(["local.echo_reply"]) == {"local.echo_reply": 4}
    values = gateway.read_counters(snapshot=True)
    assert tuple(values) == GATEWAY_COUNTERS
    assert {name: value for name, value in values.items() if value} == {
        "tenant.etherStatsOctets": 5_000_000_000,
        "local.echo_reply": 3,
    }
    gateway.clear_counters()
    assert not any(gateway.read_counters().values())
    with pytest.raises(ValueError, match="a gateway has no counter 'host"):
        gateway.read_counters(["host.etherStatsPkts"])


def test_a_bit_that_stays_is_an_error(fake: FakeGateway) -> None:
    gateway = Gateway(fake, timeout=0.02)
    for bit, use in (
        ("NEIGHBOR_STATUS.writing", lambda: gateway.write_neighbor(0, None)),
        ("NEIGHBOR_STATUS.reading", lambda: gateway.resolution(0)),
        ("COUNTER_STATUS.busy", gateway.snapshot_counters),
    ):
        fake.busy[bit] = 1_000_000
        with pytest.raises(DeviceTimeoutError, match=rf"{bit} of the gateway stays set for 0\.02 seconds"):
            use()
        fake.busy[bit] = 0


def test_another_version_is_refused(fake: FakeGateway) -> None:
    for version in (0x0001_0002, 0x0002_0003):
        fake.words["VERSION"] = version
        with pytest.raises(WrongDeviceError, match=r"driver works with 1\.3 and later ones of 1"):
            find_gateway(Device(fake))
    fake.words["VERSION"] = 0x0001_0009
    assert gateway_of(fake).capacity == 4


class Refusing(Real):
    """A core whose bus has more addresses than it has registers: it refuses them."""

    def _find(self, address, value):
        if address >= GATEWAY_BASE:
            self.words["STATUS", 0] |= self.map["STATUS"].pack(refused=1)
            raise AccessRefusedError(f"{address:#x}")
        return super()._find(address, value)


class Folding(Real):
    """One whose bus does not see higher address bits."""

    def _find(self, address, value):
        return super()._find(address % GATEWAY_BASE, value)


class Silent(Real):
    """One whose bus never answers there."""

    def _find(self, address, value):
        if address >= GATEWAY_BASE:
            raise TransportError("0 of 4 bytes came in time")
        return super()._find(address, value)


PLAIN = [Real, Refusing, Folding, Silent]


@pytest.mark.parametrize("kind", PLAIN)
def test_a_core_alone_is_not_touched(kind: type[FakeDevice]) -> None:
    core = kind(PARAMETERS, tells=False)
    device = Device(core)
    core.log.clear()
    assert find_gateway(device) is None
    assert all(name == "STATUS" for name, _, value in core.log if value is not None)
    device.check_refused()
    # What was refused before is still told.
    core.words["STATUS", 0] |= core.map["STATUS"].pack(refused=1)
    assert find_gateway(device) is None
    with pytest.raises(AccessRefusedError):
        device.check_refused()


@pytest.mark.parametrize("kind", [Real, Refusing, Folding])
def test_commands_on_a_core_alone(kind: type[FakeDevice], run: Run, tmp_path: Path) -> None:
    core = idle(kind(PARAMETERS, tells=False))
    with served(core, tmp_path / "vtep.sock"):
        (tmp_path / "open.toml").write_text(OPEN)
        code, _, err = run("apply open.toml")
        assert code == 2
        assert err.splitlines() == [
            f'vtep-ctl: open.toml: [[tunnel]] {number} "{name}": remote_mac: is missing; must be a MAC address such as '
            '"02:00:00:00:00:01", not all zeros: this build does not resolve next hops'
            for number, name in ((1, "leaf2"), (2, "leaf3"))
        ]
        assert not core.tables
        assert run("verify open.toml")[0] == 2
        for command in ("apply vtep.toml", "verify vtep.toml", "show", "counters", "watch --count 1 --interval 0.05"):
            code, out, err = run(command)
            assert (code, err) == (0, ""), command
            assert "gateway" not in out
            assert "etherStats" not in out
        assert "gateway" not in json.loads(run("show --json")[1])


OPEN = CONFIG.replace('remote_mac = "02:00:00:00:00:02"\n', "").replace(
    'remote_mac = "02:00:00:00:00:03"\n', "vlan = 7\n"
)


@pytest.fixture
def gateway(fake: FakeGateway, tmp_path: Path) -> Iterator[FakeGateway]:
    """It is at ``unix:vtep.sock``; ``open.toml`` has two next hops."""
    (tmp_path / "open.toml").write_text(OPEN)
    with served(fake, tmp_path / "vtep.sock"):  # type: ignore[arg-type]
        yield fake


LEAF2, LEAF3 = Neighbor(0x0A000002, 4), Neighbor(0x0A000003, 4, 7)


def tunnel_macs(fake: FakeGateway) -> list[int]:
    device = Device(fake)
    entries = [device.read_entry(Table.TUNNEL, index) for index in range(PARAMETERS.tunnels)]
    return [entry["remote_mac"] for entry in entries if entry["used"]]


def test_apply_and_verify(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    code, _, err = run("apply open.toml")
    assert (code, err) == (0, "")
    assert gateway.held() == gateway.wanted(_0=LEAF2, _1=LEAF3)
    assert tunnel_macs(gateway) == [0, 1]
    assert run("verify open.toml")[:2] == (0, "the device holds open.toml\n")
    gateway.log.clear()
    assert run("apply open.toml")[:2] == (0, "open.toml: was in effect\n")
    written = {name for name, value in gateway.log if value is not None}
    assert written == {"NEIGHBOR_READ"}, "what is known of neighbours stays"

    # Another remote: a new neighbour, and the old one goes, now or the next time.
    (tmp_path / "other.toml").write_text(OPEN.replace('"10.0.0.2"', '"10.0.0.4"'))
    assert run("verify other.toml")[0] == 1
    assert run("apply other.toml")[0] == 0
    assert run("verify other.toml")[0] == 0
    assert gateway.held() == gateway.wanted(_2=Neighbor(0x0A000004, 4), _1=LEAF3)
    assert run("apply vtep.toml")[0] == 0
    assert gateway.held() == {}
    assert run("verify vtep.toml")[0] == 0
    assert run("verify open.toml")[0] == 1


def test_neighbors_are_written_first_and_cleared_last(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    order: list[str] = []
    table_command, neighbor_write = gateway.core._table_command, gateway._neighbor_write  # type: ignore[attr-defined]

    def tables(command: set[str], value: int) -> None:
        select = gateway.core.words["TABLE_SELECT", 0]
        if command == {"write"} and select == Table.TUNNEL.value:
            order.append("tunnel")
        table_command(command, value)

    def neighbors(index: int, place: int, data: int) -> None:
        if place == Place.FAMILY:
            order.append("neighbour" if data else "cleared")
        neighbor_write(index, place, data)

    gateway.core._table_command, gateway._neighbor_write = tables, neighbors  # type: ignore[attr-defined, method-assign]
    run("apply open.toml")
    assert order == ["neighbour", "neighbour", "tunnel", "tunnel"]
    order.clear()
    (tmp_path / "other.toml").write_text(OPEN.replace('"10.0.0.2"', '"10.0.0.4"'))
    run("apply other.toml")
    assert (order[0], order[-1], order.count("neighbour"), order.count("cleared")) == ("neighbour", "cleared", 1, 1)


def test_what_leads_to_nobody_differs(run: Run, gateway: FakeGateway) -> None:
    run("apply open.toml")
    gateway.entries[1][Place.FAMILY] = 0
    code, out, _ = run("verify open.toml")
    assert code == 1
    assert "remote_mac=00:00:00:00:00:01" in out
    assert "next_hop=10.0.0.3" in out
    assert "None" not in out
    assert run("apply open.toml")[0] == 0
    assert run("verify open.toml")[0] == 0


def test_a_neighbor_that_nobody_uses_is_taken_out_of_use(run: Run, gateway: FakeGateway) -> None:
    """As one is left where a driver was interrupted."""
    run("apply open.toml")
    gateway_of(gateway).write_neighbor(3, SIX)
    assert run("apply open.toml")[0] == 0
    assert gateway.held() == gateway.wanted(_0=LEAF2, _1=LEAF3)


def test_too_many_next_hops_change_nothing(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    more = "".join(f'[[tunnel]]\nname = "x{i}"\nremote = "10.0.1.{i + 1}"\n' for i in range(3))
    (tmp_path / "many.toml").write_text(OPEN + more)
    code, out, err = run("apply many.toml")
    assert (code, out) == (2, "")
    assert '[[tunnel]] 5 "x2": remote_mac: is missing, for 5 next hops (address and vlan); allowed' in err
    assert (gateway.held(), gateway.core.tables) == ({}, {})


def test_show(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    run("apply open.toml")
    gateway.resolve(0, bytes.fromhex("0200000000a9"))
    gateway.words["TENANT_LINK"] = 0b1101
    gateway.counters = {"underlay.etherStatsPkts": 12, "tenant.etherStatsCRCAlignErrors": 5, "local.arp_reply": 34}
    held = json.loads(run("show --json --names open.toml")[1])
    assert [(one["name"], one["remote_mac"], one["next_hop"]) for one in held["tunnel"]] == [
        ("leaf2", None, "10.0.0.2"),
        ("leaf3", None, "10.0.0.3"),
    ]
    shown = held["gateway"]
    assert (shown["version"], shown["configuration_hash"]) == ("1.3", "0xc0ffee42")
    assert shown["release"] == metadata.version("openvtep")
    assert shown["links"] == {
        "tenant": {"up": True, "speed": 1000, "full_duplex": True},
        "underlay": {"up": False, "speed": 10, "full_duplex": False},
    }
    assert shown["neighbors"] == [
        {"index": 0, "address": "10.0.0.2", "vlan": 0, "state": "reachable", "mac": "02:00:00:00:00:a9"},
        {"index": 1, "address": "10.0.0.3", "vlan": 7, "state": "incomplete", "mac": None},
    ]
    assert {name: value for name, value in shown["counters"].items() if value} == gateway.counters
    table = run("show")[1]
    for text in (
        f"gateway {metadata.version('openvtep')}, registers 1.3",
        "reachable",
        "02:00:00:00:00:a9",
        "1000",
        "down",
        "etherStatsPkts",
        "arp_reply",
    ):
        assert text in table
    assert "etherStatsJabbers" not in table, "zeros are left out"


def test_counters_and_watch(run: Run, gateway: FakeGateway) -> None:
    run("apply open.toml")
    gateway.counters = {"underlay.etherStatsPkts": 12, "local.arp_reply": 34}
    values = json.loads(run("counters --json --names open.toml")[1])
    assert (values["underlay.etherStatsPkts"], values["local.arp_reply"], values["tunnel.leaf2.encap_frames"]) == (
        12,
        34,
        0,
    )
    line = json.loads(run("watch --json --count 1 --interval 0.05")[1])
    assert (line["counters"]["local.arp_reply"], line["rates"]["local.arp_reply"]) == (34, 0.0)
    code, out, _ = run("watch --count 1 --interval 0.05")
    assert (code, "arp_reply" in out) == (0, True)
    assert "etherStatsPkts" in run("counters --clear")[1]
    assert not any(json.loads(run("counters --json")[1]).values())


def test_more_neighbors_than_entries_of_this_map() -> None:
    """The driver reads how many there are."""
    fake = FakeGateway(idle(FakeDevice(VtepParameters())), neighbors=64)
    gateway = gateway_of(fake)
    gateway.write_neighbor(63, FOUR)
    assert gateway.read_neighbors()[63] == FOUR
