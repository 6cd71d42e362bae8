"""What a core holds after reset, as a file: the way from a configuration to a build.

JSON with ``build_hash``, that of the parameters it was made for, ``settings`` by the names of `settings_layout`, and
``entries``: table, index, and the entry's bits in hexadecimal, in the order of writing.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from ..config import VtepParameters
from .registers import build_hash, pack_settings, vtep_registers
from .tables import Table, TableEntry, check_entries

__all__ = ["Initial", "dumps", "loads"]

FORMAT = "openvtep-initial-1"


class Initial(NamedTuple):
    """Settings by the names of `settings_layout`, and entries in the order of writing."""

    settings: dict[str, int]
    entries: Sequence[TableEntry]


def dumps(initial: Initial, parameters: VtepParameters) -> str:
    """Text of the file."""
    document = {
        "format": FORMAT,
        "build_hash": f"{build_hash(parameters):#010x}",
        "settings": {name: f"{value:#x}" for name, value in initial.settings.items()},
        "entries": [[table.name, location, f"{bits:#x}"] for table, location, bits in initial.entries],
    }
    return json.dumps(document, indent=1) + "\n"


def loads(text: str, parameters: VtepParameters) -> Initial:
    """Read the file back.

    Raises
    ------
    ValueError
        It is none, was made for other parameters, or does not fit them; the message says which.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f'is no file of initial contents ("format" must be "{FORMAT}")')
    if document.get("build_hash") != f"{build_hash(parameters):#010x}":
        raise ValueError(f"was made for other parameters (build_hash {document.get('build_hash')!r})")
    try:
        settings = {name: int(value, 16) for name, value in document["settings"].items()}
        entries = [_entry(*entry) for entry in document["entries"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"is damaged: {error!r}") from error
    pack_settings(vtep_registers(parameters), settings)
    return Initial(settings, check_entries(parameters, entries))


def _entry(table: str, location: int, bits: str) -> TableEntry:
    if type(location) is not int:
        raise TypeError(f"{location!r} is no index")
    return TableEntry(Table[table], location, int(bits, 16))
