"""The decapsulator: underlay frames in, tenant and host frames out (SPEC.md section 4)."""

from collections.abc import Callable, Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, Mode, VtepParameters
from ..control.counters import DECAP_REASONS
from ..control.ports import carried_event, carried_layout, config_bus, entry_read_bus, reason_event
from ..control.tables import Table
from ..data_register import data_register
from ..headers import (
    ETHERNET,
    ETHERTYPE_CTAG,
    IPV4,
    IPV6,
    MAC_BYTES,
    PROTOCOL_UDP,
    TAG_BYTES,
    UDP,
    VLAN_TAG,
    VXLAN_FLAG_I,
)
from ..packet.length import FrameEnd, measure
from ..packet.pipe import WIDE, BeatPipe, Staged, beats_apart
from ..packet.reframer import Reframer, shift_fields
from ..packet.store import FrameStore, command_layout
from ..stream.fifo import TokenQueue
from ..stream.packet import packet_signature
from .classifier import Rule, first_rule, outcome, reason_index
from .table_access import answer, lookup_table
from .udp_check import udp_checksum_wrong
from .underlay_parser import (
    OUTER_WORDS,
    TUNNEL_BYTES,
    WORD,
    UnderlayFields,
    ip_field,
    parse_underlay,
    window_bytes,
)

__all__ = ["Decapsulator"]

FRAMES = 64
"""Frames that may wait inside, a power of two; the pipeline in front of the queues counts as well."""

JUDGED = 8
"""Frames that may wait behind their verdict, in store-and-forward."""

SHIFT_WORDS = range(OUTER_WORDS[0] - 1, OUTER_WORDS[-1] + 1)
"""Words of a removal: those between Ethernet header and UDP, less one for a tag that is pushed."""

MAX_TAGS = 3
"""Tags in front of an outgoing inner IP header: two of its own and a pushed one."""

PREFIX_BYTES = ETHERNET.length + MAX_TAGS * TAG_BYTES + IPV4.offset("header_checksum") + 2
"""Bytes of an outgoing frame up to the last that can be another than came in."""

ADDRESSES_END = {4: ETHERNET.length + IPV4.length - 1, 6: ETHERNET.length + IPV6.length - 1}
"""Last byte of the addresses of untagged frames, by family: there both keys of the remote table are known."""

ADDRESSES_BEGIN = {which: ETHERNET.length + IPV4.offset(which) for which in ("source", "destination")}
"""Where an address begins at earliest."""

FIRST_VNI_END = ETHERNET.length + WORD * OUTER_WORDS[0] + UDP.length + 6
"""Last byte of the VNI of frames with no tag and no options."""

ECN_CE = 3
ECN_ECT0 = 2
ECN_ECT1 = 1


def _same_words(address: Value, other: Value) -> Value:
    """Which words of 16 bits are equal; whether all are is for the next clock."""
    return Cat(address[i : i + 16] == other[i : i + 16] for i in range(0, len(address), 16))


def removal(words: int) -> int:
    """Distance that a frame is moved by when ``words`` (see `SHIFT_WORDS`) are removed with all that is fixed."""
    return -(ETHERNET.length + TUNNEL_BYTES + WORD * words)


class Decapsulator(wiring.Component):
    """Removes the outer headers of VXLAN frames, after every check of SPEC.md section 4.

    Parameters
    ----------
    parameters : VtepParameters
        ``data_width``, ``decap_mode``, ``decap_queue_bytes``, ``vnis``, ``tunnels``, ``ipv6``, ``udp_checksum`` and
        ``max_frame_length`` are used.

    Attributes
    ----------
    i : In(stream)
        Underlay rx, a packet stream. ``i.ready`` is a register.
    tenant, host : Out(stream)
        Packet streams: decapsulated frames, and frames for the host as they came.
    config : In
        See `config_bus`.
    entries : In
        See `entry_read_bus`; its index is that of ``config``.
    run : In(1)
        Take frames; in store-and-forward ``i.ready`` is a register behind it. 1 if left alone.
    ready : Out(1)
        Low after reset while tables are being emptied; frames may not enter then, nor entries be written.
    reason : Out
        See `reason_event`: an index into ``DECAP_REASONS``, once a frame at most.
    carried : Out
        See `carried_event`: a frame was delivered to the tenant, unmarked.
    idle : Out(1)
        No frame is inside.

    Notes
    -----
    Throughput: a beat a clock is taken at every frame size, as long as the outputs take theirs. Frames keep their
    order.

    Latency, from the first beat in to the first beat out: store-and-forward, behind the last beat in; cut-through, 16
    clocks at 64 bits and 11 at 512 bits for IPv4 without outer and inner tags, if the frame goes on so long (a
    frame's last beat waits for its checks).

    Reset: frames inside are forgotten, tables are emptied.
    """

    def __init__(self, parameters: VtepParameters) -> None:
        self._parameters = parameters
        self._user = data.StructLayout(
            {"host": unsigned(1), "delivered": unsigned(1), "carried": carried_layout(parameters)}
        )
        super().__init__(
            {
                "i": In(packet_signature(parameters.data_width)),
                "tenant": Out(packet_signature(parameters.data_width)),
                "host": Out(packet_signature(parameters.data_width)),
                "config": In(config_bus(parameters)),
                "entries": In(entry_read_bus(parameters)),
                "run": In(1, init=1),
                "ready": Out(1),
                "reason": Out(reason_event(DECAP_REASONS)),
                "carried": Out(carried_event(parameters)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parameters = self._parameters
        lanes = parameters.lanes
        accepted = Signal()
        arrived = Signal(self.i.payload.shape(), reset_less=True)
        # Stored frames wait anyway, so they take the time for a shorter clock; their beats pass a register first.
        stored = parameters.decap_mode is Mode.STORE_AND_FORWARD
        domain = m.d["sync" if stored else "comb"]
        domain += [accepted.eq(self.i.valid & self.i.ready), arrived.eq(self.i.payload)]
        pipe = BeatPipe(
            m,
            lanes=lanes,
            window=window_bytes(),
            valid=accepted,
            data=arrived.data,
            last=arrived.last,
            deep=stored,
        )
        end = measure(
            m,
            pipe,
            empty=arrived.empty,
            error=arrived.error,
            max_frame_length=parameters.max_frame_length,
        )
        self._tables(m, pipe)
        # Of stored frames, what a table gives passes a register, since it is far.
        address_latency = self._remotes.latency + stored
        vni_latency = self._vnis.latency + stored
        fields = parse_underlay(m, pipe, parameters, address_latency, vni_latency)
        self._fields, self._pipe, self._end = fields, pipe, end

        stage = fields.ready + 1
        flags, late, length_bad = self._rules(m, pipe, fields, end)
        head, tail = pipe.at(fields.head, stage), pipe.at(fields.tail, stage)
        # Which rule it was has a clock more. The first that the headers alone decide is kept for the frame's end.
        early = pipe.register(Staged(first_rule(m, flags), stage))
        at_end_stage = early.stage
        kept = Signal(5)
        by_headers = pipe.wire(Mux(pipe.at(fields.head, at_end_stage), early.value, kept))
        m.d.sync += kept.eq(by_headers)
        # With what the end of the frame tells. RUNT is known with the headers, as such a frame ends there.
        late_then = pipe.at(Staged(late, stage), at_end_stage)
        length_bad_then = pipe.at(Staged(length_bad, stage), at_end_stage)
        at_end = Signal(5)
        with m.If((by_headers != Rule.RUNT.value) & (late_then != 0)):
            m.d.comb += at_end.eq(Mux(late_then[0], Rule.OVERSIZE.value, Rule.ERROR.value))
        with m.Elif((by_headers > Rule.IP_LENGTH.value) & length_bad_then):
            m.d.comb += at_end.eq(Rule.IP_LENGTH.value)
        with m.Else():
            m.d.comb += at_end.eq(by_headers)

        def unhurried(staged: Staged) -> Staged:
            return pipe.register(staged) if stored else staged

        final = unhurried(self._final_rule(m, unhurried(Staged(at_end, at_end_stage))))
        final_rule, final_stage = final.value, final.stage
        ended = pipe.at(fields.tail, final_stage)
        counts, index = reason_index(m, final_rule)
        bad = Signal()
        m.d.comb += bad.eq(counts & (final_rule != Rule.FRAGMENT.value))
        m.d.sync += [self.reason.strobe.eq(ended & counts), self.reason.index.eq(index)]

        store, reframer, flying = self._egress(m, final_stage)
        m.d.comb += [
            store.write.valid.eq(accepted),
            store.write.data.eq(arrived.data),
            store.write.empty.eq(arrived.empty),
            store.write.last.eq(arrived.last),
        ]
        token = self._token(m, stage, *outcome(m, self._now(flags, tail, late, length_bad)))
        verdicts = TokenQueue(unsigned(1), FRAMES, register_output=True)
        m.submodules.verdicts = verdicts
        m.d.comb += [verdicts.i.valid.eq(ended), verdicts.i.payload.eq(bad)]
        if parameters.decap_mode is Mode.CUT_THROUGH:
            self._cut_through(m, head, token, verdicts, store, reframer)
        else:
            self._store_and_forward(m, head, token, verdicts, store, reframer)
        self._outputs(m, reframer)

        # A frame is inside from its first beat until its last has left; in between it is in the store or the reframer,
        # or, when it was dropped, still in the pipeline that counts it.
        counting = Signal(flying)
        m.d.sync += counting.eq(Cat(accepted, counting[:-1]))
        m.d.comb += self.idle.eq(~(accepted & stored) & ~pipe.inside & store.vacant & ~reframer.busy & ~counting.any())
        return m

    @staticmethod
    def _now(flags: dict[Rule, Value], tail: Value, late: Value, length_bad: Value) -> dict[Rule, Value]:
        """The rules as they stand for a frame whose headers are there, and its end, if ``tail`` is high."""
        return flags | {
            Rule.OVERSIZE: tail & late[0],
            Rule.ERROR: tail & late[1],
            Rule.IP_LENGTH: flags[Rule.IP_LENGTH] | (tail & length_bad),
        }

    def _tables(self, m: Module, pipe: BeatPipe) -> None:
        """Index, tag and policy by VNI; tunnels to count for by outer source, groups that we are in by destination."""
        parameters = self._parameters
        cut_through = parameters.decap_mode is Mode.CUT_THROUGH
        # Where frames are stored and narrow, a lookup may take time; lookups begin with the last byte of their keys.
        serial = not cut_through and pipe.lanes < WIDE

        def spacing(last: int) -> int:
            return beats_apart(pipe.lanes, last) if serial else 0

        self._vnis = lookup_table(
            m,
            Table.VNI_MAP,
            parameters,
            self.config,
            self.entries,
            names=["vnis"],
            spacing=spacing(FIRST_VNI_END),
            quick=cut_through,
        )
        self._remotes = lookup_table(
            m,
            Table.REMOTE,
            parameters,
            self.config,
            self.entries,
            names=["peers", "groups"],
            spacing=spacing(ADDRESSES_END[4]),
            registered=not pipe.shallow,
            quick=cut_through,
        )
        answer(m, wiring.flipped(self.entries), [self._vnis.answer, self._remotes.answer])
        m.d.comb += self.ready.eq(self._vnis.ready & self._remotes.ready)

    def _rules(
        self, m: Module, pipe: BeatPipe, fields: UnderlayFields, end: FrameEnd
    ) -> tuple[dict[Rule, Value], Value, Value]:
        """Flags of the rules, one clock behind ``fields.ready``: those of the headers' fields wait for the lookups.

        Returns
        -------
        tuple
            The rules that headers decide; (oversize, error); the IP packet is longer than the frame.
        """
        settings = self.config.settings
        now = fields.early
        then = fields.ready + 1
        flags: dict[Rule, Value] = {}

        def flag(value: Value, name: str) -> Value:
            return pipe.at(Staged(pipe.register_wire(value, name=name), now + 1), then)

        def at(staged: Staged) -> Value:
            return pipe.at(staged, now)

        def ip(offset: int, length: int) -> Value:
            return ip_field(fields, pipe, now, offset, length)

        # Rule 1 and 2. The destination is compared where it is captured, so that it needs not be carried along.
        length = at(end.length)
        flags[Rule.RUNT] = flag(length < ETHERNET.length, "runt")
        mine, same = Signal(), Signal(3)
        group = Signal()
        destination = fields.destination.value
        m.d.sync += [
            same.eq(_same_words(destination, settings.mac)),
            group.eq(destination[40]),
            mine.eq(same.all() | group | settings.promiscuous),
        ]
        flags[Rule.NOT_MINE] = flag(~at(Staged(mine, fields.destination.stage + 2)), "not_mine")

        # Rules 3 and 4. A tag is one only when the EtherType behind it is there; otherwise its own is no IP type.
        tag, ipv4, ipv6 = at(fields.tag), at(fields.ipv4), at(fields.ipv6)
        cut_tag = tag & (length < ETHERNET.length + TAG_BYTES)
        flags[Rule.HOST_ETHERTYPE] = flag(~(ipv4 | ipv6) | cut_tag | (tag & at(fields.second_tag)), "host_ethertype")

        # Rule 5, with the bytes behind the Ethernet header and tag.
        behind = {}
        for tags in (0, 1):
            behind[tags] = Signal(end.length.value.shape(), name=f"behind_{tags}_tags")
            m.d.sync += behind[tags].eq(end.length.value - (ETHERNET.length + TAG_BYTES * tags))
        present = Mux(tag, at(Staged(behind[1], 2)), at(Staged(behind[0], 2)))
        ihl = at(fields.ihl)
        version = ip(0, 1)[4:]
        options_cut = present < Cat(Const(0, 2), ihl)
        bad_ipv4 = (version != 4) | (ihl < 5) | (present < IPV4.length) | options_cut
        bad_ipv6 = (version != 6) | (present < IPV6.length)
        flags[Rule.IP_HEADER] = flag((ipv4 & bad_ipv4) | (ipv6 & bad_ipv6), "bad_ip_header")
        flags[Rule.IP_CHECKSUM] = flag(ipv4, "is_ipv4") & ~pipe.at(fields.ip_checksum_ok, then)
        total = ip(IPV4.offset("total_length"), 2)
        flags[Rule.IP_LENGTH] = flag(ipv4 & (total < Cat(Const(0, 2), ihl)), "bad_ip_length")

        # Rule 6. Addresses are compared where they are captured, too.
        flags[Rule.HOST_ADDRESS] = ~self._address_known(m, pipe, fields, then)

        # Rules 7 to 9. The length of the IP payload needs one clock of its own.
        protocol = ip(IPV4.offset("protocol"), 1)
        fragmented = ip(IPV4.offset("identification") + 2, 2)[:14] != 0
        if self._parameters.ipv6:
            protocol = Mux(ipv6, ip(IPV6.offset("next_header"), 1), protocol)
        flags[Rule.HOST_PROTOCOL] = flag(protocol != PROTOCOL_UDP, "no_udp")
        flags[Rule.FRAGMENT] = flag(ipv4 & fragmented, "fragmented")
        start = fields.ip_start.stage
        payload, packet = Signal(16), Signal(17)
        total_early = ip_field(fields, pipe, start, IPV4.offset("total_length"), 2)
        payload6_early = (
            ip_field(fields, pipe, start, IPV6.offset("payload_length"), 2) if self._parameters.ipv6 else Const(0, 16)
        )
        ipv6_early = pipe.at(fields.ipv6, start)
        m.d.sync += [
            payload.eq(Mux(ipv6_early, payload6_early, total_early - Cat(Const(0, 2), fields.ihl.value))),
            packet.eq(Mux(ipv6_early, payload6_early + IPV6.length, total_early)),
        ]
        beyond = at(Staged(packet, start + 1)) > present
        ip_payload = at(Staged(payload, start + 1))
        udp = at(fields.udp)
        port, udp_length, udp_sum = udp[32:48], udp[16:32], udp[:16]
        flags[Rule.UDP_SHORT] = flag(ip_payload < UDP.length, "udp_short")
        flags[Rule.HOST_PORT] = flag(port != settings.udp_port, "other_port")
        flags[Rule.UDP_LENGTH] = flag((udp_length < TUNNEL_BYTES) | (udp_length > ip_payload), "bad_udp_length")

        # Rule 10, as far as it rests on headers.
        flags[Rule.UDP_CHECKSUM] = flag(ipv6 & (udp_sum == 0) & ~settings.udp6_zero_checksum, "no_udp_checksum")

        # Rules 11 to 14.
        vxlan = at(fields.vxlan)
        flags[Rule.VXLAN_FLAGS] = flag(~vxlan[59], "no_i_flag")
        reserved = (vxlan[56:64] != VXLAN_FLAG_I) | (vxlan[32:56] != 0) | (vxlan[:8] != 0)
        flags[Rule.VXLAN_RESERVED] = flag(settings.reserved_strict & reserved, "reserved")
        vnis = self._vnis
        words = pipe.at(fields.words, fields.vxlan.stage)
        m.d.comb += [
            vnis.keys[0].eq(fields.vxlan.value[8:32]),
            vnis.strobe.eq(
                Cat(
                    pipe.hits(fields.vxlan.stage, FIRST_VNI_END + WORD * (count - OUTER_WORDS[0])) & words[i]
                    for i, count in enumerate(OUTER_WORDS)
                ).any()
            ),
        ]
        vni_stage = fields.vxlan.stage + vnis.latency
        vni = pipe.at(Staged(Cat(vnis.found[0], vnis.values[0]), vni_stage), then)
        policy = data.View(vnis.values[0].shape(), vni[1:])
        self._vni_index, self._vlan, self._push = policy.index, policy.vlan, policy.push
        flags[Rule.UNKNOWN_VNI] = ~vni[0]
        flags[Rule.INNER_RUNT] = flag(udp_length < TUNNEL_BYTES + ETHERNET.length, "inner_runt")
        tagged_length = TUNNEL_BYTES + ETHERNET.length + TAG_BYTES
        flags[Rule.INNER_VLAN] = flag(at(fields.inner_tags[0]) & (udp_length >= tagged_length), "inner_tagged")
        flags[Rule.INNER_VLAN] = flags[Rule.INNER_VLAN] & policy.inner_vlan_discard

        flags[Rule.ECN] = self._ecn(m, at, ip, then)
        late = Cat(flag(at(end.oversize), "oversize"), flag(at(end.error), "marked"))
        return flags, late, flag(beyond, "beyond_frame")

    def _address_known(self, m: Module, pipe: BeatPipe, fields: UnderlayFields, stage: int) -> Value:
        """At ``stage``: the outer destination is ours or a group of a tunnel. Starts the lookup of the source, too."""
        settings = self.config.settings
        early = fields.ip_rest.stage
        ipv6 = pipe.at(fields.ipv6, early)
        own = Signal(2)
        same4, same6, of_ipv6 = Signal(2), Signal(8), Signal()
        remotes = self._remotes
        tag = pipe.at(fields.tag, early)
        m.d.comb += remotes.strobe.eq(
            Cat(
                pipe.hits(early, last + TAG_BYTES * tagged) & (ipv6 == (family == 6)) & (tag == tagged)
                for family, last in ADDRESSES_END.items()
                for tagged in (0, 1)
            ).any()
        )
        for number, which in enumerate(("source", "destination")):
            wait = remotes.key_clocks[number]
            family6 = ipv6
            if wait:
                # By then the next frame may have told its family; its addresses come later.
                assert wait <= ADDRESSES_BEGIN[which] // pipe.lanes
                family6 = Signal(name="was_ipv6", reset_less=True)
                with m.If(remotes.strobe):
                    m.d.sync += family6.eq(ipv6)
            address4 = ip_field(fields, pipe, early, IPV4.offset(which), 4)
            key: Value = Cat(address4, Const(0, 1))
            if self._parameters.ipv6:
                address6 = ip_field(fields, pipe, early, IPV6.offset(which), 16)
                key = Cat(Mux(family6, address6, address4), family6)
            m.d.comb += remotes.keys[number].eq(key)
        address4 = ip_field(fields, pipe, early, IPV4.offset("destination"), 4)
        m.d.sync += [
            of_ipv6.eq(ipv6),
            same4.eq(_same_words(address4, settings.ipv4)),
            own[0].eq(~of_ipv6 & same4.all()),
        ]
        if self._parameters.ipv6:
            address6 = ip_field(fields, pipe, early, IPV6.offset("destination"), 16)
            m.d.sync += [
                same6.eq(_same_words(address6, settings.ipv6)),
                own[1].eq(of_ipv6 & settings.ipv6_used & same6.all()),
            ]
        looked_up = early + remotes.latency
        peer, destination = remotes.values
        self._peer = pipe.at(Staged(Cat(remotes.found[0] & ~peer.group, peer.tunnel), looked_up), stage)
        # All of a value is 0 where nothing was found.
        group = pipe.at(Staged(destination.group, looked_up), stage)
        return pipe.at(Staged(own, early + 2), stage).any() | group | settings.promiscuous

    def _ecn(self, m: Module, at: Callable[[Staged], Value], ip: Callable[[int, int], Value], stage: int) -> Value:
        """Rule 15: whether the frame is to be dropped; prepares the new inner fields. All at ``stage``."""
        fields, pipe = self._fields, self._pipe

        def then(value: Value) -> Value:
            return pipe.at(Staged(value, fields.early + 1), stage)

        tagged = [at(fields.inner_tags[0]), at(fields.inner_tags[0]) & at(fields.inner_tags[1])]

        def behind_tags(choice: Sequence[Value]) -> Value:
            return Mux(tagged[1], choice[2], Mux(tagged[0], choice[1], choice[0]))

        start = at(fields.inner_start)
        version, ihl, second = start[12:], start[8:12], start[:8]
        tag_count = tagged[0] + tagged[1]

        def whole(length: int) -> Value:
            """An inner IP header of ``length`` is inside the inner frame."""
            least = TUNNEL_BYTES + ETHERNET.length + length
            fits = Signal(3, name=f"fits_{length}")
            m.d.sync += fits.eq(Cat(fields.udp.value[16:32] >= least + TAG_BYTES * tags for tags in range(3)))
            return behind_tags(list(at(Staged(fits, fields.udp.stage + 1))))

        inner4 = (
            behind_tags([at(each) for each in fields.inner_ipv4]) & (version == 4) & (ihl >= 5) & whole(IPV4.length)
        )
        inner6 = behind_tags([at(each) for each in fields.inner_ipv6]) & (version == 6) & whole(IPV6.length)
        outer_ecn = Mux(at(fields.ipv6), ip(1, 1)[4:6], ip(1, 1)[:2])
        # Both families at once: which it is takes longer to know.
        is4 = pipe.register_wire(inner4, name="inner_ipv4")
        is6 = pipe.register_wire(inner6, name="inner_ipv6")
        outer = Signal(2)
        second_kept = Signal(8)
        checksum = at(fields.inner_checksum)
        m.d.sync += [outer.eq(outer_ecn), second_kept.eq(second)]
        self._inner_tags = then(pipe.register_wire(tag_count, name="inner_tags"))
        ecn4, ecn6 = second_kept[:2], second_kept[4:6]

        def marks(inner: Value) -> Value:
            return ((outer == ECN_CE) & (inner != 0) & (inner != ECN_CE)) | ((outer == ECN_ECT1) & (inner == ECN_ECT0))

        # RFC 1624: HC' = ~(~HC + ~m + m'); the last two add up to how much the field rises (or falls: 0xFFFE is -1).
        ecn_early = second[:2]
        rise = Mux(outer_ecn == ECN_CE, Mux(ecn_early == ECN_ECT1, 2, 1), 0xFFFE)
        partial = Signal(17)
        m.d.sync += partial.eq(~checksum[:16] + rise)
        self._checksum = then(~(partial[:16] + partial[16])[:16])
        change4 = pipe.wire(is4 & marks(ecn4))
        self._change4 = then(change4)
        self._change = then(change4 | (is6 & marks(ecn6)))
        fresh = Mux(outer == ECN_CE, ECN_CE, ECN_ECT1)
        self._second = then(Mux(is4, Cat(fresh[:2], second_kept[2:]), Cat(second_kept[:4], fresh[:2], second_kept[6:])))
        return then((outer == ECN_CE) & ((is4 & (ecn4 == 0)) | (is6 & (ecn6 == 0))))

    def _final_rule(self, m: Module, at_end: Staged) -> Staged:
        """The deciding rule with the UDP checksum."""
        if not self._parameters.udp_checksum:
            return at_end
        pipe = self._pipe
        verify = self.config.settings.udp_checksum_verify
        wrong = udp_checksum_wrong(m, pipe, self._fields, self._end.number, verify, self._parameters.data_width)
        stage = max(wrong.stage, at_end.stage)
        rule = pipe.at(at_end, stage)
        bad = (rule > Rule.UDP_CHECKSUM.value) & pipe.at(wrong, stage)
        return Staged(pipe.wire(Mux(bad, Rule.UDP_CHECKSUM.value, rule)), stage)

    def _token(self, m: Module, stage: int, drop: Value, to_host: Value) -> data.View:
        """All that the egress must know of a frame, as decided by its headers (and its end, if that is known)."""
        pipe, fields, parameters = self._pipe, self._fields, self._parameters
        lane_bits = (parameters.lanes - 1).bit_length()
        constants = {
            words: shift_fields(parameters.data_width, removal(words), self._shifts()) for words in SHIFT_WORDS
        }
        whole = shift_fields(parameters.data_width, 0, self._shifts())
        token = Signal(self._token_layout())

        host = pipe.wire(to_host)
        words = pipe.at(fields.words, stage)
        push = self._push
        chosen = {
            count: pipe.wire(
                Mux(
                    push,
                    words[OUTER_WORDS.index(count + 1)] if count + 1 in OUTER_WORDS else 0,
                    words[OUTER_WORDS.index(count)] if count in OUTER_WORDS else 0,
                )
            )
            for count in SHIFT_WORDS
        }

        def constant(name: str) -> Value:
            value: Value = Const(0)
            for count, condition in chosen.items():
                value = value | Mux(condition, constants[count][name], 0)
            return Mux(host, whole[name], value)

        # Length of the outgoing frame less one, with and without a pushed tag.
        udp_length = pipe.at(Staged(fields.udp.value[16:32], fields.udp.stage, stands=fields.udp.stands), fields.ready)
        plain, pushed = Signal(16), Signal(16)
        m.d.sync += [plain.eq(udp_length - TUNNEL_BYTES - 1), pushed.eq(udp_length - TUNNEL_BYTES - 1 + TAG_BYTES)]
        before_last = Mux(push, pushed, plain)[:LENGTH_BITS]
        m.d.comb += [
            token.drop.eq(drop),
            token.skip.eq(constant("skip")),
            token.rotation.eq(constant("rotation")),
            token.preload.eq(constant("preload")),
            token.beats.eq(before_last >> lane_bits),
            token.empty.eq(~before_last[:lane_bits]),
            token.push.eq(push),
            token.vlan.eq(self._vlan),
            token.macs.eq(pipe.at(fields.inner_macs, stage)),
            token.change.eq(self._change),
            token.change_checksum.eq(self._change4),
            token.second.eq(self._second),
            token.checksum.eq(self._checksum),
            token.tags.eq(self._inner_tags + push),
            token.user.host.eq(host),
            token.user.delivered.eq(~drop & ~host),
            token.user.carried.vni.eq(self._vni_index),
            token.user.carried.tunnel_used.eq(self._peer[0]),
            token.user.carried.tunnel.eq(self._peer[1:]),
            token.user.carried.length.eq(plain + 1),
        ]
        return token

    def _shifts(self) -> list[int]:
        return [0, *(removal(words) for words in SHIFT_WORDS)]

    def _token_layout(self) -> data.StructLayout:
        job = self._reframer_job()
        return data.StructLayout(
            {
                "drop": unsigned(1),
                "skip": command_layout(self._skips())["skip"].shape,
                "rotation": job["rotation"].shape,
                "preload": unsigned(1),
                "beats": unsigned(LENGTH_BITS),
                "empty": job["empty"].shape,
                "push": unsigned(1),
                "vlan": unsigned(12),
                "macs": unsigned(8 * MAC_BYTES),
                "change": unsigned(1),
                "change_checksum": unsigned(1),
                "second": unsigned(8),
                "checksum": unsigned(16),
                "tags": unsigned(2),
                "user": self._user,
            }
        )

    def _reframer_job(self) -> data.StructLayout:
        return self._reframer.jobs.payload.shape()

    def _skips(self) -> int:
        width = self._parameters.data_width
        return 1 + max(shift_fields(width, shift, self._shifts())["skip"] for shift in self._shifts())

    def _egress(self, m: Module, final_stage: int) -> tuple[FrameStore, Reframer, int]:
        """The store and the reframer, and for how many clocks a frame can be in none of their counts."""
        parameters = self._parameters
        cut_through = parameters.decap_mode is Mode.CUT_THROUGH
        # Where the shortest frame for a tenant has two beats, a job is wanted every second clock at most, and none for
        # a tenant ends with its first beat. Cut-through has only the announced length.
        self._long = not cut_through and ETHERNET.length > parameters.lanes
        m.submodules.reframer = self._reframer = Reframer(
            parameters.data_width,
            shifts=self._shifts(),
            prefix_bytes=PREFIX_BYTES,
            user=self._user,
            tail=cut_through,
            long=self._long,
            far=not cut_through,
        )
        m.submodules.store = store = FrameStore(
            parameters.data_width,
            depth=parameters.queue_beats("decap_queue_bytes"),
            frames=FRAMES,
            frame_margin=4,
            max_beats=-(-(parameters.max_frame_length + 1) // parameters.lanes),
            skip_range=self._skips(),
            fast=cut_through,
        )
        wiring.connect(m, store.beats, self._reframer.beats)
        return store, self._reframer, final_stage + 2

    def _cut_through(
        self,
        m: Module,
        head: Value,
        token: data.View,
        verdicts: TokenQueue,
        store: FrameStore,
        reframer: Reframer,
    ) -> None:
        """A frame goes on as soon as its headers are judged; its last beat waits for the verdict."""
        margin = self._fields.ready + 2
        m.submodules.commands = commands = TokenQueue(store.commands.payload.shape(), FRAMES, margin=margin)
        m.submodules.tokens = tokens = TokenQueue(token.shape(), FRAMES, margin=margin)
        m.d.comb += [
            commands.i.valid.eq(head),
            tokens.i.valid.eq(head),
            tokens.i.payload.eq(token),
            reframer.jobs.valid.eq(tokens.o.valid),
            tokens.o.ready.eq(reframer.jobs.ready),
            self.i.ready.eq(self.run & store.room & verdicts.room & tokens.room & commands.room),
        ]
        self._command(m, commands.i.payload, token.skip, token.drop)
        self._expand(m, reframer.jobs.payload, tokens.o.payload)
        wiring.connect(m, commands.o, store.commands)
        wiring.connect(m, verdicts.o, reframer.verdicts)

    def _store_and_forward(
        self,
        m: Module,
        head: Value,
        token: data.View,
        verdicts: TokenQueue,
        store: FrameStore,
        reframer: Reframer,
    ) -> None:
        """A frame goes on when its verdict is there, or is forgotten."""
        long = self._long
        m.submodules.tokens = tokens = TokenQueue(
            token.shape(), FRAMES, margin=self._fields.ready + 5, register_output=long, spaced=long, block=long
        )
        m.d.sync += [
            self.i.ready.eq(self.run & store.room & verdicts.room & tokens.room),
            # What the tables give is far from the queue.
            tokens.i.valid.eq(head),
        ]
        data_register(m, tokens.i.payload, token)
        judge = self._judge_apart if long else self._judge_together
        commands, job = judge(m, tokens, verdicts, store, reframer)
        self._expand(m, reframer.jobs.payload, job)
        wiring.connect(m, commands.o, store.commands)

    def _judge_together(
        self, m: Module, tokens: TokenQueue, verdicts: TokenQueue, store: FrameStore, reframer: Reframer
    ) -> tuple[TokenQueue, data.View]:
        """Give a frame's command and its job at once. Returns the queue of commands, and the token of the job."""
        m.submodules.commands = commands = TokenQueue(store.commands.payload.shape(), JUDGED, margin=2)
        m.submodules.jobs = jobs = TokenQueue(tokens.shape, JUDGED, margin=2)
        judged, chosen, forgotten = Signal(), Signal(), Signal()
        m.d.comb += [
            judged.eq(tokens.o.valid & verdicts.o.valid & commands.room & jobs.room),
            tokens.o.ready.eq(judged),
            verdicts.o.ready.eq(judged),
            commands.i.valid.eq(chosen),
            jobs.i.valid.eq(chosen & ~forgotten),
            reframer.jobs.valid.eq(jobs.o.valid),
            jobs.o.ready.eq(reframer.jobs.ready),
        ]
        # The verdict tells of what the headers forbid as well.
        m.d.sync += [chosen.eq(judged), forgotten.eq(verdicts.o.payload)]
        data_register(m, jobs.i.payload, tokens.o.payload)
        self._command(m, commands.i.payload, jobs.i.payload.skip, forgotten)
        return commands, jobs.o.payload

    def _judge_apart(
        self, m: Module, tokens: TokenQueue, verdicts: TokenQueue, store: FrameStore, reframer: Reframer
    ) -> tuple[TokenQueue, data.View]:
        """As `_judge_together`, where a job is wanted every second clock at most: tokens wait for it in block RAM.

        What the store must know of a frame is in a queue of its own, and so the store may begin with a frame before the
        reframer does. It leaves before the frame's token, so there is room for both.
        """
        token = tokens.i.payload
        m.submodules.skips = skips = TokenQueue(token.skip.shape(), FRAMES, margin=tokens.margin)
        m.submodules.commands = commands = TokenQueue(store.commands.payload.shape(), JUDGED)
        m.submodules.fates = fates = TokenQueue(unsigned(1), JUDGED)
        judged, gone = Signal(), Signal()
        forget = verdicts.o.payload  # for what the headers forbid as well
        forgotten = fates.o.payload
        m.d.comb += [
            judged.eq(skips.o.valid & verdicts.o.valid & commands.i.ready & fates.i.ready),
            skips.i.valid.eq(tokens.i.valid),
            skips.i.payload.eq(token.skip),
            skips.o.ready.eq(judged),
            verdicts.o.ready.eq(judged),
            commands.i.valid.eq(judged),
            fates.i.valid.eq(judged),
            fates.i.payload.eq(forget),
            reframer.jobs.valid.eq(tokens.o.valid & fates.o.valid & ~forgotten),
            gone.eq(tokens.o.valid & fates.o.valid & (forgotten | reframer.jobs.ready)),
            tokens.o.ready.eq(gone),
            fates.o.ready.eq(gone),
        ]
        self._command(m, commands.i.payload, skips.o.payload, forget)
        return commands, tokens.o.payload

    @staticmethod
    def _command(m: Module, command: data.View, skip: Value, drop: Value) -> None:
        m.d.comb += [command.drop.eq(drop), command.final.eq(1), command.skip.eq(skip)]

    @staticmethod
    def _expand(m: Module, job: data.View, token: data.View) -> None:
        """The reframer's job: a pushed tag behind the MAC addresses, and the inner IP header's new fields."""
        prefix: list[Value] = [Const(0, 8)] * PREFIX_BYTES
        mask: list[Value] = [Const(0, 1)] * PREFIX_BYTES
        tag = VLAN_TAG.pack({"tpid": ETHERTYPE_CTAG, "vid": token.vlan})
        macs = [token.macs.word_select(MAC_BYTES - 1 - i, 8) for i in range(MAC_BYTES)]
        for i, byte in enumerate([*macs, *tag]):
            prefix[i], mask[i] = byte, token.push & ~token.user.host
        for tags in range(MAX_TAGS + 1):
            here = token.change & (token.tags == tags) & ~token.user.host
            ip = ETHERNET.length + TAG_BYTES * tags
            places = [(ip + 1, token.second, here)]
            for i in range(2):
                byte = token.checksum.word_select(1 - i, 8)
                places.append((ip + IPV4.offset("header_checksum") + i, byte, here & token.change_checksum))
            for place, byte, condition in places:
                prefix[place] = Mux(condition, byte, prefix[place])
                mask[place] = mask[place] | condition
        m.d.comb += [
            job.rotation.eq(token.rotation),
            job.preload.eq(token.preload),
            job.beats.eq(token.beats),
            job.empty.eq(token.empty),
            job.whole.eq(token.user.host),
            job.drop.eq(token.drop),
            job.final.eq(1),
            job.prefix.eq(Cat(*prefix)),
            job.mask.eq(Cat(*mask)),
            job.user.eq(token.user),
        ]

    def _outputs(self, m: Module, reframer: Reframer) -> None:
        leaving = reframer.o
        to_host = reframer.user.host
        for port, chosen in ((self.tenant, ~to_host), (self.host, to_host)):
            m.d.comb += [port.valid.eq(leaving.valid & chosen), port.payload.eq(leaving.payload)]
        m.d.comb += leaving.ready.eq(Mux(to_host, self.host.ready, self.tenant.ready))
        ended = reframer.ended_user
        m.d.sync += [
            self.carried.strobe.eq(reframer.ended & ended.delivered & ~reframer.ended_error),
            self.carried.frame.eq(ended.carried),
        ]
