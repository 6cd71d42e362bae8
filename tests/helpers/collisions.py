"""RAM that is as bad as block RAM may be: reading what the other port writes gives a mix of old and new bits.

Only where a tool is told that it is of no account, by the attribute ``no_rw_check``; of other RAM tools take care.
"""

from typing import Any

from amaranth.hdl import Fragment, MemoryInstance, Module, Mux, Shape, Signal, Value

__all__ = ["with_bad_collisions"]


class _CollidingMemory:
    """The platform that `Memory` asks for another implementation of itself."""

    def get_memory(self, memory: Any) -> Module:
        m = Module()
        m.submodules.instance = instance = MemoryInstance(data=memory.data)
        width = Shape.cast(memory.shape).width
        writes = {
            port: instance.write_port(domain=port.domain, addr=port.addr, data=Value.cast(port.data), en=port.en)
            for port in memory.write_ports
        }
        if not memory.attrs.get("no_rw_check"):
            for port in memory.read_ports:
                transparent = tuple(writes[write] for write in port.transparent_for)
                instance.read_port(
                    domain=port.domain,
                    addr=port.addr,
                    data=Value.cast(port.data),
                    en=port.en,
                    transparent_for=transparent,
                )
            return m
        (write_port,) = memory.write_ports
        noise = Signal(64, init=0x9E37_79B9_7F4A_7C15)
        m.d.sync += noise.eq(noise * 0x5851_F42D_4C95_7F2D + 0x1405_7B7E_F767_814F)
        mask = noise.replicate(-(-width // 64))[:width]
        for port in memory.read_ports:
            assert port.domain == "comb", "the registers of the ports are outside"
            read = Signal(width)
            instance.read_port(domain="comb", addr=port.addr, data=read, en=port.en, transparent_for=())
            collision = write_port.en & (write_port.addr == port.addr)
            mixed = (read & mask) | (Value.cast(write_port.data) & ~mask)
            m.d.comb += Value.cast(port.data).eq(Mux(collision, mixed, read))
        return m


def with_bad_collisions(design: Any) -> Fragment:
    """Elaborate a design with such memories; its ports remain those of ``design``."""
    return Fragment.get(design, platform=_CollidingMemory())
