"""An exact-match table in one memory, whose locations for a key are read one after the other."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range
from ..hashing import TablePlan
from ..ram_read import ram_read
from .hash_unit import bucket_numbers

__all__ = ["SerialMatch"]

RAM_STYLES = ("distributed", "block")
MAX_KEYS = 4
MAX_SPACING = 1 << 10

DISTRIBUTED_LOCATIONS = 64
"""Most locations that distributed RAM holds by default."""

COMPARE_BITS = 24
"""Most tag bits that are compared in one clock."""


class SerialMatch(wiring.Component):
    """Exact match for keys that come seldom: a fraction of `HashedMatch`, of which it has the plan and the locations.

    The table only looks up; as there, placing and moving entries is the control plane's work. A key may be in the
    table twice, but with equal values.

    A lookup is of ``keys`` keys, and takes a clock for each location where one may stand: ``plan.functions *
    plan.slots`` for a key, its *turn*. It begins with ``strobe``, its results come all at once, a fixed number of
    clocks later, and stand still until those of the next. The memory has one port that reads, and reads of the control
    side take it when no lookup does.

    A key that is moved or changed by writes is found in every lookup, as it was before or after: its new location is
    written before the old one is overwritten or cleared, and two writes that change anything are at least a turn
    apart, so that a turn sees one of them at most. A write that is presented with ``strobe`` or before is seen; one
    that is presented when the results are there is not; of one in between each key sees nothing or all.

    Parameters
    ----------
    key_width, entries, functions, slots : int
        As in `TablePlan`, which has their ranges and defaults.
    value_shape : shape-like
        What an entry holds beside its key; may be 0 bits wide.
    keys : int
        Keys of a lookup, 1 .. 4.
    spacing : int
        Clocks from one strobe to the next at least, up to 1024. A clock more than all turns take, so that reads of the
        control side are never held up for ever.
    ram_style : str or None
        "distributed" or "block". None: "distributed" up to 64 locations, "block" above.

    Attributes
    ----------
    ready : Signal(), out
        Low while the table is being emptied, for ``plan.capacity`` clocks after a reset. Strobes, writes and reads are
        ignored.
    location : Signal(range(capacity)), in
        Location to write or read. It stands still, for a write with the entry, until the clock behind
        ``write_enable``, and for a read until ``read_valid``.
    write_enable : Signal(), in
        Write ``location``; ``write_used`` 0 clears it. A lookup that reads that very location delays it by a clock.
    write_used, write_tag, write_value : Signal, in
        The entry; of its key the tag (`TablePlan.tag`).
    read_enable : Signal(), in
        Read ``location``; not before the last read is answered. Ignored together with ``write_enable``.
    read_valid : Signal(), out
        High for one clock, 2 to ``2 + keys * turn`` clocks after ``read_enable``, with the entry.
    read_used, read_tag, read_value : Signal, out
        The entry; `TablePlan.key_at` gives its whole key.
    strobe : Signal(), in
        A lookup begins.
    lookup_keys : Signal(key_width) array, in
        Key ``i`` is taken ``i * turn`` clocks after ``strobe`` and need not be there before or later.
    found : Signal() array, out
        The key is in the table. ``latency`` clocks after ``strobe``, as ``values``.
    values : value_shape array, out
        Its value; all bits 0 when not found.
    plan : TablePlan
        Geometry and hash functions.
    turn : int
        Clocks that a key takes.
    latency : int
        ``keys * turn + 4``: the key's register; hash; its locations; comparison; result.

    Reset takes a lookup that has begun back: nothing is found until the next one's results are there.

    Raises
    ------
    ValueError
        A parameter is out of its range; for ``spacing`` the range tells what the table can do.
    """

    def __init__(
        self,
        key_width: int,
        value_shape: Any,
        entries: int,
        functions: int | None = None,
        slots: int | None = None,
        *,
        keys: int = 1,
        spacing: int,
        ram_style: str | None = None,
    ) -> None:
        self.plan = TablePlan(key_width, entries, functions, slots)
        self.keys = check_range("keys", keys, 1, MAX_KEYS)
        self.turn = self.plan.functions * self.plan.slots
        check_range("spacing", spacing, keys * self.turn + 1, MAX_SPACING)
        self.latency = keys * self.turn + 4
        self.entry_layout = data.StructLayout({"used": 1, "tag": self.plan.tag_width, "value": value_shape})
        if ram_style is None:
            ram_style = "distributed" if self.plan.capacity <= DISTRIBUTED_LOCATIONS else "block"
        if ram_style not in RAM_STYLES:
            raise ValueError(f"ram_style must be one of {RAM_STYLES}, not {ram_style!r}")
        self.ram_style = ram_style
        super().__init__(
            {
                "ready": Out(1),
                "location": In(range(self.plan.capacity)),
                "write_enable": In(1),
                "write_used": In(1),
                "write_tag": In(self.plan.tag_width),
                "write_value": In(value_shape),
                "read_enable": In(1),
                "read_valid": Out(1),
                "read_used": Out(1),
                "read_tag": Out(self.plan.tag_width),
                "read_value": Out(value_shape),
                "strobe": In(1),
                "lookup_keys": In(key_width).array(keys),
                "found": Out(1).array(keys),
                "values": Out(value_shape).array(keys),
            }
        )

    # Names end in the number of clocks since a key was taken, for the first of its locations.

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, turn = self.plan, self.turn
        ready = Signal()
        sweep = Signal(range(plan.capacity))
        with m.If(~ready):
            m.d.sync += [sweep.eq(sweep + 1), ready.eq(sweep == plan.capacity - 1)]
        m.d.comb += self.ready.eq(ready)

        # Which location of which key is at hand.
        busy_1 = Signal()
        step_1 = Signal(range(turn))
        number_1 = Signal(range(self.keys))
        key_1 = Signal(plan.key_width, reset_less=True)
        last_1 = step_1 == turn - 1
        m.d.sync += step_1.eq(Mux(last_1, 0, step_1 + 1))
        with m.If(busy_1 & last_1):
            m.d.sync += [number_1.eq(number_1 + 1), busy_1.eq(number_1 != self.keys - 1)]
            for number in range(1, self.keys):
                with m.If(number_1 == number - 1):
                    m.d.sync += key_1.eq(self.lookup_keys[number])
        with m.If(self.strobe & ready):
            m.d.sync += [busy_1.eq(1), step_1.eq(0), number_1.eq(0), key_1.eq(self.lookup_keys[0])]

        # The buckets come a clock behind the key, for as long.
        buckets_2 = Array(bucket_numbers(m, plan, key_1))
        busy_2 = self._later(m, "busy_2", busy_1, resets=True)
        step_2 = self._later(m, "step_2", step_1)
        number_2 = self._later(m, "number_2", number_1)
        address_2 = Signal(range(plan.capacity))
        slot, function = step_2[: plan.slot_bits], step_2[plan.slot_bits :]
        m.d.comb += address_2.eq(Cat(slot, buckets_2[function], function))
        tag_3 = Signal(plan.tag_width, reset_less=True)
        with m.If(step_2 == 0):
            m.d.sync += tag_3.eq(key_1[plan.bucket_bits :])

        entry_3 = self._elaborate_access(m, sweep, busy_2, address_2)
        busy_3 = self._later(m, "busy_3", busy_2, resets=True)
        step_3 = self._later(m, "step_3", step_2)
        number_3 = self._later(m, "number_3", number_2)

        # A comparison is registered in parts, which the clock of the selection puts together.
        same_3 = Cat(
            entry_3.tag[start : start + COMPARE_BITS] == tag_3[start : start + COMPARE_BITS]
            for start in range(0, plan.tag_width, COMPARE_BITS)
        )
        same_4 = self._later(m, "same_4", Cat(entry_3.used, same_3))
        value_4 = self._later(m, "value_4", Value.cast(entry_3.value))
        first_4 = self._later(m, "first_4", step_3 == 0)
        ends_3 = busy_3 & (step_3 == turn - 1)
        ends_4 = [
            self._later(m, f"ends_{number}_4", ends_3 & (number_3 == number), resets=True)
            for number in range(self.keys)
        ]
        so_far = Signal(1 + len(value_4), reset_less=True)
        result = Signal(1 + len(value_4))
        m.d.comb += result.eq(Mux(same_4.all(), Cat(1, value_4), Mux(first_4, 0, so_far)))
        m.d.sync += so_far.eq(result)
        results: list[Value] = []
        for number in range(self.keys - 1):
            kept = Signal(len(result), name=f"result_{number}", reset_less=True)
            with m.If(ends_4[number]):
                m.d.sync += kept.eq(result)
            results.append(kept)
        with m.If(ends_4[-1]):
            for number, final in enumerate([*results, result]):
                m.d.sync += Cat(self.found[number], Value.cast(self.values[number])).eq(final)
        return m

    def _elaborate_access(self, m: Module, sweep: Value, busy_2: Value, address_2: Value) -> data.View:
        """Add the memory, and its writes and reads by the control side. Returns what was read, a clock later."""
        ready = self.ready
        entry = Signal(self.entry_layout)
        m.d.comb += [
            entry.used.eq(self.write_used & ready),
            entry.tag.eq(self.write_tag),
            Value.cast(entry.value).eq(Value.cast(self.write_value)),
        ]
        # What a RAM gives where one port reads what the other writes is of no account, because that does not happen:
        # the write waits for the next step, which is of another function or slot.
        writes, delayed, collides = Signal(), Signal(), Signal()
        m.d.comb += [
            writes.eq((self.write_enable & ready) | delayed),
            collides.eq(busy_2 & (address_2 == self.location)),
        ]
        m.d.sync += delayed.eq(writes & collides)

        asked, reads = Signal(), Signal()
        m.d.comb += reads.eq(asked & ~busy_2)
        m.d.sync += [
            asked.eq((asked & busy_2) | (self.read_enable & ~self.write_enable & ready)),
            self.read_valid.eq(reads),
        ]

        m.submodules.ram = ram = Memory(
            shape=self.entry_layout, depth=self.plan.capacity, init=[], attrs={"ram_style": self.ram_style}
        )
        write_port = ram.write_port()
        read_address, entry_3 = ram_read(m, ram, name="entry_3")
        m.d.comb += [
            write_port.addr.eq(Mux(ready, self.location, sweep)),
            write_port.data.eq(entry),
            write_port.en.eq(~ready | (writes & ~collides)),
            read_address.eq(Mux(busy_2, address_2, self.location)),
            self.read_used.eq(entry_3.used),
            self.read_tag.eq(entry_3.tag),
            Value.cast(self.read_value).eq(Value.cast(entry_3.value)),
        ]
        return entry_3

    @staticmethod
    def _later(m: Module, name: str, value: Value, *, resets: bool = False) -> Signal:
        """``value``, a clock later."""
        register = Signal(value.shape(), name=name, reset_less=not resets)
        m.d.sync += register.eq(value)
        return register
