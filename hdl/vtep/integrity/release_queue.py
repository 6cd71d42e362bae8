"""A queue behind a pipeline that cannot stop: entries are written early and released for reading later."""

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ..config import check_power_of_two, check_range

__all__ = ["ReleaseQueue"]


class ReleaseQueue(wiring.Component):
    """Queue of entries, each completed by a ``note`` that comes some clocks after it, in the same order.

    An entry is booked before or when it is written, so that whoever feeds the pipeline stops in time: that is all
    the back-pressure a free-running pipeline needs, and no combinational path leads from the reader to the writer.
    Distributed RAM with combinational reads; the fill levels are thermometer codes, one LUT deep.

    One entry in and one out a clock. Reset empties the queue.

    Parameters
    ----------
    entry, note : ShapeLike
        What is written, and what is added at the release.
    depth : int
        Entries, a power of two within 2 .. 1024.
    reserve : int
        ``room`` is low when no more than this many entries are free, 0 .. depth - 1.

    Members
    -------
    room : Out(1)
        More than ``reserve`` entries are free.
    book : In(1)
        Take an entry out of the free ones. Not later than its write.
    write : In(1), write_entry : In(entry)
    release : In(1), release_note : In(note)
        Complete the oldest entry not yet released; it is readable in the next clock.
    valid : Out(1), read_entry : Out(entry), read_note : Out(note)
        The oldest entry.
    pop : In(1)
        Take it out; only with ``valid``. It is free in the next clock.

    Raises
    ------
    ValueError
        ``depth`` or ``reserve`` is out of its range.
    """

    def __init__(self, entry: ShapeLike, note: ShapeLike, depth: int, reserve: int) -> None:
        check_power_of_two("depth", depth, 2, 1024)
        check_range("reserve", reserve, 0, depth - 1)
        self._entry = entry
        self._note = note
        self._depth = depth
        self._reserve = reserve
        super().__init__(
            {
                "room": Out(1),
                "book": In(1),
                "write": In(1),
                "write_entry": In(entry),
                "release": In(1),
                "release_note": In(note),
                "valid": Out(1),
                "read_entry": Out(entry),
                "read_note": Out(note),
                "pop": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        written = Signal(range(self._depth))
        released = Signal(range(self._depth))
        read = Signal(range(self._depth))
        ports = (
            ("entries", self._entry, self.write, written, self.write_entry, self.read_entry),
            ("notes", self._note, self.release, released, self.release_note, self.read_note),
        )
        for name, shape, strobe, address, source, target in ports:
            width = Shape.cast(shape).width
            m.submodules[name] = store = memory.Memory(shape=width, depth=self._depth, init=[])
            write_port = store.write_port()
            read_port = store.read_port(domain="comb")
            m.d.comb += [
                write_port.addr.eq(address),
                write_port.data.eq(source),
                write_port.en.eq(strobe),
                read_port.addr.eq(read),
                Value.cast(target).eq(read_port.data),
            ]
            with m.If(strobe):
                m.d.sync += address.eq(address + 1)
        with m.If(self.pop):
            m.d.sync += read.eq(read + 1)

        # The levels learn of a pop a clock late, which keeps the reader's logic out of their enables.
        popped = Signal()
        m.d.sync += popped.eq(self.pop)
        booked = self._level(m, "booked", self.book, popped)
        waiting = self._level(m, "waiting", self.release, popped)
        most = self._depth - 1 - self._reserve  # entries booked, for there to be room
        m.d.comb += [
            self.room.eq(Mux(popped, ~Cat(booked, 0)[most + 1], ~booked[most])),
            self.valid.eq(Mux(popped, waiting[1], waiting[0])),
        ]
        return m

    def _level(self, m: Module, name: str, up: Value, down: Value) -> Signal:
        """A count in thermometer code: bit i is set while the count is above i."""
        level = Signal(self._depth, name=name)
        with m.If(up ^ down):
            with m.If(up):
                m.d.sync += level.eq(Cat(1, level))
            with m.Else():
                m.d.sync += level.eq(level[1:])
        return level
