"""What is to be written to a PHY, and where it tells of its link: declarations, without gateware."""

from dataclasses import dataclass

from ..config import check_range

__all__ = ["PhyStatus", "RegisterChange"]

ALL_BITS = 0xFFFF


@dataclass(frozen=True)
class RegisterChange:
    """Put ``value`` into those bits of a PHY's register that ``mask`` has; if it has all, the register is not read."""

    register: int
    value: int
    mask: int = ALL_BITS

    def __post_init__(self) -> None:
        check_range("register", self.register, 0, 31)
        check_range("mask", self.mask, 1, ALL_BITS)
        check_range("value", self.value, 0, ALL_BITS)
        if self.value & ~self.mask:
            raise ValueError(f"value must be within the mask {self.mask:#06x}, not {self.value:#06x}")


@dataclass(frozen=True)
class PhyStatus:
    """Where a PHY tells of its link.

    Attributes
    ----------
    register : int
        On the page that its setup leaves selected.
    link : int
        Bit that is high while the link is up.
    duplex : int
        Bit that is high for full duplex.
    speed : int
        Lower one of two bits with the speed: 0, 1, 2 for 10, 100, 1000 Mb/s.
    """

    register: int
    link: int
    duplex: int
    speed: int

    def __post_init__(self) -> None:
        check_range("register", self.register, 0, 31)
        check_range("link", self.link, 0, 15)
        check_range("duplex", self.duplex, 0, 15)
        check_range("speed", self.speed, 0, 14)
