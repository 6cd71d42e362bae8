"""Staged parsing: fields are taken from a frame as its beats pass, at one of several places each.

A parser at 8 bits meets a header's bytes one by one; at 512 bits it meets a whole stack of headers in one beat, where
the place of a field depends on another field of the same beat. `BeatPipe` serves both from one description: it keeps
delayed views ("stages") of the beats, and a decision taken at one stage steers what is captured at a later one. How
many stages lie between is worked out at elaboration from the byte positions: where the deciding byte always arrives
in an earlier beat, none are needed, so narrow datapaths cost next to nothing.

The timing rule that everything here keeps: a signal is *at stage s* when, s clocks after a beat was accepted, it
tells what is known of the frame including that beat. A register written from the beat at stage d is at stage d + 1;
a combinational function of signals at stage s is at stage s; delaying by k clocks moves it to s + k.
"""

from collections.abc import Callable, Iterable, Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike

__all__ = ["WIDE", "BeatPipe", "Staged", "Stages", "beats_apart", "first_stage"]

WIDE = 16
"""From so many lanes on, a field has many places in one beat, and a decision is due within few clocks."""


def gap(lanes: int, decided: int, used: int) -> int:
    """Beats between the beat with byte ``decided`` and the one with byte ``used``."""
    return used // lanes - decided // lanes


def beats_apart(lanes: int, first: int) -> int:
    """Least number of clocks from any beat of a frame to the beat with byte ``first`` of a later one."""
    return first // lanes + 1


def first_stage(lanes: int, needs: Iterable[tuple[int, int, int]]) -> int:
    """First stage at which a capture may run.

    Parameters
    ----------
    lanes : int
        Byte lanes of a beat.
    needs : iterable of (stage, decided, used)
        A decision that is at ``stage`` and rests on byte ``decided`` steers the capture of byte ``used``.
    """
    return max([0, *(stage - gap(lanes, decided, used) for stage, decided, used in needs)])


class Staged:
    """A value together with the stage it is at (see the module's timing rule).

    With ``resets``, delaying registers are reset: strobes need that, for a reset may be shorter than the delay.
    ``stands``: for so many clocks longer than its own the value of a frame stands still, whatever comes behind that
    frame; so it needs not be delayed for these.
    """

    def __init__(self, value: ValueLike, stage: int, *, resets: bool = False, stands: int = 0) -> None:
        self.resets = resets
        self.stands = stands
        self.value = Value.cast(value)
        self.stage = stage
        self.chain = [self.value]


class Stages:
    """Moves values between the stages of a feed-forward pipeline."""

    def __init__(self, m: Module) -> None:
        self.m = m

    def at(self, staged: Staged, stage: int) -> Value:
        """The value of ``staged`` at ``stage``.

        A stage before its own gives the value undelayed: the caller has made sure by `first_stage` that the deciding
        byte lies in an earlier beat. So does a stage until which it stands: for a frame whose byte is there, it is
        asked for with that beat or a later one, and the same byte of the next frame comes that much later.
        """
        clocks = max(0, stage - staged.stage - staged.stands)
        while len(staged.chain) <= clocks:
            if len(staged.chain) == 1 and not isinstance(staged.value, Signal):
                staged.chain[0] = self.wire(staged.value)
            delayed = Signal(staged.value.shape(), reset_less=not staged.resets)
            self.m.d.sync += delayed.eq(staged.chain[-1])
            staged.chain.append(delayed)
        return staged.chain[clocks]

    @staticmethod
    def standing(sources: Iterable[Staged], stage: int) -> int:
        """For how many clocks stands what is made of ``sources`` at ``stage``, in as many clocks as it takes."""
        return max(0, min(source.stage + source.stands for source in sources) - stage)

    def register(self, staged: Staged) -> Staged:
        """``staged``, a stage later."""
        stage = staged.stage + 1
        return Staged(self.at(staged, stage), stage, resets=staged.resets, stands=max(0, staged.stands - 1))

    def wire(self, value: ValueLike, *, name: str | None = None) -> Signal:
        """``value`` as a signal. An expression is written out anew wherever it is used; a signal is not."""
        value = Value.cast(value)
        signal = Signal(value.shape(), name=name)
        self.m.d.comb += signal.eq(value)
        return signal


class BeatPipe(Stages):
    """Delayed views of the beats of a packet stream, and captures from them.

    Parameters
    ----------
    m : Module
        Receives the registers.
    lanes : int
        Byte lanes of a beat.
    window : int
        How many bytes of a frame can be captured from.
    valid, data, last : Value
        The beat that is accepted in this clock (``valid`` already includes ``ready``).
    deep : bool
        Let every decision pass a register before it steers a capture: less logic between registers, more clocks.
    rest : int
        Clocks behind each frame's last beat in which none comes: for so long all that is known of the frame stands
        still.

    Attributes
    ----------
    shallow : bool
        Neither ``deep`` nor a wide beat, where decisions are registered in any case when that costs little.

    Notes
    -----
    ``index`` of a view counts the beats of the frame and stands still behind the window. A capture keeps its
    value until the next frame's byte arrives at the same stage: whoever needs it later delays it with `at`.
    Bytes that the frame does not have are left over from earlier frames.
    """

    def __init__(
        self,
        m: Module,
        *,
        lanes: int,
        window: int,
        valid: Value,
        data: Value,
        last: Value,
        deep: bool = False,
        rest: int = 0,
    ) -> None:
        super().__init__(m)
        self.lanes = lanes
        self.deep = deep
        self.rest = rest
        self.shallow = not deep and lanes < WIDE
        self.beats = -(-window // lanes)
        index = Signal(range(self.beats + 1))
        with m.If(valid):
            with m.If(last):
                m.d.sync += index.eq(0)
            with m.Elif(index != self.beats):
                m.d.sync += index.eq(index + 1)
        self.inside = index != 0
        """Between a frame's first beat and its last."""
        self._hits: dict[tuple[int, int], Signal] = {}
        self._tests: dict[tuple[int, int, Callable[[Value], Value]], Signal] = {}
        self._views: list[dict[str, Value]] = [{"valid": valid, "data": data, "last": last, "index": index}]

    def first_stage(self, needs: Iterable[tuple[int, int, int]], *, registered: bool = False) -> int:
        """First stage at which a capture may run whose conditions come from `settled` (see the function above).

        ``registered``: they come from registers anyway.
        """
        more = self.deep and not registered
        return max(
            int(self.deep), first_stage(self.lanes, [(stage + more, decided, used) for stage, decided, used in needs])
        )

    def settled(self, make: Callable[[int], ValueLike], stage: int) -> Signal:
        """What ``make`` gives for a stage, at ``stage``; in a deep pipe it is worked out a stage before."""
        if self.deep:
            return self.register_wire(make(stage - 1))
        return self.wire(make(stage))

    def register_wire(self, value: ValueLike, *, name: str | None = None) -> Signal:
        """``value``, a clock later."""
        value = Value.cast(value)
        register = Signal(value.shape(), name=name, reset_less=True)
        self.m.d.sync += register.eq(value)
        return register

    def view(self, stage: int) -> dict[str, Value]:
        """The beats, ``stage`` clocks after they were accepted: ``valid``, ``data``, ``last``, ``index``."""
        while len(self._views) <= stage:
            depth = len(self._views)
            view: dict[str, Value] = {}
            for name, value in self._views[-1].items():
                delayed = Signal(value.shape(), name=f"{name}_{depth}", reset_less=name != "valid")
                self.m.d.sync += delayed.eq(value)
                view[name] = delayed
            self._views.append(view)
        return self._views[stage]

    def hits(self, stage: int, position: int) -> Value:
        """High while the beat with byte ``position`` of a frame is at ``stage``."""
        key = (stage, position // self.lanes)
        if key not in self._hits:
            # In a deep pipe it is found out a stage before; it is reset, for strobes rest on it.
            ahead = self.deep and stage > 0
            view = self.view(stage - ahead)
            hit = self._hits[key] = Signal(name=f"beat_{key[1]}_at_{stage}")
            domain = self.m.d["sync" if ahead else "comb"]
            domain += hit.eq(view["valid"] & (view["index"] == key[1]))
        return self._hits[key]

    def byte(self, stage: int, position: int) -> Value:
        """The lane in which byte ``position`` of a frame travels, at ``stage``."""
        lane = position % self.lanes
        return self.view(stage)["data"][8 * lane : 8 * lane + 8]

    def capture(self, stage: int, places: Sequence[tuple[int, ValueLike]], length: int, *, name: str) -> Staged:
        """Capture ``length`` bytes of each frame.

        Parameters
        ----------
        stage : int
            Where to take them.
        places : sequence of (int, ValueLike)
            Where the field may begin, each with the condition (at ``stage``) under which it is there; at most one
            holds.
        length : int
            Bytes of the field.

        Returns
        -------
        Staged
            The field as a number, the first byte most significant, at ``stage + 1``.
        """
        conditions = [(start, self.wire(condition)) for start, condition in places]
        selections: dict[tuple[tuple[int, int], ...], Signal] = {}
        captured: list[Value] = []
        for offset in range(length):
            register = Signal(8, name=f"{name}_{offset}", reset_less=True)
            lanes: dict[int, list[tuple[int, int]]] = {}
            for number, (start, _) in enumerate(conditions):
                beat, lane = divmod(start + offset, self.lanes)
                lanes.setdefault(lane, []).append((beat, number))
            chosen: Value = Const(0, 8)
            hits = []
            for lane, sources in lanes.items():
                # Neighbouring bytes mostly come with the same beats, under the same conditions.
                key = tuple(sources)
                if key not in selections:
                    selections[key] = self.wire(
                        Cat(
                            self.hits(stage, beat * self.lanes) & conditions[number][1] for beat, number in sources
                        ).any()
                    )
                hits.append(selections[key])
                byte = self.byte(stage, lane)
                chosen = byte if len(lanes) == 1 else chosen | Mux(hits[-1], byte, 0)
            with self.m.If(Cat(*hits).any()):
                self.m.d.sync += register.eq(chosen)
            captured.append(register)
        return Staged(Cat(*reversed(captured)), stage + 1, stands=self._stands(places))

    def _stands(self, places: Sequence[tuple[int, ValueLike]]) -> int:
        """Clocks before the beat of the next frame that overwrites what was captured."""
        return self.rest + min(start for start, _ in places) // self.lanes

    def capture_test(
        self,
        stage: int,
        places: Sequence[tuple[int, ValueLike]],
        length: int,
        test: Callable[[Value], Value],
        *,
        name: str,
    ) -> Staged:
        """Capture whether ``test`` holds for ``length`` bytes of each frame.

        Like `capture`, but of one bit, and unless the pipe is shallow it is found out a clock ahead, in every lane
        where the field may begin: so the bit comes without the test's depth.

        Parameters
        ----------
        stage, places, length
            As for `capture`.
        test : callable
            From the field as a number, the first byte most significant, to one bit.

        Returns
        -------
        Staged
            The bit, at ``stage + 1``.
        """
        starts = {start % self.lanes for start, _ in places}
        if stage == 0 or self.shallow or max(starts) + length > self.lanes:
            field = self.capture(stage, places, length, name=name)
            return Staged(self.wire(test(field.value)), field.stage)
        hit, passes = [], []
        for start, condition in places:
            lane = start % self.lanes
            key = (stage, lane, test)
            if key not in self._tests:
                ahead = self.view(stage - 1)["data"]
                octets = [ahead[8 * i : 8 * i + 8] for i in range(lane, lane + length)]
                self._tests[key] = Signal(name=f"{name}_in_lane_{lane}", reset_less=True)
                self.m.d.sync += self._tests[key].eq(test(Cat(*reversed(octets))))
            hit.append(self.wire(self.hits(stage, start) & condition))
            passes.append(hit[-1] & self._tests[key])
        register = Signal(name=name, reset_less=True)
        with self.m.If(Cat(*hit).any()):
            self.m.d.sync += register.eq(Cat(*passes).any())
        return Staged(register, stage + 1, stands=self._stands(places))

    def region(self, stage: int, begins: "Edges", ends: "Edges | None" = None, *, name: str) -> Value:
        """Lanes that lie in a region of the frame, at ``stage``.

        Parameters
        ----------
        stage : int
            Where the mask is wanted.
        begins, ends : callable
            From a stage to the positions at which the region may begin (its first byte) and end (the first byte behind
            it), each with the condition under which it does, at that stage; at most one of each holds. No ``ends``: it
            lasts to the frame's end.

        Returns
        -------
        Value
            A bit a lane, combinational.
        """
        begun = self._passed(stage, begins, f"{name}_begun")
        return begun & ~self._passed(stage, ends, f"{name}_ended") if ends is not None else begun

    def _passed(self, stage: int, edges: "Edges", name: str) -> Value:
        """Lanes at the edge that holds or behind it."""
        view = self.view(stage)
        beats = sorted({position // self.lanes for position, _ in edges(stage)})
        masks = []
        for beat in beats:

            def lanes_behind(then: int, beat: int = beat) -> Value:
                here = [
                    (position % self.lanes, self.wire(condition))
                    for position, condition in edges(then)
                    if position // self.lanes == beat
                ]
                # As many different bits as edges: the lanes between two share theirs.
                shared: dict[int, Value] = {}
                lanes: list[Value] = []
                for lane in range(self.lanes):
                    reached = [condition for first, condition in here if first <= lane]
                    if len(reached) not in shared:
                        shared[len(reached)] = self.wire(Cat(reached).any())
                    lanes.append(shared[len(reached)])
                return Cat(lanes)

            masks.append((self.hits(stage, beat * self.lanes), self.settled(lanes_behind, stage)))
        passed = Signal(name=name)
        mask = [
            self.wire(passed | Cat(hit & behind[lane] for hit, behind in masks).any()) for lane in range(self.lanes)
        ]
        with self.m.If(view["valid"]):
            self.m.d.sync += passed.eq(~view["last"] & mask[-1])
        return Cat(*mask)


Edges = Callable[[int], Sequence[tuple[int, ValueLike]]]
"""From a stage to places in a frame, each with the condition, at that stage, under which it counts."""
