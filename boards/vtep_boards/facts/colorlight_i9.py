"""Colorlight i9 7.2 on its extension board: the i5 with another FPGA and the LED elsewhere; delays are the same."""

from dataclasses import replace

from . import colorlight_i5
from .board import Board, Led

__all__ = ["BOARD"]

BOARD = replace(
    colorlight_i5.BOARD,
    name="colorlight-i9",
    title="Colorlight i9 7.2 with extension board",
    device="45k",
    leds=(Led("L2"),),
    loader=("--board", "colorlight-i9"),
    seeds=Board.seeds,
)
