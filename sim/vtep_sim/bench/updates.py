"""Bubbles while the control plane writes as fast as it can into a full FDB, and moves the entry that the frames need.

A frame that did not find its entry would be lost, and lost frames end the bench: there is no flood list.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from random import Random

from vtep.control.tables import Table, TableEntry
from vtep_host.controller import Controller
from vtep_host.device import Device
from vtep_host.image import Image
from vtep_host.placement import TableFullError

from ..harness import Recorder, Simulator
from .bubbles import Rate, beats_of, check_nothing_lost, frames_of, rates_of
from .traffic import config_for

__all__ = ["UpdateRate", "measure_updates"]

INNER_LENGTH = 60
"""The shortest: the most lookups."""

LEAST_CLOCKS = 8
"""Of one access over AXI4-Lite."""


@dataclass(frozen=True)
class UpdateRate(Rate):
    """One direction, while entries are written.

    ``fill`` is the share of the FDB's ``fdb_entries`` locations that are taken, 0 .. 1. ``writes`` entries were written
    in ``run_clocks``, and the entry that every frame needs got ``moves`` times another place.
    """

    fdb_entries: int
    fill: float
    writes: int
    moves: int
    run_clocks: int


def _fill(image: Image, vni: int, rng: Random) -> Iterator[TableEntry]:
    """Random entries until one is refused."""
    with suppress(TableFullError):
        while True:
            yield from image.insert(Table.FDB, {"vni": vni, "mac": rng.getrandbits(48)})


def _move(image: Image, key: int, fields: dict[str, int], rng: Random) -> tuple[list[TableEntry], bool]:
    """Give an entry another place, whose occupant goes, and fill the one it had; whether it was moved."""
    placed = image.placed[Table.FDB]
    at = {location: other for location, other, _ in placed.entries()}
    here = next(location for location, other in at.items() if other == key)
    place = rng.choice([location for location in placed.plan.locations(key) if location != here])
    writes = image.delete(Table.FDB, at[place]) if place in at else []
    cleared = image.delete(Table.FDB, key)  # written last: until then it stands at both places
    written = image.insert(Table.FDB, fields)
    writes += written
    moved = written[-1].location != here
    if moved:
        writes += cleared
    with suppress(TableFullError):
        writes += image.insert(Table.FDB, {"vni": fields["vni"], "mac": rng.getrandbits(48)})
    return writes, moved


def measure_updates(simulator: Simulator, *, seed: int) -> Iterator[UpdateRate]:
    """Measure both directions at once, with minimum frames over IPv4.

    Raises
    ------
    AssertionError
        Frames were lost, an access was refused, or the tables do not hold in the end what they should.
    """
    parameters = simulator.parameters
    rng = Random(seed)
    simulator.reset()
    config = config_for("ipv4", udp_checksum=parameters.udp_checksum)
    config = replace(config, vnis=tuple(replace(vni, flood=()) for vni in config.vnis))
    recorder = Recorder(simulator)
    device = Device(recorder, expected=parameters)
    controller = Controller(device)
    controller.apply(config)
    image = controller.state.image
    ((key, fields),) = image.hashed(Table.FDB).items()
    for entry in _fill(image, fields["vni"], rng):
        device.write_entry(*entry)
    fill = image.placed[Table.FDB].fill

    tenant, outer = frames_of(INNER_LENGTH, "ipv4", parameters.lanes, seed)
    needed = 2 * len(outer) * beats_of(len(outer[0].data), parameters.lanes)
    writes = moves = 0
    with recorder.noting() as accesses:
        while len(accesses) * LEAST_CLOCKS < needed:
            entries, moved = _move(image, key, fields, rng)
            for entry in entries:
                device.write_entry(*entry)
            writes, moves = writes + len(entries), moves + moved
    simulator.config = config
    simulator.queue_accesses(accesses)
    result = simulator.run(tenant=tenant, underlay=outer)
    answers = simulator.take_answers()
    if len(answers) != len(accesses) or any(response for _, response in answers):
        raise AssertionError("an access was refused")
    check_nothing_lost(result, simulator.counters(), len(tenant))
    if differences := controller.verify():
        raise AssertionError(f"the tables hold something else than was written: {differences[0]}")
    if max(result.underlay[-1].last, result.tenant[-1].last) >= result.last_clock - LEAST_CLOCKS:
        raise AssertionError("the writes ended before the frames")
    for rate in rates_of(result, tenant, outer, parameters, "ipv4", INNER_LENGTH):
        yield UpdateRate(
            **asdict(rate),
            fdb_entries=image.placed[Table.FDB].plan.capacity,
            fill=fill,
            writes=writes,
            moves=moves,
            run_clocks=result.clocks,
        )
