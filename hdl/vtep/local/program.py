"""The program of the local stack: what it answers, and how it resolves its neighbours.

Sources: RFC 826 (ARP), RFC 5227 (probes and announcements), RFC 792 and RFC 1122 section 3.2.2.6 (echo), RFC 4443
(ICMPv6), RFC 4861 sections 7.1 and 7.2 (neighbour discovery).
"""

from enum import IntEnum

from ..config import check_range
from ..headers import ETHERNET, ETHERTYPE_CTAG, ETHERTYPE_IPV4, ETHERTYPE_IPV6, IPV4, IPV6, MAC_BYTES, Header
from .instructions import Assembler, Condition, Operation, Page, Program, Source, Value
from .neighbors import USABLE, Place, State
from .sequencer import OWN_IPV4, OWN_IPV6, OWN_MAC

__all__ = ["EVENTS", "MAX_REACHABLE_SECONDS", "RETRY_SECONDS", "SLOW_SECONDS", "TICKS", "TRIES", "Event", "program"]

TICKS = 4
"""In a second."""

MAX_REACHABLE_SECONDS = 63

RETRY_SECONDS = 1
"""Between the first asks; RetransTimer of RFC 4861 section 10."""

TRIES = 3
"""Asks until a neighbour that was reachable is taken for lost, and until asking becomes slow."""

SLOW_SECONDS = 8
"""Between asks of one that did not answer."""


class Event(IntEnum):
    """What the program tells of. For each frame it is at least one of the first eight."""

    ARP_REPLY = 0  # sent
    NEIGHBOR_ADVERTISEMENT = 1  # sent
    ECHO_REPLY = 2  # sent
    RESOLVED = 3  # an answer filled an entry
    CONFIRMED = 4  # something came for an entry that was filled
    IGNORED = 5  # a frame that nothing is to be done about
    MALFORMED = 6  # a frame that ends too early, or is forbidden by a rule of its protocol
    CHECKSUM = 7  # a wrong checksum of IPv4, ICMP or ICMPv6
    SOLICITATION = 8  # sent
    EXPIRED = 9  # a neighbour that was reachable is so no longer


EVENTS = tuple(event.name.lower() for event in Event)

ARP = Header(
    "ARP",
    (
        ("hardware_type", 16),
        ("protocol_type", 16),
        ("hardware_length", 8),
        ("protocol_length", 8),
        ("operation", 16),
        ("sender_mac", 48),
        ("sender_ipv4", 32),
        ("target_mac", 48),
        ("target_ipv4", 32),
    ),
)
ETHERTYPE_ARP = 0x0806
ARP_REQUEST, ARP_REPLY = 1, 2
PROTOCOL_ICMP = 1
PROTOCOL_ICMPV6 = 58
ECHO_REQUEST, ECHO_REPLY = 8, 0
ECHO_REQUEST6, ECHO_REPLY6 = 128, 129
SOLICITATION, ADVERTISEMENT = 135, 136
ND = Header("ND", (("type", 8), ("code", 8), ("checksum", 16), ("flags", 32), ("target", 128)))
ND_OPTION = 8  # bytes of an option with a MAC address
SOURCE_MAC, TARGET_MAC = 1, 2  # options
SOLICITED, OVERRIDE = 0x40, 0x20  # flags of an advertisement
SOLICITED_NODE = bytes([0xFF, 2, *bytes(9), 1, 0xFF])  # the first 13 bytes
ALL_NODES = bytes([0xFF, 2, *bytes(13), 1])
TTL = 64
ND_HOP_LIMIT = 255

IP = ETHERNET.length
V6 = IP + IPV6.length

# Variables: in front of them is the first entry's initial content.
FOUND, CHECKSUM, REST_SUM, UNITS, WANTED, FOUND_MAC = 19, 20, 22, 24, 25, 26


def program(reachable_seconds: int) -> Program:
    """The program.

    Parameters
    ----------
    reachable_seconds : int
        1 .. 63: after so long a neighbour is asked again.
    """
    check_range("reachable_seconds", reachable_seconds, 1, MAX_REACHABLE_SECONDS)
    p = _Program(reachable_seconds)
    p.start()
    p.loop()
    p.age()
    p.ask()
    p.table_write()
    p.frame()
    p.arp()
    p.ipv4()
    p.ipv6()
    p.echo6()
    p.discovery()
    p.learn()
    return p.program()


class _Program(Assembler):
    def __init__(self, reachable_seconds: int) -> None:
        super().__init__()
        self._reachable = reachable_seconds * TICKS

    # Words of the language that the rest is written in.

    def jump(self, target: str, condition: Condition = Condition.ALWAYS) -> None:
        self.control(condition=condition, target=target)

    def jump_unless(self, target: str, condition: Condition) -> None:
        self.control(condition=condition, negate=True, target=target)

    def seek(self, place: int) -> None:
        """Go to ``place`` of an untagged frame; what is behind the MAC addresses is further back in a tagged one."""
        self.control(Operation.SEEK if place < MAC_BYTES else Operation.SEEK_BEHIND_TAG, place)

    def skip(self, count: int) -> None:
        while count:
            step = count if count <= 14 else min(count, 16) if count >= 16 else 14
            self.octets(step, frame=True)
            count -= step

    def expect(self, *octets: int, mask: int = 0xFF) -> None:
        """The frame's next bytes are these."""
        if len(octets) > 1:
            self._constants(bytes(octets), frame=True, compare=True)
        else:
            self.octets(frame=True, immediate=octets[0], mask=mask, compare=True)

    def _constants(
        self, octets: bytes, *, frame: bool = False, compare: bool = False, emit: bool = False, add: bool = False
    ) -> None:
        for i in range(0, len(octets), 14):
            part = octets[i : i + 14]
            self.octets(
                len(part),
                page=Page.CONSTANT,
                place=self.constant(part),
                frame=frame,
                compare=compare,
                emit=emit,
                add=add,
            )

    def expect_own(self, count: int, place: int) -> None:
        self.octets(count, frame=True, source=Source.OWN, place=place, compare=True)

    def expect_entry(self, place: int, octet: int, mask: int = 0xFF) -> None:
        self.octets(place=place, immediate=octet, mask=mask, compare=True)

    def expect_zeros(self, count: int, *, source: Source | None = None, place: int = 0) -> None:
        self.octets(count, frame=source is None, source=source or Source.MEMORY, place=place, immediate=0, compare=True)

    def emit(self, *octets: int) -> None:
        self._fixed(bytes(octets), emit=True)

    def _fixed(self, octets: bytes, *, emit: bool = False, add: bool = False) -> None:
        if len(set(octets)) == 1:
            self.octets(len(octets), immediate=octets[0], value=Value.IMMEDIATE, emit=emit, add=add)
        else:
            self._constants(octets, emit=emit, add=add)

    def emit_frame(self, count: int | None, *, last: bool = False) -> None:
        self.octets(count, frame=True, emit=True, last=last)

    def own(self, count: int, place: int, *, emit: bool = False, add: bool = False, last: bool = False) -> None:
        self.octets(count, source=Source.OWN, place=place, emit=emit, add=add, last=last)

    def emit_sum(self) -> None:
        self.octets(2, source=Source.SUM, emit=True)

    def add(self, *octets: int) -> None:
        self._fixed(bytes(octets), add=True)

    def add_frame(self, count: int | None) -> None:
        self.octets(count, frame=True, add=True)

    def carry(self) -> None:
        """Add the carries that are left."""
        self.add(0, 0)

    def store(self, place: int, octet: int, page: Page = Page.ENTRY) -> None:
        self.octets(page=page, place=place, immediate=octet, value=Value.IMMEDIATE, store=True)

    def event(self, event: Event, target: str | None = None) -> None:
        self.control(
            Operation.EVENT, event, condition=Condition.ALWAYS if target else Condition.NEVER, target=target or 0
        )

    def limit(self, length_field: int, start: int) -> None:
        """Go to ``start``, from where on the packet has as many bytes as ``length_field`` tells."""
        self.seek(length_field)
        self.skip(2)
        # The length is in the last two bytes read, which seeking leaves alone.
        self.seek(start)
        self.control(Operation.LIMIT)

    def copy_tag(self) -> None:
        label = f"untagged_{len(self._lines)}"
        self.jump_unless(label, Condition.TAGGED)
        self.control(Operation.SEEK, MAC_BYTES)
        self.emit_frame(4)
        self.label(label)

    # What it does.

    def start(self) -> None:
        """Make the entries what they were at first."""
        self.control(Operation.FIRST)
        self.label("start")
        self.octets(14, page=Page.INITIAL, store=True)
        self.octets(5, page=Page.INITIAL, place=14, store=True)
        self.control(Operation.PUBLISH, 0)
        self.store(Place.STATE, State.UNUSED)
        self.expect_entry(Place.FAMILY, 4, mask=0xFD)
        self.jump("started", Condition.DIFFERENT)
        self.store(Place.STATE, State.INCOMPLETE)
        self.store(Place.TIMER, 1)
        self.store(Place.TRIES, 0)
        self.label("started")
        self.control(Operation.NEXT, condition=Condition.LAST, negate=True, target="start")

    def loop(self) -> None:
        """Serve frames, ticks, writes and wakings in turn, so that none of them keeps the others waiting."""
        self.label("loop")
        self.jump("frame", Condition.FRAME)
        self.label("others")
        self.jump("write", Condition.WRITE)
        self.control(Operation.FIRST, condition=Condition.TICK, target="tick")
        self.jump("wake", Condition.WAKE)
        self.jump("loop")

    def age(self) -> None:
        self.label("wake")
        self.control(Operation.WAKE)
        self.expect_entry(Place.STATE, State.FAILED)
        self.jump("loop", Condition.DIFFERENT)
        self.label("restart")
        self.store(Place.STATE, State.INCOMPLETE)
        self.store(Place.TRIES, 0)
        self.jump("due")

        self.label("tick")
        self.control(Operation.TICK)
        self.label("age")
        self.expect_entry(Place.STATE, State.UNUSED)
        self.jump_unless("aged", Condition.DIFFERENT)
        self.expect_entry(Place.TIMER, 1)
        self.octets(place=Place.TIMER, immediate=0xFF, value=Value.SUM, store=True)
        self.jump("aged", Condition.DIFFERENT)

        self.label("due")
        self.expect_entry(Place.STATE, State.REACHABLE)
        self.jump("due_again", Condition.DIFFERENT)
        self.store(Place.STATE, State.PROBE)
        self.store(Place.TRIES, 0)
        self.label("due_again")
        self.expect_entry(Place.TRIES, TRIES)
        self.jump("try", Condition.DIFFERENT)
        self.expect_entry(Place.STATE, State.PROBE)
        self.jump("fail", Condition.DIFFERENT)
        self.control(Operation.PUBLISH, 0)
        self.event(Event.EXPIRED, "restart")
        self.label("try")
        self.octets(place=Place.TRIES, immediate=1, value=Value.SUM, store=True)
        self.store(Place.TIMER, RETRY_SECONDS * TICKS)
        self.jump("ask")
        self.label("fail")
        self.store(Place.STATE, State.FAILED)
        self.store(Place.TIMER, SLOW_SECONDS * TICKS)

    def ask(self) -> None:
        """Ask for a neighbour, unless there is no own address to ask from."""
        self.label("ask")
        self.expect_entry(Place.FAMILY, 4)
        self.jump("ask6", Condition.DIFFERENT)
        self.expect_zeros(4, source=Source.OWN, place=OWN_IPV4)
        self.jump_unless("aged", Condition.DIFFERENT)
        self._ask_ethernet("request", [0xFF] * 6)
        self.emit(*ETHERTYPE_ARP.to_bytes(2, "big"), *self._arp_head(ARP_REQUEST))
        self.own(6, OWN_MAC, emit=True)
        self.own(4, OWN_IPV4, emit=True)
        self.emit(*bytes(6))
        self.octets(4, place=Place.ADDRESS, emit=True, last=True)
        self.event(Event.SOLICITATION)
        self.label("aged")
        self.jump("loop", Condition.LAST)
        self.control(Operation.NEXT, condition=Condition.ALWAYS, target="age")

        self.label("ask6")
        self.expect_zeros(16, source=Source.OWN, place=OWN_IPV6)
        self.jump_unless("aged", Condition.DIFFERENT)
        length = ND.length + ND_OPTION
        self.control(Operation.CLEAR)
        self.own(16, OWN_IPV6, add=True)
        self._entry_group(add=True)
        self.add(0, length, 0, PROTOCOL_ICMPV6, SOLICITATION, 0)
        self.octets(16, place=Place.ADDRESS, add=True)
        self.add(SOURCE_MAC, 1)
        self.own(6, OWN_MAC, add=True)
        self.carry()
        self._ask_ethernet("solicitation", [0x33, 0x33, 0xFF])
        self.emit(*ETHERTYPE_IPV6.to_bytes(2, "big"), 0x60, 0, 0, 0, 0, length, PROTOCOL_ICMPV6, ND_HOP_LIMIT)
        self.own(16, OWN_IPV6, emit=True)
        self._entry_group(emit=True)
        self.emit(SOLICITATION, 0)
        self.emit_sum()
        self.emit(*bytes(4))
        self.octets(16, place=Place.ADDRESS, emit=True)
        self.emit(SOURCE_MAC, 1)
        self.own(6, OWN_MAC, emit=True, last=True)
        self.event(Event.SOLICITATION, "aged")

    def _ask_ethernet(self, name: str, group: list[int]) -> None:
        """Destination: the neighbour's MAC address if it is known, otherwise all that ``group`` begins."""
        self.expect_entry(Place.STATE, State.PROBE)
        self.jump(f"{name}_group", Condition.DIFFERENT)
        self.octets(6, place=Place.MAC, emit=True)
        self.jump(f"{name}_source")
        self.label(f"{name}_group")
        self.emit(*group)
        if len(group) < 6:
            self.octets(3, place=Place.ADDRESS + 13, emit=True)
        self.label(f"{name}_source")
        self.own(6, OWN_MAC, emit=True)
        self.octets(2, place=Place.VLAN, immediate=0, compare=True)
        self.jump_unless(f"{name}_untagged", Condition.DIFFERENT)
        self.emit(*ETHERTYPE_CTAG.to_bytes(2, "big"))
        self.octets(2, place=Place.VLAN, emit=True)
        self.label(f"{name}_untagged")

    def _entry_group(self, *, emit: bool = False, add: bool = False) -> None:
        """Destination of a solicitation: the neighbour itself in PROBE, or its solicited-node multicast address."""
        label = f"address_{len(self._lines)}"
        self.expect_entry(Place.STATE, State.PROBE)
        self.jump(f"{label}_group", Condition.DIFFERENT)
        self.octets(16, place=Place.ADDRESS, emit=emit, add=add)
        self.jump(f"{label}_done")
        self.label(f"{label}_group")
        self._constants(SOLICITED_NODE, emit=emit, add=add)
        self.octets(3, place=Place.ADDRESS + 13, emit=emit, add=add)
        self.label(f"{label}_done")

    @staticmethod
    def _arp_head(operation: int) -> bytes:
        return b"\x00\x01" + ETHERTYPE_IPV4.to_bytes(2, "big") + b"\x06\x04" + operation.to_bytes(2, "big")

    def table_write(self) -> None:
        """Store a byte; an entry is not used from its first one until its family, the last, is there."""
        self.label("write")
        self.control(Operation.WRITE)
        self.octets(source=Source.WRITTEN, store=True)
        self.store(Place.STATE, State.UNUSED)
        self.control(Operation.PUBLISH, 0, condition=Condition.WHOLE, target="written")
        self.store(Place.FAMILY, 0)
        self.control(Operation.TAKE, condition=Condition.ALWAYS, target="loop")
        self.label("written")
        self.control(Operation.TAKE)
        self.expect_entry(Place.FAMILY, 4, mask=0xFD)
        self.jump_unless("restart", Condition.DIFFERENT)
        self.jump("loop")

    def frame(self) -> None:
        self.label("malformed")
        self.event(Event.MALFORMED, "drop")
        self.label("checksum")
        self.event(Event.CHECKSUM, "drop")
        self.label("done")
        self.jump("drop", Condition.USED)
        self.label("ignored")
        self.event(Event.IGNORED)
        self.label("drop")
        self.control(Operation.DROP, condition=Condition.ALWAYS, target="others")

        self.label("frame")
        self.control(Operation.BEGIN)
        self.expect_own(6, OWN_MAC)
        self.jump_unless("for_us", Condition.DIFFERENT)
        self.seek(0)
        self.expect(1, mask=0x01)
        self.jump("ignored", Condition.DIFFERENT)
        self.label("for_us")
        self.seek(ETHERNET.offset("source"))
        self.expect(0, mask=0x01)
        self.skip(ETHERNET.length - ETHERNET.offset("source") - 1)
        self.jump("malformed", Condition.BAD)
        self._ethertype(ETHERTYPE_CTAG, "untagged")
        self.control(Operation.TAG)
        self.skip(4)
        self.jump("malformed", Condition.CUT)
        self.label("untagged")
        self._ethertype(ETHERTYPE_ARP, "not_arp")
        self.jump("arp")
        self.label("not_arp")
        self._ethertype(ETHERTYPE_IPV4, "not_ipv4")
        self.jump("ipv4")
        self.label("not_ipv4")
        self._ethertype(ETHERTYPE_IPV6, "ignored")
        self.jump("ipv6")

    def _ethertype(self, ethertype: int, otherwise: str) -> None:
        self.control(Operation.SEEK_BEHIND_TAG, MAC_BYTES)
        self.expect(*ethertype.to_bytes(2, "big"))
        self.jump(otherwise, Condition.DIFFERENT)

    def arp(self) -> None:
        self.label("arp")
        self.seek(IP)
        self.expect(*self._arp_head(0)[:-1])
        self.skip(1 + ARP.length - ARP.offset("sender_mac"))
        self.jump("malformed", Condition.BAD)
        self.seek(IP + ARP.offset("sender_mac"))
        self.expect(0, mask=0x01)
        self.jump("malformed", Condition.DIFFERENT)
        self.seek(IP + ARP.offset("operation") + 1)
        self.expect(ARP_REQUEST)
        self.jump("learn4", Condition.DIFFERENT)
        self.expect_zeros(4, source=Source.OWN, place=OWN_IPV4)
        self.jump_unless("learn4", Condition.DIFFERENT)
        self.seek(IP + ARP.offset("target_ipv4"))
        self.expect_own(4, OWN_IPV4)
        self.jump("learn4", Condition.DIFFERENT)
        self.seek(IP + ARP.offset("sender_mac"))
        self.emit_frame(6)
        self.own(6, OWN_MAC, emit=True)
        self.copy_tag()
        self.emit(*ETHERTYPE_ARP.to_bytes(2, "big"), *self._arp_head(ARP_REPLY))
        self.own(6, OWN_MAC, emit=True)
        self.own(4, OWN_IPV4, emit=True)
        self.seek(IP + ARP.offset("sender_mac"))
        self.emit_frame(10, last=True)
        self.event(Event.ARP_REPLY, "learn4")

        # RFC 826's merge: whatever is asked or told, it tells of its sender.
        self.label("learn4")
        self.control(Operation.FIRST)
        self.label("next4")
        self.expect_entry(Place.FAMILY, 4)
        self.jump("other4", Condition.DIFFERENT)
        self.seek(IP + ARP.offset("sender_ipv4"))
        self.octets(4, frame=True, place=Place.ADDRESS, compare=True)
        self.jump("other4", Condition.DIFFERENT)
        self._expect_vlan("4")
        self.jump("other4", Condition.DIFFERENT)
        self.seek(IP + ARP.offset("sender_mac"))
        self.octets(6, frame=True, place=Place.MAC, store=True)
        self.control(Operation.PUBLISH, 1)
        self._tell("4")
        self._reachable_now()
        self.label("other4")
        self.jump("done", Condition.LAST)
        self.control(Operation.NEXT, condition=Condition.ALWAYS, target="next4")

    def _expect_vlan(self, name: str) -> None:
        """The frame came in the entry's VLAN."""
        self.jump(f"vlan_{name}", Condition.TAGGED)
        self.octets(2, place=Place.VLAN, immediate=0, compare=True)
        self.jump(f"vlan_known_{name}")
        self.label(f"vlan_{name}")
        self.control(Operation.SEEK, MAC_BYTES + 2)
        self.octets(frame=True, place=Place.VLAN, mask=0x0F, compare=True)
        self.octets(frame=True, place=Place.VLAN + 1, compare=True)
        self.label(f"vlan_known_{name}")

    def _tell(self, name: str) -> None:
        """Tell that an answer came; what it was for depends on the state, which is still the old one."""
        self.expect_entry(Place.STATE, USABLE, mask=USABLE)
        self.jump(f"resolved_{name}", Condition.DIFFERENT)
        self.event(Event.CONFIRMED, f"told_{name}")
        self.label(f"resolved_{name}")
        self.event(Event.RESOLVED)
        self.label(f"told_{name}")

    def _reachable_now(self) -> None:
        self.store(Place.STATE, State.REACHABLE)
        self.store(Place.TIMER, self._reachable)

    def ipv4(self) -> None:
        """Echo requests. Headers are looked at one field after the other, in an order that saves seeking."""
        self.label("ipv4")
        self.expect_zeros(4, source=Source.OWN, place=OWN_IPV4)
        self.jump_unless("ignored", Condition.DIFFERENT)
        self.seek(0)
        self.expect_own(6, OWN_MAC)
        self.seek(IP)
        self.expect(0x45)
        self.skip(5)
        self.expect(0, mask=0x3F)  # no fragment
        self.expect(0)
        self.skip(1)
        self.expect(PROTOCOL_ICMP)
        self.seek(IP + IPV4.offset("destination"))
        self.expect_own(4, OWN_IPV4)
        self.jump("malformed", Condition.CUT)
        self.jump("ignored", Condition.DIFFERENT)
        # The source is a host: not of 0.0.0.0/8, no group, not broadcast.
        self.seek(IP + IPV4.offset("source"))
        self.expect(0)
        self.jump_unless("malformed", Condition.DIFFERENT)
        self.seek(IP + IPV4.offset("source"))
        self.expect(0xE0, mask=0xE0)
        self.jump_unless("malformed", Condition.DIFFERENT)
        self.seek(IP + IPV4.offset("total_length"))
        self.expect(0, mask=0xC0)
        self.jump("malformed", Condition.DIFFERENT)
        self.limit(IP + IPV4.offset("total_length"), IP)
        self.control(Operation.CLEAR)
        self.add_frame(14)
        self.add_frame(6)
        self.carry()
        self.jump("malformed", Condition.CUT)
        self.jump_unless("checksum", Condition.SUM_RIGHT)
        self.expect(ECHO_REQUEST, 0)
        self.jump("malformed", Condition.CUT)
        self.jump("ignored", Condition.DIFFERENT)
        self.control(Operation.CLEAR)
        self._sum_message(ECHO_REPLY)
        self.add(ECHO_REQUEST, 0)
        self._check_message()

        self.seek(IP + IPV4.offset("tos"))
        self.control(Operation.CLEAR)
        self.add(0x45)
        self.octets(frame=True, mask=0xFC, add=True)  # without ECN
        self.add_frame(2)
        self.add(0x40, 0, TTL, PROTOCOL_ICMP)
        self.own(4, OWN_IPV4, add=True)
        self.seek(IP + IPV4.offset("source"))
        self.add_frame(4)
        self.carry()
        self._answer_source(ETHERTYPE_IPV4)
        self.emit(0x45)
        self.seek(IP + IPV4.offset("tos"))
        self.octets(frame=True, mask=0xFC, emit=True)
        self.emit_frame(2)
        self.emit(0, 0, 0x40, 0, TTL, PROTOCOL_ICMP)  # RFC 6864: no identification, since it must not be fragmented
        self.emit_sum()
        self.own(4, OWN_IPV4, emit=True)
        self.seek(IP + IPV4.offset("source"))
        self.emit_frame(4)
        self.emit(ECHO_REPLY, 0)
        self.octets(2, page=Page.VARIABLES, place=REST_SUM, emit=True)
        self.limit(IP + IPV4.offset("total_length"), IP)
        self.skip(IPV4.length + 4)
        self.emit_frame(None, last=True)
        self.event(Event.ECHO_REPLY, "drop")

    def _answer_source(self, ethertype: int) -> None:
        """The Ethernet header of an answer to where the frame came from."""
        self.seek(ETHERNET.offset("source"))
        self.emit_frame(6)
        self.own(6, OWN_MAC, emit=True)
        self.copy_tag()
        self.emit(*ethertype.to_bytes(2, "big"))

    def _sum_message(self, reply: int) -> None:
        """Add an ICMP message from its checksum on, which is kept, and keep the checksum of an echo reply to it."""
        self.octets(2, frame=True, page=Page.VARIABLES, place=CHECKSUM, store=True)
        self.add_frame(4)
        self.add_frame(None)
        self.jump("malformed", Condition.CUT)
        self.add(reply, 0)
        self.carry()
        self.octets(2, source=Source.SUM, page=Page.VARIABLES, place=REST_SUM, store=True)

    def _check_message(self) -> None:
        self.octets(2, page=Page.VARIABLES, place=CHECKSUM, add=True)
        self.carry()
        self.jump_unless("checksum", Condition.SUM_RIGHT)

    def ipv6(self) -> None:
        """ICMPv6: its checksum, then what kind it is."""
        self.label("ipv6")
        self.expect_zeros(16, source=Source.OWN, place=OWN_IPV6)
        self.jump_unless("ignored", Condition.DIFFERENT)
        self.seek(IP)
        self.expect(0x60, mask=0xF0)
        self.skip(3)
        self.expect(0, mask=0xC0)
        self.skip(1)
        self.expect(PROTOCOL_ICMPV6)
        self.jump("malformed", Condition.CUT)
        self.jump("ignored", Condition.DIFFERENT)
        self.seek(IP + IPV6.offset("source"))
        self.expect(0xFF)
        self.jump_unless("malformed", Condition.DIFFERENT)
        self.control(Operation.CLEAR)
        self.add(0, PROTOCOL_ICMPV6)
        self.seek(IP + IPV6.offset("payload_length"))
        self.add_frame(2)
        self.seek(IP + IPV6.offset("source"))
        self.add_frame(16)
        self.add_frame(16)
        self.limit(IP + IPV6.offset("payload_length"), V6)
        self.skip(2)
        self._sum_message(ECHO_REPLY6)
        self.add(0xFF - ECHO_REPLY6, 0xFF)  # take it away again
        self.seek(V6)
        self.add_frame(2)
        self._check_message()
        self.seek(V6)
        self.expect(ECHO_REQUEST6)
        self.jump("discovery", Condition.DIFFERENT)

    def echo6(self) -> None:
        self.expect(0)
        self.seek(0)
        self.expect_own(6, OWN_MAC)
        self.seek(IP + IPV6.offset("destination"))
        self.expect_own(16, OWN_IPV6)
        self.jump("ignored", Condition.DIFFERENT)
        self.seek(IP + IPV6.offset("source"))
        self.expect_zeros(16)
        self.jump_unless("malformed", Condition.DIFFERENT)
        self._answer_source(ETHERTYPE_IPV6)
        self.seek(IP)
        self.emit_frame(1)
        self.octets(frame=True, mask=0xC0, emit=True)  # without ECN and flow label
        self.emit(0, 0)
        self.skip(2)
        self.emit_frame(2)
        self.emit(PROTOCOL_ICMPV6, TTL)
        self.own(16, OWN_IPV6, emit=True)
        self.seek(IP + IPV6.offset("source"))
        self.emit_frame(16)
        self.emit(ECHO_REPLY6, 0)
        self.octets(2, page=Page.VARIABLES, place=REST_SUM, emit=True)
        self.limit(IP + IPV6.offset("payload_length"), V6)
        self.skip(4)
        self.emit_frame(None, last=True)
        self.event(Event.ECHO_REPLY, "drop")

    def discovery(self) -> None:
        """Solicitations and advertisements: what RFC 4861 sections 7.1.1 and 7.1.2 ask of both."""
        self.label("discovery")
        self.seek(V6)
        self.expect(SOLICITATION)
        self.jump("no_solicitation", Condition.DIFFERENT)
        self.store(WANTED, SOURCE_MAC, Page.VARIABLES)
        self.jump("validate")
        self.label("no_solicitation")
        self.seek(V6)
        self.expect(ADVERTISEMENT)
        self.jump("ignored", Condition.DIFFERENT)
        self.store(WANTED, TARGET_MAC, Page.VARIABLES)
        self.label("validate")
        self.store(FOUND, 0, Page.VARIABLES)
        self.seek(ETHERNET.offset("source"))
        self.octets(6, frame=True, page=Page.VARIABLES, place=FOUND_MAC, store=True)
        self.seek(IP + IPV6.offset("hop_limit"))
        self.expect(ND_HOP_LIMIT)
        self.seek(V6 + ND.offset("code"))
        self.expect(0)
        self.jump("malformed", Condition.DIFFERENT)
        self.seek(V6 + ND.offset("target"))
        self.expect(0xFF)
        self.jump_unless("malformed", Condition.DIFFERENT)
        self.limit(IP + IPV6.offset("payload_length"), V6)
        self.skip(ND.length)
        self._options()
        self.octets(page=Page.VARIABLES, place=FOUND_MAC, immediate=0, mask=0x01, compare=True)
        self.jump("malformed", Condition.DIFFERENT)
        self.octets(page=Page.VARIABLES, place=WANTED, immediate=SOURCE_MAC, compare=True)
        self.jump("advertisement", Condition.DIFFERENT)
        self._solicitation()

    def _options(self) -> None:
        """Walk the options, each as long as it says, and keep the MAC address of the one that is wanted."""
        self.label("option")
        self.jump("malformed", Condition.CUT)
        self.jump_unless("options_done", Condition.MORE)
        self.octets(frame=True, page=Page.VARIABLES, place=WANTED, compare=True)
        self.jump("other_option", Condition.DIFFERENT)
        self.expect(1)
        self.octets(6, frame=True, page=Page.VARIABLES, place=FOUND_MAC, store=True)
        self.store(FOUND, 1, Page.VARIABLES)
        self.jump_unless("option", Condition.DIFFERENT)
        self.jump("malformed")
        self.label("other_option")
        self.octets(frame=True, page=Page.VARIABLES, place=UNITS, immediate=0, compare=True, store=True)
        self.jump_unless("malformed", Condition.DIFFERENT)
        self.skip(6)
        self.label("unit")
        self.jump("malformed", Condition.CUT)
        self.octets(page=Page.VARIABLES, place=UNITS, immediate=0xFF, value=Value.SUM, store=True)
        self.octets(page=Page.VARIABLES, place=UNITS, immediate=0, compare=True)
        self.jump_unless("option", Condition.DIFFERENT)
        self.skip(ND_OPTION)
        self.jump("unit")
        self.label("options_done")

    def _solicitation(self) -> None:
        self.store(UNITS, SOLICITED | OVERRIDE, Page.VARIABLES)  # the answer's flags
        self.seek(IP + IPV6.offset("source"))
        self.expect_zeros(16)
        self.jump("solicited", Condition.DIFFERENT)
        # Somebody looks whether the address is free (RFC 4862): all may hear the answer.
        self.store(UNITS, OVERRIDE, Page.VARIABLES)
        self.octets(page=Page.VARIABLES, place=FOUND, immediate=0, compare=True)
        self.seek(IP + IPV6.offset("destination"))
        self.expect(*SOLICITED_NODE)
        self.jump("malformed", Condition.DIFFERENT)
        self.label("solicited")
        self.seek(V6 + ND.offset("target"))
        self.expect_own(16, OWN_IPV6)
        self.jump("ignored", Condition.DIFFERENT)
        length = ND.length + ND_OPTION
        self.control(Operation.CLEAR)
        self.own(16, OWN_IPV6, add=True)
        self._advertised_to(add=True)
        self.add(0, length, 0, PROTOCOL_ICMPV6, ADVERTISEMENT, 0)
        self.octets(page=Page.VARIABLES, place=UNITS, add=True)
        self.add(0)
        self.own(16, OWN_IPV6, add=True)
        self.add(TARGET_MAC, 1)
        self.own(6, OWN_MAC, add=True)
        self.carry()
        self._if_solicited("advertise_to_all")
        self.octets(6, page=Page.VARIABLES, place=FOUND_MAC, emit=True)
        self.jump("advertise")
        self.label("advertise_to_all")
        self.emit(0x33, 0x33, 0, 0, 0, 1)
        self.label("advertise")
        self.own(6, OWN_MAC, emit=True)
        self.copy_tag()
        self.emit(*ETHERTYPE_IPV6.to_bytes(2, "big"), 0x60, 0, 0, 0, 0, length, PROTOCOL_ICMPV6, ND_HOP_LIMIT)
        self.own(16, OWN_IPV6, emit=True)
        self._advertised_to(emit=True)
        self.emit(ADVERTISEMENT, 0)
        self.emit_sum()
        self.octets(page=Page.VARIABLES, place=UNITS, emit=True)
        self.emit(0, 0, 0)
        self.own(16, OWN_IPV6, emit=True)
        self.emit(TARGET_MAC, 1)
        self.own(6, OWN_MAC, emit=True, last=True)
        self.event(Event.NEIGHBOR_ADVERTISEMENT, "drop")

    def _if_solicited(self, otherwise: str) -> None:
        self.octets(page=Page.VARIABLES, place=UNITS, immediate=SOLICITED | OVERRIDE, compare=True)
        self.jump(otherwise, Condition.DIFFERENT)

    def _advertised_to(self, *, emit: bool = False, add: bool = False) -> None:
        """Destination of an advertisement: who asked, or all nodes."""
        label = f"advertised_{len(self._lines)}"
        self._if_solicited(f"{label}_all")
        self.seek(IP + IPV6.offset("source"))
        self.octets(16, frame=True, emit=emit, add=add)
        self.jump(f"{label}_done")
        self.label(f"{label}_all")
        self._constants(ALL_NODES, emit=emit, add=add)
        self.label(f"{label}_done")

    def learn(self) -> None:
        """An advertisement: RFC 4861 section 7.2.5."""
        flags = V6 + ND.offset("flags")
        self.label("advertisement")
        self.seek(IP + IPV6.offset("destination"))
        self.expect(0xFF)
        self.jump("learn6", Condition.DIFFERENT)
        self.seek(flags)
        self.expect(0, mask=SOLICITED)
        self.jump("malformed", Condition.DIFFERENT)
        self.label("learn6")
        self.control(Operation.FIRST)
        self.label("next6")
        self.expect_entry(Place.FAMILY, 6)
        self.jump("other6", Condition.DIFFERENT)
        self.seek(V6 + ND.offset("target"))
        self.octets(16, frame=True, place=Place.ADDRESS, compare=True)
        self.jump("other6", Condition.DIFFERENT)
        self._expect_vlan("6")
        self.jump("other6", Condition.DIFFERENT)
        self.octets(page=Page.VARIABLES, place=FOUND, immediate=1, compare=True)
        self.jump("no_mac", Condition.DIFFERENT)
        self.expect_entry(Place.STATE, USABLE, mask=USABLE)
        self.jump("take_mac", Condition.DIFFERENT)
        for i in range(6):
            self.octets(page=Page.VARIABLES, place=FOUND_MAC + i)
            self.octets(place=Place.MAC + i, compare=True)
        self.jump_unless("same_mac", Condition.DIFFERENT)
        self.seek(flags)
        self.expect(OVERRIDE, mask=OVERRIDE)
        self.jump_unless("take_mac", Condition.DIFFERENT)
        self.expect_entry(Place.STATE, State.REACHABLE)
        self.jump_unless("stale", Condition.DIFFERENT)
        self.jump("other6")

        self.label("take_mac")
        self.octets(6, page=Page.TRANSFER, place=FOUND_MAC, store=True)
        self.control(Operation.PUBLISH, 1)
        self._tell("6")
        self._if_solicited_by(flags, "stale")
        self.jump("reachable")
        self.label("stale")
        self.store(Place.STATE, State.PROBE)
        self.store(Place.TIMER, 1)
        self.store(Place.TRIES, 0)
        self.jump("other6")

        self.label("no_mac")
        self.expect_entry(Place.STATE, USABLE, mask=USABLE)
        self.jump("other6", Condition.DIFFERENT)
        self.label("same_mac")
        self._if_solicited_by(flags, "other6")
        self.event(Event.CONFIRMED)
        self.label("reachable")
        self._reachable_now()
        self.label("other6")
        self.jump("done", Condition.LAST)
        self.control(Operation.NEXT, condition=Condition.ALWAYS, target="next6")

    def _if_solicited_by(self, flags: int, otherwise: str) -> None:
        self.seek(flags)
        self.expect(SOLICITED, mask=SOLICITED)
        self.jump(otherwise, Condition.DIFFERENT)
