"""The MAC behind GMII and RGMII: every good frame comes back once, unaltered and in order, every bad one is marked."""

from random import Random

from cocotb.triggers import Timer

from .cases import case
from .mac_bench import MacBench
from .mac_carriers import DELIMITER, PREAMBLE, Carrier, carrier, cut, fcs, scapy_frame


def length(rng: Random, longest: int = 400) -> int:
    return rng.choice((60, 61, 62, 63, 64, 65, rng.randint(60, longest)))


def goods(rng: Random, count: int, longest: int = 400) -> list[Carrier]:
    return [carrier(scapy_frame(rng, length(rng, longest))) for _ in range(count)]


def between(rng: Random, carriers: list[Carrier]) -> list[Carrier]:
    """A good frame behind each carrier: what is wrong with that one must not touch this one."""
    return [one for carrier in carriers for one in (carrier, *goods(rng, 1, 100))]


@case
async def frames_of_all_kinds(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    lengths = [60, 61, 1000, 1514, 1517, 1518, *(rng.randint(60, 300) for _ in range(6))]
    await bench.exchange([carrier(scapy_frame(rng, length)) for length in lengths])


@case
async def minimum_frames_fill_the_line(dut, rng):
    """With a slow clock on the way out, there soon is always a frame waiting: the gap is the least, exactly."""
    bench = MacBench(dut, apart=20_000)
    await bench.start()
    gaps = await bench.exchange([carrier(scapy_frame(rng, 60)) for _ in range(50)])
    assert gaps[20:] == [12] * 29


@case
async def the_clock_out_is_the_slower_one(dut, rng):
    bench = MacBench(dut, apart=200)
    await bench.start()
    await bench.exchange([carrier(scapy_frame(rng, rng.choice((60, 61, 300)))) for _ in range(20)])


@case
async def the_clock_out_is_the_faster_one(dut, rng):
    """Now frames have to be waited for; none is started that is not there."""
    bench = MacBench(dut, apart=-200)
    await bench.start()
    gaps = await bench.exchange([carrier(scapy_frame(rng, rng.choice((60, 300)))) for _ in range(60)])
    assert max(gaps) > 12


@case(deep=True)
async def frames_that_are_too_short(dut, rng):
    """Runts with a right FCS and fragments with a wrong one; of fewer than 5 bytes, only the FCS is looked at."""
    bench = MacBench(dut)
    await bench.start()
    lengths = [*range(1, 8), 30, 58, 59]
    await bench.exchange(
        between(rng, [carrier(rng.randbytes(length), spoil=spoil) for length in lengths for spoil in (0, 1 << 9)])
    )


@case(deep=True)
async def frames_of_less_than_an_fcs(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    head = bytes([PREAMBLE] * 7 + [DELIMITER])
    await bench.exchange(between(rng, [Carrier(head + rng.randbytes(length)) for length in (1, 2, 3, 4)]))


@case(when=lambda build: build.max_frame_length < 2000, deep=True)
async def frames_that_are_too_long(dut, rng):
    """Marked one byte above the limit; dropped whole, and told so, where the buffer ends."""
    bench = MacBench(dut)
    await bench.start()
    longest = bench.build.max_frame_length
    over = (longest, longest + 1, longest + 4, bench.room + 100)
    await bench.exchange(between(rng, [carrier(scapy_frame(rng, length)) for length in over]))


@case(deep=True)
async def a_wrong_fcs(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    bad = [carrier(scapy_frame(rng, length(rng, 90)), spoil=1 << bit) for bit in (0, 7, 8, 15, 16, 24, 31)]
    data = carrier(scapy_frame(rng, 80)).content
    bad += [
        Carrier(data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :])
        for place in (8, 20, 60, 87)
    ]
    await bench.exchange(between(rng, bad))


@case
async def an_error_of_the_phy_within_a_frame(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    frame = scapy_frame(rng, 70)
    await bench.exchange(between(rng, [carrier(frame, errors=[place]) for place in (0, 1, 35, 69, 70, 73)]))


@case(deep=True)
async def preambles_of_other_lengths(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    await bench.exchange([carrier(scapy_frame(rng, 60), preamble=count) for count in (0, 1, 2, 5, 6, 8, 15, 40)])


@case(deep=True)
async def carriers_that_are_no_frame(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    frame = scapy_frame(rng, 60)
    body = frame + fcs(frame)
    pre, start = bytes([PREAMBLE]), bytes([DELIMITER])
    wrong = [
        Carrier(pre * 20),
        Carrier(pre * 7 + start),
        Carrier(pre),
        Carrier(start),
        *(Carrier(pre * 7 + bytes([DELIMITER ^ 1 << bit]) + body) for bit in (0, 4, 7)),
        Carrier(pre * 3 + b"\x57" + pre * 3 + start + body),
        Carrier(b"\x54" + pre * 6 + start + body),
        Carrier(pre * 7 + start + body, errors=(3,)),
        Carrier(pre * 7 + start + body, errors=(7,)),
        # A delimiter within what is none, and a frame behind that.
        Carrier(b"\x00" + pre * 7 + start + body),
        Carrier(b"\x5d" + pre * 7 + start + body),
    ]
    await bench.exchange(between(rng, wrong))


@case
async def the_carrier_drops_within_a_frame(dut, rng):
    """And comes back, without a preamble, a byte or more later: what is behind is no frame."""
    bench = MacBench(dut)
    await bench.start()
    for gap in (1, 12):
        wrong = []
        for place in (1, 7, 8, 9, 12, 13, 40, 70, 71):
            whole = carrier(b"\x02" * 12 + scapy_frame(rng, 60)[12:])
            wrong += [cut(whole, place), Carrier(whole.content[max(place, 20) :]), *goods(rng, 1, 100)]
        await bench.exchange(wrong, gap=gap)


@case(deep=True)
async def frames_come_with_less_than_the_gap(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    for gap in (1, 2, 5, 8):
        await bench.exchange(goods(rng, 8, 100), gap=gap)


@case(when=lambda build: build.max_frame_length >= 9600, deep=True)
async def jumbo_frames(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    await bench.exchange([carrier(scapy_frame(rng, length)) for length in (9600, 60, 9018, 60)])


@case
async def anything_at_random(dut, rng):
    bench = MacBench(dut, apart=rng.choice((-200, 0, 200)))
    await bench.start()
    carriers = []
    for _ in range(50):
        frame = scapy_frame(rng, length(rng, 200)) if rng.random() < 0.8 else rng.randbytes(rng.randint(1, 59))
        whole = carrier(
            frame,
            preamble=rng.choice((7, 7, 7, rng.randrange(12))),
            spoil=rng.choice((0, 0, 0, 0, 1 << rng.randrange(32))),
            errors=rng.choice(((), (), (), (rng.randrange(len(frame) + 4),))),
        )
        carriers.append(cut(whole, rng.randint(1, len(whole.content))) if rng.random() < 0.1 else whole)
    await bench.exchange(carriers, gap=rng.choice((12, 12, 5)))


def reset_case(domain: str, module: str = __name__):
    async def run(dut, rng):
        """Each frame comes back whole, or as what was sent of it, or not at all; and soon all do again."""
        bench = MacBench(dut)
        await bench.start()
        carriers = goods(rng, 50, 120)
        bench.send(carriers)
        for _ in range(4):
            await Timer(round(rng.uniform(100, 900) * bench.byte), "fs")
            await bench.reset(domain)
        got = [frame for frame in await bench.all_that_comes() if frame]
        wires = [entry.wire for entry in bench.outcomes(carriers)]
        whole = [frame for frame in got if frame[-4:] == fcs(frame[:-4])]
        rest = iter(wires)
        assert all(frame in rest for frame in whole), "frames out of order, twice, or altered"
        cut = [frame for frame in got if frame not in whole]
        assert all(any(wire.startswith(frame) for wire in wires) for frame in cut)
        assert len(cut) <= (4 if domain == "tx" else 0)
        assert 0 < len(wires) - len(whole) <= 4 * 3
        assert whole[-10:] == wires[-10:]

    run.__module__ = module  # where the case belongs
    return case(run, deep=module == __name__, name=f"a_reset_of_{domain}_within_frames")


reset_sync, reset_rx, reset_tx = (reset_case(domain) for domain in ("sync", "rx", "tx"))
