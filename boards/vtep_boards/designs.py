"""The designs by name, as the command line builds them for a board."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from vtep.config import Mode, VtepParameters
from vtep.control.initial import Initial, dumps
from vtep.control.registers import build_hash
from vtep.local.neighbors import Neighbor
from vtep_host.config import load
from vtep_host.difference import contents
from vtep_host.neighbors import place
from vtep_host.tables import limits_of

from .facts.board import CAPACITY, Board
from .gateway import GATEWAY, NEIGHBORS, Gateway, Host
from .media_converter import MediaConverter
from .registers import configuration_hash

__all__ = ["DESIGNS", "Made", "gateway_parameters"]

IPV6_LUTS = 40_000
"""A device of so many LUTs has room for an underlay of both families. IPv6 takes some 2,000 of them, with which an
LFE5U-25F would be full to the brim."""

Made = tuple[wiring.Component, dict[str, Any]]
"""A design, and what a report is to say of it."""


def gateway_parameters(board: Board) -> VtepParameters:
    """What the gateway of a board is built with: `GATEWAY`, on small devices with an underlay of IPv4 only."""
    return replace(GATEWAY, ipv6=CAPACITY[board.device]["lut4"] >= IPV6_LUTS)


def _gateway(board: Board, config: Path | None) -> Made:
    build = gateway_parameters(board)
    initial, neighbors = Initial({}, ()), []
    if config is not None:
        table, placed = place(load(config, limits_of(build, NEIGHBORS)), NEIGHBORS)
        initial, neighbors = contents(placed, build), [one for one in table if one is not None]
    return _made("gateway", board, build, initial, neighbors=neighbors)


def _gateway_with_host(host: Host, board: Board, config: Path | None) -> Made:
    if host is Host.PORT and len(board.ports) < 3:
        raise ValueError(f"{board.name} has {len(board.ports)} ports, and a host at a port needs a third one")
    build = gateway_parameters(board)
    initial = Initial({}, ()) if config is None else contents(load(config, limits_of(build)), build)
    return _made(f"gateway-{host.value}-host", board, build, initial, host=host)


def _made(
    name: str,
    board: Board,
    build: VtepParameters,
    initial: Initial,
    *,
    host: Host = Host.LOCAL,
    neighbors: Sequence[Neighbor] = (),
) -> Made:
    configuration = configuration_hash(board.name, "\n".join([dumps(initial, build), *map(repr, neighbors)]))
    parameters = {key: value.value if isinstance(value, Mode) else value for key, value in asdict(build).items()}
    in_band = board.phy.status is None
    design = Gateway(build, *initial, host=host, initial=neighbors, configuration=configuration, in_band=in_band)
    return design, {
        "design": name,
        "build_hash": f"{build_hash(build):#010x}",
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
