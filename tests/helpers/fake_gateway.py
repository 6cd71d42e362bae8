"""A gateway made of dictionaries: `FakeDevice` with the gateway's registers behind it."""

from vtep.control.gateway_registers import GATEWAY_BASE, GATEWAY_COUNTERS, gateway_registers
from vtep.local.neighbors import ENTRY_BYTES, Neighbor, Place, State, entry_bytes
from vtep_host.transport import AccessRefusedError

from .fake_device import FakeDevice


class FakeGateway:
    """A transport to ``core`` below `GATEWAY_BASE`, and to registers as those of `gateway_registers` from there on.

    ``entries``: bytes of the table of neighbours; ``counters``, ``copies``: by name; ``lag``: how many reads of a
    status register show it busy; ``log``: (register, value or None) of every access to the gateway's own.

    With ``mailbox`` it has a mailbox: ``waiting`` are frames to be read, ``sent`` those that were sent,
    ``written`` what was written of the next one.
    """

    def __init__(
        self, core: FakeDevice, *, neighbors: int = 16, configuration: int = 0xC0FFEE42, lag: int = 0, mailbox: int = 0
    ) -> None:
        self.core, self.lag = core, lag
        self.map = gateway_registers(configuration, neighbors, mailbox=mailbox)
        self.words = {register.name: register.reset for _, register, _ in self.map.words()}
        self.entries = [bytearray(ENTRY_BYTES) for _ in range(neighbors)]
        self.counters: dict[str, int] = {}
        self.copies: dict[str, int] = {}
        self.busy = {"NEIGHBOR_STATUS.writing": 0, "NEIGHBOR_STATUS.reading": 0, "COUNTER_STATUS.busy": 0}
        self.log: list[tuple[str, int | None]] = []
        self.waiting: list[bytes] = []
        self.sent: list[bytes] = []
        self.written = b""
        if mailbox:
            self.busy |= {"HOST_STATUS.reading": 0, "HOST_STATUS.sending": 0}

    def resolve(self, index: int, mac: bytes, state: State = State.REACHABLE) -> None:
        """Let a neighbour be known."""
        self.entries[index][Place.STATE] = state
        self.entries[index][Place.MAC : Place.MAC + 6] = mac

    def held(self) -> dict[int, bytes]:
        """Configured bytes of the entries in use."""
        return {
            index: bytes(entry[: Place.STATE])
            for index, entry in enumerate(self.entries)
            if entry[Place.FAMILY] and entry[Place.STATE]
        }

    def wanted(self, **neighbors: Neighbor) -> dict[int, bytes]:
        """What `held` is to be; ``_0`` is the neighbour 0."""
        return {int(name[1:]): entry_bytes(one) for name, one in neighbors.items()}

    def read(self, address: int) -> int:
        """Read a word, as `Transport` has it."""
        if address < GATEWAY_BASE:
            return self.core.read(address)
        register = self._find(address, None)
        if not register.readable:
            raise AccessRefusedError(register.name)
        value = self.words[register.name]
        if register.name == "HOST_LENGTH":
            value = len(self.waiting[0]) if self.waiting else 0
        for bit in self.busy:
            name, _, field = bit.partition(".")
            if name == register.name and self.busy[bit]:
                self.busy[bit] -= 1
                value |= register.pack(**{field: 1})
        return value

    def write(self, address: int, value: int) -> None:
        """Write a word, as `Transport` has it."""
        if address < GATEWAY_BASE:
            self.core.write(address, value)
            return
        register = self._find(address, value)
        getattr(self, f"_{register.name.lower()}")(**register.unpack(value))

    def _find(self, address, value):
        found = {at: register for at, register, _ in self.map.words()}
        register = found[address - GATEWAY_BASE]
        self.log.append((register.name, value))
        assert not self.busy.get(register.guard), f"{register.name} is touched while {register.guard}"
        return register

    def _neighbor_write(self, index, place, data):
        assert index < len(self.entries)
        assert place < Place.STATE
        entry = self.entries[index]
        entry[place] = data
        entry[Place.STATE] = State.UNUSED
        if place != Place.FAMILY:
            entry[Place.FAMILY] = 0
        elif data in (4, 6):
            entry[Place.STATE] = State.INCOMPLETE
        self.busy["NEIGHBOR_STATUS.writing"] = self.lag

    def _neighbor_read(self, index, place):
        assert index < len(self.entries)
        assert place % 4 == 0
        self.words["NEIGHBOR_DATA"] = int.from_bytes(self.entries[index][place : place + 4], "little")
        self.busy["NEIGHBOR_STATUS.reading"] = self.lag

    def _counter_control(self, clear, snapshot):
        assert clear + snapshot == 1
        if clear:
            self.counters.clear()
        else:
            self.copies = dict(self.counters)
        self.busy["COUNTER_STATUS.busy"] = self.lag

    def _counter_command(self, address, snapshot):
        value = (self.copies if snapshot else self.counters).get(GATEWAY_COUNTERS[address], 0)
        self.words["COUNTER_LOW"], self.words["COUNTER_HIGH"] = value & 0xFFFFFFFF, value >> 32
        self.busy["COUNTER_STATUS.busy"] = self.lag

    def _host_read(self, word):
        frame = self.waiting[0]
        assert 4 * word < len(frame)
        self.words["HOST_DATA"] = int.from_bytes(frame[4 * word : 4 * word + 4].ljust(4, b"\xa5"), "little")
        self.busy["HOST_STATUS.reading"] = self.lag

    def _host_take(self, take):
        assert take
        self.waiting.pop(0)

    def _host_write(self, data):
        self.written += data.to_bytes(4, "little")
        assert len(self.written) <= self.map["HOST_STATUS"]["longest"].reset

    def _host_send(self, length):
        if length:
            assert len(self.written) == -(-length // 4) * 4
            self.sent.append(self.written[:length])
            self.busy["HOST_STATUS.sending"] = self.lag
        self.written = b""
