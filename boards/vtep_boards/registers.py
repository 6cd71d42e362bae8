"""Registers of a gateway beside those of its core: what was built, and the state of its ports."""

import hashlib

from vtep.control.register_map import Access, Choice, Field, Register, RegisterMap

__all__ = ["GATEWAY_BASE", "MAGIC", "configuration_hash", "gateway_registers"]

MAGIC = int.from_bytes(b"GATE")
VERSION = (1, 0)
MAP_BYTES = 1 << 12

GATEWAY_BASE = 1 << 12
"""Byte address of the first one on the gateway's bus; the core's registers begin at 0."""


def configuration_hash(board: str, initial: str) -> int:
    """Tell bitstreams apart: the first 32 bits of the SHA-256 of the board's name and the power-on contents."""
    return int.from_bytes(hashlib.sha256(f"{board}\n{initial}".encode()).digest()[:4])


def _constant(name: str, low: int, width: int, value: int, description: str) -> Field:
    return Field(name=name, low=low, width=width, access=Access.READ_ONLY, reset=value, description=description)


def _status(name: str, low: int, width: int, description: str, choices: dict[str, Choice] | None = None) -> Field:
    return Field(
        name=name,
        low=low,
        width=width,
        access=Access.READ_ONLY,
        volatile=True,
        reset=None,
        description=description,
        choices=choices or {},
    )


def gateway_registers(configuration: int) -> RegisterMap:
    """Declare the registers; ``configuration`` is `configuration_hash`."""
    speeds = {f"MBPS_{10**power}": Choice(power - 1, f"{10**power} Mb/s.") for power in (1, 2, 3)}
    return RegisterMap(
        name="gateway",
        title="OpenVTEP gateway",
        description="What a gateway has beside its core. All registers can only be read.",
        size=MAP_BYTES,
        registers=(
            Register(
                name="MAGIC",
                address=0x000,
                description="What this is.",
                fields=(_constant("magic", 0, 32, MAGIC, 'The letters "GATE", the first in the highest byte.'),),
            ),
            Register(
                name="VERSION",
                address=0x004,
                description="Version of these registers.",
                fields=(
                    _constant("minor", 0, 16, VERSION[1], "Rises when registers or fields are added."),
                    _constant("major", 16, 16, VERSION[0], "Rises when something changes that a driver relies on."),
                ),
            ),
            Register(
                name="CONFIGURATION_HASH",
                address=0x008,
                description="Tells bitstreams of one build apart (the core's BUILD_HASH tells builds apart).",
                fields=(
                    _constant(
                        "hash", 0, 32, configuration, "First 32 bits of a SHA-256 of board and power-on contents."
                    ),
                ),
            ),
            *(
                Register(
                    name=f"{name}_LINK",
                    address=0x010 + 4 * number,
                    description=f"Link of the {name.lower()}'s port.",
                    fields=(
                        _status("up", 0, 1, "It is up."),
                        _status("speed", 1, 2, "Its speed.", speeds),
                        _status("full_duplex", 3, 1, "It is full duplex."),
                    ),
                )
                for number, name in enumerate(("TENANT", "UNDERLAY"))
            ),
        ),
    )
