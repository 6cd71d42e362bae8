"""Drivers of the configuration port and of the counter port: one beat a word, no frames."""

from collections.abc import Iterable, Sequence

from cocotb.triggers import RisingEdge

from .streams import Pauses

__all__ = ["ConfigPort", "CounterPort"]


class ConfigPort:
    """Writes words to ``s_axis_config``; ``pauses`` puts idle clocks between them."""

    def __init__(self, dut, clock, pauses: Pauses | None = None):
        self.dut = dut
        self.clock = clock
        self.pauses = pauses
        dut.s_axis_config_tvalid.value = 0
        dut.s_axis_config_tdata.value = 0

    async def write(self, words: Iterable[int], timeout: int = 2000) -> None:
        """Write ``words`` in order; returns when the last one has been taken.

        Raises
        ------
        AssertionError
            A word was not taken for ``timeout`` clocks.
        """
        dut, edge = self.dut, RisingEdge(self.clock)
        await edge
        for word in words:
            for _ in range(self.pauses.next() if self.pauses else 0):
                await edge
            dut.s_axis_config_tdata.value = word
            dut.s_axis_config_tvalid.value = 1
            await edge
            waited = 0
            while not dut.s_axis_config_tready.value:
                waited += 1
                assert waited < timeout, f"the configuration port takes no word for {timeout} clocks"
                await edge
            dut.s_axis_config_tvalid.value = 0


class CounterPort:
    """Reads counters: addresses to ``s_axis_counter``, values in order from ``m_axis_counter``."""

    def __init__(self, dut, clock, pauses: Pauses | None = None):
        self.dut = dut
        self.clock = clock
        self.pauses = pauses
        dut.s_axis_counter_tvalid.value = 0
        dut.s_axis_counter_tdata.value = 0
        dut.m_axis_counter_tready.value = 0

    async def read(self, addresses: Sequence[int], timeout: int = 1000) -> list[int]:
        """The values at ``addresses``, requested back to back.

        Raises
        ------
        AssertionError
            No beat moved on either side for ``timeout`` clocks, or a value came that nobody asked for.
        """
        dut, edge = self.dut, RisingEdge(self.clock)
        values: list[int] = []
        asked = 0
        stuck = 0
        requesting = ready = False
        await edge
        while len(values) < len(addresses):
            if not requesting and asked < len(addresses) and not (self.pauses and self.pauses.next()):
                dut.s_axis_counter_tdata.value = addresses[asked]
                requesting = True
            dut.s_axis_counter_tvalid.value = requesting
            ready = not (self.pauses and self.pauses.next())
            dut.m_axis_counter_tready.value = ready
            await edge
            stuck += 1
            if requesting and dut.s_axis_counter_tready.value:
                asked += 1
                requesting = False
                stuck = 0
            if ready and dut.m_axis_counter_tvalid.value:
                values.append(int(dut.m_axis_counter_tdata.value))
                stuck = 0
                assert len(values) <= asked, "the counter port answered before it was asked"
            assert stuck < timeout, f"counter port hangs: {asked} addresses taken, {len(values)} values given"
        dut.s_axis_counter_tvalid.value = 0
        dut.m_axis_counter_tready.value = 0
        return values
