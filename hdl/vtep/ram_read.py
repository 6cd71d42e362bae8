"""Registered reads of RAM, for which no tool adds logic."""

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.memory import Memory

__all__ = ["ram_read"]


def ram_read(m: Module, memory: Memory, *, name: str = "read") -> tuple[Value, Any]:
    """Add a read port with a register to ``memory``; return its address, and what stood there a clock before.

    What it gives where the same place is written in the same clock must be of no account. A tool that is not told so
    adds a register and a multiplexer for each bit, to give what a simulation does: the old one. The register is
    written out, because only where Yosys merges it itself it heeds ``no_rw_check``.
    """
    memory.attrs["no_rw_check"] = 1
    port = memory.read_port(domain="comb")
    register = Signal(memory.shape, name=name, reset_less=True)
    m.d.sync += register.eq(port.data)
    return port.addr, register
