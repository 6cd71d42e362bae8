"""The outer headers of an encapsulated frame, worked out field by field in a feed-forward pipeline."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, VtepParameters
from ..control.tables import DfMode, EcnMode, settings_layout, tunnel_layout
from ..data_register import data_register
from ..headers import (
    ETHERNET,
    ETHERTYPE_CTAG,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    IPV4,
    IPV6,
    MAC_BYTES,
    PROTOCOL_UDP,
    TAG_BYTES,
    UDP,
    VLAN_TAG,
    VXLAN,
    VXLAN_FLAG_I,
)
from ..integrity.checksum import SerialWordSum, WordSum
from ..integrity.fcs import MIN_LENGTH
from ..packet.pipe import Staged, Stages

__all__ = ["OuterHeader", "copy_layout", "header_layout", "overhead", "prefix_formats", "prefix_sections"]

ECN_ECT0 = 2
ECN_CE = 3
TUNNEL_BYTES = UDP.length + VXLAN.length
ADDRESS_WORDS = {False: 2, True: 8}
"""Words of an address, by whether it is IPv6."""
IPV4_SUMMED = 9 + 2 * ADDRESS_WORDS[False]
IPV6_SUMMED = 9 + 2 * ADDRESS_WORDS[True]
"""Words that the UDP checksum of a header is made of: addresses, ports, lengths, VXLAN, and what the frame adds."""
DISTRIBUTED_TUNNELS = 1024
"""Most tunnels whose IPv4 identifications stand in distributed RAM, which is quicker to read."""


def overhead(*, ipv6: bool, tagged: bool) -> int:
    """Bytes in front of the inner frame."""
    return ETHERNET.length + TAG_BYTES * tagged + (IPV6 if ipv6 else IPV4).length + TUNNEL_BYTES


def copy_layout(parameters: VtepParameters) -> data.StructLayout:
    """One copy of a tenant frame that is to leave through ``tunnel``.

    ``forget``: none leaves, the frame is dropped. ``final``: the last copy. ``length``: of the tenant frame;
    ``strip``: less its first tag, whose TCI is ``tci``. ``tos``, ``ttl``, ``df``: of the inner packet, or what stands
    for them. ``payload``: ones' complement sum over the tenant frame. ``macs``: its addresses.
    """
    return data.StructLayout(
        {
            "forget": unsigned(1),
            "final": unsigned(1),
            "tunnel": unsigned(parameters.index_bits("tunnels")),
            "vni_index": unsigned(parameters.index_bits("vnis")),
            "vni": unsigned(24),
            "hash": unsigned(32),
            "strip": unsigned(1),
            "tci": unsigned(16),
            "length": unsigned(LENGTH_BITS),
            "payload": unsigned(16),
            "tos": unsigned(8),
            "ttl": unsigned(8),
            "df": unsigned(1),
            "macs": unsigned(8 * MAC_BYTES),
        }
    )


def header_layout(parameters: VtepParameters) -> data.StructLayout:
    """The fields of a copy's outer headers that are not the same for all. ``too_big``: rule 4, nothing may leave."""
    return data.StructLayout(
        {
            "forget": unsigned(1),
            "final": unsigned(1),
            "too_big": unsigned(1),
            "vni_index": unsigned(parameters.index_bits("vnis")),
            "tunnel": unsigned(parameters.index_bits("tunnels")),
            "inner_length": unsigned(LENGTH_BITS),
            "before_last": unsigned(LENGTH_BITS + 1),
            "strip": unsigned(1),
            "ipv6": unsigned(1),
            "remote_mac": unsigned(48),
            "tagged": unsigned(1),
            "vlan": unsigned(12),
            "tos": unsigned(8),
            "identification": unsigned(16),
            "df": unsigned(1),
            "ttl": unsigned(8),
            "header_checksum": unsigned(16),
            "remote": unsigned(128 if parameters.ipv6 else 32),
            "flow_label": unsigned(20),
            "source_port": unsigned(16),
            "destination_port": unsigned(16),
            "udp_length": unsigned(16),
            "udp_checksum": unsigned(16),
            "vni": unsigned(24),
            "macs": unsigned(8 * MAC_BYTES),
        }
    )


def words_of(value: Value) -> list[Value]:
    """The 16-bit words of a number."""
    return [value[i : i + 16] for i in range(0, len(value), 16)]


class OuterHeader(wiring.Component):
    """From a copy of a tenant frame and its tunnel's entry to the outer header fields of SPEC.md section 3.

    Parameters
    ----------
    parameters : VtepParameters
        ``tunnels``, ``vnis``, ``ipv6`` and ``udp_checksum`` are used.
    streamed : bool
        The headers leave beat by beat, the first one at the earliest in the clock behind ``ready``. Then the UDP
        checksum may come when it is its turn, and copies that leave come as many clocks apart as that takes.

    Attributes
    ----------
    settings : In
    lookup_index : Out
        Index of the copy's tunnel.
    tunnel : In
        Its entry, 2 clocks later.
    strobe, copy : In
        A copy, of `copy_layout`, with ``strobe``. It stands still until the next one, which comes ``pace`` clocks later
        at the earliest.
    cleared : Out(1)
        Low after reset until the IPv4 identifications are 0, one tunnel a clock; there may be no copy until then.
    ready, header : Out
        The same, ``latency`` clocks later, of `header_layout`. Where ``pace`` is more than 1, ``header`` stands still
        until the next ``ready``; with ``streamed`` its UDP checksum is right ``checksum_wait`` clocks behind ``ready``.
    latency : int
        7 clocks.
    checksum_wait : dict of int
        By whether it is IPv6; 0 without ``streamed``.
    pace : int
        Clocks from a copy to the next: as many as the shortest frame of an Ethernet has beats on its way in, but no
        more than what lets a copy's fields stand still until they are needed, 8. At 512 bits 1.

    Notes
    -----
    What stands still needs no register in each stage: at 64 bits and below fields are kept once.

    Reset empties the pipeline and starts the IPv4 identifications at 0 again, which takes as many clocks as there
    are tunnels.
    """

    def __init__(self, parameters: VtepParameters, *, streamed: bool = False) -> None:
        self._parameters = parameters
        self.latency = 7
        self.checksum_wait = {False: 0, True: 0}
        self._serial: SerialWordSum | None = None
        if streamed and parameters.udp_checksum:
            self._serial, self.checksum_wait = self._serial_sum()
        self.pace = min(-(-MIN_LENGTH // parameters.lanes), self.latency + 1)
        super().__init__(
            {
                "settings": In(settings_layout()),
                "lookup_index": Out(range(parameters.tunnels)),
                "tunnel": In(tunnel_layout()),
                "strobe": In(1),
                "copy": In(copy_layout(parameters)),
                "cleared": Out(1),
                "ready": Out(1),
                "header": Out(header_layout(parameters)),
            }
        )

    def _serial_sum(self) -> tuple[SerialWordSum, dict[bool, int]]:
        """The slowest one that is there when its bytes are wanted."""
        lanes = self._parameters.lanes
        families = {False: IPV4_SUMMED} | ({True: IPV6_SUMMED} if self._parameters.ipv6 else {})
        for step in range(1, IPV6_SUMMED + 1):
            # It starts `latency` - 2 clocks before ``ready``, and passes a register more.
            after = {ipv6: SerialWordSum.after(words, step) for ipv6, words in families.items()}
            waits = {ipv6: max(0, clocks + 3 - self.latency) for ipv6, clocks in after.items()}
            if all(
                wait <= 1 + (overhead(ipv6=ipv6, tagged=False) - TUNNEL_BYTES + UDP.offset("checksum")) // lanes
                for ipv6, wait in waits.items()
            ):
                return SerialWordSum(max(families.values()), step), waits
        raise AssertionError("all words in one clock are early enough")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parameters = self._parameters
        settings = self.settings
        stages = Stages(m)
        # A clock in front of the first stage: the table is being read.
        m.d.comb += self.lookup_index.eq(self.copy.tunnel)
        stands = self.pace - 1
        arrived = Staged(self.copy.as_value(), -1, stands=stands)
        arrives = Signal()
        m.d.sync += arrives.eq(self.strobe)

        # Stage 1: the tunnel's entry is there; choose between its fields and the inner packet's.
        strobe = [Signal(name=f"strobe_{i}") for i in range(self.latency - 1)]
        m.d.sync += Cat(strobe).eq(Cat(arrives, strobe[:-1]))
        copy = data.View(self.copy.shape(), stages.at(arrived, 1))
        tunnel = self.tunnel
        ipv6 = tunnel.remote_is_ipv6 if parameters.ipv6 else Const(0, 1)
        inner_ecn = copy.tos[:2]
        ecn = Signal(2)
        with m.Switch(tunnel.ecn):
            with m.Case(EcnMode.COPY):
                m.d.comb += ecn.eq(inner_ecn)
            with m.Case(EcnMode.LINUX):
                m.d.comb += ecn.eq(Mux(inner_ecn == ECN_CE, ECN_ECT0, inner_ecn))
        df = Signal()
        with m.Switch(tunnel.df):
            with m.Case(DfMode.SET):
                m.d.comb += df.eq(1)
            with m.Case(DfMode.INHERIT):
                m.d.comb += df.eq(copy.df)

        def register(value: Value, name: str) -> Staged:
            """``value``, at stage 1, in a register at stage 2, whatever is written into the table meanwhile."""
            signal = Signal(value.shape(), name=name, reset_less=True)
            with m.If(strobe[0]):
                m.d.sync += signal.eq(value)
            return Staged(signal, 2, stands=stands)

        inner_length = stages.wire(copy.length - Mux(copy.strip, TAG_BYTES, 0), name="inner_length_now")[:LENGTH_BITS]
        mask = Cat(settings.source_port_bits > i for i in range(16))
        tos = register(Cat(ecn, Mux(tunnel.dscp_inherit, copy.tos[2:], tunnel.dscp)), "tos")
        ttl = register(Mux(tunnel.ttl_inherit, copy.ttl, tunnel.ttl), "ttl")
        df2 = register(df, "df")
        is6 = register(ipv6, "is_ipv6")
        remote = register(tunnel.remote[: len(self.header.remote)], "remote")
        length = register(inner_length, "inner_length")
        source_port = register((settings.source_port_base + (copy.hash[:16] & mask))[:16], "source_port")
        later = ("remote_mac", "vlan", "udp_checksum", "udp_port")
        rest = data.StructLayout({name: tunnel_layout()[name].shape for name in later})
        kept = Signal(rest)
        m.d.comb += [kept[name].eq(tunnel[name]) for name, _ in rest]
        entry2 = register(kept.as_value(), "entry")

        # Stage 2: lengths. Rule 4 is judged a clock later.
        inner = length.value
        now = data.View(rest, entry2.value)
        copy2 = data.View(self.copy.shape(), stages.at(arrived, 2))
        packet = Signal(LENGTH_BITS + 2, reset_less=True)
        m.d.sync += packet.eq(inner + Mux(is6.value, IPV6.length, IPV4.length) + TUNNEL_BYTES)
        before_last = Signal(LENGTH_BITS + 1, reset_less=True)
        tagged = now.vlan != 0
        heads = {(v6, tag): overhead(ipv6=bool(v6), tagged=bool(tag)) - 1 for v6 in range(2) for tag in range(2)}
        m.d.sync += before_last.eq(
            inner + Mux(is6.value, Mux(tagged, heads[1, 1], heads[1, 0]), Mux(tagged, heads[0, 1], heads[0, 0]))
        )

        too_big = Staged(stages.wire(packet > settings.underlay_mtu), 3)
        identification = self._identification(m, stages, arrived, is6, df2, too_big, strobe[2])

        # IPv4 header checksum, without the identification at first, which comes later. What is added to a length is a
        # word of its own, so that no carry chain stands before the sum.
        m.submodules.ip_sum = ip_sum = WordSum(8)
        own4, remote4 = settings.ipv4, remote.value[:32]
        m.d.comb += ip_sum.words.eq(
            Cat(
                Cat(tos.value, Const(0x45, 8)),
                Cat(inner, Const(0, 16))[:16],
                Cat(Const(TUNNEL_BYTES + IPV4.length, 14), df2.value, Const(0, 1)),
                Cat(Const(PROTOCOL_UDP, 8), ttl.value),
                *words_of(own4),
                *words_of(remote4),
            )
        )
        ip_partial = Staged(ip_sum.sum, 2 + ip_sum.latency)
        with_id = stages.wire(stages.at(ip_partial, ip_partial.stage) + stages.at(identification, ip_partial.stage))
        carried = Signal(17, reset_less=True)
        m.d.sync += carried.eq(with_id)
        header_checksum = Staged(stages.wire(~(carried[:16] + carried[16])[:16]), ip_partial.stage + 1)

        udp_checksum = Staged(Const(0, 16), 2)
        if parameters.udp_checksum:
            udp_checksum = self._udp_checksum(
                m, stages, settings, copy2, now, is6.value, remote.value, inner, source_port.value, strobe[0]
            )

        # The last stage: everything side by side.
        last = self.latency - 2

        def at(staged: Staged) -> Value:
            return stages.at(staged, last)

        copy_then = data.View(self.copy.shape(), at(arrived))
        then = data.View(rest, at(entry2))
        m.d.sync += self.ready.eq(strobe[last - 1])
        values = {
            "forget": copy_then.forget,
            "final": copy_then.final,
            "too_big": at(too_big) & ~copy_then.forget,
            "vni_index": copy_then.vni_index,
            "tunnel": copy_then.tunnel,
            "inner_length": at(length),
            "before_last": at(Staged(before_last, 3, stands=stands)),
            "strip": copy_then.strip,
            "ipv6": at(is6),
            "remote_mac": then.remote_mac,
            "tagged": then.vlan != 0,
            "vlan": then.vlan,
            "tos": at(tos),
            "identification": at(identification),
            "df": at(df2),
            "ttl": at(ttl),
            "header_checksum": at(header_checksum),
            "remote": at(remote),
            "flow_label": copy_then.hash[:20],
            "source_port": at(source_port),
            "destination_port": then.udp_port,
            "udp_length": at(length) + TUNNEL_BYTES,
            "udp_checksum": Mux(then.udp_checksum, at(udp_checksum), 0),
            "vni": copy_then.vni,
            "macs": copy_then.macs,
        }
        header = Signal(self.header.shape())
        m.d.comb += [header[name].eq(value) for name, value in values.items()]
        arrives_last = strobe[last - 1] if stands else None
        data_register(m, self.header, header, enable=arrives_last)
        if self._serial is not None:
            uses = Signal()
            data_register(m, uses, then.udp_checksum, enable=arrives_last)
            m.d.comb += self.header.udp_checksum.eq(Mux(uses, udp_checksum.value, 0))
        return m

    def _identification(
        self,
        m: Module,
        stages: Stages,
        arrived: Staged,
        is6: Staged,
        df: Staged,
        too_big: Staged,
        strobe: Value,
    ) -> Staged:
        """A counter for each tunnel, which rises with each packet that may be fragmented (RFC 6864)."""
        parameters = self._parameters
        tunnels = parameters.tunnels
        copy = data.View(self.copy.shape(), stages.at(arrived, 3))
        style = "distributed" if tunnels <= DISTRIBUTED_TUNNELS else "block"
        m.submodules.identifications = counters = Memory(
            shape=unsigned(16), depth=tunnels, init=[], attrs={"ram_style": style}
        )
        # A packet is read in stage 1 and written in stage 3: of the one in front, what it writes comes too late.
        write = counters.write_port()
        read = counters.read_port(transparent_for=(write,))
        sweep = Signal(range(tunnels))
        with m.If(~self.cleared):
            m.d.sync += [sweep.eq(sweep + 1), self.cleared.eq(sweep == tunnels - 1)]
        tunnel1, tunnel2 = (data.View(self.copy.shape(), stages.at(arrived, stage)).tunnel for stage in (1, 2))
        used = ~stages.at(is6, 3) & ~stages.at(df, 3)
        counts = strobe & used & ~too_big.value & ~copy.forget
        follows = Signal(reset_less=True)
        current = Signal(16, reset_less=True)
        m.d.sync += [
            follows.eq(tunnel1 == tunnel2),
            current.eq(Mux(follows & counts, current + 1, read.data)),
        ]
        m.d.comb += [
            read.addr.eq(tunnel1),
            write.addr.eq(Mux(self.cleared, copy.tunnel, sweep)),
            write.data.eq(Mux(self.cleared, current + 1, 0)),
            write.en.eq(~self.cleared | counts),
        ]
        value = Signal(16, reset_less=True)
        with m.If(strobe):
            m.d.sync += value.eq(Mux(used, current, 0))
        return Staged(value, 4, stands=self.pace - 1)

    def _udp_checksum(
        self,
        m: Module,
        stages: Stages,
        settings: data.View,
        copy: data.View,
        tunnel: data.View,
        ipv6: Value,
        remote: Value,
        inner_length: Value,
        source_port: Value,
        starts: Value,
    ) -> Staged:
        """Over pseudo-header, UDP, VXLAN and inner frame; all arguments are at stage 2."""
        own = Mux(ipv6, settings.ipv6, settings.ipv4) if self._parameters.ipv6 else settings.ipv4
        ports = [source_port, tunnel.udp_port]
        # The length is in the pseudo-header and in the header; what is known of the words is one of them.
        lengths = [Cat(Const(0, 1), inner_length, Const(0, 16))[:16]]
        known = Const(2 * TUNNEL_BYTES + PROTOCOL_UDP + (VXLAN_FLAG_I << 8), 16)
        vxlan = [known, copy.vni[8:], Cat(Const(0, 8), copy.vni[:8])]
        # The sum over the tenant frame has the tag in it; adding the complement takes it out.
        inner = [
            copy.payload,
            Mux(copy.strip, Const(0xFFFF ^ ETHERTYPE_CTAG, 16), 0),
            Mux(copy.strip, ~copy.tci, 0),
        ]
        addresses = [words_of(stages.wire(own)), words_of(remote)]
        # What is more with IPv6 comes last.
        words = [word for each in addresses for word in each[: ADDRESS_WORDS[False]]]
        words += [*ports, *lengths, *vxlan, *inner]
        words += [word for each in addresses for word in each[ADDRESS_WORDS[False] :]]
        if self._serial is not None:
            m.submodules.udp_sum = serial = self._serial
            m.d.comb += [serial.start.eq(starts), serial.words.eq(Cat(words))]
            complement = ~serial.sum
            checksum = Signal(16, reset_less=True)
            m.d.sync += checksum.eq(Mux(complement == 0, 0xFFFF, complement))
            return Staged(checksum, self.latency - 2)
        m.submodules.udp_sum = total = WordSum(len(words))
        for i, word in enumerate(words):
            m.d.comb += total.words.word_select(i, 16).eq(word)
        checksum = ~total.sum
        return Staged(stages.wire(Mux(checksum == 0, 0xFFFF, checksum)), 2 + total.latency)


def prefix_formats(parameters: VtepParameters) -> dict[tuple[bool, bool], list[str]]:
    """Which of `prefix_sections` make up the prefix, for each (IPv6, tagged)."""
    families = {False: "ipv4"} | ({True: "ipv6"} if parameters.ipv6 else {})
    return {
        (is_ipv6, tagged): ["addresses", *(["tag"] if tagged else []), ip, "tunnel"]
        for is_ipv6, ip in families.items()
        for tagged in (False, True)
    }


def prefix_sections(settings: data.View, header: data.View, parameters: VtepParameters) -> dict[str, list[Value]]:
    """Bytes of the outer headers and of the inner MAC addresses, in sections that are the same wherever they stand."""
    ethernet = ETHERNET.pack({"source": settings.mac, "destination": header.remote_mac})
    udp = UDP.pack(
        {
            "source_port": header.source_port,
            "destination_port": header.destination_port,
            "length": header.udp_length,
            "checksum": header.udp_checksum,
        }
    )
    vxlan = VXLAN.pack({"flags": Const(VXLAN_FLAG_I, 8), "vni": header.vni})
    macs = [header.macs.word_select(MAC_BYTES - 1 - i, 8) for i in range(MAC_BYTES)]
    ipv4 = IPV4.pack(
        {
            "version": Const(4, 4),
            "ihl": Const(IPV4.length // 4, 4),
            "tos": header.tos,
            "total_length": (header.udp_length + IPV4.length)[:16],
            "identification": header.identification,
            "df": header.df,
            "ttl": header.ttl,
            "protocol": Const(PROTOCOL_UDP, 8),
            "header_checksum": header.header_checksum,
            "source": settings.ipv4,
            "destination": header.remote[:32],
        }
    )
    sections = {
        "addresses": ethernet[:MAC_BYTES],
        "tag": VLAN_TAG.pack({"tpid": Const(ETHERTYPE_CTAG, 16), "vid": header.vlan}),
        "ipv4": [*_ethertype(ETHERTYPE_IPV4), *ipv4],
        "tunnel": [*udp, *vxlan, *macs],
    }
    if parameters.ipv6:
        ipv6 = IPV6.pack(
            {
                "version": Const(6, 4),
                "traffic_class": header.tos,
                "flow_label": header.flow_label,
                "payload_length": header.udp_length,
                "next_header": Const(PROTOCOL_UDP, 8),
                "hop_limit": header.ttl,
                "source": settings.ipv6,
                "destination": header.remote,
            }
        )
        sections["ipv6"] = [*_ethertype(ETHERTYPE_IPV6), *ipv6]
    return sections


def _ethertype(number: int) -> list[Value]:
    return [Const(byte, 8) for byte in number.to_bytes(2)]
