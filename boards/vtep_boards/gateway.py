"""The VXLAN gateway: tenant port, core, underlay port, local stack, and the registers on a serial line."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib import wiring

from vtep.config import VtepParameters
from vtep.control.gateway_registers import LOCAL_EVENTS
from vtep.control.tables import TableEntry
from vtep.local.mailbox import HostMailbox
from vtep.local.neighbors import Neighbor
from vtep.local.next_hop import NextHop
from vtep.local.stack import LocalStack, events_layout
from vtep.mac.mac import Mac
from vtep.mac.port import RgmiiPort
from vtep.stream.packet import connect_packets
from vtep.vxlan.core import VtepCore

from .clocks import CORE_HZ
from .control import GatewayControl
from .counters import GatewayCounters, mac_events
from .design import HOST, TENANT, UNDERLAY, add_ports, design_signature

__all__ = ["BAUD", "GATEWAY", "NEIGHBORS", "Gateway", "Host"]

BAUD = 115200

NEIGHBORS = 16
"""Entries of the table of neighbours."""

GATEWAY = VtepParameters(data_width=32, vnis=64, tunnels=16, fdb_entries=1024, flood_entries=64, max_frame_length=2000)
"""Build parameters of the gateway: 32 bits at 62.5 MHz are 2 Gb/s either way."""


class Host(Enum):
    """Who has the frames of the core's host port."""

    LOCAL = "local"
    """The gateway itself, by `LocalStack`."""
    SERIAL = "serial"
    """Whoever is at the far end of the serial line, by `HostMailbox`."""
    PORT = "port"
    """Whoever is at the board's third port."""


class Gateway(wiring.Component):
    """A VTEP that stands alone. See `design_signature`.

    With `Host.LOCAL` it answers ARP, neighbour solicitations and pings for the core's own addresses, and finds out the
    MAC addresses of next hops: frames that leave for the MAC address 00:00:00:00:00:NN go to its neighbour NN, see
    `NextHop`. Else all of that is up to a host, and every tunnel has its MAC address configured.

    Frames that the tenant's port cannot send in time are dropped and counted (``aFramesLostDueToIntMACXmitError``), or
    a slow tenant would hold up what is for the host; and so are those that the third port cannot send
    (``local.no_room``), or a slow host would hold up the tenants. Frames from the tenant wait for the underlay's port,
    and those that find no room are dropped as they come. The third port's MAC has no counters of its own.

    Parameters
    ----------
    parameters : VtepParameters
    settings, entries
        What is there after power-on: see `VtepCore`.
    host : Host
    neighbors : int
        Entries of the table of neighbours, 1 .. 64; there is none without the local stack.
    initial : iterable of Neighbor
        The first of them after power-on.
    configuration : int
        See `gateway_registers`.
    in_band : bool
        See `RgmiiPort`.
    clock_hz : int
        Of ``sync``.
    baud : int
        Of the serial line, on which `GatewayControl` gives the registers.

    Raises
    ------
    ValueError
        As `VtepCore`, `LocalStack` and `GatewayControl`; neighbours that nobody resolves.
    """

    def __init__(
        self,
        parameters: VtepParameters = GATEWAY,
        settings: Mapping[str, int] | None = None,
        entries: Iterable[TableEntry] = (),
        *,
        host: Host = Host.LOCAL,
        neighbors: int = NEIGHBORS,
        initial: Iterable[Neighbor] = (),
        configuration: int = 0,
        in_band: bool = True,
        clock_hz: int = CORE_HZ,
        baud: int = BAUD,
    ) -> None:
        width, longest = parameters.data_width, parameters.max_frame_length
        self._core = VtepCore(parameters, settings, entries)
        ports = 3 if host is Host.PORT else 2
        self._ports = [
            RgmiiPort(Mac(width, max_frame_length=longest, lossy_transmit=number != UNDERLAY), in_band=in_band)
            for number in range(ports)
        ]
        initial = tuple(initial)
        self._neighbors = neighbors
        self._host = host
        if host is Host.LOCAL:
            self._stack = LocalStack(
                width, clock_frequency=clock_hz, max_frame_length=longest, neighbors=neighbors, initial=initial
            )
            self._hop = NextHop(width, neighbors)
            self._control = GatewayControl(configuration, clock_hz, baud, neighbors=neighbors)
        elif initial:
            raise ValueError("without a local stack there are no neighbors")
        elif host is Host.SERIAL:
            self._mailbox = HostMailbox(width, max_frame_length=longest)
            self._control = GatewayControl(configuration, clock_hz, baud, mailbox=longest)
        else:
            self._control = GatewayControl(configuration, clock_hz, baud)
        super().__init__(design_signature(ports))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = core = self._core
        m.submodules.control, m.submodules.counters = control, counters = self._control, GatewayCounters()
        add_ports(m, self, dict(zip(("tenant", "underlay", "host"), self._ports, strict=False)))
        tenant, underlay = self._ports[TENANT], self._ports[UNDERLAY]
        connect_packets(m, tenant.o, core.tenant_rx)
        connect_packets(m, core.tenant_tx, tenant.i)
        connect_packets(m, underlay.o, core.underlay_rx)
        join = {Host.LOCAL: self._join_stack, Host.SERIAL: self._join_mailbox, Host.PORT: self._join_port}
        events = join[self._host](m)
        assert set(events) <= set(LOCAL_EVENTS), f"events that are not counted: {', '.join(events)}"
        wiring.connect(m, control.core, core.bus)
        m.d.comb += [
            control.serial_rx.eq(self.serial_rx),
            self.serial_tx.eq(control.serial_tx),
            counters.events.eq(Cat(events.get(name, Const(0, 1)) for name in LOCAL_EVENTS)),
            counters.clear.eq(control.clear),
            counters.take_snapshot.eq(control.take_snapshot),
            counters.read.eq(control.read_counter),
            counters.read_index.eq(control.counter_index),
            counters.read_snapshot.eq(control.read_snapshot),
            control.counters_busy.eq(counters.busy),
            control.counter_value.eq(counters.value),
        ]
        for number, port in enumerate((tenant, underlay)):
            m.d.comb += control.links[number].eq(port.link)
            m.d.comb += [getattr(counters.macs[number], name).eq(getattr(port, name)) for name in mac_events().members]
        return m

    def _join_stack(self, m: Module) -> dict[str, Value]:
        """Join the local stack, and what uses what it finds out; return its events."""
        core, control, underlay = self._core, self._control, self._ports[UNDERLAY]
        m.submodules.stack, m.submodules.hop = stack, hop = self._stack, self._hop
        connect_packets(m, core.underlay_tx, hop.i)
        connect_packets(m, hop.o, underlay.i)
        # Never narrowed on its way in: what the host port does not take holds up the tenants' frames.
        connect_packets(m, core.host_tx, stack.i)
        connect_packets(m, stack.o, core.host_rx)
        wiring.connect(m, control.write, stack.write)
        m.d.comb += [
            *(stack.own[name].eq(core.settings[name]) for name in ("mac", "ipv4")),
            stack.own.ipv6.eq(core.settings.ipv6 & core.settings.ipv6_used.replicate(128)),
            hop.publish.eq(stack.publish),
            hop.publication.eq(stack.publication),
            stack.wake.eq(hop.unresolved & (hop.index < self._neighbors)),
            stack.wake_index.eq(hop.index),
            stack.read.eq(control.read),
            stack.read_index.eq(control.read_index),
            stack.read_place.eq(control.read_place),
            control.read_data.eq(stack.read_data),
        ]
        return {name: stack.events[name] for name, _ in events_layout()} | {"unresolved": hop.unresolved}

    def _join_mailbox(self, m: Module) -> dict[str, Value]:
        """Join the mailbox; return its events."""
        core, underlay = self._core, self._ports[UNDERLAY]
        m.submodules.mailbox = mailbox = self._mailbox
        connect_packets(m, core.underlay_tx, underlay.i)
        connect_packets(m, core.host_tx, mailbox.i)
        connect_packets(m, mailbox.o, core.host_rx)
        wiring.connect(m, self._control.mailbox, mailbox.host)
        return {"no_room": mailbox.no_room, "marked": mailbox.marked}

    def _join_port(self, m: Module) -> dict[str, Value]:
        """Join the third port; return the event of a frame that it does not send."""
        core, underlay, host = self._core, self._ports[UNDERLAY], self._ports[HOST]
        connect_packets(m, core.underlay_tx, underlay.i)
        connect_packets(m, core.host_tx, host.i)
        connect_packets(m, host.o, core.host_rx)
        return {"no_room": host.lost}
