"""The reframer: moves a frame's bytes by a signed distance and lays a prefix over its beginning."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, check_data_width
from ..stream.fifo import TokenQueue
from ..stream.packet import packet_signature
from ..stream.skid import SkidBuffer
from .prefix import PrefixBeats
from .prefix_stream import prefix_beat
from .store import raw_layout

__all__ = ["Reframer", "job_layout", "shift_fields"]

OUTPUT = 8
"""Beats that may wait for a far port."""


def rotations(data_width: int, shifts: Sequence[int]) -> list[int]:
    """Distinct lane rotations that ``shifts`` need, ascending."""
    return sorted({shift % (data_width // 8) for shift in shifts})


def shift_fields(data_width: int, shift: int, shifts: Sequence[int]) -> dict[str, int]:
    """Constants of a job that moves a frame by ``shift`` bytes, one of ``shifts``.

    Returns
    -------
    dict
        ``rotation`` (one-hot), ``lead``, ``preload`` for the job, and ``skip`` for the store's command.
    """
    lanes = data_width // 8
    beats, lane = divmod(shift, lanes)
    preload = beats < 0 and lane != 0
    return {
        "rotation": 1 << rotations(data_width, shifts).index(lane),
        "lead": max(0, beats),
        "preload": int(preload),
        "skip": max(0, -beats - preload),
    }


def job_layout(
    data_width: int, *, shifts: Sequence[int], prefix_bytes: int, user: data.StructLayout
) -> data.StructLayout:
    """One frame's work order for a `Reframer`.

    ``rotation`` .. ``preload``: see `shift_fields`. ``beats``: beats of the outgoing frame less one. ``empty``: empty
    lanes of the last. ``whole``: the frame ends where the stored one does (``beats`` and ``empty`` are ignored; shift
    0 only).
    ``drop``: nothing leaves. ``final``: the last job of this frame. ``prefix``, ``mask``: bytes from the first
    outgoing one on, and which of them replace the frame's (``prefix_bytes`` 0: none of both). ``user``: comes out
    beside the frame.
    """
    lanes = data_width // 8
    lead = max(0, max(shifts) // lanes)
    return data.StructLayout(
        {
            "rotation": unsigned(len(rotations(data_width, shifts))),
            "lead": unsigned(lead.bit_length()),
            "preload": unsigned(1),
            "beats": unsigned(LENGTH_BITS),
            "empty": unsigned((lanes - 1).bit_length()),
            "whole": unsigned(1),
            "drop": unsigned(1),
            "final": unsigned(1),
            "prefix": unsigned(8 * prefix_bytes),
            "mask": unsigned(prefix_bytes),
            "user": user,
        }
    )


class Reframer(wiring.Component):
    """Moves the bytes of frames and lays prefixes over them: the one engine behind header insertion and removal.

    A frame's byte ``j`` leaves as byte ``j + shift``; bytes that would leave before byte 0 are gone, and the frame ends
    where its job says. A positive shift makes room for headers, which the prefix then fills; a negative one removes
    them.

    Parameters
    ----------
    data_width : int
        Width of a beat's data in bits: 8, 16, 32, 64, 128, 256 or 512.
    shifts : sequence of int
        The distances that jobs ask for; each costs one input of the lane rotator, unless another has its lane.
    prefix_bytes : int
        Longest prefix of a job; 0: it has none, and each job that is not dropped takes one of ``prefixes``. With
        ``long``, and without ``tail``.
    user : data.StructLayout
        What a job carries along for the parent.
    tail : bool
        Wait for a token of ``verdicts`` before the last beat leaves (cut-through); otherwise every frame is good.
    long : bool
        A frame that leaves has two beats or more, unless it is ``whole`` or dropped, and ``jobs.payload`` stays for a
        clock behind its transfer, in which ``jobs.valid`` is low (see ``spaced`` of `TokenQueue`). Then a job's first
        clock needs no comparison, and most of its prefix comes a clock later (see `PrefixBeats`).
    far : bool
        ``o`` comes from a small queue, so that nothing in here waits for ``o.ready``: the way to a port is long. Two
        more clocks of latency.

    Attributes
    ----------
    jobs : In(stream)
        Of `job_layout`.
    prefixes : In(stream)
        Of `prefix_beat`; only where ``prefix_bytes`` is 0. The beats of a prefix lie over the first ones that leave, of
        which there are more; or as many, if the prefix has two or more and no pause within: the frame's last beat does
        not wait for one.
    beats : In(stream)
        The frames of the jobs, in order, of `raw_layout`, less the beats that the command skipped.
    verdicts : In(stream)
        One token a frame: 1 marks it bad. Held until the frame's final job has ended. Only with ``tail``.
    o : Out(stream)
        A packet stream. From beat to beat one clock of latency, with the frame's first job known a clock before, or
        three (``far``).
    user : Out
        Of the frame on ``o``, while ``o.valid``.
    ended : Out(1)
        Strobe: a job ended; ``ended_user`` and ``ended_error`` tell which and how. A dropped one ends too.
    busy : Out(1)
        A job or a beat is inside.

    Notes
    -----
    Throughput: a beat of output a clock, from frame to frame as well, as long as jobs and beats are there; a negative
    shift that is no multiple of the beat takes one beat of input before the first one leaves, together with the last
    beat of the frame before if that needs none. So a beat leaves or is taken on every clock. Beats behind the end of
    the outgoing frame are taken and forgotten. A reset forgets the frame under way.
    """

    def __init__(
        self,
        data_width: int,
        *,
        shifts: Sequence[int],
        prefix_bytes: int,
        user: data.StructLayout,
        tail: bool = False,
        long: bool = False,
        far: bool = False,
    ) -> None:
        check_data_width(data_width)
        if prefix_bytes < 0:
            raise ValueError(f"prefix_bytes must be 0 or more, not {prefix_bytes}")
        if prefix_bytes == 0 and (tail or not long):
            raise ValueError("prefix_bytes must be 1 or more with tail or without long, not 0")
        if not shifts:
            raise ValueError("shifts must hold at least one distance")
        self._data_width = data_width
        self._shifts = tuple(shifts)
        self._prefix_bytes = prefix_bytes
        self._tail = tail
        self._long = long
        self._far = far
        self._job = job_layout(data_width, shifts=shifts, prefix_bytes=prefix_bytes, user=user)
        streamed = {"prefixes": In(stream.Signature(prefix_beat(data_width)))} if prefix_bytes == 0 else {}
        super().__init__(
            {
                "jobs": In(stream.Signature(self._job)),
                **streamed,
                "beats": In(stream.Signature(raw_layout(data_width))),
                "verdicts": In(stream.Signature(unsigned(1))),
                "o": Out(packet_signature(data_width)),
                "user": Out(user),
                "ended": Out(1),
                "ended_user": Out(user),
                "ended_error": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._data_width // 8
        beat = self.beats.payload

        active = Signal()
        kept = {name: field.shape for name, field in self._job if name not in ("prefix", "mask")}
        job = Signal(data.StructLayout(kept), reset_less=True)
        previous = Signal(self._data_width, reset_less=True)
        preload = Signal()
        consumed = Signal()  # the frame's last beat has been taken
        at_last = Signal()  # job.beats is 0
        leading = Signal()  # job.lead is not 0
        finishing = Signal()  # neither `leading` nor short of the last beat: `at_last`, or the stored frame tells
        forming = Signal()  # a job that is not dropped forms beats: active, no longer in `preload`, not yet in `drain`
        drain = Signal()  # the outgoing frame is complete, the stored one is not yet at its end

        pending = Signal()  # the last beat stands in the output register and waits for its verdict

        # What leaves, and what goes beside it; `free` says that a beat which is formed now will find its place.
        leaving = data.StructLayout({"packet": self.o.payload.shape(), "user": self.user.shape()})
        formed = stream.Signature(leaving).create()
        beat_out = Signal(leaving, reset_less=True)
        m.d.comb += formed.payload.eq(beat_out)
        free = Signal()
        waiting: Value = formed.valid
        if self._far:
            m.submodules.output = output = TokenQueue(leaving, OUTPUT, margin=1)
            m.submodules.port = port = SkidBuffer(leaving)
            wiring.connect(m, formed, output.i)
            wiring.connect(m, output.o, port.i)
            m.d.comb += free.eq(output.room)
            waiting, source = formed.valid | output.o.valid | port.o.valid, port.o
        else:
            m.d.comb += free.eq(~formed.valid | formed.ready)
            source = formed
        m.d.comb += [
            self.o.valid.eq(source.valid),
            self.o.payload.eq(source.payload.packet),
            self.user.eq(source.payload.user),
            source.ready.eq(self.o.ready),
        ]

        advance = Signal()
        verdict = Signal()
        known = Signal()
        if self._tail:
            m.d.comb += [verdict.eq(self.verdicts.payload), known.eq(self.verdicts.valid)]
        else:
            m.d.comb += known.eq(1)
        m.d.comb += advance.eq(~pending & free)

        covered = Signal()  # beats of a prefix are to come
        streamed = self._prefix_bytes == 0
        prefix_there = ~covered | self.prefixes.valid if streamed else Const(1)

        # One step a clock: `emit` forms a beat, `take` uses one of the frame's.
        need = ~leading & ~consumed
        final_step = consumed | Mux(job.whole, beat.last, at_last)
        able = Signal()  # `emit`, but for `advance`, which comes late
        emit = Signal()
        take = Signal()
        drop = Signal()
        # The last beat that leaves may need none of its own frame: then the next frame's first one is taken with it.
        following = self.jobs.payload
        # What the distances rule out needs no logic where a job comes in.
        constants = [shift_fields(self._data_width, shift, self._shifts) for shift in self._shifts]
        preloads = following.preload if any(each["preload"] for each in constants) else Const(0)
        leads = Const(1) if all(each["lead"] for each in constants) else following.lead != 0
        single = Const(0) if self._long else following.beats == 0
        early = Signal()
        m.d.comb += [
            able.eq(forming & (~need | self.beats.valid) & prefix_there),
            emit.eq(able & advance),
            drop.eq(active & job.drop & known),
            early.eq(
                able & consumed & known & self.beats.valid & self.jobs.valid & preloads & ~following.drop & advance
            ),
            take.eq(self.beats.valid & active & ~job.drop & (preload | (drain & ~consumed) | (emit & need) | early)),
            self.beats.ready.eq(take),
        ]
        last = Signal()
        settle = Signal()
        # The job is done with its last beat out and the frame's last beat in, which may be one step or two.
        both = Signal()
        drained = Signal()
        m.d.comb += [
            both.eq(forming & known & (consumed | (self.beats.valid & beat.last & finishing))),
            drained.eq(drain & (consumed | (self.beats.valid & beat.last)) & (~pending | known)),
            last.eq(emit & final_step),
            settle.eq((last | pending) & known),
            self.ended.eq(drop | settle),
            self.ended_user.eq(job.user),
            self.ended_error.eq(verdict),
            # Drain while the verdict is awaited: it comes with the end of the stored frame, which must find room.
            self.jobs.ready.eq(~active | drop | drained | (both & advance)),
        ]
        if self._tail:
            m.d.comb += self.verdicts.ready.eq(self.ended & job.final)

        with m.If(take):
            m.d.sync += [previous.eq(beat.data), preload.eq(0), consumed.eq(beat.last)]
        with m.If(take & preload):
            m.d.sync += forming.eq(1)
        led = job.lead != 1  # `leading` after this beat
        with m.If(emit):
            with m.If(leading):
                m.d.sync += [job.lead.eq(job.lead - 1), leading.eq(led)]
            m.d.sync += [
                job.beats.eq(job.beats - 1),
                at_last.eq(job.beats == 1),
                finishing.eq(~(leading & led) & (job.whole | (job.beats == 1))),
            ]
        with m.If(last):
            m.d.sync += [drain.eq(1), forming.eq(0)]
        with m.If(self.jobs.ready):
            m.d.sync += [
                active.eq(self.jobs.valid),
                forming.eq(self.jobs.valid & ~following.drop & ~(preloads & ~early)),
                *(job[name].eq(following[name]) for name in kept),
                preload.eq(preloads & ~early),
                leading.eq(leads),
                at_last.eq(single),
                finishing.eq(~leads & (following.whole | single)),
                consumed.eq(early & beat.last),
                drain.eq(0),
            ]
        over, covers = self._prefix(m, emit, job.drop, covered)
        m.d.sync += pending.eq((last | pending) & ~known)

        # The beat that leaves: two neighbouring beats through the lane rotator, under the prefix.
        neighbours = Cat(previous, beat.data)
        lower = rotations(self._data_width, self._shifts)
        moved = []
        for lane in range(lanes):
            byte = 0
            for i, rotation in enumerate(lower):
                source = neighbours.word_select(lanes + lane - rotation, 8)
                byte |= Mux(job.rotation[i], source, 0)
            if lane < len(covers):
                byte = Mux(covers[lane], over.word_select(lane, 8), byte)
            moved.append(byte)
        with m.If(advance):
            m.d.sync += formed.valid.eq(emit & (~final_step | known))
        with m.Elif(settle):
            m.d.sync += formed.valid.eq(1)
        with m.Elif(formed.ready):
            m.d.sync += formed.valid.eq(0)
        packet = beat_out.packet
        with m.If(emit):
            m.d.sync += [
                packet.data.eq(Cat(*moved)),
                packet.last.eq(final_step),
                packet.empty.eq(Mux(final_step, Mux(job.whole, beat.empty, job.empty), 0)),
                beat_out.user.eq(job.user),
            ]
        with m.If(emit | pending):
            m.d.sync += packet.error.eq(settle & verdict)
        m.d.comb += self.busy.eq(active | waiting | self.beats.valid | self.jobs.valid)
        return m

    def _prefix(self, m: Module, emit: Value, drop: Value, covered: Signal) -> tuple[Value, Value]:
        """Bytes that lie over the beat that ``emit`` forms, and in which lanes they do."""
        following = self.jobs.payload
        if self._prefix_bytes == 0:
            beat = self.prefixes.payload
            m.d.comb += self.prefixes.ready.eq(emit & covered)
            with m.If(self.jobs.ready):
                m.d.sync += covered.eq(self.jobs.valid & ~following.drop)
            with m.Elif(emit & self.prefixes.payload.last):
                m.d.sync += covered.eq(0)
            return beat.data, beat.lanes & covered.replicate(len(beat.lanes))
        m.submodules.prefix = prefix = PrefixBeats(self._data_width, self._prefix_bytes, late=self._long)
        m.d.comb += [
            prefix.load.eq(self.jobs.ready),
            prefix.step.eq(emit),
            prefix.prefix.eq(following.prefix),
            prefix.mask.eq(following.mask),
            prefix.zero.eq(drop),
        ]
        return prefix.data, prefix.lanes[: self._prefix_bytes]
