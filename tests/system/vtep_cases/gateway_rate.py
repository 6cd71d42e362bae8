"""A gigabit both ways at once: no frame is lost, and the underlay's line never waits for one."""

from itertools import pairwise

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from .cases import case
from .configs import OWN_IPV4, OWN_MAC
from .gateway_bench import LINE_OVERHEAD, MIN_GAP, GatewayBench
from .gateway_traffic import tenant_frame, underlay_frame

ADDED = 50
"""Bytes that encapsulation in IPv4 adds."""

BRIEF, ALL = (60, 256, 1514), (60, 61, 62, 63, 64, 65, 97, 128, 256, 512, 1024, 1280, 1514, 1946)
VOLUME = 8000
"""Bytes at each size."""


def rate_case(lengths, *, deep: bool):
    async def run(dut, rng):
        """The tenant's line brings what the underlay's can take, and some frames at once at the beginning.

        So there always is one waiting, and the gap has to be the least. The underlay's line brings all it can.
        """
        bench = GatewayBench(dut)
        await bench.start()
        for length in lengths:
            count = max(6, VOLUME // length)
            # One frame more than is sent at a time, so that the next one is there when that has left.
            ahead = [tenant_frame(rng, length) for _ in range(1 + max(2, 600 // length))]
            underlay = [underlay_frame(rng, length) for _ in range(count)]
            tenant = [tenant_frame(rng, length) for _ in range(count)]
            sent = await bench.exchange([*ahead, *tenant], underlay, gaps=(MIN_GAP + ADDED, MIN_GAP), hurry=len(ahead))
            assert (len(sent["tenant"]), len(sent["underlay"])) == (len(underlay), len(ahead) + len(tenant))
            frames = sent["underlay"]
            gaps = [bench.gap(before, after) for before, after in pairwise(frames)]
            assert set(gaps[len(ahead) :]) == {MIN_GAP}, f"{length} bytes: gaps {gaps}"
            used = sum(len(frame.data) + LINE_OVERHEAD for frame in frames[1:])
            share = used * bench.byte / (frames[-1].end - frames[0].end)
            dut._log.warning("%d bytes: %.2f %% of the underlay's line", length, 100 * share)
            assert share > 0.99
        if deep:
            await bench.check_counters()
        assert await bench.gateway_counters("DropEvents") == await bench.gateway_counters("XmitError") == {}

    return case(run, deep=deep, name="any_size_fills_the_lines" if deep else "three_sizes_fill_the_lines")


three_sizes, all_sizes = rate_case(BRIEF, deep=False), rate_case(ALL, deep=True)


@case
async def frames_for_the_local_stack_hold_up_no_others(dut, rng):
    """The stack looks at every byte of a ping to find its checksum wrong, and takes longer than they come."""
    bench = GatewayBench(dut)
    await bench.start()
    count = 40
    ping = ICMP(id=1, seq=1, chksum=0xDEAD) / Raw(rng.randbytes(400))
    punted = bytes(Ether(dst=OWN_MAC, src="02:00:00:00:00:77") / IP(src="10.0.0.77", dst=OWN_IPV4) / ping)
    carried = [underlay_frame(rng, 60) for _ in range(count)]
    sent = await bench.exchange(underlay=[frame for one in carried for frame in (punted, one)], quiet=300)
    assert len(sent["tenant"]) == count
    got = await bench.gateway_counters("local.")
    assert got["local.checksum"] + got["local.no_room"] == count
    assert got["local.no_room"] > count // 4
    assert await bench.gateway_counters("DropEvents") == {}
