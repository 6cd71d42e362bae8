"""Registers of a gateway beside those of its core, declared once, and the counters behind them by their names."""

from .register_map import (
    Choice,
    Register,
    RegisterMap,
    command_field,
    constant_field,
    magic_register,
    status_field,
    version_register,
)

__all__ = [
    "GATEWAY_BASE",
    "GATEWAY_COUNTERS",
    "LOCAL_EVENTS",
    "MAC_COUNTERS",
    "MAGIC",
    "PLACE_BITS",
    "PORTS",
    "gateway_registers",
]

LETTERS = b"GATE"
MAGIC = int.from_bytes(LETTERS)
VERSION = (1, 1)
MAP_BYTES = 1 << 12

GATEWAY_BASE = 1 << 12
"""Byte address of the first one on the gateway's bus; the core's registers begin at 0."""

PORTS = ("tenant", "underlay")

MAC_COUNTERS = (
    "etherStatsPkts",
    "etherStatsOctets",
    "etherStatsBroadcastPkts",
    "etherStatsMulticastPkts",
    "etherStatsCRCAlignErrors",
    "etherStatsUndersizePkts",
    "etherStatsOversizePkts",
    "etherStatsFragments",
    "etherStatsJabbers",
    "etherStatsPkts64Octets",
    "etherStatsPkts65to127Octets",
    "etherStatsPkts128to255Octets",
    "etherStatsPkts256to511Octets",
    "etherStatsPkts512to1023Octets",
    "etherStatsPkts1024to1518Octets",
    "etherStatsDropEvents",
    "aFalseCarriers",
    "aFramesTransmittedOK",
    "aFramesLostDueToIntMACXmitError",
)
"""Counters of a MAC by their names in RFC 2819, and in IEEE 802.3 clause 30 for what that has not."""

LOCAL_EVENTS = (
    "arp_reply",
    "neighbor_advertisement",
    "echo_reply",
    "resolved",
    "confirmed",
    "ignored",
    "malformed",
    "checksum",
    "solicitation",
    "expired",
    "no_room",
    "marked",
    "unresolved",
)
"""What is counted of the local stack: the events of `vtep.local.stack.events_layout`, and frames for a neighbour that
is not resolved, which are dropped."""

GATEWAY_COUNTERS = tuple(
    f"{owner}.{name}"
    for owner, names in (*((port, MAC_COUNTERS) for port in PORTS), ("local", LOCAL_EVENTS))
    for name in names
)
"""Names of all counters; a counter's address is its place here."""

COUNTER_ADDRESS_BITS = 8
INDEX_BITS = 6
PLACE_BITS = 5
"""Of a place in the entry of a neighbour."""


def gateway_registers(configuration: int, neighbors: int) -> RegisterMap:
    """Declare the registers.

    Parameters
    ----------
    configuration : int
        32 bits that tell bitstreams of one build apart.
    neighbors : int
        Entries of the table of neighbours, 1 .. 64.
    """
    return RegisterMap(
        name="gateway",
        title="OpenVTEP gateway",
        description="What a gateway has beside its core: identification, links, neighbours, and the counters of its "
        "MACs and its local stack. The rules of access are those of the core's registers.",
        size=MAP_BYTES,
        registers=(*_identification(configuration), *_links(), *_neighbors(neighbors), *_counters()),
    )


def _identification(configuration: int) -> tuple[Register, ...]:
    return (
        magic_register(LETTERS),
        version_register(VERSION, "Version of these registers."),
        Register(
            name="CONFIGURATION_HASH",
            address=0x008,
            description="Tells bitstreams of one build apart (the core's BUILD_HASH tells builds apart).",
            fields=(
                constant_field(
                    "hash", 0, 32, configuration, "First 32 bits of a SHA-256 of board and power-on contents."
                ),
            ),
        ),
    )


def _links() -> tuple[Register, ...]:
    speeds = {f"MBPS_{10**power}": Choice(power - 1, f"{10**power} Mb/s.") for power in (1, 2, 3)}
    return tuple(
        Register(
            name=f"{name.upper()}_LINK",
            address=0x010 + 4 * number,
            description=f"Link of the {name}'s port.",
            fields=(
                status_field("up", 0, "It is up.", reset=None),
                status_field("speed", 1, "Its speed.", width=2, reset=None, choices=speeds),
                status_field("full_duplex", 3, "It is full duplex.", reset=None),
            ),
        )
        for number, name in enumerate(PORTS)
    )


def _neighbors(neighbors: int) -> tuple[Register, ...]:
    index = command_field("index", 16, "Which entry; refused if there is none.", width=INDEX_BITS)
    return (
        Register(
            name="NEIGHBORS",
            address=0x020,
            description="Table of the neighbours whose MAC addresses the gateway finds out. A tunnel whose MAC address "
            "is 00:00:00:00:00:NN goes to neighbour NN.",
            fields=(constant_field("entries", 0, 7, neighbors, "Number of entries."),),
        ),
        Register(
            name="NEIGHBOR_STATUS",
            address=0x024,
            description="State of the access to the table of neighbours.",
            fields=(
                status_field("writing", 0, "The byte of NEIGHBOR_WRITE is not in the table yet."),
                status_field("reading", 1, "A read is under way."),
            ),
        ),
        Register(
            name="NEIGHBOR_WRITE",
            address=0x028,
            guard="NEIGHBOR_STATUS.writing",
            description="Write a byte of an entry, below STATE (see `vtep.local.neighbors.Place`). With any byte the "
            "entry is out of use; with FAMILY, which is to come last, it begins anew. Refused with an error while "
            "NEIGHBOR_STATUS.writing is set.",
            fields=(
                command_field("data", 0, "The byte.", width=8),
                command_field("place", 8, "Its place; refused if that is STATE or behind it.", width=PLACE_BITS),
                index,
            ),
        ),
        Register(
            name="NEIGHBOR_READ",
            address=0x02C,
            guard="NEIGHBOR_STATUS.reading",
            description="Read four bytes of an entry into NEIGHBOR_DATA. Refused with an error while "
            "NEIGHBOR_STATUS.reading is set.",
            fields=(
                command_field(
                    "place", 8, "Place of the first one; refused if it is no multiple of 4.", width=PLACE_BITS
                ),
                index,
            ),
        ),
        Register(
            name="NEIGHBOR_DATA",
            address=0x030,
            guard="NEIGHBOR_STATUS.reading",
            description="The bytes that were read last. What is being found out may change between two reads. Refused "
            "with an error while NEIGHBOR_STATUS.reading is set.",
            fields=(status_field("data", 0, "The first byte is bits 7 .. 0.", width=32),),
        ),
    )


def _counters() -> tuple[Register, ...]:
    guard = "COUNTER_STATUS.busy"
    refused = f"Refused with an error while {guard} is set"
    value = f"The counter that was read last. {refused}, so that the two halves are always of one value."
    return (
        Register(
            name="COUNTER_STATUS",
            address=0x040,
            description="State of the counters.",
            fields=(
                status_field(
                    "busy",
                    0,
                    "A command is being carried out, or the counters are being cleared after reset.",
                    reset=None,
                ),
            ),
        ),
        Register(
            name="COUNTER_CONTROL",
            address=0x044,
            guard=guard,
            description=f"Commands for all counters, one a write. {refused}, and unless exactly one bit is set.",
            fields=(
                command_field("clear", 0, "Set all counters to 0."),
                command_field("snapshot", 1, "Take a copy of all counters, to be read at leisure."),
            ),
        ),
        Register(
            name="COUNTER_COMMAND",
            address=0x048,
            guard=guard,
            description=f"Read a counter into COUNTER_LOW and COUNTER_HIGH. {refused}, and where there is no counter.",
            fields=(
                command_field(
                    "address",
                    0,
                    "Address of the counter: its place in `GATEWAY_COUNTERS`.",
                    width=COUNTER_ADDRESS_BITS,
                ),
                command_field("snapshot", 31, "Read the copy that COUNTER_CONTROL.snapshot took."),
            ),
        ),
        Register(
            name="COUNTER_LOW",
            address=0x04C,
            guard=guard,
            description=value,
            fields=(status_field("value", 0, "Bits 31 .. 0.", width=32),),
        ),
        Register(
            name="COUNTER_HIGH",
            address=0x050,
            guard=guard,
            description=value,
            fields=(status_field("value", 0, "Bits 63 .. 32.", width=32),),
        ),
    )
