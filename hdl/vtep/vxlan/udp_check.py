"""Whether the UDP checksum of an underlay frame is right (SPEC.md section 4, rule 10; RFC 768, RFC 1071, RFC 8200)."""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Signal, Value

from ..headers import ETHERNET, IPV4, IPV6, PROTOCOL_UDP, TAG_BYTES
from ..integrity.checksum import ChecksumAccumulator
from ..packet.pipe import BeatPipe, Staged
from .underlay_parser import OUTER_WORDS, TUNNEL_BYTES, WORD, UnderlayFields

__all__ = ["udp_checksum_wrong"]


def udp_checksum_wrong(
    m: Module, pipe: BeatPipe, fields: UnderlayFields, number: Staged, verify: Value, data_width: int
) -> Staged:
    """High at a frame's end if ``verify`` is, the datagram has a checksum, and it is wrong.

    ``number``: the beat's number in the frame. For a frame whose lengths contradict each other the result means
    nothing; another rule decides there.
    """
    lanes = pipe.lanes
    first = ETHERNET.length
    udp_ready = fields.udp.stage
    length = fields.udp.value[16:32]
    starts = [first + WORD * k for k in OUTER_WORDS]

    # First byte behind the datagram, a clock after its length.
    word_count = Signal(range(OUTER_WORDS.stop))
    here = pipe.at(fields.words, udp_ready)
    for i, k in enumerate(OUTER_WORDS):
        with m.If(here[i]):
            m.d.comb += word_count.eq(k)
    behind = Signal(17)
    m.d.sync += behind.eq(length + Cat(Const(0, 2), word_count) + first)

    addresses = {False: IPV4.offset("source"), True: IPV6.offset("source")}
    needs = [(udp_ready + 1, start + 5, start + TUNNEL_BYTES) for start in starts]
    for offset in addresses.values():
        needs += [(1, start - 1, start + offset) for start in (first, first + TAG_BYTES)]
    for start in (first, first + TAG_BYTES):
        needs.append((fields.words.stage, start, start + WORD * OUTER_WORDS[0]))
    stage = pipe.first_stage(needs)

    def at(staged: Staged) -> Callable[[int], Value]:
        return lambda stage: pipe.at(staged, stage)

    tag, ipv6, words = at(fields.tag), at(fields.ipv6), at(fields.words)

    def at_start(stage: int, offset: int, condition: Value) -> list[tuple[int, Value]]:
        """Byte ``offset`` of the IP header."""
        tagged = tag(stage)
        return [(first + offset, ~tagged & condition), (first + TAG_BYTES + offset, tagged & condition)]

    # What the checksum covers: the addresses, and all from the UDP header on, which for IPv6 follows them.
    def datagram_begins(stage: int) -> list[tuple[int, Value]]:
        behind_ipv4 = [(start, words(stage)[i] & ~ipv6(stage)) for i, start in enumerate(starts)]
        return behind_ipv4 + at_start(stage, addresses[True], ipv6(stage))

    datagram = pipe.region(stage, datagram_begins, name="datagram")
    pseudo = pipe.region(
        stage,
        lambda stage: at_start(stage, addresses[False], ~ipv6(stage)),
        lambda stage: at_start(stage, IPV4.offset("destination") + 4, ~ipv6(stage)),
        name="pseudo_header",
    )

    # The end counts from the beat on in which it can be known, and can be.
    view = pipe.view(stage)
    known = pipe.region(
        stage,
        lambda stage: [(start + TUNNEL_BYTES, words(stage)[i]) for i, start in enumerate(starts)],
        name="end_known",
    )[-1]
    lane_bits = (lanes - 1).bit_length()
    end_at = Staged(behind, udp_ready + 1)
    in_beat = pipe.settled(lambda stage: pipe.at(number, stage) == pipe.at(end_at, stage)[lane_bits:], stage)
    end_lane = pipe.at(end_at, stage)[:lane_bits]
    ends_here = pipe.wire(known & in_beat)
    past = Signal()
    with m.If(view["valid"]):
        m.d.sync += past.eq(~view["last"] & (past | ends_here))
    before_end = Cat(~past & ~(ends_here & (end_lane <= lane)) for lane in range(lanes))

    m.submodules.udp_checksum = total = ChecksumAccumulator(data_width)
    regions = [Staged(pipe.wire(region), stage) for region in (datagram | pseudo, before_end)]
    if not pipe.shallow:
        regions = [pipe.register(region) for region in regions]
    masked = regions[0].stage + 1
    beat = pipe.view(masked)
    mask = Signal(lanes)
    m.d.sync += mask.eq(regions[0].value & regions[1].value)
    m.d.comb += [
        total.valid.eq(beat["valid"]),
        total.first.eq(beat["index"] == 0),
        total.last.eq(beat["last"]),
        total.data.eq(beat["data"]),
        total.mask.eq(mask),
    ]
    # The sum with the pseudo-header's protocol and length must be 0xFFFF, or twice that without the carry's return.
    summed = masked + total.latency
    rest = Signal(17)
    m.d.sync += rest.eq(length + PROTOCOL_UDP)
    with_rest = Signal(18)
    m.d.sync += with_rest.eq(total.sum + pipe.at(Staged(rest, udp_ready + 1), summed))
    used = Signal()
    m.d.sync += used.eq((fields.udp.value[:16] != 0) & verify)
    wrong = Signal()
    m.d.sync += wrong.eq(
        (with_rest != 0xFFFF) & (with_rest != 0x1FFFE) & pipe.at(Staged(used, udp_ready + 1), summed + 1)
    )
    return Staged(wrong, summed + 2)
