"""The core through its registers, and what it holds after reset."""

from amaranth.hdl import ResetInserter, Signal

from helpers.octets import entry_write, ethernet, ipv4, udp, vxlan
from helpers.packet_bench import assert_refused, receive_packets, send_packets, simulate
from helpers.register_bench import access, read, write
from vtep.config import VtepParameters
from vtep.control.counters import counter_map
from vtep.control.registers import vtep_registers
from vtep.control.tables import Table, TableEntry
from vtep.vxlan.core import VtepCore

PARAMETERS = VtepParameters(vnis=2, tunnels=2, fdb_entries=2, max_frame_length=1500)
SETTINGS = {"mac": 0x020000000001, "ipv4": 0x0A000001, "udp_port": 4789, "underlay_mtu": 1500}
INNER = ethernet(bytes(46), 0x1234, destination=0x52540000000A, source=0x52540000000B)
OUTER = ethernet(ipv4(udp(vxlan(INNER, 100))), 0x0800)
VNI_MAP = entry_write(PARAMETERS, Table.VNI_MAP, 0, {"used": 1, "vni": 100, "index": 1})
INITIAL = [TableEntry(VNI_MAP["table"], VNI_MAP["index"], VNI_MAP["entry"])]
MAP = vtep_registers(PARAMETERS)


async def wait(ctx, bus, register, bit):
    for _ in range(2000):
        if not MAP[register][bit].of(await read(ctx, bus, MAP[register].address)):
            return
    raise AssertionError(f"{register}.{bit} stays set")


async def counter(ctx, bus, name, snapshot=0):
    command = MAP["COUNTER_COMMAND"].pack(address=counter_map(PARAMETERS)[name], snapshot=snapshot)
    await write(ctx, bus, MAP["COUNTER_COMMAND"].address, command)
    await wait(ctx, bus, "COUNTER_STATUS", "busy")
    return await read(ctx, bus, MAP["COUNTER_LOW"].address)


def test_initial_contents_are_there_after_every_reset(rng):
    """And what the registers changed is gone."""
    reset = Signal()
    dut = VtepCore(PARAMETERS, SETTINGS, INITIAL)

    async def bench(ctx):
        bus = dut.bus
        for _ in range(2):
            busy = MAP["TABLE_STATUS"]["busy"].of(await read(ctx, bus, MAP["TABLE_STATUS"].address))
            assert busy, "the tables are open before they are loaded"
            assert (await access(ctx, bus, MAP["TABLE_INDEX"].address, 0)).error
            await send_packets(ctx, dut.underlay_rx, [OUTER], rng=rng)
            assert await receive_packets(ctx, dut.tenant_tx, 1, rng=rng) == [(INNER, False)]
            await wait(ctx, bus, "TABLE_STATUS", "busy")
            assert await counter(ctx, bus, "vni[1].decap_frames") == 1
            await write(ctx, bus, MAP["CONTROL"].address, MAP["CONTROL"].pack(snapshot_counters=1))
            await wait(ctx, bus, "STATUS", "counters_busy")
            await write(ctx, bus, MAP["CONTROL"].address, MAP["CONTROL"].pack(clear_counters=1))
            await wait(ctx, bus, "STATUS", "counters_busy")
            assert await counter(ctx, bus, "vni[1].decap_frames") == 0
            assert await counter(ctx, bus, "vni[1].decap_frames", 1) == 1

            await write(ctx, bus, MAP["TABLE_SELECT"].address, Table.VNI_MAP.value)
            await write(ctx, bus, MAP["TABLE_INDEX"].address, VNI_MAP["index"])
            await write(ctx, bus, MAP["TABLE_COMMAND"].address, MAP["TABLE_COMMAND"].pack(read=1))
            await wait(ctx, bus, "TABLE_STATUS", "busy")
            assert await read(ctx, bus, MAP["TABLE_DATA"].address) & 1
            for i in range(MAP["TABLE_DATA"].words):
                await write(ctx, bus, MAP["TABLE_DATA"].address + 4 * i, 0)
            await write(ctx, bus, MAP["TABLE_COMMAND"].address, MAP["TABLE_COMMAND"].pack(write=1))
            await send_packets(ctx, dut.underlay_rx, [OUTER], rng=rng)
            await ctx.tick().repeat(100)
            assert ctx.get(dut.idle)
            assert MAP["STATUS"]["idle"].of(await read(ctx, bus, MAP["STATUS"].address))
            assert await counter(ctx, bus, "unknown_vni") == 1
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)

    simulate(ResetInserter(reset)(dut), bench)


def test_refuses_initial_contents():
    assert_refused("there is no setting 'colour'", VtepCore, PARAMETERS, {"colour": 1})
    assert_refused(
        r"the index of VNI must be within 0 \.\. 1", VtepCore, PARAMETERS, None, [TableEntry(Table.VNI, 2, 0)]
    )
