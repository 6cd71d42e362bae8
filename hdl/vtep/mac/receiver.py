"""Frames out of a GMII: from preamble and carrier to a packet stream whose bad frames are marked."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_FRAME_LENGTH_LIMIT, MIN_FRAME_LENGTH_LIMIT, check_range
from ..headers import ETHERNET
from ..integrity.fcs import FCS_LENGTH, MIN_LENGTH, FcsCheck
from ..stream.fifo import TokenQueue
from ..stream.packet import packet_signature
from .gmii import PREAMBLE, SFD, GmiiRx

__all__ = ["RECEPTIONS", "MacReceiver", "deliver", "reception_layout"]

_COUNT_BITS = MAX_FRAME_LENGTH_LIMIT.bit_length() + 1

_FALSE_CARRIER = 0xE
"""Low nibble of what the PHY reports a false carrier with, that of no other report, and all of it in a MII."""

RECEPTIONS = 16
"""Frames between the line and the verdict on their FCS: no more fit into the clocks of `FcsCheck`."""


def reception_layout() -> data.StructLayout:
    """What is known of a frame when it has been received.

    ``length``: bytes with FCS, at most 32,767. ``fcs_error``: the FCS is wrong, or the PHY reported an error within the
    frame. ``too_short``, ``too_long``: fewer than 64 bytes, more than the longest. ``multicast``, ``broadcast``: of the
    destination address, not both, as RFC 2819 counts them.
    """
    return data.StructLayout(
        {"length": _COUNT_BITS, "fcs_error": 1, "too_short": 1, "too_long": 1, "multicast": 1, "broadcast": 1}
    )


def deliver(m: Module, receiver: Any, check: FcsCheck, receptions: TokenQueue) -> None:
    """Let frames leave a receiver behind the check of their FCS, each joined with what is known of it."""
    o, known = receiver.o, receptions.o
    m.d.comb += [
        check.o.ready.eq(1),
        o.valid.eq(check.o.valid),
        o.payload.eq(check.o.payload),
        o.payload.error.eq(check.o.payload.error | known.payload.too_short | known.payload.too_long),
        receiver.received.eq(o.valid & o.payload.last),
        receiver.reception.eq(known.payload),
        receiver.reception.fcs_error.eq(check.o.payload.error),
        known.ready.eq(receiver.received),
    ]


class MacReceiver(wiring.Component):
    """Receive from a GMII (IEEE 802.3 clauses 4.2.9 and 35.2.3).

    A frame begins behind the start frame delimiter, with any number of preamble bytes in front of it, none too, and
    ends with ``rx_dv``. The FCS is checked and removed. A frame leaves marked with ``error`` if its FCS is wrong,
    ``rx_er`` rose within it, it has fewer than 64 bytes, or more than the longest. A carrier that brings anything else
    before the delimiter, or nothing behind it, is no frame. What the PHY says between frames is taken notice of only
    where it reports a false carrier (clause 35.2.2.8: ``rx_er`` without ``rx_dv``, and 0x0E).

    Parameters
    ----------
    max_frame_length : int
        Longest frame in bytes without FCS, 128 .. 16383.

    Attributes
    ----------
    gmii : In(`GmiiRx`)
    o : packet stream of 8 bits, out
        Frames without preamble and FCS; of a frame of up to 4 bytes, the last one. ``ready`` has to be high always: a
        line does not wait.
    received : Signal(), out
        High with the last beat of a frame: ``reception`` tells of it.
    reception : `reception_layout`, out
    false_carrier : Signal(), out
        High for a clock behind a carrier without a frame, and when the PHY begins to report a false one.
    latency : int
        Clocks from a byte on the GMII to the beat at ``o``, at a byte a clock.

    Notes
    -----
    Throughput: a byte a clock, with any gap between frames. Reset in the middle of a frame forgets it, what is still
    to come of it too.

    Raises
    ------
    ValueError
        ``max_frame_length`` is out of its range.
    """

    def __init__(self, max_frame_length: int = 1518) -> None:
        check_range("max_frame_length", max_frame_length, MIN_FRAME_LENGTH_LIMIT, MAX_FRAME_LENGTH_LIMIT)
        self._longest = max_frame_length + FCS_LENGTH
        self._check = FcsCheck(8)
        self.latency = 2 + self._check.latency
        super().__init__(
            {
                "gmii": In(GmiiRx),
                "o": Out(packet_signature(8)),
                "received": Out(1),
                "reception": Out(reception_layout()),
                "false_carrier": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        gmii = self.gmii
        m.submodules.check = check = self._check
        m.submodules.receptions = receptions = TokenQueue(reception_layout(), RECEPTIONS, register_output=True)
        beat, token = check.i, receptions.i

        carrier = Signal()
        length = Signal(_COUNT_BITS)  # bytes so far
        group, ones, bad = Signal(), Signal(), Signal()
        held = Signal(8, reset_less=True)  # until it is known whether it is the frame's last byte
        begun = length != 0
        false, false_before = Signal(), Signal()
        m.d.comb += false.eq(~gmii.rx_dv & gmii.rx_er & (gmii.rxd[:4] == _FALSE_CARRIER))
        with m.If(gmii.enable):
            m.d.sync += false_before.eq(false)
        m.d.sync += [beat.valid.eq(0), token.valid.eq(0), self.false_carrier.eq(0)]
        with m.If(gmii.enable), m.FSM(init="REST"):
            with m.State("REST"), m.If(~gmii.rx_dv):  # behind a reset, or what is no preamble
                m.next = "PREAMBLE"
            with m.State("PREAMBLE"):
                m.d.sync += [length.eq(0), bad.eq(0), ones.eq(1), carrier.eq(gmii.rx_dv)]
                with m.If(~gmii.rx_dv):
                    m.d.sync += self.false_carrier.eq(carrier | (false & ~false_before))
                with m.Elif((gmii.rxd == SFD) & ~gmii.rx_er):
                    m.d.sync += carrier.eq(0)
                    m.next = "FRAME"
                with m.Elif((gmii.rxd != PREAMBLE) | gmii.rx_er):
                    m.d.sync += [carrier.eq(0), self.false_carrier.eq(1)]
                    m.next = "REST"
            with m.State("FRAME"):
                m.d.sync += [
                    beat.valid.eq(begun),
                    beat.payload.data.eq(held),
                    beat.payload.last.eq(~gmii.rx_dv),
                    beat.payload.error.eq(bad),
                ]
                with m.If(gmii.rx_dv):
                    m.d.sync += [held.eq(gmii.rxd), bad.eq(bad | gmii.rx_er), length.eq(length + ~length.all())]
                    with m.If(~begun):
                        m.d.sync += group.eq(gmii.rxd[0])
                    with m.If(length < ETHERNET.offset("source")):
                        m.d.sync += ones.eq(ones & gmii.rxd.all())
                with m.Else():
                    m.d.sync += [
                        self.false_carrier.eq(~begun),
                        token.valid.eq(begun),
                        token.payload.length.eq(length),
                        token.payload.too_short.eq(length < MIN_LENGTH + FCS_LENGTH),
                        token.payload.too_long.eq(length > self._longest),
                        token.payload.multicast.eq(group & ~ones),
                        token.payload.broadcast.eq(ones),
                    ]
                    m.next = "PREAMBLE"

        deliver(m, self, check, receptions)
        return m
