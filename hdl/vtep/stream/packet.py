"""The packet stream: one payload layout for every datapath width."""

from amaranth.hdl import Module, unsigned
from amaranth.lib import data, stream, wiring

from ..config import LENGTH_BITS, check_data_width

__all__ = ["connect_packets", "packet_layout", "packet_signature"]


def packet_layout(data_width: int, *, length: bool = False) -> data.StructLayout:
    """Payload of a packet stream.

    Parameters
    ----------
    data_width : int
        Width of ``data`` in bits: 8, 16, 32, 64, 128, 256 or 512.
    length : bool
        Adds ``length``, the frame's length in bytes, valid beside the frame's first beat.

    Returns
    -------
    data.StructLayout
        ``data``: byte lane 0 (the low 8 bits) is the first byte on the wire. ``empty``: how many of the
        highest lanes hold no byte; 0 except on the last beat, and never all lanes (the field is 0 bits
        wide at 8 bits). The bytes of empty lanes are unspecified. ``last``: the beat ends the packet.
        ``error``: meaningful on the last beat only: the packet is bad, drop it or pass it on marked.
    """
    check_data_width(data_width)
    lanes = data_width // 8
    fields = {
        "data": unsigned(data_width),
        "empty": unsigned((lanes - 1).bit_length()),
        "last": unsigned(1),
        "error": unsigned(1),
    }
    if length:
        fields["length"] = unsigned(LENGTH_BITS)
    return data.StructLayout(fields)


def packet_signature(data_width: int, *, length: bool = False) -> stream.Signature:
    """Stream signature whose payload is `packet_layout`.

    ``valid`` does not wait for ``ready``, and the payload stands still while ``valid & ~ready``.
    """
    return stream.Signature(packet_layout(data_width, length=length))


def connect_packets(m: Module, source: wiring.PureInterface, sink: wiring.PureInterface) -> None:
    """Connect two packet streams, refusing payloads of different layouts.

    Amaranth's `connect` compares only widths of ports, so it would join streams of equal width and
    different meaning without a word.

    Raises
    ------
    TypeError
        The payload layouts differ.
    """
    if source.payload.shape() != sink.payload.shape():
        raise TypeError(f"payload layouts differ: {source.payload.shape()!r} and {sink.payload.shape()!r}")
    wiring.connect(m, source, sink)
