"""Gives frames for a neighbour its MAC address on their way out."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..config import check_data_width, check_range
from ..headers import ETHERNET
from ..stream.packet import packet_signature
from .neighbors import MAX_NEIGHBORS
from .sequencer import publication

__all__ = ["NextHop"]

_MAC_BYTES = ETHERNET.offset("source")
_INDEX_BITS = 8


class NextHop(wiring.Component):
    """Replaces the destination MAC address 00:00:00:00:00:NN by that of neighbour NN.

    A frame for a neighbour that is not known, or is not in the table, is dropped whole. All others pass unaltered, as
    do frames of less than 6 bytes. (00:00:00 is Xerox's, and no interface in use has an address that low.)

    Parameters
    ----------
    data_width : int
        8, 16, 32, 64, 128, 256 or 512.
    neighbors : int
        1 .. 64.

    Attributes
    ----------
    i : packet stream, in
        ``ready`` rests on ``o.ready``, and on ``i.valid`` within a frame.
    o : packet stream, out
        Straight from flip-flops.
    publish : Signal(), publication : `publication`, in
        What is known of a neighbour from now on.
    unresolved : Signal(), out; index : Signal(8), out
        High for a clock: a frame for neighbour ``index`` was dropped.
    latency : int
        Clocks: beats of 6 bytes, and 2. A beat a clock; a clock without a beat within a frame is one at the output as
        well, and keeps frames in front of it inside, too.

    Notes
    -----
    Reset: frames inside are forgotten. What is known of neighbours is not; whoever publishes it has to take it back.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, data_width: int, neighbors: int = 16) -> None:
        self._lanes = check_data_width(data_width) // 8
        self._neighbors = check_range("neighbors", neighbors, 1, MAX_NEIGHBORS)
        self._beats = -(-_MAC_BYTES // self._lanes)
        self.latency = self._beats + 2
        super().__init__(
            {
                "i": In(packet_signature(data_width)),
                "o": Out(packet_signature(data_width)),
                "publish": In(1),
                "publication": In(publication(neighbors)),
                "unresolved": Out(1),
                "index": Out(_INDEX_BITS),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lanes, beats = self._lanes, self._beats
        known = data.StructLayout({"usable": unsigned(1), "mac": unsigned(8 * _MAC_BYTES)})
        m.submodules.macs = macs = Memory(shape=known, depth=self._neighbors, init=[])
        write, read = macs.write_port(), macs.read_port()
        m.d.comb += [
            write.en.eq(self.publish),
            write.addr.eq(self.publication.index),
            write.data.usable.eq(self.publication.usable),
            write.data.mac.eq(self.publication.mac),
        ]

        # All steps go on together, so beats of a frame are one behind the other: while it enters, only with a beat.
        step, inside = Signal(), Signal()
        m.d.comb += [
            step.eq((~self.o.valid | self.o.ready) & (self.i.valid | ~inside)),
            self.i.ready.eq(~self.o.valid | self.o.ready),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += inside.eq(~self.i.payload.last)
        shape = self.i.payload.shape()
        valid = [Signal(name=f"valid_{i}") for i in range(beats + 1)]
        first = [Signal(name=f"first_{i}") for i in range(beats + 1)]
        payload = [Signal(shape, name=f"payload_{i}", reset_less=True) for i in range(beats + 1)]
        with m.If(step):
            m.d.sync += [
                valid[0].eq(self.i.valid),
                first[0].eq(self.i.valid & ~inside),
                payload[0].eq(self.i.payload),
            ]
            for i in range(beats):
                m.d.sync += [
                    valid[i + 1].eq(valid[i]),
                    first[i + 1].eq(first[i]),
                    payload[i + 1].eq(payload[i]),
                ]

        # The address is whole in the first `beats` steps; first on the wire is what is furthest.
        octets = Cat(entry.data for entry in reversed(payload[:beats]))[: 8 * _MAC_BYTES]
        index = octets[-_INDEX_BITS:]
        ends_before = Cat(entry.last for entry in payload[1:beats]).any()
        whole = ~ends_before & (~payload[0].last | (payload[0].empty <= lanes * beats - _MAC_BYTES))
        for_neighbor, held = Signal(), Signal(_INDEX_BITS, reset_less=True)
        m.d.comb += [
            read.en.eq(step),
            read.addr.eq(index),
        ]
        with m.If(step):
            m.d.sync += [
                for_neighbor.eq(first[beats - 1] & whole & ~octets[:-_INDEX_BITS].any()),
                held.eq(index),
            ]

        # The last step has the table's answer with the frame's first beat.
        usable = read.data.usable & (held < self._neighbors)
        replacing, dropping = Signal(), Signal()  # beats of the frame behind its first one
        number = Signal(range(beats + 1))  # of the beat
        mac = Signal(8 * _MAC_BYTES, reset_less=True)
        now_mac = Mux(first[beats], read.data.mac, mac)
        replace = Mux(first[beats], for_neighbor, replacing)
        drop = Mux(first[beats], for_neighbor & ~usable, dropping)
        leaving = payload[beats]
        octet = [now_mac.word_select(_MAC_BYTES - 1 - i, 8) for i in range(_MAC_BYTES)]
        changed = [leaving.data.word_select(lane, 8) for lane in range(lanes)]
        place = Mux(first[beats], 0, number)
        for i in range(_MAC_BYTES):
            here = replace & (place == i // lanes)
            changed[i % lanes] = Mux(here, octet[i], changed[i % lanes])
        m.d.sync += self.unresolved.eq(0)
        with m.If(step):
            m.d.sync += [
                self.o.valid.eq(valid[beats] & ~drop),
                self.o.payload.eq(leaving),
                self.o.payload.data.eq(Cat(changed)),
                self.unresolved.eq(first[beats] & drop),
                self.index.eq(held),
            ]
            with m.If(valid[beats]):
                m.d.sync += [
                    replacing.eq(replace),
                    dropping.eq(drop),
                    mac.eq(now_mac),
                    number.eq(Mux(place == beats, beats, place + 1)),
                ]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
