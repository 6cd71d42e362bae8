"""A gigabit both ways at once: no frame is lost, and the underlay's line never waits for one."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from .cases import case
from .configs import OWN_IPV4, OWN_MAC
from .gateway_bench import LINE_OVERHEAD, MIN_GAP, GatewayBench, Sent
from .gateway_traffic import tenant_frame, underlay_frame

ADDED = 50
"""Bytes that encapsulation in IPv4 adds."""

BRIEF, ALL = (60, 256, 1514), (60, 61, 62, 63, 64, 65, 97, 128, 256, 512, 1024, 1280, 1514, 1946)
VOLUME = 8000
"""Bytes at each size."""

LINE_USE = Path("line_use.json")
"""Where the case of all sizes leaves what it measured, in the folder that it runs in."""


def used(bench: GatewayBench, frames: Sequence[Sent]) -> float:
    """Share of the line, of the time between the ends of the first and the last frame."""
    taken = sum(len(frame.data) + LINE_OVERHEAD for frame in frames[1:])
    return taken * bench.byte / (frames[-1].end - frames[0].end)


def rate_case(lengths, *, deep: bool):
    async def run(dut, rng):
        """The tenant's line brings what the underlay's can take, and some frames at once at the beginning.

        So there always is one waiting, and the gap has to be the least. The underlay's line brings all it can.
        """
        bench = GatewayBench(dut)
        await bench.start()
        shares = []
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
            # The tenant's frames are shorter than those that bring them.
            most = (length + LINE_OVERHEAD) / (length + ADDED + LINE_OVERHEAD)
            share = {
                "bytes": length,
                "underlay": used(bench, frames),
                "tenant": used(bench, sent["tenant"]),
                "tenant_most": most,
            }
            dut._log.warning("%s", share)
            assert share["underlay"] > 0.99
            assert share["tenant"] > 0.99 * most
            shares.append(share)
        if deep:
            await bench.check_counters()
            LINE_USE.write_text(json.dumps(shares, indent=1) + "\n")
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
