"""The gateway with links of 100 and 10 Mb/s, of different speeds, and of one that changes."""

from cocotb.triggers import Timer

from .cases import case
from .gateway_bench import TENANT, UNDERLAY, GatewayBench
from .gateway_local import answered
from .gateway_traffic import tenant_frame, underlay_frame, underlay_frame_6, wrong_carriers
from .lines import gmii_frame, until_quiet
from .mac_carriers import carrier


def speed_case(speed: int, apart: float):
    async def run(dut, rng):
        bench = GatewayBench(dut, apart=apart)
        await bench.start(speed=speed)
        wrong = [wrong_carriers(rng, make(rng, 64))[rng.randrange(11)] for make in (tenant_frame, underlay_frame)]
        questions = answered(rng)[:4]
        await bench.exchange(
            [tenant_frame(rng, 60), wrong[0], *(tenant_frame(rng, rng.randint(60, 99)) for _ in range(2))],
            [underlay_frame(rng, 60), wrong[1], underlay_frame_6(rng, 61), *(one for _, one, _ in questions)],
            [answer for _, _, answer in questions],
            gaps=(80, 12),
        )
        bench.counts.update(f"local.{name}" for name, _, _ in questions)
        await bench.check_counters()

    return case(run, deep=True, name=f"both_ways_at_{speed}")


at_100, at_10 = speed_case(100, 100.0), speed_case(10, -100.0)


@case
async def a_slow_tenant_holds_up_no_answers(dut, rng):
    """The underlay brings ten times what the tenant's port can send: that is dropped there, counted, and no more."""
    bench = GatewayBench(dut, apart=-100)
    await bench.start()
    bench.set_speed_of(TENANT, 100)
    questions = answered(rng)[:5]
    carried = [underlay_frame(rng, 500) for _ in range(30)]
    underlay = list(carried)
    for number, (_, question, _) in enumerate(questions):
        underlay.insert(6 * number + 5, question)
    answers = [answer for _, _, answer in questions]
    sent = await bench.exchange([tenant_frame(rng, 60)], underlay, answers, lossy=TENANT, quiet=200)
    kept = [frame.data for frame in sent[TENANT]]
    lost = (await bench.gateway_counters("XmitError"))[f"{TENANT}.aFramesLostDueToIntMACXmitError"]
    assert len(kept) == len(carried) - lost
    assert 5 <= len(kept) < len(carried) // 2
    rest = iter(carried)
    assert all(any(frame.endswith(one) for frame in rest) for one in kept), "out of order, or altered"
    assert await bench.gateway_counters("DropEvents") == {}
    bench.set_speed_of(TENANT, 1000)
    await Timer(1, "us")
    await bench.exchange([tenant_frame(rng, 100)], [underlay_frame(rng, 100)])


def unequal_case(tenant: int, underlay: int):
    async def run(dut, rng):
        bench = GatewayBench(dut, apart=100)
        await bench.start(speed=min(tenant, underlay))
        bench.set_speed_of(TENANT, tenant)
        bench.set_speed_of(UNDERLAY, underlay)
        await Timer(round(20 * bench.byte), "fs")
        questions = answered(rng)[:3]
        # The line that is the faster one brings no more than the other takes.
        gaps = [12 if speed == min(tenant, underlay) else 2500 for speed in (tenant, underlay)]
        await bench.exchange(
            [tenant_frame(rng, length) for length in (60, 99)],
            [underlay_frame(rng, 60), underlay_frame_6(rng, 90), *(one for _, one, _ in questions)],
            [answer for _, _, answer in questions],
            gaps=(gaps[0] + 80, gaps[1]),
        )
        bench.counts.update(f"local.{name}" for name, _, _ in questions)
        await bench.check_counters()

    return case(run, deep=True, name=f"tenant_at_{tenant}_and_underlay_at_{underlay}")


slow_tenant, slow_underlay = unequal_case(100, 1000), unequal_case(1000, 100)


@case
async def a_link_changes_its_speed_under_traffic(dut, rng):
    """Frames on the line then are lost or spoiled; soon after it, all is as before."""
    bench = GatewayBench(dut)
    await bench.start()
    for port, speed in ((TENANT, 100), (UNDERLAY, 100), (TENANT, 1000), (UNDERLAY, 1000)):
        for line, make in ((TENANT, tenant_frame), (UNDERLAY, underlay_frame)):
            for _ in range(6):
                bench.phys[line].rx.send_nowait(gmii_frame(carrier(make(rng, rng.randint(60, 300)))))
        await Timer(rng.randint(500, 9000), "ns")
        bench.set_speed_of(port, speed)
        await until_quiet(bench.phys.values(), 100)
        for phy in bench.phys.values():
            phy.tx.clear()
        await bench.exchange([tenant_frame(rng, 70)], [underlay_frame(rng, 80)])
