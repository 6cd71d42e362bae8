"""The registers of the VTEP, declared once: gateware, documents and driver are made from `vtep_registers`.

Addresses do not depend on the build; what does are the constants, the length of TABLE_DATA and the reset values of the
settings.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..config import LENGTH_BITS, Mode, VtepParameters
from .counters import COUNTER_ADDRESS_BITS
from .register_map import (
    WORD_BITS,
    Access,
    Choice,
    Field,
    Register,
    RegisterMap,
    command_field,
    constant_field,
    magic_register,
    status_field,
    version_register,
)
from .tables import Table, entry_layout, settings_layout, table_capacity, table_entries

__all__ = [
    "MAGIC",
    "SETTINGS_PLACES",
    "VERSION",
    "build_hash",
    "pack_settings",
    "unpack_settings",
    "vtep_registers",
]

LETTERS = b"VTEP"
MAGIC = int.from_bytes(LETTERS)
VERSION = (1, 0)
"""Of this register map: a driver of one major version does not work with another; a minor one only adds."""

MAP_BYTES = 1 << 12
MAX_TABLE_DATA = 16

SETTINGS_PLACES: dict[str, tuple[tuple[str, str], ...]] = {
    "mac": (("MAC_LOW", "mac"), ("MAC_HIGH", "mac")),
    "ipv4": (("IPV4", "ipv4"),),
    "ipv6": tuple((f"IPV6_{word}", "ipv6") for word in range(4)),
    "ipv6_used": (("OPTIONS", "ipv6_used"),),
    "udp_port": (("UDP_PORT", "udp_port"),),
    "underlay_mtu": (("UNDERLAY_MTU", "underlay_mtu"),),
    "source_port_base": (("SOURCE_PORT", "source_port_base"),),
    "source_port_bits": (("SOURCE_PORT", "source_port_bits"),),
    "reserved_strict": (("OPTIONS", "reserved_bits"),),
    "udp_checksum_verify": (("OPTIONS", "udp_checksum_rx"),),
    "udp6_zero_checksum": (("OPTIONS", "udp6_zero_checksum_rx"),),
    "promiscuous": (("OPTIONS", "promiscuous"),),
}
"""Where each field of `settings_layout` stands: register and field of its parts, low bits first."""


def build_hash(parameters: VtepParameters) -> int:
    """Tell builds apart: the first 32 bits of the SHA-256 of all build parameters, as ``name=value`` lines."""
    values = {key: value.value if isinstance(value, Mode) else value for key, value in asdict(parameters).items()}
    text = "".join(f"{key}={values[key]}\n" for key in sorted(values))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def pack_settings(registers: RegisterMap, settings: Mapping[str, int]) -> dict[str, int]:
    """Value of each settings register by its name. ``settings``: by the names of `settings_layout`; absent ones are 0.

    Raises
    ------
    ValueError
        There is no such setting, or a value does not fit.
    """
    words = {register: 0 for places in SETTINGS_PLACES.values() for register, _ in places}
    for name, value in settings.items():
        for (register, field), part in zip(SETTINGS_PLACES.get(name, ()), _parts(name, value), strict=True):
            words[register] |= registers[register][field].place(part)
    return words


def unpack_settings(registers: RegisterMap, words: Mapping[str, int]) -> dict[str, int]:
    """Settings from the values of their registers: the reverse of `pack_settings`."""
    settings = {}
    for name, places in SETTINGS_PLACES.items():
        settings[name], low = 0, 0
        for register, field in places:
            place = registers[register][field]
            settings[name] |= place.of(words[register]) << low
            low += place.width
    return settings


def _parts(name: str, value: int) -> list[int]:
    """Cut a setting into words, as many as it has places."""
    layout = settings_layout()
    if name not in SETTINGS_PLACES:
        raise ValueError(f"there is no setting {name!r}; allowed: " + ", ".join(SETTINGS_PLACES))
    limit = 1 << layout[name].width
    if not 0 <= value < limit:
        raise ValueError(f"{name} must be an integer within 0 .. {limit - 1}, not {value!r}")
    return [value >> WORD_BITS * i & (1 << WORD_BITS) - 1 for i in range(len(SETTINGS_PLACES[name]))]


_DESCRIPTION = """A VXLAN tunnel endpoint. Registers are 32 bits wide, addresses count bytes, and a value wider than a
register has its low bits at the lower address. Every access is answered: with an error (SLVERR) and without any effect
where no register is, at a write to a read-only register or a read of a write-only one, and where a description says
so. Writes may bring any of the four bytes, but for commands (registers that are write-only), which take all four or
nothing. Sequences of several accesses are one driver's at a time."""


def vtep_registers(parameters: VtepParameters, settings: Mapping[str, int] | None = None) -> RegisterMap:
    """Declare the registers of a build.

    Parameters
    ----------
    parameters : VtepParameters
    settings : mapping or None
        Settings in effect after reset, by the names of `settings_layout`; absent ones are 0.

    Raises
    ------
    ValueError
        There is no such setting, or a value does not fit; a table's entry is too wide.
    """
    resets = {name: _parts(name, value) for name, value in (settings or {}).items()}
    return RegisterMap(
        name="vtep",
        title="OpenVTEP",
        description=_DESCRIPTION,
        size=MAP_BYTES,
        registers=(
            *_identification(parameters),
            *_capacities(parameters),
            *_control(),
            *_settings(resets),
            *_table_access(parameters),
            *_counter_access(),
        ),
    )


def _identification(parameters: VtepParameters) -> tuple[Register, ...]:
    modes = {
        "STORE_AND_FORWARD": Choice(0, "A frame leaves when it is whole and good."),
        "CUT_THROUGH": Choice(1, "A frame leaves at once; one that proves bad leaves marked."),
    }
    built = {"ABSENT": Choice(0, "Not built."), "PRESENT": Choice(1, "Built.")}

    def mode(value: Mode) -> int:
        return int(value is Mode.CUT_THROUGH)

    return (
        magic_register(LETTERS),
        version_register(VERSION, "Version of this register map. Drivers of another major version must keep off."),
        Register(
            name="BUILD_HASH",
            address=0x008,
            description="Tells builds apart.",
            fields=(
                constant_field("hash", 0, 32, build_hash(parameters), "First 32 bits of a SHA-256 of all parameters."),
            ),
        ),
        Register(
            name="BUILD",
            address=0x00C,
            description="What was built.",
            fields=(
                constant_field("data_width", 0, 10, parameters.data_width, "Width of the datapath in bits."),
                constant_field("encap_mode", 16, 1, mode(parameters.encap_mode), "Encapsulation.", choices=modes),
                constant_field("decap_mode", 17, 1, mode(parameters.decap_mode), "Decapsulation.", choices=modes),
                constant_field(
                    "tenant_length",
                    18,
                    1,
                    parameters.tenant_length,
                    "The tenant input carries each frame's length beside its first beat.",
                    choices=built,
                ),
                constant_field("ipv6", 19, 1, parameters.ipv6, "IPv6 underlay.", choices=built),
                constant_field("udp_checksum", 20, 1, parameters.udp_checksum, "UDP checksum units.", choices=built),
            ),
        ),
        Register(
            name="FRAME_LENGTH",
            address=0x010,
            description="Bounds of a frame.",
            fields=(
                constant_field(
                    "max_frame_length",
                    0,
                    LENGTH_BITS,
                    parameters.max_frame_length,
                    "Longest frame that is accepted, in bytes without FCS.",
                ),
            ),
        ),
    )


_TABLE_TEXT = {
    Table.VNI: "VNIs ([[vni]])",
    Table.TUNNEL: "tunnels ([[tunnel]])",
    Table.FDB: "forwarding database entries ([[fdb]], hashed)",
    Table.FLOOD: "elements of flood lists",
    Table.VLAN: "VNIs by VLAN identifier",
    Table.VNI_MAP: "indices by VNI (hashed)",
    Table.REMOTE: "tunnels by remote address (hashed)",
}


def _capacities(parameters: VtepParameters) -> tuple[Register, ...]:
    return tuple(
        Register(
            name=f"{table.name}_ENTRIES",
            address=0x040 + 4 * table.value,
            description=f"Size of the table of {text}.",
            fields=(
                constant_field(
                    "entries",
                    0,
                    32,
                    table_entries(table, parameters),
                    "Number of entries that it is built for. Indices are below it, in the FDB below its locations.",
                ),
            ),
        )
        for table, text in _TABLE_TEXT.items()
    )


def _control() -> tuple[Register, ...]:
    return (
        Register(
            name="CONTROL",
            address=0x080,
            description="Commands, one a write: refused with an error unless exactly one bit is set. Those of the "
            "counters are refused while STATUS.counters_busy is set.",
            fields=(
                command_field(
                    "commit_settings",
                    0,
                    "Put the settings registers into effect, all in one clock; the access ends then.",
                ),
                command_field("revert_settings", 1, "Set the settings registers to what is in effect."),
                command_field("clear_counters", 2, "Set all counters to 0."),
                command_field("snapshot_counters", 3, "Take a copy of all counters, to be read at leisure."),
            ),
        ),
        Register(
            name="STATUS",
            address=0x084,
            description="What is going on.",
            fields=(
                status_field("idle", 0, "No frame is inside.", reset=None),
                status_field("counters_busy", 1, "The counters are being cleared or copied.", reset=None),
                status_field("uncommitted", 2, "A settings register was written and not committed since."),
                Field(
                    name="refused",
                    low=8,
                    width=1,
                    access=Access.WRITE_ONE_TO_CLEAR,
                    volatile=True,
                    description="An access was answered with an error since this bit was last cleared. For transports "
                    "that do not tell.",
                ),
            ),
        ),
        Register(
            name="SCRATCH",
            address=0x088,
            description="Without meaning; for testing the way to here.",
            fields=(Field(name="scratch", low=0, width=32, description="Reads as written."),),
        ),
    )


def _settings(resets: Mapping[str, list[int]]) -> tuple[Register, ...]:
    off_on = {"OFF": Choice(0, "No."), "ON": Choice(1, "Yes.")}
    ignore_strict = {
        "IGNORE": Choice(0, "As RFC 7348 asks for."),
        "STRICT": Choice(1, "A frame with a reserved bit set is dropped."),
    }
    ignore_verify = {
        "IGNORE": Choice(0, "Take every sum."),
        "VERIFY": Choice(1, "A frame with a wrong sum is dropped."),
    }
    parts = {
        place: resets[name][i]
        for name, places in SETTINGS_PLACES.items()
        if name in resets
        for i, place in enumerate(places)
    }

    def setting(
        register: str, name: str, low: int, width: int, text: str, choices: Mapping[str, Choice] | None = None
    ) -> Field:
        return Field(
            name=name,
            low=low,
            width=width,
            volatile=True,  # a revert changes it
            description=text,
            reset=parts.get((register, name), 0),
            choices=choices or {},
        )

    def word(name: str, address: int, text: str, *fields: tuple[Any, ...]) -> Register:
        return Register(
            name=name,
            address=address,
            description=f"{text} In effect after CONTROL.commit_settings.",
            fields=tuple(setting(name, *field) for field in fields),
        )

    return (
        word(
            "MAC_LOW",
            0x0C0,
            "Own MAC address, low part.",
            ("mac", 0, 32, "The last four bytes, the last one on the wire in the low bits."),
        ),
        word("MAC_HIGH", 0x0C4, "Own MAC address, high part.", ("mac", 0, 16, "The first two bytes.")),
        word("IPV4", 0x0C8, "Own IPv4 address.", ("ipv4", 0, 32, "The address, its last byte in the low bits.")),
        word(
            "OPTIONS",
            0x0CC,
            "How frames are judged.",
            ("ipv6_used", 0, 1, "There is an own IPv6 address.", off_on),
            ("reserved_bits", 1, 1, "Reserved bits of the VXLAN header.", ignore_strict),
            ("udp_checksum_rx", 2, 1, "UDP checksums that are not zero.", ignore_verify),
            ("udp6_zero_checksum_rx", 3, 1, "Accept a zero UDP checksum over IPv6.", off_on),
            ("promiscuous", 4, 1, "Decapsulate whatever the outer MAC and IP.", off_on),
        ),
        *(
            word(
                f"IPV6_{i}",
                0x0D0 + 4 * i,
                "Own IPv6 address.",
                ("ipv6", 0, 32, f"Bits {32 * i + 31} .. {32 * i}; the last byte on the wire is bits 7 .. 0."),
            )
            for i in range(4)
        ),
        word(
            "UDP_PORT",
            0x0E0,
            "UDP port of VXLAN.",
            ("udp_port", 0, 16, "Destination port that is received as VXLAN."),
        ),
        word(
            "UNDERLAY_MTU", 0x0E4, "MTU of the underlay.", ("underlay_mtu", 0, 16, "Largest outer IP packet in bytes.")
        ),
        word(
            "SOURCE_PORT",
            0x0E8,
            "UDP source ports of encapsulated frames.",
            ("source_port_base", 0, 16, "The lowest one."),
            ("source_port_bits", 16, 5, "Their number is 2 to the power of this; 0 .. 16."),
        ),
    )


def _table_access(parameters: VtepParameters) -> tuple[Register, ...]:
    tables = {table: text for table, text in _TABLE_TEXT.items() if table_capacity(table, parameters)}
    width = max(entry_layout(table, parameters).size for table in tables)
    words = -(-width // WORD_BITS)
    if words > MAX_TABLE_DATA:
        raise ValueError(f"entries must be within 1 .. {MAX_TABLE_DATA * WORD_BITS} bits, not {width}")
    guard = "TABLE_STATUS.busy"
    refused = f"Reads and writes are refused with an error while {guard} is set."
    return (
        Register(
            name="TABLE_SELECT",
            address=0x100,
            guard=guard,
            description=f"Which table a command is for. {refused}",
            fields=(
                Field(
                    name="table",
                    low=0,
                    width=8,
                    description="The table.",
                    choices={table.name: Choice(table.value, f"Table of {text}.") for table, text in tables.items()},
                ),
            ),
        ),
        Register(
            name="TABLE_INDEX",
            address=0x104,
            guard=guard,
            description=f"Which entry of the table a command is for. {refused}",
            fields=(Field(name="index", low=0, width=32, description="Index of the entry."),),
        ),
        Register(
            name="TABLE_COMMAND",
            address=0x108,
            guard=guard,
            description="Commands, one a write: refused with an error unless exactly one bit is set, TABLE_SELECT "
            f"names a table, TABLE_INDEX is below its number of entries and {guard} is not set.",
            fields=(
                command_field("write", 0, "Put TABLE_DATA into the table as one whole entry."),
                command_field("read", 1, "Get the entry into TABLE_DATA."),
            ),
        ),
        Register(
            name="TABLE_STATUS",
            address=0x10C,
            description="State of the table access.",
            fields=(
                status_field(
                    "busy", 0, "A read is under way, or the tables are being emptied after reset.", reset=None
                ),
            ),
        ),
        Register(
            name="TABLE_DATA",
            address=0x140,
            count=words,
            guard=guard,
            description=f"An entry, to be written or as it was read. {refused}",
            fields=(
                Field(
                    name="data",
                    low=0,
                    width=32,
                    volatile=True,
                    description="32 bits of it; TABLE_DATA[0] is the lowest.",
                ),
            ),
        ),
    )


def _counter_access() -> tuple[Register, ...]:
    guard = "COUNTER_STATUS.busy"
    refused = f"Refused with an error while {guard} is set, so that the two halves are always of one value."
    return (
        Register(
            name="COUNTER_COMMAND",
            address=0x180,
            guard=guard,
            description=f"Read a counter into COUNTER_LOW and COUNTER_HIGH. Refused with an error while {guard} is "
            f"set, and where address does not fit in {COUNTER_ADDRESS_BITS} bits.",
            fields=(
                Field(
                    name="address",
                    low=0,
                    width=24,
                    access=Access.WRITE_ONLY,
                    description="Address of the counter. Where there is none, the value is 0.",
                ),
                command_field("snapshot", 31, "Read the copy that CONTROL.snapshot_counters took."),
            ),
        ),
        Register(
            name="COUNTER_STATUS",
            address=0x184,
            description="State of the counter access.",
            fields=(status_field("busy", 0, "A read is under way."),),
        ),
        Register(
            name="COUNTER_LOW",
            address=0x188,
            guard=guard,
            description=f"The counter that was read last. {refused}",
            fields=(status_field("value", 0, "Bits 31 .. 0.", width=32),),
        ),
        Register(
            name="COUNTER_HIGH",
            address=0x18C,
            guard=guard,
            description=f"The counter that was read last. {refused}",
            fields=(status_field("value", 0, "Bits 63 .. 32.", width=32),),
        ),
    )
