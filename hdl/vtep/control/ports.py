"""Small signatures by which the data plane is told its configuration and tells what happened."""

from collections.abc import Sequence

from amaranth.hdl import Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from ..config import LENGTH_BITS, VtepParameters
from .tables import Table, entry_layout, settings_layout, write_layout

__all__ = ["carried_event", "carried_layout", "config_bus", "entry_of", "reason_event", "writes_to"]


def config_bus(parameters: VtepParameters) -> wiring.Signature:
    """Settings, and the table write of this clock (``enable``), to every block that keeps a table."""
    return wiring.Signature(
        {
            "settings": Out(settings_layout()),
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


def reason_event(reasons: Sequence[str]) -> wiring.Signature:
    """One frame was dropped or punted for ``index`` of ``reasons``."""
    return wiring.Signature({"strobe": Out(1), "index": Out(range(len(reasons)))})


def carried_layout(parameters: VtepParameters) -> data.StructLayout:
    """Whom a frame that was sent or delivered counts for. ``tunnel_used`` 0: for no tunnel."""
    return data.StructLayout(
        {
            "vni": unsigned((parameters.vnis - 1).bit_length()),
            "tunnel": unsigned((parameters.tunnels - 1).bit_length()),
            "tunnel_used": unsigned(1),
            "length": unsigned(LENGTH_BITS),
        }
    )


def carried_event(parameters: VtepParameters) -> wiring.Signature:
    """One frame was sent or delivered."""
    return wiring.Signature({"strobe": Out(1), "frame": Out(carried_layout(parameters))})
