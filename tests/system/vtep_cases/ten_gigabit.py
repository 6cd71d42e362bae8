"""A core between two XGMIIs: 10 Gb/s both ways, every frame as the golden model has it."""

import logging
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from types import SimpleNamespace

from cocotb.clock import Clock
from cocotb.triggers import Timer
from cocotbext.eth import XgmiiSink, XgmiiSource

from vtep_sim.cocotb.scoreboard import Outputs, compare_frames
from vtep_sim.golden import Frame, GoldenModel

from .cases import case
from .gateway_bench import LINE_OVERHEAD, Sent, padded
from .gateway_rate import ADDED
from .gateway_traffic import tenant_frame, underlay_frame, underlay_frame_6
from .lines import NS, even, until_quiet, xgmii_frame
from .mac_carriers import Carrier, carrier, outcome
from .mac_xgmii import deficits
from .ten_gigabit_design import CONFIG, DOMAINS, PARAMETERS, PORTS

CORE, LINE = 6.2, 6.4
BYTE = LINE / 8 * NS

MTU = CONFIG.vtep.underlay_mtu
LONGEST = PARAMETERS.max_frame_length


class TenGigabitBench:
    """Lines, clocks and the golden model; ``apart``: parts in a million by which clocks in are faster than out."""

    def __init__(self, dut, *, apart: float = 0.0) -> None:
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        self.dut, self.faster = dut, 1 + apart / 1e6
        self.model = GoldenModel(CONFIG, max_frame_length=LONGEST)
        self.lines = {}
        for port in PORTS:
            into = (getattr(dut, name) for name in (f"{port}_in__rxd", f"{port}_in__rxc", f"rx_{port}_clk"))
            out = (getattr(dut, name) for name in (f"{port}_out__txd", f"{port}_out__txc", f"tx_{port}_clk"))
            self.lines[port] = SimpleNamespace(rx=XgmiiSource(*into), tx=XgmiiSink(*out))

    async def start(self) -> None:
        """Start the clocks, and reset everything twice, as a frame of an earlier test may wait."""
        for domain in DOMAINS:
            period = {"sy": CORE, "tx": LINE, "rx": LINE / self.faster}[domain[:2]]
            Clock(getattr(self.dut, f"{domain}_clk"), even(period * NS), unit="fs").start()
        for _ in range(2):
            for domain in DOMAINS:
                getattr(self.dut, f"{domain}_rst").value = 1
            await Timer(200, "ns")
            for domain in DOMAINS:
                getattr(self.dut, f"{domain}_rst").value = 0
            await Timer(10, "us")
        for line in self.lines.values():
            line.tx.clear()

    async def exchange(
        self, tenant: Sequence[bytes | Carrier] = (), underlay: Sequence[bytes | Carrier] = (), *, gap: int = 12
    ) -> dict[str, list[int]]:
        """Bring frames to both lines at once, the tenant's ``gap`` bytes apart, and compare what leaves.

        Returns the gaps between frames that left, by port.
        """
        frames: dict[str, list[Frame]] = {}
        for port, content, least in (("tenant", tenant, gap), ("underlay", underlay, 12)):
            line = self.lines[port]
            line.rx.ifg = least
            carriers = [one if isinstance(one, Carrier) else carrier(one) for one in content]
            for one in carriers:
                line.rx.send_nowait(xgmii_frame(one))
            outcomes = [outcome(one, LONGEST, 1 << 15, columns=True) for one in carriers]
            frames[port] = [Frame(one.body, one.marked) for one in outcomes if one is not None]
        prediction = self.model.run(frames["tenant"], frames["underlay"], [])
        prediction.host.clear()
        for name in ("tenant", "underlay_encap"):
            setattr(prediction, name, [Frame(padded(one.data)) for one in getattr(prediction, name)])
        # A frame of 9,600 bytes is stored three times on its way, for 8 us each.
        await until_quiet(self.lines.values(), 50)
        sent = {port: self._sent(port) for port in PORTS}
        outputs = Outputs(*([Frame(one.data) for one in sent[port]] for port in PORTS), [])
        differences = compare_frames(outputs, prediction, encap_cut_through=False, decap_cut_through=False)
        assert not differences, "\n".join(differences)
        return {
            port: [round((after.start - before.end) / BYTE) for before, after in pairwise(found)]
            for port, found in sent.items()
        }

    def _sent(self, port: str) -> list[Sent]:
        """What left so far."""
        line = self.lines[port].tx
        return [Sent(line.recv_nowait()) for _ in range(line.count())]


def bad(rng: Random, whole: bytes) -> list[Carrier]:
    return [
        carrier(whole, spoil=1 << rng.randrange(32)),
        carrier(whole[:59]),
        carrier(whole, errors=[rng.randrange(len(whole))]),
        carrier(rng.randbytes(LONGEST + 1)),
    ]


def mixed_case(apart: float):
    async def run(dut, rng):
        """Frames of all lengths, good and bad ones; from a byte over the MTU and over the longest frame, dropped."""
        bench = TenGigabitBench(dut, apart=apart)
        await bench.start()
        lengths = [*range(60, 77), 1514, MTU + 14 - ADDED, MTU + 15 - ADDED, LONGEST, 60]
        tenant = [tenant_frame(rng, length) for length in lengths] + bad(rng, tenant_frame(rng, 300))
        underlay = [underlay_frame(rng, length) for length in (*range(60, 77), LONGEST - ADDED, LONGEST - ADDED + 1)]
        underlay += [underlay_frame_6(rng, length) for length in range(60, 70)] + bad(rng, underlay_frame(rng, 200))
        for frames in (tenant, underlay):
            rng.shuffle(frames)
        await bench.exchange(tenant, underlay, gap=200)

    return case(run, name=f"frames_of_all_kinds_{apart:+.0f}_ppm")


faster, slower = mixed_case(100), mixed_case(-100)


@case
async def both_lines_are_full(dut, rng):
    """The underlay's line in and out, of which the tenant's frames bring as much as it takes; no frame is lost."""
    for length in (60, 61, 65, 128, 300, 1514):
        bench = TenGigabitBench(dut)
        await bench.start()
        count = max(30, 6000 // length)
        # Some more than it takes, so that soon one always waits.
        gap = 12 + ADDED - (ADDED * 4 // (length + LINE_OVERHEAD) + 2)
        tenant, underlay = ([make(rng, length) for _ in range(count)] for make in (tenant_frame, underlay_frame))
        gaps = await bench.exchange(tenant, underlay, gap=gap)
        assert [len(found) for found in gaps.values()] == [count - 1] * 2
        short, more = deficits(gaps["underlay"][count // 2 :])
        assert max(short, more) <= 3, f"{length} bytes: gaps {gaps['underlay']}"
