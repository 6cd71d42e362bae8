"""Names and addresses of the counters (SPEC.md section 5)."""

from enum import IntEnum

from ..config import VtepParameters

__all__ = ["BANK_SHIFT", "DECAP_REASONS", "ENCAP_REASONS", "PORTS", "Bank", "counter_map"]

ENCAP_REASONS = ("tenant_runt", "tenant_oversize", "tenant_error", "no_vni", "no_tunnel", "mtu")
"""Drop reasons of the encapsulator, in the order of the rules of SPEC.md section 3."""

DECAP_REASONS = (
    "underlay_runt",
    "underlay_oversize",
    "underlay_error",
    "not_mine",
    "ip_header",
    "ip_checksum",
    "ip_length",
    "fragment",
    "udp_length",
    "udp_checksum",
    "vxlan_flags",
    "vxlan_reserved",
    "unknown_vni",
    "inner_runt",
    "inner_vlan",
    "ecn",
)
"""Drop reasons of the decapsulator and its one punt (``fragment``), in the order of SPEC.md section 4."""

PORTS = ("tenant_rx", "tenant_tx", "underlay_rx", "underlay_tx", "host_rx", "host_tx")

BANK_SHIFT = 20
"""Lowest bit of the bank in an address of `counter_map`, above 16 bits of an index and one of the field."""


class Bank(IntEnum):
    """Banks of counters."""

    ENCAP_REASONS = 0
    DECAP_REASONS = 1
    PORTS = 2
    VNI_ENCAP = 3
    VNI_DECAP = 4
    TUNNEL_ENCAP = 5
    TUNNEL_DECAP = 6


COUNTER_ADDRESS_BITS = BANK_SHIFT + 3
"""Width of an address of `counter_map`."""


def counter_map(parameters: VtepParameters) -> dict[str, int]:
    """Address of every counter, as COUNTER_COMMAND takes it.

    Names are those of SPEC.md; per-index ones read ``vni[3].encap_frames``, ``tunnel[0].decap_bytes``, the
    index being that of the table entry. Per VNI and per tunnel, bytes are those of the inner frame as carried
    inside VXLAN, and only frames that were sent or delivered unmarked count. Port counters take every frame that
    passes the port, in bytes without FCS.

    The address is ``bank << 20 | index << 1 | field``: see `Bank`; field 0 frames, 1 bytes (a reason has field 0
    only).
    """
    addresses: dict[str, int] = {}
    for bank, reasons in ((Bank.ENCAP_REASONS, ENCAP_REASONS), (Bank.DECAP_REASONS, DECAP_REASONS)):
        addresses |= {name: bank << BANK_SHIFT | i << 1 for i, name in enumerate(reasons)}
    banks = [
        (Bank.PORTS, PORTS),
        (Bank.VNI_ENCAP, tuple(f"vni[{i}].encap" for i in range(parameters.vnis))),
        (Bank.VNI_DECAP, tuple(f"vni[{i}].decap" for i in range(parameters.vnis))),
        (Bank.TUNNEL_ENCAP, tuple(f"tunnel[{i}].encap" for i in range(parameters.tunnels))),
        (Bank.TUNNEL_DECAP, tuple(f"tunnel[{i}].decap" for i in range(parameters.tunnels))),
    ]
    for bank, names in banks:
        for i, name in enumerate(names):
            for field, quantity in enumerate(("frames", "bytes")):
                addresses[f"{name}_{quantity}"] = bank << BANK_SHIFT | i << 1 | field
    return addresses
