"""A device made of dictionaries, behind the driver's transport interface."""

from collections.abc import Mapping

from vtep.config import VtepParameters
from vtep.control.register_map import Access
from vtep.control.registers import SETTINGS_PLACES, pack_settings, unpack_settings, vtep_registers
from vtep.control.tables import Table, table_capacity
from vtep_host.transport import AccessRefusedError


class FakeDevice:
    """Registers that behave as those of `vtep_registers` say.

    ``settings``: those in effect; ``tables``: (table code, index) -> entry; ``counters``, ``copies``: address -> value.
    ``lag``: how many reads of a status register show it busy. ``tells``: whether a refused access is told, or is
    answered with all ones and dropped. ``log``: (register, index, value or None) of every access.
    """

    def __init__(
        self,
        parameters: VtepParameters,
        settings: Mapping[str, int] | None = None,
        *,
        base: int = 0,
        lag: int = 0,
        tells: bool = True,
    ) -> None:
        self.parameters, self.base, self.lag, self.tells = parameters, base, lag, tells
        self.map = vtep_registers(parameters, settings)
        self.places = {address: (register, index) for address, register, index in self.map.words()}
        self.words = {(register.name, index): register.reset for _, register, index in self.map.words()}
        self.settings = dict.fromkeys(SETTINGS_PLACES, 0) | dict(settings or {})
        self.tables: dict[tuple[int, int], int] = {}
        self.counters: dict[int, int] = {}
        self.copies: dict[int, int] = {}
        self.busy = {"TABLE_STATUS": 0, "COUNTER_STATUS": 0, "STATUS": 0}
        self.log: list[tuple[str, int, int | None]] = []

    def read(self, address: int) -> int:
        """Read a word, as `Transport` has it."""
        register, index = self._find(address, None)
        if not register.readable:
            return self._refuse()
        name = register.name
        if self.busy.get(name):
            self.busy[name] -= 1
            return self.words[name, index] | register.pack(**{"counters_busy" if name == "STATUS" else "busy": 1})
        return self.words[name, index]

    def write(self, address: int, value: int) -> None:
        """Write a word, as `Transport` has it."""
        register, index = self._find(address, value)
        key = register.name, index
        if not register.writable:
            self._refuse()
        elif register.is_command:
            command = {name for name, bit in register.unpack(value).items() if bit}
            getattr(self, f"_{register.name.lower()}")(command, value)
        else:
            for field in register.fields:
                old = self.words[key]
                if field.access is Access.READ_WRITE:
                    self.words[key] = old & ~field.mask | value & field.mask
                elif field.access is Access.WRITE_ONE_TO_CLEAR:
                    self.words[key] = old & ~(value & field.mask)
            if register.name in pack_settings(self.map, {}):
                self.words["STATUS", 0] |= self.map["STATUS"].pack(uncommitted=1)

    def _find(self, address, value):
        assert address % 4 == 0
        if address - self.base not in self.places:
            raise AccessRefusedError(f"{address:#x}")
        register, index = self.places[address - self.base]
        self.log.append((register.name, index, value))
        guard = register.guard.partition(".")[0]
        assert not (guard and self.busy[guard]), f"{register.name} is touched while {guard} is busy"
        return register, index

    def _refuse(self):
        self.words["STATUS", 0] |= self.map["STATUS"].pack(refused=1)
        if self.tells:
            raise AccessRefusedError("refused")
        return 0xFFFFFFFF

    def _control(self, command, value):
        status = self.map["STATUS"]
        if command == {"commit_settings"}:
            self.settings = unpack_settings(
                self.map, {name: self.words[name, 0] for name in pack_settings(self.map, {})}
            )
            self.words["STATUS", 0] &= ~status["uncommitted"].mask
        elif command == {"revert_settings"}:
            for name, word in pack_settings(self.map, self.settings).items():
                self.words[name, 0] = word
            self.words["STATUS", 0] &= ~status["uncommitted"].mask
        elif command == {"clear_counters"}:
            self.counters.clear()
            self.busy["STATUS"] = self.lag
        elif command == {"snapshot_counters"}:
            self.copies = dict(self.counters)
            self.busy["STATUS"] = self.lag
        else:
            self._refuse()

    def _table_command(self, command, value):
        select, index = self.words["TABLE_SELECT", 0], self.words["TABLE_INDEX", 0]
        codes = {table.value: table_capacity(table, self.parameters) for table in Table}
        words = range(self.map["TABLE_DATA"].words)
        if len(command) != 1 or index >= codes.get(select, 0):
            self._refuse()
        elif command == {"write"}:
            self.tables[select, index] = sum(self.words["TABLE_DATA", i] << 32 * i for i in words)
        else:
            entry = self.tables.get((select, index), 0)
            for i in words:
                self.words["TABLE_DATA", i] = entry >> 32 * i & 0xFFFFFFFF
            self.busy["TABLE_STATUS"] = self.lag

    def _counter_command(self, command, value):
        fields = self.map["COUNTER_COMMAND"].unpack(value)
        counter = (self.copies if fields["snapshot"] else self.counters).get(fields["address"], 0)
        self.words["COUNTER_LOW", 0], self.words["COUNTER_HIGH", 0] = counter & 0xFFFFFFFF, counter >> 32
        self.busy["COUNTER_STATUS"] = self.lag
