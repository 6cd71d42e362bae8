"""Initial contents of the tables: entries in a ROM, written after every reset."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import VtepParameters
from .register_map import WORD_BITS
from .tables import Table, TableEntry, check_entries, entry_layout, table_capacity, write_layout

__all__ = ["TableLoader"]

TABLE_BITS = Shape.cast(Table).width


class TableLoader(wiring.Component):
    """Writes entries into the tables, one after the other.

    Parameters
    ----------
    parameters : VtepParameters
    entries : iterable of TableEntry
        In the order of writing.

    Attributes
    ----------
    start : In(1)
        The tables take writes.
    enable : Out(1)
        ``write`` is to be done in this clock.
    write : Out(`write_layout`)
    done : Out(1)
        All are written.

    Notes
    -----
    The ROM has a word of 32 bits for each entry, which says what it is, and as many for the entry as it takes. An entry
    takes 3 clocks a word.

    Reset: it begins again.

    Raises
    ------
    ValueError
        An entry is none that `check_entries` accepts.
    """

    def __init__(self, parameters: VtepParameters, entries: Iterable[TableEntry]) -> None:
        self._words = {
            table: -(-entry_layout(table, parameters).size // WORD_BITS)
            for table in Table
            if table_capacity(table, parameters)
        }
        self._contents: list[int] = []
        for table, index, bits in check_entries(parameters, entries):
            words = [bits >> WORD_BITS * i & (1 << WORD_BITS) - 1 for i in range(self._words[table])]
            self._contents += [index << TABLE_BITS | table.value, *reversed(words)]
        # A word of the settings, which are no table: the end.
        self._contents.append(Table.SETTINGS.value)
        layout = write_layout(parameters)
        super().__init__({"start": In(1), "enable": Out(1), "write": Out(layout), "done": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rom = rom = Memory(shape=WORD_BITS, depth=max(2, len(self._contents)), init=self._contents)
        port = rom.read_port()
        address = Signal(range(len(self._contents) + 1))
        word = Signal(WORD_BITS)
        left = Signal(range(max(self._words.values()) + 1))
        m.d.comb += port.addr.eq(address)
        m.d.sync += [word.eq(port.data), self.enable.eq(0)]
        entry = Value.cast(self.write.entry)
        with m.FSM():
            with m.State("WAIT"), m.If(self.start & ~self.done):
                m.next = "READ"
            with m.State("READ"):
                m.next = "REGISTER"
            with m.State("REGISTER"):
                m.d.sync += address.eq(address + 1)
                m.next = "TAKE"
            with m.State("TAKE"):
                m.next = "READ"
                with m.If(left != 0):
                    shifted = Cat(word, entry)
                    m.d.sync += [entry.eq(shifted[: len(entry)]), left.eq(left - 1), self.enable.eq(left == 1)]
                with m.Else():
                    code = word[:TABLE_BITS]
                    m.d.sync += [Value.cast(self.write.table).eq(code), self.write.index.eq(word[TABLE_BITS:])]
                    m.d.sync += entry.eq(0)
                    with m.Switch(code):
                        for table, words in self._words.items():
                            with m.Case(table.value):
                                m.d.sync += left.eq(words)
                    with m.If(code == Table.SETTINGS.value):
                        m.d.sync += self.done.eq(1)
                        m.next = "WAIT"
        return m
