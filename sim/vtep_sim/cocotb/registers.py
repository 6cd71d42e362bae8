"""The driver of the core's registers in a cocotb bench, at the simulator's speed.

The driver is written as a sequence of reads and writes, each of which would cost cocotb some clocks of its own. So it
is run twice: first on a recorder, which notes the accesses and answers as an idle device would, then on what the
AXI4-Lite master of the bench (``vtep_bench.v``) got for them. A read of a busy bit is noted as waiting for it to be
clear.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cocotb.triggers import ClockCycles, FallingEdge, First, RisingEdge

from vtep.config import VtepParameters
from vtep.control.registers import vtep_registers
from vtep_host.device import Device
from vtep_host.transport import AccessRefusedError

from ..harness.library import READ, WAIT_CLEAR, WRITE

__all__ = ["RegisterPort"]

BUSY = {"STATUS": "counters_busy", "TABLE_STATUS": "busy", "COUNTER_STATUS": "busy"}
TIMEOUT = 1_000_000

T = TypeVar("T")


class _Script:
    """A transport: notes accesses, and in a second run gives the answers to the same ones."""

    def __init__(self, parameters: VtepParameters) -> None:
        registers = vtep_registers(parameters)
        self._resets = {address: one.reset for address, one, _ in registers.words()}
        self._busy = {registers[name].address: registers[name][bit].mask for name, bit in BUSY.items()}
        self.accesses: list[tuple[int, int, int]] = []
        self.answers: list[tuple[int, int]] | None = None
        self._next = 0

    def play(self, answers: list[tuple[int, int]]) -> None:
        """Begin the second run."""
        assert len(answers) == len(self.accesses), f"{len(self.accesses)} accesses, {len(answers)} answers"
        self.answers = answers

    def read(self, address: int) -> int:
        if address in self._busy:
            return self._access(WAIT_CLEAR, address, self._busy[address], 0)
        return self._access(READ, address, 0, self._resets.get(address, 0))

    def write(self, address: int, value: int) -> None:
        self._access(WRITE, address, value, 0)

    def _access(self, kind: int, address: int, value: int, expected: int) -> int:
        if self.answers is None:
            self.accesses.append((kind, address, value))
            return expected
        assert self.accesses[self._next] == (kind, address, value), "what the driver does depends on what it reads"
        answer, response = self.answers[self._next]
        self._next += 1
        if response:
            raise AccessRefusedError(f"access of {address:#x}: response {response}")
        return answer


class RegisterPort:
    """Runs what a driver does through ``s_axil`` of the bench."""

    def __init__(self, dut, parameters: VtepParameters) -> None:
        self.dut = dut
        self.parameters = parameters
        dut.script_run.value = 0
        for name in ("awvalid", "wvalid", "arvalid", "bready", "rready"):
            getattr(dut, f"s_axil_{name}").value = 0

    async def run(self, action: Callable[[Device], T]) -> T:
        """Return what ``action`` does with the device; its accesses must not depend on what it reads.

        Raises
        ------
        AssertionError
            They do, or the core does not answer.
        TransportError, DeviceError
            As the driver.
        """
        script = _Script(self.parameters)
        action(Device(script, expected=self.parameters))
        script.play(await self.access(script.accesses))
        return action(Device(script, expected=self.parameters))

    async def access(self, accesses: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
        """Make the accesses (kind, address, operand) one after the other; value and response of each."""
        # The simulator runs in the build's folder.
        text = "".join(f"{kind:x} {address:x} {value:x}\n" for kind, address, value in accesses)
        Path("script.txt").write_text(text, encoding="ascii")
        self.dut.script_run.value = 1
        await First(RisingEdge(self.dut.script_done), ClockCycles(self.dut.clk, TIMEOUT))
        assert self.dut.script_done.value, f"the registers do not answer within {TIMEOUT} clocks"
        self.dut.script_run.value = 0
        await FallingEdge(self.dut.script_done)
        lines = Path("answers.txt").read_text(encoding="ascii").splitlines()
        return [(int(value, 16), int(response, 16)) for value, response in map(str.split, lines)]
