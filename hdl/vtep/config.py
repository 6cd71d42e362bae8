"""Elaboration-time parameters of the core, validated: a bad one is refused with its allowed range."""

from dataclasses import dataclass
from enum import Enum

DATA_WIDTHS = (8, 16, 32, 64, 128, 256, 512)
"""Datapath widths, in bits, that every component of the packet stream supports."""

MIN_FRAME_LENGTH_LIMIT = 128
MAX_FRAME_LENGTH_LIMIT = 16383
"""Bounds of ``max_frame_length``: the byte counters of the pipeline are 14 bits wide."""

LENGTH_BITS = 14
"""Width of a frame length inside the core."""


TABLE_LIMITS = {"vnis": 1 << 16, "tunnels": 1 << 12, "fdb_entries": 1 << 20, "flood_entries": 1 << 12}
"""Largest table sizes."""


class Mode(Enum):
    """When a frame may start to leave the core."""

    STORE_AND_FORWARD = "store-and-forward"
    CUT_THROUGH = "cut-through"


def check_data_width(data_width: int) -> int:
    """Return ``data_width`` if it is a datapath width of the packet stream, else raise ValueError."""
    if data_width not in DATA_WIDTHS:
        raise ValueError(f"data_width must be one of {DATA_WIDTHS}, not {data_width!r}")
    return data_width


def check_range(name: str, value: int, low: int, high: int) -> int:
    """Return ``value`` if it is an int within ``low .. high``, else raise ValueError naming the range."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be an integer within {low} .. {high}, not {value!r}")
    return value


def check_power_of_two(name: str, value: int, low: int, high: int) -> int:
    """Return ``value`` if it is a power of two within ``low .. high``, else raise ValueError naming the range."""
    check_range(name, value, low, high)
    if value & (value - 1):
        raise ValueError(f"{name} must be a power of two within {low} .. {high}, not {value!r}")
    return value


@dataclass(frozen=True, kw_only=True)
class VtepParameters:
    """Build parameters of the VTEP core.

    Parameters
    ----------
    data_width : int
        Datapath width in bits: 8, 16, 32, 64, 128, 256 or 512.
    encap_mode, decap_mode : Mode
        Store-and-forward or cut-through, each direction for itself. Cut-through encapsulation needs
        ``tenant_length`` (the length of a frame stands in the headers in front of it) and no
        ``udp_checksum`` (so does the checksum of its payload).
    tenant_length : bool
        The tenant input carries each frame's length beside its first beat.
    encap_queue_bytes, decap_queue_bytes : int or None
        Depth of each direction's frame store, a power of two of beats after rounding up. ``None`` chooses
        twice ``max_frame_length``, or a small one for cut-through decapsulation.
    host_queue_bytes : int or None
        Depth of the store-and-forward queue behind the host input; ``None`` as above.
    vnis, tunnels, fdb_entries, flood_entries : int
        Table sizes: 1 .. 65,536 VNIs, 1 .. 4,096 tunnels, 1 .. 2^20 entries of the forwarding database, 1 .. 4,096
        elements of flood lists (the sum of their lengths).
    ipv6 : bool
        Build the IPv6 underlay. Without it, IPv6 underlay frames go to the host port.
    udp_checksum : bool
        Build the UDP checksum units, both the computing and the verifying one.
    max_frame_length : int
        Longest frame accepted, in bytes without FCS, 128 .. 16383.

    Raises
    ------
    ValueError
        A parameter is out of its range or two contradict each other; the message gives the range.
    """

    data_width: int = 64
    encap_mode: Mode = Mode.STORE_AND_FORWARD
    decap_mode: Mode = Mode.STORE_AND_FORWARD
    tenant_length: bool = False
    encap_queue_bytes: int | None = None
    decap_queue_bytes: int | None = None
    host_queue_bytes: int | None = None
    vnis: int = 16
    tunnels: int = 16
    fdb_entries: int = 64
    flood_entries: int = 64
    ipv6: bool = True
    udp_checksum: bool = True
    max_frame_length: int = 9600

    def __post_init__(self) -> None:
        check_data_width(self.data_width)
        for name in ("encap_mode", "decap_mode"):
            if not isinstance(getattr(self, name), Mode):
                allowed = ", ".join(str(mode) for mode in Mode)
                raise ValueError(f"{name} must be one of {allowed}, not {getattr(self, name)!r}")
        for name, most in TABLE_LIMITS.items():
            check_range(name, getattr(self, name), 1, most)
        check_range("max_frame_length", self.max_frame_length, MIN_FRAME_LENGTH_LIMIT, MAX_FRAME_LENGTH_LIMIT)
        for name in ("encap_queue_bytes", "decap_queue_bytes", "host_queue_bytes"):
            value = getattr(self, name)
            if value is not None:
                check_range(name, value, self._queue_minimum(name), 1 << 24)
        if self.encap_mode is Mode.CUT_THROUGH:
            if not self.tenant_length:
                raise ValueError(
                    "encap_mode cut-through needs tenant_length: the outer headers hold the frame's length"
                )
            if self.udp_checksum:
                raise ValueError(
                    "encap_mode cut-through needs udp_checksum=False: the sum stands in front of its payload"
                )

    def _queue_minimum(self, name: str) -> int:
        if name == "decap_queue_bytes" and self.decap_mode is Mode.CUT_THROUGH:
            return max(256, 32 * self.lanes)
        return self.max_frame_length + 32 * self.lanes

    @property
    def lanes(self) -> int:
        """Byte lanes of the datapath."""
        return self.data_width // 8

    def index_bits(self, table: str) -> int:
        """Bits of an index into the table whose size is the parameter ``table``; one even where it has one entry."""
        return max(1, (getattr(self, table) - 1).bit_length())

    def queue_beats(self, name: str) -> int:
        """Depth in beats, a power of two, of the queue whose parameter is ``name``."""
        wanted = getattr(self, name)
        if wanted is None:
            minimum = self._queue_minimum(name)
            small = name == "decap_queue_bytes" and self.decap_mode is Mode.CUT_THROUGH
            wanted = minimum if small else max(minimum, 2 * self.max_frame_length)
        beats = -(-wanted // self.lanes)
        return 1 << (beats - 1).bit_length()
