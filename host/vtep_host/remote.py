"""The commands of ``vtep-ctl`` that speak to a device."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.live import Live

from vtep.control.counters import counter_map
from vtep.headers import ETHERNET

from .adopt import read_state
from .config import Config, Limits, load
from .controller import Controller
from .device import Device, WrongDeviceError
from .difference import State
from .display import configuration, console, counter_tables, device_line, gateway_tables
from .gateway import MAC_BYTES, Gateway, find_gateway
from .host_port import Carried, carry
from .interfaces.interface import FORMS as INTERFACES
from .interfaces.interface import InterfaceError, Setup, open_interface
from .interrupt import until_interrupted
from .lines import FORMS, ViaError, open_via
from .mailbox import Mailbox
from .neighbors import address_of, unplace
from .plain import differences, named, plain
from .tables import counter_names, limits_of
from .transport import TransportError

__all__ = ["DIFFERENT", "add_commands"]

DIFFERENT = 1
EXIT_CODES = (
    "Exit codes: 0 done; 1 (verify) the device holds something else; 2 options or configuration refused, nothing was "
    "changed; 3 the device or the way to it failed."
)

ConfigArgument = Annotated[Path, typer.Argument(help="TOML configuration.", show_default=False)]
Names = Annotated[
    Path | None, typer.Option("--names", help="TOML configuration to take tunnels' names from.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of tables.")]


def add_commands(app: typer.Typer) -> None:
    """Add them to a command line."""
    for command in (apply, show, verify, counters, watch, host):
        app.command(epilog=EXIT_CODES)(command)


class Target(NamedTuple):
    """What a command works with: the core, and the gateway around it if there is one."""

    device: Device
    gateway: Gateway | None

    @property
    def limits(self) -> Limits:
        """What it can hold."""
        return limits_of(self.device.parameters, self.gateway.capacity if self.gateway else 0)


@contextmanager
def _target(context: typer.Context) -> Iterator[Target]:
    """The device; that it refused nothing is looked at in the end, since the line does not tell."""
    if context.obj is None:
        raise ViaError(f"no way to a device: give --via before the command, or VTEP_VIA: {FORMS}")
    with open_via(context.obj) as transport:
        device = Device(transport)
        yield Target(device, find_gateway(device))
        device.check_refused()


def _names(path: Path | None) -> Config | None:
    return None if path is None else load(path)


def _read(target: Target, names: Config | None = None) -> State:
    """What the device holds, tunnels with their next hops, and by the names given."""
    state = read_state(*target)
    config = unplace(state.config, state.neighbors)
    if names is not None:
        config = named(config, names)
    pairs = zip(state.config.tunnels, config.tunnels, strict=True)
    return replace(state, config=config, tunnels={new.name: state.tunnels[old.name] for old, new in pairs})


def apply(context: typer.Context, config: ConfigArgument) -> None:
    """Bring a running device to a configuration, by what differs; deletions come last.

    Frames go meanwhile where the old or the new configuration sends them, or, of what changes, nowhere.
    """
    load(config)  # what is wrong by itself is said also where no device answers
    with _target(context) as target:
        wanted = load(config, target.limits)
        written = Controller(target.device, read_state(*target), target.gateway).apply(wanted)
    console().print(f"{config}: in effect, {written} writes" if written else f"{config}: was in effect", markup=False)


def show(context: typer.Context, names: Names = None, as_json: AsJson = False) -> None:
    """Show what the device is and what it holds; tunnels are called by their index, or by --names.

    Of a gateway also links, neighbours, and the counters of its ports and its local stack.
    """
    given = _names(names)
    with _target(context) as target:
        held = plain(_read(target, given).config)
        about: dict[str, Any] = {"device": _about(target.device)}
        if target.gateway is not None:
            about["gateway"] = _about_gateway(target.gateway)
    if as_json:
        print(json.dumps({**about, **held}, indent=2))
        return
    out = console()
    out.print(device_line(about["device"]), markup=False)
    for table in configuration(held):
        out.print(table)
    if "gateway" in about:
        for table in gateway_tables(about["gateway"]):
            out.print(table)


def verify(context: typer.Context, config: ConfigArgument, as_json: AsJson = False) -> None:
    """Compare what the device holds with a configuration; exit code 1 where it differs."""
    load(config)
    with _target(context) as target:
        wanted = load(config, target.limits)
        lines = differences(_read(target).config, wanted)
    if as_json:
        print(json.dumps({"differences": lines}, indent=2))
    else:
        console().print("\n".join(lines) or f"the device holds {config}", markup=False)
    if lines:
        raise typer.Exit(DIFFERENT)


def counters(
    context: typer.Context,
    names: Names = None,
    clear: Annotated[bool, typer.Option("--clear", help="Set all to 0, once they have been read.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read all counters as they are at one instant; those of a gateway around the core are a moment younger.

    With --clear, what is counted between the reading and the clearing is lost.
    """
    given = _names(names)
    with _target(context) as target:
        values = _snapshot(target, _places(target, given))
        if clear:
            target.device.clear_counters()
            if target.gateway is not None:
                target.gateway.clear_counters()
    if as_json:
        print(json.dumps(values, indent=2))
    else:
        console().print(counter_tables(values))


def watch(
    context: typer.Context,
    names: Names = None,
    interval: Annotated[float, typer.Option(help="Seconds between two readings.", min=0.05)] = 1.0,
    count: Annotated[int, typer.Option(help="Readings until the end; 0: until Ctrl-C.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Show counters and their rates again and again; with --json a line each time."""
    given = _names(names)
    out = console()
    with _target(context) as target:
        places = _places(target, given)
        before, then = _snapshot(target, places), time.monotonic()
        with Live(console=out, auto_refresh=False, transient=False) if _is_live(as_json) else _nothing() as live:
            number = 0
            while not count or number < count:
                number += 1
                time.sleep(max(0.0, then + interval - time.monotonic()))
                values, now = _snapshot(target, places), time.monotonic()
                rates = {name: (value - before[name]) / (now - then) for name, value in values.items()}
                before, then = values, now
                if as_json:
                    print(json.dumps({"counters": values, "rates": rates}), flush=True)
                elif live is not None:
                    live.update(counter_tables(values, rates), refresh=True)
                else:
                    out.print(counter_tables(values, rates))


def host(
    context: typer.Context,
    interface: Annotated[str, typer.Argument(help=f"{INTERFACES}.", show_default=False)],
    pause: Annotated[
        float, typer.Option(help="Seconds until an idle device is asked for frames again.", min=0.001)
    ] = 0.02,
    seconds: Annotated[
        float | None, typer.Option(help="End after this time instead of at Ctrl-C.", min=0.0, show_default=False)
    ] = None,
) -> None:
    """Be the host of a gateway without a local stack: join its host port to a network interface.

    Frames for the gateway itself (ARP, ping, routing protocols) go to that interface, and what is sent there leaves at
    the gateway's underlay port. A TAP device gets the VTEP's MAC address, and is gone in the end; its IP addresses are
    up to you. A serial line carries some kilobytes a second.
    """
    carried = Carried()
    with _target(context) as target:
        if target.gateway is None:
            raise WrongDeviceError("there is no gateway around this core: its host port is an AXI4-Stream")
        mailbox = Mailbox(target.gateway)
        own = target.device.read_settings()["mac"].to_bytes(MAC_BYTES)
        try:
            joined = open_interface(interface, Setup(mailbox.longest - ETHERNET.length, own))
        except InterfaceError as error:
            raise ViaError(str(error)) from None
        out = console()
        out.print(f"host: {interface} is joined to the host port; Ctrl-C ends it", markup=False)
        end = None if seconds is None else time.monotonic() + seconds
        try:
            with until_interrupted() as interrupted:
                carry(
                    mailbox,
                    joined,
                    carried,
                    pause=pause,
                    ended=lambda: interrupted() or (end is not None and time.monotonic() >= end),
                )
        except InterfaceError as error:
            raise TransportError(str(error)) from None
        finally:
            joined.close()
            out.print(
                f"{carried.received} frames from the gateway, {carried.sent} to it; {carried.refused} not taken by the "
                f"interface, {carried.left_out} too long for the gateway",
                markup=False,
            )


def _is_live(as_json: bool) -> bool:
    return not as_json and console().is_terminal


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _about(device: Device) -> dict[str, Any]:
    values = {field.name: getattr(device.parameters, field.name) for field in fields(device.parameters)}
    return {
        "version": "{major}.{minor}".format(**device.registers["VERSION"].read_fields()),
        "build_hash": f"{device.build_hash:#010x}",
        "parameters": {name: value.value if isinstance(value, Enum) else value for name, value in values.items()},
    }


def _about_gateway(gateway: Gateway) -> dict[str, Any]:
    gateway.snapshot_counters()
    return {
        "release": "{major}.{minor}.{patch}".format(**gateway.registers["RELEASE"].read_fields()),
        "version": "{major}.{minor}".format(**gateway.registers["VERSION"].read_fields()),
        "configuration_hash": f"{gateway.registers['CONFIGURATION_HASH'].read():#010x}",
        "links": {port: asdict(link) for port, link in gateway.links().items()},
        "neighbors": [
            {
                "index": index,
                "address": str(address_of(found.neighbor)),
                "vlan": found.neighbor.vlan,
                "state": found.state.name.lower(),
                "mac": None if found.mac is None else found.mac.hex(":"),
            }
            for index, found in gateway.resolutions().items()
        ],
        "counters": gateway.read_counters(snapshot=True),
    }


def _places(target: Target, names: Config | None) -> dict[str, str]:
    """Names of the core's counters, by the names of those that its configuration has."""
    state, parameters = _read(target, names), target.device.parameters
    addresses = counter_names(state.config, parameters, state.vnis, state.tunnels)
    at = {address: name for name, address in counter_map(parameters).items()}
    return {name: at[address] for name, address in addresses.items()}


def _snapshot(target: Target, places: dict[str, str]) -> dict[str, int]:
    device, gateway = target
    device.snapshot_counters()
    if gateway is not None:
        gateway.snapshot_counters()
    values = device.read_counters(places.values(), snapshot=True)
    found = {name: values[place] for name, place in places.items()}
    return found if gateway is None else found | gateway.read_counters(snapshot=True)
