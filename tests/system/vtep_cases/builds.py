"""The parameter sets that the system tests build."""

from dataclasses import dataclass

from vtep.config import DATA_WIDTHS, Mode, VtepParameters
from vtep_sim.cocotb.build import slug

__all__ = ["ALL", "DEEP_WIDTHS", "Build", "slug"]

DEEP_WIDTHS = (8, 64, 512)
"""Widths that a brief run tests in depth."""

CT = Mode.CUT_THROUGH


@dataclass(frozen=True)
class Build:
    """A parameter set; ``deep``: a brief run tests it in depth; ``brief``: a brief run builds it at all."""

    parameters: VtepParameters
    deep: bool
    brief: bool = True

    @property
    def name(self) -> str:
        return slug(self.parameters)


def _plain(width: int) -> Build:
    return Build(VtepParameters(data_width=width), width in DEEP_WIDTHS)


def _cut_through(width: int) -> Build:
    parameters = VtepParameters(
        data_width=width, encap_mode=CT, decap_mode=CT, tenant_length=True, udp_checksum=False
    )
    return Build(parameters, False, width in DEEP_WIDTHS)


ALL = (
    *(_plain(width) for width in DATA_WIDTHS),
    *(_cut_through(width) for width in DATA_WIDTHS),
    Build(VtepParameters(data_width=64, decap_mode=CT), False),
    Build(VtepParameters(data_width=64, ipv6=False, udp_checksum=False, vnis=5, tunnels=5, fdb_entries=7, flood_entries=9), False),
    Build(VtepParameters(data_width=64, ipv6=False, max_frame_length=1518), False),
    Build(VtepParameters(data_width=64, udp_checksum=False, vnis=64, tunnels=64, flood_entries=256), False, False),
    Build(VtepParameters(data_width=32, decap_mode=CT, max_frame_length=128, tenant_length=True), False, False),
)
