"""How registers are declared: plain data, from which gateware, documents and driver are made."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = [
    "WORD_BITS",
    "WORD_BYTES",
    "Access",
    "Choice",
    "Field",
    "Register",
    "RegisterMap",
    "command_field",
    "constant_field",
    "magic_register",
    "status_field",
    "version_register",
]

WORD_BITS = 32
WORD_BYTES = WORD_BITS // 8
MAX_MAP_BYTES = 1 << 16


class Access(Enum):
    """What a bus access does to a field."""

    READ_ONLY = "ro"
    READ_WRITE = "rw"
    WRITE_ONLY = "wo"
    WRITE_ONE_TO_CLEAR = "w1c"


@dataclass(frozen=True)
class Choice:
    """A value of a field that has a name."""

    value: int
    description: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """Some bits of a register.

    Parameters
    ----------
    name : str
        Lower case, unique in its register.
    low, width : int
        Lowest bit, and number of bits.
    description : str
    access : Access
    reset : int or None
        Value after reset; of a constant, its value; None: what the hardware makes it.
    volatile : bool
        The hardware changes it. A field that is read-only and not volatile is a constant.
    choices : mapping
        Names of its values, upper case.
    """

    name: str
    low: int
    width: int
    description: str
    access: Access = Access.READ_WRITE
    reset: int | None = 0
    volatile: bool = False
    choices: Mapping[str, Choice] = field(default_factory=dict)

    @property
    def mask(self) -> int:
        """Its bits in the register."""
        return ((1 << self.width) - 1) << self.low

    @property
    def readable(self) -> bool:
        """Whether a read shows it; the bits of a write-only field read as 0."""
        return self.access is not Access.WRITE_ONLY

    @property
    def writable(self) -> bool:
        """Whether a write does anything to it."""
        return self.access is not Access.READ_ONLY

    def of(self, word: int) -> int:
        """Value of the field in the register's value ``word``."""
        return (word & self.mask) >> self.low

    def place(self, value: int) -> int:
        """Bits of the register in which the field has ``value``.

        Raises
        ------
        ValueError
            ``value`` does not fit.
        """
        if not 0 <= value < 1 << self.width:
            raise ValueError(f"{self.name} must be an integer within 0 .. {(1 << self.width) - 1}, not {value!r}")
        return value << self.low


def constant_field(
    name: str, low: int, width: int, value: int, description: str, choices: Mapping[str, Choice] | None = None
) -> Field:
    """Declare a field that reads as ``value``."""
    return Field(
        name=name,
        low=low,
        width=width,
        access=Access.READ_ONLY,
        reset=int(value),
        description=description,
        choices=choices or {},
    )


def command_field(name: str, low: int, description: str, *, width: int = 1) -> Field:
    """Declare a field of a command."""
    return Field(name=name, low=low, width=width, access=Access.WRITE_ONLY, description=description)


def magic_register(letters: bytes) -> "Register":
    """Declare the register that tells what a device is: four letters, at address 0."""
    text = f'The letters "{letters.decode()}", the first in the highest byte.'
    fields = (constant_field("magic", 0, 32, int.from_bytes(letters), text),)
    return Register(name="MAGIC", address=0x000, description="What this is.", fields=fields)


def version_register(version: tuple[int, int], description: str) -> "Register":
    """Declare the register behind `magic_register`, with the (major, minor) version of the registers."""
    major, minor = version
    return Register(
        name="VERSION",
        address=0x004,
        description=description,
        fields=(
            constant_field("minor", 0, 16, minor, "Rises when registers or fields are added."),
            constant_field("major", 16, 16, major, "Rises when something changes that a driver relies on."),
        ),
    )


def status_field(
    name: str,
    low: int,
    description: str,
    *,
    width: int = 1,
    reset: int | None = 0,
    choices: Mapping[str, Choice] | None = None,
) -> Field:
    """Declare a field that reads as what the hardware makes it."""
    return Field(
        name=name,
        low=low,
        width=width,
        access=Access.READ_ONLY,
        volatile=True,
        description=description,
        reset=reset,
        choices=choices or {},
    )


@dataclass(frozen=True, kw_only=True)
class Register:
    """A word of 32 bits, or an array of them.

    Parameters
    ----------
    name : str
        Upper case, unique in its map.
    address : int
        Of its first word, in bytes: a multiple of 4.
    fields : tuple of Field
        From the lowest bit up. Bits without a field read as 0 and take no writes.
    description : str
    count : int or None
        Number of words of an array, one behind the other; None: no array.
    guard : str
        ``REGISTER.field``, a volatile read-only bit: while it is set, reads and writes of this register are refused.

    A register whose fields are all write-only is a **command**: writing it does something, the write must bring all
    four bytes, and the hardware may refuse it. The other registers take any byte by itself.
    """

    name: str
    address: int
    fields: tuple[Field, ...]
    description: str
    count: int | None = None
    guard: str = ""

    def __getitem__(self, name: str) -> Field:
        for one in self.fields:
            if one.name == name:
                return one
        raise KeyError(f"register {self.name} has no field {name!r}, but " + ", ".join(one.name for one in self.fields))

    @property
    def words(self) -> int:
        """Number of words."""
        return 1 if self.count is None else self.count

    @property
    def readable(self) -> bool:
        """Whether a read is answered without an error."""
        return any(one.readable for one in self.fields)

    @property
    def writable(self) -> bool:
        """Whether a write is answered without an error."""
        return any(one.writable for one in self.fields)

    @property
    def is_command(self) -> bool:
        """Whether writing it does something."""
        return not self.readable

    @property
    def reset(self) -> int:
        """What it reads as after reset."""
        return sum(one.place(one.reset) for one in self.fields if one.readable and one.reset is not None)

    @property
    def reset_mask(self) -> int:
        """Bits of it that are known after reset: all but those of fields without a reset value."""
        return (1 << WORD_BITS) - 1 - sum(one.mask for one in self.fields if one.reset is None)

    def pack(self, **values: int) -> int:
        """Value of the register with these fields, the others 0.

        Raises
        ------
        KeyError, ValueError
            There is no such field, or the value does not fit it.
        """
        return sum(self[name].place(value) for name, value in values.items())

    def unpack(self, word: int) -> dict[str, int]:
        """Values of the fields in ``word``."""
        return {one.name: one.of(word) for one in self.fields}


@dataclass(frozen=True, kw_only=True)
class RegisterMap:
    """All registers of a block.

    Parameters
    ----------
    name : str
        Lower case.
    title, description : str
    size : int
        Bytes of the address space, a power of two.
    registers : tuple of Register
        By rising address.

    Raises
    ------
    ValueError
        The declaration contradicts itself; the message names the register and the field.
    """

    name: str
    title: str
    description: str
    size: int
    registers: tuple[Register, ...]

    def __post_init__(self) -> None:
        if not WORD_BYTES <= self.size <= MAX_MAP_BYTES or self.size & (self.size - 1):
            raise ValueError(f"size must be a power of two within {WORD_BYTES} .. {MAX_MAP_BYTES}, not {self.size}")
        free = 0
        names = set()
        for register in self.registers:
            _check_register(register)
            if register.name in names:
                raise ValueError(f"{register.name}: there is another register of this name")
            names.add(register.name)
            if register.address < free:
                raise ValueError(f"{register.name}: its address must be {free:#x} or above, not {register.address:#x}")
            free = register.address + WORD_BYTES * register.words
            if free > self.size:
                raise ValueError(f"{register.name}: it must end within the {self.size} bytes of the map")
            if register.guard:
                self.guard_of(register)

    def __getitem__(self, name: str) -> Register:
        for register in self.registers:
            if register.name == name:
                return register
        raise KeyError(f"there is no register {name!r}, but " + ", ".join(one.name for one in self.registers))

    def __iter__(self) -> Iterator[Register]:
        return iter(self.registers)

    @property
    def address_bits(self) -> int:
        """Bits of a byte address inside the map."""
        return (self.size - 1).bit_length()

    def guard_of(self, register: Register) -> tuple[Register, Field]:
        """Register and field of the guard of ``register``.

        Raises
        ------
        ValueError
            It is not a bit that can be a guard.
        """
        name, _, bit = register.guard.partition(".")
        try:
            guard = self[name]
            field = guard[bit]
        except KeyError as error:
            raise ValueError(f"{register.name}: its guard must be a field, not {register.guard!r}") from error
        if field.width != 1 or not field.volatile or field.access is not Access.READ_ONLY or guard.count is not None:
            raise ValueError(f"{register.name}: its guard {register.guard} must be one volatile read-only bit")
        return guard, field

    def words(self) -> Iterator[tuple[int, Register, int]]:
        """Byte address, register and array index of every word."""
        for register in self.registers:
            for index in range(register.words):
                yield register.address + WORD_BYTES * index, register, index


def _check_register(register: Register) -> None:
    where = register.name
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", where):
        raise ValueError(f"{where}: the name of a register must be an upper-case identifier")
    if register.address < 0 or register.address % WORD_BYTES:
        raise ValueError(f"{where}: its address must be a multiple of {WORD_BYTES}, not {register.address:#x}")
    if register.count is not None and register.count < 1:
        raise ValueError(f"{where}: its count must be 1 or more, not {register.count}")
    if not register.fields:
        raise ValueError(f"{where}: it must have a field")
    free = 0
    for one in register.fields:
        _check_field(where, one, free)
        free = one.low + one.width
    if len({one.name for one in register.fields}) != len(register.fields):
        raise ValueError(f"{where}: two fields have the same name")
    kinds = {one.access for one in register.fields}
    if Access.WRITE_ONLY in kinds and len(kinds) > 1:
        raise ValueError(f"{where}: fields that are write-only must not stand beside others")


def _check_field(register: str, one: Field, free: int) -> None:
    where = f"{register}.{one.name}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", one.name):
        raise ValueError(f"{where}: the name of a field must be a lower-case identifier")
    if one.width < 1 or not free <= one.low <= WORD_BITS - one.width:
        raise ValueError(f"{where}: its bits must lie within {free} .. {WORD_BITS - 1}")
    limit = 1 << one.width
    if any(not 0 <= value < limit for value in (one.reset or 0, *(choice.value for choice in one.choices.values()))):
        raise ValueError(f"{where}: its values must lie within 0 .. {limit - 1}")
    if one.reset is None and not (one.volatile and one.access is Access.READ_ONLY):
        raise ValueError(f"{where}: only what is volatile and read-only may have no reset value")
    if one.access is Access.WRITE_ONE_TO_CLEAR and not one.volatile:
        raise ValueError(f"{where}: what is cleared by writing must be volatile")
    if one.access is Access.WRITE_ONLY and (one.volatile or one.reset):
        raise ValueError(f"{where}: what is write-only must not be volatile and has no reset value")
