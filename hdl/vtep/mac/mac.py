"""The MAC: receiver and transmitter of one port, each behind a crossing into the clock domain of the data plane."""

from typing import Any

from amaranth.hdl import DomainRenamer, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width
from ..stream.crossing import MIN_DEPTH, PacketCrossing
from ..stream.packet import connect_packets, packet_signature
from ..stream.width import WidthConverter
from .gmii import GmiiRx, GmiiTx
from .receiver import MacReceiver, reception_layout
from .transmitter import MacTransmitter

__all__ = ["Mac", "received_layout"]


def received_layout() -> data.StructLayout:
    """What is known of a received frame: `reception_layout`, and ``dropped``, if there was no room for it."""
    known = {name: field.shape for name, field in reception_layout()}
    return data.StructLayout({**known, "dropped": 1})


class Mac(wiring.Component):
    """Ethernet MAC, full duplex (IEEE 802.3 clause 4), with packet streams of any width.

    Domains: ``sync`` of the packet streams, ``rx`` and ``tx`` of the GMII's two sides. They may have any frequencies
    and be reset at any time, each by itself: see `PacketCrossing`. A frame is transmitted when all of it is there, so
    that it can be finished. A received frame that finds no room in its buffer is dropped whole.

    Parameters
    ----------
    data_width : int
        Of the packet streams: 8, 16, 32, 64, 128, 256 or 512.
    max_frame_length : int
        Longest frame in bytes without FCS, 128 .. 16383. A longer one that is received is marked, if it fits the
        buffer. One that is to be transmitted is not looked at.
    buffer_bytes : int or None
        Of each direction's buffer; a power of two of beats after rounding up. None: room for two of the longest.

    Attributes
    ----------
    i : packet stream, in
        Frames to be transmitted, without FCS.
    o : packet stream, out
        Frames received, without FCS; those with anything wrong are marked with ``error``.
    gmii_rx : In(`GmiiRx`), domain ``rx``
    gmii_tx : Out(`GmiiTx`), enable : In, domain ``tx``
        See `MacTransmitter`.
    received : Signal(), reception : `received_layout`, out, domain ``rx``
        High for a clock for each frame that was received, and what is known of it.
    false_carrier : Signal(), out, domain ``rx``
    sent, underrun : Signal(), out, domain ``tx``
        See `MacTransmitter`. A frame is started when it is there as a whole, so ``underrun`` stays low.
    too_long : Signal(), out
        High for a clock: a frame to be transmitted was longer than the buffer, and was dropped.

    Notes
    -----
    Throughput: a byte in each clock with ``enable``, either way.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int, *, max_frame_length: int = 1518, buffer_bytes: int | None = None) -> None:
        lanes = check_data_width(data_width) // 8
        self._data_width = data_width
        self._receiver = MacReceiver(max_frame_length)
        beats = -(-(2 * max_frame_length if buffer_bytes is None else buffer_bytes) // lanes)
        depth = max(MIN_DEPTH, 1 << (beats - 1).bit_length())
        self._receive_crossing = PacketCrossing(data_width, depth=depth, lossy=True)
        self._transmit_crossing = PacketCrossing(data_width, depth=depth, lossy=False)
        stream = packet_signature(data_width)
        super().__init__(
            {
                "i": In(stream),
                "o": Out(stream),
                "gmii_rx": In(GmiiRx),
                "gmii_tx": Out(GmiiTx),
                "enable": In(1),
                "received": Out(1),
                "reception": Out(received_layout()),
                "false_carrier": Out(1),
                "sent": Out(1),
                "underrun": Out(1),
                "too_long": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._receive(m)
        self._transmit(m)
        return m

    def _receive(self, m: Module) -> None:
        receiver, crossing = self._receiver, self._receive_crossing
        converter = WidthConverter(8, self._data_width)
        m.submodules.receiver = DomainRenamer("rx")(receiver)
        m.submodules.widen = DomainRenamer("rx")(converter)
        m.submodules.received_frames = DomainRenamer({"write": "rx", "read": "sync"})(crossing)
        wiring.connect(m, wiring.flipped(self.gmii_rx), receiver.gmii)
        connect_packets(m, receiver.o, converter.i)
        connect_packets(m, converter.o, crossing.i)
        connect_packets(m, crossing.o, wiring.flipped(self.o))
        received, reception = receiver.received, receiver.reception
        # The crossing tells of a drop a clock behind the frame's last beat.
        for _ in range(converter.latency + 1):
            received_before, reception_before = received, reception
            received, reception = Signal(), Signal(reception_layout(), reset_less=True)
            m.d.rx += [received.eq(received_before), reception.eq(reception_before)]
        m.d.comb += [
            self.received.eq(received),
            self.reception.dropped.eq(crossing.dropped),
            self.false_carrier.eq(receiver.false_carrier),
        ]
        m.d.comb += [self.reception[name].eq(reception[name]) for name, _ in reception_layout()]

    def _transmit(self, m: Module) -> None:
        transmitter, crossing = MacTransmitter(), self._transmit_crossing
        converter = WidthConverter(self._data_width, 8)
        m.submodules.frames_to_send = DomainRenamer({"write": "sync", "read": "tx"})(crossing)
        m.submodules.narrow = DomainRenamer("tx")(converter)
        m.submodules.transmitter = DomainRenamer("tx")(transmitter)
        connect_packets(m, wiring.flipped(self.i), crossing.i)
        connect_packets(m, crossing.o, converter.i)
        connect_packets(m, converter.o, transmitter.i)
        wiring.connect(m, transmitter.gmii, wiring.flipped(self.gmii_tx))
        m.d.comb += [
            transmitter.enable.eq(self.enable),
            self.sent.eq(transmitter.sent),
            self.underrun.eq(transmitter.underrun),
            self.too_long.eq(crossing.dropped),
        ]
