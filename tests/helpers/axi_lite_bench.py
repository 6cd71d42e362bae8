"""An AXI4-Lite master on flat ports ``s_axil_*`` in Amaranth's simulator."""

from typing import Any

from vtep.config import VtepParameters
from vtep.control.registers import pack_settings, vtep_registers

TIMEOUT = 1000
OKAY = 0


class AxiLite:
    """Accesses of ``dut``, one at a time; those that fail are an AssertionError."""

    def __init__(self, dut: Any, parameters: VtepParameters) -> None:
        self.dut = dut
        self.map = vtep_registers(parameters)

    def port(self, name: str) -> Any:
        """The signal ``s_axil_NAME``."""
        return getattr(self.dut, f"s_axil_{name}")

    async def write(self, ctx: Any, name: str, value: int, index: int = 0) -> None:
        """Write the register ``name``."""
        ctx.set(self.port("awaddr"), self.map[name].address + 4 * index)
        ctx.set(self.port("wdata"), value)
        ctx.set(self.port("wstrb"), 0b1111)
        ctx.set(self.port("bready"), 1)
        waiting = {"aw", "w"}
        for _ in range(TIMEOUT):
            for channel in ("aw", "w"):
                ctx.set(self.port(f"{channel}valid"), channel in waiting)
            *_, aw, w, b, resp = await ctx.tick().sample(
                self.port("awready"), self.port("wready"), self.port("bvalid"), self.port("bresp")
            )
            waiting -= {channel for channel, ready in (("aw", aw), ("w", w)) if ready}
            if b and not waiting:
                assert resp == OKAY, f"write of {name} refused"
                return
        raise AssertionError(f"no answer within {TIMEOUT} clocks")

    async def read(self, ctx: Any, name: str, index: int = 0) -> int:
        """Read the register ``name``."""
        ctx.set(self.port("araddr"), self.map[name].address + 4 * index)
        ctx.set(self.port("rready"), 1)
        ctx.set(self.port("arvalid"), 1)
        for _ in range(TIMEOUT):
            *_, ar, valid, resp, data = await ctx.tick().sample(
                self.port("arready"), self.port("rvalid"), self.port("rresp"), self.port("rdata")
            )
            if ar:
                ctx.set(self.port("arvalid"), 0)
            if valid:
                assert resp == OKAY, f"read of {name} refused"
                return data
        raise AssertionError(f"no answer within {TIMEOUT} clocks")

    async def wait(self, ctx: Any, name: str, bit: str) -> None:
        """Wait until ``bit`` of the register ``name`` is clear."""
        for _ in range(TIMEOUT):
            if not self.map[name][bit].of(await self.read(ctx, name)):
                return
        raise AssertionError(f"{name}.{bit} stays set")

    async def write_entry(self, ctx: Any, write: dict[str, Any]) -> None:
        """Write an entry, given as the fields of `write_layout`."""
        await self.wait(ctx, "TABLE_STATUS", "busy")
        await self.write(ctx, "TABLE_SELECT", write["table"].value)
        await self.write(ctx, "TABLE_INDEX", write["index"])
        for i in range(self.map["TABLE_DATA"].words):
            await self.write(ctx, "TABLE_DATA", write["entry"] >> 32 * i & 0xFFFFFFFF, i)
        await self.write(ctx, "TABLE_COMMAND", self.map["TABLE_COMMAND"].pack(write=1))

    async def write_settings(self, ctx: Any, settings: dict[str, int]) -> None:
        """Put settings into effect; absent ones are 0."""
        for name, word in pack_settings(self.map, settings).items():
            await self.write(ctx, name, word)
        await self.write(ctx, "CONTROL", self.map["CONTROL"].pack(commit_settings=1))
