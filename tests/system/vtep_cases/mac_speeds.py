"""The MAC behind GMII and RGMII at 100 and 10 Mb/s: a nibble takes a clock of 25 or 2.5 MHz."""

from random import Random

from cocotbext.eth import GmiiFrame

from .cases import case
from .mac_bench import MacBench
from .mac_carriers import DELIMITER, PREAMBLE, Carrier, carrier, cut, fcs, scapy_frame


def mixture(rng: Random) -> list[Carrier]:
    """Of each kind of carrier a few, with good frames in between."""
    good = carrier(scapy_frame(rng, 64))
    frame = scapy_frame(rng, 60)
    wrong = bytes([PREAMBLE] * 7 + [DELIMITER ^ 0x80]) + frame + fcs(frame)
    return [
        good,
        carrier(scapy_frame(rng, 61), preamble=rng.randrange(1, 7)),
        carrier(scapy_frame(rng, 62), spoil=1 << rng.randrange(32)),
        carrier(scapy_frame(rng, 63), errors=[rng.randrange(63)]),
        carrier(scapy_frame(rng, 60)),
        Carrier(wrong),
        carrier(rng.randbytes(rng.randint(5, 59))),
        cut(good, rng.randint(20, len(good.content) - 1)),
        carrier(scapy_frame(rng, 60)),
    ]


def speed_case(speed: int, apart: float):
    async def run(dut, rng):
        bench = MacBench(dut, apart=apart)
        await bench.start()
        await bench.set_speed(speed)
        await bench.exchange(mixture(rng))

    # Behind a GMII, there is one clock of the PHY's both ways.
    return case(
        run,
        deep=apart < 0,
        when=lambda build: apart > 0 or build.line == "rgmii",
        name=f"carriers_of_all_kinds_at_{speed}_{'slower' if apart > 0 else 'faster'}",
    )


at_100_slower, at_100_faster, at_10_slower = (speed_case(*both) for both in ((100, 200), (100, -200), (10, 200)))


@case(when=lambda build: build.line == "rgmii")
async def minimum_frames_fill_the_line_at_100(dut, rng):
    bench = MacBench(dut, apart=20_000)
    await bench.start()
    await bench.set_speed(100)
    gaps = await bench.exchange([carrier(scapy_frame(rng, 60)) for _ in range(15)])
    assert gaps[5:] == [12] * 9


@case
async def a_preamble_short_of_a_nibble(dut, rng):
    """Bytes begin where the delimiter says; a nibble that is over in the end is none of the frame."""
    bench = MacBench(dut)
    await bench.start()
    await bench.set_speed(100)
    carriers = [carrier(scapy_frame(rng, 60 + number)) for number in range(3)]
    for content, _ in carriers:
        whole = [nibble for byte in content for nibble in (byte & 15, byte >> 4)]
        nibbles = [*whole[1:], rng.randrange(16)]
        bench.phy.rx.send_nowait(
            GmiiFrame([low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True)])
        )
    got, _ = await bench.collect(len(carriers))
    assert got == [entry.wire for entry in bench.outcomes(carriers)]


@case
async def the_speed_changes_between_frames(dut, rng):
    bench = MacBench(dut)
    await bench.start()
    for speed in (100, 10, 1000, 100):
        await bench.set_speed(speed)
        await bench.exchange([carrier(scapy_frame(rng, rng.randint(60, 64))) for _ in range(2)])
