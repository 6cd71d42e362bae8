"""AXI4-Lite (AMBA AXI and ACE Protocol Specification, IHI 0022, chapter B1): a slave in front of a register bus."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from .register_bus import register_bus
from .register_map import WORD_BITS, WORD_BYTES

__all__ = ["AxiLiteSlave", "Response", "axi_lite_signature"]


class Response(enum.Enum, shape=unsigned(2)):
    """BRESP and RRESP; those that a slave here gives."""

    OKAY = 0
    SLVERR = 2


def axi_lite_signature(address_bits: int) -> wiring.Signature:
    """AXI4-Lite of 32-bit data, as seen by the master.

    Parameters
    ----------
    address_bits : int
        Width of a byte address, 3 .. 32.
    """
    register_bus(address_bits)  # which checks it
    return wiring.Signature(
        {
            "awaddr": Out(address_bits),
            "awprot": Out(3),
            "awvalid": Out(1),
            "awready": In(1),
            "wdata": Out(WORD_BITS),
            "wstrb": Out(WORD_BYTES),
            "wvalid": Out(1),
            "wready": In(1),
            "bresp": In(Response),
            "bvalid": In(1),
            "bready": Out(1),
            "araddr": Out(address_bits),
            "arprot": Out(3),
            "arvalid": Out(1),
            "arready": In(1),
            "rdata": In(WORD_BITS),
            "rresp": In(Response),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


class AxiLiteSlave(wiring.Component):
    """AXI4-Lite slave that passes accesses on to a register bus, one at a time.

    Parameters
    ----------
    address_bits : int
        Width of a byte address, 3 .. 32.

    Attributes
    ----------
    axi : In(`axi_lite_signature`)
        AW, W and AR come in any order, and each is taken and kept when it comes: one write and one read may wait here.
        ``awprot`` and ``arprot`` are ignored, as are the two lowest address bits: an access is always of one word.
    bus : Out(`register_bus`)

    Notes
    -----
    A write starts when its address and its data are there, a read with its address; an access only when the response
    of the one before it in its direction was taken. When both may start they take turns, so neither keeps the other
    from the bus. An access of the bus that ends with an error is answered by SLVERR, every other by OKAY; with SLVERR
    ``rdata`` is 0. Order between reads and writes is up to the master, as AXI has it: it waits for the response of one
    to have the other after it.

    Latency: ``bus.request`` rises 2 clocks after the one in which the last part of an access is taken, the response
    comes 2 clocks after ``ack``. No path leads from an input of ``axi`` to an output of it: they are flip-flops or
    the inverse of one.

    Reset: what waits here is forgotten; ``bvalid`` and ``rvalid`` are low.

    Raises
    ------
    ValueError
        ``address_bits`` is out of its range.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__({"axi": In(axi_lite_signature(address_bits)), "bus": Out(register_bus(address_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi, bus = self.axi, self.bus
        has_aw, has_w, has_ar = Signal(), Signal(), Signal()
        aw, ar = Signal.like(axi.awaddr), Signal.like(axi.araddr)
        m.d.comb += [axi.awready.eq(~has_aw), axi.wready.eq(~has_w), axi.arready.eq(~has_ar)]
        with m.If(~has_aw):
            m.d.sync += [has_aw.eq(axi.awvalid), aw.eq(axi.awaddr)]
        with m.If(~has_w):
            m.d.sync += [has_w.eq(axi.wvalid), Cat(bus.write_data, bus.write_bytes).eq(Cat(axi.wdata, axi.wstrb))]
        with m.If(~has_ar):
            m.d.sync += [has_ar.eq(axi.arvalid), ar.eq(axi.araddr)]
        with m.If(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(axi.rready):
            m.d.sync += axi.rvalid.eq(0)

        # `ack` comes late: a clock after it the rest is done. What comes with it is taken in every clock until then.
        done = Signal()
        m.d.sync += done.eq(bus.request & bus.ack)
        may_write, may_read = Signal(), Signal()
        m.d.comb += [may_write.eq(has_aw & has_w & ~axi.bvalid), may_read.eq(has_ar & ~axi.rvalid)]
        response = Mux(bus.error, Response.SLVERR, Response.OKAY)
        with m.If(~done & ~axi.bvalid):
            m.d.sync += axi.bresp.eq(response)
        with m.If(~done & ~axi.rvalid):
            m.d.sync += [axi.rresp.eq(response), axi.rdata.eq(Mux(bus.error, 0, bus.read_data))]
        with m.If(bus.request & bus.ack):
            m.d.sync += bus.request.eq(0)
        with m.If(done):
            with m.If(bus.write):
                m.d.sync += [axi.bvalid.eq(1), has_aw.eq(0), has_w.eq(0)]
            with m.Else():
                m.d.sync += [axi.rvalid.eq(1), has_ar.eq(0)]
        with m.Elif(~bus.request):
            # A write goes first, and right behind it none may, since its response is still there: hence the turns.
            m.d.sync += [
                bus.request.eq(may_write | may_read),
                bus.write.eq(may_write),
                bus.address.eq(Mux(may_write, aw, ar)[2:]),
            ]
        return m
