"""Both directions, the host's way and the counters, with one frame each; the rest is the matter of the system tests."""

import pytest

from helpers.octets import entry_write, ethernet, ipv4, udp, vxlan, write_entry
from helpers.packet_bench import receive_packets, send_packets, simulate
from vtep.config import VtepParameters
from vtep.control.counters import counter_map
from vtep.control.tables import Table, entry_layout, table_plan
from vtep.vxlan.pipeline import VtepPipeline

INNER = ethernet(bytes(46), 0x1234, destination=0x52540000000A, source=0x52540000000B)
OUTER = ethernet(ipv4(udp(vxlan(INNER, 100))), 0x0800)
HOST = ethernet(bytes(46), 0x0806)
ENTRIES = [
    (Table.VNI, 0, {"used": 1, "vni": 100}),
    (Table.VNI_MAP, 0, {"used": 1, "vni": 100}),
    (Table.REMOTE, 0, {"used": 1, "remote": 0x0A000002, "tunnel": 1}),
    (Table.TUNNEL, 1, {"used": 1, "remote": 0x0A000002, "remote_mac": 0x020000000002, "ttl": 64, "udp_port": 4789}),
    (Table.FDB, 0, {"used": 1, "vni": 100, "mac": 0x52540000000A, "tunnel": 1}),
]
SETTINGS = {
    "mac": 0x020000000001,
    "ipv4": 0x0A000001,
    "udp_port": 4789,
    "underlay_mtu": 1500,
    "source_port_base": 50000,
}
SENT = ethernet(
    ipv4(udp(vxlan(INNER, 100)), source=0x0A000001, destination=0x0A000002),
    0x0800,
    destination=0x020000000002,
    source=0x020000000001,
)


@pytest.mark.parametrize("data_width", [64, 512])
def test_one_frame_each_way(rng, data_width):
    parameters = VtepParameters(data_width=data_width, vnis=2, tunnels=2, fdb_entries=2, max_frame_length=1500)
    dut = VtepPipeline(parameters)
    configured = []

    async def configure(ctx):
        assert not ctx.get(dut.ready)
        await ctx.tick().until(dut.ready)
        ctx.set(dut.config.settings, SETTINGS)
        for table, index, values in ENTRIES:
            await write_entry(ctx, dut.config, parameters, table, index, values)
        await ctx.tick().repeat(30)
        for port in (dut.tenant_rx, dut.underlay_rx, dut.host_rx):
            assert not ctx.get(port.ready), "frames may enter before `run`"
        ctx.set(dut.run, 1)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.idle)
        configured.append(1)

    def sender(port, packets):
        async def bench(ctx):
            while not configured:
                await ctx.tick()
            await send_packets(ctx, port, packets, rng=rng)

        return bench

    async def underlay(ctx):
        received = await receive_packets(ctx, dut.underlay_tx, 3, rng=rng)
        assert sorted(received) == sorted([(SENT, False), (SENT, False), (HOST, True)])

    async def tenant(ctx):
        assert await receive_packets(ctx, dut.tenant_tx, 1, rng=rng) == [(INNER, False)]

    async def host(ctx):
        assert await receive_packets(ctx, dut.host_tx, 1, rng=rng) == [(HOST, False)]

    async def counters(ctx):
        await ctx.tick().repeat(400)
        assert ctx.get(dut.idle)
        expected = {
            "tenant_rx_frames": 3,
            "tenant_rx_bytes": 133,
            "tenant_runt": 1,
            "tenant_tx_bytes": 60,
            "underlay_rx_frames": 2,
            "underlay_rx_bytes": len(OUTER) + 60,
            "underlay_tx_frames": 3,
            "underlay_tx_bytes": 2 * len(SENT) + 60,
            "host_rx_frames": 1,
            "host_tx_frames": 1,
            "vni[0].encap_frames": 2,
            "tunnel[1].encap_bytes": 120,
            "vni[0].decap_bytes": 60,
            "tunnel[1].decap_frames": 1,
            "underlay_runt": 0,
        }
        requests, responses = dut.counters.requests, dut.counters.responses
        ctx.set(responses.ready, 1)
        for name, value in expected.items():
            ctx.set(requests.payload, {"address": counter_map(parameters)[name], "snapshot": 0})
            ctx.set(requests.valid, 1)
            await ctx.tick().until(requests.ready)
            ctx.set(requests.valid, 0)
            assert ctx.get(responses.valid)
            assert ctx.get(responses.payload) == value, name
            await ctx.tick()
        for table, index, values in ENTRIES:
            write = entry_write(parameters, table, index, values)
            ctx.set(dut.config.write, write)
            ctx.set(dut.entries.table, table)
            ctx.set(dut.entries.index, write["index"])
            ctx.set(dut.entries.strobe, 1)
            await ctx.tick()
            ctx.set(dut.entries.strobe, 0)
            for _ in range(12):
                *_, valid, entry = await ctx.tick().sample(dut.entries.valid, dut.entries.entry)
                if valid:
                    break
            assert valid, table
            layout = entry_layout(table, parameters)
            plan = table_plan(table, parameters)
            # The low bits of a hashed key are in the location.
            given = write["entry"] & ~(((1 << plan.bucket_bits) - 1 << 1) if plan else 0)
            assert entry & ((1 << layout.size) - 1) == given, table

    simulate(
        dut,
        configure,
        sender(dut.tenant_rx, [INNER, bytes(13), INNER]),
        sender(dut.underlay_rx, [OUTER, HOST]),
        sender(dut.host_rx, [(HOST, True)]),
        underlay,
        tenant,
        host,
        counters,
    )
