"""A table that an index reads, in RAM: a lookup every clock, and one access of the control side beside it."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range
from ..data_register import data_register
from ..ram_read import ram_read

__all__ = ["DirectTable"]

MAX_ENTRIES = 1 << 20
DISTRIBUTED_ENTRIES = 64
STROBED_ENTRIES = 32
"""Most entries that distributed RAM holds; fewer where lookups come with a strobe and space counts for more."""


class DirectTable(wiring.Component):
    """Entries by number.

    One lookup per clock, no handshake; one write or one read per clock beside it. A write is one instant: lookups
    presented with it or later see all of it, those presented before it nothing of it.

    Lookups use one port of the RAM, writes and reads the other. What a RAM gives when one port reads what the other
    writes is of no account: the entry being written takes its place. Where lookups come with a strobe, reads use their
    port, too, in a clock without one: in distributed RAM a port for reads is a copy of everything.

    Parameters
    ----------
    shape : shape-like
        An entry.
    entries : int
        1 .. 2^20.
    clears : bool
        The table empties itself after a reset: all entries become 0. Otherwise they keep what they have.
    strobed : bool
        Lookups come with ``lookup``, not in every clock for ever.

    Attributes
    ----------
    ready : Signal(), out
        Low while the table is being emptied, one entry a clock; lookups are undefined then, writes and reads ignored.
    index : Signal(range(entries)), in
        Entry to write or read. With ``strobed`` it stands still until ``read_valid``.
    write_enable, write_data : Signal, in
        Write ``index``.
    read_enable : Signal(), in
        Read ``index``. Ignored together with ``write_enable``.
    read_valid, read_data : Signal, out
        The entry, ``latency`` clocks after ``read_enable``; with ``strobed``, at that or one more, and as many as there
        are lookups in the way.
    lookup : Signal(), in
        Only with ``strobed``: ``lookup_index`` is to be looked up.
    lookup_index : Signal(range(entries)), in
    value : shape, out
        The entry, ``latency`` clocks after ``lookup_index``. With ``strobed`` it stands still until the next one.
    latency : int
        2 clocks: read; output register.

    Raises
    ------
    ValueError
        ``entries`` is out of its range.
    """

    latency = 2

    def __init__(self, shape: Any, entries: int, *, clears: bool = False, strobed: bool = False) -> None:
        self.shape = shape
        self.entries = check_range("entries", entries, 1, MAX_ENTRIES)
        self.clears = clears
        self.strobed = strobed
        super().__init__(
            {
                **({"lookup": In(1)} if strobed else {}),
                "ready": Out(1),
                "index": In(range(entries)),
                "write_enable": In(1),
                "write_data": In(shape),
                "read_enable": In(1),
                "read_valid": Out(1),
                "read_data": Out(shape),
                "lookup_index": In(range(entries)),
                "value": Out(shape),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width = Shape.cast(self.shape).width
        address: Value = self.index
        data: Value = Value.cast(self.write_data)
        enable: Value = self.write_enable
        ready: Value = Const(1)
        if self.clears:
            sweep = Signal(range(self.entries))
            ready = Signal()
            with m.If(~ready):
                m.d.sync += [sweep.eq(sweep + 1), ready.eq(sweep == self.entries - 1)]
            address, data, enable = Mux(ready, address, sweep), Mux(ready, data, 0), enable | ~ready
        m.d.comb += self.ready.eq(ready)

        most = STROBED_ENTRIES if self.strobed else DISTRIBUTED_ENTRIES
        style = "distributed" if self.entries <= most else "block"
        asks = self.read_enable & ~self.write_enable & ready
        m.submodules.ram = ram = Memory(shape=width, depth=self.entries, init=[], attrs={"ram_style": style})
        write = ram.write_port()
        m.d.comb += [
            write.addr.eq(address),
            write.data.eq(data),
            write.en.eq(enable),
        ]
        if self.strobed and style == "distributed":
            self._read_late(m, ram, asks)
            return m
        lookup_address, fetched = ram_read(m, ram, name="fetched")
        written = Signal(width, reset_less=True)
        collided = Signal(reset_less=True)
        m.d.comb += lookup_address.eq(self.lookup_index)
        m.d.sync += [
            written.eq(data),
            collided.eq(enable & (self.lookup_index == address)),
        ]
        value = Mux(collided, written, fetched)
        reading = Signal()
        if self.strobed:
            looked_up, reads = self._turns(m, asks)
            m.d.sync += reading.eq(reads)
            with m.If(~self.lookup):
                m.d.comb += lookup_address.eq(self.index)
            data_register(m, self.value, value, enable=looked_up)
            data_register(m, self.read_data, fetched)
        else:
            data_register(m, self.value, value)
            access_address, accessed = ram_read(m, ram, name="accessed")
            m.d.comb += access_address.eq(address)
            m.d.sync += reading.eq(asks)
            data_register(m, self.read_data, accessed)
        m.d.sync += self.read_valid.eq(reading)
        return m

    def _turns(self, m: Module, asks: Value) -> tuple[Value, Value]:
        """Return whether there was a lookup a clock before, and whether what was asked for is read in this clock."""
        looked_up, asked = Signal(), Signal()
        m.d.sync += [looked_up.eq(self.lookup), asked.eq(Mux(asked, self.lookup, asks))]
        return looked_up, asked & ~self.lookup

    def _read_late(self, m: Module, ram: Memory, asks: Value) -> None:
        """Read a clock later, through a register that takes the index: so a write is in the RAM by then."""
        port = ram.read_port(domain="comb")
        looked_up, reads = self._turns(m, asks)
        m.d.sync += [port.addr.eq(Mux(self.lookup, self.lookup_index, self.index)), self.read_valid.eq(reads)]
        data_register(m, self.value, port.data, enable=looked_up)
        m.d.comb += Value.cast(self.read_data).eq(port.data)
