"""Driver of what a gateway has beside its core: links, neighbours, and counters of its ports and its local stack."""

from collections.abc import Iterable
from dataclasses import dataclass

from vtep.control.gateway_registers import (
    GATEWAY_BASE,
    GATEWAY_COUNTERS,
    MAGIC,
    PORTS,
    VERSION,
    gateway_registers,
)
from vtep.control.register_map import WORD_BYTES
from vtep.local.neighbors import USABLE, Neighbor, Place, State, entry_bytes

from .device import Device, WrongDeviceError, read_counter_value, wait_until_clear
from .neighbors import Neighbors
from .registers import Registers
from .transport import Transport, TransportError

__all__ = ["MAC_BYTES", "Gateway", "Link", "Resolution", "find_gateway"]

MAC_BYTES = 6
MAC_WORD = Place.MAC + MAC_BYTES - 2 * WORD_BYTES
"""The MAC address ends with the second word from here."""

READINGS = 8
"""Readings of an entry until two are the same."""


@dataclass(frozen=True)
class Link:
    """State of a port's link. ``speed``: in Mb/s."""

    up: bool
    speed: int
    full_duplex: bool


@dataclass(frozen=True)
class Resolution:
    """What is known of a neighbour. ``mac``: None where it is not known."""

    neighbor: Neighbor
    state: State
    mac: bytes | None


class Gateway:
    """The gateway's own registers; see `find_gateway`.

    Parameters
    ----------
    transport : Transport
    base : int
        Address of its registers.
    timeout : float
        Seconds of real time after which a busy bit that stays set is an error.

    Attributes
    ----------
    registers : Registers
    capacity : int
        Entries of the table of neighbours; 0: there is no local stack.
    has_mailbox : bool
        See `Mailbox`.

    Raises
    ------
    WrongDeviceError
        The registers are of another version.
    TransportError
        An access failed: also in all methods.
    """

    def __init__(self, transport: Transport, base: int = GATEWAY_BASE, *, timeout: float = 10.0) -> None:
        self._timeout = timeout
        # Addresses are the same in all builds.
        self.registers = Registers(transport, gateway_registers(0, 1, mailbox=1), base)
        version = self.registers["VERSION"].read_fields()
        if version["major"] != VERSION[0] or version["minor"] < VERSION[1]:
            raise WrongDeviceError(
                f"the gateway has registers of version {version['major']}.{version['minor']}; this driver works with "
                f"{VERSION[0]}.{VERSION[1]} and later ones of {VERSION[0]}"
            )
        about = self.registers["NEIGHBORS"].read_fields()
        self.capacity = about["entries"]
        self.has_mailbox = bool(about["mailbox"])

    def links(self) -> dict[str, Link]:
        """Links of the ports, by name."""
        links = {}
        for port in PORTS:
            handle = self.registers[f"{port.upper()}_LINK"]
            fields = handle.read_fields()
            names = {choice.value: name for name, choice in handle.register["speed"].choices.items()}
            speed = int(names.get(fields["speed"], "_0").rpartition("_")[2])
            links[port] = Link(bool(fields["up"]), speed, bool(fields["full_duplex"]))
        return links

    def read_neighbors(self) -> Neighbors:
        """The table of neighbours, as it was written.

        Raises
        ------
        DeviceTimeoutError
            The device does not answer.
        """
        return tuple(
            None if resolution is None else resolution.neighbor for resolution in map(self.resolution, self._indices())
        )

    def resolutions(self) -> dict[int, Resolution]:
        """What is known of each neighbour, by its index.

        Raises
        ------
        DeviceTimeoutError
            The device does not answer.
        """
        found = {index: self.resolution(index) for index in self._indices()}
        return {index: resolution for index, resolution in found.items() if resolution is not None}

    def resolution(self, index: int) -> Resolution | None:
        """What is known of the neighbour ``index``; None: the entry is not used.

        Raises
        ------
        DeviceTimeoutError
            The device does not answer.
        """
        family = self._read(index, Place.VLAN)[Place.FAMILY - Place.VLAN]
        if family not in (4, 6):
            return None
        address = b"".join(self._read(index, Place.ADDRESS + i) for i in range(0, 4 if family == 4 else 16, WORD_BYTES))
        # What is found out changes at any time: it is read until it is the same twice.
        before = b""
        for _ in range(READINGS):
            entry = b"".join(self._read(index, place) for place in (Place.VLAN, MAC_WORD, MAC_WORD + WORD_BYTES))
            if entry == before:
                break
            before = entry
        try:
            neighbor = Neighbor(int.from_bytes(address), family, int.from_bytes(entry[: Place.FAMILY - Place.VLAN]))
            state = State(entry[Place.STATE - Place.VLAN])
        except ValueError:
            return None  # no driver wrote that
        return Resolution(neighbor, state, entry[-MAC_BYTES:] if state & USABLE else None)

    def write_neighbor(self, index: int, neighbor: Neighbor | None) -> None:
        """Write an entry, which is asked for at once; None takes it out of use.

        Raises
        ------
        DeviceTimeoutError
            The device does not take it.
        """
        places = enumerate(entry_bytes(neighbor)) if neighbor is not None else [(int(Place.FAMILY), 0)]
        for place, octet in places:
            self.wait("NEIGHBOR_STATUS", "writing")
            self.registers["NEIGHBOR_WRITE"].write_fields(index=index, place=place, data=octet)
        self.wait("NEIGHBOR_STATUS", "writing")

    def read_counters(self, names: Iterable[str] = GATEWAY_COUNTERS, *, snapshot: bool = False) -> dict[str, int]:
        """Values of counters by their names, as they are or as they were in the last snapshot.

        Raises
        ------
        ValueError
            There is no such counter.
        DeviceTimeoutError
            The device does not answer.
        """
        values = {}
        for name in names:
            if name not in GATEWAY_COUNTERS:
                raise ValueError(f"a gateway has no counter {name!r}")
            self.wait("COUNTER_STATUS", "busy")
            self.registers["COUNTER_COMMAND"].write_fields(address=GATEWAY_COUNTERS.index(name), snapshot=snapshot)
            self.wait("COUNTER_STATUS", "busy")
            values[name] = read_counter_value(self.registers)
        return values

    def snapshot_counters(self) -> None:
        """Copy all counters, and wait until it is done.

        Raises
        ------
        DeviceTimeoutError
            It does not end.
        """
        self._command_counters("snapshot")

    def clear_counters(self) -> None:
        """Set all counters to 0, and wait until it is done.

        Raises
        ------
        DeviceTimeoutError
            It does not end.
        """
        self._command_counters("clear")

    def _indices(self) -> range:
        return range(self.capacity)

    def _read(self, index: int, place: int) -> bytes:
        """Four bytes of an entry."""
        self.wait("NEIGHBOR_STATUS", "reading")
        self.registers["NEIGHBOR_READ"].write_fields(index=index, place=place)
        self.wait("NEIGHBOR_STATUS", "reading")
        return self.registers["NEIGHBOR_DATA"].read().to_bytes(WORD_BYTES, "little")

    def _command_counters(self, command: str) -> None:
        self.wait("COUNTER_STATUS", "busy")
        self.registers["COUNTER_CONTROL"].write_fields(**{command: 1})
        self.wait("COUNTER_STATUS", "busy")

    def wait(self, register: str, bit: str) -> None:
        """Wait until a busy bit is clear.

        Raises
        ------
        DeviceTimeoutError
            It stays set.
        """
        wait_until_clear(self.registers, register, bit, self._timeout, " of the gateway")


def find_gateway(device: Device) -> Gateway | None:
    """The gateway around a core; None where it stands alone, which leaves no trace in it.

    Raises
    ------
    WrongDeviceError
        The gateway's registers are of another version.
    """
    status = device.registers["STATUS"]
    refused = status.read_field("refused")
    try:
        found = device.transport.read(GATEWAY_BASE) == MAGIC
    except TransportError:  # there is nothing, or nobody who answers
        found = False
    if not found:
        if not refused and status.read_field("refused"):
            status.write_fields(refused=1)
        return None
    return Gateway(device.transport)
