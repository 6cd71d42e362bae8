"""What a device holds, as its control plane knows it: settings, and every entry of every table."""

from collections.abc import Iterator, Mapping
from typing import Any

from vtep.config import VtepParameters
from vtep.control.tables import Table, TableEntry, entry_key, entry_layout, key_width, table_capacity, table_plan

from .placement import Placement, Write

__all__ = ["DIRECT", "HASHED", "Image"]

HASHED = (Table.FDB, Table.VNI_MAP, Table.REMOTE)
DIRECT = (Table.VNI, Table.TUNNEL, Table.FLOOD, Table.VLAN)


class Image:
    """Settings and tables of a device. As made, that of a device after reset.

    A method that changes a table returns the writes that do the same to the device, in a safe order.

    Parameters
    ----------
    parameters : VtepParameters

    Attributes
    ----------
    settings : dict
        By the names of `settings_layout`; empty: all 0.
    placed : dict
        `Placement` of each hashed table: keys and values, an entry's rest behind its key.
    """

    def __init__(self, parameters: VtepParameters) -> None:
        self.parameters = parameters
        self.settings: dict[str, int] = {}
        self.placed: dict[Table, Placement] = {}
        # A reset empties VNI and the hashed tables; what stands in the others is then not known.
        self._direct: dict[Table, list[int | None]] = {
            table: [0 if table is Table.VNI else None] * table_capacity(table, parameters) for table in DIRECT
        }
        for table in HASHED:
            plan = table_plan(table, parameters)
            assert plan is not None
            self.placed[table] = Placement(plan, self._layout(table).size - 1 - plan.key_width)

    def copy(self) -> "Image":
        """Return an image that can be changed without this one."""
        other = Image.__new__(Image)
        other.parameters = self.parameters
        other.settings = dict(self.settings)
        other.placed = {table: placed.copy() for table, placed in self.placed.items()}
        other._direct = {table: list(held) for table, held in self._direct.items()}
        return other

    def _layout(self, table: Table) -> Any:
        return entry_layout(table, self.parameters)

    def bits(self, table: Table, index: int) -> int:
        """Entry of a direct table; 0 where it is not known."""
        return self._direct[table][index] or 0

    def fields(self, table: Table, index: int) -> dict[str, int]:
        """Entry of a direct table, by the names of its layout."""
        return self.unpack(table, self.bits(table, index))

    def unpack(self, table: Table, bits: int) -> dict[str, int]:
        """Fields of an entry."""
        return {name: bits >> field.offset & (1 << field.width) - 1 for name, field in self._layout(table)}

    def pack(self, table: Table, fields: Mapping[str, object]) -> int:
        """Bits of an entry; absent fields are 0."""
        bits: int = self._layout(table).const(fields).as_bits()
        return bits

    def write(self, table: Table, index: int, fields: Mapping[str, object]) -> list[TableEntry]:
        """Write an entry of a direct table; nothing where it is there already."""
        bits = self.pack(table, fields)
        if self._direct[table][index] == bits:
            return []
        self._direct[table][index] = bits
        return [TableEntry(table, index, bits)]

    def insert(self, table: Table, fields: Mapping[str, int]) -> list[TableEntry]:
        """Put an entry into a hashed table, or give the one with its key other values.

        Raises
        ------
        TableFullError
            There is no room.
        """
        whole = {name: 0 for name, _ in self._layout(table)} | {"used": 1} | dict(fields)
        key = entry_key(table, self.parameters, whole)
        value = self.pack(table, whole) >> 1 + key_width(table, self.parameters)
        return self._located(table, self.placed[table].insert(key, value))

    def delete(self, table: Table, key: int) -> list[TableEntry]:
        """Take an entry out of a hashed table."""
        return self._located(table, self.placed[table].delete(key))

    def _located(self, table: Table, writes: list[Write]) -> list[TableEntry]:
        width = key_width(table, self.parameters)
        return [
            TableEntry(table, location, 0 if key is None else 1 | key << 1 | value << 1 + width)
            for location, key, value in writes
        ]

    def hashed(self, table: Table) -> dict[int, dict[str, int]]:
        """Entries of a hashed table as fields, by their keys."""
        width = key_width(table, self.parameters)
        placed = self.placed[table]
        return {key: self.unpack(table, 1 | key << 1 | placed[key] << 1 + width) for key in placed}

    def adopt(self, table: Table, index: int, bits: int) -> list[TableEntry]:
        """Take over an entry as the device gave it; returns what mends it, where a move was interrupted.

        Raises
        ------
        ValueError
            No driver put it there.
        """
        if table not in self.placed:
            self._direct[table][index] = bits
            return []
        if not bits & 1:
            return []
        width = key_width(table, self.parameters)
        placed = self.placed[table]
        # Of the key the low bits are in the location.
        high = bits >> 1 & (1 << width) - 1
        key = placed.plan.key_at(index, high >> placed.plan.bucket_bits)
        return self._located(table, placed.adopt(index, key, bits >> 1 + width))

    def entries(self) -> Iterator[TableEntry]:
        """All entries that are known, and not empty ones of VNI and hashed tables; direct tables first."""
        for table, held in self._direct.items():
            for index, bits in enumerate(held):
                if bits or (bits is not None and table is not Table.VNI):
                    yield TableEntry(table, index, bits)
        for table, placed in self.placed.items():
            yield from self._located(table, [Write(*entry) for entry in placed.entries()])
