"""The boards, by name: facts only, a file each. Nothing of Amaranth is loaded with them."""

from . import (
    colorlight_5a_75b_7_0,
    colorlight_5a_75b_8_2,
    colorlight_5a_75e_6_0,
    colorlight_5a_75e_8_2,
    colorlight_i5,
    colorlight_i9,
    versa_ecp5,
    versa_ecp5_5g,
)
from .board import Board

__all__ = ["BOARDS"]

BOARDS: dict[str, Board] = {
    module.BOARD.name: module.BOARD
    for module in (
        versa_ecp5,
        versa_ecp5_5g,
        colorlight_5a_75b_7_0,
        colorlight_5a_75b_8_2,
        colorlight_5a_75e_6_0,
        colorlight_5a_75e_8_2,
        colorlight_i5,
        colorlight_i9,
    )
}
