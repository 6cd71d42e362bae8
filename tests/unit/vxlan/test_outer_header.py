from dataclasses import replace

import pytest
from amaranth.hdl import Cat, Module, ResetInserter, Signal

from helpers.octets import ethernet, ipv4, ipv6, ones_sum, tag, udp, vxlan
from helpers.packet_bench import simulate
from vtep.config import VtepParameters
from vtep.control.tables import DfMode, EcnMode
from vtep.vxlan.outer_header import OuterHeader, header_layout, overhead, prefix_formats, prefix_sections

PARAMETERS = VtepParameters(tunnels=4, vnis=4)
OWN4, OWN6, MAC = 0x0A000001, 0xFD << 120 | 1, 0x020000000001
SETTINGS = {
    "mac": MAC,
    "ipv4": OWN4,
    "ipv6": OWN6,
    "ipv6_used": 1,
    "underlay_mtu": 1500,
    "source_port_base": 49152,
    "source_port_bits": 14,
}
TUNNEL = {"used": 1, "remote": 0x0A000002, "remote_mac": 0x020000000002, "ttl": 9, "dscp": 5, "udp_port": 4789}


def table_of(dut, tunnels):
    """A bench that answers as the tunnel table does; ``tunnels``: entries by index, 0 where there is none."""

    async def bench(ctx):
        looked_up = 0
        async for _, _, index in ctx.tick().sample(dut.lookup_index):
            ctx.set(dut.tunnel, tunnels.get(looked_up, {}))
            looked_up = index

    return bench


async def send(ctx, dut, copy):
    """One copy; its header, ``latency`` clocks later."""
    ctx.set(dut.copy, copy)
    ctx.set(dut.strobe, 1)
    await ctx.tick()
    ctx.set(dut.strobe, 0)
    for _ in range(dut.latency - 1):
        assert not ctx.get(dut.ready)
        await ctx.tick()
    assert ctx.get(dut.ready)
    return ctx.get(dut.header)


def copy_of(frame, *, strip=False, **fields):
    """The copy of a tenant frame, with its first tag removed if ``strip``."""
    copy = {
        "length": len(frame),
        "payload": ones_sum(frame),
        "macs": int.from_bytes(frame[:12], "big"),
        "vni": 0x123456,
    }
    copy |= {"hash": 0x89ABCDEF, "final": 1, "strip": int(strip)}
    if strip:
        copy["tci"] = int.from_bytes(frame[14:16], "big")
    return copy | fields


@pytest.mark.parametrize("is6", [False, True])
@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("vlan", [0, 77])
@pytest.mark.parametrize("streamed_width", [None, 8, 32, 64])
def test_headers_byte_by_byte(rng, is6, strip, vlan, streamed_width):
    """The fields, in the order of a format's sections, are the frame put together by hand, UDP checksum and all."""
    m = Module()
    parameters = PARAMETERS if streamed_width is None else replace(PARAMETERS, data_width=streamed_width)
    m.submodules.dut = dut = OuterHeader(parameters, streamed=streamed_width is not None)
    kept = Signal(header_layout(PARAMETERS))
    sections = prefix_sections(dut.settings, kept, PARAMETERS)
    made_of = [byte for name in prefix_formats(PARAMETERS)[is6, vlan != 0] for byte in sections[name]]
    octets = Signal(8 * len(made_of))
    m.d.comb += octets.eq(Cat(made_of))
    inner = ethernet(rng.randbytes(rng.randint(46, 99)), 0x0800, destination=rng.getrandbits(48))
    remote = 0xFD << 120 | 0x22 if is6 else 0x0A000002
    tunnels = {}

    async def bench(ctx):
        ctx.set(dut.settings, SETTINGS)
        tunnel = TUNNEL | {"remote": remote, "remote_is_ipv6": int(is6), "vlan": vlan, "udp_checksum": 1}
        tunnels[2] = tunnel
        tenant = tag(inner, 0x6123) if strip else inner
        header = await send(ctx, dut, copy_of(tenant, strip=strip, tunnel=2, vni_index=3, tos=0x41))
        assert (header.too_big, header.forget, header.final) == (0, 0, 1)
        assert (header.vni_index, header.tunnel) == (3, 2)
        assert header.inner_length == len(inner)
        assert header.before_last == overhead(ipv6=is6, tagged=vlan != 0) + len(inner) - 1
        if dut.checksum_wait[is6]:
            assert streamed_width
            await ctx.tick().repeat(dut.checksum_wait[is6])
        ctx.set(kept.as_value(), ctx.get(dut.header.as_value()))

        source_port = 49152 + (0x89ABCDEF & 0x3FFF)
        datagram = udp(vxlan(inner, 0x123456), source=source_port)
        width = 16 if is6 else 4
        pseudo = (OWN6 if is6 else OWN4).to_bytes(width, "big") + remote.to_bytes(width, "big")
        pseudo += bytes([0, 17]) + len(datagram).to_bytes(2, "big")
        checksum = 0xFFFF - ones_sum(pseudo + datagram) or 0xFFFF
        datagram = udp(vxlan(inner, 0x123456), source=source_port, checksum=checksum)
        tos = 5 << 2 | 1
        if is6:
            packet = ipv6(datagram, source=OWN6, destination=remote, traffic_class=tos, hop_limit=9, flow_label=0xBCDEF)
        else:
            packet = ipv4(datagram, source=OWN4, destination=remote, tos=tos, ttl=9)
        frame = ethernet(packet, 0x86DD if is6 else 0x0800, destination=0x020000000002, source=MAC)
        frame = tag(frame, vlan) if vlan else frame
        made = ctx.get(octets).to_bytes(len(octets) // 8, "little")
        assert made.hex() == frame[: len(made)].hex()
        assert len(made) == overhead(ipv6=is6, tagged=vlan != 0) + 12

    simulate(m, bench, background=[table_of(dut, tunnels)])


@pytest.mark.parametrize(
    ("tunnel", "copy", "expected"),
    [
        ({}, {"tos": 0xB8 | 3, "ttl": 33}, {"tos": 5 << 2 | 3, "ttl": 9}),
        ({"dscp_inherit": 1, "ttl_inherit": 1}, {"tos": 0xB8 | 2, "ttl": 33}, {"tos": 0xB8 | 2, "ttl": 33}),
        ({"ecn": EcnMode.ZERO}, {"tos": 3}, {"tos": 5 << 2}),
        ({"ecn": EcnMode.LINUX}, {"tos": 3}, {"tos": 5 << 2 | 2}),
        ({"ecn": EcnMode.LINUX}, {"tos": 1}, {"tos": 5 << 2 | 1}),
        ({"df": DfMode.SET}, {"df": 0}, {"df": 1}),
        ({"df": DfMode.UNSET}, {"df": 1}, {"df": 0}),
        ({"df": DfMode.INHERIT}, {"df": 1}, {"df": 1}),
        ({"df": DfMode.INHERIT}, {"df": 0}, {"df": 0}),
        ({"udp_port": 8472}, {}, {"destination_port": 8472, "udp_checksum": 0}),
        ({}, {"length": 1500 - 36}, {"too_big": 0}),
        ({}, {"length": 1500 - 35}, {"too_big": 1}),
        ({}, {"length": 1500 - 35 + 3, "strip": 1}, {"too_big": 0}),
        ({"remote_is_ipv6": 1}, {"length": 1500 - 56}, {"too_big": 0}),
        ({"remote_is_ipv6": 1}, {"length": 1500 - 55}, {"too_big": 1}),
        ({}, {"length": 9000, "forget": 1, "final": 0}, {"too_big": 0, "forget": 1, "final": 0}),
    ],
)
def test_modes(tunnel, copy, expected):
    dut = OuterHeader(PARAMETERS)

    async def bench(ctx):
        ctx.set(dut.settings, SETTINGS)
        header = await send(ctx, dut, {"length": 60, "tunnel": 1, "final": 1} | copy)
        assert {name: header[name] for name in expected} == expected

    simulate(dut, bench, background=[table_of(dut, {1: TUNNEL | tunnel})])


@pytest.mark.parametrize(("bits", "port"), [(0, 50000), (4, 50000 + 0xF), (16, (50000 + 0xCDEF) % 65536)])
def test_source_port(bits, port):
    dut = OuterHeader(PARAMETERS)

    async def bench(ctx):
        ctx.set(dut.settings, SETTINGS | {"source_port_base": 50000, "source_port_bits": bits})
        header = await send(ctx, dut, {"length": 60, "hash": 0x89ABCDEF})
        assert header.source_port == port
        assert header.flow_label == 0xBCDEF

    simulate(dut, bench)


def changing_table_of(dut, tunnels, rng):
    """As `table_of`, but each entry is right in that clock only, as where it is overwritten in the next one."""

    async def bench(ctx):
        wanted = None
        async for _, _, strobe, index in ctx.tick().sample(dut.strobe, dut.lookup_index):
            ctx.set(dut.tunnel, tunnels[rng.choice(sorted(tunnels)) if wanted is None else wanted])
            wanted = index if strobe else None

    return bench


@pytest.mark.parametrize(("data_width", "pace"), [(8, 8), (32, 8), (64, 8), (128, 4), (256, 2), (512, 1)])
def test_identifications_rise_for_each_tunnel_alone(rng, data_width, pace):
    """Copies at their pace: only those that may be fragmented and leave count. Reset begins anew."""
    dut = OuterHeader(VtepParameters(data_width=data_width, tunnels=4, vnis=4))
    assert dut.pace == pace
    reset = Signal()
    kinds = [
        {"df": DfMode.UNSET},
        {"df": DfMode.SET},
        {"df": DfMode.INHERIT},
        {"df": DfMode.UNSET, "remote_is_ipv6": 1},
    ]
    tunnels = {
        number: TUNNEL | kind | {"remote": rng.getrandbits(32), "remote_mac": rng.getrandbits(48), "udp_port": number}
        for number, kind in enumerate(kinds)
    }
    clocks = 240 * pace

    async def bench(ctx):
        ctx.set(dut.settings, SETTINGS)
        for _ in range(2):
            await ctx.tick().until(dut.cleared)
            counters = [0] * 4
            expected = []
            rest = 0
            for clock in range(clocks + dut.latency):
                strobe = clock < clocks and rest == 0 and rng.random() < 0.8
                rest = pace - 1 if strobe else max(0, rest - 1)
                if strobe:
                    tunnel, df = rng.choice((0, 0, 2, 1, 3)), rng.getrandbits(1)
                    length, forget = rng.choice((60, 60, 60, 9000)), rng.random() < 0.2
                    macs = rng.getrandbits(96)
                    ctx.set(
                        dut.copy,
                        {"tunnel": tunnel, "df": df, "length": length, "forget": forget, "final": 1, "macs": macs},
                    )
                    counted = tunnel == 0 or (tunnel == 2 and not df)
                    leaves = length == 60 and not forget
                    expected.append((leaves, tunnel, macs, counters[tunnel] if counted else 0))
                    counters[tunnel] += counted and leaves
                else:
                    expected.append(None)
                ctx.set(dut.strobe, strobe)
                if clock >= dut.latency:
                    then = expected[clock - dut.latency]
                    assert ctx.get(dut.ready) == (then is not None)
                    if then:
                        left, tunnel, macs, identification = then
                        header = ctx.get(dut.header)
                        assert not left or header.identification == identification
                        assert (header.tunnel, header.macs) == (tunnel, macs)
                        for name in ("remote", "remote_mac"):
                            assert header[name] == tunnels[tunnel][name], name
                        assert header.destination_port == tunnel
                await ctx.tick()
            assert counters[0] > 10
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)

    simulate(ResetInserter(reset)(dut), bench, background=[changing_table_of(dut, tunnels, rng)])


def test_overhead():
    # RFC 7348: 50 bytes over IPv4, 70 over IPv6; a tag takes 4.
    assert [overhead(ipv6=v6, tagged=tagged) for v6 in (False, True) for tagged in (False, True)] == [50, 54, 70, 74]


def test_without_ipv6_there_are_two_formats():
    parameters = VtepParameters(ipv6=False)
    header = Signal(header_layout(parameters))
    assert header.remote.shape().width == 32
    dut = OuterHeader(parameters)
    dut._MustUse__silence = True  # only asked for its ports
    assert set(prefix_formats(parameters)) == {(False, False), (False, True)}
    assert "ipv6" not in prefix_sections(dut.settings, header, parameters)
