"""The designs by name, as the command line builds them for a board."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from vtep.config import Mode
from vtep.control.gateway_registers import release
from vtep.control.initial import Initial, dumps
from vtep.control.registers import build_hash
from vtep.local.neighbors import Neighbor
from vtep_host.config import load
from vtep_host.difference import contents
from vtep_host.neighbors import place
from vtep_host.tables import limits_of

from .facts.board import Board
from .gateway import GATEWAY, NEIGHBORS, Gateway, Host
from .media_converter import MediaConverter
from .registers import configuration_hash

__all__ = ["DESIGNS", "Made"]

Made = tuple[wiring.Component, dict[str, Any]]
"""A design, and what a report is to say of it."""


def _gateway(board: Board, config: Path | None) -> Made:
    initial, neighbors = Initial({}, ()), []
    if config is not None:
        table, placed = place(load(config, limits_of(GATEWAY, NEIGHBORS)), NEIGHBORS)
        initial, neighbors = contents(placed, GATEWAY), [one for one in table if one is not None]
    return _made("gateway", board, initial, neighbors=neighbors)


def _gateway_with_host(host: Host, board: Board, config: Path | None) -> Made:
    if host is Host.PORT and len(board.ports) < 3:
        raise ValueError(f"{board.name} has {len(board.ports)} ports, and a host at a port needs a third one")
    initial = Initial({}, ()) if config is None else contents(load(config, limits_of(GATEWAY)), GATEWAY)
    return _made(f"gateway-{host.value}-host", board, initial, host=host)


def _made(
    name: str,
    board: Board,
    initial: Initial,
    *,
    host: Host = Host.LOCAL,
    neighbors: Sequence[Neighbor] = (),
) -> Made:
    contents_ = "\n".join([dumps(initial, GATEWAY), *map(repr, neighbors)])
    configuration = configuration_hash(board.name, name, contents_)
    parameters = {key: value.value if isinstance(value, Mode) else value for key, value in asdict(GATEWAY).items()}
    in_band = board.phy.status is None
    design = Gateway(GATEWAY, *initial, host=host, initial=neighbors, configuration=configuration, in_band=in_band)
    return design, {
        "design": name,
        "release": ".".join(map(str, release())),
        "build_hash": f"{build_hash(GATEWAY):#010x}",
        "configuration_hash": f"{configuration:#010x}",
        "parameters": parameters,
    }


def _media_converter(board: Board, config: Path | None) -> Made:
    if config is not None:
        raise ValueError("a media converter has no configuration")
    return MediaConverter(in_band=board.phy.status is None), {"design": "media-converter"}


DESIGNS: dict[str, Callable[[Board, Path | None], Made]] = {
    "gateway": _gateway,
    "gateway-serial-host": partial(_gateway_with_host, Host.SERIAL),
    "gateway-port-host": partial(_gateway_with_host, Host.PORT),
    "media-converter": _media_converter,
}
