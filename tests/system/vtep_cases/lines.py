"""What the benches of lines have in common: periods, speeds, and carriers as the models take them."""

from collections.abc import Iterable
from typing import Any

from cocotb.triggers import Timer
from cocotbext.eth import GmiiFrame, XgmiiFrame

from vtep.mac.gmii import Speed

from .mac_carriers import Carrier

__all__ = ["NS", "SPEEDS", "even", "gmii_frame", "lanes", "until_quiet", "xgmii_frame"]

NS = 1_000_000  # femtoseconds
SPEEDS = {1000: Speed.MBPS_1000, 100: Speed.MBPS_100, 10: Speed.MBPS_10}
XGMII_ERROR = 0xFE


def even(time: float) -> int:
    """A period that has a half, in femtoseconds."""
    return 2 * round(time / 2)


def gmii_frame(carrier: Carrier) -> GmiiFrame:
    return GmiiFrame(carrier.content, _marks(carrier))


def xgmii_frame(carrier: Carrier) -> XgmiiFrame:
    return XgmiiFrame(lanes(carrier), _marks(carrier))


def lanes(carrier: Carrier) -> list[int]:
    """On an XGMII, a byte that comes with an error is lost: an error character stands in its place."""
    return [XGMII_ERROR if place in carrier.errors else byte for place, byte in enumerate(carrier.content)]


def _marks(carrier: Carrier) -> list[int]:
    return [int(place in carrier.errors) for place in range(len(carrier.content))]


async def until_quiet(lines: Iterable[Any], microseconds: int) -> None:
    """Wait until nothing waited for ``lines``, nor left on one, for so many microseconds: more than a frame takes.

    What leaves is known by its end, as `idle` of cocotbext-eth's sinks is always true.
    """
    lines, idle, left = list(lines), 0, [-1]
    while idle < microseconds:
        await Timer(1, "us")
        before, left = left, [line.tx.count() for line in lines]
        idle = idle + 1 if left == before and all(line.rx.idle() for line in lines) else 0
