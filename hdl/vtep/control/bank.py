"""A bank of 64-bit counters in RAM: one event a clock, and a consistent value for whoever reads."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range

__all__ = ["CounterBank"]

MAX_ENTRIES = 1 << 16
MAX_BYTE_BITS = 16
HALF = 32


class CounterBank(wiring.Component):
    """Counters of frames, and of bytes, for a number of indices.

    A value is two halves of 32 bits in RAMs of their own, and the high half is updated one clock
    behind the low one, as it is read one clock behind: a reader gets the sum of all events up to one clock, and
    none after it. Events of the same index in consecutive clocks are forwarded to each other in the low half; the high
    half needs no forwarding, since a low half that just overflowed does not do it again for many events.

    Parameters
    ----------
    entries : int
        1 .. 65536. A single entry is built of flip-flops.
    byte_bits : int
        Width of ``bytes``, 0 .. 16. With 0 there are only frame counters.

    Attributes
    ----------
    ready : Signal(), out
        Low after reset while the RAMs are being cleared, for ``entries`` clocks (a single entry: never). Events
        and reads in these clocks are lost.
    strobe : Signal(), in
        An event: the frame counter of ``index`` (below ``entries``) rises by 1, its byte counter by ``bytes``. One per
        clock; none is lost.
    index, bytes : Signal, in
    read_enable : Signal(), in
        Read the counter ``read_field`` (0 frames, 1 bytes) of ``read_index``. One per clock.
    read_index, read_field : Signal, in
    read_valid : Signal(), out
        High ``latency`` clocks after ``read_enable``.
    read_value : Signal(64), out
        The counter, valid with ``read_valid``. Every event up to ``age`` clocks before ``read_enable`` is in it, no
        later one is. 0 for the bytes of a bank without byte counters.
    latency : int
        3 clocks from ``read_enable`` to ``read_valid``.
    age : int
        2 clocks from an event until a read sees it.

    Reset clears all counters.

    Raises
    ------
    ValueError
        ``entries`` or ``byte_bits`` is out of its range.
    """

    latency = 3
    age = 2

    def __init__(self, entries: int, byte_bits: int = 0) -> None:
        self.entries = check_range("entries", entries, 1, MAX_ENTRIES)
        self.byte_bits = check_range("byte_bits", byte_bits, 0, MAX_BYTE_BITS)
        super().__init__(
            {
                "ready": Out(1),
                "strobe": In(1),
                "index": In(range(entries)),
                "bytes": In(byte_bits),
                "read_enable": In(1),
                "read_index": In(range(entries)),
                "read_field": In(1),
                "read_valid": Out(1),
                "read_value": Out(2 * HALF),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        strobe = self._delay(m, "strobe", self.strobe & self.ready, 3)
        index = self._delay(m, "index", self.index, 3)
        amounts: list[Value] = [Const(1, 1)]
        if self.byte_bits:
            amounts.append(self._delay(m, "bytes", self.bytes, 2)[2])

        halves: list[tuple[Value, Value]] = []
        if self.entries == 1:
            m.d.comb += self.ready.eq(1)
            for field, amount in enumerate(amounts):
                halves.append(self._elaborate_registers(m, field, amount, strobe))
        else:
            clear = self._elaborate_clear(m)
            for field, amount in enumerate(amounts):
                halves.append(self._elaborate_memories(m, field, amount, strobe, index, clear))

        read_valid = self._delay(m, "read_enable", self.read_enable, self.latency)
        read_field = self._delay(m, "read_field", self.read_field, 2)
        low = Signal(HALF, reset_less=True)
        m.d.sync += [
            low.eq(self._choose(read_field[1], [half for half, _ in halves])),
            self.read_value.eq(Cat(low, self._choose(read_field[2], [half for _, half in halves]))),
        ]
        m.d.comb += self.read_valid.eq(read_valid[-1])
        return m

    def _elaborate_clear(self, m: Module) -> Value:
        """Walk through all indices after reset; return the index to clear while ``ready`` is low."""
        clear = Signal(range(self.entries))
        ready = Signal()
        with m.If(~ready):
            m.d.sync += [clear.eq(clear + 1), ready.eq(clear == self.entries - 1)]
        m.d.comb += self.ready.eq(ready)
        return clear

    def _elaborate_memories(
        self, m: Module, field: int, amount: Value, strobe: list[Value], index: list[Value], clear: Value
    ) -> tuple[Value, Value]:
        """Build one counter per index; return what the read ports show of the halves.

        An event is in stage n in the n-th clock after it was presented: low half read in stage 0, its register
        in stage 1, written in stage 2; high half read in stage 1, its register in stage 2, written in stage 3.
        """
        ports = []
        for half, stage in (("low", 0), ("high", 1)):
            m.submodules[f"{half}_{field}"] = memory = Memory(shape=HALF, depth=self.entries, init=[])
            write_port = memory.write_port()
            update_port = memory.read_port(transparent_for=(write_port,))
            read_port = memory.read_port(transparent_for=(write_port,))
            read_index = self._delay(m, f"read_index_{half}_{field}", self.read_index, stage)
            m.d.comb += [
                write_port.addr.eq(Mux(self.ready, index[stage + 2], clear)),
                update_port.addr.eq(index[stage]),
                read_port.addr.eq(read_index[stage]),
            ]
            ports.append((write_port, update_port, read_port))
        (write_low, update_low, read_low), (write_high, update_high, read_high) = ports

        # What was read for an event lacks the sum of the clock before it only: the read port is transparent.
        read = Signal(HALF, name=f"read_{field}", reset_less=True)
        latest = Signal(HALF + 1, name=f"latest_{field}", reset_less=True)
        total = Signal(HALF + 1, name=f"total_{field}")
        follows = Signal(name=f"follows_{field}")
        m.d.sync += [
            follows.eq(strobe[2] & (index[2] == index[1])),
            read.eq(update_low.data),
            latest.eq(total),
        ]
        m.d.comb += total.eq(Mux(follows, latest[:HALF], read) + amount)
        m.d.comb += [write_low.en.eq(~self.ready | strobe[2]), write_low.data.eq(Mux(self.ready, total[:HALF], 0))]

        read = Signal(HALF, name=f"read_high_{field}", reset_less=True)
        m.d.sync += read.eq(update_high.data)
        m.d.comb += [
            write_high.en.eq(~self.ready | (strobe[3] & latest[HALF])),
            write_high.data.eq(Mux(self.ready, read + 1, 0)),
        ]
        return read_low.data, read_high.data

    @staticmethod
    def _elaborate_registers(m: Module, field: int, amount: Value, strobe: list[Value]) -> tuple[Value, Value]:
        """Build the only counter, with the same stages."""
        low = Signal(HALF, name=f"low_{field}")
        high = Signal(HALF, name=f"high_{field}")
        carry = Signal(name=f"carry_{field}")
        with m.If(strobe[2]):
            m.d.sync += Cat(low, carry).eq(low + amount)
        with m.If(strobe[3] & carry):
            m.d.sync += high.eq(high + 1)
        return low, high

    @staticmethod
    def _choose(field: Value, values: list[Value]) -> Value:
        return Mux(field, values[1] if len(values) > 1 else 0, values[0])

    @staticmethod
    def _delay(m: Module, name: str, value: Value, clocks: int) -> list[Value]:
        """Return ``value`` as it is, one clock later, and so on."""
        delayed: list[Value] = [value]
        for clock in range(1, clocks + 1):
            register = Signal(value.shape(), name=f"{name}_{clock}")
            m.d.sync += register.eq(delayed[-1])
            delayed.append(register)
        return delayed
