"""An exact-match table in block RAM that looks up once a clock: several hash functions, several slots a bucket."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..hashing import DISTRIBUTED_BUCKETS, TablePlan
from .hash_unit import bucket_numbers

__all__ = ["HashedMatch"]

RAM_STYLES = ("distributed", "block", "ultra")
ACCESS_GROUP = 4
"""RAMs whose answers to the control side share a register."""

COMPARE_BITS = 24
"""Most tag bits that are compared in one clock: two levels of 6-input look-up tables."""


class HashedMatch(wiring.Component):
    """Exact match in as many RAMs as a key has possible locations, all read at once.

    The table only looks up. Which location (`TablePlan`) an entry is written to, and the moves that make room
    for it, are the control plane's work (`vtep_host.placement`); it must be one of the key's locations, since of the
    key only its tag is stored. A key may be in the table twice, but with equal values.

    One lookup per clock, no handshake; one write or one read of a location per clock beside it. A write is one instant:
    lookups presented with it or later see all of it, those presented before it see nothing of it. So an entry is
    found in every clock while it moves, if it is written to its new location before the old one is overwritten or
    cleared.

    Lookups use one port of the RAMs, writes and reads the other. What a RAM gives when one port reads what the other
    writes is of no account (and no tool needs to add logic for it): the slot is left out of the comparison then, and
    the entry being written is compared instead.

    Parameters
    ----------
    key_width, entries, functions, slots : int
        As in `TablePlan`, which has their ranges and defaults.
    value_shape : shape-like
        What an entry holds beside its key; may be 0 bits wide.
    init : iterable of (int, int, int) or None
        Power-on contents: location, key, and value as a number. None: the table is empty after power-on and after
        a reset. Given, even with no entry in it: a reset leaves the table as it stands, because there is no other
        copy of the power-on contents and a board may well start with a reset; use ``clear`` to empty it.
    ram_style : str or None
        "distributed", "block" or "ultra"; the last allows no ``init``. None: "distributed" up to 32 buckets,
        "block" above.

    quick : bool
        Where the RAM is distributed, compare what it reads in the same clock, and select behind the last register.

    Attributes
    ----------
    ready : Signal(), out
        Low while the table is being emptied, one bucket of all parts a clock: for ``1 << plan.bucket_bits`` clocks
        after ``clear`` and, without ``init``, after a reset. Lookups presented then find nothing; writes and reads
        are ignored.
    clear : Signal(), in
        Empty the table. Lookups presented later find nothing.
    location : Signal(range(capacity)), in
        Location to write or read.
    write_enable : Signal(), in
        Write ``location``; ``write_used`` 0 clears it.
    write_used, write_tag, write_value : Signal, in
        The entry; of its key the tag (`TablePlan.tag`).
    read_enable : Signal(), in
        Read ``location``. Ignored together with ``write_enable``.
    read_valid : Signal(), out
        High ``read_latency`` clocks after ``read_enable``, with the entry as it was written last before that clock.
    read_used, read_tag, read_value : Signal, out
        The entry; `TablePlan.key_at` gives its whole key.
    lookup_key : Signal(key_width), in
    found : Signal(), out
        The key is in the table. Valid, as ``value``, ``latency`` clocks after ``lookup_key``.
    value : value_shape, out
        Its value; all bits 0 when not found.
    plan : TablePlan
        Geometry and hash functions.
    latency : int
        6 clocks: hash; address; read; output register; compare; select. 2 if ``quick``, with distributed RAM: hash;
        read and compare. The selection follows without a register.
    read_latency : int
        ``latency`` - 1.

    Reset takes all lookups in flight and those presented with it back: they find nothing.

    Raises
    ------
    ValueError
        A parameter is out of its range, ``init`` has an entry at a location that is not its key's, a
        location or key twice, or a value that is too wide.
    """

    def __init__(
        self,
        key_width: int,
        value_shape: Any,
        entries: int,
        functions: int | None = None,
        slots: int | None = None,
        *,
        init: Iterable[tuple[int, int, int]] | None = None,
        ram_style: str | None = None,
        quick: bool = False,
    ) -> None:
        self.plan = TablePlan(key_width, entries, functions, slots)
        self.value_shape = value_shape
        self.entry_layout = data.StructLayout({"used": 1, "tag": self.plan.tag_width, "value": value_shape})
        if ram_style is None:
            ram_style = "distributed" if 1 << self.plan.bucket_bits <= DISTRIBUTED_BUCKETS else "block"
        if ram_style not in RAM_STYLES:
            raise ValueError(f"ram_style must be one of {RAM_STYLES}, not {ram_style!r}")
        if ram_style == "ultra" and init is not None:
            raise ValueError('init must be None with ram_style "ultra": UltraRAM powers on empty')
        self.ram_style = ram_style
        self.quick = quick and ram_style == "distributed"
        self.hash_clocks = 1 if self.quick else 2
        self.read_clocks = 0 if self.quick else 2
        self.read_latency = self.hash_clocks + self.read_clocks + 1
        self.latency = self.read_latency + (not self.quick)
        self.init = None if init is None else self._rows(init)
        super().__init__(
            {
                "ready": Out(1),
                "clear": In(1),
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
                "lookup_key": In(key_width),
                "found": Out(1),
                "value": Out(value_shape),
            }
        )

    def _rows(self, init: Iterable[tuple[int, int, int]]) -> dict[int, int]:
        """By location, the bits of the entries of ``init``."""
        plan, layout = self.plan, self.entry_layout
        value_width = Shape.cast(self.value_shape).width
        rows: dict[int, int] = {}
        keys = set()
        for location, key, value in init:
            where = f"init: location {location}, key {key:#x}"
            if not 0 <= key < 1 << plan.key_width:
                raise ValueError(f"{where}: a key must be within 0 .. 2^{plan.key_width} - 1")
            if location not in plan.locations(key):
                raise ValueError(f"{where}: its locations are {', '.join(map(str, plan.locations(key)))}")
            if location in rows or key in keys:
                raise ValueError(f"{where}: a location and a key must each be there once")
            if not 0 <= value < 1 << value_width:
                raise ValueError(f"{where}: a value must be within 0 .. 2^{value_width} - 1, not {value}")
            keys.add(key)
            rows[location] = 1 | plan.tag(key) << layout["tag"].offset | value << layout["value"].offset
        return rows

    # Names end in the number of clocks since the RAMs were addressed. If `quick`, those of 1 and 2 are of 0.

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan = self.plan
        rams = plan.functions * plan.slots
        entry = self.entry_layout

        bucket_0, entry_0, write_0, read_1 = self._elaborate_access(m)
        # In flight at a reset: not to be found, hence 1 from a reset on.
        reads = self.read_clocks
        blank_2 = self._register(m, "blank", ~self.ready, self.hash_clocks + reads, init=1)
        tag_0 = self._register(m, "tag", self.lookup_key[plan.bucket_bits :], self.hash_clocks)
        tag_2 = self._register(m, "tag_0", tag_0, reads)
        # A comparison is registered in parts, which the clock of the selection puts together.
        width = plan.tag_width if self.quick else COMPARE_BITS
        parts = [slice(start, start + width) for start in range(0, plan.tag_width, width)]

        # Of a lookup that reads what is being written: which RAM, and whether it finds the entry that is written.
        bucket_1 = self._register(m, "bucket_0", bucket_0, reads // 2)
        write_1 = self._register(m, "write_0", write_0, reads // 2)
        written_3 = self._register(m, "written", Value.cast(entry_0.value), reads + 1)
        same_0 = Cat(entry_0.used, (entry_0.tag[part] == tag_0[part] for part in parts))
        written_same_2 = self._register(m, "same_0", same_0, reads)
        collided_2 = Signal(rams, reset_less=reads == 2)
        bypassed_3 = Signal()
        m.d.sync += bypassed_3.eq(written_same_2.all() & collided_2.any() & ~blank_2)

        output = "sync" if reads == 2 else "comb"
        matches_3: list[Value] = [bypassed_3]
        values_3: list[Value] = [written_3]
        accessed_1: list[Value] = []
        for function, bucket in enumerate(bucket_numbers(m, plan, self.lookup_key)):
            address_0 = self._register(m, f"bucket_{function}", bucket, self.hash_clocks - 1)
            address_1 = self._register(m, f"address_{function}", address_0, reads // 2)
            same_bucket_1 = Signal(name=f"same_bucket_{function}_1")
            m.d.comb += same_bucket_1.eq(address_1 == bucket_1)
            for ram in range(function * plan.slots, (function + 1) * plan.slots):
                looked_up_1, read_data_1 = self._elaborate_ram(m, ram, address_0, bucket_0, entry_0, write_0[ram])
                entry_2 = Signal(entry, name=f"entry_{ram}_2", reset_less=reads == 2)
                usable_2 = entry_2.used & ~collided_2[ram] & ~blank_2
                same_2 = Cat(entry_2.tag[part] == tag_2[part] for part in parts)
                match_3 = Signal(name=f"match_{ram}_3")
                m.d[output] += [
                    collided_2[ram].eq(same_bucket_1 & write_1[ram]),
                    Value.cast(entry_2).eq(looked_up_1),
                ]
                if self.quick:
                    m.d.sync += match_3.eq(usable_2 & same_2.all())
                else:
                    usable_3 = self._register(m, f"usable_{ram}", usable_2, 1, init=0)
                    same_3 = self._register(m, f"same_{ram}", same_2, 1)
                    m.d.comb += match_3.eq(usable_3 & same_3.all())
                matches_3.append(match_3)
                values_3.append(self._register(m, f"value_{ram}", Value.cast(entry_2.value), 1))
                accessed_1.append(Mux(read_1[ram], read_data_1, 0))

        chosen = [Mux(match, value, 0) for match, value in zip(matches_3, values_3, strict=True)]
        m.d["comb" if self.quick else "sync"] += [
            self.found.eq(Cat(matches_3).any()),
            Value.cast(self.value).eq(reduce(or_, chosen)),
        ]

        # At most one is not 0.
        reads_2: list[Value] = []
        for start in range(0, rams, ACCESS_GROUP):
            read_2 = Signal(entry.size, name=f"read_{start}_2", reset_less=reads == 2)
            m.d[output] += read_2.eq(reduce(or_, accessed_1[start : start + ACCESS_GROUP]))
            reads_2.append(read_2)
        read_3 = Signal(entry, reset_less=True)
        m.d.sync += Value.cast(read_3).eq(reduce(or_, reads_2))
        m.d.comb += [
            self.read_used.eq(read_3.used),
            self.read_tag.eq(read_3.tag),
            Value.cast(self.read_value).eq(Value.cast(read_3.value)),
        ]
        return m

    def _elaborate_access(self, m: Module) -> tuple[Value, data.View, Value, Value]:
        """Add what addresses the RAMs for writes, reads and the emptying.

        Returns
        -------
        tuple
            Bucket and entry to write, which RAMs are written, and, a clock later, which one is read.
        """
        plan = self.plan
        # With initial contents an emptying that has begun goes on through a reset.
        keeps = self.init is not None
        ready = Signal(init=keeps, reset_less=keeps)
        sweep = Signal(plan.bucket_bits, reset_less=keeps)
        with m.If(~ready):
            m.d.sync += [sweep.eq(sweep + 1), ready.eq(sweep.all())]
        with m.Elif(self.clear):
            m.d.sync += ready.eq(0)
        m.d.comb += self.ready.eq(ready)

        function = self.location[plan.slot_bits + plan.bucket_bits :]
        slot = self.location[: plan.slot_bits]
        rams = [(function == i) & (slot == j) for i in range(plan.functions) for j in range(plan.slots)]
        location = Signal(len(rams))
        entry = Signal(self.entry_layout)
        m.d.comb += [
            location.eq(Cat(rams)),
            entry.used.eq(self.write_used & ready),
            entry.tag.eq(self.write_tag),
            Value.cast(entry.value).eq(Value.cast(self.write_value)),
        ]
        # As many clocks as a lookup takes, so that a write is seen from the lookup on that is presented with it.
        clocks = self.hash_clocks
        bucket = self.location[plan.slot_bits :][: plan.bucket_bits]
        written = Mux(ready, location & self.write_enable.replicate(len(rams)), -1)
        bucket_0 = self._register(m, "access", Mux(ready, bucket, sweep), clocks)
        entry_0 = data.View(self.entry_layout, self._register(m, "write_entry", entry.as_value(), clocks))
        write_0 = self._register(m, "write", written[: len(rams)], clocks)
        read_1 = self._register(m, "read", location, clocks + self.read_clocks // 2)

        read_valid = self.read_enable & ~self.write_enable & ready
        m.d.comb += self.read_valid.eq(self._register(m, "read_valid", read_valid, self.read_latency, init=0))
        return bucket_0, entry_0, write_0, read_1

    def _elaborate_ram(
        self, m: Module, ram: int, lookup_0: Value, access_0: Value, entry_0: data.View, write_0: Value
    ) -> tuple[Signal, Signal]:
        """Return what the lookup port and the access port read, a clock after the addresses."""
        plan = self.plan
        first = (ram // plan.slots << plan.bucket_bits + plan.slot_bits) + ram % plan.slots
        rows = []
        if self.init:
            rows = [self.init.get(first + (bucket << plan.slot_bits), 0) for bucket in range(1 << plan.bucket_bits)]
        # The registers of the read ports are written out, because only where Yosys merges them itself it heeds
        # no_rw_check (what a read gives during a write does not matter).
        memory = Memory(
            shape=self.entry_layout.size,
            depth=1 << plan.bucket_bits,
            init=rows,
            attrs={"ram_style": self.ram_style, "no_rw_check": 1},
        )
        m.submodules[f"ram_{ram}"] = memory
        write_port = memory.write_port()
        m.d.comb += [write_port.addr.eq(access_0), write_port.data.eq(entry_0), write_port.en.eq(write_0)]
        results = []
        for name, address in (("lookup", lookup_0), ("access", access_0)):
            port = memory.read_port(domain="comb")
            result = Signal(self.entry_layout.size, name=f"{name}_{ram}_1", reset_less=not self.quick)
            m.d.comb += port.addr.eq(address)
            m.d["comb" if self.quick else "sync"] += result.eq(port.data)
            results.append(result)
        return results[0], results[1]

    @staticmethod
    def _register(m: Module, name: str, value: Value, clocks: int, *, init: int | None = None) -> Value:
        """``value``, ``clocks`` later; without ``init`` a reset leaves the registers alone."""
        for clock in range(1, clocks + 1):
            register = Signal(value.shape(), name=f"{name}_d{clock}", init=init or 0, reset_less=init is None)
            m.d.sync += register.eq(value)
            value = register
        return value
