import pytest

from helpers.axi_lite_bench import AxiLite
from helpers.octets import entry_write, ethernet, ipv4, udp, vxlan
from helpers.packet_bench import simulate
from vtep.config import Mode, VtepParameters
from vtep.control.tables import Table
from vtep.vxlan.axi import VtepAxi

INNER = ethernet(bytes(range(46)), 0x1234, destination=0x52540000000A, source=0x52540000000B)
OUTER = ethernet(ipv4(udp(vxlan(INNER, 100))), 0x0800)


@pytest.mark.parametrize("tenant_length", [False, True])
@pytest.mark.parametrize("data_width", [8, 64, 512])
def test_ports(data_width, tenant_length):
    parameters = VtepParameters(data_width=data_width, tenant_length=tenant_length)
    dut = VtepAxi(parameters)
    dut._MustUse__silence = True  # only asked for its ports
    expected = {"idle": 1}
    channels = {
        "aw": {"addr": 12, "prot": 3},
        "w": {"data": 32, "strb": 4},
        "b": {"resp": 2},
        "ar": {"addr": 12, "prot": 3},
        "r": {"data": 32, "resp": 2},
    }
    for channel, fields in channels.items():
        expected |= {f"s_axil_{channel}{name}": width for name, width in (fields | {"valid": 1, "ready": 1}).items()}
    widths = {"tdata": data_width, "tkeep": data_width // 8, "tvalid": 1, "tready": 1, "tlast": 1, "tuser": 1}
    for port in ("tenant", "underlay", "host"):
        for side in ("s", "m"):
            expected |= {f"{side}_axis_{port}_{name}": width for name, width in widths.items()}
    if tenant_length:
        expected["s_axis_tenant_tuser"] = 15
    assert {name: getattr(dut, name).shape().width for name in dut.signature.members} == expected


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
def test_a_frame_from_underlay_to_tenant(mode):
    parameters = VtepParameters(decap_mode=mode, vnis=2, tunnels=2, fdb_entries=2, max_frame_length=1500)
    dut = VtepAxi(parameters)

    async def source(ctx):
        axil = AxiLite(dut, parameters)
        await axil.write_entry(ctx, entry_write(parameters, Table.VNI_MAP, 0, {"used": 1, "vni": 100}))
        await axil.write_settings(ctx, {"mac": 0x020000000001, "ipv4": 0x0A000001, "udp_port": 4789})
        for start in range(0, len(OUTER), 8):
            chunk = OUTER[start : start + 8]
            ctx.set(dut.s_axis_underlay_tdata, int.from_bytes(chunk, "little"))
            ctx.set(dut.s_axis_underlay_tkeep, (1 << len(chunk)) - 1)
            ctx.set(dut.s_axis_underlay_tlast, start + 8 >= len(OUTER))
            ctx.set(dut.s_axis_underlay_tvalid, 1)
            await ctx.tick().until(dut.s_axis_underlay_tready)
        ctx.set(dut.s_axis_underlay_tvalid, 0)

    async def sink(ctx):
        ctx.set(dut.m_axis_tenant_tready, 1)
        received, last = b"", 0
        while not last:
            data, keep, last, user = (
                await ctx.tick()
                .sample(
                    dut.m_axis_tenant_tdata, dut.m_axis_tenant_tkeep, dut.m_axis_tenant_tlast, dut.m_axis_tenant_tuser
                )
                .until(dut.m_axis_tenant_tvalid)
            )
            received += data.to_bytes(8, "little")[: keep.bit_count()]
            assert keep & (keep + 1) == 0
        assert received == INNER
        assert not user
        await ctx.tick().repeat(10)
        assert ctx.get(dut.idle)

    simulate(dut, source, sink)
