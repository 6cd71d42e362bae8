"""How the control side reaches the tables: a table joined to the buses that write and read its entries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from ..config import VtepParameters
from ..control.ports import WRITE_SPACING, writes_to
from ..control.tables import Table, entry_layout, key_width, table_capacity, table_plan
from ..data_register import data_register
from ..hashing import TablePlan
from ..lookup.direct import DirectTable
from ..lookup.hashed import HashedMatch
from ..lookup.serial import SerialMatch

__all__ = ["Answer", "Lookups", "answer", "direct_table", "lookup_table"]

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
    strobed: bool = False,
) -> tuple[DirectTable, Answer]:
    """Add a `DirectTable` that holds ``table``; the rest of its ports is the caller's.

    ``config``, ``entries``: a `config_bus` and an `entry_read_bus` whose index is that of the former.
    """
    layout = entry_layout(table, parameters)
    direct = DirectTable(layout, table_capacity(table, parameters), clears=clears, strobed=strobed)
    m.submodules[table.name.lower()] = direct
    m.d.comb += [
        direct.index.eq(config.write.index),
        direct.write_enable.eq(writes_to(config, table)),
        direct.write_data.eq(config.write.entry[: layout.size]),
        direct.read_enable.eq(_reads(entries, table)),
    ]
    return direct, (direct.read_valid, direct.read_data.as_value())


@dataclass
class Lookups:
    """A table in which several keys of a frame are looked up, in `HashedMatch` or `SerialMatch`.

    Attributes
    ----------
    strobe : Signal(), in
        The frame's keys are there. Only serial tables need it.
    keys : list of Value, in
        A serial table takes key ``i`` ``key_clocks[i]`` clocks after ``strobe``.
    key_clocks : list of int
    found : list of Value
    values : list of View
        Valid ``latency`` clocks after the strobe (after the keys), all bits 0 when not found; those of serial tables
        stand still until the next results.
    latency : int
    ready : Value
    answer : Answer
    """

    strobe: Signal
    keys: list[Value]
    key_clocks: list[int]
    found: list[Value]
    values: list[data.View]
    latency: int
    ready: Value
    answer: Answer


def lookup_table(
    m: Module,
    table: Table,
    parameters: VtepParameters,
    config: wiring.PureInterface,
    entries: wiring.PureInterface,
    *,
    names: Sequence[str],
    spacing: int,
    registered: bool = False,
    quick: bool = False,
) -> Lookups:
    """Add ``table``, in as few memories as look up the keys of a frame in the time that there is.

    All keys in one `SerialMatch`, or one each, or else a `HashedMatch` each.

    Parameters
    ----------
    names : sequence of str
        What is looked up, a key each.
    spacing : int
        Clocks from one strobe to the next at least. 0: no serial table is wanted.
    registered : bool
        Keys pass a register on their way (in serial tables they do so anyway).
    quick : bool
        As for `HashedMatch`.
    """
    plan = _plan(table, parameters)
    value = _value_layout(table, parameters)
    turn = plan.functions * plan.slots
    strobe = Signal(name=f"{table.name.lower()}_strobe")

    def copies(matches: Sequence[HashedMatch | SerialMatch]) -> Answer:
        """Write them all; the first one is read."""
        answers = [
            _access(m, match, table, parameters, config, None if i else entries) for i, match in enumerate(matches)
        ]
        return answers[0]

    if turn <= WRITE_SPACING and turn < spacing:
        together = len(names) * turn < spacing
        groups = [list(names)] if together else [[name] for name in names]
        serial = []
        for group in groups:
            match = SerialMatch(
                plan.key_width, value, plan.entries, plan.functions, plan.slots, keys=len(group), spacing=spacing
            )
            m.submodules["_and_".join(group)] = match
            m.d.comb += match.strobe.eq(strobe)
            serial.append(match)
        ports = [(match, i) for match in serial for i in range(match.keys)]
        return Lookups(
            strobe=strobe,
            keys=[match.lookup_keys[i] for match, i in ports],
            key_clocks=[i * turn for _, i in ports],
            found=[match.found[i] for match, i in ports],
            values=[match.values[i] for match, i in ports],
            latency=serial[0].latency,
            ready=Cat(match.ready for match in serial).all(),
            answer=copies(serial),
        )

    hashed = []
    keys: list[Value] = []
    for name in names:
        parallel = HashedMatch(plan.key_width, value, plan.entries, plan.functions, plan.slots, quick=quick)
        m.submodules[name] = parallel
        hashed.append(parallel)
        key = Signal(plan.key_width, name=f"{name}_key")
        if registered:
            data_register(m, parallel.lookup_key, key)
        else:
            m.d.comb += parallel.lookup_key.eq(key)
        keys.append(key)
    return Lookups(
        strobe=strobe,
        keys=keys,
        key_clocks=[0] * len(keys),
        found=[match.found for match in hashed],
        values=[match.value for match in hashed],
        latency=hashed[0].latency + registered,
        ready=Cat(match.ready for match in hashed).all(),
        answer=copies(hashed),
    )


def _plan(table: Table, parameters: VtepParameters) -> TablePlan:
    plan = table_plan(table, parameters)
    assert plan is not None
    return plan


def _value_layout(table: Table, parameters: VtepParameters) -> data.StructLayout:
    """What an entry holds beside ``used`` and the key, which come first."""
    width = key_width(table, parameters)
    return data.StructLayout(
        {name: field.shape for name, field in entry_layout(table, parameters) if field.offset > width}
    )


def _access(
    m: Module,
    match: HashedMatch | SerialMatch,
    table: Table,
    parameters: VtepParameters,
    config: wiring.PureInterface,
    entries: wiring.PureInterface | None,
) -> Answer:
    """Join a table to the buses; ``entries``: None for a copy of a table that another one answers for."""
    plan = match.plan
    entry = config.write.entry
    m.d.comb += [
        match.location.eq(config.write.index),
        match.write_enable.eq(writes_to(config, table)),
        match.write_used.eq(entry[0]),
        match.write_tag.eq(entry[1 + plan.bucket_bits : 1 + plan.key_width]),
        match.write_value.eq(entry[1 + plan.key_width : entry_layout(table, parameters).size]),
    ]
    if entries is None:
        return Const(0), Const(0)
    m.d.comb += match.read_enable.eq(_reads(entries, table))
    return match.read_valid, Cat(match.read_used, Const(0, plan.bucket_bits), match.read_tag, match.read_value)


def answer(m: Module, entries: wiring.PureInterface, answers: Iterable[Answer]) -> None:
    """Drive an `entry_read_bus` from what the tables say, of which at most one does at a time."""
    answers = list(answers)
    valid = Signal()
    m.d.sync += valid.eq(Cat(valid for valid, _ in answers).any())
    m.d.comb += entries.valid.eq(valid)
    data_register(m, entries.entry, reduce(or_, (Mux(valid, read, 0) for valid, read in answers)))


def _reads(entries: wiring.PureInterface, table: Table) -> Value:
    return entries.strobe & (entries.table == table)
