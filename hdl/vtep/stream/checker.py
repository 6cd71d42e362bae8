"""A checker for the rules of packet streams, for test benches and as the assertion of formal proofs."""

from typing import Any

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .packet import packet_layout

__all__ = ["PacketChecker", "violation_layout"]


def violation_layout() -> data.StructLayout:
    """Return the rules of a packet stream, one bit each: 1 is a violation.

    ``valid_dropped``: ``valid`` fell before the beat was taken. ``payload_changed``: the payload, unused lanes
    included, did not stand still until the beat was taken. ``partial_beat``: a beat other than the last has empty
    lanes. That a beat has at least one byte cannot be violated: ``empty`` cannot count all lanes.
    """
    return data.StructLayout(
        {"valid_dropped": unsigned(1), "payload_changed": unsigned(1), "partial_beat": unsigned(1)}
    )


class PacketChecker(wiring.Component):
    """Watch a packet stream and remember which of its rules were broken.

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    length : bool
        The payload has the field ``length``.

    Attributes
    ----------
    valid, ready : Signal(), in
    payload : `packet_layout`, in
        The stream that is watched; see `watch`.
    violation : `violation_layout`, out
        A bit rises in the clock after the violation and stays until reset.
    inside : Signal(), out
        A packet has begun and its last beat is still to come.
    """

    def __init__(self, data_width: int, *, length: bool = False) -> None:
        layout = packet_layout(data_width, length=length)
        super().__init__(
            {
                "valid": In(1),
                "ready": In(1),
                "payload": In(layout),
                "violation": Out(violation_layout()),
                "inside": Out(1),
            }
        )

    def watch(self, m: Module, stream: wiring.PureInterface) -> None:
        """Connect the inputs, in ``m``, to the members of ``stream``, which may be driven from either side.

        Raises
        ------
        TypeError
            The payload layouts differ.
        """
        if stream.payload.shape() != self.payload.shape():
            raise TypeError(f"payload layouts differ: {stream.payload.shape()!r} and {self.payload.shape()!r}")
        m.d.comb += [
            self.valid.eq(stream.valid),
            self.ready.eq(stream.ready),
            self.payload.eq(stream.payload),
        ]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        waiting = Signal()
        before = Signal(self.payload.shape(), reset_less=True)
        m.d.sync += [waiting.eq(self.valid & ~self.ready), before.eq(self.payload)]
        with m.If(waiting & ~self.valid):
            m.d.sync += self.violation.valid_dropped.eq(1)
        with m.If(waiting & self.valid & (Value.cast(before) != Value.cast(self.payload))):
            m.d.sync += self.violation.payload_changed.eq(1)
        with m.If(self.valid & ~self.payload.last & (self.payload.empty != 0)):
            m.d.sync += self.violation.partial_beat.eq(1)
        with m.If(self.valid & self.ready):
            m.d.sync += self.inside.eq(~self.payload.last)
        return m
