"""Registers of a gateway beside those of its core: what was built, and the state of its ports."""

import hashlib

from vtep.control.register_map import Choice, Register, RegisterMap, constant_field, status_field

__all__ = ["GATEWAY_BASE", "MAGIC", "configuration_hash", "gateway_registers"]

MAGIC = int.from_bytes(b"GATE")
VERSION = (1, 0)
MAP_BYTES = 1 << 12

GATEWAY_BASE = 1 << 12
"""Byte address of the first one on the gateway's bus; the core's registers begin at 0."""


def configuration_hash(board: str, initial: str) -> int:
    """Tell bitstreams apart: the first 32 bits of the SHA-256 of the board's name and the power-on contents."""
    return int.from_bytes(hashlib.sha256(f"{board}\n{initial}".encode()).digest()[:4])


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
                fields=(constant_field("magic", 0, 32, MAGIC, 'The letters "GATE", the first in the highest byte.'),),
            ),
            Register(
                name="VERSION",
                address=0x004,
                description="Version of these registers.",
                fields=(
                    constant_field("minor", 0, 16, VERSION[1], "Rises when registers or fields are added."),
                    constant_field(
                        "major", 16, 16, VERSION[0], "Rises when something changes that a driver relies on."
                    ),
                ),
            ),
            Register(
                name="CONFIGURATION_HASH",
                address=0x008,
                description="Tells bitstreams of one build apart (the core's BUILD_HASH tells builds apart).",
                fields=(
                    constant_field(
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
                        status_field("up", 0, "It is up.", reset=None),
                        status_field("speed", 1, "Its speed.", width=2, reset=None, choices=speeds),
                        status_field("full_duplex", 3, "It is full duplex.", reset=None),
                    ),
                )
                for number, name in enumerate(("TENANT", "UNDERLAY"))
            ),
        ),
    )
