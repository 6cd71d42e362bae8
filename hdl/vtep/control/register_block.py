"""The VTEP's registers, and what they do: settings, table access, counters."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import VtepParameters
from .counters import COUNTER_ADDRESS_BITS
from .ports import SETTLING, config_bus, counter_bus, entry_read_bus
from .register_bus import register_bus
from .register_file import RegisterFile
from .register_map import WORD_BITS
from .registers import SETTINGS_PLACES, pack_settings, vtep_registers
from .tables import Table, settings_layout, table_capacity

__all__ = ["RegisterBlock"]


class RegisterBlock(wiring.Component):
    """Registers of a VTEP core behind a `register_bus`: those of `vtep_registers`, which says what each does.

    Parameters
    ----------
    parameters : VtepParameters
    settings : mapping or None
        Settings in effect after reset, by the names of `settings_layout`; absent ones are 0.

    Attributes
    ----------
    bus : In(`register_bus`)
        An access takes 4 clocks, see `RegisterFile`; a commit of settings `SETTLING` more.
    config : Out(`config_bus`)
        ``settings``: those committed, all changed in one clock, with the end of the access. ``enable`` is high
        for one clock for each entry written, beside ``write``. Never for ``Table.SETTINGS``, nor with an index that the
        table has not.
    entries : Out(`entry_read_bus`)
        Reads of entries.
    counters : Out(`counter_bus`)
    ready : In(1)
        The tables can be accessed; until then TABLE_STATUS.busy is set.
    idle : In(1)
        Shown in STATUS.

    Notes
    -----
    Commands have their effect 1 clock after the bus access that gives them.

    Reset: settings registers and ``config.settings`` have the values given here, all others 0; a read of an entry or of
    a counter that is under way is forgotten, so the core is to be reset with the block.

    Raises
    ------
    ValueError
        There is no such setting, or a value does not fit.
    """

    def __init__(self, parameters: VtepParameters, settings: Mapping[str, int] | None = None) -> None:
        self.parameters = parameters
        self.registers = vtep_registers(parameters, settings)
        self._settings = dict(settings or {})
        super().__init__(
            {
                "bus": In(register_bus(self.registers.address_bits)),
                "config": Out(config_bus(parameters)),
                "entries": Out(entry_read_bus(parameters)),
                "counters": Out(counter_bus()),
                "ready": In(1),
                "idle": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.file = file = RegisterFile(self.registers)
        for name, member in self.bus.signature.members.items():
            outer, inner = getattr(self.bus, name), getattr(file.bus, name)
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        # A commit has ended when it is in effect.
        commits, commit = Signal(), Signal()
        m.d.comb += commits.eq(file.control.strobe & file.control.value["commit_settings"])
        with m.If(commits):
            m.d.comb += self.bus.ack.eq(0)
        with m.If(self.config.changes):
            m.d.comb += [file.bus.request.eq(0), self.bus.ack.eq(commit), self.bus.error.eq(0)]
        m.d.comb += file.status.set["refused"].eq(file.refused)
        self._elaborate_control(m, file, commits, commit)
        self._elaborate_tables(m, file)
        self._elaborate_counters(m, file)
        return m

    def _elaborate_control(self, m: Module, file: RegisterFile, commits: Value, commit: Signal) -> None:
        control = file.control
        bits = Cat(control.value[field.name] for field in self.registers["CONTROL"].fields)
        of_counters: Value = control.value["clear_counters"] | control.value["snapshot_counters"]
        uncommitted = Signal()
        revert = Signal()
        m.d.sync += control.refuse.eq(~_single(bits) | (of_counters & self.counters.busy))
        for command, strobe in (
            ("revert_settings", revert),
            ("clear_counters", self.counters.clear),
            ("snapshot_counters", self.counters.take_snapshot),
        ):
            m.d.sync += strobe.eq(control.strobe & control.value[command])
        m.d.comb += [
            file.status.status["idle"].eq(self.idle),
            file.status.status["counters_busy"].eq(self.counters.busy),
            file.status.status["uncommitted"].eq(uncommitted),
        ]

        settle = Signal(range(SETTLING))
        changes = self.config.changes
        with m.If(commits):
            m.d.sync += [changes.eq(1), settle.eq(SETTLING - 1)]
        with m.Elif(changes):
            m.d.sync += [settle.eq(settle - 1), changes.eq(settle != 0)]
        m.d.comb += commit.eq(changes & (settle == 0))

        active = Signal(settings_layout(), init=self._settings)
        m.d.comb += self.config.settings.eq(active)
        with m.If(commit):
            for name in SETTINGS_PLACES:
                m.d.sync += Value.cast(active[name]).eq(Cat(value for value, _ in self._places(file, name)))
        for name in SETTINGS_PLACES:
            m.d.comb += Cat(following for _, following in self._places(file, name)).eq(active[name])
        registers = [getattr(file, name.lower()) for name in pack_settings(self.registers, {})]
        m.d.comb += [register.load.eq(revert) for register in registers]
        with m.If(commit | revert):
            m.d.sync += uncommitted.eq(0)
        with m.Elif(Cat(register.written for register in registers).any()):
            m.d.sync += uncommitted.eq(1)

    @staticmethod
    def _places(file: RegisterFile, setting: str) -> list[tuple[Value, Value]]:
        """Registered value and what a revert loads, of each part of a setting."""
        ports = [(getattr(file, register.lower()), field) for register, field in SETTINGS_PLACES[setting]]
        return [(port.value[field], port.next[field]) for port, field in ports]

    def _elaborate_tables(self, m: Module, file: RegisterFile) -> None:
        command, select, index = file.table_command, file.table_select.value["table"], file.table_index.value["index"]
        # A command comes at earliest 3 clocks after the write of what it is for.
        capacities = {table: table_capacity(table, self.parameters) for table in Table}
        capacity = Signal(range(max(capacities.values()) + 1))
        inside, single = Signal(), Signal()
        with m.Switch(select):
            for table, count in capacities.items():
                with m.Case(table.value):
                    m.d.sync += capacity.eq(count)
            with m.Default():
                m.d.sync += capacity.eq(0)
        m.d.sync += [
            inside.eq(index < capacity),
            single.eq(_single(Cat(command.value["write"], command.value["read"]))),
        ]
        m.d.comb += command.refuse.eq(~(inside & single))

        entry = self.config.write.entry
        words = Value.cast(file.table_data.value)
        m.d.sync += self.config.enable.eq(command.strobe & command.value["write"])
        for bus in (self.config.write, self.entries):
            m.d.comb += [Value.cast(bus.table).eq(select), bus.index.eq(index)]
        m.d.comb += entry.eq(words[: len(entry)])

        busy = Signal()
        m.d.sync += self.entries.strobe.eq(command.strobe & command.value["read"])
        with m.If(command.strobe & command.value["read"]):
            m.d.sync += busy.eq(1)
        with m.Elif(self.entries.valid):
            m.d.sync += busy.eq(0)
        m.d.comb += [
            file.table_status.status["busy"].eq(busy | ~self.ready),
            file.table_data.load.eq(busy & self.entries.valid),
            Value.cast(file.table_data.next).eq(self.entries.entry),
        ]

    def _elaborate_counters(self, m: Module, file: RegisterFile) -> None:
        command = file.counter_command
        requests, responses = self.counters.requests, self.counters.responses
        address = command.value["address"]
        busy = Signal()
        value = Signal(2 * WORD_BITS)
        m.d.sync += command.refuse.eq(address[COUNTER_ADDRESS_BITS:].any())
        with m.If(requests.ready):
            m.d.sync += requests.valid.eq(0)
        with m.If(command.strobe):
            m.d.sync += [
                busy.eq(1),
                requests.valid.eq(1),
                requests.payload.address.eq(address),
                requests.payload.snapshot.eq(command.value["snapshot"]),
            ]
        with m.Elif(responses.valid):
            m.d.sync += busy.eq(0)
        # `strobe` comes late, and there is none while a read is under way.
        with m.If(responses.valid & busy):
            m.d.sync += value.eq(responses.payload)
        m.d.comb += [
            responses.ready.eq(1),
            file.counter_status.status["busy"].eq(busy),
            file.counter_low.status["value"].eq(value[:WORD_BITS]),
            file.counter_high.status["value"].eq(value[WORD_BITS:]),
        ]


def _single(bits: Value) -> Value:
    """Exactly one bit is set."""
    return Cat(bits == 1 << i for i in range(len(bits))).any()
