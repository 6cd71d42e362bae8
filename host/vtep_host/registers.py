"""Registers and their fields by name, from the declaration that the gateware is made of."""

from vtep.control.register_map import WORD_BITS, WORD_BYTES, Register, RegisterMap

from .transport import Transport

__all__ = ["RegisterHandle", "Registers"]


class RegisterHandle:
    """One register of a device, or one word of an array; an array's words are got by index: ``handle[2]``."""

    def __init__(self, transport: Transport, register: Register, address: int, index: int | None = None) -> None:
        self.register = register
        self.address = address
        self._transport = transport
        self._index = index

    @property
    def name(self) -> str:
        """Name as the documents have it, with the index in an array."""
        return self.register.name if self._index is None else f"{self.register.name}[{self._index}]"

    def __getitem__(self, index: int) -> "RegisterHandle":
        count = self.register.count
        if count is None or self._index is not None:
            raise TypeError(f"{self.name} is no array")
        if not 0 <= index < count:
            raise IndexError(f"the index of {self.name} must be within 0 .. {count - 1}, not {index}")
        return RegisterHandle(self._transport, self.register, self.address + WORD_BYTES * index, index)

    def __len__(self) -> int:
        return self.register.words

    def read(self) -> int:
        """Value of the register."""
        self._require_word()
        return self._transport.read(self.address)

    def write(self, value: int) -> None:
        """Write the register.

        Raises
        ------
        ValueError
            ``value`` has more than 32 bits.
        """
        self._require_word()
        if not 0 <= value < 1 << WORD_BITS:
            raise ValueError(f"{self.name} must be an integer within 0 .. {(1 << WORD_BITS) - 1:#x}, not {value!r}")
        self._transport.write(self.address, value)

    def read_fields(self) -> dict[str, int]:
        """Values of all fields, from one read."""
        return self.register.unpack(self.read())

    def read_field(self, name: str) -> int:
        """Value of the field ``name``."""
        return self.register[name].of(self.read())

    def write_fields(self, **values: int) -> None:
        """Write the register with these fields, the others 0.

        Raises
        ------
        KeyError, ValueError
            There is no such field, or the value does not fit.
        """
        self.write(self.register.pack(**values))

    def update(self, **values: int) -> None:
        """Read the register, and write it with these fields changed.

        Raises
        ------
        KeyError, ValueError
            There is no such field, or the value does not fit.
        """
        changed = self.register.pack(**values)
        mask = sum(self.register[name].mask for name in values)
        self.write(self.read() & ~mask | changed)

    def _require_word(self) -> None:
        if self.register.count is not None and self._index is None:
            raise TypeError(f"{self.name} is an array: say which word")


class Registers:
    """All registers of a device, by name: ``registers["STATUS"].read_field("idle")``.

    Parameters
    ----------
    transport : Transport
    registers : RegisterMap
    base : int
        Address of the map at the transport.
    """

    def __init__(self, transport: Transport, registers: RegisterMap, base: int = 0) -> None:
        self.map = registers
        self._handles = {
            register.name: RegisterHandle(transport, register, base + register.address) for register in registers
        }

    def __getitem__(self, name: str) -> RegisterHandle:
        if name not in self._handles:
            raise KeyError(f"there is no register {name!r}, but " + ", ".join(self._handles))
        return self._handles[name]
