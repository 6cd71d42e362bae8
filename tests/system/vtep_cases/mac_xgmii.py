"""The MAC behind XGMII: every good frame comes back once, unaltered and in order, every bad one is marked."""

import itertools
from random import Random

from cocotb.triggers import Timer
from cocotbext.eth import XgmiiFrame

from .cases import case
from .mac_bench import MacBench
from .mac_carriers import HEAD, Carrier, carrier, fcs, scapy_frame
from .mac_gigabit import between, goods, reset_case

LOCAL_FAULT, REMOTE_FAULT = 0x000001, 0x000002  # ordered sets of table 46-5
IDLE = 0x07


def deficits(gaps: list[int]) -> tuple[int, int]:
    """How much the sum of gaps is short of 12 bytes each at most, and how much more it is."""
    sums = [0, *itertools.accumulate(gap - 12 for gap in gaps)]
    return max(a - b for a, b in itertools.combinations(sums, 2)), max(
        b - a for a, b in itertools.combinations(sums, 2)
    )


@case
async def frames_of_all_lengths(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    lengths = [*range(60, 77), 1514, 9600, 9599, 60, *(rng.randint(60, 300) for _ in range(20))]
    await bench.exchange([carrier(scapy_frame(rng, length)) for length in lengths])


@case
async def frames_of_any_length_fill_the_line(dut, rng):
    """With a slow clock on the way out there soon is always a frame waiting: the gap is 12 bytes in the mean."""
    bench = MacBench(dut, apart=20_000)
    await bench.start()
    for lengths in ([60] * 50, [61] * 50, [rng.randint(60, 70) for _ in range(80)]):
        gaps = await bench.exchange([carrier(scapy_frame(rng, length)) for length in lengths])
        short, more = deficits(gaps[30:])
        assert short <= 3
        assert more <= 3


@case
async def the_clock_out_is_the_faster_one(dut, rng):
    bench = MacBench(dut, apart=-200)
    await bench.start()
    gaps = await bench.exchange([carrier(scapy_frame(rng, rng.randint(60, 80))) for _ in range(100)])
    assert deficits(gaps)[0] <= 3


@case
async def frames_begin_in_lane_4(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    bench.phy.rx.force_offset_start = True
    await bench.exchange([carrier(scapy_frame(rng, length)) for length in range(60, 72)])


@case
async def frames_that_are_too_short(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    wrong = [carrier(rng.randbytes(length), spoil=spoil) for length in (*range(1, 12), 58, 59) for spoil in (0, 1 << 9)]
    wrong += [Carrier(HEAD + rng.randbytes(length)) for length in (1, 2, 3, 4)]
    await bench.exchange(between(rng, wrong))


@case
async def frames_that_are_too_long(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    longest = bench.build.max_frame_length
    over = (longest, longest + 1, longest + 4, bench.room + 100)
    await bench.exchange(between(rng, [carrier(scapy_frame(rng, length)) for length in over]))


@case
async def a_wrong_fcs(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    lengths = range(60, 68)
    await bench.exchange(
        between(rng, [carrier(scapy_frame(rng, length), spoil=1 << rng.randrange(32)) for length in lengths])
    )


@case
async def an_error_of_the_phy_within_a_frame(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    frame = scapy_frame(rng, 70)
    await bench.exchange(between(rng, [carrier(frame, errors=[place]) for place in (*range(9), 35, 69, 70, 73)]))


@case
async def starts_that_begin_no_frame(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    frame = scapy_frame(rng, 60)
    body = frame + fcs(frame)
    wrong = [carrier(frame, preamble=count) for count in (1, 2, 3, 6, 8, 11, 15)]
    wrong += [Carrier(HEAD), Carrier(HEAD[:1]), Carrier(HEAD[:5])]
    wrong += [Carrier(HEAD + body, errors=(place,)) for place in range(1, 8)]
    wrong += [Carrier(HEAD[:place] + b"\x57" + HEAD[place + 1 :] + body) for place in range(1, 8)]
    await bench.exchange(between(rng, wrong))


@case
async def the_carrier_drops_within_a_frame(dut, rng):
    """Idles come before the end: what was there so far is a bad frame, and what comes behind is none."""
    bench = MacBench(dut)
    await bench.start()
    wires, reports = [], []
    for place in (*range(9, 20), 70, 71):
        cut = carrier(scapy_frame(rng, 60))
        lanes = [*cut.content[:place], IDLE, *cut.content[place:]]
        bench.phy.rx.send_nowait(XgmiiFrame(lanes, [int(number == place) for number in range(len(lanes))]))
        good = goods(rng, 1, 100)
        bench.send(good)
        outcomes = bench.outcomes([Carrier(cut.content[:place], (place,)), *good])
        wires += [entry.wire for entry in outcomes]
        reports += [entry.report for entry in outcomes]
    got, _ = await bench.collect(len(wires))
    assert got == wires
    assert bench.reports == reports


@case
async def frames_come_with_the_least_gap(dut, rng):
    """That is 5 bytes where a MAC receives (clause 46.2.1)."""
    bench = MacBench(dut)
    await bench.start()
    for gap in (5, 8):
        await bench.exchange(goods(rng, 20, 100), gap=gap)


@case
async def anything_at_random(dut, rng):
    bench = MacBench(dut, apart=rng.choice((-200, 0, 200)))
    await bench.start()
    await bench.exchange([random_carrier(rng) for _ in range(120)], gap=rng.choice((12, 12, 6)))


def random_carrier(rng: Random) -> Carrier:
    frame = scapy_frame(rng, rng.randint(60, 200)) if rng.random() < 0.8 else rng.randbytes(rng.randint(1, 59))
    return carrier(
        frame,
        preamble=rng.choice((7, 7, 7, 7, 7, rng.randrange(1, 12))),
        spoil=rng.choice((0, 0, 0, 0, 1 << rng.randrange(32))),
        errors=rng.choice(((), (), (), (), (rng.randrange(len(frame) + 4),))),
    )


@case
async def faults_of_the_link(dut, rng):
    """A local fault is answered with remote fault, a remote one with idles; frames go on when it has ended."""
    bench = MacBench(dut)
    await bench.start()
    source, sink = bench.phy.rx, bench.phy.tx
    for ordered_set, answer, fault in ((LOCAL_FAULT, REMOTE_FAULT, "local"), (REMOTE_FAULT, None, "remote")):
        await bench.exchange(goods(rng, 3, 100))
        source.set_seq_os(ordered_set)
        await Timer(300, "ns")
        assert dut.local_fault.value == (fault == "local")
        assert dut.remote_fault.value == (fault == "remote")
        sink.get_os()
        await Timer(100, "ns")
        assert sink.get_os()[0] == answer
        bench.reports.clear()
        bench.counts = dict.fromkeys(bench.counts, 0)
        bench.send(goods(rng, 5, 100))
        await Timer(1200, "ns")
        assert len(bench.reports) == 5
        assert sink.empty()
        assert (bench.counts["sent"], bench.counts["discarded"]) == (0, 5)
        source.set_seq_os()
        await Timer(900, "ns")
        assert not dut.local_fault.value
        assert not dut.remote_fault.value
        sink.get_os()
        await bench.exchange(goods(rng, 3, 100))
        assert sink.get_os()[0] is None


reset_sync, reset_rx, reset_tx = (reset_case(domain, __name__) for domain in ("sync", "rx", "tx"))
