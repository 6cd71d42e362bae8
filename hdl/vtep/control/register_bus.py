"""The bus between whoever accesses registers (AXI4-Lite, a serial bridge) and the registers."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range
from .register_map import WORD_BITS, WORD_BYTES

__all__ = ["RegisterArbiter", "register_bus"]

MAX_ADDRESS_BITS = 32
MAX_MASTERS = 8


def register_bus(address_bits: int) -> wiring.Signature:
    """Bus of 32-bit words with one access at a time, as seen by its master.

    ``request`` is high, and what else the master says of the access stands still, until the clock in which ``ack`` is
    high: that clock ends the access, and in the next one another may begin. ``ack`` does not come without ``request``,
    and comes always.

    Parameters
    ----------
    address_bits : int
        Width of a byte address, 3 .. 32: ``address`` counts words and is two bits narrower.

    Returns
    -------
    wiring.Signature
        ``request``; ``write`` (else it is a read); ``address``; in a write ``write_data``, and ``write_bytes``: which
        of its bytes are written; ``ack``; and valid with it ``read_data`` (of a read without error) and ``error``: the
        access was refused and had no effect.
    """
    check_range("address_bits", address_bits, 3, MAX_ADDRESS_BITS)
    return wiring.Signature(
        {
            "request": Out(1),
            "write": Out(1),
            "address": Out(address_bits - 2),
            "write_data": Out(WORD_BITS),
            "write_bytes": Out(WORD_BYTES),
            "ack": In(1),
            "read_data": In(WORD_BITS),
            "error": In(1),
        }
    )


class RegisterArbiter(wiring.Component):
    """Lets several masters share one register bus, in turns.

    Parameters
    ----------
    address_bits : int
        Width of a byte address, 3 .. 32.
    masters : int
        2 .. 8.

    Attributes
    ----------
    i : In(`register_bus`), array
        The masters.
    o : Out(`register_bus`)
        ``request`` and ``address`` are flip-flops; the rest comes through a multiplexer.

    Notes
    -----
    Latency: an access takes one clock more, and a master waits for at most one access of each of the others.
    Reset: an access under way is forgotten, so its two sides must be reset together.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, address_bits: int, masters: int = 2) -> None:
        self._masters = check_range("masters", masters, 2, MAX_MASTERS)
        bus = register_bus(address_bits)
        super().__init__({"i": In(bus).array(masters), "o": Out(bus)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        turn = Signal(range(self._masters))
        with m.If(self.o.request):
            m.d.sync += self.o.request.eq(~self.o.ack)
        with m.Else(), m.Switch(turn):
            # The last one served asks last; without any request it keeps its turn.
            for last in range(self._masters):
                with m.Case(last):
                    order = [(last + offset) % self._masters for offset in range(1, self._masters + 1)]
                    for number in reversed(order):
                        with m.If(self.i[number].request):
                            m.d.sync += [
                                turn.eq(number),
                                self.o.request.eq(1),
                                self.o.address.eq(self.i[number].address),
                            ]
        with m.Switch(turn):
            for number in range(self._masters):
                master = self.i[number]
                with m.Case(number):
                    m.d.comb += master.ack.eq(self.o.request & self.o.ack)
                    for name in ("write", "write_data", "write_bytes"):
                        m.d.comb += getattr(self.o, name).eq(getattr(master, name))
        for master in self.i:
            m.d.comb += [master.read_data.eq(self.o.read_data), master.error.eq(self.o.error)]
        return m
