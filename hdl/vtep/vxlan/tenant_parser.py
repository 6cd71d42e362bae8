"""What the encapsulator must know of a tenant frame: tags, addresses, and the inner IP packet's flow."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal

from ..headers import ETHERNET, ETHERTYPE_IPV6, IPV6, MAC_BYTES, TAG_BYTES
from ..packet.length import head_event
from ..packet.pipe import BeatPipe, Staged
from .underlay_parser import IP_START_BYTES, IPV6_WORDS, MAX_IHL, MIN_IHL, WORD, is_tag

__all__ = ["MAX_TAGS", "PORT_BYTES", "TenantFields", "parse_tenant", "window_bytes"]

MAX_TAGS = 3
"""Tags that are looked behind: the VNI's and two of the inner frame."""
PORT_BYTES = 4
"""Source and destination port, as TCP, UDP and SCTP begin."""
FLOW_WORDS = range(MIN_IHL, MAX_IHL + MAX_TAGS + 1)
"""Words between the Ethernet header and the ports: tags and the IP header."""


def window_bytes() -> int:
    """Bytes from a frame's beginning to the last that may be looked at."""
    return ETHERNET.length + WORD * FLOW_WORDS[-1] + PORT_BYTES


@dataclass
class TenantFields:
    """Fields of a frame, each with its stage; numbers have the first byte on the wire most significant.

    ``ready`` is the stage at which the strobes ``head`` (all fields are there) and ``tail`` (the frame ends) are.
    ``types``: the EtherType and what stands in its place behind one to three tags. ``ip_start``, ``ip_rest``: the
    first 40 bytes behind the tags (of IPv4 the head may come before all of them: only the first 20 count then).
    ``words``: words between Ethernet header and ports, a number.
    """

    ready: int
    head: Staged
    tail: Staged
    macs: Staged
    types: tuple[Staged, ...]
    tci: Staged
    ipv6: Staged
    ip_start: Staged
    ip_rest: Staged
    words: Staged
    ports: Staged


def parse_tenant(m: Module, pipe: BeatPipe) -> TenantFields:
    """Capture the fields of the frames on ``pipe``."""
    macs = pipe.capture(0, [(0, 1)], MAC_BYTES, name="macs")
    types = tuple(
        pipe.capture(0, [(MAC_BYTES + TAG_BYTES * i, 1)], 2, name=f"ethertype_{i}") for i in range(MAX_TAGS + 1)
    )
    tci = pipe.capture(0, [(MAC_BYTES + 2, 1)], 2, name="tci")

    tags = [pipe.wire(is_tag(types[i].value)) for i in range(MAX_TAGS)]
    reached = [1, tags[0], tags[0] & tags[1], tags[0] & tags[1] & tags[2]]
    stops = [*(~tag for tag in tags), 1]
    behind = Staged(pipe.wire(Cat(a & b for a, b in zip(reached, stops, strict=True))), 1)  # one-hot: number of tags
    of_ipv6 = Staged(pipe.wire(Cat(each.value == ETHERTYPE_IPV6 for each in types)), 1)
    ipv6 = Staged(pipe.wire((pipe.at(of_ipv6, 2) & pipe.at(behind, 2)).any()), 2)

    starts = [ETHERNET.length + TAG_BYTES * n for n in range(MAX_TAGS + 1)]

    def behind_tags(offset: int, length: int, name: str) -> Staged:
        stage = pipe.first_stage([(1, start - 1, start + offset) for start in starts])
        counts = pipe.settled(lambda stage: pipe.at(behind, stage), stage)
        return pipe.capture(stage, [(start + offset, counts[n]) for n, start in enumerate(starts)], length, name=name)

    ip_start = behind_tags(0, IP_START_BYTES, "ip_start")
    ip_rest = behind_tags(IP_START_BYTES, IPV6.length - IP_START_BYTES, "ip_rest")

    ready = ip_start.stage
    ihl = ip_start.value[-8:-4]
    count = pipe.at(behind, ready)
    number = Mux(count[3], 3, Mux(count[2], 2, count[1]))
    ip_words = Mux(pipe.at(ipv6, ready), IPV6_WORDS, Mux(ihl < MIN_IHL, MIN_IHL, ihl))
    words = Signal(range(FLOW_WORDS.stop))
    m.d.sync += words.eq(ip_words + number)
    word_count = Staged(words, ready + 1, stands=min(field.stands for field in (ip_start, *types)))
    needs = [(word_count.stage, start, start + WORD * MIN_IHL) for start in starts]
    # So that all fields are there with the strobes.
    stage = max(pipe.first_stage(needs), word_count.stage - 1 + pipe.deep)
    here = pipe.settled(lambda stage: Cat(pipe.at(word_count, stage) == k for k in FLOW_WORDS), stage)
    places = [(ETHERNET.length + WORD * k, here[i]) for i, k in enumerate(FLOW_WORDS)]
    ports = pipe.capture(stage, places, PORT_BYTES, name="ports")
    complete = Cat(pipe.hits(stage, place + PORT_BYTES - 1) & condition for place, condition in places).any()
    head, tail = head_event(m, pipe, stage, complete)
    return TenantFields(
        ready=head.stage,
        head=head,
        tail=tail,
        macs=macs,
        types=types,
        tci=tci,
        ipv6=ipv6,
        ip_start=ip_start,
        ip_rest=ip_rest,
        words=word_count,
        ports=ports,
    )
