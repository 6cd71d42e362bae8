"""The encapsulator: tenant frames in, underlay frames out (SPEC.md section 3)."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, Mode, VtepParameters
from ..control.counters import ENCAP_REASONS
from ..control.ports import (
    SETTLING,
    carried_event,
    carried_layout,
    config_bus,
    entry_of,
    entry_read_bus,
    reason_event,
    writes_to,
)
from ..control.tables import Table, flood_layout, vni_layout
from ..headers import (
    ETHERNET,
    ETHERTYPE_CTAG,
    ETHERTYPE_IPV4,
    IPV4,
    IPV6,
    MAC_BYTES,
    PROTOCOL_SCTP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    TAG_BYTES,
    UDP,
)
from ..integrity.checksum import ChecksumAccumulator
from ..lookup.direct import DirectTable
from ..lookup.toeplitz import SerialToeplitzHash, ToeplitzHash
from ..packet.length import FrameEnd, head_event, measure
from ..packet.pipe import WIDE, BeatPipe, Staged
from ..packet.prefix_stream import PrefixStream, prefix_beat
from ..packet.reframer import Reframer, shift_fields
from ..packet.store import FrameStore
from ..stream.fifo import TokenQueue
from ..stream.packet import packet_signature
from ..stream.skid import SkidBuffer
from .outer_header import OuterHeader, copy_layout, overhead, prefix_formats, prefix_sections
from .table_access import Answer, answer, direct_table, lookup_table
from .tenant_parser import MAX_TAGS, PORT_BYTES, TenantFields, parse_tenant, window_bytes
from .underlay_parser import ip_field, is_tag

__all__ = ["Encapsulator"]

FRAMES = 64
"""Frames that may wait inside, a power of two; the pipeline in front of the queues counts as well."""

JOBS = 16
"""Copies that may wait for their beats; those in the header pipeline count as well. Twice as many where a copy of a
minimum frame is two beats, so that more of them are on their way."""

SHORT_COPY_LANES = 64
"""Byte lanes from which on a copy may be that short."""

TYPE_END = ETHERNET.length + TAG_BYTES - 1
"""The last byte that decides on the VNI: that of the EtherType behind a tag."""

REST = 10
"""Clocks behind each frame in which no beat is taken, where the headers that are put in front of it last longer: what
is known of the frame stands still meanwhile, and a table may be read one location after the other."""

DEFAULT_TTL = 64
"""What inherits where the inner frame is not IP (SPEC.md section 3)."""


class Encapsulator(wiring.Component):
    """Puts tenant frames into VXLAN, after every check of SPEC.md section 3.

    Parameters
    ----------
    parameters : VtepParameters
        All but those of decapsulation and the host port are used.

    Attributes
    ----------
    i : In(stream)
        Tenant rx, a packet stream, with ``length`` if ``tenant_length`` is set. ``i.ready`` is a register.
    o : Out(stream)
        A packet stream, to underlay tx.
    config : In
        See `config_bus`.
    entries : In
        See `entry_read_bus`; its index is that of ``config``.
    run : In(1)
        Take frames; ``i.ready`` is a register behind it. 1 if left alone.
    ready : Out(1)
        Low after reset while tables are being emptied; frames may not enter then, nor entries be written.
    reason : Out
        See `reason_event`: an index into ``ENCAP_REASONS``, once a frame at most, without ``mtu``.
    too_big : Out(1)
        Strobe: a copy was dropped by rule 4 (counter ``mtu``).
    carried : Out
        See `carried_event`: a copy left, unmarked.
    idle : Out(1)
        No frame is inside.

    Notes
    -----
    Throughput: as long as frames wait, the output holds a beat on every clock, at every frame size, copies included.
    In store-and-forward at 8 to 32 bits no beat is taken for 10 clocks behind a frame: what leaves is longer by more.

    Latency: store-and-forward, behind a frame's last beat in; cut-through, behind the last header byte that is looked
    at (88 bytes at most) or the frame's end. In cut-through a copy that is too big holds up the next copies of its
    frame until the frame's end. Headers are made from the announced length: whether a copy is too big, and whether it
    uses up an IPv4 identification, rests on that, also where the frame then has another length and leaves marked.

    Reset: frames inside are forgotten, tables are emptied, IPv4 identifications begin at 0.
    """

    def __init__(self, parameters: VtepParameters) -> None:
        self._parameters = parameters
        self._user = data.StructLayout(
            {"sent": unsigned(1), "too_big": unsigned(1), "carried": carried_layout(parameters)}
        )
        super().__init__(
            {
                "i": In(packet_signature(parameters.data_width, length=parameters.tenant_length)),
                "o": Out(packet_signature(parameters.data_width)),
                "config": In(config_bus(parameters)),
                "entries": In(entry_read_bus(parameters)),
                "run": In(1, init=1),
                "ready": Out(1),
                "reason": Out(reason_event(ENCAP_REASONS)),
                "too_big": Out(1),
                "carried": Out(carried_event(parameters)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parameters = self._parameters
        self._cut_through = parameters.encap_mode is Mode.CUT_THROUGH
        # Where the shortest frame that leaves has two beats, frames and jobs are wanted every second clock at most, and
        # none ends with its first beat. Cut-through has only the announced length, which may be 0.
        shortest = min(self._shifts()) + (0 if self._cut_through else ETHERNET.length)
        self._long = shortest > parameters.lanes
        # Narrow beats leave the time to make the headers up beat by beat, and to read tables between the lookups.
        self._narrow = not self._cut_through and parameters.lanes < WIDE
        self._rest = REST if self._narrow and min(self._shifts()) // parameters.lanes >= REST else 0
        self._answers: list[Answer] = []
        self._ready: list[Value] = []
        # A beat passes a register first: it goes far.
        accepted = Signal()
        self._arrived = arrived = Signal(self.i.payload.shape(), reset_less=True)
        m.d.sync += [accepted.eq(self.i.valid & self.i.ready), arrived.eq(self.i.payload)]
        self._pipe = pipe = BeatPipe(
            m,
            lanes=parameters.lanes,
            window=window_bytes(),
            valid=accepted,
            data=arrived.data,
            last=arrived.last,
            deep=True,
            rest=self._rest,
        )
        end = measure(
            m,
            pipe,
            empty=arrived.empty,
            error=arrived.error,
            max_frame_length=parameters.max_frame_length,
        )
        self._fields = fields = parse_tenant(m, pipe)
        vni = self._vni(m, fields, end)
        tunnel = self._tunnel(m, fields, vni)
        inner, flow_hash = self._flow(m, fields, end, vni)
        length, mismatch = self._length(m, end)

        # What is known of a frame waits in three queues, written when each part is there and read as one. Where the
        # addresses find room, there is always some.
        sums = self._payload_sum(m) if parameters.udp_checksum else Staged(Const(0, 16), 1)
        # What the FDB gives passes a register, since it is far from the queues.
        final = max(tunnel.stage + 1, flow_hash.stage, inner.stage, sums.stage, fields.ready + 1, 3)
        head = pipe.at(fields.head, final)
        tail = pipe.at(fields.tail, final)
        runt = pipe.register(Staged(end.length.value < ETHERNET.length, end.length.stage))
        too_long = pipe.register(Staged(length.value > parameters.max_frame_length, length.stage))
        reason, dropped = self._reason(m, final, head, end, runt, vni, tunnel, mismatch)

        heads = self._head_layout()
        m.submodules.heads = head_queue = TokenQueue(
            heads, FRAMES, margin=final + 4, register_output=self._long, spaced=self._long, block=self._long
        )
        m.submodules.macs = macs_queue = TokenQueue(
            fields.macs.value.shape(), FRAMES, register_output=self._long, spaced=self._long, block=self._long
        )
        there, _ = head_event(m, pipe, fields.macs.stage - 1, pipe.hits(fields.macs.stage - 1, MAC_BYTES - 1))
        m.d.comb += [macs_queue.i.valid.eq(there.value), macs_queue.i.payload.eq(fields.macs.value)]
        m.submodules.tails = tail_queue = TokenQueue(self._tail_layout(), FRAMES, margin=final + 4)
        token = data.View(heads, head_queue.i.payload)
        found = data.View(self._vni_layout(), pipe.at(vni, final))
        target = data.View(self._tunnel_layout(), pipe.at(tunnel, final))
        view = data.View(self._inner_layout(), pipe.at(inner, final))
        m.d.comb += [
            head_queue.i.valid.eq(head),
            # What the end of a frame tells comes from the other queue; in cut-through such a frame leaves, marked.
            token.forget.eq(pipe.at(runt, final) | pipe.at(too_long, final) | ~found.found | ~target.found),
            token.vni_index.eq(found.index),
            token.vni.eq(found.vni),
            token.strip.eq(found.strip),
            token.unicast.eq(target.unicast),
            token.tunnel.eq(target.tunnel),
            token.flood.eq(found.flood),
            token.hash.eq(pipe.at(flow_hash, final)),
            token.tci.eq(pipe.at(fields.tci, final)),
            token.inner.eq(view),
            token.length.eq(pipe.at(length, final)),
            tail_queue.i.valid.eq(tail),
            tail_queue.i.payload.bad.eq(dropped),
            tail_queue.i.payload.length.eq(pipe.at(end.length, final)),
            tail_queue.i.payload.payload.eq(pipe.at(sums, final)),
        ]
        m.d.sync += [self.reason.strobe.eq(tail & dropped), self.reason.index.eq(reason)]

        store, reframer = self._egress(m, head_queue, macs_queue, tail_queue)
        m.d.comb += [
            store.write.valid.eq(accepted),
            store.write.data.eq(arrived.data),
            store.write.empty.eq(arrived.empty),
            store.write.last.eq(arrived.last),
        ]
        pause = self._pause(m) if self._rest else Const(0)
        m.d.sync += self.i.ready.eq(self.run & store.room & head_queue.room & tail_queue.room & ~pause)
        answer(m, wiring.flipped(self.entries), self._answers)
        m.d.comb += self.ready.eq(Cat(*self._ready).all())
        counting = Signal(final + 2)
        m.d.sync += counting.eq(Cat(accepted, counting[:-1]))
        m.d.comb += self.idle.eq(
            ~accepted & ~pipe.inside & store.vacant & ~reframer.busy & ~counting.any() & ~self._copies_fly
        )
        return m

    def _pause(self, m: Module) -> Value:
        """Take no beat in the next clock."""
        left = Signal(range(REST))
        ends = self.i.valid & self.i.ready & self.i.payload.last
        with m.If(ends):
            m.d.sync += left.eq(REST - 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return ends | (left != 0)

    # -- rules 1 to 3 ------------------------------------------------------------------------------------------

    def _vni_layout(self) -> data.StructLayout:
        return data.StructLayout(
            {
                "found": unsigned(1),
                "strip": unsigned(1),
                "index": unsigned(self._parameters.index_bits("vnis")),
                "vni": unsigned(24),
                "flood_used": unsigned(1),
                "flood": vni_layout(self._parameters)["flood"].shape,
            }
        )

    def _vni(self, m: Module, fields: TenantFields, end: FrameEnd) -> Staged:
        """Rule 2: the frame's VNI. A VID has the index of one, whose entry must agree."""
        parameters, pipe = self._parameters, self._pipe
        written = entry_of(self.config, Table.VNI, parameters)
        vlans = self._table(m, Table.VLAN)
        vnis = self._table(m, Table.VNI, clears=True, strobed=self._narrow)
        if self._narrow:
            # Frames without a whole VID need no lookup; so there are clocks for reads, whatever comes.
            m.d.comb += vnis.lookup.eq(pipe.hits(fields.tci.stage + vlans.latency, ETHERNET.length + 1))
        m.d.comb += vlans.lookup_index.eq(fields.tci.value[:12])
        m.d.comb += vnis.lookup_index.eq(vlans.value.vni)
        by_vid = vnis.value
        stage = fields.tci.stage + vlans.latency + vnis.latency
        index = pipe.at(Staged(vlans.value.vni, stage - vnis.latency), stage)

        # The VNI of untagged frames needs no search.
        untagged = Signal(written.shape())
        untagged_index = Signal(vlans.value.vni.shape())
        number = self.config.write.index
        writes = writes_to(self.config, Table.VNI)
        with m.If(writes & written.used & (written.vlan == 0)):
            m.d.sync += [untagged.eq(written), untagged_index.eq(number)]
        with m.Elif(writes & (number == untagged_index)):
            m.d.sync += untagged.used.eq(0)

        length = pipe.at(end.length, stage)
        vid = pipe.at(fields.tci, stage)[:12]
        tagged = pipe.register_wire(
            (pipe.at(fields.types[0], stage) == ETHERTYPE_CTAG) & (length >= ETHERNET.length + TAG_BYTES) & (vid != 0),
            name="tagged",
        )
        agrees = pipe.register_wire(by_vid.used & (by_vid.vlan == vid), name="vid_agrees")
        found = Signal(self._vni_layout())
        strip = pipe.wire(tagged & agrees)
        own = data.View(by_vid.shape(), pipe.register_wire(by_vid.as_value(), name="by_vid"))
        own_index = pipe.register_wire(index, name="by_vid_index")
        now = Signal(found.shape())
        m.d.comb += [
            now.strip.eq(strip),
            now.found.eq(strip | (untagged.used & (~tagged | ~untagged.inner_vlan_discard))),
            now.index.eq(Mux(strip, own_index, untagged_index)),
            *(now[name].eq(Mux(strip, own[name], untagged[name])) for name in ("vni", "flood_used", "flood")),
        ]
        if not self._rest:
            m.d.sync += found.eq(now)
            return Staged(found.as_value(), stage + 2)
        # Found out once for each frame: what stands for a while is of one instant.
        known, _ = head_event(m, pipe, stage, pipe.hits(stage, TYPE_END))
        self._known = known
        with m.If(known.value):
            m.d.sync += found.eq(now)
        return Staged(found.as_value(), stage + 2, stands=self._rest)

    def _table(self, m: Module, table: Table, *, clears: bool = False, strobed: bool = False) -> DirectTable:
        direct, answer = direct_table(
            m, table, self._parameters, self.config, self.entries, clears=clears, strobed=strobed
        )
        self._answers.append(answer)
        self._ready.append(direct.ready)
        return direct

    def _tunnel_layout(self) -> data.StructLayout:
        return data.StructLayout(
            {
                "found": unsigned(1),
                "unicast": unsigned(1),
                "tunnel": unsigned(self._parameters.index_bits("tunnels")),
            }
        )

    def _tunnel(self, m: Module, fields: TenantFields, vni: Staged) -> Staged:
        """Rule 3: the frame's tunnel, or that it goes to all of the flood list."""
        pipe = self._pipe
        fdb = lookup_table(
            m,
            Table.FDB,
            self._parameters,
            self.config,
            self.entries,
            names=["fdb"],
            spacing=self._rest + 1 if self._rest else 0,
        )
        self._answers.append(fdb.answer)
        self._ready.append(fdb.ready)
        vni_now = data.View(self._vni_layout(), vni.value)
        destination = pipe.at(fields.macs, vni.stage)[48:]
        m.d.comb += fdb.keys[0].eq(Cat(vni_now.vni, destination))
        if self._rest:
            m.d.comb += fdb.strobe.eq(pipe.at(self._known, vni.stage))
        stage = vni.stage + fdb.latency
        group = pipe.at(fields.macs, stage)[48 + 40]
        target = Signal(self._tunnel_layout())
        then = data.View(self._vni_layout(), pipe.at(vni, stage))
        m.d.comb += [
            target.unicast.eq(fdb.found[0] & ~group),
            target.found.eq(target.unicast | then.flood_used),
            target.tunnel.eq(fdb.values[0].tunnel),
        ]
        return Staged(target.as_value(), stage, stands=pipe.standing([vni, fields.macs], stage))

    # -- the inner packet --------------------------------------------------------------------------------------

    @staticmethod
    def _inner_layout() -> data.StructLayout:
        return data.StructLayout({"tos": unsigned(8), "ttl": unsigned(8), "df": unsigned(1)})

    def _flow(self, m: Module, fields: TenantFields, end: FrameEnd, vni: Staged) -> tuple[Staged, Staged]:
        """The inner packet's fields that tunnels inherit, and the flow hash."""
        pipe = self._pipe
        first = max(fields.ready, vni.stage)
        stage = first + 1

        def at(staged: Staged) -> Value:
            return pipe.at(staged, stage)

        def ip(offset: int, length: int) -> Value:
            return ip_field(fields, pipe, stage, offset, length)

        def flag(value: Value, name: str) -> Signal:
            """What is found out at ``first``, a register at ``stage``."""
            return pipe.register_wire(value, name=name)

        # What each number of tags would mean. A tag counts if the EtherType behind it is there, and the third only if
        # the first is removed: at most two belong to the inner frame.
        length = pipe.at(end.length, first)
        strip = data.View(self._vni_layout(), pipe.at(vni, first)).strip
        types = [pipe.at(staged, first) for staged in fields.types]
        present = [pipe.wire(is_tag(types[i])) for i in range(MAX_TAGS)]
        start = ip_field(fields, pipe, first, 0, 1)
        tags = []
        is_ipv4, is_long = [], []
        for i in range(MAX_TAGS + 1):
            behind = ETHERNET.length + TAG_BYTES * i
            if i < MAX_TAGS:
                enough = length >= behind + TAG_BYTES
                tags.append(flag(present[i] & enough & (strip if i == MAX_TAGS - 1 else 1), f"tag_{i}"))
            is_ipv4.append(flag((types[i] == ETHERTYPE_IPV4) & (length >= behind + IPV4.length), f"ipv4_behind_{i}"))
            is_long.append(flag(length >= behind + IPV6.length, f"ipv6_behind_{i}"))
        good4 = flag((start[4:] == 4) & (start[:4] >= 5), "good_ipv4")
        # With three tags of which none is removed, the parser has read behind the third, but nothing counts there.
        astray = present[0] & present[1] & present[2] & ~strip
        good6 = flag(pipe.at(fields.ipv6, first) & ~astray & (start[4:] == 6), "good_ipv6")

        def ported(offset: int, name: str) -> Signal:
            protocol = ip_field(fields, pipe, first, offset, 1)
            return flag(
                (protocol == PROTOCOL_TCP) | (protocol == PROTOCOL_UDP) | (protocol == PROTOCOL_SCTP), f"ported_{name}"
            )

        ported4, ported6 = ported(IPV4.offset("protocol"), "ipv4"), ported(IPV6.offset("next_header"), "ipv6")
        fragment = flag(ip_field(fields, pipe, first, IPV4.offset("identification") + 2, 2)[:14] != 0, "fragment")
        ports_end = ETHERNET.length + PORT_BYTES + Cat(Const(0, 2), pipe.at(fields.words, first))
        ports_there = flag(length >= ports_end, "ports_there")

        # Which number of tags it is.
        def behind_tags(choice: Sequence[Value]) -> Value:
            two = tags[0] & tags[1]
            return Mux(two & tags[2], choice[3], Mux(two, choice[2], Mux(tags[0], choice[1], choice[0])))

        ethertype = flag(behind_tags([at(staged) for staged in fields.types]), "ethertype")
        is4, is6 = pipe.wire(good4 & behind_tags(is_ipv4)), pipe.wire(good6 & behind_tags(is_long))
        has_ports = flag(ports_there & Mux(is4, ported4 & ~fragment, ported6), "has_ports")
        ipv4, ipv6 = flag(is4, "is_ipv4"), flag(is6, "is_ipv6")
        # What is chosen by it, a clock later.
        stage += 1
        first_two = ip(0, 2)
        inner = Signal(self._inner_layout(), reset_less=True)
        m.d.sync += [
            inner.tos.eq(Mux(ipv4, first_two[:8], Mux(ipv6, first_two[4:12], 0))),
            inner.ttl.eq(Mux(ipv4, ip(IPV4.offset("ttl"), 1), Mux(ipv6, ip(IPV6.offset("hop_limit"), 1), DEFAULT_TTL))),
            inner.df.eq(Mux(ipv4, ip(IPV4.offset("identification") + 2, 1)[6], ipv6)),
        ]

        ports = pipe.wire(Mux(has_ports, at(fields.ports), 0))
        source4, destination4 = ip(IPV4.offset("source"), 4), ip(IPV4.offset("destination"), 4)
        source6, destination6 = ip(IPV6.offset("source"), 16), ip(IPV6.offset("destination"), 16)
        macs = at(fields.macs)
        size = 8 * 36
        flow4 = Cat(ports, destination4, source4)
        flow6 = Cat(ports, destination6, source6)
        flow2 = Cat(ethertype, macs)
        hashed = Mux(
            ipv4,
            flow4 << (size - len(flow4)),
            Mux(ipv6, flow6 << (size - len(flow6)), flow2 << (size - len(flow2))),
        )
        # The flags are made at `first`; of a frame that goes on, they tell no more of the fields than is there.
        stands = pipe.standing(
            [vni, end.length, fields.macs, fields.ip_start, fields.ip_rest, fields.words, fields.ports, *fields.types],
            stage,
        )
        return Staged(inner.as_value(), stage + 1, stands=stands), self._hash(m, fields, hashed, stage, stands)

    def _hash(self, m: Module, fields: TenantFields, data: Value, stage: int, stands: int) -> Staged:
        """The flow hash of what stands at ``stage`` for ``stands`` more clocks."""
        if self._rest:
            m.submodules.flow_hash = serial = SerialToeplitzHash()
            m.d.comb += [serial.load.eq(self._pipe.at(fields.head, stage)), serial.data.eq(data)]
            # The heads of two frames are as far apart at least as a frame's last beat and the next one's first.
            spacing = self._rest + 1
            return Staged(serial.hash, stage + serial.latency, stands=spacing + 1 - serial.latency)
        m.submodules.flow_hash = parallel = ToeplitzHash()
        hashed = Signal(data.shape(), reset_less=True)
        m.d.sync += hashed.eq(data)
        m.d.comb += parallel.data.eq(hashed)
        return Staged(parallel.hash, stage + 1 + parallel.latency, stands=stands)

    # -- the frame's end -----------------------------------------------------------------------------------------

    def _length(self, m: Module, end: FrameEnd) -> tuple[Staged, Staged]:
        """The length that the headers are made with, and whether it differs from the real one."""
        if not self._cut_through:
            return end.length, Staged(Const(0, 1), 1)
        given = Signal(LENGTH_BITS)
        view = self._pipe.view(0)
        with m.If(view["valid"] & (view["index"] == 0)):
            m.d.sync += given.eq(self._arrived.length)
        return Staged(given, 1), Staged(self._pipe.wire(given != end.length.value), 1)

    def _payload_sum(self, m: Module) -> Staged:
        """Ones' complement sum over all of the frame."""
        pipe = self._pipe
        m.submodules.payload_sum = total = ChecksumAccumulator(self._parameters.data_width)
        mask = Signal(pipe.lanes)
        m.d.sync += mask.eq(
            Cat(~self._arrived.last | (self._arrived.empty < pipe.lanes - lane) for lane in range(pipe.lanes))
        )
        beat = pipe.view(1)
        m.d.comb += [
            total.valid.eq(beat["valid"]),
            total.first.eq(beat["index"] == 0),
            total.last.eq(beat["last"]),
            total.data.eq(beat["data"]),
            total.mask.eq(mask),
        ]
        if not self._rest:
            return Staged(total.sum, 1 + total.latency)
        kept = Signal(16, reset_less=True)
        with m.If(total.done):
            m.d.sync += kept.eq(total.sum)
        return Staged(kept, 2 + total.latency, stands=self._rest)

    def _reason(
        self,
        m: Module,
        stage: int,
        head: Value,
        end: FrameEnd,
        runt: Staged,
        vni: Staged,
        tunnel: Staged,
        mismatch: Staged,
    ) -> tuple[Value, Value]:
        """At a frame's end: the first rule of 1 to 3 that drops it, and whether one does."""
        pipe = self._pipe
        found = data.View(self._vni_layout(), pipe.at(vni, stage)).found
        target = data.View(self._tunnel_layout(), pipe.at(tunnel, stage)).found
        kept = Signal(2)
        now = pipe.wire(Mux(head, Cat(found, target), kept))
        m.d.sync += kept.eq(now)
        reason = Signal(range(len(ENCAP_REASONS)))
        dropped = Signal()
        m.d.comb += dropped.eq(1)
        cases = [
            ("tenant_runt", pipe.at(runt, stage)),
            ("tenant_oversize", pipe.at(end.oversize, stage)),
            ("tenant_error", pipe.at(end.error, stage) | pipe.at(mismatch, stage)),
            ("no_vni", ~now[0]),
            ("no_tunnel", ~now[1]),
        ]
        for i, (name, condition) in enumerate(cases):
            with m.If(condition) if i == 0 else m.Elif(condition):
                m.d.comb += reason.eq(ENCAP_REASONS.index(name))
        with m.Else():
            m.d.comb += dropped.eq(0)
        return reason, dropped

    # -- copies and egress ------------------------------------------------------------------------------------------

    def _head_layout(self) -> data.StructLayout:
        vni, tunnel = self._vni_layout(), self._tunnel_layout()
        return data.StructLayout(
            {
                "forget": unsigned(1),
                "vni_index": vni["index"].shape,
                "vni": unsigned(24),
                "strip": unsigned(1),
                "unicast": unsigned(1),
                "tunnel": tunnel["tunnel"].shape,
                "flood": vni["flood"].shape,
                "hash": unsigned(32),
                "tci": unsigned(16),
                "inner": self._inner_layout(),
                "length": unsigned(LENGTH_BITS if self._cut_through else 0),
            }
        )

    def _tail_layout(self) -> data.StructLayout:
        """How a frame ended; cut-through needs only whether it is bad."""
        stored = not self._cut_through
        return data.StructLayout(
            {
                "bad": unsigned(1),
                "length": unsigned(LENGTH_BITS if stored else 0),
                "payload": unsigned(16 if stored and self._parameters.udp_checksum else 0),
            }
        )

    def _egress(self, m: Module, heads: TokenQueue, macs: TokenQueue, tails: TokenQueue) -> tuple[FrameStore, Reframer]:
        """Copies of frames, through the header pipeline, to the store and the reframer."""
        parameters = self._parameters
        tunnels = self._table(m, Table.TUNNEL, strobed=self._narrow)
        m.submodules.outer = outer = OuterHeader(parameters, streamed=self._narrow)
        self._ready.append(outer.cleared)
        m.d.comb += [
            outer.settings.eq(self.config.settings),
            tunnels.lookup_index.eq(outer.lookup_index),
            outer.tunnel.eq(tunnels.value),
        ]
        if self._narrow:
            m.d.comb += tunnels.lookup.eq(outer.strobe)
        margin = outer.latency + 3
        waiting = JOBS if parameters.lanes < SHORT_COPY_LANES else 2 * JOBS
        m.submodules.reframer = reframer = Reframer(
            parameters.data_width,
            shifts=self._shifts(),
            prefix_bytes=0 if self._narrow else overhead(ipv6=parameters.ipv6, tagged=True) + MAC_BYTES,
            user=self._user,
            tail=self._cut_through,
            long=self._long,
            far=True,
        )
        m.submodules.jobs = jobs = TokenQueue(reframer.jobs.payload.shape(), waiting, margin=margin, spaced=self._long)
        m.submodules.store = store = FrameStore(
            parameters.data_width,
            depth=parameters.queue_beats("encap_queue_bytes"),
            frames=FRAMES,
            frame_margin=4,
            max_beats=-(-(parameters.max_frame_length + 1) // parameters.lanes),
        )
        m.submodules.commands = commands = TokenQueue(store.commands.payload.shape(), waiting, margin=margin)
        header = outer.header
        room, pace = self._prefixes(m, outer, reframer) if self._narrow else (Const(1), outer.pace)
        launch = Signal()
        m.d.sync += launch.eq(jobs.room & commands.room & room & ~self.config.changes)
        self._replicate(m, heads, macs, tails, launch, outer, pace)

        # Rule 4 drops copies one by one; the frame is done with at the last.
        command = commands.i.payload
        job = jobs.i
        nothing = header.forget | header.too_big
        m.d.comb += [
            command.drop.eq(nothing),
            command.final.eq(header.final),
            commands.i.valid.eq(outer.ready & (~nothing | header.final)),
            # In cut-through the verdict on the frame must be waited for, and it decides whether rule 4 counts.
            job.valid.eq(outer.ready & (1 if self._cut_through else ~nothing)),
        ]
        wiring.connect(m, commands.o, store.commands)
        wiring.connect(m, store.beats, reframer.beats)
        if self._cut_through:
            m.d.comb += [
                reframer.verdicts.valid.eq(tails.o.valid),
                reframer.verdicts.payload.eq(tails.o.payload.bad),
                tails.o.ready.eq(reframer.verdicts.ready),
            ]
        self._expand(m, job.payload, header)
        wiring.connect(m, jobs.o, reframer.jobs)
        wiring.connect(m, reframer.o, wiring.flipped(self.o))

        ended = reframer.ended_user
        good = reframer.ended & ~reframer.ended_error
        m.d.sync += [self.carried.strobe.eq(good & ended.sent), self.carried.frame.eq(ended.carried)]
        if self._cut_through:
            m.d.comb += self.too_big.eq(good & ended.too_big)
        else:
            m.d.comb += self.too_big.eq(outer.ready & header.too_big)
        flying = Signal(outer.latency + 2)
        m.d.sync += flying.eq(Cat(outer.strobe, flying[:-1]))
        self._copies_fly = flying.any() | jobs.o.valid | heads.o.valid | self._replicating
        return store, reframer

    def _prefixes(self, m: Module, outer: OuterHeader, reframer: Reframer) -> tuple[Value, int]:
        """Headers beat by beat. Returns whether there is room for those of one more copy, and the pace of copies."""
        parameters = self._parameters
        header = outer.header
        sections = {
            name: Cat(octets) for name, octets in prefix_sections(self.config.settings, header, parameters).items()
        }
        formats = prefix_formats(parameters)
        m.submodules.prefix = prefix = PrefixStream(
            parameters.data_width, {name: len(value) // 8 for name, value in sections.items()}, list(formats.values())
        )
        m.d.comb += [prefix.begin.eq(outer.ready & ~header.forget & ~header.too_big)]
        m.d.comb += [prefix.sections[name].eq(value) for name, value in sections.items()]
        for number, (ipv6, tagged) in enumerate(formats):
            with m.If((header.ipv6 == ipv6) & (header.tagged == tagged)):
                m.d.comb += prefix.format.eq(number)
        # A beat comes in a clock: all that are to come when a copy is launched come until its own last one does.
        margin = outer.latency + 3 + prefix.longest + 2
        m.submodules.prefixes = queue = TokenQueue(
            prefix_beat(parameters.data_width),
            1 << (margin + prefix.longest).bit_length(),
            margin=margin,
            register_output=True,
        )
        assert margin <= SETTLING
        for number, (ipv6, _) in enumerate(formats):
            assert outer.checksum_wait[ipv6] <= prefix.clock(number, "tunnel", UDP.offset("checksum"))
        m.d.comb += [queue.i.valid.eq(prefix.valid), queue.i.payload.eq(prefix.beat)]
        wiring.connect(m, queue.o, reframer.prefixes)
        return queue.room, prefix.longest + 1

    def _replicate(
        self,
        m: Module,
        heads: TokenQueue,
        macs: TokenQueue,
        tails: TokenQueue,
        launch: Value,
        outer: OuterHeader,
        pace: int,
    ) -> None:
        """Head-end replication: a copy for each tunnel of the flood list, or the one of the FDB.

        What leaves comes at ``pace``, and what is dropped at `OuterHeader.pace`; no frame of an Ethernet is held up by
        these. Shorter ones are where they are dropped, since they leave nothing that takes the time.
        """
        parameters = self._parameters
        entry = entry_of(self.config, Table.FLOOD, parameters)
        m.submodules.flood = flood = Memory(
            shape=flood_layout(parameters), depth=parameters.flood_entries, init=[], attrs={"ram_style": "distributed"}
        )
        write, read, access = flood.write_port(), flood.read_port(domain="comb"), flood.read_port(domain="comb")
        reads, accessed = Signal(), Signal(flood_layout(parameters), reset_less=True)
        m.d.comb += [
            write.en.eq(writes_to(self.config, Table.FLOOD)),
            write.addr.eq(self.config.write.index),
            write.data.eq(entry),
            access.addr.eq(self.config.write.index),
        ]
        m.d.sync += [
            reads.eq(self.entries.strobe & (self.entries.table == Table.FLOOD)),
            accessed.eq(access.data),
        ]
        self._answers.append((reads, accessed.as_value()))
        # The oldest frame stands in registers, its next tunnel of the flood list beside it. Where there is time, the
        # next one waits until its place is free; else a register slice decides near the queues what it takes of them.
        queues = {"head": heads, "macs": macs, "tail": tails}
        following = Signal(data.StructLayout({name: queue.o.payload.shape() for name, queue in queues.items()}))
        waits, taken = Signal(), Signal()
        both_wait = heads.o.valid & (1 if self._cut_through else tails.o.valid)
        both = Cat(Value.cast(queue.o.payload) for queue in queues.values())
        if self._long:
            m.d.comb += [following.eq(both), waits.eq(both_wait), heads.o.ready.eq(waits & taken)]
        else:
            m.submodules.oldest = oldest = SkidBuffer(following.shape())
            m.d.comb += [
                oldest.i.valid.eq(both_wait),
                oldest.i.payload.eq(both),
                heads.o.ready.eq(both_wait & oldest.i.ready),
                following.eq(oldest.o.payload),
                waits.eq(oldest.o.valid),
                oldest.o.ready.eq(taken),
            ]
        m.d.comb += macs.o.ready.eq(heads.o.ready)
        if not self._cut_through:
            m.d.comb += tails.o.ready.eq(heads.o.ready)
        token = Signal(heads.o.payload.shape(), reset_less=True)
        addresses = Signal(8 * MAC_BYTES, reset_less=True)
        tail = Signal(tails.o.payload.shape(), reset_less=True)
        target = Signal(flood_layout(parameters), reset_less=True)
        position = Signal(read.addr.shape(), reset_less=True)
        occupied = Signal()
        self._replicating = occupied | waits
        ready = Signal()
        forget = Signal()
        only = Signal()  # one copy at most, whatever the flood list says
        last = Signal()
        forgets = following.head.forget | (0 if self._cut_through else following.tail.bad)
        rest = Signal(range(pace))  # clocks until the next copy may follow
        m.d.sync += rest.eq(Mux(ready, Mux(forget, outer.pace, pace) - 1, rest - (rest != 0)))
        m.d.comb += [
            ready.eq(occupied & launch & (rest == 0)),
            last.eq(only | target.last),
            taken.eq(~occupied | (0 if self._long else ready & last)),
            read.addr.eq(Mux(occupied & (1 if self._long else ~last), position, following.head.flood)),
        ]
        with m.If(taken):
            m.d.sync += [
                token.eq(following.head),
                addresses.eq(following.macs),
                tail.eq(following.tail),
                forget.eq(forgets),
                only.eq(forgets | following.head.unicast),
                occupied.eq(waits),
            ]
        with m.Elif(ready & last):
            m.d.sync += occupied.eq(0)
        with m.If(taken | ready):
            m.d.sync += [target.eq(read.data), position.eq(read.addr + 1)]
        copy = Signal(copy_layout(parameters), reset_less=True)
        length = token.length if self._cut_through else tail.length
        payload = tail.payload if not self._cut_through else Const(0, 16)
        m.d.sync += outer.strobe.eq(ready)
        with m.If(ready):
            m.d.sync += [
                copy.forget.eq(forget),
                copy.final.eq(last),
                copy.tunnel.eq(Mux(token.unicast, token.tunnel, target.tunnel)),
                copy.vni_index.eq(token.vni_index),
                copy.vni.eq(token.vni),
                copy.hash.eq(token.hash),
                copy.strip.eq(token.strip),
                copy.tci.eq(token.tci),
                copy.length.eq(length),
                copy.payload.eq(payload),
                copy.tos.eq(token.inner.tos),
                copy.ttl.eq(token.inner.ttl),
                copy.df.eq(token.inner.df),
                copy.macs.eq(addresses),
            ]
        m.d.comb += outer.copy.eq(copy)

    def _formats(self) -> list[tuple[bool, bool, bool]]:
        """(IPv6, tagged, strip) of all frames that can leave."""
        families = (False, True) if self._parameters.ipv6 else (False,)
        return [(ipv6, tagged, strip) for ipv6 in families for tagged in (False, True) for strip in (False, True)]

    @staticmethod
    def _shift(ipv6: bool, tagged: bool, strip: bool) -> int:
        # The prefix holds the MAC addresses as well, so a removed tag only shortens the way.
        return overhead(ipv6=ipv6, tagged=tagged) - TAG_BYTES * strip

    def _shifts(self) -> list[int]:
        return sorted({self._shift(*kind) for kind in self._formats()})

    def _expand(self, m: Module, job: data.View, header: data.View) -> None:
        """The reframer's job from the outer header's fields."""
        parameters = self._parameters
        lane_bits = (parameters.lanes - 1).bit_length()
        for kind in self._formats():
            ipv6, is_tagged, strip = kind
            constants = shift_fields(parameters.data_width, self._shift(*kind), self._shifts())
            with m.If((header.ipv6 == ipv6) & (header.tagged == is_tagged) & (header.strip == strip)):
                m.d.comb += [job.rotation.eq(constants["rotation"]), job.lead.eq(constants["lead"])]
        if not self._narrow:
            sections = prefix_sections(self.config.settings, header, parameters)
            for (ipv6, is_tagged), names in prefix_formats(parameters).items():
                octets = [byte for name in names for byte in sections[name]]
                with m.If((header.ipv6 == ipv6) & (header.tagged == is_tagged)):
                    m.d.comb += [job.prefix.eq(Cat(octets)), job.mask.eq((1 << len(octets)) - 1)]
        m.d.comb += [
            job.beats.eq(header.before_last[lane_bits:]),
            job.empty.eq(~header.before_last[:lane_bits]),
            job.drop.eq(header.forget | header.too_big),
            job.final.eq(header.final),
            job.user.sent.eq(~header.forget & ~header.too_big),
            job.user.too_big.eq(header.too_big),
            job.user.carried.vni.eq(header.vni_index),
            job.user.carried.tunnel.eq(header.tunnel),
            job.user.carried.tunnel_used.eq(1),
            job.user.carried.length.eq(header.inner_length),
        ]
