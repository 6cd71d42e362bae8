"""A gateway with room for frames of 9,600 bytes, which no listed board has: all else is as on the boards."""

from .cases import case
from .gateway_bench import GatewayBench
from .gateway_designs import CONFIG, PARAMETERS
from .gateway_local import answered
from .gateway_rate import ADDED
from .gateway_traffic import tenant_frame, underlay_frame, underlay_frame_6, wrong_carriers

OF_IPV6 = 20
"""Bytes that the header of an IPv6 underlay is longer than that of IPv4."""

LONGEST = CONFIG.vtep.underlay_mtu + 14 - ADDED
"""Bytes of the longest frame that is encapsulated in IPv4."""


@case
async def jumbo_frames_both_ways(dut, rng):
    """Back to back, the shortest ones among them; from a byte over the MTU and over the longest frame, dropped."""
    assert PARAMETERS.max_frame_length == 9600
    bench = GatewayBench(dut, apart=-100)
    await bench.start()
    lengths = (9000, 60, LONGEST, LONGEST + 1, 60, 9600, 9601, LONGEST)
    longest = PARAMETERS.max_frame_length - ADDED
    underlay = [underlay_frame(rng, length) for length in (9000, 60, longest, longest + 1, 60)]
    underlay += [underlay_frame_6(rng, length - OF_IPV6) for length in (longest, longest + 1)]
    spoiled = [
        wrong_carriers(rng, make(rng, 9000))[number] for make in (tenant_frame, underlay_frame) for number in (3, 5)
    ]
    await bench.exchange(
        [*(tenant_frame(rng, length) for length in lengths), *spoiled[:2], tenant_frame(rng, 9000)],
        [*underlay, *spoiled[2:], underlay_frame(rng, 9000)],
        quiet=300,
    )
    await bench.check_counters()


@case
async def a_jumbo_ping_is_answered(dut, rng):
    bench = GatewayBench(dut, apart=100)
    await bench.start()
    questions = answered(rng, (8000,))[-2:]
    await bench.exchange(
        [tenant_frame(rng, 9000)],
        [frame for _, question, _ in questions for frame in (underlay_frame(rng, 9000), question)],
        [answer for _, _, answer in questions],
        quiet=500,
    )
    bench.counts.update(f"local.{name}" for name, _, _ in questions)
    await bench.check_counters()
