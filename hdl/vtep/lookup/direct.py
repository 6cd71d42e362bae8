"""A table that an index reads, in RAM: a lookup every clock, and one access of the control side beside it."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range
from ..data_register import data_register

__all__ = ["DirectTable"]

MAX_ENTRIES = 1 << 20
DISTRIBUTED_ENTRIES = 64
"""Most entries that distributed RAM holds by default."""


class DirectTable(wiring.Component):
    """Entries by number.

    One lookup per clock, no handshake; one write or one read per clock beside it. A write is one instant: lookups
    presented with it or later see all of it, those presented before it nothing of it.

    Lookups use one port of the RAM, writes and reads the other. What a RAM gives when one port reads what the other
    writes is of no account: the entry being written takes its place.

    Parameters
    ----------
    shape : shape-like
        An entry.
    entries : int
        1 .. 2^20.
    clears : bool
        The table empties itself after a reset: all entries become 0. Otherwise they keep what they have.

    Attributes
    ----------
    ready : Signal(), out
        Low while the table is being emptied, one entry a clock; lookups are undefined then, writes and reads ignored.
    index : Signal(range(entries)), in
        Entry to write or read.
    write_enable, write_data : Signal, in
        Write ``index``.
    read_enable : Signal(), in
        Read ``index``. Ignored together with ``write_enable``.
    read_valid, read_data : Signal, out
        The entry, ``latency`` clocks after ``read_enable``.
    lookup_index : Signal(range(entries)), in
    value : shape, out
        The entry, ``latency`` clocks after ``lookup_index``.
    latency : int
        2 clocks: read; output register.

    Raises
    ------
    ValueError
        ``entries`` is out of its range.
    """

    latency = 2

    def __init__(self, shape: Any, entries: int, *, clears: bool = False) -> None:
        self.shape = shape
        self.entries = check_range("entries", entries, 1, MAX_ENTRIES)
        self.clears = clears
        super().__init__(
            {
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

        # The registers of the read ports are written out, because only where Yosys merges them itself it heeds
        # no_rw_check (what a read gives during a write does not matter).
        style = "distributed" if self.entries <= DISTRIBUTED_ENTRIES else "block"
        m.submodules.ram = ram = Memory(
            shape=width, depth=self.entries, init=[], attrs={"ram_style": style, "no_rw_check": 1}
        )
        write, lookup, access = ram.write_port(), ram.read_port(domain="comb"), ram.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(address),
            write.data.eq(data),
            write.en.eq(enable),
            lookup.addr.eq(self.lookup_index),
            access.addr.eq(address),
        ]

        looked_up = Signal(width, reset_less=True)
        accessed = Signal(width, reset_less=True)
        written = Signal(width, reset_less=True)
        collided = Signal(reset_less=True)
        reading = Signal()
        m.d.sync += [
            looked_up.eq(lookup.data),
            accessed.eq(access.data),
            written.eq(data),
            collided.eq(enable & (self.lookup_index == address)),
            reading.eq(self.read_enable & ~self.write_enable & ready),
            self.read_valid.eq(reading),
        ]
        data_register(m, self.value, Mux(collided, written, looked_up))
        data_register(m, self.read_data, accessed)
        return m
