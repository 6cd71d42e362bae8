"""A small exact-match table that looks up once a clock with fixed latency."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range

__all__ = ["ExactMatch"]

MAX_ENTRIES = 64
MAX_KEY_WIDTH = 256


class ExactMatch(wiring.Component):
    """Exact match by comparing every entry at once; the lowest matching index wins.

    One lookup per clock, no handshake, and a latency that users take from `latency`: a larger table with
    another way of finding its entries can replace this one.

    A write takes one clock: lookups presented later than the write find the new entry, those presented with it or
    before it the old one. Keys stand in flip-flops, values in distributed RAM, and a write to the
    latter is delayed as far as a lookup reads it, so that key and value are always of the same entry.

    Parameters
    ----------
    key_width : int
        Bits of a key, 1 .. 256.
    value_shape : shape-like
        What an entry holds beside its key; may be 0 bits wide.
    entries : int
        1 .. 64.

    Attributes
    ----------
    write_enable : Signal(), in
        Write the entry ``write_index`` (below ``entries``); ``write_used`` 0 clears it.
    write_index, write_used, write_key, write_value : Signal, in
    lookup_key : Signal(key_width), in
    found : Signal(), out
        An entry in use has this key. Valid, as ``index`` and ``value``, ``latency`` clocks after ``lookup_key``.
    index : Signal(range(entries)), out
        The entry; 0 when not found.
    value : value_shape, out
        Its value; all bits 0 when not found.
    latency : int
        2 clocks up to 16 entries (compare; select), 3 above (compare; encode; read).

    Reset clears all entries.

    Raises
    ------
    ValueError
        ``key_width`` or ``entries`` is out of its range.
    """

    def __init__(self, key_width: int, value_shape: Any, entries: int) -> None:
        self.key_width = check_range("key_width", key_width, 1, MAX_KEY_WIDTH)
        self.entries = check_range("entries", entries, 1, MAX_ENTRIES)
        self.value_shape = value_shape
        self.latency = 2 if entries <= 16 else 3
        super().__init__(
            {
                "write_enable": In(1),
                "write_index": In(range(entries)),
                "write_used": In(1),
                "write_key": In(key_width),
                "write_value": In(value_shape),
                "lookup_key": In(key_width),
                "found": Out(1),
                "index": Out(range(entries)),
                "value": Out(value_shape),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        matches = Signal(self.entries)
        for i in range(self.entries):
            used = Signal(name=f"used_{i}")
            key = Signal(self.key_width, name=f"key_{i}", reset_less=True)
            with m.If(self.write_enable & (self.write_index == i)):
                m.d.sync += [used.eq(self.write_used), key.eq(self.write_key)]
            m.d.sync += matches[i].eq(used & (key == self.lookup_key))

        found: Value = matches.any()
        index = self._lowest(m, matches)
        if self.latency == 3:
            found, index = self._register(m, "encoded", found, index)
        m.d.sync += [self.found.eq(found), self.index.eq(index)]

        if Shape.cast(self.value_shape).width:
            self._elaborate_values(m, found, index)
        return m

    def _elaborate_values(self, m: Module, found: Value, index: Value) -> None:
        m.submodules.values = values = Memory(
            shape=self.value_shape, depth=self.entries, init=[], attrs={"ram_style": "distributed"}
        )
        read_port = values.read_port(domain="comb")
        write_port = values.write_port()
        write = (self.write_enable, self.write_index, Value.cast(self.write_value))
        for stage in range(self.latency - 1):
            write = self._register(m, f"write_{stage}", *write)
        m.d.comb += [
            write_port.en.eq(write[0]),
            write_port.addr.eq(write[1]),
            Value.cast(write_port.data).eq(write[2]),
            read_port.addr.eq(index),
        ]
        m.d.sync += Value.cast(self.value).eq(Mux(found, Value.cast(read_port.data), 0))

    @staticmethod
    def _register(m: Module, name: str, *values: Value) -> tuple[Value, ...]:
        registers = tuple(Signal(value.shape(), name=f"{name}_{i}") for i, value in enumerate(values))
        m.d.sync += [register.eq(value) for register, value in zip(registers, values, strict=True)]
        return registers

    @staticmethod
    def _lowest(m: Module, bits: Value) -> Value:
        """Index of the lowest bit that is set, 0 if none is.

        A tree whose nodes take the first of three, since that is what fits in a look-up table of five inputs.
        """
        width = (len(bits) - 1).bit_length()
        level: list[tuple[Value, Value]] = [
            (bits[i], Const(i, width) & bits[i].replicate(width)) for i in range(len(bits))
        ]
        size = 4
        while len(level) > 1:
            nodes: list[tuple[Value, Value]] = []
            for group in (level[at : at + size] for at in range(0, len(level), size)):
                # Signals, since an expression is written out anew wherever it is used.
                found = Signal()
                index = Signal(width)
                chosen = group[-1][1]
                for before, candidate in reversed(group[:-1]):
                    chosen = Mux(before, candidate, chosen)
                m.d.comb += [found.eq(Cat(some for some, _ in group).any()), index.eq(chosen)]
                nodes.append((found, index))
            level = nodes
            size = 3
        return level[0][1]
