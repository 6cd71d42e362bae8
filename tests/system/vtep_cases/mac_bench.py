"""The bench around a MAC that sends back what it receives: cocotbext-eth's models on its line, and what it says.

Of cocotbext-eth 0.1.28 one has to know: `GmiiSink` forgets the first clock of each frame (see `MacBench.head`), and
`XgmiiSink` dates a frame that begins in lane 4 behind more than a word of idles too late.
"""

import json
import logging
import os
from collections.abc import Sequence
from types import SimpleNamespace

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge, SimTimeoutError, Timer, with_timeout
from cocotbext.eth import GmiiPhy, RgmiiPhy, XgmiiSink, XgmiiSource

from .lines import NS, SPEEDS, even, gmii_frame, lanes, xgmii_frame
from .mac_carriers import HEAD, Carrier, Outcome, outcome
from .mac_designs import MacBuild

__all__ = ["MacBench", "this_build"]

MBPS = {"gmii": 1000, "rgmii": 1000, "xgmii": 10_000}
MIN_GAP = {"gmii": 12, "rgmii": 12, "xgmii": 9}

SYNC_PERIOD = {"gmii": 10.6, "rgmii": 21.0, "xgmii": 6.2}
"""Nanoseconds: enough for the line, and in no relation to its clocks."""

FIELDS = ("length", "fcs_error", "too_short", "too_long", "multicast", "broadcast", "dropped")


def this_build() -> MacBuild:
    """The build that is simulated."""
    return MacBuild(**json.loads(os.environ["VTEP_MAC"]))


class MacBench:
    """Models of the line, clocks, and what the MAC told.

    Parameters
    ----------
    dut : cocotb handle
        A top module of `mac_designs`.
    apart : float
        By how many parts in a million the clock that the MAC transmits with is slower than the one it receives with.
    """

    def __init__(self, dut, *, apart: float = 0.0):
        logging.getLogger("cocotb").setLevel(logging.WARNING)  # of a frame, cocotbext-eth logs every byte
        self.dut = dut
        self.build = build = this_build()
        self.design = dut.mac if build.line == "rgmii" else dut
        self.speed = MBPS[build.line]
        self._slower = 1 + apart / 1e6
        if build.line == "gmii":
            dut.speed.value = SPEEDS[self.speed].value
            sent = (getattr(dut, f"transmit__{name}") for name in ("txd", "tx_er", "tx_en"))
            received = (getattr(dut, f"receive__{name}") for name in ("rxd", "rx_er", "rx_dv"))
            self.phy = GmiiPhy(*sent, dut.mii_tx_clk, dut.tx_clk, *received, dut.rx_clk)
        elif build.line == "rgmii":
            dut.speed.value = SPEEDS[self.speed].value
            self.phy = RgmiiPhy(dut.txd, dut.tx_ctl, dut.txc, dut.rxd, dut.rx_ctl, dut.rxc)
        else:
            self.phy = SimpleNamespace(
                rx=XgmiiSource(dut.xgmii_rx__rxd, dut.xgmii_rx__rxc, dut.rx_clk),
                tx=XgmiiSink(dut.xgmii_tx__txd, dut.xgmii_tx__txc, dut.tx_clk),
            )
        # A frame takes whole beats of the buffer, which keeps two in reserve.
        beats = 1 << (2 * build.max_frame_length * 8 // build.data_width - 1).bit_length()
        self.room = (beats - 2) * build.data_width // 8
        self.reports: list[dict[str, int]] = []
        self.counts = dict.fromkeys(build.events, 0)

    async def start(self) -> None:
        """Start the clocks, reset everything, and wait until what an earlier test may have left has gone."""
        dut, line = self.dut, self.build.line
        Clock(dut.sync_clk, even(SYNC_PERIOD[line] * NS), unit="fs").start()
        period = even((6.4 if line == "xgmii" else 8) * NS * self._slower)
        Clock(dut.tx_clk, period, unit="fs").start()
        if line == "xgmii":
            Clock(dut.rx_clk, even(6.4 * NS), unit="fs").start()
        if line == "rgmii":
            cocotb.start_soon(self._late_clock(period))
        for domain in ("sync", "rx", "tx"):
            getattr(dut, f"{domain}_rst").value = 1
        await Timer(200, "ns")
        for domain in ("sync", "rx", "tx"):
            getattr(dut, f"{domain}_rst").value = 0
        await Timer(2000, "ns")
        while not self.phy.tx.empty():
            self.phy.tx.recv_nowait()
            await Timer(even(2 * self.build.max_frame_length * self.byte), "fs")
        cocotb.start_soon(self._watch_reports())
        for name in self.counts:
            cocotb.start_soon(self._watch(name))

    def clock(self, domain: str):
        """The clock of a domain."""
        if domain == "rx" and self.build.line == "rgmii":
            return self.dut.rxc
        if domain == "tx" and self._by_phy:
            return self.dut.mii_tx_clk
        return getattr(self.dut, f"{domain}_clk")

    @property
    def _by_phy(self) -> bool:
        """The MAC transmits by a clock of the PHY's."""
        return self.build.line == "gmii" and self.speed < 1000

    @property
    def head(self) -> bytes:
        """What the model of the line keeps of preamble and delimiter: of a GMII, all but the first byte or nibble."""
        return HEAD[1:] if self.build.line == "gmii" and self.speed == 1000 else HEAD

    async def _late_clock(self, period: int) -> None:
        """The clock that RGMII's TXC is made with: 2 ns behind the one of the data."""
        await RisingEdge(self.dut.tx_clk)
        await Timer(2 * NS, "fs")
        Clock(self.dut.tx_clk_late, period, unit="fs").start()

    async def _watch_reports(self) -> None:
        while True:
            await RisingEdge(self.design.received)
            self.reports.append({name: int(getattr(self.design, f"reception_{name}").value) for name in FIELDS})

    async def _watch(self, name: str) -> None:
        domain = {"false_carrier": "rx", "lost": "sync"}.get(name, "tx")
        signal, clock = getattr(self.design, name), self.clock(domain)
        while True:
            await RisingEdge(signal)
            while signal.value:
                self.counts[name] += 1
                await RisingEdge(clock)
                await ReadOnly()

    @property
    def byte(self) -> float:
        """Femtoseconds of a byte on the line, as the MAC transmits."""
        return 8_000 * NS / self.speed * (1 if self._by_phy else self._slower)

    async def set_speed(self, speed: int) -> None:
        """Let PHY and MAC go on at ``speed`` in Mb/s."""
        self.phy.set_speed(speed * 1e6)
        self.dut.speed.value = SPEEDS[speed].value
        self.speed = speed
        await Timer(round(20 * self.byte), "fs")

    def outcomes(self, carriers: Sequence[Carrier]) -> list[Outcome | None]:
        """What has to become of ``carriers``."""
        columns = self.build.line == "xgmii"
        longest, room = self.build.max_frame_length, self.room
        if columns:
            carriers = [Carrier(bytes(lanes(carrier)), carrier.errors) for carrier in carriers]
        return [outcome(carrier, longest, room, columns=columns) for carrier in carriers]

    def send(self, carriers: Sequence[Carrier]) -> None:
        """Let the line bring ``carriers``, one behind the other."""
        frame_of = xgmii_frame if self.build.line == "xgmii" else gmii_frame
        for carrier in carriers:
            self.phy.rx.send_nowait(frame_of(carrier))

    async def exchange(self, carriers: Sequence[Carrier], *, gap: int = 12) -> list[int]:
        """Send ``carriers`` with ``gap`` bytes between them, hold all that comes of it; return the gaps behind them."""
        self.phy.rx.ifg = gap * (2 if self.speed < 1000 else 1)  # nibbles there
        self.reports.clear()
        self.counts = dict.fromkeys(self.counts, 0)
        outcomes = self.outcomes(carriers)
        frames = [entry for entry in outcomes if entry]
        leaving = [entry for entry in frames if entry.wire]
        wires = [entry.wire for entry in leaving]
        self.send(carriers)
        got, gaps = await self.collect(len(wires))
        for number, (content, wire) in enumerate(zip(got, wires, strict=False)):
            assert content == wire, f"frame {number} is {content.hex()} instead of {wire.hex()}"
        assert len(got) == len(wires), f"{len(got)} frames of {len(wires)} came back"
        for number, (report, entry) in enumerate(zip(self.reports, frames, strict=True)):
            assert report == entry.report, f"of frame {number}"
        wanted = {"sent": sum(not entry.marked for entry in leaving), "false_carrier": outcomes.count(None)}
        assert self.counts == dict.fromkeys(self.counts, 0) | wanted
        return gaps

    async def collect(self, most: int) -> tuple[list[bytes], list[int]]:
        """Frames that come back, FCS included, until there are ``most`` and the line stays idle; and their gaps."""
        frames, gaps, end = [], [], None
        while True:
            patience = self.build.max_frame_length * 3 + 1000 if len(frames) < most else 200
            while not self.phy.rx.idle():
                await Timer(round(100 * self.byte), "fs")
            try:
                frame = await with_timeout(self.phy.tx.recv(), round(patience * self.byte), "fs")
            except SimTimeoutError:
                return frames, gaps
            assert frame.data[: len(self.head)] == self.head, f"preamble: {frame.data.hex()}"
            assert not (frame.ctrl if self.build.line == "xgmii" else frame.error), "an error within a frame"
            if end is not None:
                gaps.append(round((frame.sim_time_start - end) / self.byte))
                assert gaps[-1] >= MIN_GAP[self.build.line]
            end = frame.sim_time_end
            frames.append(bytes(frame.data[len(self.head) :]))

    async def all_that_comes(self) -> list[bytes]:
        """What is there behind a start frame delimiter, of whole frames and of others, until the line stays idle."""
        while not self.phy.rx.idle():
            await Timer(round(100 * self.byte), "fs")
        await Timer(round(3000 * self.byte), "fs")
        contents = []
        while not self.phy.tx.empty():
            frame = self.phy.tx.recv_nowait()
            data = bytes(frame.data)
            if self.build.line == "xgmii" and frame.ctrl:
                data = data[:-1]  # the character that ended the frame instead of a terminate character
            assert data.startswith(self.head[: len(data)]), f"preamble: {data.hex()}"
            contents.append(data[len(self.head) :])
        return contents

    async def reset(self, domain: str) -> None:
        """Reset one of the three domains for some of its clocks."""
        signal, clock = getattr(self.dut, f"{domain}_rst"), self.clock(domain)
        if domain == "sync":  # where a frame is gone in no time
            await RisingEdge(self.design.turning)
            await RisingEdge(clock)
        await FallingEdge(clock)
        signal.value = 1
        for _ in range(3):
            await FallingEdge(clock)
        signal.value = 0
