"""The gateway with links of 100 and 10 Mb/s."""

from .cases import case
from .gateway_bench import GatewayBench
from .gateway_local import answered
from .gateway_traffic import tenant_frame, underlay_frame, underlay_frame_6, wrong_carriers


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
