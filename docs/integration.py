"""Write the tables of integration.md afresh from the declarations of the gateware, or check them.

The prose is written by hand; a block behind a mark is not:

``<!-- ports -->``
    the ports of the Verilog module, from `VtepAxi`.
``<!-- access -->``
    the registers that reach the tables and the counters, from `vtep_registers`.
``<!-- entry: TABLE -->``
    bit positions, from `entry_layout`.
``<!-- example -->``
    the accesses that write one FDB entry.
``<!-- counters -->``
    addresses of the counters, from `counter_map`.

With build parameters as arguments (``vnis=64 data_width=512``) it prints the blocks for that build instead.
"""

import argparse
import ast
import re
import sys
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path

from amaranth.hdl import Shape
from amaranth.lib import data

from vtep.config import VtepParameters
from vtep.control.counters import DECAP_REASONS, ENCAP_REASONS, PORTS, counter_map
from vtep.control.registers import vtep_registers
from vtep.control.tables import DfMode, EcnMode, Table, entry_key, entry_layout, table_plan
from vtep.vxlan.axi import VtepAxi

DOCUMENT = Path(__file__).resolve().with_name("integration.md")

BUSES = {
    "s_axis_tenant": "plain Ethernet frames of the overlay, to be encapsulated",
    "m_axis_tenant": "decapsulated frames",
    "s_axis_underlay": "frames from the outer network",
    "m_axis_underlay": "VXLAN frames to the outer network, and the frames of `s_axis_host`",
    "s_axis_host": "frames that leave on the underlay unchanged",
    "m_axis_host": "frames from the underlay that are for this endpoint but are not VXLAN",
    "s_axil": "AXI4-Lite with the registers: settings, tables, counters",
}
OTHERS = {"idle": "high while no frame is inside"}


def _values(kind: type[Enum]) -> str:
    return ", ".join(f"{member.value}: {member.name.lower().replace('_', ' ')}" for member in kind)


USED = "the entry is valid; 0 empties it"
MEANINGS = {
    Table.VNI: {
        "used": USED,
        "vni": "the VNI",
        "vlan": "VID on the tenant port; 0: untagged",
        "inner_vlan_discard": "drop decapsulated frames that have a tag inside",
        "flood_used": "it has a flood list",
        "flood": "index of the first entry of that list",
    },
    Table.TUNNEL: {
        "used": USED,
        "remote": "address of the other VTEP or of a group; IPv4 in the low 32 bits, the rest 0",
        "remote_is_ipv6": "it is an IPv6 address",
        "remote_mac": "destination MAC address of the outer frame",
        "vlan": "VID of the outer tag; 0: no tag",
        "ttl": "TTL or hop limit, 1 to 255",
        "ttl_inherit": "take the inner packet's instead",
        "dscp": "DSCP",
        "dscp_inherit": "take the inner packet's instead",
        "ecn": _values(EcnMode),
        "df": _values(DfMode),
        "udp_checksum": "compute the UDP checksum; else it is 0",
        "udp_port": "UDP destination port",
    },
    Table.FDB: {
        "used": USED,
        "vni": "the VNI (its number, not its index)",
        "mac": "destination MAC address of the tenant's frame",
        "tunnel": "index of the tunnel",
    },
    Table.VLAN: {
        "vni": "index of the VNI",
    },
    Table.VNI_MAP: {
        "used": USED,
        "vni": "the VNI",
        "index": "its index",
        "push": "push a tag onto what is decapsulated",
        "vlan": "the tag's VID",
        "inner_vlan_discard": "drop decapsulated frames that have a tag inside",
    },
    Table.REMOTE: {
        "used": USED,
        "remote": "address of the other VTEP or of a group; IPv4 in the low 32 bits, the rest 0",
        "remote_is_ipv6": "it is an IPv6 address",
        "group": "it is a multicast address: frames to it are taken",
        "tunnel": "index of the tunnel that frames from it count for",
    },
    Table.FLOOD: {
        "tunnel": "index of the tunnel that gets a copy",
        "last": "the list ends here; else it goes on with the next entry",
    },
}
"""What each field means."""

ACCESS = ("TABLE_SELECT", "TABLE_INDEX", "TABLE_COMMAND", "TABLE_STATUS", "TABLE_DATA")
ACCESS += ("COUNTER_COMMAND", "COUNTER_STATUS", "COUNTER_LOW", "COUNTER_HIGH")


def _ports(parameters: VtepParameters) -> list[str]:
    members = dict(VtepAxi(parameters).signature.members.items())
    lines = ["| port | direction | signals | carries |", "|---|---|---|---|"]
    lines.append("| `clk`, `rst` | in | `clk` `rst` | one clock, rising edge; synchronous reset, active high |")
    for bus, meaning in BUSES.items():
        names = [name for name in members if name.startswith(f"{bus}_")]
        signals = []
        for name in names:
            width = Shape.cast(members.pop(name).shape).width
            signal = name.removeprefix(f"{bus}_")
            signals.append(f"`{signal}[{width - 1}:0]`" if width > 1 else f"`{signal}`")
        lines.append(f"| `{bus}_*` | {'in' if bus[0] == 's' else 'out'} | {' '.join(signals)} | {meaning} |")
    for name, meaning in OTHERS.items():
        del members[name]
        lines.append(f"| `{name}` | out | `{name}` | {meaning} |")
    if members:
        raise ValueError(f"ports that no row speaks of: {', '.join(members)}")
    return lines


def _bits(first: int, width: int) -> str:
    if width == 0:
        return "none"
    return f"{first}" if width == 1 else f"{first + width - 1}:{first}"


def _access(parameters: VtepParameters) -> list[str]:
    registers = vtep_registers(parameters)
    lines = ["| address | register | bits |", "|--:|---|---|"]
    for name in ACCESS:
        register = registers[name]
        address, title = f"0x{register.address:03x}", f"`{name}`"
        if register.count is not None:
            address, title = f"{address} + 4·i", f"`{name}[i]`, i from 0 to {register.count - 1}"
        bits = ", ".join(f"{_bits(field.low, field.width)} `{field.name}`" for field in register.fields)
        lines.append(f"| {address} | {title} | {bits} |")
    return lines


def _layout(layout: data.StructLayout, table: Table) -> list[str]:
    meanings = dict(MEANINGS[table])
    lines = ["| bits | field | meaning |", "|--:|---|---|"]
    lines += [f"| {_bits(field.offset, field.width)} | `{name}` | {meanings.pop(name)} |" for name, field in layout]
    if meanings:
        raise ValueError(f"fields that are not in the layout: {', '.join(meanings)}")
    return lines


def _example(parameters: VtepParameters) -> list[str]:
    """One FDB entry as the accesses that write it."""
    registers, layout = vtep_registers(parameters), entry_layout(Table.FDB, parameters)
    plan = table_plan(Table.FDB, parameters)
    assert plan is not None
    fields = {"used": 1, "vni": 100, "mac": 0x52540000000A, "tunnel": 0}
    index = plan.first_locations(entry_key(Table.FDB, parameters, fields))[0]
    bits = layout.const(fields).as_bits()
    words = [bits >> 32 * i & 0xFFFFFFFF for i in range(-(-layout.size // 32))]
    accesses = [
        ("TABLE_SELECT", 0, Table.FDB.value, "the FDB"),
        ("TABLE_INDEX", 0, index, "the first location of its key"),
        *(("TABLE_DATA", i, word, f"bits {32 * i + 31}:{32 * i} of the entry") for i, word in enumerate(words)),
        ("TABLE_COMMAND", 0, registers["TABLE_COMMAND"].pack(write=1), "put it in, whole, in one clock"),
    ]
    lines = ["| write to | value | |", "|--:|--:|---|"]
    for name, i, value, text in accesses:
        place = f"0x{registers[name].address + 4 * i:03x} `{name}{f'[{i}]' if registers[name].count else ''}`"
        lines.append(f"| {place} | 0x{value:x} | {text} |")
    return lines


def _counters(parameters: VtepParameters) -> list[str]:
    addresses = counter_map(parameters)

    def rows(names: Iterable[str]) -> list[str]:
        return [f"| 0x{addresses[name]:03x} | `{name}` |" for name in names]

    lines = ["| address | counter |", "|--:|---|"]
    lines += rows(ENCAP_REASONS) + rows(DECAP_REASONS)
    lines += rows(f"{port}_{quantity}" for port in PORTS for quantity in ("frames", "bytes"))
    for kind in ("vni", "tunnel"):
        for way in ("encap", "decap"):
            for quantity in ("frames", "bytes"):
                numbers = sorted(
                    (int(match[1]), address)
                    for name, address in addresses.items()
                    if (match := re.fullmatch(rf"{kind}\[(\d+)\]\.{way}_{quantity}", name))
                )
                base = numbers[0][1]
                if any(address != base + 2 * i for i, address in numbers):
                    raise ValueError(f"{kind}[i].{way}_{quantity}: the addresses are not two apart")
                lines.append(f"| 0x{base:03x} + 2·i | `{kind}[i].{way}_{quantity}`, i from 0 to {numbers[-1][0]} |")
    return lines


BLOCKS: dict[str, Callable[[VtepParameters], list[str]]] = {
    "ports": _ports,
    "access": _access,
    **{
        f"entry: {table.name.lower()}": lambda parameters, table=table: _layout(entry_layout(table, parameters), table)
        for table in MEANINGS
    },
    "example": _example,
    "counters": _counters,
}

MARK = re.compile(r"<!-- (ports|access|entry: \w+|example|counters) -->\n\n?")


def refresh(text: str) -> str:
    """Return the document with every block behind a mark made afresh, for the default build."""
    parameters = VtepParameters()
    parts = []
    at = 0
    for mark in MARK.finditer(text):
        parts += [text[at : mark.end()], "\n".join(BLOCKS[mark[1]](parameters))]
        at = text.find("\n\n", mark.end())
        at = len(text.rstrip("\n")) if at < 0 else at
    return "".join(parts) + text[at:]


def _parameters(settings: list[str]) -> VtepParameters:
    pairs = (setting.partition("=") for setting in settings)
    try:
        return VtepParameters(**{name: ast.literal_eval(value) for name, _, value in pairs})
    except (SyntaxError, TypeError, ValueError) as error:
        sys.exit(f"integration.py: {error}")


def main() -> None:
    """Rewrite integration.md, or with ``--check`` say whether it is true; with parameters, print their blocks."""
    parser = argparse.ArgumentParser(description="Write the tables of integration.md afresh.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the document is not up to date")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE", help="print the tables of this build instead")
    options = parser.parse_args()
    if options.parameters:
        parameters = _parameters(options.parameters)
        for name, block in BLOCKS.items():
            print(f"{name}\n", *block(parameters), "", sep="\n")
        return
    text = DOCUMENT.read_text(encoding="utf-8")
    fresh = refresh(text)
    if options.check:
        sys.exit(0 if fresh == text else "integration.md is not up to date: run docs/integration.py")
    DOCUMENT.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
