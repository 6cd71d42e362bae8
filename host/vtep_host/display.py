"""What a person sees of a device: tables on a terminal, wide lines elsewhere."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.table import Table

from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS, PORTS
from vtep.control.gateway_registers import LOCAL_EVENTS, MAC_COUNTERS
from vtep.control.gateway_registers import PORTS as GATEWAY_PORTS

__all__ = ["configuration", "console", "counter_tables", "device_line", "gateway_tables"]

ABBREVIATED = 200
"""Rows beyond which a table of the FDB is cut; ``--json`` has all."""


def console() -> Console:
    """Make a console for stdout; where that is no terminal, wide enough not to break tables."""
    made = Console(highlight=False, soft_wrap=True)
    return made if made.is_terminal else Console(highlight=False, width=160, soft_wrap=True)


def device_line(device: Mapping[str, Any]) -> str:
    """One line on a device, from what ``show --json`` has of it."""
    parameters = device["parameters"]
    tables = ", ".join(f"{parameters[name]} {name}" for name in ("vnis", "tunnels", "fdb_entries", "flood_entries"))
    modes = f"encap {parameters['encap_mode']}, decap {parameters['decap_mode']}"
    return f"VTEP, registers {device['version']}, {parameters['data_width']} bits, {modes}; {tables}"


def configuration(config: Mapping[str, Any]) -> Iterable[Table]:
    """Tables of a configuration as `plain` gives it."""
    vtep = Table("setting", "value", title="vtep", title_justify="left")
    for name, value in config["vtep"].items():
        vtep.add_row(name, _text(value))
    yield vtep
    for name in ("vni", "tunnel", "fdb"):
        entries = config[name]
        if not entries:
            continue
        table = Table(*entries[0], title=f"{name}: {len(entries)}", title_justify="left")
        for entry in entries[:ABBREVIATED]:
            table.add_row(*map(_text, entry.values()))
        if len(entries) > ABBREVIATED:
            table.caption = f"and {len(entries) - ABBREVIATED} more: --json has all"
        yield table


def gateway_tables(gateway: Mapping[str, Any]) -> Iterable[Table]:
    """Tables of a gateway, from what ``show --json`` has of it."""
    title = (
        f"gateway {gateway['release']}, registers {gateway['version']}, configuration {gateway['configuration_hash']}"
    )
    links = Table("port", "link", "Mb/s", "duplex", title=title, title_justify="left")
    for port, link in gateway["links"].items():
        up = (str(link["speed"]), "full" if link["full_duplex"] else "half") if link["up"] else ("-", "-")
        links.add_row(port, "up" if link["up"] else "down", *up)
    yield links
    neighbors = gateway["neighbors"]
    if neighbors:
        table = Table(*neighbors[0], title=f"neighbors: {len(neighbors)}", title_justify="left")
        for neighbor in neighbors:
            table.add_row(*map(_text, neighbor.values()))
        yield table
    yield from _gateway_counters(gateway["counters"], None)


def _gateway_counters(counters: Mapping[str, int], rates: Mapping[str, float] | None) -> Iterable[Table]:
    """Statistics of the ports, and what the local stack counts; zeros are left out."""
    for heading, owners, names in (
        ("port statistics", GATEWAY_PORTS, MAC_COUNTERS),
        ("local stack", ("local",), LOCAL_EVENTS),
    ):
        table = Table(heading, title_justify="left")
        for owner in owners:
            table.add_column(owner if len(owners) > 1 else "events", justify="right")
            if rates is not None:
                table.add_column("1/s", justify="right")
        for name in names:
            found = [f"{owner}.{name}" for owner in owners]
            if any(counters[each] for each in found):
                cells = [(f"{counters[each]}", f"{rates[each]:,.0f}" if rates is not None else None) for each in found]
                table.add_row(name, *(cell for pair in cells for cell in pair if cell is not None))
        yield table


def counter_tables(counters: Mapping[str, int], rates: Mapping[str, float] | None = None) -> Group:
    """Counters by their names in SPEC.md; with ``rates`` (a second) beside them, those of zero drops left out."""
    tables = [_quantities("port", {port: f"{port}_" for port in PORTS}, ("",), counters, rates)]
    drops = Table("dropped or punted", title_justify="left")
    for heading in ("frames", *(("1/s",) if rates is not None else ())):
        drops.add_column(heading, justify="right")
    for name in (*ENCAP_REASONS, *DECAP_REASONS):
        if counters[name]:
            drops.add_row(name, f"{counters[name]}", *([f"{rates[name]:,.0f}"] if rates is not None else []))
    tables.append(drops)
    for kind in ("vni", "tunnel"):
        owners = dict.fromkeys(name.rpartition(".")[0] for name in counters if name.startswith(f"{kind}."))
        if owners:
            rows = {owner.partition(".")[2]: f"{owner}." for owner in owners}
            tables.append(_quantities(kind, rows, ("encap_", "decap_"), counters, rates))
    if any(name.startswith("local.") for name in counters):
        tables += _gateway_counters(counters, rates)
    return Group(*tables)


def _quantities(
    heading: str,
    rows: Mapping[str, str],
    ways: Iterable[str],
    counters: Mapping[str, int],
    rates: Mapping[str, float] | None,
) -> Table:
    """One row each of frames and bytes; ``rows``: what their counters' names begin with."""
    table = Table(heading, title_justify="left")
    ways = tuple(ways)
    for way in ways:
        for quantity in ("frames", "bytes"):
            table.add_column(f"{way.replace('_', ' ')}{quantity}", justify="right")
        if rates is not None:
            table.add_column("frames/s", justify="right")
            table.add_column("Mb/s", justify="right")
    for label, start in rows.items():
        cells = []
        for way in ways:
            names = [f"{start}{way}{quantity}" for quantity in ("frames", "bytes")]
            cells += [f"{counters[name]}" for name in names]
            if rates is not None:
                cells += [f"{rates[names[0]]:,.0f}", f"{rates[names[1]] * 8 / 1e6:,.3f}"]
        table.add_row(label, *cells)
    return table


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
