"""Packet streams of the core as cocotbext-axi sources and sinks.

`PacketSource` and `PacketSink` keep the queues, reset and pause of cocotbext-axi and replace its inner loops: a beat
costs one conversion instead of one per byte lane, pauses come from a seeded generator, and whatever AXI4-Stream
leaves unspecified (the payload while not valid, lanes without keep, tuser bits outside their beat) carries noise.
"""

from collections import deque
from random import Random

from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamFrame, AxiStreamSink, AxiStreamSource

from ..golden import Frame

__all__ = ["PacketSink", "PacketSource", "Pauses", "axi_frame", "packet"]


class Pauses:
    """Random pauses of a stream.

    Parameters
    ----------
    rng : Random
        Where the dice come from.
    probability : float
        Chance of a pause before each beat, 0 .. 1 (1 excluded).
    burst : int
        Longest pause in clocks; each has a length of 1 .. burst.
    """

    def __init__(self, rng: Random, probability: float = 0.0, burst: int = 1):
        if not 0 <= probability < 1 or burst < 1:
            raise ValueError(f"probability must be within 0 .. 1 and burst at least 1, not {probability}, {burst}")
        self.rng = rng
        self.probability = probability
        self.burst = burst

    def next(self) -> int:
        """Clocks to pause before the next beat; 0: none."""
        if self.probability and self.rng.random() < self.probability:
            return self.rng.randint(1, self.burst)
        return 0


def axi_frame(
    frame: Frame, *, with_length: bool = False, announced: int | None = None, keep: list[int] | None = None
) -> AxiStreamFrame:
    """The frame as cocotbext-axi sends it.

    Parameters
    ----------
    frame : Frame
        Bytes and error mark; the mark is tuser[0] of the last byte.
    with_length : bool
        tuser has the frame's length above bit 0.
    announced : int or None
        Length to announce instead of the true one.
    keep : list of int or None
        tkeep of each byte lane to send instead of all ones (to break the rules).
    """
    announced = len(frame.data) if announced is None else announced
    tuser = announced << 1 if with_length else 0
    out = AxiStreamFrame(bytes(frame.data), tkeep=keep, tuser=[tuser] * len(frame.data))
    out.tuser[-1] |= frame.error
    return out


def packet(frame: AxiStreamFrame) -> Frame:
    """The frame that a sink received: bytes of the lanes with keep, error mark of the last beat."""
    data = bytes(b for b, kept in zip(frame.tdata, frame.tkeep, strict=True) if kept)
    return Frame(data, bool(frame.tuser[-1] & 1))


class PacketSource(AxiStreamSource):
    """Drives frames of `axi_frame`.

    Set ``pauses`` for idle clocks between beats, and ``noise`` for the bits that mean nothing: the payload while not
    valid, lanes behind the end, tuser[0] before the last beat and the length above it behind the first.
    """

    pauses: Pauses | None = None
    noise: Random = Random(0)

    def _beats(self, frame: AxiStreamFrame) -> deque:
        frame.normalize()
        lanes, noise = self.byte_lanes, self.noise
        data, keep, user = frame.tdata, frame.tkeep, frame.tuser
        beats: deque = deque()
        for start in range(0, len(data), lanes):
            part = bytes(data[start : start + lanes])
            last = start + lanes >= len(data)
            kept = keep[start : start + lanes]
            tkeep = (1 << len(part)) - 1 if all(kept) else sum(bit << i for i, bit in enumerate(kept))
            if len(part) < lanes:
                part += noise.randbytes(lanes - len(part))
            tuser = user[min(start + lanes, len(data)) - 1]
            if not last:
                tuser ^= noise.getrandbits(1)
            if start:
                tuser ^= noise.getrandbits(len(self.bus.tuser)) & ~1
            beats.append((int.from_bytes(part, "little"), tkeep, tuser, last))
        return beats

    async def _run(self):
        bus, edge = self.bus, RisingEdge(self.clock)
        beats: deque = deque()
        noise = self.noise
        valid = False
        frame = AxiStreamFrame()
        self.active = False
        while True:
            await edge
            if valid and not bus.tready.value:
                continue
            if not beats and not self.queue.empty():
                frame = self.queue.get_nowait()
                self.dequeue_event.set()
                self.queue_occupancy_bytes -= len(frame)
                self.queue_occupancy_frames -= 1
                self.current_frame = frame
                self.active = True
                beats = self._beats(frame)
            pause = self.pauses.next() if self.pauses and beats else 0
            if beats and not pause and not self.pause:
                tdata, tkeep, tuser, tlast = beats.popleft()
                bus.tdata.value = tdata
                bus.tkeep.value = tkeep
                bus.tuser.value = tuser
                bus.tlast.value = tlast
                if not valid:
                    bus.tvalid.value = 1
                    valid = True
                if tlast:
                    self.current_frame = None
                    frame.handle_tx_complete()
                continue
            if valid:
                valid = False
                bus.tvalid.value = 0
                bus.tdata.value = noise.getrandbits(self.width)
                bus.tkeep.value = noise.getrandbits(self.byte_lanes)
                bus.tlast.value = noise.getrandbits(1)
                bus.tuser.value = noise.getrandbits(len(bus.tuser))
            self.active = bool(beats)
            if pause > 1:
                await ClockCycles(self.clock, pause - 1)
            if not beats and self.queue.empty():
                self.idle_event.set()
                self.active_event.clear()
                await self.active_event.wait()


class PacketSink(AxiStreamSink):
    """Collects frames for `packet`; set ``pauses`` for back-pressure."""

    pauses: Pauses | None = None

    async def _run(self):
        bus, edge = self.bus, RisingEdge(self.clock)
        lanes = self.byte_lanes
        full = (1 << lanes) - 1
        frame = None
        ready = False
        wait = 0
        self.active = False
        while True:
            await edge
            valid = bool(bus.tvalid.value)
            if valid and ready:
                if frame is None:
                    frame = AxiStreamFrame(bytearray(), [], [], [], [])
                    self.active = True
                keep = int(bus.tkeep.value)
                frame.tdata.extend(int(bus.tdata.value).to_bytes(lanes, "little"))
                frame.tkeep.extend([1] * lanes if keep == full else [keep >> i & 1 for i in range(lanes)])
                frame.tuser.extend([int(bus.tuser.value)] * lanes)
                if bus.tlast.value:
                    self.queue_occupancy_bytes += len(frame)
                    self.queue_occupancy_frames += 1
                    self.queue.put_nowait(frame)
                    self.active_event.set()
                    self.active = False
                    frame = None
            if wait:
                wait -= 1
            elif self.pauses is not None and (valid or not ready):
                wait = self.pauses.next()
            go = not wait and not self.pause
            if go != ready:
                ready = go
                bus.tready.value = go
            if not valid and ready:
                self.wake_event.clear()
                await self.wake_event.wait()
