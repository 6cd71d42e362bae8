"""Link fault signalling: what the sequence ordered sets on an XGMII say of the link."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .xgmii import COLUMN, LANES, LOCAL_FAULT, REMOTE_FAULT, XgmiiRx

__all__ = ["LinkFault"]

SEQUENCES = 4
"""Of one kind that make a fault (clause 46.3.4.3, ``seq_cnt``)."""

COLUMNS = 128
"""Without any of them that end it (``col_cnt``)."""


class LinkFault(wiring.Component):
    """Watches an XGMII for faults of the link (IEEE 802.3 clause 46.3.4).

    A fault is there with the fourth of its sequence ordered sets, none of another kind in between and none more than
    128 columns behind the one before, and ends 128 columns behind the last one.

    Attributes
    ----------
    xgmii : In(`XgmiiRx`)
    local_fault : Signal(), out
        The way to here is broken: whatever received it says so. Answer with remote fault, and send no frames.
    remote_fault : Signal(), out
        The other end says that it receives nothing: send idles, and no frames. Never together with ``local_fault``.
    latency : int
        2 clocks from the word with the last column of a sequence.

    Reset ends any fault.
    """

    latency = 2

    def __init__(self) -> None:
        super().__init__({"xgmii": In(XgmiiRx), "local_fault": Out(1), "remote_fault": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        kind = Signal()  # of the sequences that are counted: remote
        count = Signal(range(SEQUENCES))
        quiet = Signal(range(COLUMNS + 1))  # columns without one
        state: tuple[Value, ...] = (kind, count, quiet, self.local_fault, self.remote_fault)
        for half in range(LANES // COLUMN):
            word = self.xgmii.rxd.word_select(half, 8 * COLUMN)
            ordered = self.xgmii.rxc.word_select(half, COLUMN) == 1
            local, remote = Signal(name=f"local_{half}"), Signal(name=f"remote_{half}")
            m.d.sync += [local.eq(ordered & (word == LOCAL_FAULT)), remote.eq(ordered & (word == REMOTE_FAULT))]
            state = _behind(m, half, state, local, remote)
        m.d.sync += [
            register.eq(value)
            for register, value in zip((kind, count, quiet, self.local_fault, self.remote_fault), state, strict=True)
        ]
        return m


def _behind(m: Module, half: int, state: tuple[Value, ...], local: Value, remote: Value) -> tuple[Value, ...]:
    """Return the state behind a column."""
    kind, count, quiet, local_fault, remote_fault = state
    seen = local | remote
    known = (count != 0) & (kind == remote)
    enough = Signal(name=f"enough_{half}")  # it is the fourth, or more
    over = Signal(name=f"over_{half}")
    m.d.comb += [enough.eq(known & (count == SEQUENCES - 1)), over.eq(~seen & (quiet >= COLUMNS - 1))]
    return (
        Mux(seen, remote, kind),
        Mux(over, 0, Mux(seen, Mux(enough, SEQUENCES - 1, Mux(known, count + 1, 1)), count)),
        Mux(seen, 0, Mux(over, COLUMNS, quiet + 1)),
        Mux(over, 0, Mux(seen & enough, local, local_fault)),
        Mux(over, 0, Mux(seen & enough, remote, remote_fault)),
    )
