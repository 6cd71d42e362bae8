"""The MAC of a 10 gigabit port: receiver and transmitter of an XGMII, each behind a crossing into the data plane."""

from amaranth.hdl import DomainRenamer, Module
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ..config import DATA_WIDTHS
from .crossed import CrossedMac
from .link_fault import LinkFault
from .xgmii import LANES, XgmiiRx, XgmiiTx
from .xgmii_receiver import XgmiiReceiver
from .xgmii_transmitter import XgmiiTransmitter

__all__ = ["XgmiiMac"]

_WIDTH = 8 * LANES


class XgmiiMac(CrossedMac):
    """Ethernet MAC for 10GBASE-R, full duplex (IEEE 802.3 clauses 4 and 46), with packet streams of 64 bits or more.

    Domains: ``sync`` of the packet streams, ``rx`` and ``tx`` of the XGMII's two sides, of 156.25 MHz. As for all else,
    it is the same as `vtep.mac.mac.Mac`. Frames that are to be transmitted while the link has a fault are thrown away.

    Parameters
    ----------
    data_width : int
        Of the packet streams: 64, 128, 256 or 512.
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
    xgmii_rx : In(`XgmiiRx`), domain ``rx``
    xgmii_tx : Out(`XgmiiTx`), domain ``tx``
    received : Signal(), reception : `received_layout`, out, domain ``rx``
        High for a clock for each frame that was received, and what is known of it.
    false_carrier : Signal(), out, domain ``rx``
    local_fault, remote_fault : Signal(), out, domain ``rx``
        See `LinkFault`. Some clocks of ``tx`` later, the transmitter acts on them.
    sent, discarded, underrun : Signal(), out, domain ``tx``
        See `XgmiiTransmitter`. A frame is started when it is there as a whole, so ``underrun`` stays low.
    lost : Signal(), out
        High for a clock: a frame to be transmitted was longer than the buffer, and was dropped.

    Notes
    -----
    Throughput: a full line at every length of the frames, either way, if ``sync`` keeps up.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int = 64, *, max_frame_length: int = 1518, buffer_bytes: int | None = None) -> None:
        widths = [width for width in DATA_WIDTHS if width >= _WIDTH]
        if data_width not in widths:
            raise ValueError(f"data_width must be one of {', '.join(map(str, widths))}, not {data_width!r}")
        super().__init__(
            _WIDTH,
            data_width,
            XgmiiReceiver(max_frame_length),
            XgmiiTransmitter(),
            max_frame_length=max_frame_length,
            buffer_bytes=buffer_bytes,
            ports={
                "xgmii_rx": In(XgmiiRx),
                "xgmii_tx": Out(XgmiiTx),
                "local_fault": Out(1),
                "remote_fault": Out(1),
                "discarded": Out(1),
            },
        )

    def connect_line(self, m: Module) -> None:
        fault = LinkFault()
        m.submodules.link_fault = DomainRenamer("rx")(fault)
        wiring.connect(m, wiring.flipped(self.xgmii_rx), self._receiver.xgmii)
        wiring.connect(m, wiring.flipped(self.xgmii_rx), fault.xgmii)
        wiring.connect(m, self._transmitter.xgmii, wiring.flipped(self.xgmii_tx))
        m.d.comb += self.discarded.eq(self._transmitter.discarded)
        for name in ("local_fault", "remote_fault"):
            state, seen = getattr(fault, name), getattr(self._transmitter, name)
            m.d.comb += getattr(self, name).eq(state)
            m.submodules[f"{name}_to_tx"] = FFSynchronizer(state, seen, o_domain="tx")
