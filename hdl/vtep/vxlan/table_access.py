"""How the control side reaches the tables: a table joined to the buses that write and read its entries."""

from collections.abc import Iterable
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from ..config import VtepParameters
from ..control.ports import writes_to
from ..control.tables import Table, entry_layout, key_width, table_capacity, table_plan
from ..data_register import data_register
from ..lookup.direct import DirectTable
from ..lookup.hashed import HashedMatch

__all__ = ["Answer", "answer", "direct_table", "hashed_table"]

Answer = tuple[Value, Value]
"""What a table says to a read: valid, and the entry."""


def direct_table(
    m: Module,
    table: Table,
    parameters: VtepParameters,
    config: wiring.PureInterface,
    entries: wiring.PureInterface,
    *,
    clears: bool = False,
) -> tuple[DirectTable, Answer]:
    """Add a `DirectTable` that holds ``table``; the rest of its ports is the caller's.

    ``config``, ``entries``: a `config_bus` and an `entry_read_bus` whose index is that of the former.
    """
    layout = entry_layout(table, parameters)
    direct = DirectTable(layout, table_capacity(table, parameters), clears=clears)
    m.submodules[table.name.lower()] = direct
    m.d.comb += [
        direct.index.eq(config.write.index),
        direct.write_enable.eq(writes_to(config, table)),
        direct.write_data.eq(config.write.entry[: layout.size]),
        direct.read_enable.eq(_reads(entries, table)),
    ]
    return direct, (direct.read_valid, direct.read_data.as_value())


def hashed_table(
    m: Module,
    table: Table,
    parameters: VtepParameters,
    config: wiring.PureInterface,
    entries: wiring.PureInterface | None,
    *,
    name: str | None = None,
    quick: bool = False,
) -> tuple[HashedMatch, Answer]:
    """Add a `HashedMatch` that holds ``table``; the rest of its ports is the caller's. Its values are an entry's rest.

    ``entries``: None for a copy of a table that another one answers for.
    """
    layout = entry_layout(table, parameters)
    plan = table_plan(table, parameters)
    assert plan is not None
    width = key_width(table, parameters)
    rest = {name: field.shape for name, field in layout if field.offset > width}
    match = HashedMatch(width, data.StructLayout(rest), plan.entries, plan.functions, plan.slots, quick=quick)
    m.submodules[name or table.name.lower()] = match
    entry = config.write.entry
    m.d.comb += [
        match.location.eq(config.write.index),
        match.write_enable.eq(writes_to(config, table)),
        match.write_used.eq(entry[0]),
        match.write_tag.eq(entry[1 + plan.bucket_bits : 1 + width]),
        match.write_value.eq(entry[1 + width : layout.size]),
    ]
    if entries is None:
        return match, (Const(0), Const(0))
    m.d.comb += match.read_enable.eq(_reads(entries, table))
    read = Cat(match.read_used, Const(0, plan.bucket_bits), match.read_tag, match.read_value)
    return match, (match.read_valid, read)


def answer(m: Module, entries: wiring.PureInterface, answers: Iterable[Answer]) -> None:
    """Drive an `entry_read_bus` from what the tables say, of which at most one does at a time."""
    answers = list(answers)
    valid = Signal()
    m.d.sync += valid.eq(Cat(valid for valid, _ in answers).any())
    m.d.comb += entries.valid.eq(valid)
    data_register(m, entries.entry, reduce(or_, (Mux(valid, read, 0) for valid, read in answers)))


def _reads(entries: wiring.PureInterface, table: Table) -> Value:
    return entries.strobe & (entries.table == table)
