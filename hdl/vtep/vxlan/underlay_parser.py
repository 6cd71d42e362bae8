"""What the decapsulator must know of an underlay frame: fields of the outer and inner headers, wherever they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from ..config import VtepParameters
from ..headers import (
    ETHERNET,
    ETHERTYPE_CTAG,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_STAG,
    IPV4,
    IPV6,
    MAC_BYTES,
    TAG_BYTES,
    UDP,
    VXLAN,
)
from ..integrity.checksum import HeaderChecksumCheck
from ..packet.length import head_event
from ..packet.pipe import BeatPipe, Staged, first_stage

__all__ = ["TUNNEL_BYTES", "UnderlayFields", "ip_field", "is_tag", "parse_underlay", "window_bytes"]

TUNNEL_BYTES = UDP.length + VXLAN.length
"""Bytes between the outer IP header and the inner frame."""

WORD = 4
"""IP headers and VLAN tags are whole words of this many bytes, so all places are 14 bytes and a number of words."""

MIN_IHL = IPV4.length // WORD
MAX_IHL = 15
IPV6_WORDS = IPV6.length // WORD
OUTER_WORDS = range(MIN_IHL, MAX_IHL + 2)
"""Words between the outer Ethernet header and UDP: a tag at most and the IP header."""
INNER_TAGS = 2
IP_START_BYTES = 8
"""Bytes of the IP header that are captured apart from the rest, up to but without the addresses of either family."""
INNER_WORDS = range(MIN_IHL, MAX_IHL + 2 + INNER_TAGS)


def window_bytes() -> int:
    """Bytes from a frame's beginning to the last that may be looked at."""
    return 2 * ETHERNET.length + WORD * INNER_WORDS[-1] + TUNNEL_BYTES + IPV4.offset("header_checksum") + 2


def is_tag(ethertype: Value) -> Value:
    """The EtherType is that of an 802.1Q C-tag or S-tag."""
    return (ethertype == ETHERTYPE_CTAG) | (ethertype == ETHERTYPE_STAG)


def is_ipv4(ethertype: Value) -> Value:
    """The EtherType is that of IPv4."""
    return ethertype == ETHERTYPE_IPV4


def is_ipv6(ethertype: Value) -> Value:
    """The EtherType is that of IPv6."""
    return ethertype == ETHERTYPE_IPV6


@dataclass
class UnderlayFields:
    """Fields of a frame, each with its stage; numbers have the first byte on the wire most significant.

    ``early`` is the stage at which the strobes ``head`` (all fields are there) and ``tail`` (the frame ends) are, and
    from which on every field can be used, but for ``ip_checksum_ok``: that is there a clock behind ``ready``, as
    lookups are. ``words``: words between the
    outer Ethernet header and UDP, one-hot. ``inner_tags``, ``inner_ipv4``, ``inner_ipv6``: what the inner EtherType is,
    and what stands in its place behind one or two tags. ``ip_start`` and ``ip_rest`` hold the first 40 (without IPv6
    20) bytes of the IP header.
    """

    early: int
    ready: int
    head: Staged
    tail: Staged
    destination: Staged
    tag: Staged
    second_tag: Staged
    ipv4: Staged
    ipv6: Staged
    ip_start: Staged
    ip_rest: Staged
    ihl: Staged
    ip_checksum_ok: Staged
    words: Staged
    udp: Staged
    vxlan: Staged
    inner_macs: Staged
    inner_tags: tuple[Staged, ...]
    inner_ipv4: tuple[Staged, ...]
    inner_ipv6: tuple[Staged, ...]
    inner_start: Staged
    inner_checksum: Staged


class HasIp(Protocol):
    """Fields with the beginning of an IP header in two parts."""

    ip_start: Staged
    ip_rest: Staged


def ip_field(fields: HasIp, pipe: BeatPipe, stage: int, offset: int, length: int) -> Value:
    """Bytes ``offset .. offset + length - 1`` of the IP header at ``stage``; all before byte 8, or all behind."""
    part = fields.ip_start
    if offset >= IP_START_BYTES:
        part, offset = fields.ip_rest, offset - IP_START_BYTES
    bits = pipe.at(part, stage)
    end = len(bits) - 8 * offset
    return bits[end - 8 * length : end]


def parse_underlay(
    m: Module, pipe: BeatPipe, parameters: VtepParameters, address_latency: int, vni_latency: int
) -> UnderlayFields:
    """Capture the fields of the frames on ``pipe``.

    ``address_latency``, ``vni_latency``: clocks of the lookups by IP address and by VNI; ``ready`` is one clock before
    these are through.
    """
    outer = ETHERNET.length  # first byte of the IP header behind no tag
    tagged_outer = outer + TAG_BYTES

    # Stage 0: what stands in a fixed place.
    destination = pipe.capture(0, [(0, 1)], 6, name="destination")
    types = [pipe.capture(0, [(MAC_BYTES + TAG_BYTES * i, 1)], 2, name=f"ethertype_{i}") for i in range(2)]
    tag = Staged(pipe.wire(is_tag(types[0].value)), 1)
    second_tag = Staged(pipe.wire(is_tag(types[1].value)), 1)

    # The IP header, behind at most one tag.
    ip_stage = pipe.first_stage([(1, outer - 1, outer), (1, outer - 1, tagged_outer)])

    def behind_tag(offset: int, tagged: Value) -> list[tuple[int, Value]]:
        return [(outer + offset, ~tagged), (tagged_outer + offset, tagged)]

    def tagged_at(stage: int) -> Value:
        return pipe.at(tag, stage)

    ip_bytes = IPV6.length if parameters.ipv6 else IPV4.length
    ip_start = pipe.capture(ip_stage, behind_tag(0, pipe.settled(tagged_at, ip_stage)), IP_START_BYTES, name="ip_start")
    # What stands further behind the tag can be taken earlier.
    rest_stage = pipe.first_stage([(1, start - 1, start + IP_START_BYTES) for start in (outer, tagged_outer)])
    rest_places = behind_tag(IP_START_BYTES, pipe.settled(tagged_at, rest_stage))
    ip_rest = pipe.capture(rest_stage, rest_places, ip_bytes - IP_START_BYTES, name="ip_rest")
    ip_ready = ip_start.stage
    ipv4, ipv6 = (
        Staged(pipe.wire(Mux(tag.value, test(types[1].value), test(types[0].value))), 1) for test in (is_ipv4, is_ipv6)
    )
    if not parameters.ipv6:
        ipv6 = Staged(Const(0, 1), 1)
    ihl = Staged(ip_start.value[-8:-4], ip_ready)

    # Where UDP begins, as words behind the Ethernet header.
    ip_words = Mux(pipe.at(ipv6, ip_ready), IPV6_WORDS, Mux(ihl.value < MIN_IHL, MIN_IHL, ihl.value))
    word_count = Signal(range(OUTER_WORDS.stop))
    m.d.comb += word_count.eq(ip_words + pipe.at(tag, ip_ready))
    words = Staged(pipe.wire(Cat(word_count == k for k in OUTER_WORDS)), ip_ready)
    if not pipe.shallow:
        words = pipe.register(words)

    def ihl_decides(stage: int, used: int) -> list[tuple[int, int, int]]:
        """IHL stands at ``outer``, or a tag later, when ``used`` is a tag later as well."""
        return [(stage, start, start - outer + used) for start in (outer, tagged_outer)]

    first_udp = outer + WORD * MIN_IHL

    # IPv4 header checksum, over the header and its options.
    check_stage = pipe.first_stage([(1, outer - 1, outer), *ihl_decides(ip_ready, first_udp - 1)])
    m.submodules.ip_checksum = check = HeaderChecksumCheck(parameters.data_width, deep=pipe.deep)
    counted = Staged(word_count, ip_ready)

    def header_ends(stage: int) -> list[tuple[int, Value]]:
        return [(outer + WORD * k, pipe.at(counted, stage) == k) for k in OUTER_WORDS]

    covered = Staged(
        pipe.region(check_stage, lambda stage: behind_tag(0, tagged_at(stage)), header_ends, name="ip_header"),
        check_stage,
    )
    at_end = pipe.settled(lambda stage: Cat(condition for _, condition in header_ends(stage)), check_stage)
    ended = Cat(pipe.hits(check_stage, outer + WORD * k - 1) & at_end[i] for i, k in enumerate(OUTER_WORDS)).any()
    ending = Staged(pipe.wire(ended), check_stage)
    if not pipe.shallow:
        covered, ending = pipe.register(covered), pipe.register(ending)
    view = pipe.view(covered.stage)
    m.d.comb += [
        check.valid.eq(view["valid"]),
        check.first.eq(view["index"] == 0),
        check.data.eq(view["data"]),
        check.mask.eq(covered.value),
        check.end.eq(ending.value),
    ]
    ok = Signal()
    with m.If(check.done):
        m.d.sync += ok.eq(check.ok)
    checksum_ok = Staged(Mux(check.done, check.ok, ok), covered.stage + check.latency)

    # UDP, VXLAN and the inner Ethernet header.
    udp_stage = pipe.first_stage(ihl_decides(words.stage, first_udp), registered=True)
    words_here = pipe.at(words, udp_stage)
    udp_places = [(outer + WORD * k, words_here[i]) for i, k in enumerate(OUTER_WORDS)]

    def behind_ip(offset: int, length: int, name: str) -> Staged:
        places = [(start + offset, condition) for start, condition in udp_places]
        return pipe.capture(udp_stage, places, length, name=name)

    udp = behind_ip(0, UDP.length, "udp")
    vxlan = behind_ip(UDP.length, VXLAN.length, "vxlan")
    inner_macs = behind_ip(TUNNEL_BYTES, MAC_BYTES, "inner_macs")

    def inner_types(test: Callable[[Value], Value], count: int, name: str) -> tuple[Staged, ...]:
        offsets = [TUNNEL_BYTES + MAC_BYTES + TAG_BYTES * i for i in range(count)]
        return tuple(
            pipe.capture_test(
                udp_stage, [(start + offset, here) for start, here in udp_places], 2, test, name=f"{name}_{i}"
            )
            for i, offset in enumerate(offsets)
        )

    inner_tags = inner_types(is_tag, INNER_TAGS, "inner_tag")
    inner_ipv4 = inner_types(is_ipv4, INNER_TAGS + 1, "inner_ipv4")
    inner_ipv6 = inner_types(is_ipv6, INNER_TAGS + 1, "inner_ipv6")

    # The inner IP header, behind at most two tags.
    first_type = outer + TUNNEL_BYTES + MAC_BYTES
    inner_stage = pipe.first_stage(
        [
            (udp.stage, first_type + 1 + WORD * k + TAG_BYTES * tags, first_type + 2 + WORD * k + TAG_BYTES * tags)
            for k in OUTER_WORDS
            for tags in range(INNER_TAGS)
        ],
    )
    first_inner = first_type + 2  # behind no words and no tags
    # With the strobes there is also what takes a clock to be worked out of fields. A frame that ends before the byte at
    # the end of a row is judged without it.
    worked_out = [
        (destination.stage + 2, MAC_BYTES // 2 - 1, outer - 1),
        (2, outer - 1, outer - 1),
        *((ip_start.stage + 1, start + IP_START_BYTES - 1, start + IPV4.length - 1) for start in (outer, tagged_outer)),
        *((udp.stage + 1, start + UDP.length - 1, start + UDP.length - 1) for start, _ in udp_places),
    ]
    inner_stage = max(inner_stage, words.stage - 1, first_stage(pipe.lanes, worked_out) - 1)

    def inner_at(stage: int) -> Value:
        words_then = pipe.at(words, stage)
        tags = [pipe.at(tag, stage) for tag in inner_tags]
        counts = [~tags[0], tags[0] & ~tags[1], tags[0] & tags[1]]
        return Cat(
            Cat(
                words_then[OUTER_WORDS.index(y - count)] & counts[count]
                for count in range(INNER_TAGS + 1)
                if y - count in OUTER_WORDS
            ).any()
            for y in INNER_WORDS
        )

    inner_here = pipe.settled(inner_at, inner_stage)
    inner_places = [(first_inner + WORD * y, inner_here[i]) for i, y in enumerate(INNER_WORDS)]
    inner_start = pipe.capture(inner_stage, inner_places, 2, name="inner_start")
    offset = IPV4.offset("header_checksum")
    inner_checksum = pipe.capture(
        inner_stage, [(start + offset, condition) for start, condition in inner_places], 2, name="inner_checksum"
    )
    complete = Cat(pipe.hits(inner_stage, start + offset + 1) & condition for start, condition in inner_places).any()
    head, tail = head_event(m, pipe, inner_stage, complete)

    # Lookups begin when their key is there, and the head strobe may come with the key's last byte.
    lookups = max(ip_rest.stage + address_latency, udp.stage + vni_latency, checksum_ok.stage)
    return UnderlayFields(
        early=head.stage,
        ready=max(head.stage, lookups - 1),
        head=head,
        tail=tail,
        destination=destination,
        tag=tag,
        second_tag=second_tag,
        ipv4=ipv4,
        ipv6=ipv6,
        ip_start=ip_start,
        ip_rest=ip_rest,
        ihl=ihl,
        ip_checksum_ok=checksum_ok,
        words=words,
        udp=udp,
        vxlan=vxlan,
        inner_macs=inner_macs,
        inner_tags=inner_tags,
        inner_ipv4=inner_ipv4,
        inner_ipv6=inner_ipv6,
        inner_start=inner_start,
        inner_checksum=inner_checksum,
    )
