"""Frames onto an XGMII: padding, FCS, preamble, and a gap that is 12 bytes in the mean."""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..integrity.fcs import FcsInsert
from ..stream.packet import connect_packets, packet_signature
from .xgmii import (
    ALL_CONTROL,
    COLUMN,
    ERROR,
    FIRST_HALF,
    IDLE,
    IDLES,
    LANES,
    REMOTE_FAULT,
    SECOND_HALF,
    TERMINATE,
    XgmiiTx,
    column,
)

__all__ = ["XgmiiTransmitter"]

_WIDTH = 8 * LANES
_HALF = 8 * COLUMN
_PREAMBLE = FIRST_HALF | SECOND_HALF << _HALF
_ABORT = column(*[ERROR] * COLUMN, TERMINATE, *[IDLE] * (COLUMN - 1))


class XgmiiTransmitter(wiring.Component):
    """Transmit to an XGMII (IEEE 802.3 clauses 4.2.8 and 46.3.1), full duplex.

    A frame of fewer than 60 bytes is padded with zeros; the FCS is appended; start character, preamble and start frame
    delimiter go in front. A frame marked with ``error`` leaves with every bit of its FCS inverted, so that the receiver
    drops it. A frame is started when its first beat is there: whoever feeds this must have all of it, and give a beat
    in each clock in which ``i.ready`` is high. If one is missing nevertheless, the frame ends with error characters,
    and what comes of it later is thrown away.

    A frame begins in lane 0 or 4. So that the gap is 12 bytes in the mean, the deficit idle count (clause 46.3.1.4)
    says how many bytes of earlier gaps were left out, 3 at most: a gap is 9 .. 15 bytes, the terminate character
    counted, if the next frame is there; the sum of any number of gaps is no more than 3 bytes short of 12 each.

    Attributes
    ----------
    i : packet stream of 64 bits, in
        Frames without FCS, of at least a byte.
    local_fault, remote_fault : Signal(), in
        Of the link, see `vtep.mac.link_fault.LinkFault`: a frame under way is finished, and those behind it are thrown
        away as long as either lasts. With ``local_fault``, remote fault is sent between frames (clause 46.3.4.2).
    xgmii : Out(`XgmiiTx`)
        From flip-flops.
    sent : Signal(), out
        High for a clock: the last beat of a frame that was not marked went to the XGMII.
    discarded : Signal(), out
        High for a clock: the last beat of a frame was thrown away for a fault of the link.
    underrun : Signal(), out
        High for a clock: a beat was missing.
    latency : int
        Clocks from a frame's first beat at ``i`` to its start character on the XGMII, the line idle for longer than
        the gap.

    Notes
    -----
    Throughput: the line is full at every length of the frames. Reset in the middle of a frame ends it on the XGMII,
    without a terminate character.
    """

    def __init__(self) -> None:
        self._insert = FcsInsert(_WIDTH, pad=True)
        self.latency = self._insert.latency + 1
        super().__init__(
            {
                "i": In(packet_signature(_WIDTH)),
                "local_fault": In(1),
                "remote_fault": In(1),
                "xgmii": Out(XgmiiTx),
                "sent": Out(1),
                "discarded": Out(1),
                "underrun": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.insert = insert = self._insert
        connect_packets(m, wiring.flipped(self.i), insert.i)
        o, xgmii = insert.o, self.xgmii

        # Where the next frame may begin: not in the word at hand (rest), not in its lower half (upper).
        rest, upper = Signal(), Signal()
        deficit = Signal(2)
        shifted = Signal()  # the frame began in lane 4: each beat's upper half goes into the word behind
        half = Signal(_HALF, reset_less=True)  # what is left for that: of the preamble first
        left = Signal(range(COLUMN + 1))  # bytes of the last beat for the word behind
        fault = self.local_fault | self.remote_fault

        shifted_word = Cat(half, o.payload.data[:_HALF])
        data = Mux(shifted, shifted_word, o.payload.data)
        # Lane of the terminate character, counted from the word at hand on: 1 .. 12.
        place = Signal(range(LANES + COLUMN + 1))
        m.d.comb += place.eq(LANES - o.payload.empty + Mux(shifted, COLUMN, 0))

        m.d.sync += [
            self.sent.eq(0),
            self.discarded.eq(0),
            self.underrun.eq(0),
            xgmii.txd.eq(Mux(self.local_fault, C(REMOTE_FAULT, _HALF).replicate(2), IDLES)),
            xgmii.txc.eq(Mux(self.local_fault, 0b0001_0001, ALL_CONTROL)),
            half.eq(o.payload.data[_HALF:]),
        ]
        with m.FSM():
            with m.State("GAP"):
                m.d.sync += [rest.eq(0), half.eq(SECOND_HALF)]
                with m.If(~rest):
                    m.d.sync += [upper.eq(0), shifted.eq(upper)]
                    with m.If(o.valid & fault):
                        m.next = "DISCARD"
                    with m.Elif(o.valid):
                        m.d.sync += [
                            xgmii.txd.eq(Mux(upper, Cat(C(IDLES, _HALF), C(FIRST_HALF, _HALF)), _PREAMBLE)),
                            xgmii.txc.eq(Mux(upper, 0b0001_1111, 0b0000_0001)),
                        ]
                        m.next = "FRAME"
            with m.State("FRAME"):
                m.d.comb += o.ready.eq(1)
                m.d.sync += [xgmii.txd.eq(data), xgmii.txc.eq(0), left.eq(place)]
                with m.If(~o.valid):
                    m.d.sync += [xgmii.txd.eq(_ABORT), xgmii.txc.eq(ALL_CONTROL), self.underrun.eq(1)]
                    m.next = "ABORT"
                with m.Elif(o.payload.last):
                    m.d.sync += self.sent.eq(~o.payload.error)
                    with m.If(place >= LANES):
                        m.next = "END"
                    with m.Else():
                        self._end(m, data, place, rest, upper, deficit)
                        m.next = "GAP"
            with m.State("END"):
                self._end(m, Cat(half, C(0, _HALF)), left, rest, upper, deficit)
                m.next = "GAP"
            with m.State("ABORT"):
                m.d.comb += o.ready.eq(1)
                m.d.sync += rest.eq(1)
                with m.If(o.valid & o.payload.last):
                    m.next = "GAP"
            with m.State("DISCARD"):
                m.d.comb += o.ready.eq(1)
                with m.If(o.valid & o.payload.last):
                    m.d.sync += self.discarded.eq(1)
                    m.next = "GAP"
        return m

    def _end(self, m: Module, data: Value, place: Value, rest: Signal, upper: Signal, deficit: Signal) -> None:
        """Put the terminate character into lane ``place``, and work out where the next frame may begin.

        That is three columns behind that character's one, which leaves out as many bytes of the gap as there are in
        front of it in the column; or, if then too many were left out, four columns.
        """
        for lane in range(LANES):
            byte = slice(8 * lane, 8 * lane + 8)
            with m.If(lane >= place):
                m.d.sync += self.xgmii.txd[byte].eq(Mux(lane == place, TERMINATE, IDLE))
            with m.Else():
                m.d.sync += self.xgmii.txd[byte].eq(data[byte])
            m.d.sync += self.xgmii.txc[lane].eq(lane >= place)
        left_out = deficit + place[:2]
        later, second = left_out[2], place[2]
        m.d.sync += [
            deficit.eq(left_out),  # if later, less the 4 bytes of the column that is put in
            rest.eq(later | second),
            upper.eq(~(later ^ second)),
        ]
