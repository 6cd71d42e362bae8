"""Proofs without bound: the parts of the packet stream keep its rules, lose nothing and do not stand idle.

Tokens are told apart by a number in their data that counts round; what else a token holds is a function of
that number, so that a mixture of two would show.
"""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from helpers.formal import assert_packets, assume_packets, numbered, prove, reachable
from vtep.stream.arbiter import PacketArbiter
from vtep.stream.axi import AxiStreamSink, AxiStreamSource, axi_signature
from vtep.stream.fifo import TokenQueue
from vtep.stream.packet import packet_layout, packet_signature
from vtep.stream.skid import SkidBuffer

WIDTH = 16
"""The narrowest width whose beats can be partly filled."""

AXI_WIDTH = 32
"""The narrowest width at which a `tkeep` can have a hole and yet its lowest bit."""

QUEUES = [
    pytest.param(SkidBuffer, {}, id="skid"),
    pytest.param(TokenQueue, {"depth": 2}, id="queue-2"),
    pytest.param(TokenQueue, {"depth": 4}, id="queue-4"),
    pytest.param(TokenQueue, {"depth": 4, "register_output": True}, id="queue-4-registered"),
]


class QueueProof(wiring.Component):
    """What leaves a queue is what entered it, in order and whole; it keeps the rules, and never idles for nothing."""

    def __init__(self, queue, *, aim=None):
        self.queue = queue
        self.aim = aim
        super().__init__({"i": In(packet_signature(WIDTH)), "o": Out(packet_signature(WIDTH))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self.queue
        wiring.connect(m, wiring.flipped(self.i), queue.i)
        wiring.connect(m, queue.o, wiring.flipped(self.o))

        def number(stream):
            return stream.payload.data[:4]

        def whole(stream):
            return ~stream.valid | (stream.payload.data[4:8] == ~number(stream))

        assume_packets(m, self.i)
        m.d.comb += Assume(numbered(m, self.i, number(self.i)) & whole(self.i))
        assert_packets(m, self.o)
        m.d.comb += Assert(numbered(m, self.o, number(self.o)) & whole(self.o))

        # Tokens that could have been at the output by now: those inside `latency` - 1 clocks ago that have not left.
        left = Signal()
        inside = Signal(range(8))
        m.d.comb += left.eq(self.o.valid & self.o.ready)
        m.d.sync += inside.eq(inside + (self.i.valid & self.i.ready) - left)
        due = inside
        for clock in range(1, queue.latency):
            later = Signal.like(inside, name=f"due_{clock}")
            m.d.sync += later.eq(due - left)
            due = later
        # The room of a token that left is counted a clock later, but at depth 2.
        depth = getattr(queue, "depth", 2)
        was_left = Signal()
        if depth > 2:
            m.d.sync += was_left.eq(left)
        m.d.comb += [
            Assert(self.o.valid | (due == 0)),
            Assert(self.i.ready == (inside + was_left < depth)),
        ]
        if self.aim == "full":
            m.d.comb += Assert(self.i.ready)
        elif self.aim == "round":
            m.d.comb += Assert(~(self.o.valid & self.o.ready & self.o.payload.last & (number(self.o) == 9)))
        return m


@pytest.mark.parametrize(("component", "options"), QUEUES)
def test_queue(component, options, tmp_path):
    prove(QueueProof(component(packet_layout(WIDTH), **options)), tmp_path)


@pytest.mark.parametrize(("component", "options"), QUEUES)
def test_queue_assumptions_leave_the_interesting_cases(component, options, tmp_path):
    def clocks(aim):
        return reachable(QueueProof(component(packet_layout(WIDTH), **options), aim=aim), tmp_path)

    assert clocks("full") >= options.get("depth", 2)
    assert clocks("round") >= 10


class RoomProof(wiring.Component):
    """A pipeline of `margin` stages that launches while there is room never finds the queue full; room is exact."""

    def __init__(self, queue, *, stages, exact):
        self.queue = queue
        self.stages = stages
        self.exact = exact
        super().__init__({"launch": In(1), "ready": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self.queue
        pipeline = Signal(self.stages + 1)
        m.d.comb += pipeline[0].eq(self.launch & queue.room)
        if self.stages:
            m.d.sync += pipeline[1:].eq(pipeline[:-1])
        m.d.comb += [
            queue.i.valid.eq(pipeline[-1]),
            queue.o.ready.eq(self.ready),
            Assert(queue.i.ready | ~queue.i.valid),
        ]
        if self.exact:
            m.d.comb += Assert(queue.room == (queue.level + queue.margin < queue.depth))
        return m


@pytest.mark.parametrize(
    ("depth", "margin"),
    [(2, 0), (2, 1), (4, 0), (4, 1), (4, 2), (4, 3), (8, 3), (8, 7), pytest.param(16, 5, marks=pytest.mark.full)],
)
@pytest.mark.parametrize("register_output", [False, True])
def test_room(depth, margin, register_output, tmp_path):
    def proof(stages, exact):
        queue = TokenQueue(1, depth, margin, register_output=register_output)
        return RoomProof(queue, stages=stages, exact=exact)

    prove(proof(margin, True), tmp_path)
    # A pipeline longer by one does overflow: the margin is not larger than it must be.
    assert reachable(proof(margin + 1, False), tmp_path) > depth


class ArbiterProof(wiring.Component):
    """Packets pass whole, each input's in order, without a bubble; each input waits for one of every other at most."""

    def __init__(self, inputs, *, aim=None):
        self.inputs = inputs
        self.aim = aim
        super().__init__({"i": In(packet_signature(WIDTH)).array(inputs), "o": Out(packet_signature(WIDTH))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = PacketArbiter(WIDTH, self.inputs)
        wiring.connect(m, dut.o, wiring.flipped(self.o))
        assert_packets(m, self.o)

        # The data tell the input and the number of the beat there.
        source = self.o.payload.data[:4]
        number = self.o.payload.data[4:7]
        inside = Signal()
        owner = Signal(4)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [inside.eq(~self.o.payload.last), owner.eq(source)]
        m.d.comb += [
            Assert(~self.o.valid | (source < self.inputs)),
            Assert(~(self.o.valid & inside) | (source == owner)),
        ]
        began = Signal(self.inputs)
        for i, port in enumerate(self.i):
            wiring.connect(m, wiring.flipped(port), dut.i[i])
            assume_packets(m, port)
            m.d.comb += Assume(~port.valid | (port.payload.data[:4] == i))
            m.d.comb += Assume(numbered(m, port, port.payload.data[4:7]))
            count = Signal(3, name=f"count_{i}")
            with m.If(self.o.valid & self.o.ready & (source == i)):
                m.d.sync += count.eq(count + 1)
            m.d.comb += Assert(~self.o.valid | (source != i) | (number == count))

            within = Signal(name=f"within_{i}")
            with m.If(port.valid & port.ready):
                m.d.sync += within.eq(~port.payload.last)
            m.d.comb += began[i].eq(port.valid & port.ready & ~within)
        for i, port in enumerate(self.i):
            # Others that began while this one offered its first beat.
            overtaken = Signal(range(self.inputs + 1), name=f"overtaken_{i}")
            with m.If(began[i] | ~port.valid):
                m.d.sync += overtaken.eq(0)
            with m.Elif(began.any()):
                m.d.sync += overtaken.eq(overtaken + 1)
            m.d.comb += Assert(overtaken < self.inputs)

        # A beat on offer is taken unless another packet is under way or the output was held up; after a pause, it may
        # be another input's turn for one clock.
        offered = Cat(port.valid for port in self.i)
        taken = Cat(port.valid & port.ready for port in self.i)
        ending = Cat(port.valid & port.ready & port.payload.last for port in self.i)
        under_way = Signal()
        held_up = Signal()
        left_out, was_left_out, was_offered = Signal(), Signal(), Signal()
        m.d.sync += [
            held_up.eq(self.o.valid & ~self.o.ready),
            was_left_out.eq(left_out),
            was_offered.eq((offered & ~ending).any()),
        ]
        with m.If(taken.any()):
            m.d.sync += under_way.eq(~ending.any())
        m.d.comb += [
            Assert(taken & (taken - 1)[: self.inputs] == 0),
            left_out.eq(offered.any() & ~taken.any() & ~under_way & ~held_up),
            Assert(~left_out | ~(was_left_out | was_offered)),
        ]
        if self.aim == "both":
            m.d.comb += Assert(~(self.o.valid & (source == 1) & (number == 3) & self.o.payload.last))
        return m


@pytest.mark.parametrize("inputs", [2, 3])
def test_arbiter(inputs, tmp_path):
    prove(ArbiterProof(inputs), tmp_path)
    assert reachable(ArbiterProof(inputs, aim="both"), tmp_path) >= 4


class AxiSourceProof(wiring.Component):
    """Whatever comes by AXI4-Stream, the packet stream keeps its rules, beat for beat, and bad ones are remembered."""

    def __init__(self, *, aim=None):
        self.aim = aim
        super().__init__({"axi": In(axi_signature(AXI_WIDTH)), "o": Out(packet_signature(AXI_WIDTH))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = AxiStreamSource(AXI_WIDTH)
        wiring.connect(m, wiring.flipped(self.axi), dut.axi)
        wiring.connect(m, dut.o, wiring.flipped(self.o))
        assert_packets(m, self.o)
        axi = self.axi
        waiting = Signal()
        beat = Cat(axi.tdata, axi.tkeep, axi.tlast, axi.tuser)
        before = Signal(beat.shape())
        m.d.sync += [waiting.eq(axi.tvalid & ~axi.tready), before.eq(beat)]
        m.d.comb += Assume(~waiting | (axi.tvalid & (beat == before)))

        number = Signal(3)
        bad = Signal()
        full = axi.tkeep.all()
        good_beat = full | (axi.tlast & (axi.tkeep != 0) & ((axi.tkeep & (axi.tkeep + 1)) == 0))
        empty = Mux(full, 0, Mux(axi.tkeep[2], 1, Mux(axi.tkeep[1], 2, 3)))
        with m.If(axi.tvalid & axi.tready):
            m.d.sync += [number.eq(number + 1), bad.eq((bad | ~good_beat) & ~axi.tlast)]
        # The data repeat what must come out of the beat.
        error = axi.tlast & (bad | ~good_beat | axi.tuser[0])
        m.d.comb += Assume(axi.tdata[:5] == Cat(number, axi.tlast, error))
        m.d.comb += Assume(error | (axi.tdata[5:7] == Mux(axi.tlast, empty, 0)))
        payload = self.o.payload
        m.d.comb += [
            Assert(numbered(m, self.o, payload.data[:3])),
            Assert(~self.o.valid | (payload.data[3] == payload.last)),
            Assert(~(self.o.valid & payload.last) | (payload.data[4] == payload.error)),
            Assert(~self.o.valid | (payload.last & payload.error) | (payload.data[5:7] == payload.empty)),
        ]
        if self.aim == "bad":
            m.d.comb += Assert(~(self.o.valid & payload.error & (payload.data[:3] == 3)))
        return m


def test_axi_source(tmp_path):
    prove(AxiSourceProof(), tmp_path)
    assert reachable(AxiSourceProof(aim="bad"), tmp_path) >= 4


class AxiSinkProof(wiring.Component):
    """A packet stream's beats come out one for one, unchanged, and stand still until they are taken."""

    def __init__(self, *, aim=None):
        self.aim = aim
        super().__init__({"i": In(packet_signature(AXI_WIDTH)), "axi": Out(axi_signature(AXI_WIDTH))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = AxiStreamSink(AXI_WIDTH)
        wiring.connect(m, wiring.flipped(self.i), dut.i)
        wiring.connect(m, dut.axi, wiring.flipped(self.axi))
        assume_packets(m, self.i)
        payload = self.i.payload
        m.d.comb += Assume(numbered(m, self.i, payload.data[:3]))
        m.d.comb += Assume(payload.data[3:7] == Cat(payload.last, payload.last & payload.error, payload.empty))
        axi = self.axi
        waiting = Signal()
        beat = Cat(axi.tdata, axi.tkeep, axi.tlast, axi.tuser)
        before = Signal(beat.shape())
        number = Signal(3)
        m.d.sync += [waiting.eq(axi.tvalid & ~axi.tready), before.eq(beat)]
        with m.If(axi.tvalid & axi.tready):
            m.d.sync += number.eq(number + 1)
        m.d.comb += [
            Assert(~waiting | (axi.tvalid & (beat == before))),
            Assert(~axi.tvalid | (axi.tdata[:5] == Cat(number, axi.tlast, axi.tuser[0]))),
            Assert(~axi.tvalid | (axi.tkeep == Const(0xF, 4) >> axi.tdata[5:7])),
            Assert(~axi.tvalid | axi.tlast | (axi.tkeep.all() & ~axi.tuser[0])),
        ]
        if self.aim == "bad":
            m.d.comb += Assert(~(axi.tvalid & axi.tuser[0] & (number == 3)))
        return m


def test_axi_sink(tmp_path):
    prove(AxiSinkProof(), tmp_path)
    assert reachable(AxiSinkProof(aim="bad"), tmp_path) >= 4
