"""The MAC: receiver and transmitter of one port, each behind a crossing into the clock domain of the data plane."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .crossed import CrossedMac, received_layout
from .gmii import GmiiRx, GmiiTx
from .receiver import MacReceiver
from .transmitter import MacTransmitter

__all__ = ["Mac", "received_layout"]


class Mac(CrossedMac):
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
    lossy_transmit : bool
        What becomes of a frame for which the line leaves no room in the buffer. False: ``i`` waits. True: it is dropped
        whole, so that a slow line holds up nobody, and ``i.ready`` is always high.

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
    lost : Signal(), out
        High for a clock: a frame to be transmitted was dropped, as it was longer than the buffer, or as
        ``lossy_transmit`` has it.

    Notes
    -----
    Throughput: a byte in each clock with ``enable``, either way.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(
        self,
        data_width: int,
        *,
        max_frame_length: int = 1518,
        buffer_bytes: int | None = None,
        lossy_transmit: bool = False,
    ) -> None:
        super().__init__(
            8,
            data_width,
            MacReceiver(max_frame_length),
            MacTransmitter(),
            max_frame_length=max_frame_length,
            buffer_bytes=buffer_bytes,
            lossy_transmit=lossy_transmit,
            ports={"gmii_rx": In(GmiiRx), "gmii_tx": Out(GmiiTx), "enable": In(1)},
        )

    def connect_line(self, m: Module) -> None:
        wiring.connect(m, wiring.flipped(self.gmii_rx), self._receiver.gmii)
        wiring.connect(m, self._transmitter.gmii, wiring.flipped(self.gmii_tx))
        m.d.comb += self._transmitter.enable.eq(self.enable)
