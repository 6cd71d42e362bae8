"""A bank of 64-bit counters in RAM: one event a clock, consistent values, and a copy of all of them at one instant."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_range
from ..data_register import data_register
from ..ram_read import ram_read
from .tally import delays

__all__ = ["CounterBank"]

MAX_ENTRIES = 1 << 16
MAX_FRAME_BITS = 16
MAX_BYTE_BITS = 16
HALF = 32


class CounterBank(wiring.Component):
    """Counters of frames, and of bytes, for a number of indices.

    A value is two halves of 32 bits in RAMs of their own, and the high half is updated one clock
    behind the low one, as it is read one clock behind: a reader gets the sum of all events up to one clock, and
    none after it. Events of the same index in consecutive clocks are forwarded to each other.

    A snapshot or a clearing needs no clock to itself. Each low half stands beside two marks, of the snapshot and of the
    clearing that it has seen; an event that meets an older mark first puts the old value into the copy, or counts from
    0. Events of nothing then visit all indices in clocks that have no other event. A read is an event of nothing, too:
    so the RAMs have one read port, and block RAM holds each half once.

    Parameters
    ----------
    entries : int
        1 .. 65536.
    byte_bits : int
        Width of ``bytes``, 0 .. 16. With 0 there are only frame counters.
    frame_bits : int
        Width of ``frames``, 1 .. 16.

    Attributes
    ----------
    ready : Signal(), out
        Low after reset while the RAMs are being cleared, for ``entries`` clocks, at least 2. Events and commands in
        these clocks are lost; reads are not allowed.
    strobe : Signal(), in
        An event: the frame counter of ``index`` (below ``entries``) rises by ``frames``, its byte counter by ``bytes``.
        One per clock; none is lost.
    index, frames, bytes : Signal, in
        ``frames`` is 1 if left alone.
    earlier : Signal(), in
        The event is from before the last command (if only that of the same clock), and counts as if it had come then.
        Allowed until the clock after ``hold``, and for an index only before its first event after the command.
    hold : Signal(), in
        Such events are still to come. Only in clocks behind a command; ``busy`` stays high until it is low.
    clear : Signal(), in
        Set all counters to 0: an event of the same clock is the first that counts.
    take_snapshot : Signal(), in
        Copy all counters, as they are without the event of the same clock (unless that is ``earlier``).
    busy : Signal(), out
        High from the clock after a command until all counters are cleared or copied: for ``entries`` clocks without an
        event and without ``hold`` (one more if a read was waiting). Commands and reads in these clocks are not allowed;
        a read that was waiting takes place, and shows counter and copy as before the command or after.
    read_enable : Signal(), in
        Read the counter ``read_field`` (0 frames, 1 bytes) of ``read_index``, or its copy if ``read_snapshot``. These
        three stand still from then until ``read_valid``, and there is no other ``read_enable`` in between. The read
        takes place in the first clock after it without an event.
    read_index, read_field, read_snapshot : Signal, in
    read_valid : Signal(), out
        High for one clock, ``latency`` clocks after ``read_enable`` or, for each clock that the read waits, one later.
    read_value : Signal(64), out
        The counter, valid with ``read_valid``. Every event before the clock in which the read took place is in it, no
        later one is. 0 for the bytes of a bank without byte counters.
    latency : int
        6 clocks from ``read_enable`` to ``read_valid``, if the read need not wait.

    Reset clears all counters. Copies are of no account until there was a snapshot.

    Raises
    ------
    ValueError
        ``entries``, ``byte_bits`` or ``frame_bits`` is out of its range.
    """

    latency = 6

    def __init__(self, entries: int, byte_bits: int = 0, frame_bits: int = 1) -> None:
        self.entries = check_range("entries", entries, 1, MAX_ENTRIES)
        self.byte_bits = check_range("byte_bits", byte_bits, 0, MAX_BYTE_BITS)
        check_range("frame_bits", frame_bits, 1, MAX_FRAME_BITS)
        self._depth = max(2, entries)
        index = range(self._depth)
        super().__init__(
            {
                "ready": Out(1),
                "strobe": In(1),
                "index": In(index),
                "frames": In(frame_bits, init=1),
                "bytes": In(byte_bits),
                "earlier": In(1),
                "hold": In(1),
                "clear": In(1),
                "take_snapshot": In(1),
                "busy": Out(1),
                "read_enable": In(1),
                "read_index": In(index),
                "read_field": In(1),
                "read_snapshot": In(1),
                "read_valid": Out(1),
                "read_value": Out(2 * HALF),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        count = self.strobe & self.ready
        pending = Signal()
        read = pending & ~count
        with m.If(self.read_enable | read):
            m.d.sync += pending.eq(self.read_enable)
        walk, visit, marks = self._elaborate_walk(m, pending)
        stages = {
            "strobe": delays(m, count | visit | read, 4, "strobe"),
            "index": delays(
                m, Mux(count, self.index, Mux(pending, self.read_index, walk)), 4, "index", reset_less=True
            ),
            "marks": delays(m, marks, 3, "marks"),
        }
        amounts = [delays(m, Mux(count, self.frames, 0), 2, "frames", reset_less=True)[2]]
        if self.byte_bits:
            amounts.append(delays(m, Mux(count, self.bytes, 0), 2, "bytes", reset_less=True)[2])
        counters = [self._elaborate_counter(m, field, amount, stages, walk) for field, amount in enumerate(amounts)]
        copied = counters[0][2]  # all fields are copied together
        copied_before = Signal(reset_less=True)
        low = Signal(HALF, reset_less=True)
        m.d.sync += [
            copied_before.eq(copied),
            low.eq(self._choose([half for half, _, _ in counters], copied)),
        ]
        data_register(m, self.read_value, Cat(low, self._choose([half for _, half, _ in counters], copied_before)))
        m.d.comb += self.read_valid.eq(delays(m, read, self.latency - 1, "read")[-1])
        return m

    def _elaborate_walk(self, m: Module, pending: Value) -> tuple[Value, Value, Value]:
        """Walk through all indices: after reset to clear the RAMs, after a command with events of nothing.

        A pending read goes first. Returns the index, whether it is visited in this clock, and the marks of events: of
        snapshot and clearing.
        """
        index = Signal(range(self._depth))
        ready, walking = Signal(), Signal()
        registered, before = Signal(2), Signal(2)
        command = Cat(self.take_snapshot & self.ready, self.clear & self.ready)
        marks = Mux(self.strobe & self.earlier, Mux(command.any(), registered, before), registered ^ command)
        with m.If(command.any()):
            m.d.sync += before.eq(registered)
        visit = Signal()
        m.d.comb += [
            self.ready.eq(ready),
            self.busy.eq(walking),
            visit.eq(walking & ~self.strobe & ~pending & ~self.hold),
        ]
        m.d.sync += registered.eq(registered ^ command)
        with m.If(~ready | visit):
            m.d.sync += index.eq(index + 1)
            with m.If(index == self._depth - 1):
                m.d.sync += [ready.eq(1), walking.eq(0), index.eq(0)]
        with m.If(ready & (self.take_snapshot | self.clear)):
            m.d.sync += walking.eq(1)
        return index, visit, marks

    def _elaborate_counter(
        self, m: Module, field: int, amount: Value, stages: dict[str, list[Value]], walk: Value
    ) -> tuple[Value, Value, Value]:
        """Build one counter per index; return what its halves show, each the counter below its copy.

        And whether, while the low half is shown, it was copied just now: then what the copy shows is of no account.

        An event is in stage n in the n-th clock after it was presented: low half read in stage 0, its register
        in stage 1, added to in stage 2, written and shown in stage 3; the high half a stage later.
        """
        strobe, index, marks = stages["strobe"], stages["index"], stages["marks"]
        word = data.StructLayout({"value": HALF, "marks": 2})
        ports, copies = [], []
        for half, stage, shape in (("low", 0, word), ("high", 1, HALF)):
            m.submodules[f"{half}_{field}"] = memory = Memory(shape=shape, depth=self._depth, init=[])
            m.submodules[f"{half}_{field}_copy"] = copy = Memory(shape=HALF, depth=self._depth, init=[])
            write_port, write_copy = memory.write_port(), copy.write_port()
            update_port = memory.read_port(transparent_for=(write_port,))
            copy_address, copied = ram_read(m, copy, name=f"copied_{half}_{field}")
            m.d.comb += [
                write_port.addr.eq(Mux(self.ready, index[stage + 3], walk)),
                write_copy.addr.eq(index[stage + 2]),
                update_port.addr.eq(index[stage]),
                copy_address.eq(index[stage + 2]),
            ]
            ports.append((write_port, update_port))
            copies.append((write_copy, copied))
        (write_low, update_low), (write_high, update_high) = ports
        (copy_low, shown_low), (copy_high, shown_high) = copies

        # What was read for an event lacks the sums of the two clocks before it only: the read port is transparent.
        following = strobe[2] & (index[2] == index[1])
        next_but_one = Signal(name=f"next_but_one_{field}")
        m.d.sync += next_but_one.eq(strobe[2] & (index[2] == index[0]))

        read = Signal(HALF, name=f"read_{field}", reset_less=True)
        latest = Signal(HALF + 1, name=f"latest_{field}", reset_less=True)
        total = Signal(HALF + 1, name=f"total_{field}")
        follows = Signal(name=f"follows_{field}")
        old = Signal(HALF, name=f"old_{field}")
        fresh = Signal(2, name=f"fresh_{field}", reset_less=True)
        seen = Mux(following, marks[2], Mux(next_but_one, marks[3], update_low.data.marks))
        m.d.sync += [
            follows.eq(following),
            read.eq(Mux(next_but_one, latest[:HALF], update_low.data.value)),
            latest.eq(total),
            fresh.eq(seen ^ marks[1]),
        ]
        m.d.comb += [
            old.eq(Mux(follows, latest[:HALF], read)),
            total.eq(Mux(fresh[1], 0, old) + amount),
            write_low.en.eq(~self.ready | strobe[3]),
            write_low.data.value.eq(Mux(self.ready, latest[:HALF], 0)),
            write_low.data.marks.eq(Mux(self.ready, marks[3], 0)),
            copy_low.en.eq(strobe[2] & fresh[0]),
            copy_low.data.eq(old),
        ]

        # The high half likewise.
        read_high = Signal(HALF, name=f"read_high_{field}", reset_less=True)
        latest_high = Signal(HALF, name=f"latest_high_{field}", reset_less=True)
        old_high = Signal(HALF, name=f"old_high_{field}")
        follows_high, next_but_one_high, rises = (
            Signal(name=f"{name}_{field}", reset_less=True) for name in ("follows_high", "next_but_one_high", "rises")
        )
        fresh_high = Signal(2, name=f"fresh_high_{field}", reset_less=True)
        m.d.sync += [
            next_but_one_high.eq(next_but_one),
            follows_high.eq(follows),
            read_high.eq(Mux(next_but_one_high, latest_high, update_high.data)),
            latest_high.eq(Mux(fresh_high[1], 0, old_high) + latest[HALF]),
            rises.eq(latest[HALF] | fresh_high[1]),
            fresh_high.eq(fresh),
        ]
        m.d.comb += [
            old_high.eq(Mux(follows_high, latest_high, read_high)),
            write_high.en.eq(~self.ready | (strobe[4] & rises)),
            write_high.data.eq(Mux(self.ready, latest_high, 0)),
            copy_high.en.eq(strobe[3] & fresh_high[0]),
            copy_high.data.eq(old_high),
        ]
        return Cat(latest[:HALF], shown_low), Cat(latest_high, shown_high), fresh_high[0]

    def _choose(self, values: list[Value], copied: Value) -> Value:
        """Counter or copy, of frames or bytes, as the read wants.

        A read adds nothing: where it copied, the counter is what the copy will be.
        """
        both = Mux(self.read_field, values[1] if len(values) > 1 else Const(0, 2 * HALF), values[0])
        return both.word_select(self.read_snapshot & ~copied, HALF)
