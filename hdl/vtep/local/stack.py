"""What a gateway without a host needs on its host port: answers for its own addresses, and its neighbours' MACs."""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import MAX_FRAME_LENGTH_LIMIT, MIN_FRAME_LENGTH_LIMIT, check_data_width, check_range
from ..stream.packet import connect_packets, packet_signature
from ..stream.width import WidthConverter
from .instructions import PLACE_BITS
from .intake import FrameIntake
from .neighbors import MAX_NEIGHBORS, Neighbor
from .program import EVENTS, MAX_REACHABLE_SECONDS, TICKS, program
from .sequencer import Sequencer, own_addresses, publication, table_write

__all__ = ["LocalStack", "events_layout"]

MIN_CLOCK_FREQUENCY = 1000
MAX_CLOCK_FREQUENCY = 1_000_000_000


def events_layout() -> data.StructLayout:
    """One bit for each event: those of `Event`, and frames that the intake drops."""
    return data.StructLayout({**dict.fromkeys(EVENTS, 1), "no_room": 1, "marked": 1})


class LocalStack(wiring.Component):
    """Answers ARP, neighbour solicitations and pings for the own addresses, and resolves neighbours.

    Both sides share one `Sequencer`, which works on one frame at a time, a byte a clock. Frames wait in a `FrameIntake`
    in front of it that never holds up whoever sends: what finds no room there is dropped and counted.

    Answers: ARP requests, and probes, for the own IPv4 address (RFC 826, RFC 5227); neighbour solicitations for the own
    IPv6 address that pass RFC 4861 section 7.1.1, those of duplicate address detection to all nodes; ICMP and ICMPv6
    echo requests to the own unicast addresses (RFC 1122 section 3.2.2.6, RFC 4443 section 4.2), unless they are
    fragments, have IPv4 options, IPv6 extension headers or a wrong checksum. An answer goes back with the 802.1Q tag
    that the frame had. Answers to a ping keep its DSCP and have ECN 0, TTL 64 and DF set.

    Neighbours: each is asked for by ARP or by neighbour solicitation as soon as its entry is written, again three times
    a second apart (the first time up to a quarter earlier), then every 8 s without end. An answer, or anything that
    tells of the neighbour's address by RFC 826 or RFC 4861 section 7.2.5 in the neighbour's VLAN, makes the MAC address
    known. ``reachable_seconds`` later the neighbour is asked again by unicast, and stays usable; after three such asks
    without an answer, a second apart, it is not, and is asked for as at first. ``wake`` begins with that at once where
    asking had become slow. A family without own address is not asked for. What solicitations tell of their senders is
    not used (RFC 4861 section 7.2.3 has it as a SHOULD).

    The core's decapsulator has one output pipeline: a frame that the host port does not take stands in front of all
    that follow, and VXLAN traffic to tenants stops, then ``underlay_rx``. Hence ``i`` takes a beat a clock at the
    core's width, whatever the stack is doing. The other way a frame is let on ``underlay_tx`` when all of it is in the
    core's queue, so ``o`` may be slow.

    Parameters
    ----------
    data_width : int
        Of the packet streams: 8, 16, 32, 64, 128, 256 or 512.
    clock_frequency : int
        Hz of ``sync``, 1000 .. 10^9.
    max_frame_length : int
        Longest frame in bytes that is answered, 128 .. 16383. A longer one may be, if there is room.
    neighbors : int
        Entries of the table, 1 .. 64.
    initial : iterable of Neighbor
        The first entries after reset; the others are unused then.
    reachable_seconds : int
        1 .. 63.
    buffer_bytes : int or None
        Of the intake; a power of two of beats after rounding up. None: room for two of the longest frames.

    Attributes
    ----------
    own : In(`own_addresses`)
        May change at any time.
    i : packet stream, in
        ``ready`` is always high.
    o : packet stream, out
        Straight from flip-flops; the frames are not padded. The stack works on nothing else while one waits here.
    write : In(stream)
        Of `table_write`: a byte of an entry. Byte for byte, the family last: with the first one the entry is unused,
        with the family it begins anew. Taken between frames.
    read, read_index, read_place : In; read_data : Out(8)
        A byte of an entry by `Place`, 2 clocks behind ``read``, at any time.
    wake : Signal(), wake_index, in
        From `NextHop`: a frame found this neighbour unresolved.
    publish : Signal(), publication : `publication`, out
        For `NextHop`: high for a clock, and what is known of a neighbour now.
    events : Out(`events_layout`)
        Each high for a clock.

    Notes
    -----
    Time: about 250 clocks for an ARP request, 600 for a solicitation, 600 and two for each byte for a ping, and some 20
    for each entry of the table. Reset: as after power-on; entries are as ``initial``, all unresolved.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(
        self,
        data_width: int,
        *,
        clock_frequency: int,
        max_frame_length: int = 1518,
        neighbors: int = 16,
        initial: Iterable[Neighbor] = (),
        reachable_seconds: int = 30,
        buffer_bytes: int | None = None,
    ) -> None:
        lanes = check_data_width(data_width) // 8
        self._data_width = data_width
        self._tick = check_range("clock_frequency", clock_frequency, MIN_CLOCK_FREQUENCY, MAX_CLOCK_FREQUENCY) // TICKS
        check_range("max_frame_length", max_frame_length, MIN_FRAME_LENGTH_LIMIT, MAX_FRAME_LENGTH_LIMIT)
        check_range("neighbors", neighbors, 1, MAX_NEIGHBORS)
        check_range("reachable_seconds", reachable_seconds, 1, MAX_REACHABLE_SECONDS)
        if buffer_bytes is None:
            buffer_bytes = 2 * max_frame_length
        # A beat stays free, so that a full buffer does not look like an empty one.
        check_range("buffer_bytes", buffer_bytes, max_frame_length + lanes, 1 << 18)
        beats = max(8, -(-buffer_bytes // lanes))
        self._intake = FrameIntake(data_width, 1 << (beats - 1).bit_length())
        self._sequencer = Sequencer(
            program(reachable_seconds),
            place_bits=len(self._intake.place),
            neighbors=neighbors,
            initial=tuple(initial),
        )
        index = range(neighbors)
        super().__init__(
            {
                "own": In(own_addresses()),
                "i": In(packet_signature(data_width)),
                "o": Out(packet_signature(data_width)),
                "write": In(stream.Signature(table_write(neighbors))),
                "read": In(1),
                "read_index": In(index),
                "read_place": In(PLACE_BITS),
                "read_data": Out(8),
                "wake": In(1),
                "wake_index": In(index),
                "publish": Out(1),
                "publication": Out(publication(neighbors)),
                "events": Out(events_layout()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.intake = intake = self._intake
        m.submodules.sequencer = sequencer = self._sequencer
        m.submodules.widen = widen = WidthConverter(8, self._data_width)
        connect_packets(m, wiring.flipped(self.i), intake.i)
        connect_packets(m, sequencer.o, widen.i)
        connect_packets(m, widen.o, wiring.flipped(self.o))
        wiring.connect(m, wiring.flipped(self.write), sequencer.write)

        tick = Signal(range(self._tick))
        m.d.sync += tick.eq(tick - 1)
        with m.If(tick == 0):
            m.d.sync += tick.eq(self._tick - 1)
        m.d.comb += [
            sequencer.own.eq(self.own),
            sequencer.valid.eq(intake.valid),
            sequencer.last_place.eq(intake.last_place),
            sequencer.byte.eq(intake.byte),
            intake.take.eq(sequencer.take),
            intake.place.eq(sequencer.place),
            sequencer.tick.eq(tick == 0),
            sequencer.wake.eq(self.wake),
            sequencer.wake_index.eq(self.wake_index),
            sequencer.read.eq(self.read),
            sequencer.read_index.eq(self.read_index),
            sequencer.read_place.eq(self.read_place),
            self.read_data.eq(sequencer.read_data),
            self.publish.eq(sequencer.publish),
            self.publication.eq(sequencer.publication),
        ]
        for number, name in enumerate(EVENTS):
            m.d.sync += self.events[name].eq(sequencer.event & (sequencer.event_number == number))
        m.d.comb += [self.events.no_room.eq(intake.no_room), self.events.marked.eq(intake.marked)]
        return m
