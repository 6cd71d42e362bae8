"""The parameter sets that the system tests build."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vtep.config import DATA_WIDTHS, Mode, VtepParameters
from vtep_sim.cocotb.build import TOP, prepare

__all__ = ["ALL", "DEEP_WIDTHS", "Build"]

DEEP_WIDTHS = (8, 64, 512)
"""Widths that a brief run tests in depth."""

BRIEF_WIDTHS = (*DEEP_WIDTHS, 32, 128)
"""Widths that a brief run builds at all."""

CT = Mode.CUT_THROUGH


@dataclass(frozen=True)
class Build:
    """A parameter set; ``deep``: a brief run tests it in depth; ``brief``: a brief run builds it at all."""

    name: str
    parameters: VtepParameters
    deep: bool = False
    brief: bool = True
    top: ClassVar[str] = TOP
    environment: ClassVar[dict[str, str]] = {}

    def prepare(self, root: Path, *, coverage: bool = False) -> Path:
        """Build it, unless it is there."""
        return prepare(self.parameters, root, name=self.name, coverage=coverage)


def _plain(width: int) -> Build:
    parameters = VtepParameters(data_width=width)
    return Build(f"w{width}", parameters, deep=width in DEEP_WIDTHS, brief=width in BRIEF_WIDTHS)


def _cut_through(width: int) -> Build:
    parameters = VtepParameters(data_width=width, encap_mode=CT, decap_mode=CT, tenant_length=True, udp_checksum=False)
    return Build(f"w{width}-ct", parameters, deep=width == 64, brief=width in DEEP_WIDTHS)


ALL = (
    *(_plain(width) for width in DATA_WIDTHS),
    *(_cut_through(width) for width in DATA_WIDTHS),
    Build("w64-decap-ct", VtepParameters(data_width=64, decap_mode=CT)),
    Build(
        "w64-small",
        VtepParameters(
            data_width=64, ipv6=False, udp_checksum=False, vnis=5, tunnels=5, fdb_entries=7, flood_entries=9
        ),
    ),
    Build("w64-ipv4", VtepParameters(data_width=64, ipv6=False, max_frame_length=1518), brief=False),
    Build(
        "w64-large",
        VtepParameters(data_width=64, udp_checksum=False, vnis=64, tunnels=64, flood_entries=256),
        brief=False,
    ),
    Build("w128-jumbo", VtepParameters(data_width=128, max_frame_length=16383), brief=False),
    Build("w32-decap-ct", VtepParameters(data_width=32, decap_mode=CT, max_frame_length=1518), brief=False),
)
