"""What functional coverage asks for: SPEC.md's rules, the values of every policy, and the crosses that matter.

The rules are those of sections 3 and 4, each outcome by itself. A combination that cannot be is declared so with its
reason, and is an error if it turns up all the same.
"""

from vtep.config import DATA_WIDTHS, Mode
from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS

from .points import Point, cross, plan_of

__all__ = ["PACES", "PLAN", "RULES"]

FAMILIES = ("IPv4", "IPv6")
TAGS = ("none", "802.1Q", "802.1ad")
IP = (*FAMILIES, "not IP")
MARKS = (*(f"{family} ECN {ecn:02b}" for family in FAMILIES for ecn in range(4)), "not IP")
FRAGMENTING = ("IPv4 DF 0", "IPv4 DF 1", "IPv6", "not IP")
PORTED = ("TCP", "UDP", "SCTP", "other", "ports cut off")
FLOWS = (
    *(f"IPv4 {flow}" for flow in (*PORTED, "fragment")),
    *(f"IPv6 {flow}" for flow in (*PORTED, "extension header")),
    "not IP",
)
PACES = ("saturated", "idle clocks", "back-pressure", "idle clocks and back-pressure")
ENDS = ("sent", "dropped of the tenant", "delivered", "to host", "dropped of the underlay", "of the host")
MODES = tuple(mode.value for mode in Mode)
COPIES = ("0", "1", "2 or more")

RULES = (
    "3.1 short frame: drop tenant_runt",
    "3.1 long frame: drop tenant_oversize",
    "3.1 marked frame: drop tenant_error",
    "3.2 VID of a VNI: tag removed",
    "3.2 untagged",
    "3.2 priority tag stays",
    "3.2 802.1ad tag stays",
    "3.2 VID of no VNI: passed to the untagged VNI",
    "3.2 no VNI: drop no_vni",
    "3.2 untagged VNI discards: drop no_vni",
    "3.3 tunnel of the FDB",
    "3.3 flood list",
    "3.3 empty flood list: drop no_tunnel",
    "3.4 outer packet too long: drop mtu",
    "3.5 sent over IPv4",
    "3.5 sent over IPv6",
    "4.1 short frame: drop underlay_runt",
    "4.1 long frame: drop underlay_oversize",
    "4.1 marked frame: drop underlay_error",
    "4.2 another's MAC address: drop not_mine",
    "4.2 own MAC address",
    "4.2 group MAC address",
    "4.2 skipped: promiscuous",
    "4.3 tag skipped",
    "4.3 second tag: to host",
    "4.4 other EtherType: to host",
    "4.4 IPv6 in a build without it: to host",
    "4.5 IPv4 header: drop ip_header",
    "4.5 IPv4 header checksum: drop ip_checksum",
    "4.5 IPv4 length beyond the frame: drop ip_length",
    "4.5 IPv4 length below the header: drop ip_length",
    "4.5 IPv4 options skipped",
    "4.5 padding behind IPv4 cut off",
    "4.5 IPv6 header: drop ip_header",
    "4.5 IPv6 length beyond the frame: drop ip_length",
    "4.5 padding behind IPv6 cut off",
    "4.6 another's IP address: to host",
    "4.6 own IP address",
    "4.6 tunnel's group IP address",
    "4.6 skipped: promiscuous",
    "4.7 not UDP: to host",
    "4.7 IPv6 extension header: to host",
    "4.8 fragment: to host",
    "4.9 no room for a UDP header: drop udp_length",
    "4.9 other port: to host",
    "4.9 UDP length below 16: drop udp_length",
    "4.9 UDP length beyond the IP payload: drop udp_length",
    "4.9 bytes behind the datagram cut off",
    "4.10 zero over IPv4 accepted",
    "4.10 zero over IPv6 accepted",
    "4.10 zero over IPv6: drop udp_checksum",
    "4.10 right sum over IPv4",
    "4.10 right sum over IPv6",
    "4.10 wrong sum over IPv4: drop udp_checksum",
    "4.10 wrong sum over IPv6: drop udp_checksum",
    "4.10 right sum not looked at",
    "4.10 wrong sum not looked at",
    "4.11 I flag not set: drop vxlan_flags",
    "4.11 reserved bits, strict: drop vxlan_reserved",
    "4.11 reserved bits ignored",
    "4.12 VNI not configured: drop unknown_vni",
    "4.13 short inner frame: drop inner_runt",
    "4.14 inner tag: drop inner_vlan",
    "4.14 inner tag passed",
    "4.15 not IP: unchanged",
    "4.15 outer CE, inner Not-ECT: drop ecn",
    "4.15 IPv4 becomes CE",
    "4.15 IPv6 becomes CE",
    "4.15 IPv4 becomes ECT(1)",
    "4.15 IPv6 becomes ECT(1)",
    "4.15 IPv4 unchanged",
    "4.15 IPv6 unchanged",
    "4.16 delivered, tag pushed",
    "4.16 delivered as it is",
    "1 host frame sent unchanged",
)

_NO_FAST_CHECKSUM = "the fields in front of a frame's end would have to hold its checksum: such a build is refused"
_FDB_IS_ONE = "an entry of the FDB names one tunnel"

ENCAP_POINTS = (
    Point(
        "tag form and VNI",
        (
            *(
                f"{form}, {end}"
                for form in ("untagged", "priority tag", "802.1ad tag", "tag cut off")
                for end in ("untagged VNI", "no_vni")
            ),
            "VID, tag removed",
            "VID, untagged VNI",
            "VID, no_vni: there is no untagged VNI",
            "VID, no_vni: the untagged VNI discards",
        ),
    ),
    cross(
        "destination and copies",
        ("in the FDB", "unknown unicast", "group"),
        COPIES,
        impossible={("in the FDB", "0"): _FDB_IS_ONE, ("in the FDB", "2 or more"): _FDB_IS_ONE},
    ),
    Point("copies longer than the MTU", ("none of 1", "1 of 1", "none of many", "some of many", "all of many")),
    cross(
        "underlay, UDP checksum, mode",
        FAMILIES,
        ("zero", "computed"),
        MODES,
        impossible={(None, "computed", Mode.CUT_THROUGH.value): _NO_FAST_CHECKSUM},
    ),
    cross("underlay, outer tag", FAMILIES, ("none", "802.1Q")),
    cross("underlay, remote", FAMILIES, ("unicast", "multicast")),
    cross("underlay, UDP port", FAMILIES, ("of the VTEP", "of the tunnel")),
    cross("underlay, bits of the source port", FAMILIES, ("0", "1 to 15", "16")),
    cross("ttl, inner, underlay", ("fixed", "inherit"), IP, FAMILIES),
    cross("dscp, inner, underlay", ("fixed", "inherit"), IP, FAMILIES),
    cross("df, inner", ("set", "unset", "inherit"), FRAGMENTING),
    cross("ecn, inner, underlay", ("copy", "zero", "linux"), MARKS, FAMILIES),
    cross("flow hash, underlay", FLOWS, FAMILIES),
    cross(
        "inner tags read, inner",
        ("0", "1", "2", "3 or more"),
        IP,
        impossible={("3 or more", family): "fields of IP are read behind at most two tags" for family in FAMILIES},
    ),
    Point("VNI of a sent frame", ("0", "1 to 16777214", "16777215")),
)

DECAP_POINTS = (
    cross("MAC address, promiscuous", ("own", "group", "other"), ("False", "True")),
    cross("IP address, promiscuous, underlay", ("own", "tunnel's group", "other"), ("False", "True"), FAMILIES),
    cross("underlay, received tag, end", FAMILIES, TAGS, ("delivered", "punted", "dropped")),
    cross("underlay, padding behind IP, behind UDP", FAMILIES, ("none", "some"), ("none", "some")),
    Point("bytes of IPv4 options", tuple(str(n) for n in range(0, 44, 4))),
    cross("underlay, received checksum, policy", FAMILIES, ("zero", "right", "wrong"), ("verify", "ignore")),
    cross("zero checksum over IPv6", ("refused", "accepted"), ("verify", "ignore")),
    cross("reserved bits, policy", ("zero", "set"), ("ignore", "strict")),
    cross("inner tag, policy", TAGS, ("pass", "discard")),
    cross("outer ECN, inner, underlay", ("00", "01", "10", "11"), MARKS, FAMILIES),
    cross(
        "inner tags behind the outer header, inner",
        ("0", "1", "2", "3 or more"),
        IP,
        impossible={("3 or more", family): "fields of IP are read behind at most two tags" for family in FAMILIES},
    ),
    Point("UDP port of the VTEP", ("4789", "other")),
    Point("VNI of a delivered frame", ("0", "1 to 16777214", "16777215")),
    cross("VLAN of the VNI, inner tag", ("none", "pushed"), TAGS),
)

EDGES = Point(
    "lengths at an edge",
    (
        "tenant 13: tenant_runt",
        "tenant 14",
        "tenant, the longest",
        "tenant, one longer: tenant_oversize",
        "underlay 13: underlay_runt",
        "underlay 14",
        "underlay, the longest",
        "underlay, one longer: underlay_oversize",
        "inner 13: inner_runt",
        "inner 14",
        "UDP length 15: udp_length",
        "UDP length 16: inner_runt",
        *(f"outer {family} packet, {size}" for family in FAMILIES for size in ("the MTU", "one longer: mtu")),
    ),
)

COMMON_POINTS = (
    Point("rules", RULES),
    cross("counter, mode", (*ENCAP_REASONS, *DECAP_REASONS), MODES),
    cross("end, pace", ENDS, PACES),
    EDGES,
    *(
        Point(
            f"length modulo byte lanes, {what}",
            tuple(f"{width // 8} lanes, {rest}" for width in DATA_WIDTHS for rest in range(width // 8)),
        )
        for what in ("sent", "delivered", "to host", "of the host")
    ),
)

PLAN = plan_of((*COMMON_POINTS, *ENCAP_POINTS, *DECAP_POINTS))
"""All points by name."""
