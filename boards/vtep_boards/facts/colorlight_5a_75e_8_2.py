"""Colorlight 5A-75E 8.2: the FPGA's pins are those of 6.0, and so is all that is said there of delays and of the clock.

Its description does not say where the clock is from; as a PHY makes it on the boards around it, it is taken to do so
here. The FPGA is marked as speed 7 on one such board and as 6 on another: 6 serves both.
"""

from dataclasses import replace

from . import colorlight_5a_75e_6_0

__all__ = ["BOARD"]

BOARD = replace(
    colorlight_5a_75e_6_0.BOARD,
    name="colorlight-5a-75e-8.2",
    title="Colorlight 5A-75E 8.2",
    source="q3k/chubby75, 5a-75e/hardware_V8.2.md",
)
