"""The driver against a device of dictionaries, and the same against the gateware's registers in the simulator."""

import threading
from queue import Queue

import pytest
from amaranth.hdl import Value

from helpers.fake_device import FakeDevice
from helpers.packet_bench import simulate
from helpers.register_bench import access
from vtep.config import Mode, VtepParameters
from vtep.control.counters import counter_map
from vtep.control.register_block import RegisterBlock
from vtep.control.registers import MAGIC, build_hash
from vtep.control.tables import EcnMode, Table, entry_layout, settings_layout
from vtep_host import device as driver
from vtep_host.device import Device, DeviceTimeoutError, WrongDeviceError
from vtep_host.transport import AccessRefusedError

PARAMETERS = VtepParameters(vnis=3, tunnels=5, fdb_entries=7, flood_entries=9)
OTHER = VtepParameters(
    data_width=512,
    encap_mode=Mode.CUT_THROUGH,
    decap_mode=Mode.CUT_THROUGH,
    tenant_length=True,
    ipv6=False,
    udp_checksum=False,
    max_frame_length=2000,
    vnis=64,
)


@pytest.mark.parametrize("parameters", [PARAMETERS, OTHER])
@pytest.mark.parametrize("base", [0, 0x8000_0000])
def test_a_device_says_what_it_is(parameters, base):
    device = Device(FakeDevice(parameters, base=base), base, expected=parameters)
    assert device.parameters == parameters
    assert device.build_hash == build_hash(parameters)
    assert device.registers["VNI_ENTRIES"].read() == parameters.vnis


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("MAGIC", 0x12345678, "there is no VTEP at 0x0: MAGIC reads 0x12345678, must be 0x56544550$"),
        ("MAGIC", 0, "MAGIC reads 0x00000000, must be 0x56544550; nothing answers there"),
        ("MAGIC", 0xFFFFFFFF, "MAGIC reads 0xffffffff, must be 0x56544550; nothing answers there"),
        ("MAGIC", 0x50455456, "MAGIC reads 0x50455456, .*; the transport has the bytes of a word in reverse order"),
        ("VERSION", 0x20000, r"version 2\.0; this driver works with 1\.0 and later ones of 1"),
        ("VERSION", 0x00005, r"version 0\.5; this driver works with 1\.0 and later ones of 1"),
        ("BUILD", 48, "the device says of itself what cannot be: data_width must be one of"),
        ("VNI_ENTRIES", 65537, "the device says of itself what cannot be: vnis must be an integer within 1 .. 65536"),
        ("BUILD_HASH", 1, "another build than expected: BUILD_HASH reads 0x00000001, must be"),
    ],
)
def test_another_device_is_refused_and_never_written_to(name, value, complaint):
    fake = FakeDevice(PARAMETERS)
    fake.words[name, 0] = value
    with pytest.raises(WrongDeviceError, match=complaint):
        Device(fake, expected=PARAMETERS)
    assert all(written is None for _, _, written in fake.log)


def test_versions_that_fit(monkeypatch):
    monkeypatch.setattr(driver, "VERSION", (1, 3))
    fake = FakeDevice(PARAMETERS)
    for minor in (3, 4, 0xFFFF):
        fake.words["VERSION", 0] = 1 << 16 | minor
        Device(fake)
    fake.words["VERSION", 0] = 1 << 16 | 2
    with pytest.raises(WrongDeviceError, match=r"version 1\.2; this driver works with 1\.3"):
        Device(fake)


def test_settings(rng):
    initial = {name: rng.getrandbits(field.width) for name, field in settings_layout()}
    fake = FakeDevice(PARAMETERS, initial)
    device = Device(fake)
    assert device.read_settings() == initial
    for _ in range(20):
        wanted = {name: rng.getrandbits(field.width) for name, field in settings_layout() if rng.getrandbits(1)}
        expected = fake.settings | wanted
        device.write_settings(wanted)
        assert fake.settings == expected
        assert device.read_settings() == expected


def test_settings_that_somebody_left_uncommitted_do_not_count(rng):
    fake = FakeDevice(PARAMETERS)
    device = Device(fake)
    device.write_settings({"udp_port": 4789})
    device.registers["UDP_PORT"].write(1)
    assert device.read_settings()["udp_port"] == 4789
    device.registers["UDP_PORT"].write(1)
    device.write_settings({"underlay_mtu": 1500})
    assert (fake.settings["udp_port"], fake.settings["underlay_mtu"]) == (4789, 1500)


def test_settings_are_written_before_the_commit_and_only_where_they_differ():
    fake = FakeDevice(PARAMETERS)
    device = Device(fake)
    device.write_settings({"mac": 0x020304050607, "udp_port": 4789})
    fake.log.clear()
    device.write_settings({"mac": 0x020304050608, "udp_port": 4789})
    assert [entry for entry in fake.log if entry[2] is not None] == [("MAC_LOW", 0, 0x04050608), ("CONTROL", 0, 1)]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"mtu": 1}, "there is no setting 'mtu'"),
        ({"udp_port": 1 << 16}, r"udp_port must be an integer within 0 \.\. 65535"),
    ],
)
def test_refuses_settings(settings, complaint):
    fake = FakeDevice(PARAMETERS)
    device = Device(fake)
    fake.log.clear()
    with pytest.raises(ValueError, match=complaint):
        device.write_settings(settings)
    assert fake.log == []


@pytest.mark.parametrize("lag", [0, 3])
def test_entries(rng, lag):
    fake = FakeDevice(PARAMETERS, lag=lag)
    device = Device(fake)
    sizes = {Table.VNI: 3, Table.TUNNEL: 5, Table.FDB: 16, Table.FLOOD: 9, Table.VLAN: 4096}
    for table, count in sizes.items():
        layout = entry_layout(table, PARAMETERS)
        for index in (0, count - 1):
            entry = {name: rng.getrandbits(field.width) for name, field in layout}
            entry |= {name: 2 for name in ("ecn", "df") if name in entry}
            device.write_entry(table, index, entry)
            assert fake.tables[table.value, index] & (1 << layout.size) - 1 == sum(
                entry[name] << field.offset for name, field in layout
            )
            device.write_entry(table, 1, {})
            assert device.read_entry(table, index) == entry
            assert device.read_entry(table, 1) == dict.fromkeys(entry, 0)
        fake.log.clear()
        for index in (-1, count):
            for use in (lambda t, i: device.write_entry(t, i, {}), device.read_entry):
                with pytest.raises(ValueError, match=rf"the index of {table.name} must be .* 0 \.\. {count - 1}, not"):
                    use(table, index)
        assert fake.log == []
    with pytest.raises(ValueError, match="SETTINGS has no entries"):
        device.read_entry(Table.SETTINGS, 0)


@pytest.mark.parametrize("lag", [0, 3])
def test_counters(rng, lag):
    fake = FakeDevice(PARAMETERS, lag=lag)
    device = Device(fake)
    fake.counters = {address: rng.getrandbits(64) for address in counter_map(PARAMETERS).values()}
    before = {name: fake.counters[address] for name, address in counter_map(PARAMETERS).items()}
    assert device.read_counters() == before
    assert device.read_counter("vni[2].decap_bytes") == before["vni[2].decap_bytes"]
    device.snapshot_counters()
    device.clear_counters()
    assert device.read_counters(["no_vni", "mtu"]) == {"no_vni": 0, "mtu": 0}
    assert device.read_counters(snapshot=True) == before
    fake.log.clear()
    with pytest.raises(ValueError, match=r"there is no counter 'vni\[3\]\.decap_bytes' in this build"):
        device.read_counter("vni[3].decap_bytes")
    assert fake.log == []


def test_what_stays_busy_is_an_error():
    fake = FakeDevice(PARAMETERS, lag=1 << 60)
    device = Device(fake, timeout=0.02)
    for use, bit in (
        (lambda: device.read_entry(Table.VNI, 0), r"TABLE_STATUS\.busy"),
        (lambda: device.read_counter("mtu"), r"COUNTER_STATUS\.busy"),
        (device.clear_counters, r"STATUS\.counters_busy"),
        (device.snapshot_counters, r"STATUS\.counters_busy"),
    ):
        with pytest.raises(DeviceTimeoutError, match=rf"^{bit} stays set for 0\.02 seconds"):
            use()


def test_a_transport_that_cannot_tell():
    fake = FakeDevice(PARAMETERS, tells=False)
    device = Device(fake)
    device.check_refused()
    device.registers["MAGIC"].write(0)
    with pytest.raises(AccessRefusedError):
        device.check_refused()
    device.check_refused()


class SimulatedBus:
    """Transport into a simulation that runs in another thread."""

    def __init__(self):
        self.asked, self.answers = Queue(), Queue()

    def access(self, *order):
        self.asked.put(order)
        answer = self.answers.get(timeout=60)
        if answer.error:
            raise AccessRefusedError(f"{order}")
        return answer.data

    def read(self, address):
        return self.access(address, None)

    def write(self, address, value):
        self.access(address, value)


def drive(block, use, *background):
    """Run ``use(transport)`` in a thread of its own while ``block`` is simulated here."""
    transport = SimulatedBus()
    outcome = []

    def user():
        try:
            use(transport)
        except BaseException as error:
            outcome.append(error)
        transport.asked.put(None)

    async def bench(ctx):
        while (order := transport.asked.get(timeout=60)) is not None:
            transport.answers.put(await access(ctx, block.bus, *order))
            await ctx.tick()

    thread = threading.Thread(target=user, daemon=True)
    thread.start()
    try:
        simulate(block, bench, background=background)
    finally:
        thread.join(timeout=60)
    for error in outcome:
        raise error


def test_the_gateware_does_as_the_driver_wants(rng):
    block = RegisterBlock(PARAMETERS)
    settings = {name: rng.getrandbits(field.width) for name, field in settings_layout()}
    tables, counters = {}, {}

    async def core(ctx):
        ctx.set(block.ready, 1)
        ctx.set(block.counters.requests.ready, 1)
        async for _, _, enable, write, strobe, table, index, asked, request in ctx.tick().sample(
            block.config.enable,
            block.config.write,
            block.entries.strobe,
            block.entries.table,
            block.entries.index,
            block.counters.requests.valid,
            Value.cast(block.counters.requests.payload),
        ):
            if enable:
                tables[write.table, write.index] = write.entry
            ctx.set(block.entries.valid, strobe)
            ctx.set(block.entries.entry, tables.get((table, index), 0) if strobe else 0)
            ctx.set(block.counters.responses.valid, asked)
            ctx.set(block.counters.responses.payload, counters.get(request, 0) if asked else 0)

    def use(transport):
        device = Device(transport, expected=PARAMETERS)
        device.write_settings(settings)
        assert device.read_settings() == settings
        tunnel = {name: rng.getrandbits(field.width) for name, field in entry_layout(Table.TUNNEL, PARAMETERS)}
        tunnel |= {"ecn": EcnMode.LINUX.value, "df": 1}
        device.write_entry(Table.TUNNEL, 4, tunnel)
        assert device.read_entry(Table.TUNNEL, 4) == tunnel
        assert device.read_entry(Table.TUNNEL, 3) == dict.fromkeys(tunnel, 0)
        counters[counter_map(PARAMETERS)["ecn"]] = value = rng.getrandbits(64)
        assert device.read_counters(["mtu", "ecn"]) == {"mtu": 0, "ecn": value}
        device.clear_counters()
        device.check_refused()
        with pytest.raises(AccessRefusedError):
            device.registers["MAGIC"].write(MAGIC)
        with pytest.raises(AccessRefusedError):
            device.check_refused()

    drive(block, use, core)
