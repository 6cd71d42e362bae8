"""Names and addresses of the counters (SPEC.md section 5)."""

from ..config import VtepParameters

__all__ = ["DECAP_REASONS", "ENCAP_REASONS", "PORTS", "counter_map"]

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

COUNTER_ADDRESS_BITS = BANK_SHIFT + 3
"""Width of an address of `counter_map`."""


def counter_map(parameters: VtepParameters) -> dict[str, int]:
    """Address of every counter, as COUNTER_COMMAND takes it.

    Names are those of SPEC.md; per-index ones read ``vni[3].encap_frames``, ``tunnel[0].decap_bytes``, the
    index being that of the table entry. Per VNI and per tunnel, bytes are those of the inner frame as carried
    inside VXLAN, and only frames that were sent or delivered unmarked count. Port counters take every frame that
    passes the port, in bytes without FCS.

    The address is ``bank << 20 | index << 1 | field``: banks 0 reasons of encap, 1 reasons of decap, 2 ports
    (frames, bytes), 3 VNI encap, 4 VNI decap, 5 tunnel encap, 6 tunnel decap; field 0 frames, 1 bytes (a reason has
    field 0 only).
    """
    addresses = {name: i << 1 for i, name in enumerate(ENCAP_REASONS)}
    addresses |= {name: 1 << BANK_SHIFT | i << 1 for i, name in enumerate(DECAP_REASONS)}
    banks: list[tuple[int, tuple[str, ...], str]] = [(2, PORTS, "_")]
    for bank, kind, count in ((3, "vni", parameters.vnis), (5, "tunnel", parameters.tunnels)):
        for offset, way in enumerate(("encap", "decap")):
            banks.append((bank + offset, tuple(f"{kind}[{i}].{way}" for i in range(count)), "_"))
    for bank, names, joint in banks:
        for i, name in enumerate(names):
            for field, quantity in enumerate(("frames", "bytes")):
                addresses[f"{name}{joint}{quantity}"] = bank << BANK_SHIFT | i << 1 | field
    return addresses
