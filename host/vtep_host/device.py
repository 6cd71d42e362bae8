"""Driver of one VTEP core: settings, table entries and counters through its registers."""

import time
from collections.abc import Iterable, Mapping

from vtep.config import Mode, VtepParameters
from vtep.control.counters import counter_map
from vtep.control.initial import Initial
from vtep.control.register_map import WORD_BITS
from vtep.control.registers import (
    MAGIC,
    SETTINGS_PLACES,
    VERSION,
    build_hash,
    pack_settings,
    unpack_settings,
    vtep_registers,
)
from vtep.control.tables import Table, entry_layout, table_capacity

from .registers import Registers
from .transport import AccessRefusedError, Transport

__all__ = [
    "Device",
    "DeviceError",
    "DeviceTimeoutError",
    "WrongDeviceError",
    "read_counter_value",
    "wait_until_clear",
]


class DeviceError(Exception):
    """The device did not do what it should; the message says what."""


class WrongDeviceError(DeviceError):
    """What answers is no VTEP that this driver can work with."""


class DeviceTimeoutError(DeviceError):
    """A busy bit of the device stays set."""


class Device:
    """A VTEP core behind a transport. It is identified first, so that nothing else is ever written to.

    One driver works with a device at a time: most of what is here takes several accesses.

    Parameters
    ----------
    transport : Transport
    base : int
        Address of the core's registers.
    expected : VtepParameters or None
        The build that the device must be; None: any.
    timeout : float
        Seconds of real time after which a busy bit that stays set is an error.

    Attributes
    ----------
    transport : Transport
    parameters : VtepParameters
        The device's, as it tells them: the depths of its queues are not among them.
    build_hash : int
    registers : Registers

    Raises
    ------
    WrongDeviceError
        There is no VTEP at ``base``, or one of another version, or another build than expected.
    TransportError
        An access failed: also in all methods.
    """

    def __init__(
        self, transport: Transport, base: int = 0, *, expected: VtepParameters | None = None, timeout: float = 10.0
    ) -> None:
        self.transport = transport
        self._timeout = timeout
        # Addresses are the same in all builds.
        self.parameters, self.build_hash = _identify(Registers(transport, vtep_registers(VtepParameters()), base), base)
        if expected is not None and self.build_hash != build_hash(expected):
            raise WrongDeviceError(
                f"the device is another build than expected: BUILD_HASH reads {self.build_hash:#010x}, must be "
                f"{build_hash(expected):#010x}"
            )
        self.registers = Registers(transport, vtep_registers(self.parameters), base)

    def read_settings(self) -> dict[str, int]:
        """Settings in effect, by the names of `settings_layout`. Settings written and never committed are reverted."""
        if self.registers["STATUS"].read_field("uncommitted"):
            self.registers["CONTROL"].write_fields(revert_settings=1)
        names = pack_settings(self.registers.map, {})
        return unpack_settings(self.registers.map, {name: self.registers[name].read() for name in names})

    def write_settings(self, settings: Mapping[str, int]) -> None:
        """Put settings into effect, all in one clock; those not named here stay as they are.

        Raises
        ------
        ValueError
            There is no such setting, or a value does not fit. Nothing was changed.
        """
        words = pack_settings(self.registers.map, settings)
        if not settings.keys() >= SETTINGS_PLACES.keys():
            old = self.read_settings()
            before, after = (pack_settings(self.registers.map, values) for values in (old, {**old, **settings}))
            words = {name: value for name, value in after.items() if value != before[name]}
        for name, value in words.items():
            self.registers[name].write(value)
        self.registers["CONTROL"].write_fields(commit_settings=1)

    def write_entry(self, table: Table, index: int, entry: Mapping[str, object] | int) -> None:
        """Write one entry, whole and in one clock.

        ``entry``: its fields, by the names of its layout, absent ones being 0; or all of its bits.

        Raises
        ------
        ValueError
            ``index`` is not within the table.
        DeviceTimeoutError
            The tables are not ready.
        """
        self._select(table, index)
        layout = entry_layout(table, self.parameters)
        bits = entry if isinstance(entry, int) else layout.const(entry).as_bits()
        for i in range(self._words(table)):
            self.registers["TABLE_DATA"][i].write(bits >> WORD_BITS * i & (1 << WORD_BITS) - 1)
        self.registers["TABLE_COMMAND"].write_fields(write=1)

    def read_entry(self, table: Table, index: int) -> dict[str, int]:
        """Fields of an entry, by the names of its layout.

        Raises
        ------
        ValueError
            ``index`` is not within the table.
        DeviceTimeoutError
            The device does not answer.
        """
        self._select(table, index)
        self.registers["TABLE_COMMAND"].write_fields(read=1)
        self._wait("TABLE_STATUS", "busy")
        words = [self.registers["TABLE_DATA"][i].read() for i in range(self._words(table))]
        bits = sum(word << WORD_BITS * i for i, word in enumerate(words))
        layout = entry_layout(table, self.parameters)
        return {name: bits >> field.offset & (1 << field.width) - 1 for name, field in layout}

    def write_contents(self, contents: Initial) -> None:
        """Bring a device fresh out of reset to a configuration.

        Raises
        ------
        ValueError
            It does not fit the device.
        DeviceTimeoutError
            The device does not answer.
        """
        for table, index, bits in contents.entries:
            self.write_entry(table, index, bits)
        self.write_settings(contents.settings)

    def read_counter(self, name: str, *, snapshot: bool = False) -> int:
        """One consistent value of a counter of `counter_map`, as it is or as it was in the last snapshot.

        Raises
        ------
        ValueError
            There is no such counter.
        DeviceTimeoutError
            The device does not answer.
        """
        return self.read_counters([name], snapshot=snapshot)[name]

    def read_counters(self, names: Iterable[str] | None = None, *, snapshot: bool = False) -> dict[str, int]:
        """Values of counters; without ``names``, of all. See `read_counter`."""
        addresses = counter_map(self.parameters)
        values = {}
        for name in addresses if names is None else names:
            if name not in addresses:
                raise ValueError(f"there is no counter {name!r} in this build")
            self.registers["COUNTER_COMMAND"].write_fields(address=addresses[name], snapshot=snapshot)
            self._wait("COUNTER_STATUS", "busy")
            values[name] = read_counter_value(self.registers)
        return values

    def snapshot_counters(self) -> None:
        """Copy all counters, and wait until it is done.

        Raises
        ------
        DeviceTimeoutError
            It does not end.
        """
        self._command_counters("snapshot_counters")

    def clear_counters(self) -> None:
        """Set all counters to 0, and wait until it is done.

        Raises
        ------
        DeviceTimeoutError
            It does not end.
        """
        self._command_counters("clear_counters")

    def check_refused(self) -> None:
        """Raise where the device refused an access since the last call: for transports that cannot tell.

        Raises
        ------
        AccessRefusedError
        """
        if self.registers["STATUS"].read_field("refused"):
            self.registers["STATUS"].write_fields(refused=1)
            raise AccessRefusedError("the device refused an access (STATUS.refused was set)")

    def _command_counters(self, command: str) -> None:
        self._wait("STATUS", "counters_busy")
        self.registers["CONTROL"].write_fields(**{command: 1})
        self._wait("STATUS", "counters_busy")

    def _words(self, table: Table) -> int:
        return -(-entry_layout(table, self.parameters).size // WORD_BITS)

    def _select(self, table: Table, index: int) -> None:
        capacity = table_capacity(table, self.parameters)
        if not capacity:
            raise ValueError(f"{table.name} has no entries")
        if not 0 <= index < capacity:
            raise ValueError(f"the index of {table.name} must be an integer within 0 .. {capacity - 1}, not {index}")
        self._wait("TABLE_STATUS", "busy")
        self.registers["TABLE_SELECT"].write_fields(table=table.value)
        self.registers["TABLE_INDEX"].write_fields(index=index)

    def _wait(self, register: str, bit: str) -> None:
        wait_until_clear(self.registers, register, bit, self._timeout)


def wait_until_clear(registers: Registers, register: str, bit: str, timeout: float, owner: str = "") -> None:
    """Read a bit until it is 0; ``owner`` tells in the message whose it is.

    Raises
    ------
    DeviceTimeoutError
        It is still set after ``timeout`` seconds.
    """
    end = time.monotonic() + timeout
    while registers[register].read_field(bit):
        if time.monotonic() >= end:
            raise DeviceTimeoutError(f"{register}.{bit}{owner} stays set for {timeout:g} seconds")


def read_counter_value(registers: Registers) -> int:
    """The counter that was read last, of 64 bits."""
    low, high = (registers[half].read_field("value") for half in ("COUNTER_LOW", "COUNTER_HIGH"))
    return high << WORD_BITS | low


def _identify(registers: Registers, base: int) -> tuple[VtepParameters, int]:
    magic = registers["MAGIC"].read()
    if magic != MAGIC:
        reason = ""
        if magic in (0, (1 << WORD_BITS) - 1):
            reason = "; nothing answers there"
        elif magic == int.from_bytes(MAGIC.to_bytes(4), "little"):
            reason = "; the transport has the bytes of a word in reverse order"
        raise WrongDeviceError(
            f"there is no VTEP at {base:#x}: MAGIC reads {magic:#010x}, must be {MAGIC:#010x}{reason}"
        )
    version = registers["VERSION"].read_fields()
    if version["major"] != VERSION[0] or version["minor"] < VERSION[1]:
        raise WrongDeviceError(
            f"the device has registers of version {version['major']}.{version['minor']}; this driver works with "
            f"{VERSION[0]}.{VERSION[1]} and later ones of {VERSION[0]}"
        )
    build = registers["BUILD"].read_fields()
    try:
        parameters = VtepParameters(
            data_width=build["data_width"],
            encap_mode=_mode(build["encap_mode"]),
            decap_mode=_mode(build["decap_mode"]),
            tenant_length=bool(build["tenant_length"]),
            ipv6=bool(build["ipv6"]),
            udp_checksum=bool(build["udp_checksum"]),
            max_frame_length=registers["FRAME_LENGTH"].read_field("max_frame_length"),
            vnis=registers["VNI_ENTRIES"].read_field("entries"),
            tunnels=registers["TUNNEL_ENTRIES"].read_field("entries"),
            fdb_entries=registers["FDB_ENTRIES"].read_field("entries"),
            flood_entries=registers["FLOOD_ENTRIES"].read_field("entries"),
        )
    except ValueError as error:
        raise WrongDeviceError(f"the device says of itself what cannot be: {error}") from error
    return parameters, registers["BUILD_HASH"].read_field("hash")


def _mode(bit: int) -> Mode:
    return Mode.CUT_THROUGH if bit else Mode.STORE_AND_FORWARD
