"""Small signatures by which the data plane is told its configuration and tells what happened."""

from collections.abc import Sequence

from amaranth.hdl import Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import LENGTH_BITS, VtepParameters
from .counters import COUNTER_ADDRESS_BITS
from .tables import Table, entry_layout, settings_layout, table_capacity, write_layout

__all__ = [
    "WRITE_SPACING",
    "carried_event",
    "carried_layout",
    "config_bus",
    "counter_bus",
    "entry_of",
    "entry_read_bus",
    "reason_event",
    "writes_to",
]

WRITE_SPACING = 8
"""Clocks between two table writes that differ: a register access of 4 for the difference, and one for the command."""


SETTLING = 128
"""Clocks for which a change of settings is announced: longer than a header is being made, at any width."""


def config_bus(parameters: VtepParameters) -> wiring.Signature:
    """Settings, and the table write of this clock (``enable``), to every block that keeps a table.

    ``settings`` change all in one clock; ``changes`` is high for `SETTLING` clocks before, so that no header need be
    made of old and new ones.

    ``write`` stands still in the clock behind ``enable`` as well. While frames are inside, a write that is another than
    the one before it comes `WRITE_SPACING` clocks behind that at earliest.
    """
    return wiring.Signature(
        {
            "settings": Out(settings_layout()),
            "changes": Out(1),
            "enable": Out(1),
            "write": Out(write_layout(parameters)),
        }
    )


def writes_to(bus: wiring.PureInterface, table: Table) -> Value:
    """High while an entry of ``table`` is written."""
    return bus.enable & (bus.write.table == table)


def entry_of(bus: wiring.PureInterface, table: Table, parameters: VtepParameters) -> data.View:
    """The entry on the bus, seen as one of ``table``."""
    layout = entry_layout(table, parameters)
    return data.View(layout, bus.write.entry[: layout.size])


def entry_read_bus(parameters: VtepParameters) -> wiring.Signature:
    """Reads of table entries by the control side, one at a time.

    ``strobe`` is high for one clock, ``table`` and ``index`` stand still from then until the answer: ``valid``, high
    for one clock any number of clocks later, and with it ``entry``, an entry of ``table`` in its low bits. Only indices
    within a table are read, and every read is answered. What was written before the read is in the answer.

    Of the key in a hashed table the low bits read as 0, as many as a bucket number of `table_plan` has: the location
    gives them (`TablePlan.key_at`).
    """
    width = max(entry_layout(table, parameters).size for table in Table if table_capacity(table, parameters))
    return wiring.Signature(
        {
            "strobe": Out(1),
            "table": Out(Table),
            "index": Out(write_layout(parameters)["index"].shape),
            "valid": In(1),
            "entry": In(width),
        }
    )


def counter_bus() -> wiring.Signature:
    """Access of the control side to the counters.

    ``requests``: ``address`` of a counter (`counter_map`); ``snapshot`` asks for its copy. ``responses``: its value.
    One request at a time. ``clear`` and ``take_snapshot`` are high for one clock, never both; ``busy`` rises at latest
    in the clock after, and falls when it is done: until then there is no other. A request during that time may wait for
    its end.
    """
    request = data.StructLayout({"address": unsigned(COUNTER_ADDRESS_BITS), "snapshot": unsigned(1)})
    return wiring.Signature(
        {
            "requests": Out(stream.Signature(request)),
            "responses": In(stream.Signature(unsigned(64))),
            "clear": Out(1),
            "take_snapshot": Out(1),
            "busy": In(1),
        }
    )


def reason_event(reasons: Sequence[str]) -> wiring.Signature:
    """One frame was dropped or punted for ``index`` of ``reasons``."""
    return wiring.Signature({"strobe": Out(1), "index": Out(range(len(reasons)))})


def carried_layout(parameters: VtepParameters) -> data.StructLayout:
    """Whom a frame that was sent or delivered counts for. ``tunnel_used`` 0: for no tunnel."""
    return data.StructLayout(
        {
            "vni": unsigned(parameters.index_bits("vnis")),
            "tunnel": unsigned(parameters.index_bits("tunnels")),
            "tunnel_used": unsigned(1),
            "length": unsigned(LENGTH_BITS),
        }
    )


def carried_event(parameters: VtepParameters) -> wiring.Signature:
    """One frame was sent or delivered."""
    return wiring.Signature({"strobe": Out(1), "frame": Out(carried_layout(parameters))})
