"""The control plane of one device: brings it from one configuration to the next while frames flow."""

import time
from collections.abc import Iterable

from vtep.control.tables import Table, TableEntry, table_capacity

from .config import Config
from .device import Device, DeviceError
from .difference import Barrier, NeighborEntry, Settings, State, Step, release, steps_to
from .gateway import Gateway
from .image import HASHED, Image

__all__ = ["Controller"]

INSIDE = 256
"""More frames than can be inside one direction of a core at a time."""


class Controller:
    """Knows what a device holds, and changes it.

    Parameters
    ----------
    device : Device
    state : State or None
        What it holds; None: it is fresh out of reset.
    gateway : Gateway or None
        What is around it; None: it stands alone.
    patience : float
        Seconds of real time to wait for frames inside to leave.

    Attributes
    ----------
    state : State
    """

    def __init__(
        self,
        device: Device,
        state: State | None = None,
        gateway: Gateway | None = None,
        *,
        patience: float = 2.0,
    ) -> None:
        self.device = device
        self.gateway = gateway
        self.patience = patience
        self.state = state or State.after_reset(device.parameters)
        if state is None and gateway is not None:
            self.state.neighbors = gateway.read_neighbors()

    def apply(self, config: Config) -> int:
        """Bring the device to ``config``, as a difference; returns the number of writes.

        Frames go meanwhile where the old or the new configuration sends them, or, of what changes, nowhere.

        Raises
        ------
        ConfigError
            The device cannot hold it. Nothing was changed.
        DeviceError, TransportError
            The device failed half way. What it holds is then to be read again.
        """
        self._settle()
        steps, state = steps_to(self.state, config)
        written = self._execute(steps)
        self.state = state
        self._settle()
        return written

    def _execute(self, steps: Iterable[Step]) -> int:
        written = 0
        for step in steps:
            match step:
                case Barrier():
                    if not self._left():
                        raise DeviceError("the frames inside do not leave, and what they use is needed")
                case Settings(values):
                    self.device.write_settings(values)
                    written += 1
                case TableEntry(table, location, bits):
                    self.device.write_entry(table, location, bits)
                    written += 1
                case NeighborEntry(index, neighbor):
                    assert self.gateway is not None
                    self.gateway.write_neighbor(index, neighbor)
                    written += 1
        return written

    def _settle(self) -> None:
        """Give free what the old configuration used, if the frames that used it have left by now."""
        if self.state.given_up and self._left():
            self._execute(release(self.state))

    def _left(self) -> bool:
        """Wait until the frames that are inside have left: it is seen idle, or so many came in behind them."""
        names = ("tenant_rx_frames", "underlay_rx_frames")
        before = self.device.read_counters(names)
        end = time.monotonic() + self.patience
        while not self.device.registers["STATUS"].read_field("idle"):
            now = self.device.read_counters(names)
            if all(now[name] - before[name] >= INSIDE for name in names):
                break
            if time.monotonic() >= end:
                return False
        return True

    def verify(self) -> list[str]:
        """Compare what the device holds with what it should; a line for each difference."""
        image = self.state.image
        lines = []
        settings = self.device.read_settings()
        for name, value in settings.items():
            wanted = image.settings.get(name, 0)
            if value != wanted:
                lines.append(f"setting {name}: {value:#x}, should be {wanted:#x}")
        for entry, held in self._read(image):
            if held != entry.bits:
                place = f"{entry.table.name}[{entry.location}]"
                wanted_fields, fields = (image.unpack(entry.table, bits) for bits in (entry.bits, held))
                wrong = ", ".join(
                    f"{name} {value:#x}, should be {wanted_fields[name]:#x}"
                    for name, value in fields.items()
                    if value != wanted_fields[name]
                )
                lines.append(f"{place}: {wrong}")
        return lines

    def _read(self, image: Image) -> Iterable[tuple[TableEntry, int]]:
        """Every entry that counts, as it should be and as it is."""
        known = {(table, at): bits for table, at, bits in image.entries()}
        places = [key for key in known if key[0] in (Table.TUNNEL, Table.FLOOD, Table.VLAN)]
        for table in (Table.VNI, *HASHED):
            places += [(table, at) for at in range(table_capacity(table, self.device.parameters))]
        for table, at in places:
            held = image.pack(table, self.device.read_entry(table, at))
            wanted = known.get((table, at), 0)
            if table in HASHED:
                # The low bits of the key are in the location; a location that is not used may hold anything.
                low = (1 << image.placed[table].plan.bucket_bits) - 1 << 1
                wanted, held = wanted & ~low, (held & ~low if held & 1 else 0)
            yield TableEntry(table, at, wanted), held
