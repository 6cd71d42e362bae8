"""The encapsulator on frames of hand-made bytes; every rule, width and pause is the matter of the system tests."""

import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.octets import ethernet, ipv4, ipv6, ones_sum, tag, udp, vxlan, write_entry
from helpers.packet_bench import receive_packets, send_packets, simulate
from vtep.config import Mode, VtepParameters
from vtep.control.counters import ENCAP_REASONS
from vtep.control.tables import DfMode, Table
from vtep.vxlan.encapsulator import Encapsulator
from vtep.vxlan.statistics import carried_spacing

OWN4, OWN6, MAC = 0x0A000001, 0xFD << 120 | 1, 0x020000000001
KNOWN, STRANGER, BROADCAST = 0x52540000000A, 0x52540000000B, 0xFFFFFFFFFFFF

# Two lines of the published RSS verification suite: with ports, and with addresses alone.
FLOW = {"source": 0x420995BB, "destination": 0xA18E6450}  # 66.9.149.187 to 161.142.100.80
PORTS = (2794).to_bytes(2, "big") + (1766).to_bytes(2, "big")
FLOW_HASH, ADDRESS_HASH = 0x51CCC178, 0x323E8FC2


def tcp(destination, size=30):
    return ethernet(
        ipv4(PORTS + bytes(i % 251 for i in range(size)), protocol=6, tos=0xBB, ttl=17, **FLOW),
        0x0800,
        destination=destination,
    )


def part(destination, size=300):
    """A fragment: the hash is that of the addresses."""
    return ethernet(ipv4(bytes(size), protocol=6, word=0x2000, **FLOW), 0x0800, destination=destination)


def leaf(inner, number, vni, flow_hash, *, checksum=None, identification=0):
    """What goes to tunnel 1 (IPv4), 2 (IPv4, tagged, TTL, DSCP and DF inherited) or 3 (IPv6)."""
    source = 49152 + (flow_hash & 0x3FFF)
    datagram = udp(vxlan(inner, vni), source=source, checksum=checksum or 0)
    mac = {"destination": 0x020000000100 + number, "source": MAC}
    if number == 3:
        remote = 0xFD << 120 | 3
        pseudo = OWN6.to_bytes(16, "big") + remote.to_bytes(16, "big") + bytes([0, 17])
        if checksum is None:
            right = 0xFFFF - ones_sum(pseudo + len(datagram).to_bytes(2, "big") + datagram) or 0xFFFF
            return leaf(inner, number, vni, flow_hash, checksum=right)
        ecn = inner[15] & 3 if inner[12:14] == b"\x08\0" else 0
        packet = ipv6(
            datagram, source=OWN6, destination=remote, hop_limit=9, traffic_class=ecn, flow_label=flow_hash & 0xFFFFF
        )
        return ethernet(packet, 0x86DD, **mac)
    remote = 0x0A000010 + number
    if number == 2:
        inherited = {"tos": inner[15], "ttl": inner[22], "word": (inner[20] & 0x40) << 8}
        inherited["identification"] = identification  # counts where DF is not set
        return tag(ethernet(ipv4(datagram, source=OWN4, destination=remote, **inherited), 0x0800, **mac), 33)
    return ethernet(ipv4(datagram, source=OWN4, destination=remote, tos=inner[15] & 3, ttl=64), 0x0800, **mac)


async def configure(ctx, dut, parameters):
    settings = {"mac": MAC, "ipv4": OWN4, "ipv6": OWN6, "ipv6_used": 1, "underlay_mtu": 1500}
    ctx.set(dut.config.settings, settings | {"source_port_base": 49152, "source_port_bits": 14})

    async def write(table, index, values):
        await write_entry(ctx, dut.config, parameters, table, index, values)

    await ctx.tick().until(dut.ready)
    await write(Table.VNI, 0, {"used": 1, "vni": 100, "flood_used": 1, "flood": 2, "inner_vlan_discard": 1})
    await write(Table.VNI, 1, {"used": 1, "vni": 200, "vlan": 20})
    await write(Table.VLAN, 20, {"vni": 1})
    await write(Table.VLAN, 21, {"vni": 1})  # of no account: the VNI says 20
    for number in (1, 2, 3):
        tunnel = {"used": 1, "remote": 0x0A000010 + number, "remote_mac": 0x020000000100 + number, "udp_port": 4789}
        tunnel |= {"ttl": 64, "df": DfMode.SET}
        if number == 2:
            tunnel |= {"vlan": 33, "ttl_inherit": 1, "dscp_inherit": 1, "df": DfMode.INHERIT}
        elif number == 3:
            tunnel |= {
                "remote": 0xFD << 120 | 3,
                "remote_is_ipv6": 1,
                "ttl": 9,
                "udp_checksum": parameters.udp_checksum,
            }
        await write(Table.TUNNEL, number, tunnel)
    await write(Table.FDB, 0, {"used": 1, "vni": 100, "mac": KNOWN, "tunnel": 1})
    await write(Table.FDB, 1, {"used": 1, "vni": 200, "mac": KNOWN, "tunnel": 3})
    for index, number in ((2, 1), (3, 2), (4, 3)):
        await write(Table.FLOOD, index, {"tunnel": number, "last": int(number == 3)})
    await ctx.tick().repeat(3)


class Events:
    def __init__(self, dut):
        self.dut = dut
        self.reasons = []
        self.carried = []
        self.too_big = 0

    async def watch(self, ctx):
        dut = self.dut
        spacing = carried_spacing(dut._parameters)["encap"]
        since = spacing
        async for _, _, strobe, index, carried, frame, too_big in ctx.tick().sample(
            dut.reason.strobe, dut.reason.index, dut.carried.strobe, dut.carried.frame, dut.too_big
        ):
            since += 1
            if strobe:
                self.reasons.append(ENCAP_REASONS[index])
            if carried:
                assert since >= spacing, "events of frames that were carried come too fast"
                since = 0
                self.carried.append((frame.vni, frame.tunnel, frame.length))
            self.too_big += too_big


def cases(zero_checksum, identification=0):
    """Frames, error marks, (VNI index, tunnel, underlay frame) of their copies, and the reason of their drop."""
    options = {"checksum": 0} if zero_checksum else {}
    known, flood, other = tcp(KNOWN), part(BROADCAST), part(STRANGER, 31)

    def copies(inner, sent):
        counted = options | {"identification": identification + sent}
        return [(0, number, leaf(inner, number, 100, ADDRESS_HASH, **counted), len(inner)) for number in (1, 2, 3)]

    big = tcp(KNOWN, 1500)
    just = part(BROADCAST, 1500 - 56 - 14 - 20 + 10)  # too long for IPv6 only
    return [
        (known, False, [(0, 1, leaf(known, 1, 100, FLOW_HASH), len(known))], None),
        (flood, False, copies(flood, 0), None),
        (tag(known, 20), False, [(1, 3, leaf(known, 3, 200, FLOW_HASH, **options), len(known))], None),
        (other, False, copies(other, 1), None),
        (tag(known, 21), False, [], "no_vni"),
        (tag(flood, 20), False, [], "no_tunnel"),
        (bytes(13), False, [], "tenant_runt"),
        (big, False, [], None),  # mtu
        (just, False, copies(just, 2)[:2], None),  # mtu, once
        (known, False, [(0, 1, leaf(known, 1, 100, FLOW_HASH), len(known))], None),
    ]


LATE = [
    (tcp(KNOWN, 100), True, [], "tenant_error"),
    (tcp(KNOWN, 1600), False, [], "tenant_oversize"),
]


@pytest.mark.parametrize(
    ("data_width", "mode", "stall"),
    [
        (128, Mode.STORE_AND_FORWARD, 0.0),
        (64, Mode.STORE_AND_FORWARD, 0.3),
        (64, Mode.CUT_THROUGH, 0.0),
        (512, Mode.STORE_AND_FORWARD, 0.0),
        (512, Mode.CUT_THROUGH, 0.3),
    ],
)
def test_frames(rng, data_width, mode, stall):
    cut_through = mode is Mode.CUT_THROUGH
    parameters = VtepParameters(
        data_width=data_width,
        encap_mode=mode,
        tenant_length=cut_through,
        udp_checksum=not cut_through,
        vnis=2,
        tunnels=4,
        fdb_entries=8,
        flood_entries=8,
        max_frame_length=1600,
    )
    dut = Encapsulator(parameters)
    events = Events(dut)
    # In cut-through, frames with late faults may leave, marked.
    chosen = cases(cut_through) + ([] if cut_through else LATE + cases(cut_through, 3)[:2])
    copies = [copy for _, _, copies, _ in chosen for copy in copies]
    reasons = [reason for *_, reason in chosen if reason]

    async def source(ctx):
        await configure(ctx, dut, parameters)
        assert ctx.get(dut.idle)
        await send_packets(ctx, dut.i, [(frame, error) for frame, error, *_ in chosen], rng=rng, idle=stall / 2)

    async def sink(ctx):
        received = await receive_packets(ctx, dut.o, len(copies), rng=rng, stall=stall)
        assert [(frame.hex(), error) for frame, error in received] == [(frame.hex(), 0) for _, _, frame, _ in copies]
        while len(events.carried) < len(copies) or len(events.reasons) < len(reasons) or not ctx.get(dut.idle):
            await ctx.tick()
        await ctx.tick().repeat(20)
        assert ctx.get(dut.idle)
        assert events.carried == [(vni, tunnel, length) for vni, tunnel, _, length in copies]
        assert events.reasons == reasons
        assert events.too_big == 2

    simulate(dut, source, sink, background=[events.watch])


def test_cut_through_marks_late_faults(rng):
    """An error mark, and a length beside the first beat that is not the frame's."""
    parameters = VtepParameters(
        encap_mode=Mode.CUT_THROUGH, tenant_length=True, udp_checksum=False, tunnels=4, max_frame_length=1600
    )
    dut = Encapsulator(parameters)
    events = Events(dut)
    frame = tcp(KNOWN, 400)
    sent = [(frame, True), (frame, False, len(frame) - 1), (frame, False, len(frame) + 200), (frame, False)]

    async def source(ctx):
        await configure(ctx, dut, parameters)
        await send_packets(ctx, dut.i, sent, rng=rng)

    async def sink(ctx):
        received = await receive_packets(ctx, dut.o, 4, rng=rng)
        assert [error for _, error in received] == [True, True, True, False]
        assert received[-1][0] == leaf(frame, 1, 100, FLOW_HASH)
        assert events.reasons == ["tenant_error"] * 3
        await ctx.tick()
        assert events.carried == [(0, 1, len(frame))]

    simulate(dut, source, sink, background=[events.watch])


def test_reset_forgets_frames_and_tables(rng):
    parameters = VtepParameters(vnis=2, tunnels=4, max_frame_length=1600)
    dut = Encapsulator(parameters)
    events = Events(dut)
    reset = Signal()

    async def bench(ctx):
        await configure(ctx, dut, parameters)
        await send_packets(ctx, dut.i, [part(BROADCAST), tcp(KNOWN)], rng=rng)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        events.reasons.clear()
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.ready)
        await ctx.tick().until(dut.ready)
        await send_packets(ctx, dut.i, [tcp(KNOWN)], rng=rng)
        while not events.reasons:
            assert not ctx.get(dut.o.valid)
            await ctx.tick()
        assert events.reasons == ["no_vni"]

    simulate(ResetInserter(reset)(dut), bench, background=[events.watch])
