"""The protocol monitor alone: it counts each kind of violation, and nothing on a stream that keeps the rules."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge


class Stream:
    """The monitor's ports, one clock at a time."""

    def __init__(self, dut):
        self.dut = dut
        self.lanes = len(dut.tkeep)
        self.full = (1 << self.lanes) - 1
        self.idle = {"tvalid": 0, "tready": 0, "tdata": 0, "tkeep": self.full, "tlast": 0, "tuser": 0}
        Clock(dut.clk, 10, unit="ns").start()

    async def reset(self):
        self.dut.rst.value = 1
        await self.clock()
        await self.clock()
        self.dut.rst.value = 0

    async def clock(self, **values):
        for name, value in (self.idle | values).items():
            getattr(self.dut, name).value = value
        await RisingEdge(self.dut.clk)

    async def counts(self) -> tuple[int, int]:
        await self.clock()
        await self.clock()
        return int(self.dut.unstable.value), int(self.dut.ragged.value)


BEAT = {"tvalid": 1, "tready": 1, "tdata": 5}
STALL = {"tvalid": 1, "tready": 0, "tdata": 5}


@cocotb.test
async def a_stream_that_keeps_the_rules_counts_nothing(dut):
    s = Stream(dut)
    await s.reset()
    before = await s.counts()
    await s.clock(tready=1, tdata=9)
    await s.clock(**STALL)
    await s.clock(**STALL)
    await s.clock(**BEAT)
    await s.clock(**BEAT | {"tdata": 7})
    for n in range(1, s.lanes + 1):
        await s.clock(**BEAT | {"tlast": 1, "tkeep": (1 << n) - 1})
    # What is not valid may do as it likes.
    await s.clock(tkeep=0, tdata=3)
    await s.clock(tkeep=0, tdata=4, tready=1)
    # Nor does a reset have to wait for a beat.
    await s.clock(**STALL)
    await s.reset()
    assert await s.counts() == before
    await s.clock(**BEAT)
    assert dut.midframe.value == 0
    await s.clock()
    assert dut.midframe.value == 1
    await s.clock(**BEAT | {"tlast": 1})
    await s.clock()
    assert dut.midframe.value == 0


@cocotb.test
async def every_change_of_a_stalled_beat_is_counted(dut):
    s = Stream(dut)
    await s.reset()
    for change in ({"tvalid": 0}, {"tdata": 4}, {"tlast": 1}, {"tuser": 1}, {"tkeep": 1, "tlast": 1}):
        if s.lanes == 1 and "tkeep" in change:
            continue
        for ready in (0, 1):
            unstable, _ = await s.counts()
            await s.clock(**STALL)
            await s.clock(**STALL | change | {"tready": ready})
            if ready == 0 and change.get("tvalid", 1):
                await s.clock(**STALL | change | {"tready": 1})
            assert (await s.counts())[0] == unstable + 1, change


@cocotb.test
async def valid_under_reset_is_counted(dut):
    s = Stream(dut)
    await s.reset()
    unstable, _ = await s.counts()
    dut.rst.value = 1
    await s.clock(**STALL)
    await s.clock(**STALL)
    await s.clock()
    dut.rst.value = 0
    assert (await s.counts())[0] == unstable + 1


@cocotb.test
async def every_wrong_keep_is_counted(dut):
    s = Stream(dut)
    await s.reset()
    wrong = [(0, 0), (0, 1)]
    if s.lanes > 1:
        wrong += [(1, 0), (s.full >> 1, 0), (s.full & ~1, 0), (s.full & ~1, 1), (1 << s.lanes - 1, 1)]
    if s.lanes > 2:
        wrong += [(s.full & ~2, 0), (s.full & ~2, 1), (5, 1), (s.full ^ (1 << s.lanes - 2), 1)]
    for keep, last in wrong:
        _, ragged = await s.counts()
        await s.clock(**BEAT | {"tkeep": keep, "tlast": last})
        assert (await s.counts())[1] == ragged + 1, (keep, last)
