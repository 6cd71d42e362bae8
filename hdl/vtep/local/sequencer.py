"""Carries out the program of the local stack: bytes of frames, addresses and neighbours, one a clock."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, check_range
from ..stream.fifo import TokenQueue
from ..stream.packet import packet_layout, packet_signature
from . import instructions as isa
from .instructions import Condition, Operation, Page, Source
from .neighbors import ENTRY_BYTES, MAX_NEIGHBORS, Neighbor, Place, check_neighbors, entry_bytes

__all__ = ["OWN_IPV4", "OWN_IPV6", "OWN_MAC", "Sequencer", "own_addresses", "publication", "table_write"]

OWN_MAC, OWN_IPV4, OWN_IPV6 = 0, 6, 10
"""Places of the own addresses, among each other."""

EVENT_BITS = 4

_OUTPUT = 16
"""Bytes that wait at the output; more than can be under way to it."""

_STEPS = 3
"""Clocks from the address of a byte to where it is used."""


def own_addresses() -> data.StructLayout:
    """The own addresses as numbers, in network order: 0 for an IP address that there is not."""
    return data.StructLayout({"mac": unsigned(48), "ipv4": unsigned(32), "ipv6": unsigned(128)})


def table_write(neighbors: int) -> data.StructLayout:
    """A byte of a neighbour's entry: the ``place`` is that of `Place`, up to ``FAMILY``."""
    return data.StructLayout({"index": range(neighbors), "place": unsigned(isa.PLACE_BITS), "data": unsigned(8)})


def publication(neighbors: int) -> data.StructLayout:
    """A neighbour's MAC address, and whether there is one."""
    return data.StructLayout({"index": range(neighbors), "usable": unsigned(1), "mac": unsigned(48)})


class Sequencer(wiring.Component):
    """A small processor for headers: its instructions pass bytes or control, see `instructions`.

    The memory holds an entry for each neighbour, what they hold after reset, and some variables.

    Parameters
    ----------
    program : Program
        It begins with the first instruction after reset.
    place_bits : int
        Width of a place in a frame, 6 .. 22.
    neighbors : int
        1 .. 64.
    initial : sequence of Neighbor
        The first entries after reset.

    Attributes
    ----------
    own : In(`own_addresses`)
        May change at any time; a frame that is being worked on may then be answered from the old and the new one.
    valid, last_place, byte : In; take, place : Out
        The frames, see `FrameIntake`.
    o : packet stream of 8 bits, out
    tick : Signal(), in
        High for a clock once in each quarter of a second.
    event : Signal(), out; event_number : Signal(4), out
        High for a clock, with the number that the program told.
    wake : Signal(), in; wake_index : In
        High for a clock: the neighbour is asked for. Lost if one waits already.
    publish : Signal(), out; publication : `publication`, out
        High for a clock: what is known of a neighbour now.
    write : In(stream)
        Of `table_write`; taken when the program comes to it.
    read, read_index, read_place : In; read_data : Out(8)
        A byte of an entry, 2 clocks behind ``read``, always.

    Notes
    -----
    An instruction for bytes takes as many clocks as there are bytes, at least 2; a controlling one waits for bytes
    under way and takes 2, 3 if it jumps. Reset begins the program, which has to see to the entries.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(
        self, program: isa.Program, *, place_bits: int, neighbors: int, initial: Sequence[Neighbor] = ()
    ) -> None:
        self._place_bits = check_range("place_bits", place_bits, 6, 22)
        self._neighbors = check_range("neighbors", neighbors, 1, MAX_NEIGHBORS)
        self._initial = check_neighbors(initial, neighbors)
        self._program = program
        index = range(neighbors)
        super().__init__(
            {
                "own": In(own_addresses()),
                "valid": In(1),
                "last_place": In(place_bits),
                "take": Out(1),
                "place": Out(place_bits),
                "byte": In(8),
                "o": Out(packet_signature(8)),
                "tick": In(1),
                "event": Out(1),
                "event_number": Out(EVENT_BITS),
                "wake": In(1),
                "wake_index": In(index),
                "publish": Out(1),
                "publication": Out(publication(neighbors)),
                "write": In(stream.Signature(table_write(neighbors))),
                "read": In(1),
                "read_index": In(index),
                "read_place": In(isa.PLACE_BITS),
                "read_data": Out(8),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._fetch(m)
        self._issue(m)
        self._operands(m)
        self._execute(m)
        self._control(m)
        return m

    def _fetch(self, m: Module) -> None:
        """The instruction register, and the one behind it from block RAM."""
        words = list(self._program.words)
        m.submodules.program = program = Memory(
            shape=isa.WORD_BITS, depth=isa.PROGRAM_WORDS, init=words, attrs={"ram_style": "block"}
        )
        port = program.read_port()
        self._counter = counter = Signal(range(isa.PROGRAM_WORDS))
        fresh = Signal()  # the port has the instruction to which the counter points
        word = Signal(isa.WORD_BITS)
        self._present = present = Signal()
        self._step, self._jump = Signal(), Signal()
        self._bytes = data.View(isa.bytes_layout, word[: isa.bytes_layout.size])
        self._controlling = data.View(isa.control_layout, word[: isa.control_layout.size])
        load = fresh & (~present | self._step)
        m.d.comb += port.addr.eq(counter)
        m.d.sync += fresh.eq(~load & ~self._jump)
        with m.If(self._jump):
            m.d.sync += [counter.eq(self._controlling.target), present.eq(0)]
        with m.Elif(load):
            m.d.sync += [counter.eq(counter + 1), word.eq(port.data), present.eq(1)]
        with m.Elif(self._step):
            m.d.sync += present.eq(0)

    def _issue(self, m: Module) -> None:
        """One byte after the other of an instruction, with its addresses."""
        now = self._bytes
        self._steps = steps = [Signal(name=f"step_{i}") for i in range(_STEPS)]
        self._room = room = Signal()
        self._cut = Signal()
        self._index = index = Signal(range(self._neighbors))
        passed = Signal(range(16))  # bytes of this instruction before this one
        self._frame_place = frame_place = Signal(self._place_bits)
        self._rest = rest = Signal(LENGTH_BITS)
        self._reads, go, final, none, at_end = Signal(), Signal(), Signal(), Signal(), Signal()

        of_rest = now.count == isa.COUNT_REST
        beyond = Signal()
        m.d.comb += [
            at_end.eq(rest == 0),
            beyond.eq((frame_place > self.last_place) | at_end),
            none.eq(of_rest & at_end),
            go.eq(self._present & ~now.control & ~self.read & (room | ~now.emit)),
            # Where the frame ends too early, so does the instruction; nothing is emitted that was not looked at before.
            final.eq(
                Mux(
                    of_rest,
                    (rest <= 1) | beyond,
                    passed == Mux(now.count == isa.COUNT_REST - 1, 15, now.count),
                )
            ),
            self._reads.eq(go & now.frame & ~none),
            self.place.eq(frame_place),
        ]
        with m.If(go):
            m.d.sync += passed.eq(Mux(final, 0, passed + 1))
        with m.If(self._reads):
            m.d.sync += [frame_place.eq(frame_place + 1), rest.eq(rest - ~at_end)]
            with m.If(beyond):
                m.d.sync += self._cut.eq(1)
        self._done_bytes = Signal()
        m.d.comb += self._done_bytes.eq(go & final)

        # The memory; its one read port is also the table's.
        page_bits = (self._neighbors - 1).bit_length()
        image = bytearray(2 * ENTRY_BYTES << page_bits) + self._program.constants
        for number, neighbor in enumerate(self._initial):
            content = entry_bytes(neighbor)
            start = ((1 << page_bits) + number) * ENTRY_BYTES
            image[start : start + len(content)] = content
        m.submodules.memory = memory = Memory(shape=8, depth=len(image), init=list(image), attrs={"ram_style": "block"})
        self._memory_read, self._memory_write = memory.read_port(), memory.write_port()
        place = Signal(isa.PLACE_BITS)
        m.d.comb += place.eq(Mux(now.source == Source.WRITTEN, self.write.payload.place, now.place + passed))

        def address(where: Value, page: Value, *, store: bool) -> Value:
            """A place of a page: entries are lowest, then what they are initially, then constants."""
            # The variables are in what is left of the first initial entry.
            variables = (page == Page.VARIABLES) if store else (page == Page.VARIABLES) | (page == Page.TRANSFER)
            entry = Cat(index, Const(0, 8))[:page_bits] & ~variables.replicate(page_bits)
            if store:
                return Cat(where, entry, variables)
            constant = page == Page.CONSTANT
            return Mux(
                constant,
                Cat(where, now.immediate[: (isa.CONSTANT_PAGES - 1).bit_length()]) | (2 * ENTRY_BYTES << page_bits),
                Cat(where, entry, page != Page.ENTRY),
            )

        self._address = address
        m.d.comb += self._memory_read.addr.eq(
            Mux(
                self.read,
                Cat(self.read_place, Cat(self.read_index, Const(0, 8))[:page_bits], Const(0, 1)),
                address(place, now.page, store=False),
            )
        )

        # The rest of the instruction goes along.
        layout = data.StructLayout(
            {name: member.shape for name, member in isa.bytes_layout if name not in ("control", "count")}
        )
        held = [Signal(layout, name=f"held_{i}", reset_less=True) for i in range(_STEPS)]
        self._held = held
        m.d.sync += [
            steps[0].eq(go & ~none),
            *(after.eq(before) for before, after in pairwise(steps)),
        ]
        m.d.sync += [Value.cast(after).eq(Value.cast(before)) for before, after in pairwise(held)]
        for name, _ in layout:
            match name:
                case "place":
                    m.d.sync += held[0].place.eq(place)
                case "last":
                    m.d.sync += held[0].last.eq(now.last & final)
                case _:
                    m.d.sync += held[0][name].eq(now[name])

    def _operands(self, m: Module) -> None:
        """Both operands, in registers, for the third step."""
        own, write = self.own, self.write.payload
        octets = [
            address.word_select(i, 8)
            for address, count in ((own.mac, 6), (own.ipv4, 4), (own.ipv6, 16))
            for i in reversed(range(count))
        ]
        first, second = self._held[0], self._held[1]
        own_octet, memory_octet = Signal(8, reset_less=True), Signal(8, reset_less=True)
        m.d.sync += [own_octet.eq(Array(octets)[first.place]), memory_octet.eq(self._memory_read.data)]
        m.d.comb += self.read_data.eq(memory_octet)

        self._sum = Signal(16)
        other = Signal(8)
        with m.Switch(second.source):
            with m.Case(Source.MEMORY):
                m.d.comb += other.eq(memory_octet)
            with m.Case(Source.OWN):
                m.d.comb += other.eq(own_octet)
            with m.Case(Source.SUM):
                m.d.comb += other.eq(~Mux(second.place[0], self._sum[:8], self._sum[8:]))
            with m.Default():
                m.d.comb += other.eq(write.data)
        self._x, self._y = Signal(8, reset_less=True), Signal(8, reset_less=True)
        self._before = Signal(16, reset_less=True)  # the two operands that were used last
        with m.If(self._steps[2]):
            m.d.sync += self._before.eq(Cat(self._x, self._before))
        m.d.sync += [
            self._x.eq(Mux(second.frame, self.byte, other)),
            self._y.eq(Mux(second.constant, second.immediate, other)),
        ]

    def _execute(self, m: Module) -> None:
        """What is done with them."""
        held, active = self._held[2], self._steps[2]
        x = self._x
        mask = Signal(8)
        with m.Switch(held.mask):
            for code, value in enumerate(isa.MASKS):
                with m.Case(code):
                    m.d.comb += mask.eq(value)
            with m.Default():
                m.d.comb += mask.eq(0xFF)
        compared = Mux(held.frame | held.constant, self._y, self._before[:8])
        self._differs = Signal()
        with m.If(active & held.compare & (((x ^ compared) & mask) != 0)):
            m.d.sync += self._differs.eq(1)
        value = Signal(8)
        with m.Switch(held.value):
            with m.Case(isa.Value.BYTE):
                m.d.comb += value.eq(x & mask)
            with m.Case(isa.Value.IMMEDIATE):
                m.d.comb += value.eq(held.immediate)
            with m.Default():
                m.d.comb += value.eq(x + held.immediate)

        m.submodules.output = output = TokenQueue(packet_layout(8), _OUTPUT, margin=_STEPS)
        m.d.comb += [
            output.i.valid.eq(active & held.emit),
            output.i.payload.data.eq(value),
            output.i.payload.last.eq(held.last),
            self._room.eq(output.room),
            self._memory_write.en.eq(active & held.store),
            self._memory_write.addr.eq(self._address(held.place, held.page, store=True)),
            self._memory_write.data.eq(value),
        ]
        wiring.connect(m, output.o, wiring.flipped(self.o))

        # RFC 1071, a byte at a time; the carry out of a word is added with the next byte.
        carry, low = Signal(), Signal()
        total = Signal(17)
        m.d.comb += total.eq(self._sum + Mux(low, value, Cat(Const(0, 8), value)) + carry)
        with m.If(active & held.add):
            m.d.sync += [self._sum.eq(total[:16]), carry.eq(total[16]), low.eq(~low)]
        self._low, self._carry = low, carry

        self._published = Signal(48, reset_less=True)
        with m.If(active & held.store):
            m.d.sync += self._published.eq(Cat(value, self._published))

    def _control(self, m: Module) -> None:
        """Instructions that control."""
        now = self._controlling
        ready = Signal()
        m.d.comb += ready.eq(self._present & now.control & ~Cat(self._steps).any())
        index = self._index
        tagged, used, alone = Signal(), Signal(), Signal()
        tick, woken = Signal(init=1), Signal()
        wake_index = Signal.like(self.wake_index)

        holds = Signal()
        bad = self._differs | self._cut
        answers = {
            Condition.ALWAYS: Const(1),
            Condition.DIFFERENT: self._differs,
            Condition.BAD: bad,
            Condition.CUT: self._cut,
            Condition.SUM_RIGHT: self._sum.all(),
            Condition.MORE: self._rest != 0,
            Condition.TAGGED: tagged,
            Condition.LAST: alone | (index == self._neighbors - 1),
            Condition.USED: used,
            Condition.FRAME: self.valid,
            Condition.TICK: tick,
            Condition.WAKE: woken,
            Condition.WRITE: self.write.valid,
            Condition.WHOLE: self.write.payload.place == Place.FAMILY,
        }
        with m.Switch(now.condition):
            for condition, answer in answers.items():
                with m.Case(condition):
                    m.d.comb += holds.eq(answer)
        m.d.comb += [
            self._jump.eq(ready & (holds ^ now.negate)),
            self._step.eq(ready | self._done_bytes),
        ]

        with m.If(self.wake & ~woken):
            m.d.sync += [woken.eq(1), wake_index.eq(self.wake_index)]
        with m.If(ready):
            m.d.sync += self._low.eq(0)
            with m.If((now.condition == Condition.DIFFERENT) | (now.condition == Condition.BAD)):
                m.d.sync += self._differs.eq(0)
            self._operation(m, tagged, used, alone, tick, woken, wake_index)
        with m.If(self.tick):
            m.d.sync += tick.eq(1)
        m.d.comb += [
            self.event_number.eq(now.immediate),
            self.publication.index.eq(index),
            self.publication.usable.eq(now.immediate),
            self.publication.mac.eq(self._published),
        ]

    def _operation(
        self, m: Module, tagged: Value, used: Value, alone: Value, tick: Value, woken: Value, wake_index: Value
    ) -> None:
        now, index = self._controlling, self._index
        with m.Switch(now.operation):
            with m.Case(Operation.SEEK):
                m.d.sync += [self._frame_place.eq(now.immediate), self._rest.eq(-1)]
            with m.Case(Operation.SEEK_BEHIND_TAG):
                m.d.sync += [self._frame_place.eq(now.immediate + Cat(Const(0, 2), tagged)), self._rest.eq(-1)]
            with m.Case(Operation.LIMIT):
                m.d.sync += self._rest.eq(self._before)
            with m.Case(Operation.BEGIN):
                m.d.sync += [
                    self._frame_place.eq(0),
                    self._rest.eq(-1),
                    self._cut.eq(0),
                    self._differs.eq(0),
                    tagged.eq(0),
                    used.eq(0),
                ]
            with m.Case(Operation.TAG):
                m.d.sync += tagged.eq(1)
            with m.Case(Operation.CLEAR):
                m.d.sync += [self._sum.eq(0), self._carry.eq(0)]
            with m.Case(Operation.EVENT):
                m.d.comb += self.event.eq(1)
                m.d.sync += used.eq(1)
            with m.Case(Operation.DROP):
                m.d.comb += self.take.eq(1)
            with m.Case(Operation.FIRST):
                m.d.sync += [index.eq(0), alone.eq(0)]
            with m.Case(Operation.NEXT):
                m.d.sync += index.eq(index + 1)
            with m.Case(Operation.WAKE):
                m.d.sync += [index.eq(wake_index), alone.eq(1), woken.eq(0)]
            with m.Case(Operation.WRITE):
                m.d.sync += [index.eq(self.write.payload.index), alone.eq(1)]
            with m.Case(Operation.TAKE):
                m.d.comb += self.write.ready.eq(1)
            with m.Case(Operation.TICK):
                m.d.sync += tick.eq(0)
            with m.Case(Operation.PUBLISH):
                m.d.comb += self.publish.eq(1)
