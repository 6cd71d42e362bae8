"""Counts, inside a simulation, what went through the core, once the scoreboard has found it right.

A frame and what the golden model made of it wait until the core's outputs and its counters were compared with that
model and no difference was found: then what was predicted is what was seen. What a reset cuts, or a difference spoils,
is not counted.
"""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from vtep.config import VtepParameters
from vtep_host.config import Config

from ..golden import Frame, GoldenModel
from . import VARIABLE
from .plan import PLAN
from .points import Hits
from .sampler import Sampler

__all__ = ["Observer", "observer_of", "write_hits"]

_hits = Hits(PLAN)
"""Those of this process, which is one simulation."""


class Observer:
    """Observes one bench.

    Parameters
    ----------
    parameters : VtepParameters
        What the core was built with.
    pace : str
        One of `plan.PACES`.
    hits : Hits
        Where hits are counted.
    path : Path or None
        Where they are written after each comparison.
    """

    def __init__(self, parameters: VtepParameters, pace: str, hits: Hits, path: Path | None = None) -> None:
        self.parameters = parameters
        self.pace = pace
        self.hits = hits
        self.path = path
        self._waiting: list[Callable[[], None]] = []

    def watch(self, model: GoldenModel, config: Config) -> None:
        """Note what ``model``, which runs ``config``, makes of each frame from now on."""
        sampler = Sampler(self.hits, config, self.parameters, self.pace)
        self._note(model.encapsulator, sampler.tenant)
        self._note(model.decapsulator, sampler.underlay)
        run = model.run

        def whole(tenant: Any = (), underlay: Any = (), host: Any = ()) -> Any:
            frames: list[Frame] = list(host)
            self._waiting += [partial(sampler.host, frame.data) for frame in frames]
            return run(tenant, underlay, frames)

        model.run = whole  # type: ignore[method-assign]  # observed from outside: the model knows nothing of it

    def _note(self, part: Any, sample: Callable[[bytes, bool, Any], None]) -> None:
        run = part.run

        def noted(frame: bytes, error: bool) -> Any:
            result = run(frame, error)
            self._waiting.append(lambda: sample(frame, error, result))
            return result

        part.run = noted

    def confirm(self) -> None:
        """Outputs and counters are as the model said: count what waits."""
        waiting, self._waiting = self._waiting, []
        for count in waiting:
            count()
        if self.path is not None:
            write_hits(self.path, self.parameters, self.hits)

    def discard(self) -> None:
        """Forget what waits."""
        self._waiting = []


def write_hits(path: Path, parameters: VtepParameters, hits: Hits) -> None:
    """Write the hits of a simulation, whole or not at all."""
    points = {point: {name: n for name, n in bins.items() if n} for point, bins in hits.by_point().items()}
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"parameters": str(parameters), "points": points}), encoding="utf-8")
    part.replace(path)


def observer_of(parameters: VtepParameters, pace: str) -> Observer | None:
    """Make the observer of a bench, where the environment asks for coverage."""
    path = os.environ.get(VARIABLE)
    return Observer(parameters, pace, _hits, Path(path)) if path else None
