"""Registers of a gateway beside those of its core, declared once, and the counters behind them by their names."""

from importlib import metadata

from ..config import LENGTH_BITS
from .register_map import (
    WORD_BITS,
    WORD_BYTES,
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
    "WORD_INDEX_BITS",
    "gateway_registers",
    "release",
]

LETTERS = b"GATE"
MAGIC = int.from_bytes(LETTERS)
VERSION = (1, 3)
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
WORD_INDEX_BITS = LENGTH_BITS - (WORD_BYTES - 1).bit_length()
"""Of the number of a word of a frame."""


def release() -> tuple[int, int, int]:
    """Major, minor and patch of the release of OpenVTEP that this is."""
    major, minor, patch = map(int, metadata.version("openvtep").split("."))
    return major, minor, patch


def gateway_registers(configuration: int, neighbors: int, *, mailbox: int = 0) -> RegisterMap:
    """Declare the registers. Those of the neighbours or those of the mailbox may be left out, none moves by that.

    Parameters
    ----------
    configuration : int
        32 bits that tell bitstreams of a release apart.
    neighbors : int
        Entries of the table of neighbours, 0 .. 64.
    mailbox : int
        Bytes of the longest frame for the host port that can be written to the mailbox; 0: there is none.
    """
    return RegisterMap(
        name="gateway",
        title="OpenVTEP gateway",
        description="What a gateway has beside its core: identification, links, neighbours or the mailbox of the host "
        "port, and the counters of its MACs and its local stack. The rules of access are the core's.",
        size=MAP_BYTES,
        registers=(
            *_identification(configuration),
            *_links(),
            _host(neighbors, mailbox),
            *(_neighbors() if neighbors else ()),
            *_counters(),
            *(_mailbox(mailbox) if mailbox else ()),
        ),
    )


def _identification(configuration: int) -> tuple[Register, ...]:
    return (
        magic_register(LETTERS),
        version_register(VERSION, "Version of these registers."),
        Register(
            name="CONFIGURATION_HASH",
            address=0x008,
            description="Tells bitstreams of a release apart (the core's BUILD_HASH tells its parameters apart).",
            fields=(
                constant_field(
                    "hash", 0, 32, configuration, "First 32 bits of a SHA-256 of board, design and power-on contents."
                ),
            ),
        ),
        Register(
            name="RELEASE",
            address=0x00C,
            description="The release of OpenVTEP that this is.",
            fields=tuple(
                constant_field(name, low, 8, number, f"Its {name} number.")
                for name, low, number in zip(("patch", "minor", "major"), (0, 8, 16), reversed(release()), strict=True)
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


def _host(neighbors: int, mailbox: int) -> Register:
    return Register(
        name="NEIGHBORS",
        address=0x020,
        description="Table of the neighbours whose MAC addresses the gateway finds out. A tunnel whose MAC address "
        "is 00:00:00:00:00:NN goes to neighbour NN.",
        fields=(
            constant_field(
                "entries",
                0,
                7,
                neighbors,
                "Number of entries; 0: there is no local stack.",
            ),
            constant_field("mailbox", 8, 1, int(mailbox > 0), "There is a mailbox, which has the host port's frames."),
        ),
    )


def _neighbors() -> tuple[Register, ...]:
    index = command_field("index", 16, "Which entry; refused if there is none.", width=INDEX_BITS)
    return (
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


def _mailbox(longest: int) -> tuple[Register, ...]:
    reading, sending = "HOST_STATUS.reading", "HOST_STATUS.sending"
    refused = "Refused with an error while {} is set"
    return (
        Register(
            name="HOST_STATUS",
            address=0x060,
            description="State of the mailbox, which has the host port's frames, without FCS.",
            fields=(
                status_field("received", 0, "A frame waits to be read."),
                status_field("reading", 1, "A read of a word is under way."),
                status_field("sending", 2, "A frame has not left yet."),
                constant_field("longest", 16, LENGTH_BITS, longest, "Bytes of the longest frame that can be written."),
            ),
        ),
        Register(
            name="HOST_LENGTH",
            address=0x064,
            description="The frame that waits to be read.",
            fields=(status_field("length", 0, "Its length in bytes; 0 without one.", width=LENGTH_BITS),),
        ),
        Register(
            name="HOST_READ",
            address=0x068,
            guard=reading,
            description="Read four bytes of that frame into HOST_DATA. Refused with an error where no frame waits, and "
            f"while {reading} is set.",
            fields=(command_field("word", 0, "Number of the first byte over 4.", width=WORD_INDEX_BITS),),
        ),
        Register(
            name="HOST_DATA",
            address=0x06C,
            guard=reading,
            description=f"The bytes that were read last; behind the frame's end anything. {refused.format(reading)}.",
            fields=(status_field("data", 0, "The first byte is bits 7 .. 0.", width=WORD_BITS),),
        ),
        Register(
            name="HOST_TAKE",
            address=0x070,
            guard=reading,
            description=f"Be done with that frame. {refused.format(reading)}, and where no frame waits.",
            fields=(command_field("take", 0, "Refused if 0."),),
        ),
        Register(
            name="HOST_WRITE",
            address=0x074,
            guard=sending,
            description=f"Write the next four bytes of a frame for the host port. {refused.format(sending)}, and where "
            "the longest frame is there already.",
            fields=(command_field("data", 0, "The first byte is bits 7 .. 0.", width=WORD_BITS),),
        ),
        Register(
            name="HOST_SEND",
            address=0x078,
            guard=sending,
            description=f"Send what was written. {refused.format(sending)}, and for a length that does not end in the "
            "word that was written last.",
            fields=(command_field("length", 0, "Bytes of the frame; 0: forget what was written.", width=LENGTH_BITS),),
        ),
    )
