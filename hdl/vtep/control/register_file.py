"""Registers as gateware, from their declaration: storage, decoding, read multiplexer, and the rules of access."""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .register_bus import register_bus
from .register_map import WORD_BITS, WORD_BYTES, Access, Field, Register, RegisterMap

__all__ = ["RegisterFile", "fields_layout"]

PAGE_BITS = 4
PAGE_WORDS = 1 << PAGE_BITS


def fields_layout(register: Register, fields: Iterable[Field]) -> data.StructLayout | data.ArrayLayout:
    """Shape of these fields of a register, one behind the other; of an array, as many as it has words."""
    word = data.StructLayout({field.name: field.width for field in fields})
    return word if register.count is None else data.ArrayLayout(word, register.count)


def _ports(register: Register) -> wiring.Signature:
    """What the hardware behind a register sees of it."""
    of = {access: [field for field in register.fields if field.access is access] for access in Access}
    stored, told = of[Access.READ_WRITE], of[Access.READ_ONLY]
    members = {}
    for name, flow, fields in (
        ("value", Out, stored or of[Access.WRITE_ONLY]),
        ("next", In, [field for field in stored if field.volatile]),
        ("status", In, [field for field in told if field.volatile]),
        ("set", In, of[Access.WRITE_ONE_TO_CLEAR]),
    ):
        if fields:
            members[name] = flow(fields_layout(register, fields))
    if stored:
        members["written"] = Out(1)
    if "next" in members:
        members["load"] = In(1)
    if register.is_command:
        members |= {"strobe": Out(1), "refuse": In(1)}
    return wiring.Signature(members)


class RegisterFile(wiring.Component):
    """The registers of a map behind a `register_bus`.

    Parameters
    ----------
    registers : RegisterMap

    Attributes
    ----------
    bus : In(`register_bus`)
        Byte addresses have as many bits as the map's size asks for.
    refused : Out(1)
        An access is answered with an error in this clock.
    NAME : interface
        For each register that is not constant, under its name in lower case; in the shape of `fields_layout`:

        - read-write fields: ``value``, out, and ``written``, out: there is a write in this clock, even if of no byte;
          where they are volatile also ``load``, in: they take ``next`` in this clock (which prevails over a write)
        - volatile read-only fields: ``status``, in: what a read shows
        - fields that are cleared by writing 1: ``set``, in: bits to set (which prevails over clearing)
        - commands: ``value``, out: what is written, standing still from three clocks before ``strobe``, out, which is
          high for one clock; unless ``refuse``, in, was high in the clock before: then the access gets an error

    Notes
    -----
    An access takes 4 clocks: ``ack`` comes in the fourth that sees ``request``, and a write has its effect with the end
    of that clock. Every access is answered. With an error, and without effect: where no register is; a write to a
    register without writable, a read of one without readable fields; a command without all of its bytes, or that the
    hardware refuses; any access to a register whose guard is set. Other writes take the bytes that ``write_bytes`` has,
    none also. A read word is as it was in one clock, with the guard of that same clock.

    Reset: every register has its reset value; an access under way is forgotten.
    """

    def __init__(self, registers: RegisterMap) -> None:
        self.registers = registers
        ports = {register.name.lower(): _ports(register) for register in registers}
        super().__init__(
            {
                "bus": In(register_bus(registers.address_bits)),
                "refused": Out(1),
                **{name: Out(port) for name, port in ports.items() if port.members},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        # One-hot, as the clocks of an access pass.
        steps = Signal(3)
        m.d.sync += steps.eq(Cat(bus.request & ~steps.any(), steps[:2]))

        low, high = bus.address[:PAGE_BITS], bus.address[PAGE_BITS:]
        pages = sorted({address // WORD_BYTES // PAGE_WORDS for address, _, _ in self.registers.words()})
        page_hits = {page: Signal(name=f"page_{page}_hit") for page in pages}
        low_hits = Signal(PAGE_WORDS)
        m.d.sync += [hit.eq(high == page) for page, hit in page_hits.items()]
        m.d.sync += [low_hits[i].eq(low == i) for i in range(PAGE_WORDS)]
        words = {
            (register.name, index): (address // WORD_BYTES, register) for address, register, index in self._words()
        }
        hits = {
            key: page_hits[number // PAGE_WORDS] & low_hits[number % PAGE_WORDS] for key, (number, _) in words.items()
        }

        write, bad = Signal(), Signal()
        for register in self.registers:
            if any(field.access is Access.READ_WRITE for field in register.fields):
                written = [write & hits[register.name, index] for index in range(register.words)]
                m.d.comb += getattr(self, register.name.lower()).written.eq(Cat(*written).any())
        shown = {
            key: self._elaborate_word(m, register, key[1], hits[key], write) for key, (_, register) in words.items()
        }
        m.d.sync += bus.read_data.eq(
            self._read(m, "read", WORD_BITS, {words[key][0]: value for key, value in shown.items()}, page_hits)
        )
        refused = self._judge(m, page_hits, hits)
        # Valid in the last clock of an access, and `write` is low in all others.
        m.d.sync += [bad.eq(refused), write.eq(steps[1] & bus.write & ~refused)]
        m.d.comb += [
            bus.ack.eq(steps[2]),
            bus.error.eq(bad),
            self.refused.eq(steps[2] & bad),
        ]
        return m

    def _words(self) -> list[tuple[int, Register, int]]:
        return list(self.registers.words())

    def _read(self, m: Module, name: str, width: int, values: dict[int, Value], page_hits: dict[int, Signal]) -> Value:
        """Value of the addressed word, one clock after its address (and to be registered again); 0 where none is."""
        chosen = Const(0, width)
        for page, hit in page_hits.items():
            column = [values.get(page * PAGE_WORDS + i, Const(0, width)) for i in range(PAGE_WORDS)]
            value = Signal(width, name=f"{name}_page_{page}")
            m.d.sync += value.eq(Cat(*column).word_select(self.bus.address[:PAGE_BITS], width))
            chosen = chosen | (value & hit.replicate(width))
        return chosen

    def _judge(self, m: Module, page_hits: dict[int, Signal], hits: dict[tuple[str, int], Value]) -> Signal:
        """Whether the access is refused, right in its third clock."""
        bus = self.bus
        # What is known of the word by its address alone, a bit each.
        guards = sorted({register.guard for register in self.registers if register.guard})
        rules = {
            address // WORD_BYTES: Cat(
                Const(register.readable, 1),
                Const(register.writable, 1),
                Const(register.is_command, 1),
                *(Const(register.guard == guard, 1) for guard in guards),
            )
            for address, register, _ in self.registers.words()
        }
        flags = Signal(3 + len(guards))
        m.d.sync += flags.eq(self._read(m, "rules", len(flags), rules, page_hits))
        readable, writable, is_command = flags[0], flags[1], flags[2]

        # The guards as they were when the word was read.
        busy = Signal(len(guards))
        for i, name in enumerate(guards):
            guard, field = self.registers.guard_of(next(one for one in self.registers if one.guard == name))
            m.d.sync += busy[i].eq(getattr(self, guard.name.lower()).status[field.name])
        partial = Signal()
        command = Signal(sum(register.is_command for register in self.registers))
        commands = [register for register in self.registers if register.is_command]
        m.d.sync += partial.eq(~bus.write_bytes.all())
        m.d.sync += [command[i].eq(hits[register.name, 0]) for i, register in enumerate(commands)]
        refused = Cat(
            command[i] & getattr(self, register.name.lower()).refuse for i, register in enumerate(commands)
        ).any()
        guarded = (flags[3:] & busy).any()
        judgement = Signal()
        with m.If(bus.write):
            m.d.comb += judgement.eq(~writable | (is_command & partial) | refused | guarded)
        with m.Else():
            m.d.comb += judgement.eq(~readable | guarded)
        return judgement

    def _elaborate_word(self, m: Module, register: Register, index: int, hit: Value, write: Value) -> Value:
        """Build one word, and return what a read shows."""
        name = register.name.lower()
        port: Any = getattr(self, name, None)

        def part(member: str, field: Field) -> Value:
            view = getattr(port, member)
            return (view if register.count is None else view[index])[field.name]

        written = Signal(name=f"{name}_{index}_written")
        m.d.comb += written.eq(write & hit)
        if register.is_command:
            m.d.comb += port.strobe.eq(written)
            for field in register.fields:
                m.d.comb += part("value", field).eq(self.bus.write_data[field.low : field.low + field.width])
            return Const(0, WORD_BITS)

        shown = Signal(WORD_BITS, name=f"{name}_{index}_shown")
        for field in register.fields:
            bits = slice(field.low, field.low + field.width)
            if field.access is Access.READ_ONLY:
                m.d.comb += shown[bits].eq(part("status", field) if field.volatile else field.reset)
                continue
            value = Signal(field.width, name=f"{name}_{index}_{field.name}", init=field.reset)
            m.d.comb += shown[bits].eq(value)
            for byte in range(WORD_BYTES):
                start, stop = max(bits.start, 8 * byte), min(bits.stop, 8 * byte + 8)
                if start >= stop:
                    continue
                piece = value[start - field.low : stop - field.low]
                given = self.bus.write_data[start:stop]
                with m.If(written & self.bus.write_bytes[byte]):
                    m.d.sync += piece.eq(given if field.access is Access.READ_WRITE else piece & ~given)
            if field.access is Access.WRITE_ONE_TO_CLEAR:
                events = part("set", field)
                for i in range(field.width):
                    with m.If(events[i]):
                        m.d.sync += value[i].eq(1)
                continue
            m.d.comb += part("value", field).eq(value)
            if field.volatile:
                with m.If(port.load):
                    m.d.sync += value.eq(part("next", field))
        return shown
