"""Frames through the whole gateway at a gigabit: encapsulated, decapsulated, and what is wrong with them dropped."""

from random import Random

from vtep.control.counters import counter_map
from vtep_sim.cocotb.frames import Underlay, inner_tcp4

from .cases import case, full
from .configs import HOST_A, HOST_B, HOST_C, OWN_IPV6, random_mac
from .gateway_bench import GatewayBench, padded
from .gateway_designs import CONFIG, PARAMETERS
from .generator import Traffic
from .mac_carriers import DELIMITER, HEAD, PREAMBLE, Carrier, carrier, cut, fcs

VLAN_10 = (0x8100, 10)


def tenant_frame(rng: Random, length: int, target: bytes = HOST_A) -> bytes:
    """A tenant's frame of so many bytes, at least 60, without FCS."""
    return inner_tcp4(target, random_mac(rng), payload=rng.randbytes(length - 54), sport=rng.randrange(65536))


def underlay_frame(rng: Random, length: int, **fields) -> bytes:
    """A VXLAN frame for the gateway around a tenant's frame of so many bytes."""
    return bytes(Underlay(inner=tenant_frame(rng, length), vni=200, **fields))


def underlay_frame_6(rng: Random, length: int) -> bytes:
    return underlay_frame(rng, length, src_ip="fd00::6", dst_ip=OWN_IPV6, udp_checksum="right")


def apart_case(apart: float, *, deep: bool):
    async def run(dut, rng):
        bench = GatewayBench(dut, apart=apart)
        await bench.start()
        traffic = Traffic(PARAMETERS, CONFIG, rng, largest=300, broken=0.2)
        # Most generated frames are longer than a line asks for; of the others half come as runts.
        tenant, underlay = (
            [
                carrier(
                    frame.data if rng.random() < 0.5 else padded(frame.data),
                    spoil=frame.error * (1 << rng.randrange(32)),
                )
                for frame in (make() for _ in range(60))
                if len(frame.data) > 4
            ]
            for make in (traffic.tenant, traffic.underlay)
        )
        # Each VNI sends to two tunnels at most: there is time for both copies.
        await bench.exchange(tenant, underlay, gaps=(500, 12))
        await bench.check_counters(punts=True)

    return case(run, deep=deep, name=f"traffic_of_all_kinds_with_the_{'faster' if apart > 0 else 'slower'}_tenant")


apart_faster, apart_slower = apart_case(100.0, deep=False), apart_case(-100.0, deep=True)


@case
async def minimum_and_jumbo_frames_back_to_back(dut, rng):
    """At the least gap, both ways at once; the underlay's frames are longer than the tenant's."""
    bench = GatewayBench(dut, apart=100)
    await bench.start()
    longest = PARAMETERS.max_frame_length
    tenant = [tenant_frame(rng, 60) for _ in range(20)]
    underlay = [underlay_frame(rng, 60) for _ in range(20)] + [underlay_frame(rng, length) for length in (1950, 60)]
    assert len(underlay[20]) == longest
    await bench.exchange(tenant, underlay)
    jumbo = [tenant_frame(rng, length) for length in (1946, 1947, 60, 1946, 2000, 2001)]
    await bench.exchange(jumbo, [underlay_frame(rng, 1951), underlay_frame(rng, 1950), underlay_frame_6(rng, 1930)])
    addresses = counter_map(PARAMETERS)
    reasons = ("mtu", "tenant_oversize", "underlay_oversize")
    assert await bench.counters(0, (addresses[reason] for reason in reasons)) == [2, 1, 1]
    assert await bench.gateway_counters("Oversize") == {
        "tenant.etherStatsOversizePkts": 1,
        "underlay.etherStatsOversizePkts": 1,
    }


def wrong_carriers(rng: Random, whole: bytes) -> list[Carrier]:
    """What a line may bring instead of ``whole``: nothing of it may leave."""
    body = whole + fcs(whole)
    return [
        carrier(whole[:59]),
        carrier(whole[:20], spoil=1),
        Carrier(HEAD + rng.randbytes(3)),
        carrier(whole, spoil=1 << rng.randrange(32)),
        carrier(whole, errors=[rng.randrange(len(whole))]),
        cut(carrier(whole), 8 + rng.randrange(14, len(whole))),
        Carrier(whole[20:60]),  # the carrier comes back within a frame
        Carrier(bytes([PREAMBLE] * 7 + [DELIMITER ^ 0x80]) + body),
        Carrier(bytes([PREAMBLE] * 12)),
        carrier(whole, preamble=7, errors=[-3]),
        carrier(whole + bytes(2001)),
    ]


@case
async def what_the_lines_bring_wrong_is_dropped_and_counted(dut, rng):
    """Runts, wrong FCS and preambles, errors, carriers that drop in mid-frame; between good frames, on both lines."""
    bench = GatewayBench(dut, apart=-100)
    await bench.start()

    def between(make) -> list[bytes | Carrier]:
        wrong = wrong_carriers(rng, make(rng, 100))
        return [
            one for bad in wrong for one in (bad, carrier(make(rng, rng.randint(60, 90)), preamble=rng.randint(1, 9)))
        ]

    sent = await bench.exchange(between(tenant_frame), between(underlay_frame), gaps=(80, 12))
    assert [len(frames) for frames in sent.values()] == [11, 11]
    await bench.check_counters(core=full())


@case(deep=True)
async def floods_take_all_their_tunnels(dut, rng):
    bench = GatewayBench(dut)
    await bench.start()
    frames = [
        inner_tcp4(b"\xff" * 6, random_mac(rng), payload=rng.randbytes(40), tags=[(0x8100, vlan)])
        for vlan in (10, 30, 10, 30)
    ]
    sent = await bench.exchange([*frames, tenant_frame(rng, 99, HOST_B), tenant_frame(rng, 99, HOST_C)], gaps=(300, 12))
    assert len(sent["underlay"]) == 2 * 2 + 2 + 2
    assert bench.counts["local.unresolved"] == 0
    await bench.check_counters()
