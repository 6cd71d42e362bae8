"""Colorlight 5A-75B 8.2: the pins used here are those of the 5A-75E 6.0, and so is all that is said there of delays.

A PHY (U13) makes the clock. The FPGA is marked as speed 7 on the board described; 6 serves all.
"""

from dataclasses import replace

from . import colorlight_5a_75e_6_0

__all__ = ["BOARD"]

BOARD = replace(
    colorlight_5a_75e_6_0.BOARD,
    name="colorlight-5a-75b-8.2",
    title="Colorlight 5A-75B 8.2",
    port_names=("U11", "U13"),
    source="q3k/chubby75, 5a-75b/hardware_V8.2.md",
)
