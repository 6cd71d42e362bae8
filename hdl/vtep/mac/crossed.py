"""What all MACs have in common: between line and data plane, widths and clock domains are crossed both ways."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import DomainRenamer, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import check_data_width
from ..stream.crossing import MIN_DEPTH, PacketCrossing
from ..stream.packet import connect_packets, packet_layout, packet_signature
from ..stream.skid import SkidBuffer
from ..stream.width import WidthConverter
from .receiver import reception_layout

__all__ = ["CrossedMac", "received_layout"]


def received_layout() -> data.StructLayout:
    """What is known of a received frame: `reception_layout`, and ``dropped``, if there was no room for it."""
    known = {name: field.shape for name, field in reception_layout()}
    return data.StructLayout({**known, "dropped": 1})


class CrossedMac(wiring.Component):
    """A receiver in the domain ``rx``, a transmitter in ``tx``, and crossings to packet streams in ``sync``.

    A MAC derives from this and connects the line in `connect_line`, and whatever else its two parts have.

    Parameters
    ----------
    line_width : int
        Of the packet streams of receiver and transmitter.
    data_width : int
        Of the packet streams ``i`` and ``o``.
    receiver, transmitter : wiring.Component
    max_frame_length : int
    buffer_bytes : int or None
    lossy_transmit : bool
        As of `vtep.mac.mac.Mac`.
    ports : mapping
        Members of the signature beside those that all MACs have.
    """

    def __init__(
        self,
        line_width: int,
        data_width: int,
        receiver: Any,
        transmitter: Any,
        *,
        max_frame_length: int,
        buffer_bytes: int | None,
        lossy_transmit: bool = False,
        ports: Mapping[str, Any],
    ) -> None:
        lanes = check_data_width(data_width) // 8
        self._line_width, self._data_width = line_width, data_width
        self._receiver, self._transmitter = receiver, transmitter
        # A crossing keeps two beats in reserve.
        beats = 2 * -(-max_frame_length // lanes) + 2 if buffer_bytes is None else -(-buffer_bytes // lanes)
        depth = max(MIN_DEPTH, 1 << (beats - 1).bit_length())
        self._receive_crossing = PacketCrossing(data_width, depth=depth, lossy=True)
        self._transmit_crossing = PacketCrossing(data_width, depth=depth, lossy=lossy_transmit)
        stream = packet_signature(data_width)
        super().__init__(
            {
                "i": In(stream),
                "o": Out(stream),
                **ports,
                "received": Out(1),
                "reception": Out(received_layout()),
                "false_carrier": Out(1),
                "sent": Out(1),
                "underrun": Out(1),
                "lost": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._receive(m)
        self._transmit(m)
        self.connect_line(m)
        return m

    def connect_line(self, m: Module) -> None:
        """Connect the line's ports to receiver and transmitter."""
        raise NotImplementedError

    def _receive(self, m: Module) -> None:
        receiver, crossing = self._receiver, self._receive_crossing
        converter = WidthConverter(self._line_width, self._data_width)
        m.submodules.receiver = DomainRenamer("rx")(receiver)
        m.submodules.widen = DomainRenamer("rx")(converter)
        m.submodules.received_frames = DomainRenamer({"write": "rx", "read": "sync"})(crossing)
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
        transmitter, crossing = self._transmitter, self._transmit_crossing
        converter = WidthConverter(self._data_width, self._line_width)
        m.submodules.frames_to_send = DomainRenamer({"write": "sync", "read": "tx"})(crossing)
        m.submodules.narrow = DomainRenamer("tx")(converter)
        m.submodules.transmitter = DomainRenamer("tx")(transmitter)
        # The crossing does not wait for the transmitter within a clock: together that is too long a way.
        skid = SkidBuffer(packet_layout(self._line_width))
        m.submodules.to_transmitter = DomainRenamer("tx")(skid)
        connect_packets(m, wiring.flipped(self.i), crossing.i)
        connect_packets(m, crossing.o, converter.i)
        wiring.connect(m, converter.o, skid.i)
        wiring.connect(m, skid.o, transmitter.i)
        m.d.comb += [
            self.sent.eq(transmitter.sent),
            self.underrun.eq(transmitter.underrun),
            self.lost.eq(crossing.dropped),
        ]
