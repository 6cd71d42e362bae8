"""Lattice ECP5-5G Versa: the ECP5 Versa with another FPGA; pins and delays are the same."""

from dataclasses import replace

from . import versa_ecp5

__all__ = ["BOARD"]

BOARD = replace(versa_ecp5.BOARD, name="versa-ecp5-5g", title="Lattice ECP5-5G Versa", device="um5g-45k")
