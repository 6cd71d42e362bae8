"""Frames onto a GMII: padding, FCS, preamble and the gap between frames."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import check_range
from ..integrity.fcs import FcsInsert
from ..stream.packet import connect_packets, packet_signature
from .gmii import PREAMBLE, PREAMBLE_LENGTH, SFD, GmiiTx

__all__ = ["INTERFRAME_GAP", "MacTransmitter"]

INTERFRAME_GAP = 12
"""Bytes between frames (IEEE 802.3 clause 4.4.2: interPacketGap, 96 bits)."""

MIN_GAP, MAX_GAP = 5, 255


class MacTransmitter(wiring.Component):
    """Transmit to a GMII (IEEE 802.3 clauses 4.2.8 and 35.2.2), full duplex.

    A frame of fewer than 60 bytes is padded with zeros; the FCS is appended; preamble and start frame delimiter go in
    front. A frame marked with ``error`` leaves with every bit of its FCS inverted, so that the receiver drops it. A
    frame is started when its first byte is there: whoever feeds this must have all of it, and give a byte in each clock
    in which ``i.ready`` is high. If a byte is missing nevertheless, ``tx_er`` rises for a byte, the frame ends there,
    and what comes of it later is thrown away.

    Parameters
    ----------
    gap : int
        Bytes from the end of a frame to the preamble of the next one at least, 5 .. 255.

    Attributes
    ----------
    i : packet stream of 8 bits, in
        Frames without FCS, of at least a byte.
    enable : Signal(), in
        In a clock with ``enable`` high, the next byte goes to the GMII.
    gmii : Out(`GmiiTx`)
        From flip-flops.
    sent : Signal(), out
        High for a clock: the last byte of a frame that was not marked went to the GMII.
    underrun : Signal(), out
        High for a clock: a byte was missing.
    latency : int
        Clocks from a frame's first byte at ``i`` to the first one of the preamble on the GMII, at a byte a clock, the
        line idle for longer than the gap.

    Notes
    -----
    Throughput: a byte a clock; between frames ``gap`` bytes, exactly, if the next one is there. Reset in the middle of
    a frame ends it on the GMII.

    Raises
    ------
    ValueError
        ``gap`` is out of its range.
    """

    def __init__(self, gap: int = INTERFRAME_GAP) -> None:
        self._gap = check_range("gap", gap, MIN_GAP, MAX_GAP)
        self._insert = FcsInsert(8, pad=True)
        self.latency = self._insert.latency + 1
        super().__init__(
            {
                "i": In(packet_signature(8)),
                "enable": In(1),
                "gmii": Out(GmiiTx),
                "sent": Out(1),
                "underrun": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.insert = insert = self._insert
        connect_packets(m, wiring.flipped(self.i), insert.i)
        o, gmii = insert.o, self.gmii
        # Counts bytes of the preamble behind its first one, and of the gap; `over` is a register, known a clock ahead.
        count = Signal(range(max(PREAMBLE_LENGTH, self._gap)))
        over = Signal()

        def wait(clocks: int) -> None:
            m.d.sync += [count.eq(clocks), over.eq(clocks == 0)]

        m.d.sync += [self.sent.eq(0), self.underrun.eq(0)]
        with m.If(self.enable):
            m.d.sync += [count.eq(count - 1), over.eq(count == 1), gmii.tx_er.eq(0)]
        with m.FSM():
            with m.State("IDLE"), m.If(self.enable & o.valid):
                m.d.sync += [gmii.tx_en.eq(1), gmii.txd.eq(PREAMBLE)]
                wait(PREAMBLE_LENGTH - 1)
                m.next = "PREAMBLE"
            with m.State("PREAMBLE"), m.If(self.enable & over):
                m.d.sync += gmii.txd.eq(SFD)
                m.next = "FRAME"
            with m.State("FRAME"):
                m.d.comb += o.ready.eq(self.enable)
                with m.If(self.enable):
                    m.d.sync += [gmii.txd.eq(o.payload.data), gmii.tx_er.eq(~o.valid), self.underrun.eq(~o.valid)]
                    with m.If(~o.valid):
                        m.next = "ABORT"
                    with m.Elif(o.payload.last):
                        m.d.sync += self.sent.eq(~o.payload.error)
                        m.next = "END"
            with m.State("END"), m.If(self.enable):
                m.d.sync += gmii.tx_en.eq(0)
                wait(self._gap - 2)
                m.next = "GAP"
            with m.State("GAP"), m.If(self.enable & over):
                m.next = "IDLE"
            with m.State("ABORT"):
                with m.If(self.enable):
                    m.d.sync += gmii.tx_en.eq(0)
                m.d.comb += o.ready.eq(1)
                wait(self._gap - 2)
                with m.If(o.valid & o.payload.last):
                    m.next = "END"
        return m
