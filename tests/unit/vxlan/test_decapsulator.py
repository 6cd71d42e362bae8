"""The decapsulator on frames of hand-made bytes; every rule, width and pause is the matter of the system tests."""

import pytest
from amaranth.hdl import ResetInserter, Signal

from helpers.octets import ethernet, ipv4, ipv6, tag, udp, vxlan, write_entry
from helpers.packet_bench import receive_packets, send_packets, simulate
from vtep.config import Mode, VtepParameters
from vtep.control.counters import DECAP_REASONS
from vtep.control.tables import Table
from vtep.vxlan.decapsulator import Decapsulator
from vtep.vxlan.statistics import carried_spacing

INNER = ethernet(ipv4(b"hello, tenant", source=0xC0000201, destination=0xC0000202, tos=2), 0x0800)
LONG = ethernet(bytes(range(256)) * 2, 0x1234, destination=0xFFFFFFFFFFFF)


def outer(inner, vni=100, *, family=4, flags=8, **packet):
    datagram = udp(vxlan(inner, vni, flags))
    if family == 6:  # from nobody that we have a tunnel to
        return ethernet(ipv6(datagram, **packet), 0x86DD)
    return ethernet(ipv4(datagram, **packet), 0x0800)


def set_byte(frame, place, value):
    return frame[:place] + bytes([value]) + frame[place + 1 :]


# What goes in, error mark, and what becomes of it: bytes at the tenant, bytes at the host, and a reason.
GOOD = [
    (outer(INNER), False, INNER, None, None),
    (outer(LONG), False, LONG, None, None),
    (tag(outer(INNER), 5), False, INNER, None, None),
    (outer(INNER, options=bytes([1] * 8)), False, INNER, None, None),
    (outer(INNER) + bytes(9), False, INNER, None, None),  # padding
    (outer(INNER, 200), False, tag(INNER, 20), None, None),
    (outer(LONG, family=6), False, LONG, None, None),
    # Outer CE: inner ECT(0), in byte 15, becomes CE, and the checksum falls with it, by one.
    (
        outer(INNER, tos=3),
        False,
        ethernet(ipv4(b"hello, tenant", source=0xC0000201, destination=0xC0000202, tos=3), 0x0800),
        None,
        None,
    ),
    (ethernet(bytes(46), 0x0806), False, None, ethernet(bytes(46), 0x0806), None),
    (outer(INNER, destination=0x0A000009), False, None, outer(INNER, destination=0x0A000009), None),
    (outer(INNER, word=0x2000), False, None, outer(INNER, word=0x2000), "fragment"),
    (set_byte(outer(INNER), 0, 0x04), False, None, None, "not_mine"),
    (set_byte(outer(INNER), 14, 0x55), False, None, None, "ip_header"),
    (set_byte(outer(INNER), 22, 0x41), False, None, None, "ip_checksum"),
    (outer(INNER, flags=0), False, None, None, "vxlan_flags"),
    (outer(INNER, 300), False, None, None, "unknown_vni"),
    (outer(INNER[:13]), False, None, None, "inner_runt"),
    (outer(tag(INNER, 7), 200), False, None, None, "inner_vlan"),
    (bytes(13), False, None, None, "underlay_runt"),
    (outer(INNER), False, INNER, None, None),
]
LATE = [
    (outer(INNER), True, None, None, "underlay_error"),
    (outer(INNER)[:-1], False, None, None, "ip_length"),
    (outer(ethernet(bytes(2000), 0x0800)), False, None, None, "underlay_oversize"),
    (set_byte(outer(INNER), 41, 1), False, None, None, "udp_checksum"),
    (outer(LONG), False, LONG, None, None),
]


async def configure(ctx, dut, parameters):
    ctx.set(
        dut.config.settings,
        {
            "mac": 0x020000000001,
            "ipv4": 0x0A000001,
            "ipv6": 0xFD << 120 | 1,
            "ipv6_used": 1,
            "udp_port": 4789,
            "udp_checksum_verify": 1,
            "udp6_zero_checksum": 1,
        },
    )
    await ctx.tick().until(dut.ready)
    await write_entry(ctx, dut.config, parameters, Table.VNI_MAP, 1, {"used": 1, "vni": 100, "index": 1})
    vni = {"used": 1, "vni": 200, "index": 2, "push": 1, "vlan": 20, "inner_vlan_discard": 1}
    await write_entry(ctx, dut.config, parameters, Table.VNI_MAP, 2, vni)
    await write_entry(ctx, dut.config, parameters, Table.REMOTE, 3, {"used": 1, "remote": 0x0A000002, "tunnel": 3})
    await ctx.tick().repeat(3)


class Events:
    def __init__(self, dut):
        self.dut = dut
        self.reasons = []
        self.carried = []

    async def watch(self, ctx):
        dut = self.dut
        spacing = carried_spacing(dut._parameters)["decap"]
        since = spacing
        async for _, _, strobe, index, carried, frame in ctx.tick().sample(
            dut.reason.strobe, dut.reason.index, dut.carried.strobe, dut.carried.frame
        ):
            since += 1
            if strobe:
                self.reasons.append(DECAP_REASONS[index])
            if carried:
                assert since >= spacing, "events of frames that were carried come too fast"
                since = 0
                self.carried.append((frame.vni, frame.tunnel if frame.tunnel_used else None, frame.length))


def expectations(cases):
    tenant = [(octets, False) for _, _, octets, _, _ in cases if octets is not None]
    host = [(octets, False) for _, _, _, octets, _ in cases if octets is not None]
    return tenant, host, [reason for *_, reason in cases if reason]


@pytest.mark.parametrize(
    ("data_width", "mode", "stall"),
    [
        (32, Mode.STORE_AND_FORWARD, 0.0),
        (64, Mode.STORE_AND_FORWARD, 0.3),
        (64, Mode.CUT_THROUGH, 0.0),
        (512, Mode.STORE_AND_FORWARD, 0.0),
        (512, Mode.CUT_THROUGH, 0.3),
    ],
)
def test_frames(rng, data_width, mode, stall):
    parameters = VtepParameters(data_width=data_width, decap_mode=mode, vnis=4, tunnels=4, max_frame_length=1500)
    dut = Decapsulator(parameters)
    events = Events(dut)
    # In cut-through, frames with late faults may leave, marked.
    cases = GOOD + (LATE if mode is Mode.STORE_AND_FORWARD else [])
    tenant, host, reasons = expectations(cases)

    async def source(ctx):
        await configure(ctx, dut, parameters)
        assert ctx.get(dut.idle)
        frames = [(frame, error) for frame, error, *_ in cases]
        await send_packets(ctx, dut.i, frames, rng=rng, idle=stall / 2)

    async def at_tenant(ctx):
        received = await receive_packets(ctx, dut.tenant, len(tenant), rng=rng, stall=stall)
        assert [(octets.hex(), error) for octets, error in received] == [(o.hex(), e) for o, e in tenant]

    async def at_host(ctx):
        assert await receive_packets(ctx, dut.host, len(host), rng=rng, stall=stall) == host

    async def end(ctx):
        while len(events.reasons) < len(reasons) or len(events.carried) < len(tenant) or not ctx.get(dut.idle):
            await ctx.tick()
        await ctx.tick().repeat(20)
        assert ctx.get(dut.idle)
        assert events.reasons == reasons
        plain, long = (1, 3, len(INNER)), (1, 3, len(LONG))
        expected = [plain, long, plain, plain, plain, (2, 3, len(INNER)), (1, None, len(LONG)), plain, plain]
        assert events.carried == expected + [long] * (len(tenant) - len(expected))

    simulate(dut, source, at_tenant, at_host, end, background=[events.watch])


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
def test_late_faults(rng, mode):
    """In cut-through such frames leave marked, or not at all; the reasons are the same."""
    parameters = VtepParameters(decap_mode=mode, vnis=4, tunnels=4, max_frame_length=1500)
    dut = Decapsulator(parameters)
    events = Events(dut)
    reasons = [reason for *_, reason in LATE if reason]

    async def source(ctx):
        await configure(ctx, dut, parameters)
        await send_packets(ctx, dut.i, [(frame, error) for frame, error, *_ in LATE], rng=rng)

    async def sink(ctx):
        received = await receive_packets(
            ctx, dut.tenant, lambda: len(events.reasons) == len(reasons) and bool(events.carried), rng=rng
        )
        assert [octets for octets, error in received if not error] == [LONG]
        assert (len(received) > 1) == (mode is Mode.CUT_THROUGH)
        assert events.reasons == reasons

    simulate(dut, source, sink, background=[events.watch])


@pytest.mark.parametrize(("data_width", "latency"), [(64, 16), (512, 11)])
def test_cut_through_latency(rng, data_width, latency):
    parameters = VtepParameters(data_width=data_width, decap_mode=Mode.CUT_THROUGH, max_frame_length=1500)
    dut = Decapsulator(parameters)
    clocks = {}

    async def bench(ctx):
        await configure(ctx, dut, parameters)
        await send_packets(ctx, dut.i, [outer(LONG * 2)], rng=rng)
        await ctx.tick().repeat(40)

    async def watch(ctx):
        clock = 0
        async for _, _, enters, leaves in ctx.tick().sample(dut.i.valid & dut.i.ready, dut.tenant.valid):
            if enters:
                clocks.setdefault("in", clock)
            if leaves:
                clocks.setdefault("out", clock)
            clock += 1

    async def sink(ctx):
        await receive_packets(ctx, dut.tenant, 1, rng=rng)

    simulate(dut, bench, sink, background=[watch])
    assert clocks["out"] - clocks["in"] == latency


@pytest.mark.parametrize(("data_width", "idle"), [(8, 0.0), (32, 0.0), (32, 0.8), (64, 0.0)])
def test_lookups_of_frames_that_end_with_their_keys(rng, data_width, idle):
    """Frames as close as they come, each with addresses of its own: whose groups are ours, whose tunnel counts."""
    parameters = VtepParameters(data_width=data_width, vnis=4, tunnels=4, max_frame_length=1500)
    dut = Decapsulator(parameters)
    events = Events(dut)
    sources = {4: [0x0A000100, 0x0A000101], 6: [0xFD << 120 | 0x100, 0xFD << 120 | 0x101]}
    groups = {4: [0xEF000001, 0xEF000002], 6: [0xFF02 << 112 | 1, 0xFF02 << 112 | 2]}
    # Of each two the first is known. Tunnel 0 has the IPv4 source, 1 the IPv6 source.
    frames, at_host, reasons, carried = [], [], [], []
    for _ in range(40):
        family = rng.choice((4, 6))
        source, group = rng.choice(sources[family]), rng.choice(groups[family])
        known = group == groups[family][0]
        short = rng.random() < 0.7
        vni = rng.choice((100, 200, 300))
        payload = b"" if short else udp(vxlan(INNER, vni), checksum=0)
        packet = (ipv4 if family == 4 else ipv6)(payload, source=source, destination=group)
        frame = ethernet(packet, 0x0800 if family == 4 else 0x86DD)
        if rng.random() < 0.4:
            frame = tag(frame, 5)
        frames.append((frame, False))
        if not known:
            at_host.append((frame, False))
        elif short:
            reasons.append("udp_length")
        elif vni == 300:
            reasons.append("unknown_vni")
        else:
            tunnel = (0 if family == 4 else 1) if source == sources[family][0] else None
            carried.append((vni // 100, tunnel, len(INNER)))

    async def source_of_all(ctx):
        await configure(ctx, dut, parameters)
        for tunnel, (family, address, group) in enumerate(
            [(4, sources[4][0], 0), (6, sources[6][0], 0), (4, groups[4][0], 1), (6, groups[6][0], 1)]
        ):
            entry = {"used": 1, "remote": address, "remote_is_ipv6": family == 6, "group": group, "tunnel": tunnel}
            # In a part each, so that none is overwritten.
            await write_entry(ctx, dut.config, parameters, Table.REMOTE, tunnel, entry)
        await ctx.tick().repeat(3)
        await send_packets(ctx, dut.i, frames, rng=rng, idle=idle)

    async def tenant(ctx):
        await receive_packets(ctx, dut.tenant, len(carried), rng=rng)

    async def host(ctx):
        assert await receive_packets(ctx, dut.host, len(at_host), rng=rng) == at_host
        while len(events.reasons) < len(reasons) or len(events.carried) < len(carried):
            await ctx.tick()

    simulate(dut, source_of_all, tenant, host, background=[events.watch])
    assert events.reasons == reasons
    assert events.carried == carried


def test_reset_forgets_frames_and_tables(rng):
    parameters = VtepParameters(vnis=4, tunnels=4, max_frame_length=1500)
    dut = Decapsulator(parameters)
    events = Events(dut)
    reset = Signal()

    async def bench(ctx):
        await configure(ctx, dut, parameters)
        await send_packets(ctx, dut.i, [outer(INNER), outer(INNER)], rng=rng)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        events.reasons.clear()
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.ready)
        await ctx.tick().until(dut.ready)
        await send_packets(ctx, dut.i, [outer(INNER)], rng=rng)
        while not events.reasons:
            assert not ctx.get(dut.tenant.valid)
            await ctx.tick()
        assert events.reasons == ["unknown_vni"]

    simulate(ResetInserter(reset)(dut), bench, background=[events.watch])
